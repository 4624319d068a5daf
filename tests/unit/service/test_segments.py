"""Streams to capture files by the minute."""

from __future__ import annotations

import errno
import os
import struct
import time
from pathlib import Path

import pytest

from osect_sensor.service import segments
from osect_sensor.service.segments import (
    Splitter,
    StreamDamaged,
    list_segments,
    next_number,
    recover_partials,
    segment_of,
)

NOON = 1_700_000_040
"""A full minute."""
MINUTE = 60_000_000


def header(order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)


def record(second: float, payload: bytes = b"frame", order: str = "<", scale: int = 10**6) -> bytes:
    whole = int(second)
    fraction = round((second - whole) * scale)
    return struct.pack(f"{order}IIII", whole, fraction, len(payload), len(payload)) + payload


def split(tmp_path: Path, *pieces: bytes, ticks: tuple[int, ...] = ()) -> list[tuple[str, bytes]]:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    for piece in pieces:
        splitter.feed(piece)
    for tick in ticks:
        splitter.tick(tick * 1_000_000)
    splitter.finish()
    return contents(tmp_path)


def contents(directory: Path) -> list[tuple[str, bytes]]:
    return [(one.name[-11:-6], one.path.read_bytes()) for one in list_segments(directory)]


def test_packets_go_into_the_file_of_their_minute(tmp_path: Path) -> None:
    one, other, third = record(NOON + 1), record(NOON + 59.9), record(NOON + 60)
    files = split(tmp_path, header() + one + other + third)
    assert [data for _, data in files] == [header() + one + other, header() + third]
    assert [segment.start for segment in list_segments(tmp_path)] == [
        NOON * 1_000_000,
        (NOON + 60) * 1_000_000,
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "scale"), [(0xA1B2C3D4, 10**6), (0xA1B23C4D, 10**9)])
def test_octets_arrive_in_any_pieces(tmp_path: Path, order: str, magic: int, scale: int) -> None:
    head = header(order, magic)
    first = [record(NOON + second, b"x" * second, order, scale) for second in range(3)]
    later = record(NOON + 61.5, b"later", order, scale)
    stream = head + b"".join(first) + later
    files = split(tmp_path, *(stream[at : at + 1] for at in range(len(stream))))
    assert [data for _, data in files] == [head + b"".join(first), head + later]


def test_quiet_minutes_get_empty_files(tmp_path: Path) -> None:
    files = split(tmp_path, header() + record(NOON) + record(NOON + 190))
    assert [len(data) for _, data in files] == [45, 24, 24, 45]


def test_clock_ends_a_minute_without_packets(tmp_path: Path) -> None:
    files = split(tmp_path, header(), ticks=(NOON + 5, NOON + 59, NOON + 60, NOON + 125))
    assert [data for _, data in files] == [header()] * 3


def test_minutes_go_by_before_any_stream_has_begun(tmp_path: Path) -> None:
    files = split(tmp_path, ticks=(NOON, NOON + 60))
    assert [len(data) for _, data in files] == [24, 24]


def test_packet_that_comes_late_stays_in_the_current_file(tmp_path: Path) -> None:
    late = record(NOON + 59)
    files = split(tmp_path, header() + record(NOON + 61) + late)
    assert len(files) == 1
    assert files[0][1].endswith(late)


def test_clock_set_back_begins_a_file_of_its_own(tmp_path: Path) -> None:
    files = split(tmp_path, header() + record(NOON + 3600) + record(NOON))
    assert len(files) == 2
    assert files[1][1] == header() + record(NOON)


def test_clock_set_forward_by_years_does_not_fill_the_disk(tmp_path: Path) -> None:
    assert len(split(tmp_path, header() + record(NOON) + record(NOON + 10**8))) == 2


