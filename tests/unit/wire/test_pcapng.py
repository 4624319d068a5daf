"""The block-structured capture format."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.wire.capture import CaptureError, CaptureReader, open_capture
from osect_sensor.wire.pcapng import MAX_BLOCK_LENGTH
from osect_sensor.wire.reader import MAX_TIMESTAMP

FRAME = bytes(range(61))
NOW = 1_700_000_000_123_456


def padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    length = len(body) + 12
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def section(order: str = "<", length: int = -1, major: int = 1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, major, 0, length), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + padded(value)


def interface(order: str = "<", link: int = 1, snapshot: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snapshot) + options, order)


def packet(
    frame: bytes, order: str = "<", number: int = 0, ticks: int = NOW, length: int = -1
) -> bytes:
    wire = len(frame) if length < 0 else length
    fixed = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), wire)
    return block(6, fixed + padded(frame) + option(1, b"a comment", order), order)


def simple_packet(frame: bytes, length: int = -1) -> bytes:
    wire = len(frame) if length < 0 else length
    return block(3, struct.pack("<I", wire) + padded(frame))


def obsolete_packet(frame: bytes, order: str = "<", number: int = 0) -> bytes:
    fixed = struct.pack(
        f"{order}HHIIII", number, 5, NOW >> 32, NOW & 0xFFFFFFFF, len(frame), len(frame)
    )
    return block(2, fixed + padded(frame), order)


def opened(capture: bytes) -> CaptureReader:
    return open_capture(io.BytesIO(capture), "test.pcapng")


def frames_of(reader: CaptureReader) -> list[bytes]:
    frames = []
    while reader.next():
        assert 0 <= reader.offset <= reader.offset + reader.captured <= len(reader.data)
        frames.append(reader.data[reader.offset : reader.offset + reader.captured])
    assert not reader.next()
    return frames


@pytest.mark.parametrize("order", ["<", ">"])
def test_packets_of_both_byte_orders_read_alike(order: str) -> None:
    reader = opened(
        section(order)
        + interface(order, link=113)
        + packet(FRAME, order, length=1500)
        + obsolete_packet(FRAME[:3], order)
    )
    assert reader.next()
    assert (reader.timestamp, reader.link_type, reader.interface) == (NOW, 113, 0)
    assert (reader.captured, reader.wire_length) == (61, 1500)
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME
    assert reader.next()
    assert (reader.timestamp, reader.captured, reader.wire_length) == (NOW, 3, 3)
    assert not reader.next()
    assert (reader.truncated, reader.message, reader.skipped) == (False, "", {})


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "expected"),
    [
        (0, 1_700_000_000, 1_700_000_000_000_000),
        (3, 1_700_000_000_123, 1_700_000_000_123_000),
        (6, NOW, NOW),
        (7, NOW * 10 + 9, NOW),
        (9, NOW * 1000 + 999, NOW),
        (12, 1_500_000 * 10**12 + 250_000 * 10**6, 1_500_000_250_000),
        (0x80, 1_700_000_000, 1_700_000_000_000_000),
        (0x80 | 10, (1_700_000_000 << 10) + 512, 1_700_000_000_500_000),
        (0x80 | 20, (1_700_000_000 << 20) + 1, 1_700_000_000_000_000),
        (0x80 | 32, (1_700_000_000 << 32) + (1 << 30), 1_700_000_000_250_000),
    ],
)
def test_each_interface_has_its_resolution(
    order: str, resolution: int, ticks: int, expected: int
) -> None:
    options = option(2, b"eth0", order) + option(9, bytes((resolution,)), order) + option(0, b"")
    reader = opened(
        section(order)
        + interface(order)
        + interface(order, link=101, options=options)
        + packet(FRAME, order, 1, ticks)
        + packet(FRAME, order, 0, NOW)
    )
    assert reader.next()
    assert (reader.timestamp, reader.link_type, reader.interface) == (expected, 101, 1)
    assert reader.next()
    assert (reader.timestamp, reader.link_type, reader.interface) == (NOW, 1, 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset", [-3600, 0, 1_000_000_000])
def test_the_offset_of_an_interface_is_added(order: str, offset: int) -> None:
    options = option(14, struct.pack(f"{order}q", offset), order)
    reader = opened(section(order) + interface(order, options=options) + packet(FRAME, order))
    assert reader.next()
    assert reader.timestamp == NOW + offset * 1_000_000


@pytest.mark.parametrize("resolution", [20, 0x7F, 0x80 | 64, 0xFF])
def test_a_resolution_beyond_64_bits_is_taken_as_microseconds(resolution: int) -> None:
    reader = opened(section() + interface(options=option(9, bytes((resolution,)))) + packet(FRAME))
    assert reader.next()
    assert reader.timestamp == NOW
    assert reader.skipped == {"timestamp resolution too fine, taken as microseconds": 1}


@pytest.mark.parametrize(
    ("resolution", "ticks", "offset", "expected"),
    [
        (0, 0xFFFFFFFFFFFFFFFF, 0, MAX_TIMESTAMP),
        (6, NOW, -(1 << 63), 0),
        (6, NOW, (1 << 63) - 1, MAX_TIMESTAMP),
    ],
)
def test_times_that_nothing_can_print_are_clamped(
    resolution: int, ticks: int, offset: int, expected: int
) -> None:
    options = option(9, bytes((resolution,))) + option(14, struct.pack("<q", offset))
    reader = opened(section() + interface(options=options) + packet(FRAME, ticks=ticks))
    assert reader.next()
    assert reader.timestamp == expected
    assert reader.skipped == {"time outside of what can be told, clamped": 1}


def test_options_that_are_cut_off_leave_the_interface_usable() -> None:
    options = struct.pack("<HH", 2, 400) + b"eth0"
    reader = opened(section() + interface(options=options) + packet(FRAME))
    assert frames_of(reader) == [FRAME]
    assert reader.skipped == {"interface option that is cut off": 1}


def test_a_simple_packet_is_cut_at_the_snapshot_length_of_the_first_interface() -> None:
    reader = opened(
        section()
        + interface(snapshot=16)
        + interface(snapshot=8)
        + simple_packet(FRAME[:16], 61)
        + simple_packet(FRAME[:5])
    )
    assert reader.next()
    assert (reader.captured, reader.wire_length, reader.timestamp) == (16, 61, 0)
    assert reader.next()
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME[:5]


def test_sections_start_over_and_may_change_the_byte_order() -> None:
    reader = opened(
        section("<", length=1 << 40)
        + interface("<")
        + interface("<", link=113)
        + packet(FRAME, "<", 1)
        + section(">")
        + packet(b"lost", ">", 0)
        + interface(">", link=101)
        + packet(FRAME[:9], ">", 0)
        + packet(b"lost", ">", 1)
    )
    assert reader.next()
    assert reader.link_type == 113
    assert reader.next()
    assert reader.link_type == 101
    assert reader.data[reader.offset : reader.offset + reader.captured] == FRAME[:9]
    assert not reader.next()
    assert reader.skipped == {"packet of an interface that was not described": 2}
    assert not reader.truncated


def test_other_blocks_are_passed_over_and_counted() -> None:
    reader = opened(
        section()
        + block(0x0BAD, struct.pack("<I", 32473))
        + interface()
        + block(4, bytes(8))
        + block(5, bytes(12))
        + packet(FRAME)
        + block(0x7777, b"")
        + block(5, bytes(12))
    )
    assert frames_of(reader) == [FRAME]
    assert reader.skipped == {
        "custom block": 1,
        "name resolution block": 1,
        "interface statistics block": 2,
        "block of an unknown type": 1,
    }


def test_blocks_too_short_for_their_content_are_passed_over() -> None:
    fixed = struct.pack("<IIIII", 0, 0, 0, 5, 5)
    reader = opened(
        section()
        + block(1, bytes(4))
        + interface(link=101)
        + block(6, fixed[:16])
        + block(6, fixed + b"four")
        + block(2, fixed[:16])
        + block(3, b"")
        + simple_packet(b"four", 5)
        + packet(FRAME, number=1)
    )
    assert frames_of(reader) == [FRAME]
    assert reader.link_type == 101
    assert reader.skipped == {
        "interface description that is too short": 1,
        "packet block that is too short": 3,
        "packet block shorter than the packet it claims": 2,
    }


@pytest.mark.parametrize("length", [0, 8, 11, 97, MAX_BLOCK_LENGTH + 4, 0xFFFFFFFC])
def test_a_senseless_block_length_ends_the_capture(length: int) -> None:
    reader = opened(section() + interface() + packet(FRAME) + struct.pack("<II", 6, length) * 9)
    assert frames_of(reader) == [FRAME]
    assert reader.truncated
    assert reader.message == f"a block claims {length} octets: damaged"


def test_two_lengths_that_differ_end_the_capture() -> None:
    reader = opened(section() + interface() + packet(FRAME) + packet(FRAME)[:-4] + bytes(4))
    assert frames_of(reader) == [FRAME]
    assert reader.message == "a block's two lengths differ: damaged"


def test_a_later_section_must_make_sense() -> None:
    start = section() + interface() + packet(FRAME)
    reader = opened(start + block(0x0A0D0D0A, bytes(16)))
    assert frames_of(reader) == [FRAME]
    assert reader.message == "a section header without the byte-order magic: damaged"
    reader = opened(start + section(major=2))
    assert frames_of(reader) == [FRAME]
    assert reader.message == "a section of pcapng version 2, which is not known"
    reader = opened(start + block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)))
    assert frames_of(reader) == [FRAME]
    assert reader.message == "a section header that is too short: damaged"


def test_text_that_starts_like_a_section_header_is_no_capture() -> None:
    with pytest.raises(CaptureError, match="not a capture"):
        opened(b"\n\r\r\n" + b"some lines of text\n")


def test_a_capture_of_no_packets_is_a_capture() -> None:
    reader = opened(section())
    assert frames_of(reader) == []
    assert not reader.truncated


def test_a_capture_cut_anywhere_gives_the_packets_before_the_cut() -> None:
    blocks = [section(), interface(), packet(FRAME), simple_packet(FRAME), obsolete_packet(FRAME)]
    ends = [sum(map(len, blocks[: count + 1])) for count in range(len(blocks))]
    whole = b"".join(blocks)
    for length in range(4, len(whole) + 1):
        reader = opened(whole[:length])
        assert len(frames_of(reader)) == sum(end <= length for end in ends[2:])
        assert reader.truncated == (length not in ends)


def test_blocks_across_reads_stay_whole() -> None:
    frames = [bytes([number & 0xFF]) * (number * 37 % 9000) for number in range(1000)]
    reader = opened(section() + interface() + b"".join(packet(frame) for frame in frames))
    assert frames_of(reader) == frames


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_nothing_in_a_capture_makes_reading_raise(data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(["<", ">"]))
    capture = bytearray(
        section(order)
        + interface(order, options=option(9, b"\x09", order) + option(14, bytes(8), order))
        + packet(FRAME, order)
        + block(5, bytes(12), order)
        + obsolete_packet(FRAME, order)
        + packet(FRAME, order)
    )
    for _ in range(data.draw(st.integers(0, 6))):
        capture[data.draw(st.integers(0, len(capture) - 1))] = data.draw(st.integers(0, 255))
    try:
        reader = opened(bytes(capture))
    except CaptureError:
        return
    assert len(frames_of(reader)) <= 3
    assert 0 <= reader.timestamp <= MAX_TIMESTAMP
