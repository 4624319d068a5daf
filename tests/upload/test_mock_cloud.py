"""The mock cloud by itself: what it takes, keeps, refuses, and how it is told to misbehave."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import zstandard
from osect_harness.cloud import Fault, MockCloud, archives, parse_fault
from osect_harness.errors import UsageError

ARCHIVES = "/paper/api/v1/createlogdata/post"
RULES = "/paper/api/v1/sensor_status/post"


def post(cloud: MockCloud, path: str, **options: Any) -> requests.Response:
    return requests.post(
        cloud.url + path,
        cert=str(cloud.certificates.client),
        verify=str(cloud.certificates.ca),
        timeout=10,
        **options,
    )


def post_archive(cloud: MockCloud, name: str, data: bytes) -> requests.Response:
    files = {"label_id": (None, "plant"), "file_uploaded": (name, data)}
    return post(cloud, ARCHIVES, files=files)


def test_an_archive_is_kept_unpacked_and_held_to_the_contract(cloud, contents) -> None:
    logs = contents.window(0)
    name = contents.name(0)
    data = contents.archive(logs)
    assert post_archive(cloud, name, data).status_code == 200
    assert (cloud.archives / name).read_bytes() == data
    window = cloud.logs / "realtime-2024-05-01-00:00:00"
    assert {path.name: path.read_bytes() for path in window.iterdir()} == logs
    (event,) = cloud.events()
    assert (event.outcome, event.rows, event.total) == ("kept", 60, 0)
    assert (event.client, event.label_id, event.octets) == ("sensor", "plant", len(data))
    assert json.loads((cloud.directory / "events.jsonl").read_text())["name"] == name


def test_an_archive_sent_again_before_it_is_judged_is_kept_once(
    cloud, contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archives.judge

    def slow(window: Path) -> archives.Judgement:
        time.sleep(0.5)
        return real(window)

    monkeypatch.setattr(archives, "judge", slow)
    data = contents.archive(contents.window(0))
    with ThreadPoolExecutor(3) as senders:
        answers = [senders.submit(post_archive, cloud, contents.name(0), data) for _ in range(3)]
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]
    assert sorted(event.outcome for event in cloud.events()) == ["again", "again", "kept"]
    assert [event.total for event in cloud.events()] == [0, 0, 0]


def test_violations_of_the_contract_are_noted(cloud, contents) -> None:
    logs = contents.window(0)
    del logs["conn.log"]
    logs["arp.log"] = logs["arp.log"].replace(b"10.0.0.1", b"10.0.0.300")
    assert post_archive(cloud, contents.name(0), contents.archive(logs)).status_code == 200
    (event,) = cloud.events()
    assert event.total == 61
    assert any("conn.log" in text for text in event.violations)


def test_a_strict_cloud_refuses_what_breaks_the_contract(tmp_path: Path, contents) -> None:
    logs = contents.window(0)
    del logs["conn.log"]
    with MockCloud(tmp_path / "strict", strict=True) as cloud:
        answer = post_archive(cloud, contents.name(0), contents.archive(logs))
        assert answer.status_code == 422
        assert "conn.log" in answer.text
        assert cloud.kept() == []
        assert list(cloud.archives.iterdir()) == list(cloud.logs.iterdir()) == []


def test_the_same_archive_again_is_no_conflict_but_other_content_is(cloud, contents) -> None:
    name = contents.name(0)
    for minute in (0, 0, 1):
        data = contents.archive(contents.window(minute))
        assert post_archive(cloud, name, data).status_code == 200
    assert [event.outcome for event in cloud.events()] == ["kept", "again", "conflict"]
    assert cloud.kept() == [name]
    assert len(list(cloud.archives.iterdir())) == 2


def test_a_restarted_cloud_remembers_what_it_has(tmp_path: Path, contents) -> None:
    name, data = contents.name(0), contents.archive(contents.window(0))
    with MockCloud(tmp_path / "cloud") as cloud:
        post_archive(cloud, name, data)
        certificate = cloud.certificates.client.read_bytes()
    with MockCloud(tmp_path / "cloud") as cloud:
        assert cloud.certificates.client.read_bytes() == certificate
        post_archive(cloud, name, data)
        assert [event.outcome for event in cloud.events()] == ["again"]


def hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = link
        tar.addfile(info)
    return zstandard.compress(plain.getvalue())


HOSTILE = {
    "parent": hostile("../conn.log"),
    "absolute": hostile("/etc/cron.d/x"),
    "folder": hostile("sub/conn.log"),
    "symbolic link": hostile("conn.log", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": hostile("conn.log", tarfile.LNKTYPE, "/etc/passwd"),
    "pipe": hostile("conn.log", tarfile.FIFOTYPE),
    "name too long": hostile("x" * 256),
    "device": hostile("conn.log", tarfile.CHRTYPE),
    "dots": hostile(".."),
    "nothing compressed": zstandard.compress(b""),
    "no tar": zstandard.compress(b"no tar" * 1000),
    "nothing": b"",
    "no zstd": b"no zstd",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_archives_that_are_none_or_reach_out_are_refused_whole(cloud, contents, data) -> None:
    answer = post_archive(cloud, contents.name(0), data)
    assert answer.status_code == 400
    assert [event.outcome for event in cloud.events()] == ["refused"]
    assert list(cloud.archives.iterdir()) == list(cloud.logs.iterdir()) == []
    assert not [path for path in cloud.directory.rglob("*") if path.is_symlink()]


def test_an_archive_cut_anywhere_is_refused(cloud, contents) -> None:
    data = contents.archive(contents.window(0))
    for length in range(1, len(data), len(data) // 20):
        assert post_archive(cloud, contents.name(0), data[:length]).status_code == 400
    assert cloud.kept() == []


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"label_id": (None, "plant")}, "no field file_uploaded"),
        ({"file_uploaded": ("realtime-2024-05-01-00:00:00.tar.zst", b"x")}, "no field label_id"),
        ({"label_id": (None, "plant"), "file_uploaded": ("../x.tar.zst", b"x")}, "no name"),
        ({"label_id": (None, "plant"), "file_uploaded": ("today.tar.zst", b"x")}, "no name"),
    ],
)
def test_forms_that_are_not_as_agreed_are_refused(cloud, files, reason: str) -> None:
    answer = post(cloud, ARCHIVES, files=files)
    assert answer.status_code == 400
    assert reason in answer.text


def test_a_body_that_is_no_form_is_refused(cloud) -> None:
    assert post(cloud, ARCHIVES, data=b"archive").status_code == 400
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert post(cloud, ARCHIVES, data=b"archive", headers=headers).status_code == 400


def test_other_paths_and_methods_are_not_there(cloud) -> None:
    assert post(cloud, "/paper/").status_code == 404
    answer = requests.get(
        cloud.url + ARCHIVES,
        cert=str(cloud.certificates.client),
        verify=str(cloud.certificates.ca),
        timeout=10,
    )
    assert answer.status_code == 405


def test_a_rule_status_is_kept(cloud) -> None:
    fields = {"label_id": "p", "suricata": "7.0.10", "signature": "10", "message": "success"}
    assert post(cloud, RULES, data=fields).status_code == 200
    assert cloud.events("rule-status")[0].fields == fields


def test_a_rule_status_without_a_field_is_refused(cloud) -> None:
    answer = post(cloud, RULES, data={"label_id": "p", "suricata": "7", "message": "m"})
    assert (answer.status_code, answer.text) == (400, "without signature")


def test_a_support_report_is_kept(cloud) -> None:
    files = {"label_id": (None, "plant"), "file_uploaded": ("sos.tar.xz", b"report")}
    assert post(cloud, "/paper/api/v1/supportlog/post", files=files).status_code == 200
    assert (cloud.support / "sos.tar.xz").read_bytes() == b"report"


def test_faults_come_as_often_as_told_and_only_to_the_files_named(cloud, contents) -> None:
    data = contents.archive(contents.window(0))
    cloud.inject("status", times=2, status=507, name=contents.name(1))
    statuses = [
        post_archive(cloud, contents.name(minute), data).status_code for minute in (0, 1, 1, 1)
    ]
    assert statuses == [200, 507, 507, 200]


def test_faults_are_told_by_the_control_endpoint(cloud, contents) -> None:
    data = contents.archive(contents.window(0))
    url = cloud.control_url + "/faults"
    told = {"kind": "status", "status": 429, "retry_after": "7", "times": 0}
    assert requests.post(url, json=told, timeout=5).status_code == 200
    answer = post_archive(cloud, contents.name(0), data)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert requests.delete(url, timeout=5).json() == []
    assert post_archive(cloud, contents.name(0), data).status_code == 200


@pytest.mark.parametrize(
    "told",
    [{}, {"kind": "nonsense"}, {"kind": "status", "often": 1}, {"kind": "slow", "times": "x"}],
)
def test_faults_that_are_none_are_refused(cloud, told: dict[str, Any]) -> None:
    answer = requests.post(cloud.control_url + "/faults", json=told, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_fault_is_written_as_kind_and_values() -> None:
    fault = parse_fault("status:status=503,times=3,retry_after=5")
    assert fault == Fault("status", times=3, status=503, retry_after="5")
    assert parse_fault("reset") == Fault("reset")


@pytest.mark.parametrize("text", ["", "nonsense", "status:503", "status:status=x", "slow:times=-1"])
def test_a_fault_that_is_wrongly_written_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        parse_fault(text)


def test_the_state_is_there_for_programs(cloud, contents) -> None:
    post_archive(cloud, contents.name(0), contents.archive(contents.window(0)))
    state = requests.get(cloud.control_url + "/state.json", timeout=5).json()
    assert (state["archives"], state["rows"], state["violations"]) == (1, 60, 0)


def test_the_command_serves_until_it_is_ended(tmp_path: Path, contents) -> None:
    command = [sys.executable, "-m", "osect_harness", "cloud", str(tmp_path / "cloud")]
    command += ["--port", "0", "--control-port", "0", "--fault", "status:status=500"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        told = dict(line.rsplit(maxsplit=1) for line in lines)
        url = told["cloud"]
        files = {
            "label_id": (None, "plant"),
            "file_uploaded": (contents.name(0), contents.archive(contents.window(0))),
        }
        statuses = [
            requests.post(
                url + ARCHIVES,
                files=files,
                cert=told["client"],
                verify=told["authority"],
                timeout=10,
            ).status_code
            for _ in range(2)
        ]
        assert statuses == [500, 200]
        process.terminate()
        assert "1 archives, 60 rows, 0 violations" in process.stdout.read()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_waiting_ends_when_what_is_waited_for_has_come(cloud, contents) -> None:
    assert not cloud.wait_for(lambda one: bool(one.kept()), 0.05)
    post_archive(cloud, contents.name(0), contents.archive(contents.window(0)))
    assert cloud.wait_for(lambda one: bool(one.kept()), 60)
