"""Big- and little-endian integers at an offset, and addresses as text.

Callers check that the octets are there; these functions index and shift, which mypyc turns into
plain loads (``struct`` and ``int.from_bytes`` cost five times as much compiled). ``i64`` is mypyc's
machine word; to Python it is a name in annotations only. Compiled, arithmetic on it is one
instruction, without a look at whether the number still fits, and ``int``'s is ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_MAC_TEXTS: Final = 4096
"""MACs whose text is kept: a network has hundreds, and each is in many rows."""

_MAC_TEXTS: Final[dict[bytes, str]] = {}
_HEX: Final = [f"{value:x}" for value in range(256)]
_PADDED_HEX: Final = [f"{value:02x}" for value in range(256)]
_DECIMAL: Final = [str(value) for value in range(256)]
_DOTTED: Final = [f"{value}." for value in range(256)]


def u8(data: bytes, offset: i64) -> i64:
    """The octet at ``offset``."""
    return data[offset]


def u16(data: bytes, offset: i64) -> i64:
    """The unsigned 16-bit big-endian integer at ``offset``."""
    high: i64 = data[offset]
    low: i64 = data[offset + 1]
    return high << 8 | low


def u24(data: bytes, offset: i64) -> i64:
    """The unsigned 24-bit big-endian integer at ``offset``."""
    high: i64 = data[offset]
    middle: i64 = data[offset + 1]
    low: i64 = data[offset + 2]
    return high << 16 | middle << 8 | low


def u32(data: bytes, offset: i64) -> i64:
    """The unsigned 32-bit big-endian integer at ``offset``."""
    first: i64 = data[offset]
    second: i64 = data[offset + 1]
    third: i64 = data[offset + 2]
    fourth: i64 = data[offset + 3]
    return first << 24 | second << 16 | third << 8 | fourth


def u16le(data: bytes, offset: i64) -> i64:
    """The unsigned 16-bit little-endian integer at ``offset``."""
    low: i64 = data[offset]
    high: i64 = data[offset + 1]
    return high << 8 | low


def u32le(data: bytes, offset: i64) -> i64:
    """The unsigned 32-bit little-endian integer at ``offset``."""
    first: i64 = data[offset]
    second: i64 = data[offset + 1]
    third: i64 = data[offset + 2]
    fourth: i64 = data[offset + 3]
    return fourth << 24 | third << 16 | second << 8 | first


def u64(data: bytes, offset: i64) -> int:
    """The unsigned 64-bit big-endian integer at ``offset``, which a machine word may not hold."""
    high: int = u32(data, offset)
    low: int = u32(data, offset + 4)
    return high << 32 | low


def u64le(data: bytes, offset: i64) -> int:
    """The unsigned 64-bit little-endian integer at ``offset``."""
    high: int = u32le(data, offset + 4)
    low: int = u32le(data, offset)
    return high << 32 | low


def microseconds(seconds: i64, fraction: i64) -> i64:
    """``seconds`` since the epoch (up to 32 bits) and ``fraction`` (microseconds) as one time."""
    return seconds * 1_000_000 + fraction


def mac_text(data: bytes, offset: i64) -> str:
    """Six octets at ``offset`` as ``00:11:22:33:44:55``."""
    mac = data[offset : offset + 6]
    text = _MAC_TEXTS.get(mac)
    if text is None:
        text = mac.hex(":")
        if len(_MAC_TEXTS) >= MAX_MAC_TEXTS:
            _MAC_TEXTS.clear()
        _MAC_TEXTS[mac] = text
    return text


def ipv4_text(data: bytes, offset: i64) -> str:
    """Four octets at ``offset`` as a dotted quad."""
    return (
        f"{_DOTTED[data[offset]]}{_DOTTED[data[offset + 1]]}"
        f"{_DOTTED[data[offset + 2]]}{_DECIMAL[data[offset + 3]]}"
    )


def ipv6_text(data: bytes, offset: i64) -> str:
    """Sixteen octets at ``offset`` in the canonical form of RFC 5952.

    IPv4-mapped (``::ffff:0:0/96``) and IPv4-compatible addresses end in a dotted quad, as
    ``inet_ntop`` prints them.
    """
    best_start: i64 = -1
    best_length: i64 = 1
    index: i64 = 0
    while index < 8:
        start = index
        while index < 8 and u16(data, offset + 2 * index) == 0:
            index += 1
        if index - start > best_length:
            best_start = start
            best_length = index - start
        index += 1
    if best_start < 0:
        return _groups_text(data, offset, offset + 16)
    if best_start == 0:
        if best_length == 5 and u16(data, offset + 10) == 0xFFFF:
            return "::ffff:" + ipv4_text(data, offset + 12)
        if best_length == 6 or (best_length == 7 and u16(data, offset + 14) != 1):
            return "::" + ipv4_text(data, offset + 12)
    before = _groups_text(data, offset, offset + 2 * best_start)
    behind = _groups_text(data, offset + 2 * (best_start + best_length), offset + 16)
    return f"{before}::{behind}"


def _groups_text(data: bytes, offset: i64, end: i64) -> str:
    """Groups of 16 bits as hexadecimal numbers with colons between them."""
    groups: list[str] = []
    while offset < end:
        high = data[offset]
        low = data[offset + 1]
        groups.append(_HEX[low] if high == 0 else _HEX[high] + _PADDED_HEX[low])
        offset += 2
    return ":".join(groups)


def address_text(address: bytes) -> str:
    """An IPv4 (4 octets) or IPv6 (16 octets) address as text."""
    if len(address) == 4:
        return ipv4_text(address, 0)
    return ipv6_text(address, 0)
