"""DHCP for IPv4 (RFC 2131, options of RFC 2132): what clients ask for."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import DhcpRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols.cleaning import with_valid_utf8, without_control_characters
from osect_sensor.wire.octets import u32
from osect_sensor.wire.packet import Packet

PORT: Final = 67
"""UDP port of servers and relays."""

_BOOTREQUEST: Final = 1
_CLIENT_ADDRESS: Final = 28
_CLIENT_ADDRESS_LENGTH: Final = 16
_MAGIC_OFFSET: Final = 236
_MAGIC: Final = 0x63825363

_PAD: Final = 0
_END: Final = 255
_HOST_NAME: Final = 12
_PARAMETER_REQUEST_LIST: Final = 55
_CLASS_IDENTIFIER: Final = 60


def dhcp_datagram(packet: Packet, start: int, end: int, sink: RowSink) -> None:
    """Emit the row of the DHCP request ``packet.data[start:end]``.

    Replies that pass from server to relay make no row, nor does what is malformed. Of an option
    that comes twice the last one counts.
    """
    data = packet.data
    if end - start < _MAGIC_OFFSET + 4 or data[start] != _BOOTREQUEST:
        return
    address_length = data[start + 2]
    if address_length > _CLIENT_ADDRESS_LENGTH or u32(data, start + _MAGIC_OFFSET) != _MAGIC:
        return
    row = DhcpRow()
    offset = start + _MAGIC_OFFSET + 4
    while offset < end:
        code = data[offset]
        offset += 1
        if code == _PAD:
            continue
        if code == _END:
            break
        if offset == end or offset + 1 + data[offset] > end:
            return
        following = offset + 1 + data[offset]
        value = data[offset + 1 : following]
        if code == _HOST_NAME:
            row.hostname = without_control_characters(with_valid_utf8(value))
        elif code == _PARAMETER_REQUEST_LIST:
            row.parameter_list = list(value)
        elif code == _CLASS_IDENTIFIER:
            row.class_id = with_valid_utf8(value)
        offset = following
    row.ts = packet.timestamp
    row.src_ip = packet.source_text()
    octets: list[str] = []
    for index in range(address_length):
        octets.append(f"{data[start + _CLIENT_ADDRESS + index]:02x}")
    row.src_mac = ":".join(octets)
    sink.dhcp(row)
