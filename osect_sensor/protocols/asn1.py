"""Steps over BER-encoded values (ITU-T X.690) with a ``FieldReader``."""

from __future__ import annotations

from typing import Final

from osect_sensor.protocols.fields import FieldReader, signed32

SEQUENCE: Final = 0x30
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06

CONTEXT: Final = 0xA0
"""Tag of the constructed, context-specific value [0]; [n] is that many higher."""


def read_length(reader: FieldReader) -> int:
    """The length octets; a length too large for a C ``int`` comes out as Zeek's parsers see it.

    The indefinite form reads as zero, and so does a length given in more than eight octets.
    """
    first = reader.u8()
    if first & 0x80 == 0:
        return first
    count = first & 0x7F
    position = reader.advance(count)
    if position < 0 or count > 8:
        return 0
    length = 0
    for index in range(count):
        length = length << 8 | reader.data[position + index]
    return signed32(length)


def skip_header(reader: FieldReader) -> int:
    """Step over a tag and its length; answer the length."""
    reader.skip(1)
    return read_length(reader)


def skip_value(reader: FieldReader) -> None:
    """Step over a whole value: tag, length, content."""
    reader.skip(skip_header(reader))


def context_index(tag: int) -> int:
    """Which n makes ``tag`` the constructed context tag [n] (0..255, wrapping like an octet)."""
    return (tag - CONTEXT) & 0xFF


def read_number(reader: FieldReader) -> int:
    """A whole value whose content is a big-endian number; zero when longer than eight octets."""
    return number_of(reader, skip_header(reader))


def number_of(reader: FieldReader, length: int) -> int:
    """``length`` octets as a big-endian number; zero when there are more than eight."""
    position = reader.advance(length)
    if position < 0 or length > 8:
        return 0
    value = 0
    for index in range(length):
        value = value << 8 | reader.data[position + index]
    return value
