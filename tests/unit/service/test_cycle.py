"""Segments to archives: the rows of a replay, each window once, whatever is interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from spool import (
    BUILT,
    Disk,
    Killed,
    begin_with_seed,
    dying,
    fill,
    members,
    queue,
    rows,
    settings,
    work,
)

from osect_sensor.errors import OsectError
from osect_sensor.generators.replay import Replay
from osect_sensor.service import cycle, notify, retention, window
from osect_sensor.service.segments import segment_name

FACTORY = BUILT / "factory_minute.pcap"
NOON = 1_700_000_040
LOGS = ("conn.log", "dns.log", "http.log", "arp.log", "ns.log", "yaf_flow.log", "dhcp2.log",
        "netbios-ns.log", "mswin-browser.log", "dhcpv6.log", "ssdp.log", "cclink-ief-basic.log",
        "cclink-ie.log", "p0f-k.log")  # fmt: skip


def pcap(*times: float, link: int = 1) -> bytes:
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for time in times:
        seconds, fraction = int(time), round(time % 1 * 1_000_000)
        arp = (
            b"\xff" * 6
            + bytes((2, 0, 0, 0, 0, 1))
            + bytes.fromhex("08060001080006040001")
            + bytes((2, 0, 0, 0, 0, 1))
            + bytes((10, 0, 0, 1))
            + bytes(6)
            + bytes((10, 0, 0, 2))
        )
        octets += struct.pack("<IIII", seconds, fraction, len(arp), len(arp)) + arp
    return octets


def put(root: Path, name: str, octets: bytes) -> None:
    incoming = root / "spool" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    (incoming / name).write_bytes(octets)


def status(root: Path) -> dict[str, object]:
    data = json.loads((root / "run" / "cycle.json").read_text())
    assert isinstance(data, dict)
    return data


def arp_rows(root: Path) -> dict[str, int]:
    return {name[9:28]: len(rows(members(data), "arp.log")) for name, data in queue(root).items()}


def test_windows_hold_the_rows_that_a_replay_writes(tmp_path: Path) -> None:
    root = tmp_path / "sensor"
    fill(root, FACTORY)
    work(settings(root))
    (tmp_path / "none.fp").touch()
    Replay(
        [str(FACTORY)],
        tmp_path / "replay",
        window=10,
        report_interval=10,
        fingerprints=tmp_path / "none.fp",
    ).run()
    archives = queue(root)
    directories = sorted(path for path in (tmp_path / "replay").iterdir())
    assert [name[9:28] for name in archives] == [path.name for path in directories]
    # A replay ends all connections with its last window, a sensor goes on.
    for data, directory in list(zip(archives.values(), directories, strict=True))[:-1]:
        logs = members(data)
        expected = {path.name: path.read_text() for path in directory.iterdir()}
        assert set(logs) == set(expected)
        for log in LOGS:
            uids = ("uid", "tunnel_parents")
            assert rows(logs, log, uids) == rows(expected, log, uids), f"{directory.name} {log}"
    assert status(root)["packets"] == 1877


def test_segment_is_kept_until_it_is_archived_and_afterwards(tmp_path: Path) -> None:
    fill(tmp_path, FACTORY)
    work(settings(tmp_path))
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []
    assert len(list((tmp_path / "spool" / "kept").iterdir())) == 6
    assert list((tmp_path / "state" / "windows").iterdir()) == []


@pytest.mark.parametrize("warm_up", [900, 15])
def test_restart_between_any_two_segments_changes_nothing(tmp_path: Path, warm_up: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for root in (whole, parts):
        begin_with_seed(root)
        fill(root, FACTORY)
    work(settings(whole, warm_up=warm_up))
    incoming = parts / "spool" / "incoming"
    later = tmp_path / "later"
    incoming.rename(later)
    for segment in sorted(later.iterdir()):
        incoming.mkdir(exist_ok=True)
        segment.rename(incoming / segment.name)
        work(settings(parts, warm_up=warm_up))
    assert queue(parts) == queue(whole)


def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    root = tmp_path / "undisturbed"
    begin_with_seed(root)
    fill(root, FACTORY, 20)
    work(settings(root, period=20))
    return queue(root)


def with_events_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a window made again differ, as Suricata's numbers of flows do after a restart."""
    real = window.Generators.process

    def process(self: window.Generators, segment: window.Segment) -> window.Outcome:
        outcome = real(self, segment)
        for made in outcome.windows:
            (made.directory / "eve.json").write_text(f'{{"flow_id":{os.urandom(8).hex()!r}}}\n')
        return outcome

    monkeypatch.setattr(window.Generators, "process", process)


