"""Big- and little-endian integers at an offset, and addresses as text.

Callers check that the octets are there; these functions index and shift, which mypyc turns into
plain loads (``struct`` and ``int.from_bytes`` cost five times as much compiled).
"""

from __future__ import annotations

from typing import Final

_HEX: Final = [f"{value:02x}" for value in range(256)]
_DECIMAL: Final = [str(value) for value in range(256)]


def u16(data: bytes, offset: int) -> int:
    """The unsigned 16-bit big-endian integer at ``offset``."""
    return data[offset] << 8 | data[offset + 1]


def u24(data: bytes, offset: int) -> int:
    """The unsigned 24-bit big-endian integer at ``offset``."""
    return data[offset] << 16 | data[offset + 1] << 8 | data[offset + 2]


def u32(data: bytes, offset: int) -> int:
    """The unsigned 32-bit big-endian integer at ``offset``."""
    return data[offset] << 24 | data[offset + 1] << 16 | data[offset + 2] << 8 | data[offset + 3]


def u16le(data: bytes, offset: int) -> int:
    """The unsigned 16-bit little-endian integer at ``offset``."""
    return data[offset + 1] << 8 | data[offset]


def u32le(data: bytes, offset: int) -> int:
    """The unsigned 32-bit little-endian integer at ``offset``."""
    return data[offset + 3] << 24 | data[offset + 2] << 16 | data[offset + 1] << 8 | data[offset]


def microseconds(seconds: int, fraction: int) -> int:
    """``seconds`` since the epoch (up to 32 bits) and ``fraction`` (microseconds) as one time.

    In two halves: mypyc multiplies by big integers where a factor has more than 30 bits.
    """
    return ((seconds >> 16) * 1_000_000 << 16) + (seconds & 0xFFFF) * 1_000_000 + fraction


def mac_text(data: bytes, offset: int) -> str:
    """Six octets at ``offset`` as ``00:11:22:33:44:55``."""
    return (
        f"{_HEX[data[offset]]}:{_HEX[data[offset + 1]]}:{_HEX[data[offset + 2]]}"
        f":{_HEX[data[offset + 3]]}:{_HEX[data[offset + 4]]}:{_HEX[data[offset + 5]]}"
    )


def ipv4_text(data: bytes, offset: int) -> str:
    """Four octets at ``offset`` as a dotted quad."""
    return (
        f"{_DECIMAL[data[offset]]}.{_DECIMAL[data[offset + 1]]}"
        f".{_DECIMAL[data[offset + 2]]}.{_DECIMAL[data[offset + 3]]}"
    )


def ipv6_text(data: bytes, offset: int) -> str:
    """Sixteen octets at ``offset`` in the canonical form of RFC 5952.

    IPv4-mapped (``::ffff:0:0/96``) and IPv4-compatible addresses end in a dotted quad, as
    ``inet_ntop`` prints them.
    """
    groups: list[int] = []
    for index in range(8):
        groups.append(data[offset + 2 * index] << 8 | data[offset + 2 * index + 1])
    best_start = -1
    best_length = 1
    index = 0
    while index < 8:
        if groups[index] != 0:
            index += 1
            continue
        start = index
        while index < 8 and groups[index] == 0:
            index += 1
        if index - start > best_length:
            best_start = start
            best_length = index - start
    if best_start == 0 and (
        best_length == 6
        or (best_length == 7 and groups[7] != 1)
        or (best_length == 5 and groups[5] == 0xFFFF)
    ):
        prefix = "::" if best_length != 5 else "::ffff:"
        return prefix + ipv4_text(data, offset + 12)
    text = ""
    index = 0
    while index < 8:
        if index == best_start:
            text += "::"
            index += best_length
            continue
        if text != "" and not text.endswith(":"):
            text += ":"
        text += f"{groups[index]:x}"
        index += 1
    return text


def address_text(address: bytes) -> str:
    """An IPv4 (4 octets) or IPv6 (16 octets) address as text."""
    if len(address) == 4:
        return ipv4_text(address, 0)
    return ipv6_text(address, 0)
