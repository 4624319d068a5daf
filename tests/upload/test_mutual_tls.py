"""Who is let in, who is believed, and what the logs say about it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import requests

SECRET = "PRIVATE KEY"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("tls-expired", "certificate has expired"),
        ("tls-wrong-ca", "unable to get local issuer certificate"),
        ("tls-wrong-name", "not valid for"),
    ],
)
def test_a_cloud_that_cannot_be_trusted_gets_nothing(cloud, sender, fault: str, reason) -> None:
    sender.queue(0)
    cloud.inject(fault, times=0)
    result = sender.uploader.run_once()
    assert reason in result.problem
    assert cloud.events() == []
    assert len(sender.queued()) == 1


def test_an_authority_of_the_system_is_not_enough_when_one_is_configured(
    cloud, make_sender
) -> None:
    sender = make_sender(ca=str(cloud.certificates.other_ca))
    sender.queue(0)
    assert "not trusted" in sender.uploader.run_once().problem


def test_the_systems_authorities_are_used_when_none_is_configured(
    cloud, make_sender, monkeypatch
) -> None:
    sender = make_sender(ca="")
    sender.queue(0)
    assert "not trusted" in sender.uploader.run_once().problem
    # OpenSSL's own variable stands in for the administrator who adds the authority.
    monkeypatch.setenv("SSL_CERT_FILE", str(cloud.certificates.ca))
    sender.send_all()


def test_requests_own_bundle_of_authorities_is_not_used(cloud, make_sender, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.certificates.ca))
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(cloud.certificates.ca))
    sender = make_sender(ca="")
    sender.queue(0)
    assert "not trusted" in sender.uploader.run_once().problem


@pytest.mark.parametrize("client", ["client_expired", "client_other_ca"])
def test_the_cloud_lets_in_only_clients_of_its_authority(cloud, make_sender, client) -> None:
    sender = make_sender(client_pem=str(getattr(cloud.certificates, client)))
    sender.queue(0)
    assert sender.uploader.run_once().problem
    assert cloud.events() == []
    assert sender.quarantined() == []
    assert len(sender.queued()) == 1


def test_the_cloud_lets_in_nobody_without_a_certificate(cloud) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(
            f"{cloud.url}/paper/api/v1/sensor_status/post",
            verify=str(cloud.certificates.ca),
            timeout=5,
        )
    assert cloud.events() == []


def test_a_key_that_others_may_read_stops_the_upload(cloud, sender) -> None:
    sender.queue(0)
    cloud.certificates.client.chmod(0o640)
    problem = sender.uploader.run_once().problem
    assert str(cloud.certificates.client) in problem
    assert "0640" in problem
    assert cloud.events() == []
    cloud.certificates.client.chmod(0o600)
    sender.send_all()


def test_a_renewed_certificate_is_used_without_a_restart(cloud, make_sender, tmp_path) -> None:
    pem = tmp_path / "client.pem"
    pem.touch(0o600)
    pem.write_bytes(cloud.certificates.client_expired.read_bytes())
    sender = make_sender(client_pem=str(pem))
    sender.queue(0)
    assert sender.uploader.run_once().problem
    pem.write_bytes(cloud.certificates.client.read_bytes())
    sender.send_all()
    assert cloud.events()[0].client == "sensor"


def test_a_cloud_of_tls_1_1_is_refused(cloud, make_sender) -> None:
    context = cloud.certificates.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    sender = make_sender(host=f"127.0.0.1:{listener.getsockname()[1]}")
    sender.queue(0)
    assert sender.uploader.run_once().problem.startswith("TLS: ")
    thread.join(5)
    listener.close()


def test_no_log_shows_a_secret(cloud, make_sender, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    sender = make_sender(proxy="http://user:hunter2@127.0.0.1:1")
    sender.queue(0)
    assert sender.uploader.run_once().problem
    cloud.certificates.client.write_text("broken " + SECRET)
    assert sender.uploader.run_once().problem
    assert "hunter2" not in caplog.text
    assert SECRET not in caplog.text


def config_file(path: Path, cloud, sender) -> Path:
    path.write_text(
        f"""
[sensor]
label_id = "plant-3"
state = "{sender.layout.state}"
runtime = "{sender.layout.runtime}"
[upload]
host = "{cloud.address}"
ca = "{cloud.certificates.ca}"
client_pem = "{cloud.certificates.client}"
"""
    )
    return path


def osect_sensor(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if "OSECT" not in key}
    return subprocess.run(
        [sys.executable, "-m", "osect_sensor", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


def test_the_command_sends_what_is_queued(cloud, sender, tmp_path: Path) -> None:
    config = config_file(tmp_path / "config.toml", cloud, sender)
    names = [sender.queue(minute) for minute in range(3)]
    ended = osect_sensor("upload", "--once", "--config", str(config))
    assert ended.returncode == 0, ended.stderr
    assert cloud.kept() == names
    assert cloud.events()[0].label_id == "plant-3"
    assert SECRET not in ended.stderr


def test_the_command_tells_by_its_exit_code_that_something_is_left(
    cloud, sender, tmp_path: Path
) -> None:
    config = config_file(tmp_path / "config.toml", cloud, sender)
    sender.queue(0)
    cloud.inject("status", times=0, status=503)
    ended = osect_sensor("upload", "--once", "--config", str(config))
    assert ended.returncode == 69
    assert "HTTP 503" in ended.stderr
    assert "Traceback" not in ended.stderr
