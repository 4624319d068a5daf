from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme

from osect_sensor import config as configuration
from osect_sensor.service.files import write_json
from osect_sensor.service.layout import Layout
from osect_sensor.support import state as module
from osect_sensor.support.state import sensor_state


@pytest.fixture
def loaded(tmp_path: Path) -> configuration.Loaded:
    client = tmp_path / "client.pem"
    client.touch(0o600)
    client.write_bytes(trustme.CA().issue_cert("sensor").private_key_and_cert_chain_pem.bytes())
    file = tmp_path / "config.toml"
    file.write_text(
        f"""
[sensor]
label_id = "plant-3"
state = "{tmp_path}/state"
runtime = "{tmp_path}/run"
[capture]
spool = "{tmp_path}/spool"
[upload]
host = "cloud.example"
client_pem = "{client}"
proxy = "http://user:hunter2@proxy.example:3128"
[rules]
url = "https://rules.example/0123456789abcdef/rules.tar.gz?code=swordfish"
"""
    )
    return configuration.load(file, {})


def test_the_state_holds_configuration_and_queue(loaded) -> None:
    layout = Layout(loaded.config)
    layout.make_cycle()
    name = "realtime-2024-05-01-00:00:00.tar.zst"
    (layout.queue / name).write_bytes(b"12345")
    (layout.quarantine / name).write_bytes(b"x")
    (layout.quarantine / f"{name}.reason").write_text("reason: HTTP 400\n")
    write_json(layout.upload_status, {"problem": "no connection"})
    state = sensor_state(loaded)
    assert state["configuration"]["values"]["sensor.label_id"]["value"] == "plant-3"
    assert state["queue"]["files"][0]["octets"] == 5
    assert state["quarantine"]["reasons"][name] == "reason: HTTP 400\n"
    assert state["processes"]["upload"] == {"problem": "no connection"}
    assert state["processes"]["capture"] is None
    assert state["certificate"]["mode"] == "0600"
    assert state["certificate"]["expires_at"]
    json.dumps(state)


def test_the_state_holds_no_secret(loaded) -> None:
    text = json.dumps(sensor_state(loaded))
    for secret in ("hunter2", "swordfish", "0123456789abcdef", "PRIVATE KEY", "CERTIFICATE--"):
        assert secret not in text


def test_a_sensor_that_never_ran_has_a_state(loaded) -> None:
    Path(loaded.config.upload.client_pem).unlink()
    state = sensor_state(loaded)
    assert state["queue"] == {"problem": "No such file or directory"}
    assert state["certificate"]["problem"] == "No such file or directory"


def test_long_queues_are_listed_in_part(loaded, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    layout = Layout(loaded.config)
    layout.make_cycle()
    for number in range(5):
        (layout.queue / f"{number}").write_bytes(b"x")
    queue = sensor_state(loaded)["queue"]
    assert queue["count"] == 5
    assert [file["name"] for file in queue["files"]] == ["0", "1", "2"]
