from __future__ import annotations

from osect_sensor.protocols.asn1 import (
    context_index,
    number_of,
    read_length,
    read_number,
    skip_value,
)
from osect_sensor.protocols.fields import FieldReader


def reader_of(data: bytes) -> FieldReader:
    return FieldReader(data, 0, len(data))


def test_lengths_short_long_and_oversized() -> None:
    assert read_length(reader_of(b"\x05")) == 5
    assert read_length(reader_of(b"\x82\x01\x02")) == 0x102
    assert read_length(reader_of(b"\x84\xff\xff\xff\xff")) == -1
    assert read_length(reader_of(b"\x89" + bytes(9))) == 0


def test_length_cut_short_fails() -> None:
    reader = reader_of(b"\x82\x01")
    read_length(reader)
    assert reader.failed


def test_values_are_stepped_over_whole() -> None:
    reader = reader_of(b"\x04\x03abc\x02\x01\x07")
    skip_value(reader)
    assert read_number(reader) == 7
    assert not reader.failed
    assert reader.remaining() == 0


def test_numbers_of_more_than_eight_octets_read_as_zero() -> None:
    assert number_of(reader_of(b"\xff" * 9), 9) == 0
    assert number_of(reader_of(b"\x01\x00"), 2) == 256


def test_context_tags_have_an_index() -> None:
    assert context_index(0xA3) == 3
    assert context_index(0x30) == 0x90