def without_events(archives: dict[str, bytes]) -> dict[str, dict[str, str]]:
    found = {name: members(data) for name, data in archives.items()}
    for logs in found.values():
        del logs["eve.json"]
    return found


def deaths(calls: int) -> list[int]:
    """At which calls to die: each with OSECT_LONG_TESTS, else some."""
    step = 1 if os.environ.get("OSECT_LONG_TESTS") else 4
    return list(range(1, calls + 1, step))


@pytest.mark.parametrize("power", ["stays", "fails"])
def test_death_at_any_step_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: str
) -> None:
    expected = without_events(undisturbed(tmp_path))
    with_events_of_its_own(monkeypatch)
    spool = tmp_path / "first"
    begin_with_seed(spool)
    fill(spool, FACTORY, 20)
    cycle.Layout(settings(spool, period=20)).make_cycle()
    shutil.copytree(spool, tmp_path / "count")
    with dying(monkeypatch, 0) as calls:
        work(settings(tmp_path / "count", period=20))
    assert len(calls) > 30
    for number in deaths(len(calls)):
        root = tmp_path / f"died-{number}"
        shutil.copytree(spool, root)
        made = settings(root, period=20)
        disk = Disk(root, tmp_path / f"shadow-{number}") if power == "fails" else None
        sent: dict[str, bytes] = {}
        with dying(monkeypatch, number, disk), pytest.raises(Killed):
            work(made)
        if disk is not None:
            disk.cut()
        sent.update(queue(root))
        # What was in the queue has been uploaded in the meantime.
        for path in (root / "state" / "queue").glob("realtime-*"):
            path.unlink()
        work(made)
        for name, data in queue(root).items():
            assert sent.setdefault(name, data) == data, f"{name} differs after death at {number}"
        assert without_events(sent) == expected, f"death at call {number}"
        shutil.rmtree(root)


@pytest.mark.parametrize("number", range(1, 30, 2))
def test_process_killed_after_its_disk_was_full_does_not_make_a_window_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What did not reach the disk did not happen, whatever the process thought."""
    expected = without_events(undisturbed(tmp_path))
    with_events_of_its_own(monkeypatch)
    root = tmp_path / "full"
    begin_with_seed(root)
    fill(root, FACTORY, 20)
    cycle.Layout(settings(root)).make_cycle()
    sent: dict[str, bytes] = {}
    calls = [0]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == number:
            raise OSError(28, "No space left on device")
        real(descriptor)

    def killed(self: cycle.Cycle, seconds: float) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(cycle.Cycle, "_wait", killed)
        with contextlib.suppress(Killed):
            work(settings(root, period=20))
    sent.update(queue(root))
    for path in (root / "state" / "queue").glob("realtime-*"):
        path.unlink()
    work(settings(root, period=20))
    for name, data in queue(root).items():
        assert sent.setdefault(name, data) == data, name
    assert without_events(sent) == expected


def test_power_cut_costs_what_was_not_synced(tmp_path: Path) -> None:
    """The model of the disk itself can fail a test."""
    root = tmp_path / "disk"
    root.mkdir()
    (root / "old").write_text("old")
    disk = Disk(root, tmp_path / "shadow")
    (root / "new").write_text("new")
    (root / "old").rename(root / "renamed")
    with (root / "half").open("w") as file:
        file.write("synced")
        file.flush()
        disk.synced(file.fileno())
        descriptor = os.open(root, os.O_RDONLY)
        disk.synced(descriptor)
        os.close(descriptor)
        file.write(", and more")
    (root / "later").write_text("later")
    disk.cut()
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        "half": "synced",
        "new": "",
        "renamed": "old",
    }


def test_two_segments_of_a_minute_are_two_windows(tmp_path: Path) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1))
    put(tmp_path, segment_name(2, NOON * 10**6), pcap(NOON + 30, NOON + 31))
    work(settings(tmp_path, period=60))
    assert arp_rows(tmp_path) == {"2023-11-14-22:14:00": 1, "2023-11-14-22:14:01": 2}


def test_segment_without_packets_is_a_window_without_rows(tmp_path: Path) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap())
    work(settings(tmp_path, period=60))
    (logs,) = [members(data) for data in queue(tmp_path).values()]
    assert len(logs) == 15
    assert len(logs["conn.log"].splitlines()) == 9


def test_foreign_file_of_several_minutes_is_as_many_windows(tmp_path: Path) -> None:
    put(tmp_path, "tap.pcap", pcap(NOON + 70, NOON + 71, NOON + 190))
    work(settings(tmp_path, period=60))
    assert list(arp_rows(tmp_path).values()) == [2, 0, 1]


def test_file_of_a_name_that_there_was_before_is_another_capture(tmp_path: Path) -> None:
    made = settings(tmp_path, period=60)
    for number in range(3):
        put(tmp_path, "tap.pcap", pcap(NOON + 60 * number + 1))
        work(made)
    assert list(arp_rows(tmp_path).values()) == [1, 1, 1]
    kept = sorted(path.name for path in (tmp_path / "spool" / "kept").iterdir())
    assert kept == [f"{number:012d}_tap.pcap" for number in (1, 2, 3)]


def test_captures_of_any_names_are_known_as_done_after_a_restart(tmp_path: Path) -> None:
    """A restart reads again what was done since a state, whatever the captures were called."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    names = ("z.pcap", "b.pcap", "000000000001_20260101T000000Z.pcap", "a.pcap", "z.pcap", "m.pcap")
    fill(tmp_path / "cut", FACTORY)
    pieces = sorted((tmp_path / "cut" / "spool" / "incoming").iterdir())
    assert len(pieces) == len(names)
    for root in (whole, parts):
        begin_with_seed(root)
    for piece in pieces:
        put(whole, piece.name, piece.read_bytes())
    work(settings(whole, warm_up=900, interval=900))
    for piece, name in zip(pieces, names, strict=True):
        put(parts, name.replace("20260101T000000", piece.name[13:28]), piece.read_bytes())
        work(settings(parts, warm_up=900, interval=900))
    assert queue(parts) == queue(whole)


