"""DNP3 objects (IEEE 1815 annex A) by their sizes, as far as Zeek knows them.

What follows an object of unknown type, or one that Zeek does not take apart, is let pass.
"""

from __future__ import annotations

from typing import Final

from osect_sensor.protocols.fields import FieldReader

AUTHENTICATE_FILE: Final = 0x1D
"""Function code whose requests carry g70v2 with content."""

_FIXED: Final[dict[int, int]] = {
    0x0101: 1, 0x0102: 1,
    0x0201: 1, 0x0202: 7, 0x0203: 3,
    0x0302: 1,
    0x0401: 7, 0x0402: 3,
    0x0A01: 1, 0x0A02: 1,
    0x0B01: 1, 0x0B02: 7,
    0x0C01: 11, 0x0C02: 11, 0x0C03: 1,
    0x0D01: 1, 0x0D02: 7,
    0x1401: 5, 0x1402: 3, 0x1405: 4, 0x1406: 2,
    0x1501: 5, 0x1502: 3, 0x1505: 11, 0x1506: 9, 0x1509: 4, 0x150A: 2,
    0x1601: 5, 0x1602: 3, 0x1605: 11, 0x1606: 9,
    0x1701: 5, 0x1702: 3, 0x1705: 11, 0x1706: 9,
    0x1E01: 5, 0x1E02: 3, 0x1E03: 4, 0x1E04: 2, 0x1E05: 5, 0x1E06: 9,
    0x1F01: 5, 0x1F02: 3, 0x1F03: 11, 0x1F04: 9, 0x1F05: 4, 0x1F06: 2, 0x1F07: 5, 0x1F08: 9,
    0x2001: 5, 0x2002: 3, 0x2003: 11, 0x2004: 9, 0x2005: 5, 0x2006: 9, 0x2007: 11, 0x2008: 15,
    0x2101: 5, 0x2102: 3, 0x2103: 11, 0x2104: 11, 0x2105: 5, 0x2106: 9, 0x2107: 11, 0x2108: 15,
    0x2201: 2, 0x2202: 4, 0x2203: 4,
    0x2801: 5, 0x2802: 3, 0x2803: 5, 0x2804: 9,
    0x2901: 5, 0x2902: 3, 0x2903: 5, 0x2904: 9,
    0x2A01: 5, 0x2A02: 3, 0x2A03: 11, 0x2A04: 9, 0x2A05: 5, 0x2A06: 9, 0x2A07: 11, 0x2A08: 15,
    0x2B01: 5, 0x2B02: 3, 0x2B03: 11, 0x2B04: 9, 0x2B05: 5, 0x2B06: 9, 0x2B07: 11, 0x2B08: 15,
    0x3201: 6, 0x3202: 10, 0x3203: 6,
    0x3301: 6, 0x3302: 6,
    0x3401: 2, 0x3402: 2,
    0x5001: 2,
    0x5101: 3,
    0x5501: 5,
    0x5601: 5, 0x5602: 1,
    0x6501: 2, 0x6502: 4, 0x6503: 8,
    0x6601: 1,
    0x7803: 6, 0x7804: 2,
}  # fmt: skip
"""Octets of an object by group and variation (g33v4 counts as 32 bits, which is Zeek's slip)."""

_BY_PREFIX: Final[dict[int, int]] = {
    0x4604: 13, 0x4605: 8, 0x4606: 9,
    0x7801: 8, 0x7802: 6, 0x7806: 6, 0x7807: 15, 0x7808: 2, 0x7809: 0, 0x780E: 0, 0x780F: 0,
}  # fmt: skip
"""Least octets of an object whose size its prefix tells."""

_PACKED: Final = (0x0101, 0x0301, 0x0A01, 0x0C03)
"""Objects that pack eight points into an octet."""

_IN_REQUESTS: Final = (0x0C, 0x32, 0x33, 0x34, 0x46, 0x50, 0x78)
"""Groups of which a request carries objects; requests only name others."""


