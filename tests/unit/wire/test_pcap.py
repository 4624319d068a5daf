"""The classic capture format and its variants."""

from __future__ import annotations

import io
import struct

import pytest

from osect_sensor.wire.capture import CaptureError, CaptureReader, open_capture
from osect_sensor.wire.reader import BLOCK_SIZE, MAX_CAPTURED_LENGTH

FRAME = bytes(range(60))


def file_header(
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snapshot: int = 65535,
    link: int = 1,
) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, *version, 0, 0, snapshot, link)


def record(
    frame: bytes, order: str = "<", fraction: int = 123_456, length: int = -1, extra: bytes = b""
) -> bytes:
    wire = len(frame) if length < 0 else length
    return struct.pack(f"{order}IIII", 1_700_000_000, fraction, len(frame), wire) + extra + frame


def opened(capture: bytes) -> CaptureReader:
    return open_capture(io.BytesIO(capture), "test.pcap")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 123_456), (0xA1B23C4D, 123_456_789)])
def test_both_byte_orders_and_resolutions_read_alike(order: str, magic: int, fraction: int) -> None:
    reader = opened(
        file_header(order, magic) + record(FRAME, order, fraction) + record(b"", order, 0, 1500)
    )
    assert reader.link_type == 1
    assert reader.next()
    assert reader.timestamp == 1_700_000_000_123_456
    assert (reader.captured, reader.wire_length, reader.interface) == (60, 60, 0)
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME
    assert reader.next()
    assert (reader.timestamp, reader.captured) == (1_700_000_000_000_000, 0)
    assert reader.wire_length == 1500
    assert not reader.next()
    assert (reader.truncated, reader.message, reader.skipped) == (False, "", {})


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_modified_format_has_longer_record_headers(order: str) -> None:
    extra = bytes(8)
    reader = opened(
        file_header(order, 0xA1B2CD34)
        + record(FRAME, order, extra=extra)
        + record(FRAME[:5], order, extra=extra)
    )
    assert reader.next()
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME
    assert reader.next()
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME[:5]
    assert not reader.next()
    assert not reader.truncated


@pytest.mark.parametrize("version", [(2, 2), (543, 0)])
def test_old_versions_have_the_lengths_the_other_way_round(version: tuple[int, int]) -> None:
    exchanged = struct.pack("<IIII", 1, 2, 1500, len(FRAME)) + FRAME
    reader = opened(file_header(version=version) + exchanged)
    assert reader.next()
    assert (reader.captured, reader.wire_length) == (60, 1500)


def test_version_2_3_has_the_lengths_either_way_round() -> None:
    exchanged = struct.pack("<IIII", 1, 2, 1500, len(FRAME)) + FRAME
    reader = opened(file_header(version=(2, 3)) + exchanged + record(FRAME, length=1400))
    assert reader.next()
    assert (reader.captured, reader.wire_length) == (60, 1500)
    assert reader.next()
    assert (reader.captured, reader.wire_length) == (60, 1400)


def test_an_unknown_version_is_refused_by_name() -> None:
    with pytest.raises(CaptureError, match=r"version 3\.0"):
        opened(file_header(version=(3, 0)))


def test_reserved_link_type_bits_are_refused_and_the_fcs_length_is_not() -> None:
    with pytest.raises(CaptureError, match="reserved bits"):
        opened(file_header(link=0x00010001))
    assert opened(file_header(link=0x24000001)).link_type == 1


def test_a_capture_of_no_packets_is_a_capture() -> None:
    reader = opened(file_header(link=113))
    assert not reader.next()
    assert (reader.link_type, reader.truncated) == (113, False)


def test_a_record_beyond_the_snapshot_length_is_clipped() -> None:
    reader = opened(file_header(snapshot=40) + record(FRAME) + record(FRAME[:7]))
    assert reader.next()
    assert (reader.captured, reader.wire_length) == (40, 60)
    assert reader.next()
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME[:7]
    assert reader.skipped == {"record longer than the snapshot length, clipped": 1}


@pytest.mark.parametrize("snapshot", [0, 0x80000000, 0xFFFFFFFF])
def test_a_senseless_snapshot_length_does_not_clip(snapshot: int) -> None:
    reader = opened(file_header(snapshot=snapshot) + record(FRAME * 1000))
    assert reader.next()
    assert reader.captured == 60_000


def test_the_longest_record_is_read_and_a_longer_one_ends_the_capture() -> None:
    longest = bytes(MAX_CAPTURED_LENGTH)
    reader = opened(file_header(snapshot=0) + record(longest) + record(longest + b"!"))
    assert reader.next()
    assert reader.captured == MAX_CAPTURED_LENGTH
    assert not reader.next()
    assert not reader.next()
    assert reader.truncated
    assert reader.message == "a record claims 262145 octets: damaged"


def test_nothing_is_read_behind_damage_although_more_blocks_come() -> None:
    damage = record(bytes(MAX_CAPTURED_LENGTH + 1))
    more = record(FRAME) * 20_000
    assert len(damage + more) > BLOCK_SIZE
    reader = opened(file_header(snapshot=0) + record(FRAME) + damage + more)
    assert reader.next()
    assert [reader.next() for _ in range(3)] == [False] * 3


def test_a_capture_cut_anywhere_gives_the_records_before_the_cut() -> None:
    frames = [FRAME, b"", FRAME[:1]]
    whole = file_header() + b"".join(record(frame) for frame in frames)
    ends = [24]
    for frame in frames:
        ends.append(ends[-1] + 16 + len(frame))
    for length in range(4, len(whole) + 1):
        reader = opened(whole[:length])
        count = 0
        while reader.next():
            assert reader.data[reader.offset : reader.offset + reader.captured] == frames[count]
            count += 1
        assert count == sum(end <= length for end in ends[1:])
        assert reader.truncated == (length not in ends)
        assert reader.truncated == reader.message.startswith("cut off inside ")


def test_times_up_to_2106_are_told() -> None:
    reader = opened(file_header() + struct.pack("<IIII", 0xFFFFFFFF, 999_999, 0, 0))
    assert reader.next()
    assert reader.timestamp == 4_294_967_295_999_999