def test_archive_that_no_checkpoint_knows_of_is_not_overwritten(tmp_path: Path) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1))
    made = settings(tmp_path, period=60)
    work(made)
    before = queue(tmp_path)
    (tmp_path / "state" / "checkpoints" / "checkpoint.json").write_text("{")
    put(tmp_path, segment_name(2, NOON * 10**6), pcap(NOON + 2, NOON + 3))
    work(made)
    assert list(arp_rows(tmp_path).values()) == [1, 2]
    assert before.items() <= queue(tmp_path).items()


def test_clock_set_back_by_an_hour_loses_nothing(tmp_path: Path) -> None:
    put(tmp_path, segment_name(1, (NOON + 3600) * 10**6), pcap(NOON + 3601))
    put(tmp_path, segment_name(2, NOON * 10**6), pcap(NOON + 1))
    put(tmp_path, segment_name(3, (NOON + 60) * 10**6), pcap(NOON + 61))
    work(settings(tmp_path, period=60))
    assert list(arp_rows(tmp_path).values()) == [1, 1, 1]


def test_clock_set_back_ends_the_connections_of_before(tmp_path: Path) -> None:
    fill(tmp_path, FACTORY, 60)
    put(tmp_path, segment_name(2, 1_400_000_040 * 10**6), pcap(1_400_000_041))
    work(settings(tmp_path, period=60))
    (first, later) = sorted(queue(tmp_path))
    assert "2014" in first
    ended = rows(members(queue(tmp_path)[first]), "conn.log")
    assert len(ended) > 10
    assert "2017" in later


def test_damaged_capture_is_a_window_of_what_could_be_read(tmp_path: Path) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1, NOON + 2)[:-5])
    put(tmp_path, segment_name(2, (NOON + 60) * 10**6), b"nothing that is a capture")
    work(settings(tmp_path, period=60))
    assert list(arp_rows(tmp_path).values()) == [1, 0]
    assert status(tmp_path)["damaged_segments"] == 2


