"""NetBIOS name service (RFC 1002 section 4.2): registrations of unique names."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import NetbiosRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols.fields import FieldReader
from osect_sensor.wire.packet import Packet

PORT: Final = 137

_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800
_REGISTRATION: Final = 5 << 11
_GROUP: Final = 0x8000

_ENCODED_LENGTH: Final = 32
"""Octets of a first-level encoded name (RFC 1001 section 14.1): two for each of the name's."""

_LOGGED_LENGTH: Final = 14
"""Octets of a name that are logged. The name has fifteen, before its type octet; the field's
parser loses the last one, and the field's records know such stations by the shorter name."""

_SERVICE_TYPES: Final[dict[int, str]] = {
    0x00: "Workstation",
    0x01: "Master Browser",
    0x03: "Messenger",
    0x06: "RAS Server",
    0x1B: "Domain Master Browser",
    0x1C: "Domain Controllers",
    0x1D: "Master Browser",
    0x1E: "Browser Service Elections",
    0x1F: "NetDDE",
    0x20: "Server",
    0x21: "RAS Client",
    0xBE: "Network Monitor Agent",
    0xBF: "Network Monitor Application",
}


def netbios_name_datagram(packet: Packet, start: int, end: int, sink: RowSink) -> None:
    """Emit the row of the registration request ``packet.data[start:end]``."""
    reader = FieldReader(packet.data, start, end)
    reader.skip(2)
    flags = reader.u16()
    if flags & (_RESPONSE | _OPCODE) != _REGISTRATION:
        return
    questions = reader.u16()
    reader.skip(4)
    additional = reader.u16()
    if reader.failed or questions == 0 or additional == 0:
        return
    encoded = _read_name(reader)
    reader.skip(4)
    _read_name(reader)
    reader.skip(4)
    ttl = reader.u32()
    reader.skip(2)
    name_flags = reader.u16()
    if reader.failed or len(encoded) != _ENCODED_LENGTH or name_flags & _GROUP != 0:
        return
    name: list[int] = []
    for index in range(0, _ENCODED_LENGTH, 2):
        high = encoded[index] - 0x41
        low = encoded[index + 1] - 0x41
        name.append((high << 4 | low & 0x0F) & 0xFF)
    row = NetbiosRow()
    row.ts = packet.timestamp
    row.src_ip = packet.source_text()
    row.src_mac = packet.source_mac_text()
    row.name = bytes(name[:_LOGGED_LENGTH]).replace(b" ", b"")
    row.ttl = ttl
    row.service_type = _SERVICE_TYPES.get(name[15], "Unknown")
    sink.netbios(row)


def _read_name(reader: FieldReader) -> bytes:
    """Step over a name; its first label, empty where the name is a pointer or the root."""
    first = b""
    labels = 0
    while not reader.failed:
        length = reader.u8()
        if length & 0xC0 != 0:
            reader.skip(1)
            break
        if length == 0:
            break
        label = reader.take(length)
        if labels == 0:
            first = label
        labels += 1
    return first
