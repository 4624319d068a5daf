"""Where tunnels put the packet they carry: GRE, Teredo, VXLAN, Geneve, GTP-U, AYIYA.

Each function looks at the octets between ``start`` and ``end`` and answers with the offset of the
inner packet and what it is, or with ``NOT_INSIDE`` (valid, but nothing to follow) or ``MALFORMED``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.wire.octets import u8, u16

if TYPE_CHECKING:
    from mypy_extensions import i64

TEREDO_PREFIX: Final = b"\x20\x01\x00\x00"
"""First octets of every Teredo address (RFC 4380 section 2.6)."""

NOT_INSIDE: Final = -1
MALFORMED: Final = -2

# What a tunnel carries.
INNER_IP: Final = 0
INNER_ETHERNET: Final = 1
INNER_ARP: Final = 2
INNER_IPV4_EXACT: Final = 3
"""IPv4 whose length must be exactly what is left (PPTP)."""
INNER_IPV6_EXACT: Final = 4
INNER_IEEE802_11: Final = 5
"""An 802.11 frame (Aruba's access points)."""

MAX_DEPTH: Final = 4
"""Tunnels inside tunnels that are followed (Zeek's ``Tunnel::max_depth``)."""

PORT_GTP_CONTROL: Final = 2123
PORT_GTP_USER: Final = 2152
PORT_TEREDO: Final = 3544
PORT_GRE_IN_UDP: Final = 4754
PORT_VXLAN: Final = 4789
PORT_AYIYA: Final = 5072
PORT_GENEVE: Final = 6081


def gre(data: bytes, start: i64, end: i64) -> tuple[i64, i64]:
    """GRE (RFC 2784, 2890), PPTP's enhanced GRE (RFC 2637), ERSPAN I to III."""
    available = end - start
    if available < 4:
        return MALFORMED, 0
    flags = u16(data, start)
    protocol = u16(data, start + 2)
    version = flags & 7
    header: i64 = 4
    for bit in (0x8000, 0x2000, 0x1000, 0x0080):
        if flags & bit:
            header += 4
    if version > 1 or flags & 0x4078:
        # Other versions, RFC 1701 routing, undefined flags.
        return MALFORMED, 0
    if version == 1:
        if protocol != 0x880B or available < header + 4:
            return MALFORMED, 0
        carried = u16(data, start + header + 2)
        if carried == 0x0021:
            return start + header + 4, INNER_IPV4_EXACT
        if carried == 0x0057:
            return start + header + 4, INNER_IPV6_EXACT
        return MALFORMED, 0
    inner = start + header
    if protocol == 0x6558:
        if available <= header + 14:
            return MALFORMED, 0
        return inner, INNER_ETHERNET
    if protocol == 0x88BE:
        # Without a sequence number this is type I, which has no header of its own.
        extra: i64 = 8 if flags & 0x1000 else 0
        if available <= header + 14 or available < header + 14 + extra:
            return MALFORMED, 0
        return inner + extra, INNER_ETHERNET
    if protocol == 0x22EB:
        if available <= header + 26:
            return MALFORMED, 0
        extra = 12
        if u8(data, inner + 11) & 1:
            extra = 20
            if available <= header + extra + 14:
                return MALFORMED, 0
        return inner + extra, INNER_ETHERNET
    if (protocol & 0x8200 == 0x8200 and protocol & 0x0F == 0) or protocol == 0x9000:
        if available <= header:
            return MALFORMED, 0
        return inner, INNER_IEEE802_11
    if available < header:
        return MALFORMED, 0
    return inner, INNER_IP


def holds_exactly(data: bytes, start: i64, end: i64, version: i64) -> bool:
    """Whether one IP packet of ``version`` (0: whatever it says) fills ``data[start:end]``."""
    if end - start < 20:
        return False
    found = u8(data, start) >> 4
    if version != 0 and found != version:
        return False
    if found == 4:
        return u16(data, start + 2) == end - start
    return found == 6 and end - start >= 40 and u16(data, start + 4) + 40 == end - start


def teredo(data: bytes, start: i64, end: i64) -> i64:
    """Teredo (RFC 4380 section 5.1.1): the offset of the IPv6 packet."""
    position = start
    found_origin = False
    found_authentication = False
    while end - position >= 2:
        tag = u16(data, position)
        if tag == 0:
            if found_origin or end - position < 8:
                return MALFORMED
            found_origin = True
            position += 8
        elif tag == 1:
            if found_origin or found_authentication or end - position < 4:
                return MALFORMED
            found_authentication = True
            length = 13 + u8(data, position + 2) + u8(data, position + 3)
            if end - position < length:
                return MALFORMED
            position += length
        elif tag >> 12 == 6:
            if end - position < 40:
                return MALFORMED
            # A bubble has no payload, whatever follows it; anything else must fit exactly.
            length = 40 + u16(data, position + 4)
            if end - position < length:
                return MALFORMED
            if end - position > length and (length != 40 or u8(data, position + 6) != 59):
                return MALFORMED
            return position
        else:
            return MALFORMED
    return MALFORMED


def looks_like_teredo(data: bytes, start: i64, end: i64) -> bool:
    """Whether a datagram to any port is Teredo: an IPv6 packet with a Teredo address, or one
    behind an origin indication."""
    length = end - start
    if length < 40:
        return False
    first = u8(data, start)
    if first >> 4 != 6 and (first != 0 or u8(data, start + 1) > 1):
        return False
    # Zeek's pattern spans the IPv6 header with dots, which do not match a line feed.
    if (
        first >> 4 == 6
        and data.find(10, start + 1, start + 40) < 0
        and (
            data.startswith(TEREDO_PREFIX, start + 8) or data.startswith(TEREDO_PREFIX, start + 24)
        )
    ):
        return True
    value = u8(data, start + 1)
    if value == 1:
        skip = 13 + u8(data, start + 2) + u8(data, start + 3)
        if length < skip + 40:
            return False
        start += skip
        length -= skip
        value = u16(data, start)
    return value == 0 and length >= 48 and u8(data, start + 8) >> 4 == 6


def vxlan(data: bytes, start: i64, end: i64) -> i64:
    """VXLAN (RFC 7348 section 5): the offset of the Ethernet frame."""
    if end - start < 8 or u8(data, start) & 0x08 == 0:
        return MALFORMED
    return start + 8


def geneve(data: bytes, start: i64, end: i64) -> tuple[i64, i64]:
    """Geneve (RFC 8926 section 3.4)."""
    if end - start < 8:
        return MALFORMED, 0
    if u8(data, start) >> 6 != 0:
        return NOT_INSIDE, 0
    header = 8 + (u8(data, start) & 0x3F) * 4
    if end - start < header:
        return MALFORMED, 0
    protocol = u16(data, start + 2)
    if protocol == 0x6558:
        return start + header, INNER_ETHERNET
    if protocol in (0x0800, 0x86DD):
        return start + header, INNER_IP
    if protocol == 0x0806:
        return start + header, INNER_ARP
    return start + header, -1


def gtp(data: bytes, start: i64, end: i64) -> i64:
    """GTP version 1 (3GPP TS 29.281 section 5): the offset of the IP packet of a G-PDU."""
    if end - start < 8:
        return MALFORMED
    flags = u8(data, start)
    position = start + 8
    if flags & 0x07:
        if end - position < 4:
            return MALFORMED
        position += 4
    if flags & 0x04:
        while True:
            if end - position < 1:
                return MALFORMED
            length = u8(data, position) * 4
            if length < 2 or end - position < length:
                return MALFORMED
            position += length
            if u8(data, position - 1) == 0:
                break
    if flags >> 5 != 1:
        return MALFORMED
    if flags & 0x10 == 0 or u8(data, start + 1) != 255:
        return NOT_INSIDE
    if end - position < 20 or u8(data, position) >> 4 not in (4, 6):
        return MALFORMED
    return position


def ayiya(data: bytes, start: i64, end: i64) -> tuple[i64, i64]:
    """AYIYA (draft-massar-v6ops-ayiya section 3)."""
    if end - start < 8:
        return MALFORMED, 0
    header = 8 + (1 << (u8(data, start) >> 4)) + (u8(data, start + 1) >> 4) * 4
    if end - start < header:
        return MALFORMED, 0
    if u8(data, start + 2) & 0x0F != 1:
        return NOT_INSIDE, 0
    if u8(data, start + 3) in (4, 41):
        return start + header, INNER_IP
    return start + header, -1