def test_segment_that_makes_the_generators_fail_is_set_aside_and_the_next_ones_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        start = NOON + 60 * number
        put(tmp_path, segment_name(number + 1, start * 10**6), pcap(start + 1))
    poison = segment_name(2, (NOON + 60) * 10**6)
    real = window.Generators.process

    def failing(self: window.Generators, segment: window.Segment) -> window.Outcome:
        outcome = real(self, segment)
        if segment.name == poison:
            raise ValueError("a defect")
        return outcome

    monkeypatch.setattr(window.Generators, "process", failing)
    monkeypatch.setattr(cycle, "_FIRST_WAIT", 0.01)
    work(settings(tmp_path, period=60))
    assert list(arp_rows(tmp_path)) == ["2023-11-14-22:14:00", "2023-11-14-22:16:00"]
    assert [path.name for path in (tmp_path / "spool" / "failed").iterdir()] == [poison]
    assert status(tmp_path)["set_aside"] == 1


def test_full_disk_delays_windows_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(tmp_path)
    root = tmp_path / "full"
    begin_with_seed(root)
    fill(root, FACTORY, 20)
    cycle.Layout(settings(root)).make_cycle()
    real = os.fsync
    calls = [0]

    def full(descriptor: int) -> None:
        calls[0] += 1
        if 5 <= calls[0] < 25:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(cycle, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(cycle, "_LONGEST_WAIT", 0.01)
    work(settings(root, period=20))
    assert queue(root) == expected
    assert status(root)["failures"] != 0


def test_retention_makes_room_while_windows_fail_for_want_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but retention frees a disk that is full of what retention keeps."""
    root = tmp_path / "full"
    fill(root, FACTORY, 20)
    made = settings(root, period=20)
    cycle.Layout(made).make_cycle()
    put(root, "../kept/000000000000_old.pcap", b"old")
    old = root / "spool" / "kept" / "000000000000_old.pcap"
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if old.exists():
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(retention, "free_space", lambda path: 0 if old.exists() else 1 << 40)
    monkeypatch.setattr(cycle, "_FIRST_WAIT", 0.01)
    made = dataclasses.replace(made, retention=dataclasses.replace(made.retention, minimum_free=1))
    work(made)
    assert len(queue(root)) == 3
    assert not old.exists()


def test_state_that_finds_no_room_does_not_hold_up_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, FACTORY)
    real = cycle.Checkpoints.add_state
    failures = [3]

    def add_state(self: cycle.Checkpoints, octets: bytes, warm_up: int) -> None:
        if failures[0]:
            failures[0] -= 1
            raise OSError(28, "No space left on device")
        real(self, octets, warm_up)

    monkeypatch.setattr(cycle.Checkpoints, "add_state", add_state)
    work(settings(tmp_path))
    assert len(queue(tmp_path)) == 6
    assert status(tmp_path)["failures"] == 0
    said = [record.message for record in caplog.records]
    assert said.count("checkpoint.not_written") == 3


def test_way_back_to_the_connections_that_fails_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, FACTORY)
    made = settings(tmp_path)
    work(made)

    def failing(self: window.Generators, segment: window.Segment, with_suricata: bool) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(window.Generators, "relive", failing)
    monkeypatch.setattr(cycle, "_FIRST_WAIT", 0.01)
    put(tmp_path, segment_name(99, 1_500_000_060 * 10**6), pcap(1_500_000_061))
    work(made)
    assert len(queue(tmp_path)) == 7
    assert "checkpoint.connections_lost" in [record.message for record in caplog.records]


def test_kept_capture_that_cannot_be_read_again_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, FACTORY)
    made = settings(tmp_path)
    work(made)
    real = window.Generators.relive

    def relive(self: window.Generators, segment: window.Segment, with_suricata: bool) -> None:
        if segment.name.startswith("000000000003"):
            raise OSError(5, "Input/output error")
        real(self, segment, with_suricata)

    monkeypatch.setattr(window.Generators, "relive", relive)
    put(tmp_path, segment_name(99, 1_500_000_060 * 10**6), pcap(1_500_000_061))
    work(made)
    assert len(queue(tmp_path)) == 7
    assert "recovery.capture_unreadable" in [record.message for record in caplog.records]


def test_restart_goes_on_from_a_later_state_where_captures_are_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for root in (whole, parts):
        begin_with_seed(root)
        fill(root, FACTORY, 5)
    work(settings(whole, period=5, interval=10))
    incoming = parts / "spool" / "incoming"
    segments = sorted(incoming.iterdir())
    later = [segment.rename(tmp_path / segment.name) for segment in segments[9:]]
    work(settings(parts, period=5, interval=10))
    for segment in sorted((parts / "spool" / "kept").iterdir())[:5]:
        segment.unlink()
    for segment in later:
        segment.rename(incoming / segment.name)
    work(settings(parts, period=5, interval=10))
    assert "checkpoint.captures_gone" in [record.message for record in caplog.records]
    assert set(queue(parts)) == set(queue(whole))
    for name, archive in queue(whole).items():
        ours = rows(members(queue(parts)[name]), "conn.log")
        assert ours == rows(members(archive), "conn.log"), name


def test_service_manager_hears_of_a_long_recovery_and_of_a_long_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(notify.ServiceManager, "_notify", lambda self, text: told.append(text))
    monkeypatch.setattr(notify.ServiceManager, "alive", lambda self: self._notify("WATCHDOG=1"))
    real = window.Generators.relive

    def relive(self: window.Generators, segment: window.Segment, with_suricata: bool) -> None:
        assert told[0].startswith("READY=1")
        real(self, segment, with_suricata)

    monkeypatch.setattr(window.Generators, "relive", relive)
    fill(tmp_path, FACTORY, 60)
    work(settings(tmp_path, period=60))
    assert told.count("WATCHDOG=1") > 30
    told.clear()
    put(tmp_path, segment_name(99, 1_500_000_060 * 10**6), pcap(1_500_000_061))
    work(settings(tmp_path, period=60))
    assert told.count("WATCHDOG=1") > 30
    assert [text[:7] for text in told].count("READY=1") == 1
    assert told[-1] == "STOPPING=1"


def test_process_that_dies_in_the_same_segment_again_and_again_gets_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1))
    put(tmp_path, segment_name(2, (NOON + 60) * 10**6), pcap(NOON + 61))
    monkeypatch.setattr(cycle, "MAX_ATTEMPTS", 2)
    real = window.Generators.process

    def deadly(self: window.Generators, segment: window.Segment) -> window.Outcome:
        if segment.name.startswith("000000000001"):
            raise Killed
        return real(self, segment)

    monkeypatch.setattr(window.Generators, "process", deadly)
    made = settings(tmp_path, period=60)
    for _ in range(2):
        with pytest.raises(Killed):
            work(made)
    work(made)
    assert list(arp_rows(tmp_path)) == ["2023-11-14-22:15:00"]


def test_state_of_another_version_is_left_behind_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, FACTORY)
    made = settings(tmp_path)
    work(made)
    for path in (tmp_path / "state" / "checkpoints").glob("state-*"):
        path.write_bytes(b"of another version")
    start = 1_500_000_060
    put(tmp_path, segment_name(99, start * 10**6), pcap(start + 1))
    work(made)
    assert len(queue(tmp_path)) == 7
    assert "checkpoint.connections_lost" in [record.message for record in caplog.records]


def test_native_logs_give_way_to_a_real_tool_that_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    zeek = programs / "zeek"
    zeek.write_text(
        "#!/bin/sh\n"
        "printf '#fields\\tts\\tuid\\tid.orig_h\\tproto\\tip_proto\\tlocal_orig\\n' > conn.log\n"
        "printf '1.5\\tCabc\\t10.0.0.1\\ttcp\\t6\\tT\\n' >> conn.log\n"
    )
    zeek.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    made = settings(tmp_path, period=60)
    made = dataclasses.replace(
        made, generators=dataclasses.replace(made.generators, conn="zeek", dns="zeek")
    )
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1))
    work(made)
    (logs,) = [members(data) for data in queue(tmp_path).values()]
    lines = logs["conn.log"].splitlines()
    assert len(lines) == 10
    assert lines[5].startswith("#open\t2023-11-14-22-14-00")
    assert lines[8].split("\t")[:6] == ["1.5", "Cabc", "10.0.0.1", "-", "-", "-"]
    assert lines[8].split("\t")[6:8] == ["tcp", "-"]
    assert len(logs["dns.log"].splitlines()) == 9
    assert len(rows(logs, "arp.log")) == 1


def test_real_tool_that_is_chosen_and_missing_is_told_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, segment_name(1, NOON * 10**6), pcap(NOON + 1))
    made = settings(tmp_path)
    made = dataclasses.replace(made, generators=dataclasses.replace(made.generators, conn="zeek"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OsectError, match=r"generators\.conn"):
        work(made)
    assert queue(tmp_path) == {}
