"""Each way in which the cloud can fail, several times in the middle of a backlog: no archive is
lost, none is doubled in content, and the order stays."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

BACKLOG = 4
TIMES = 3

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "503 with Retry-After in seconds": {"kind": "status", "status": 503, "retry_after": "600"},
    "503 with Retry-After as a date": {
        "kind": "status",
        "status": 503,
        "retry_after": "Wed, 01 May 2199 00:00:00 GMT",
    },
    "429": {"kind": "status", "status": 429, "retry_after": "0"},
    "408": {"kind": "status", "status": 408},
    "401": {"kind": "status", "status": 401},
    "403": {"kind": "status", "status": 403},
    "302": {"kind": "status", "status": 302},
    "204": {"kind": "status", "status": 204},
    "slow reads": {"kind": "slow", "seconds": 0.05},
    "stalled reads": {"kind": "stall", "seconds": 1.5},
    "reset at the start": {"kind": "reset"},
    "reset in the middle": {"kind": "reset", "octets": 1500},
    "accepted, response lost": {"kind": "lost-response"},
    "accepted, response too late": {"kind": "late-response", "seconds": 1.5},
    "TLS: expired": {"kind": "tls-expired"},
    "TLS: wrong authority": {"kind": "tls-wrong-ca"},
    "TLS: wrong name": {"kind": "tls-wrong-name"},
    "TLS: our authority unknown there": {"kind": "tls-client-refused"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_nothing_is_lost_doubled_or_reordered(cloud, sender, fault: dict[str, Any]) -> None:
    names = [sender.queue(minute) for minute in range(BACKLOG)]
    digests = {
        name: hashlib.sha256((sender.layout.queue / name).read_bytes()).hexdigest()
        for name in names
    }
    # A slow upload succeeds, so that it befalls several archives; handshakes have no name yet.
    anywhere = fault["kind"] == "slow" or fault["kind"].startswith("tls-")
    befallen = "*" if anywhere else names[1]
    cloud.inject(times=TIMES, name=befallen, **fault)

    sender.send_all()

    assert cloud.faults.injected == {fault["kind"]: TIMES}
    assert cloud.kept() == names
    assert sender.queued() == []
    assert sender.quarantined() == []
    received = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in cloud.archives.iterdir()
    }
    assert received == digests
    assert not [event for event in cloud.events() if event.outcome == "conflict"]
    assert cloud.state()["rows"] == 60 * BACKLOG


@pytest.mark.parametrize("kind", ["lost-response", "late-response"])
def test_an_archive_whose_response_was_lost_is_sent_again_under_its_name(
    cloud, sender, kind: str
) -> None:
    name = sender.queue(0)
    cloud.inject(kind, times=2, seconds=1.5)
    sender.send_all()
    assert [(event.name, event.outcome) for event in cloud.events("archive")] == [
        (name, "kept"),
        (name, "again"),
        (name, "again"),
    ]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_one_archive_that_is_refused_does_not_block_the_rest(cloud, sender, status: int) -> None:
    names = [sender.queue(minute) for minute in range(BACKLOG)]
    cloud.inject("status", times=0, status=status, name=names[1])
    sender.send_all()
    assert cloud.kept() == [names[0], names[2], names[3]]
    assert sender.quarantined() == [names[1]]
    reason = (sender.layout.quarantine / f"{names[1]}.reason").read_text()
    assert f"HTTP {status}" in reason


@pytest.mark.parametrize("status", [400, 404])
def test_a_cloud_that_refuses_everything_for_a_while_loses_nothing(
    cloud, sender, status: int
) -> None:
    names = [sender.queue(minute) for minute in range(BACKLOG)]
    cloud.inject("status", times=10, status=status)
    sender.send_all()
    assert sorted(cloud.kept()) == names
    assert sender.quarantined() == []


def test_the_backlog_after_a_dead_cloud_arrives_in_order(cloud, sender) -> None:
    names = [sender.queue(minute) for minute in range(BACKLOG)]
    cloud.stop()
    for _ in range(5):
        assert sender.uploader.run_once().problem.startswith("no connection")
    cloud.start()
    sender.send_all()
    assert cloud.kept() == names


def test_retry_after_is_honoured(cloud, sender) -> None:
    sender.queue(0)
    cloud.inject("status", status=503, retry_after="600")
    sender.send_all()
    assert sender.waited[0] >= 600


def test_a_damaged_archive_is_quarantined_with_what_the_cloud_says(cloud, sender, contents) -> None:
    good = contents.archive(contents.window(0))
    sender.queue(0)
    bad = sender.queue(1, good[: len(good) // 2])
    sender.queue(2)
    sender.send_all()
    assert sender.quarantined() == [bad]
    assert "no tar.zst" in (sender.layout.quarantine / f"{bad}.reason").read_text()


def test_all_faults_one_after_the_other(cloud, sender) -> None:
    names = [sender.queue(minute) for minute in range(len(FAULTS))]
    for fault, name in zip(FAULTS.values(), names, strict=True):
        cloud.inject(**fault, name="*" if fault["kind"].startswith("tls-") else name)
    sender.send_all()
    assert cloud.kept() == names
    assert sum(cloud.faults.injected.values()) == len(FAULTS)
