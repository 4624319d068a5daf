"""RFB, the protocol of VNC (RFC 6143), up to the end of its handshake and the client's messages."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.wire.octets import u16, u32

MAX_TEXT: Final = 65536
"""Octets of a reason, a desktop name or a clipboard text."""

_VERSION: Final = 0
_WAIT: Final = 1
_INIT: Final = 2
# Server
_SECURITY_TYPE: Final = 3
_SECURITY_TYPES: Final = 4
_FAILURE: Final = 5
_VNC_CHALLENGE: Final = 6
_ARD_CHALLENGE: Final = 7
_RESULT: Final = 8
# Client
_SELECTION: Final = 9
_VNC_RESPONSE: Final = 10
_ARD_RESPONSE: Final = 11
_MESSAGES: Final = 12

_BAD: Final = -1
_MORE: Final = 0


@final
class RfbAnalyzer(Analyzer):
    """RFB: confirmed by the client's version."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "rfb")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._client: int = _VERSION
        self._server: int = _VERSION
        self._version: int = 0
        self._key_length: int = 0
        self._initialized: bool = False
        """Whether the server has described its screen: pixels follow, which are not parsed."""

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction."""
        if self.connection.partial or (self._initialized and not from_orig):
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while offset < len(pending) and self.alive:
            if from_orig:
                size = self._from_client(pending, offset)
            else:
                if self._initialized:
                    offset = len(pending)
                    break
                size = self._from_server(pending, offset)
            if size == _BAD:
                self.violation()
                self.alive = False
                return
            if size == _MORE or offset + size > len(pending):
                break
            offset += size
        if from_orig:
            self._orig = pending[offset:]
        else:
            self._resp = pending[offset:]

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: messages cannot be found again behind a gap."""
        self.alive = False

    def flip(self) -> None:
        """Give up: the two sides were mistaken for each other."""
        self.alive = False

    def _version_number(self, data: bytes, offset: int) -> int:
        """The minor version of a ProtocolVersion message, ``_BAD``, or -2 for want of octets."""
        if len(data) - offset < 12:
            return -2
        if not data.startswith(b"RFB ", offset) or data[offset + 7] != 0x2E:
            return _BAD
        minor = 0
        for index in range(offset + 8, offset + 11):
            if not 0x30 <= data[index] <= 0x39:
                break
            minor = minor * 10 + data[index] - 0x30
        return minor

    def _from_client(self, data: bytes, offset: int) -> int:
        """Take a client's message; its size, ``_MORE`` or ``_BAD``."""
        here = len(data) - offset
        state = self._client
        if state == _VERSION:
            minor = self._version_number(data, offset)
            if minor < 0:
                return _BAD if minor == _BAD else _MORE
            self._version = minor
            if minor >= 7:
                self._server = _SECURITY_TYPES
                self._client = _SELECTION
            else:
                self._server = _SECURITY_TYPE
                self._client = _WAIT
            self.confirm()
            return 12
        if state == _SELECTION:
            return self._select(data[offset])
        if state in (_VNC_RESPONSE, _ARD_RESPONSE):
            size = 16 if state == _VNC_RESPONSE else 2 * self._key_length
            if here < size:
                return _MORE
            self._client = _INIT
            return size if size > 0 else _BAD
        if state == _INIT:
            self._client = _MESSAGES
            return 1
        if state == _MESSAGES:
            return self._client_message(data, offset, here)
        return _BAD

    def _select(self, kind: int) -> int:
        if kind == 1:
            self._server = _RESULT if self._version > 7 else _INIT
            self._client = _INIT
        elif kind == 2:
            self._server = _VNC_CHALLENGE
            self._client = _VNC_RESPONSE
        elif kind == 30:
            # Apple Remote Desktop: the server's challenge tells the length of the response.
            self._server = _ARD_CHALLENGE
            self._client = _WAIT
        else:
            self.violation()
        return 1

    def _client_message(self, data: bytes, offset: int, here: int) -> int:
        kind = data[offset]
        if kind == 0:
            return 20
        if kind == 2:
            return _MORE if here < 4 else 4 + 4 * u16(data, offset + 2)
        if kind == 3:
            return 10
        if kind == 4:
            return 8
        if kind == 5:
            return 6
        if kind == 6:
            if here < 8:
                return _MORE
            length = u32(data, offset + 4)
            return _BAD if length >= MAX_TEXT else 8 + length
        return _BAD

    def _from_server(self, data: bytes, offset: int) -> int:
        """Take a server's message of the handshake; its size, ``_MORE`` or ``_BAD``."""
        here = len(data) - offset
        state = self._server
        if state == _VERSION:
            minor = self._version_number(data, offset)
            if minor < 0:
                return _BAD if minor == _BAD else _MORE
            self._server = _WAIT
            return 12
        if state == _SECURITY_TYPE:
            return self._security_type(data, offset) if here >= 4 else _MORE
        if state == _SECURITY_TYPES:
            count = data[offset]
            if here < 1 + count:
                return _MORE
            self._server = _FAILURE if count == 0 else _WAIT
            return 1 + count
        if state == _FAILURE:
            if here < 4:
                return _MORE
            length = u32(data, offset)
            if length >= MAX_TEXT:
                return _BAD
            if here >= 4 + length:
                self._server = _INIT
            return 4 + length
        if state == _VNC_CHALLENGE:
            if here >= 16:
                self._server = _RESULT
                self._client = _VNC_RESPONSE
            return 16
        if state == _ARD_CHALLENGE:
            if here < 4:
                return _MORE
            length = u16(data, offset + 2)
            if here >= 4 + 2 * length:
                self._key_length = length
                self._server = _RESULT
                self._client = _ARD_RESPONSE
            return 4 + 2 * length
        if state == _RESULT:
            if here < 4:
                return _MORE
            result = u32(data, offset)
            if result > 1:
                self.violation()
            else:
                self._server = _INIT if result == 0 else _FAILURE
            return 4
        if state == _INIT:
            if here < 24:
                return _MORE
            length = u32(data, offset + 20)
            if length >= MAX_TEXT:
                return _BAD
            if here >= 24 + length:
                self._initialized = True
            return 24 + length
        return _BAD

    def _security_type(self, data: bytes, offset: int) -> int:
        kind = u32(data, offset)
        if kind == 0:
            self._server = _FAILURE
            self._client = _INIT
        elif kind == 1:
            self._server = _INIT
            self._client = _INIT
        elif kind == 2:
            self._server = _VNC_CHALLENGE
            self._client = _VNC_RESPONSE
        else:
            self.violation()
        return 4
