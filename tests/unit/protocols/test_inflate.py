"""Decompression in pieces, of good data and of bad."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.protocols.inflate import PIECE, Inflater

TEXT = bytes(index % 7 for index in range(50_000))


def inflate(*chunks: bytes) -> bytes:
    inflater = Inflater()
    text = b""
    for chunk in chunks:
        inflater.feed(chunk)
        while inflater.next():
            assert 0 < len(inflater.piece) <= PIECE
            text += inflater.piece
    return text


@pytest.mark.parametrize(
    "data",
    [gzip.compress(TEXT), zlib.compress(TEXT), zlib.compress(TEXT)[2:-4]],
    ids=["gzip", "zlib", "raw"],
)
@pytest.mark.parametrize("size", [7, 100_000])
def test_each_format_at_any_pace(data: bytes, size: int) -> None:
    assert inflate(*[data[i : i + size] for i in range(0, len(data), size)]) == TEXT


def test_what_follows_the_end_is_ignored() -> None:
    assert inflate(gzip.compress(b"a") + b"trailing", gzip.compress(b"b")) == b"a"


def test_nothing_comes_after_an_error() -> None:
    good = gzip.compress(bytes(index * index % 251 for index in range(9000)))
    assert inflate(b"\xff" * 20, good) == b""


def test_dictionary_is_not_guessed() -> None:
    compressor = zlib.compressobj(zdict=b"dictionary")
    data = compressor.compress(b"dictionary") + compressor.flush()
    assert inflate(data) == b""


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_no_octets_raise(chunks: list[bytes]) -> None:
    inflate(*chunks)
    inflate(b"\x1f\x8b\x08\0\0\0\0\0\0\0", *chunks)
