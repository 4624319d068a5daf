"""DHCPv6 (RFC 8415): what clients ask for."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import UNSET, Dhcpv6Row
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols.cleaning import without_control_characters
from osect_sensor.wire.octets import u16, u32
from osect_sensor.wire.packet import Packet

PORT: Final = 547
"""UDP port of servers and relays."""

_RELAY_FORWARD: Final = 12
_SERVER_MESSAGES: Final = (2, 7, 10, 13, 15, 16, 17)
"""ADVERTISE, REPLY, RECONFIGURE, RELAY-REPL and the answers to LEASEQUERY (RFC 5007, RFC 5460)."""

_HEADER: Final = 4
_RELAY_HEADER: Final = 34

_OPTION_REQUEST: Final = 6
_VENDOR_CLASS: Final = 16
_CLIENT_FQDN: Final = 39


def dhcpv6_datagram(packet: Packet, start: int, end: int, sink: RowSink) -> None:
    """Emit the row of the DHCPv6 request ``packet.data[start:end]``.

    Of a relayed request the relay's own options are looked at. Malformed messages make no row. Of
    an option that comes twice the last one counts.
    """
    data = packet.data
    if end <= start or data[start] in _SERVER_MESSAGES:
        return
    offset = start + (_RELAY_HEADER if data[start] == _RELAY_FORWARD else _HEADER)
    if offset > end:
        return
    row = Dhcpv6Row()
    while offset < end:
        if offset + 4 > end:
            return
        code = u16(data, offset)
        value = offset + 4
        offset = value + u16(data, offset + 2)
        if offset > end:
            return
        if code == _OPTION_REQUEST:
            if (offset - value) % 2 != 0:
                return
            codes: list[int] = []
            for position in range(value, offset, 2):
                codes.append(u16(data, position))
            row.finger_print = codes if len(codes) > 0 else None
        elif code == _VENDOR_CLASS:
            if offset - value < 6:
                return
            enterprise = u32(data, value)
            row.enterprise_number = enterprise if enterprise != 0 else UNSET
            row.vendor_class = data[value + 6 : offset] if offset - value > 6 else None
        elif code == _CLIENT_FQDN:
            if offset - value < 2:
                return
            row.hostname = _domain_name(data, value + 1, offset)
    row.ts = packet.timestamp
    row.src_ip = packet.source_text()
    row.src_mac = packet.source_mac_text()
    sink.dhcpv6(row)


def _domain_name(data: bytes, offset: int, end: int) -> bytes | None:
    """The labels (RFC 1035 section 3.1) of a name that may lack its end, joined by dots."""
    labels: list[bytes] = []
    while offset < end and data[offset] != 0:
        following = min(offset + 1 + data[offset], end)
        labels.append(data[offset + 1 : following])
        offset = following
    if len(labels) == 0:
        return None
    return without_control_characters(b".".join(labels))