def test_stream_of_another_link_type_gets_another_file(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    splitter.feed(header() + record(NOON))
    splitter.begin_stream()
    splitter.feed(header(link=113) + record(NOON + 1))
    splitter.begin_stream()
    splitter.feed(header(link=113) + record(NOON + 2))
    splitter.finish()
    assert [data for _, data in contents(tmp_path)] == [
        header() + record(NOON),
        header(link=113) + record(NOON + 1) + record(NOON + 2),
    ]


def test_file_without_packets_takes_the_header_of_the_stream_that_comes(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    splitter.tick(NOON * 1_000_000)
    splitter.feed(header(link=113) + record(NOON + 1))
    splitter.finish()
    assert contents(tmp_path)[0][1] == header(link=113) + record(NOON + 1)


def test_stream_that_is_no_capture_is_refused(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    with pytest.raises(StreamDamaged):
        splitter.feed(b"\n\r\r\n" + bytes(60))
    splitter.finish()


def test_record_that_makes_no_sense_ends_the_stream_and_keeps_what_came(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    with pytest.raises(StreamDamaged):
        splitter.feed(header() + record(NOON) + struct.pack("<IIII", NOON, 0, 1 << 30, 5))
    splitter.finish()
    assert contents(tmp_path)[0][1] == header() + record(NOON)


def test_full_disk_loses_packets_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    splitter.feed(header() + record(NOON))
    real = os.write
    room = [7]

    def full(descriptor: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(room[0], len(data))
        room[0] -= taken
        return real(descriptor, bytes(data)[:taken])

    monkeypatch.setattr(os, "write", full)
    splitter.feed(record(NOON + 1) + record(NOON + 2))
    room[0] = 10_000
    splitter.feed(record(NOON + 3))
    monkeypatch.undo()
    splitter.finish()
    assert splitter.counts.lost_packets == 2
    assert splitter.counts.packets == 2
    assert contents(tmp_path)[0][1] == header() + record(NOON) + record(NOON + 3)


def test_space_that_must_stay_free_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "free_space", lambda path: 999)
    splitter = Splitter(tmp_path, 1, MINUTE, 1000)
    splitter.feed(header() + record(NOON))
    monkeypatch.setattr(segments, "free_space", lambda path: 1 << 40)
    splitter.feed(record(NOON + 1))
    splitter.finish()
    assert splitter.counts.lost_packets == 1
    assert contents(tmp_path)[0][1] == header() + record(NOON + 1)


def test_file_is_hidden_until_it_is_complete(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    splitter.feed(header() + record(NOON))
    assert list_segments(tmp_path) == []
    assert [path.name[0] for path in tmp_path.iterdir()] == ["."]
    splitter.finish()
    assert len(list_segments(tmp_path)) == 1


def test_what_a_killed_capture_wrote_is_completed_to_the_last_whole_record(tmp_path: Path) -> None:
    splitter = Splitter(tmp_path, 7, MINUTE, 0)
    splitter.feed(header() + record(NOON) + record(NOON + 1))
    partial = next(tmp_path.iterdir())
    with partial.open("ab") as file:
        file.write(record(NOON + 2)[:-1])
    (tmp_path / ".empty.pcap.partial").write_bytes(header()[:10])
    assert recover_partials(tmp_path) == 1
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [
        header() + record(NOON) + record(NOON + 1)
    ]
    assert next_number([tmp_path]) == 8


def test_zeros_that_a_power_cut_left_are_no_records(tmp_path: Path) -> None:
    partial = tmp_path / ".000000000001_20231114T221400Z.pcap.partial"
    partial.write_bytes(header() + record(NOON) + bytes(4096))
    assert recover_partials(tmp_path) == 1
    assert next(tmp_path.iterdir()).read_bytes() == header() + record(NOON)


def test_files_that_the_disk_does_not_take_appear_later_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [True]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if failing[0]:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(segments.Finisher, "RETRY", 0.05)
    splitter = Splitter(tmp_path, 1, MINUTE, 0)
    splitter.feed(header() + record(NOON) + record(NOON + 60) + record(NOON + 120))
    time.sleep(0.2)
    assert list_segments(tmp_path) == []
    failing[0] = False
    end = time.monotonic() + 10
    while len(list_segments(tmp_path)) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert len(list_segments(tmp_path)) == 2
    splitter.finish()
    assert [data for _, data in contents(tmp_path)] == [
        header() + record(NOON + second) for second in (0, 60, 120)
    ]


def test_next_number_is_behind_what_was_done_also_when_no_capture_is_left(tmp_path: Path) -> None:
    assert next_number([tmp_path]) == 1
    assert next_number([tmp_path], "000000000041_20231114T221400Z.pcap") == 42
    (tmp_path / "000000000050_tap.pcap").touch()
    assert next_number([tmp_path], "000000000041_20231114T221400Z.pcap") == 51


def test_name_of_somebody_elses_file_tells_no_time(tmp_path: Path) -> None:
    assert segment_of(tmp_path / "tap-0001.pcap").start == -1
    assert segment_of(tmp_path / "000000000001_20239901T000000Z.pcap").start == -1


def test_only_complete_captures_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcapng.gz", ".c.pcap", "d.pcap.partial", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "loop.pcap").symlink_to(tmp_path / "loop.pcap")
    assert [one.name for one in list_segments(tmp_path)] == ["a.pcapng.gz", "b.pcap"]
