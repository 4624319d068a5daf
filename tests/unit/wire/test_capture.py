"""Opening captures: kinds, compression, streams, link types."""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.wire.capture import (
    CaptureError,
    CaptureReader,
    link_type_name,
    open_capture,
)

FRAME = bytes(range(60))


def pcap(*frames: bytes) -> bytes:
    pieces = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)]
    for number, frame in enumerate(frames):
        pieces.append(struct.pack("<IIII", 1_700_000_000 + number, 7, len(frame), len(frame)))
        pieces.append(frame)
    return b"".join(pieces)


def opened(capture: bytes) -> CaptureReader:
    return open_capture(io.BytesIO(capture), "test.pcap")


def frames_of(reader: CaptureReader) -> list[bytes]:
    frames = []
    while reader.next():
        assert 0 <= reader.offset <= reader.offset + reader.captured <= len(reader.data)
        frames.append(reader.data[reader.offset : reader.offset + reader.captured])
    assert not reader.next()
    return frames


def test_an_empty_file_is_no_capture() -> None:
    with pytest.raises(CaptureError, match=r"^test\.pcap: empty$"):
        opened(b"")


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"GMBU\0\1\1\0", "Microsoft Network Monitor 2"),
        (b"snoop\0\0\0\0\0\0\2", "snoop"),
        (b"PK\x03\x04rest", "zip"),
        (b"\xfd7zXZ\0\0\4", "xz"),
        (b"BZh91AY&SY", "bzip2"),
        (b"#separator \\x09\n", "Zeek log"),
        (b'{"timestamp": 1}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\xa1\x2b\x3c\x4d" + bytes(20), "Navtel"),
    ],
)
def test_what_is_no_capture_is_named(octets: bytes, kind: str) -> None:
    with pytest.raises(CaptureError, match=f"not a capture; it seems to be .*{kind}"):
        opened(octets)


@pytest.mark.parametrize(
    "octets", [b"\xd4", b"\xd4\xc3\xb2", b"hello, world", b"\n\r\r\nfour lines"]
)
def test_anything_else_is_just_no_capture(octets: bytes) -> None:
    with pytest.raises(CaptureError, match=r"not a capture$"):
        opened(octets)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_captures_are_read_by_their_magic(compress: object) -> None:
    assert callable(compress)
    reader = opened(compress(pcap(FRAME, FRAME[:9])))
    assert frames_of(reader) == [FRAME, FRAME[:9]]
    assert not reader.truncated


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_members_are_joined_and_zero_padding_is_ignored(compress: object) -> None:
    assert callable(compress)
    capture = pcap(FRAME, FRAME)
    reader = opened(compress(capture[:50]) + compress(capture[50:]) + bytes(700))
    assert frames_of(reader) == [FRAME, FRAME]
    assert not reader.truncated


def test_what_follows_a_gzip_member_and_is_none_is_ignored() -> None:
    reader = opened(gzip.compress(pcap(FRAME)) + b"not a member")
    assert frames_of(reader) == [FRAME]
    assert not reader.truncated


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_capture_cut_anywhere_gives_what_is_whole(compress: object) -> None:
    assert callable(compress)
    numbers = random.Random(5)
    frames = [numbers.randbytes(length) for length in (300, 0, 900, 60, 2000)]
    whole = compress(pcap(*frames))
    for length in range(len(whole)):
        try:
            reader = opened(whole[:length])
        except CaptureError:
            assert length < 60
            continue
        found = frames_of(reader)
        assert found == frames[: len(found)]
        assert reader.truncated
        assert "cut off" in reader.message


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_damaged_compressed_capture_gives_what_came_before(compress: object) -> None:
    assert callable(compress)
    frames = [os.urandom(1400) for _ in range(40)]
    damaged = bytearray(compress(pcap(*frames)))
    damaged[30_000:30_064] = bytes(64)
    reader = opened(bytes(damaged))
    found = frames_of(reader)
    assert reader.truncated or len(found) == len(frames)
    assert len(found) >= 15


def test_compressed_text_is_no_capture() -> None:
    with pytest.raises(CaptureError, match=r"inside the gzip file: not a capture; .* Zeek log"):
        opened(gzip.compress(b"#separator \\x09\n"))
    with pytest.raises(CaptureError, match="inside the zstd file: empty"):
        opened(zstandard.compress(b""))
    with pytest.raises(CaptureError, match="inside the gzip file: the gzip stream is damaged"):
        opened(b"\x1f\x8b\xff\xff\xff\xff")


