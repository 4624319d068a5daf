"""What is deleted, in which order, and what is said about it."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path

import pytest

from osect_sensor import config
from osect_sensor.service import retention as module
from osect_sensor.service.layout import Layout
from osect_sensor.service.retention import Retention

BLOCK = 4096


def layout(tmp_path: Path) -> Layout:
    settings = config.Config(
        sensor=config.Sensor(state=str(tmp_path / "state"), runtime=str(tmp_path / "run")),
        capture=config.Capture(spool=str(tmp_path / "spool")),
    )
    made = Layout(settings)
    made.make_cycle()
    return made


def retention(made: Layout, **settings: int) -> Retention:
    limits = {
        "capture_age": 0, "capture_size": 0, "archive_age": 0, "archive_size": 0, "minimum_free": 0
    }  # fmt: skip
    return Retention(dataclasses.replace(config.Retention(), **(limits | settings)), made)


def put(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_bytes(bytes(BLOCK))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def archives(*minutes: int) -> list[str]:
    return [f"realtime-2026-01-01-00:{minute:02d}:00.tar.zst" for minute in minutes]


def test_captures_go_when_they_are_old_but_not_those_that_a_restart_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = layout(tmp_path)
    put(made.kept, "1.pcap", "2.pcap", "3.pcap")
    later = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: later)
    subject = retention(made, capture_age=50)
    subject.run("3.pcap")
    assert names(made.kept) == ["3.pcap"]
    assert subject.counts.captures == 2


def test_captures_go_by_total_size_oldest_first_and_unprocessed_ones_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = layout(tmp_path)
    put(made.kept, "1.pcap", "2.pcap")
    put(made.incoming, "3.pcap", "4.pcap", "5.pcap")
    retention(made, capture_size=4 * BLOCK).run("1.pcap")
    assert names(made.kept) == ["2.pcap"]
    assert not caplog.records
    subject = retention(made, capture_size=2 * BLOCK)
    subject.run("1.pcap", current="3.pcap")
    assert names(made.kept) == []
    assert names(made.incoming) == ["3.pcap", "5.pcap"]
    assert subject.counts.captures_unprocessed == 1
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "retention.capture_lost")
    ]


def test_captures_that_were_set_aside_count_and_go_first(tmp_path: Path) -> None:
    made = layout(tmp_path)
    made.failed.mkdir()
    put(made.failed, "1.pcap", "2.pcap")
    put(made.kept, "3.pcap")
    subject = retention(made, capture_size=2 * BLOCK)
    subject.run("")
    assert names(made.failed) == ["2.pcap"]
    assert names(made.kept) == ["3.pcap"]
    assert subject.counts.captures_set_aside == 1


def test_want_of_space_costs_the_quarantine_after_captures_and_before_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = layout(tmp_path)
    put(made.incoming, "1.pcap", "2.pcap")
    put(made.quarantine, *archives(1))
    put(made.queue, *archives(2, 3))
    order: list[str] = []
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.suffix != ".reason":
            order.append(path.name)
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    monkeypatch.setattr(module, "free_space", lambda path: 0)
    retention(made, minimum_free=1).run("")
    assert order == ["1.pcap", *archives(1, 2)]


def test_archives_that_the_cloud_has_not_got_go_last_and_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = layout(tmp_path)
    put(made.queue, *archives(1, 2))
    put(made.quarantine, *archives(3))
    (made.quarantine / (archives(3)[0] + ".reason")).write_text("404")
    put(made.uploaded, *archives(4, 5))
    retention(made, archive_size=4 * BLOCK).run("")
    assert names(made.uploaded) == archives(5)
    assert not caplog.records
    subject = retention(made, archive_size=1 * BLOCK)
    subject.run("")
    assert names(made.uploaded) == []
    assert names(made.quarantine) == []
    assert names(made.queue) == archives(2)
    assert subject.counts.archives_not_uploaded == 2
    assert [record.message for record in caplog.records] == ["retention.archive_lost"] * 2


def test_queue_is_never_deleted_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = layout(tmp_path)
    put(made.queue, *archives(1))
    put(made.uploaded, *archives(2))
    later = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: later)
    retention(made, archive_age=50).run("")
    assert names(made.queue) == archives(1)
    assert names(made.uploaded) == []


def test_full_disk_costs_captures_first_then_archives_and_the_newest_of_each_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = layout(tmp_path)
    put(made.kept, "1.pcap")
    put(made.incoming, "2.pcap", "3.pcap")
    put(made.uploaded, *archives(1))
    put(made.queue, *archives(2, 3))

    def left() -> int:
        return sum(
            len(list(directory.iterdir()))
            for directory in (made.kept, made.incoming, made.uploaded, made.queue)
        )

    for room, expected in ((5, ["1.pcap"]), (4, ["1.pcap", archives(1)[0]])):
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        monkeypatch.setattr(
            module, "free_space", lambda path, room=room: 1000 if left() <= room else 10
        )
        retention(made, minimum_free=1000).run("")
        gone = {path.name for path in before if not path.exists()}
        assert gone <= set(expected)
    monkeypatch.setattr(module, "free_space", lambda path: 10)
    retention(made, minimum_free=1000).run("")
    assert names(made.incoming) == ["3.pcap"]
    assert names(made.queue) == archives(3)


def test_hidden_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    made = layout(tmp_path)
    put(made.kept, ".1.pcap.partial", "notes.txt")
    retention(made, capture_size=1).run("")
    assert names(made.kept) == [".1.pcap.partial", "notes.txt"]