def skip_objects(reader: FieldReader, in_request: bool, function: int) -> None:
    """Step over an object header (IEEE 1815 section 4.2.2.7) and the objects it announces."""
    kind = reader.u16()
    qualifier = reader.u8()
    count = _count(reader, qualifier & 0x0F)
    if not reader.intact() or (in_request and not _request_has(kind)):
        return
    if kind in _PACKED and not (in_request and kind != 0x0C03):
        # Rounded up, but towards zero when a range runs backwards.
        if count > 0:
            count = (count + 7) // 8
        else:
            count = -(-count // 8)
    if count < 0 or count > reader.remaining():
        reader.failed = True
        return
    for _ in range(count):
        _skip_object(reader, kind, _prefix(reader, qualifier & 0xF0), in_request, function)
        if not reader.intact():
            return


def _request_has(kind: int) -> bool:
    """Whether a request carries objects of this group and variation."""
    group = kind >> 8
    variation = kind & 0xFF
    if group not in _IN_REQUESTS or variation == 0:
        return False
    if group in (0x0C, 0x32):
        return variation <= 3
    if group in (0x33, 0x34):
        return variation <= 2
    if group == 0x46:
        return variation <= 7
    if group == 0x50:
        return variation == 1
    return variation <= 15


def _count(reader: FieldReader, range_code: int) -> int:
    """The range field: how many objects follow."""
    if range_code == 0:
        start = reader.u8()
        return reader.u8() - start + 1
    if range_code == 1:
        start = reader.u16le()
        return reader.u16le() - start + 1
    if range_code == 2:
        start = reader.u32le()
        count = (reader.u32le() - start + 1) & 0xFFFFFFFF
        return count if count < 0x80000000 else count - 0x100000000
    if range_code in (7, 11):
        return reader.u8()
    if range_code == 8:
        return reader.u16le()
    if range_code == 9:
        count = reader.u32le()
        return count if count < 0x80000000 else count - 0x100000000
    if range_code == 3:
        reader.skip(2)
    elif range_code == 4:
        reader.skip(4)
    elif range_code == 5:
        reader.skip(8)
    elif range_code != 6:
        reader.skip(reader.remaining())
    return 0


def _prefix(reader: FieldReader, prefix_code: int) -> int:
    """The prefix of an object: its index or its size."""
    if prefix_code in (0x10, 0x40):
        return reader.u8()
    if prefix_code in (0x20, 0x50):
        return reader.u16le()
    if prefix_code in (0x30, 0x60):
        return reader.u32le()
    return 0


def _skip_object(
    reader: FieldReader, kind: int, prefix: int, in_request: bool, function: int
) -> None:
    if in_request and kind == 0x5001:
        reader.skip(reader.remaining())
        return
    size = _FIXED.get(kind, -1)
    if size >= 0:
        reader.skip(size)
        return
    least = _BY_PREFIX.get(kind, -1)
    if least >= 0:
        if kind >= 0x7800:
            prefix &= 0xFFFF
        reader.skip(least)
        reader.skip(prefix - least)
        return
    group = kind >> 8
    if group in (0x6E, 0x6F, 0x70, 0x71):
        reader.skip(kind & 0xFF)
    elif 0x00D3 <= kind <= 0x00FF and kind not in (0x00F4, 0x00FB, 0x00FD):
        reader.skip(1)
        reader.skip(reader.u8())
    elif group == 0x46:
        _skip_file_object(reader, kind, in_request and function != AUTHENTICATE_FILE)
    elif group == 0x78:
        _skip_authentication_object(reader, kind, prefix & 0xFFFF)
    elif kind == 0x5201:
        reader.skip(8)
        reader.skip(4 * reader.u16le())
    elif kind == 0x5301:
        reader.skip(6)
        reader.skip(reader.u16le())
    elif kind == 0x5302:
        reader.skip(6)
        reader.skip(4 * reader.u16le())
    elif kind == 0x5B01:
        reader.skip(4)
        for _ in range(reader.u8()):
            length = reader.u8()
            reader.skip(1)
            reader.skip(length - 1)
    else:
        reader.skip(reader.remaining())


def _skip_file_object(reader: FieldReader, kind: int, without_credentials: bool) -> None:
    """File control objects (group 70) that tell the lengths of their strings."""
    if kind == 0x4601:
        name = reader.u16le()
        reader.skip(32)
        reader.skip(name)
        while reader.remaining() > 0:
            reader.skip(reader.u16le())
    elif kind == 0x4602:
        if without_credentials:
            return
        reader.skip(2)
        name = reader.u16le()
        reader.skip(2)
        password = reader.u16le()
        reader.skip(4)
        reader.skip(name + password)
    elif kind == 0x4603:
        reader.skip(2)
        name = reader.u16le()
        reader.skip(22)
        reader.skip(name)
    elif kind == 0x4607:
        reader.skip(2)
        name = reader.u16le()
        reader.skip(16)
        reader.skip(name)
    else:
        reader.skip(reader.remaining())


def _skip_authentication_object(reader: FieldReader, kind: int, prefix: int) -> None:
    """Secure authentication objects (group 120) that tell the lengths of their parts."""
    if kind == 0x7805:
        reader.skip(9)
        challenge = reader.u16le()
        reader.skip(challenge)
        reader.skip(prefix - 11 - challenge)
    elif kind == 0x780A:
        reader.skip(10)
        name = reader.u16le()
        key = reader.u16le()
        certification = reader.u16le()
        reader.skip(name + key + certification)
    elif kind == 0x780B:
        reader.skip(1)
        name = reader.u16le()
        challenge = reader.u16le()
        reader.skip(name + challenge)
    elif kind == 0x780C:
        reader.skip(8)
        reader.skip(reader.u16le())
    elif kind == 0x780D:
        reader.skip(6)
        reader.skip(reader.u16le())
    else:
        reader.skip(reader.remaining())