class Trickle(io.RawIOBase):
    """A pipe: each read gives the next few octets, and reading ahead of them would block."""

    def __init__(self, octets: bytes, step: int) -> None:
        self.octets = octets
        self.step = step
        self.position = 0
        self.available = 0

    def readable(self) -> bool:
        return True

    def feed(self, count: int) -> None:
        self.available = count

    def read1(self, size: int) -> bytes:
        assert self.position < self.available or self.position == len(self.octets), "would block"
        end = min(self.position + min(size, self.step), self.available)
        piece = self.octets[self.position : end]
        self.position = end
        return piece


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_record_is_delivered_as_soon_as_it_is_complete(step: int) -> None:
    frames = [FRAME, FRAME[:1], b"", FRAME * 3]
    pipe = Trickle(pcap(*frames), step)
    pipe.feed(24)
    reader = open_capture(pipe, "-")  # type: ignore[arg-type]
    arrived = 24
    for frame in frames:
        arrived += 16 + len(frame)
        pipe.feed(arrived)
        assert reader.next()
        assert reader.data[reader.offset : reader.offset + reader.captured] == frame
    assert not reader.next()
    assert not reader.truncated
    assert reader.bytes_read == len(pipe.octets)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_pipe_is_read_in_small_steps(compress: object) -> None:
    assert callable(compress)
    pipe = Trickle(compress(pcap(FRAME, FRAME)), 5)
    pipe.feed(len(pipe.octets))
    reader = open_capture(pipe, "-")  # type: ignore[arg-type]
    assert frames_of(reader) == [FRAME, FRAME]
    assert reader.bytes_read == len(pipe.octets)


class FailingDisk(io.BytesIO):
    def read1(self, size: int | None = -1) -> bytes:
        taken = super().read1(100)
        if not taken:
            raise OSError(5, "Input/output error")
        return taken


def test_a_read_error_ends_the_capture_with_its_message() -> None:
    reader = open_capture(FailingDisk(pcap(FRAME, FRAME)), "disk")
    assert frames_of(reader) == [FRAME, FRAME]
    assert reader.truncated
    assert reader.message == "reading failed: Input/output error"
    with pytest.raises(CaptureError, match="disk: reading failed"):
        open_capture(FailingDisk(b""), "disk")


def test_records_across_blocks_stay_whole() -> None:
    frames = [bytes([number & 0xFF]) * (number * 37 % 9000) for number in range(1500)]
    reader = opened(pcap(*frames))
    assert frames_of(reader) == frames
    assert not reader.truncated


def test_a_block_may_be_kept_after_the_reader_has_moved_on() -> None:
    frames = [bytes([number]) * 200_000 for number in range(20)]
    reader = opened(pcap(*frames))
    kept = []
    while reader.next():
        kept.append((reader.data, reader.offset))
    for (data, offset), frame in zip(kept, frames, strict=True):
        assert data[offset : offset + len(frame)] == frame


def test_link_types_have_names() -> None:
    assert link_type_name(1) == "Ethernet"
    assert link_type_name(113) == "Linux cooked"
    assert link_type_name(150) == "user-defined 3"
    assert link_type_name(9999) == "link type 9999"
    assert link_type_name(-1) == "none"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nothing_in_a_capture_makes_reading_raise(data: st.DataObject) -> None:
    capture = bytearray(pcap(FRAME, FRAME, FRAME))
    for _ in range(data.draw(st.integers(0, 6))):
        capture[data.draw(st.integers(0, len(capture) - 1))] = data.draw(st.integers(0, 255))
    try:
        reader = opened(bytes(capture))
    except CaptureError:
        return
    assert len(frames_of(reader)) <= len(capture) // 16


def _shared() -> Path | None:
    beside = Path(__file__).resolve().parents[4] / "shared"
    shared = Path(os.environ.get("OSECT_SHARED", beside))
    return shared if (shared / "captures" / "INDEX.tsv").is_file() else None


@pytest.mark.skipif(_shared() is None, reason="no reference captures (OSECT_SHARED)")
def test_reference_captures_hold_the_packets_that_their_index_says() -> None:
    shared = _shared()
    assert shared is not None
    with (shared / "captures" / "INDEX.tsv").open(newline="") as index:
        for row in csv.DictReader(index, delimiter="\t"):
            with (shared / "captures" / row["capture"]).open("rb") as stream:
                reader = open_capture(stream, row["capture"])
                assert len(frames_of(reader)) == int(row["packets"]), row["capture"]
                assert not reader.truncated, row["capture"]
