"""SMB over TCP, direct (445) or in NetBIOS sessions (139), for service detection.

Zeek takes a connection for SMB once three deliveries of octets have parsed, waits for a message
that begins a delivery after anything odd, and disowns the connection on a malformed message.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader, MessageBuffer
from osect_sensor.protocols.smb1 import parse_smb1
from osect_sensor.protocols.smb2 import parse_smb2, parse_transform_header
from osect_sensor.protocols.smb_session import SmbSession
from osect_sensor.wire.octets import u24, u32

_SMB1: Final = 0xFF534D42
_SMB2: Final = 0xFE534D42
_ENCRYPTED: Final = 0xFD534D42

_SESSION_MESSAGE: Final = 0
"""NetBIOS session service packet type (RFC 1002 section 4.3.1) of a message."""

_DELIVERIES: Final = 3
"""Deliveries that must have parsed before the connection is SMB."""


@final
class SmbAnalyzer(Analyzer):
    """SMB of any version on one connection, service ``smb``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "smb")
        self._orig: Final = MessageBuffer()
        self._resp: Final = MessageBuffer()
        self._session: Final = SmbSession(connection)
        self._need_sync: bool = True
        self._deliveries: int = 0

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction and parse the messages they complete."""
        if self._need_sync:
            if len(data) < 8 or not _is_smb(u32(data, 4)):
                return
            self._need_sync = False
        if not self._parse(from_orig, data):
            self._resynchronize()
            self.violation()
            return
        self._deliveries += 1
        if self._deliveries == _DELIVERIES:
            self.confirm()

    def gap(self, from_orig: bool, length: int) -> None:
        """Begin anew with the next message that begins a delivery."""
        self._resynchronize()

    def finish(self) -> None:
        """Drop what is held."""
        self._orig.clear()
        self._resp.clear()
        self._session.finish()

    def _resynchronize(self) -> None:
        self._orig.clear()
        self._resp.clear()
        self._need_sync = True

    def _parse(self, from_orig: bool, data: bytes) -> bool:
        """Parse the messages that ``data`` completes; false when one is malformed."""
        buffer = self._orig if from_orig else self._resp
        data = buffer.gather(data)
        position = 0
        while len(data) - position >= 4:
            length = u24(data, position + 1)
            end = position + 4 + length
            if end > len(data):
                buffer.keep(data, position, 4 + length)
                return True
            if data[position] == _SESSION_MESSAGE:
                reader = FieldReader(data, position + 4, end)
                self._messages(reader, length, from_orig)
                if reader.failed:
                    return False
            position = end
        buffer.keep(data, position, 4)
        return True

    def _messages(self, reader: FieldReader, length: int, from_orig: bool) -> None:
        """Parse the message in a packet, and those compounded with it."""
        follows = True
        while follows and reader.remaining() > 0:
            protocol = reader.u32()
            follows = False
            if protocol == _SMB1:
                parse_smb1(self._session, reader, length, from_orig)
            elif protocol == _SMB2:
                follows = parse_smb2(self._session, reader, from_orig)
            elif protocol == _ENCRYPTED:
                parse_transform_header(reader)


def _is_smb(protocol: int) -> bool:
    """Whether a message of this protocol may open a conversation."""
    return protocol in (_SMB1, _SMB2)
