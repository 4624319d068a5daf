"""Whatever a file holds, reading it ends orderly, and what was read lies within it."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Hashable, Iterable
from pathlib import Path

import pytest
import zstandard
from corpus import capture_files
from fuzzing import Campaign, octets, of_octets

from osect_sensor.service.segments import recover_partials
from osect_sensor.wire.capture import CaptureError, CaptureReader, open_capture
from osect_sensor.wire.reader import MAX_CAPTURED_LENGTH, MAX_TIMESTAMP

OVERLONG_FRACTION = 0xFFFFFFFF
"""Microseconds that a damaged record can add to its seconds."""

LARGEST = 20_000
"""Octets of a file that is started from: what lies beyond is more of the same."""

MAGICS = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a",
    b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a", b"\x06\0\0\0", b"\x01\0\0\0", b"\x03\0\0\0",
    b"\x02\0\0\0", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd",
)  # fmt: skip


def seeds() -> list[bytes]:
    return [path.read_bytes()[:LARGEST] for path in capture_files()]


class Trickle(io.RawIOBase):
    """Gives a few octets at a time, as a pipe does."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        return self._file.read(min(size, self._step))


def records(reader: CaptureReader) -> list[tuple[int, int, bytes, int]]:
    """All records, each of which is looked at."""
    found = []
    while reader.next():
        assert 0 <= reader.offset <= reader.offset + reader.captured <= len(reader.data)
        assert 0 <= reader.captured <= MAX_CAPTURED_LENGTH
        assert 0 <= reader.timestamp <= MAX_TIMESTAMP + OVERLONG_FRACTION
        assert reader.wire_length >= 0
        frame = reader.data[reader.offset : reader.offset + reader.captured]
        found.append((reader.timestamp, reader.link_type, frame, reader.wire_length))
    assert reader.truncated or not reader.next()
    assert reader.truncated == (reader.message != "")
    assert "\n" not in reader.message
    return found


def refusal(error: CaptureError) -> str:
    assert "\n" not in str(error)
    return str(error)


def read(data: bytes) -> Iterable[Hashable]:
    try:
        reader = open_capture(io.BytesIO(data), "input")
    except CaptureError as error:
        return [refusal(error)[:20]]
    whole = records(reader)
    # However the octets arrive, the records are the same. (Where compressed ones are damaged, what
    # is lost goes by the piece.)
    trickled = open_capture(Trickle(data, 7 + len(data) % 1000), "input")  # type: ignore[arg-type]
    again = records(trickled)
    if data.startswith(MAGICS[-2:]):
        both = min(len(again), len(whole))
        assert again[:both] == whole[:both]
    else:
        assert again == whole
        assert trickled.message == reader.message
    return [reader.message[:20], len(whole).bit_length(), *reader.skipped]


def test_any_file_is_read_to_an_end(tmp_path: Path) -> None:
    Campaign("captures", tmp_path, seeds(), of_octets(MAGICS), tries=400).run(read)


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
def test_any_compressed_file_is_read_to_an_end(tmp_path: Path, kind: str) -> None:
    compress = zstandard.ZstdCompressor(level=1).compress if kind == "zstd" else gzip.compress

    def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
        if chance.random() < 0.3:
            return data + other
        return octets(chance, data, other, MAGICS)

    some = [compress(data[:3000]) for data in seeds()[:40]]
    Campaign(f"captures-{kind}", tmp_path, some, mutate, tries=150, share=0.5).run(read)


def test_what_a_killed_capture_left_becomes_a_whole_capture(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    file = spool / "000000000001_20200101T000000Z.pcap"
    partial = spool / f".{file.name}.partial"

    def recover(data: bytes) -> Iterable[Hashable]:
        file.unlink(missing_ok=True)
        partial.write_bytes(data)
        recovered = recover_partials(spool)
        assert not partial.exists()
        assert file.exists() == (recovered == 1)
        if not recovered:
            return ["dropped"]
        kept = file.read_bytes()
        assert data.startswith(kept)
        reader = open_capture(io.BytesIO(kept), "recovered")
        whole = records(reader)
        assert not reader.truncated, reader.message
        return [len(whole).bit_length()]

    some = [data for data in seeds() if data[:4] in MAGICS[:3]]

    def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
        # The header is written whole, before anything can happen.
        return data[:24] + octets(chance, data[24:], other[24:], MAGICS)

    Campaign("partials", tmp_path, some, mutate, tries=200, share=0.5).run(recover)
