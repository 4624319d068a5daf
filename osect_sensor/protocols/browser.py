"""CIFS browser announcements ([MS-BRWS] sections 2.2.1 and 2.2.6).

They travel in mailslot writes: NetBIOS datagram (RFC 1002 section 4.4), SMB_COM_TRANSACTION
([MS-CIFS] section 2.2.4.33), mailslot ``\\MAILSLOT\\BROWSE``.
"""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import BrowserRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols.cleaning import without_control_characters
from osect_sensor.protocols.fields import FieldReader
from osect_sensor.wire.octets import u32
from osect_sensor.wire.packet import Packet

PORT: Final = 138

_DIRECT_UNIQUE: Final = 0x10
_BROADCAST: Final = 0x12
_FIRST_FRAGMENT: Final = 0x02

_SMB: Final = 0xFF534D42
_SMB_HEADER: Final = 32
_TRANSACTION: Final = 0x25
_MAILSLOT: Final = b"\\MAILSLOT\\BROWSE\0"

_HOST_ANNOUNCEMENT: Final = 0x01
_LOCAL_MASTER_ANNOUNCEMENT: Final = 0x0F
_NAME_LENGTH: Final = 16


def browser_datagram(packet: Packet, start: int, end: int, sink: RowSink) -> None:
    """Emit the row of the announcement in the NetBIOS datagram ``packet.data[start:end]``."""
    reader = FieldReader(packet.data, start, end)
    kind = reader.u8()
    flags = reader.u8()
    if kind < _DIRECT_UNIQUE or kind > _BROADCAST or flags & _FIRST_FRAGMENT == 0:
        return
    reader.skip(12)
    _skip_name(reader)
    _skip_name(reader)
    if reader.remaining() < _SMB_HEADER or u32(packet.data, reader.position) != _SMB:
        return
    message = _mailslot_message(reader)
    opcode = message.u8()
    if opcode != _HOST_ANNOUNCEMENT and opcode != _LOCAL_MASTER_ANNOUNCEMENT:
        return
    message.skip(5)
    name = message.take(_NAME_LENGTH)
    os_major = message.u8()
    os_minor = message.u8()
    server_type = message.u32le()
    browser_major = message.u8()
    browser_minor = message.u8()
    signature = message.u16le()
    if message.failed:
        return
    row = BrowserRow()
    row.ts = packet.timestamp
    row.src_ip = packet.source_text()
    row.src_mac = packet.source_mac_text()
    # Senders leave what they had in memory behind the NUL that ends the name; it is logged too.
    row.server_name = without_control_characters(name)
    row.os_version = f"{os_major}.{os_minor}"
    row.server_type = f"0x{server_type:x}"
    row.browser_version = f"{browser_major}.{browser_minor}"
    row.signature = f"0x{signature:04x}"
    row.host_comment = without_control_characters(message.rest())
    sink.browser(row)


def _skip_name(reader: FieldReader) -> None:
    """Step over an encoded NetBIOS name with its scope."""
    while not reader.failed:
        length = reader.u8()
        if length == 0:
            return
        if length & 0xC0 != 0:
            reader.failed = True
        reader.skip(length)


def _mailslot_message(reader: FieldReader) -> FieldReader:
    """The data that the SMB at the reader's position writes to the browser's mailslot.

    The answer has ``failed`` set when the SMB is anything else.
    """
    smb = FieldReader(reader.data, reader.position, reader.end)
    smb.skip(4)
    command = smb.u8()
    smb.pad_to(_SMB_HEADER)
    words = smb.u8()
    parameters = smb.part(words * 2)
    smb.skip(2)
    mailslot = smb.take(len(_MAILSLOT))
    parameters.skip(22)
    length = parameters.u16le()
    offset = parameters.u16le()
    if parameters.failed or command != _TRANSACTION or mailslot.upper() != _MAILSLOT:
        smb.failed = True
    # What follows the name is padding; the data may not begin inside the name.
    if offset < smb.offset():
        smb.failed = True
    smb.pad_to(offset)
    return smb.part(length)
