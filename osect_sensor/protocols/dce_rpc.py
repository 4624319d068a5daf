"""DCE RPC, connection-oriented (C706 chapter 12, MS-RPCE), for service detection.

It runs over TCP and in SMB's named pipes. Every PDU that parses confirms; what its authentication
trailer carries is handed on first, so ``gssapi`` or ``ntlm`` may precede ``dce_rpc``.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.embedded import feed_embedded
from osect_sensor.protocols.fields import FieldReader, MessageBuffer
from osect_sensor.protocols.gssapi import GssapiAnalyzer
from osect_sensor.protocols.ntlm import NtlmAnalyzer

_HEADER: Final = 16
"""Octets of the common header."""
_AUTH_HEADER: Final = 8
"""Octets of the authentication trailer before the token."""

# PDU types (C706 section 12.6.1).
_REQUEST: Final = 0
_RESPONSE: Final = 2
_BIND: Final = 11
_BIND_ACK: Final = 12
_ALTER_CONTEXT: Final = 14
_ALTER_CONTEXT_RESPONSE: Final = 15

_FIRST_FRAGMENT: Final = 0x01
_LAST_FRAGMENT: Final = 0x02
_OBJECT: Final = 0x80

# Authentication types (MS-RPCE 2.2.1.1.7).
_AUTH_SPNEGO: Final = 0x09
_AUTH_NTLM: Final = 0x0A

MAX_REASSEMBLIES: Final = 20
"""Calls whose fragments are put together at once, a direction (Zeek's ``max_cmd_reassembly``)."""
MAX_FRAGMENT_DATA: Final = 30_000
"""Octets put together for one call (Zeek's ``max_frag_data``)."""


@final
class _Side:
    """One direction: its stream and the calls whose fragments are being put together."""

    __slots__ = ("buffer", "calls")

    def __init__(self) -> None:
        self.buffer: Final = MessageBuffer()
        self.calls: Final[dict[int, bytes]] = {}


@final
class DceRpcAnalyzer(Analyzer):
    """DCE RPC on one connection or in one pipe, service ``dce_rpc``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "dce_rpc")
        self._orig: Final = _Side()
        self._resp: Final = _Side()
        self._gssapi: GssapiAnalyzer | None = None
        self._ntlm: NtlmAnalyzer | None = None
        self._had_gap: bool = False

    def gap(self, from_orig: bool, length: int) -> None:
        """Stop: PDU boundaries are lost."""
        self._had_gap = True

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction and judge the PDUs they complete."""
        if self._had_gap:
            return
        side = self._orig if from_orig else self._resp
        data = side.buffer.gather(data)
        position = 0
        while len(data) - position >= _HEADER:
            header = FieldReader(data, position + 8, position + _HEADER)
            little = data[position + 4] >> 4 != 0
            length = _u16(header, little)
            if data[position] != 5:
                side.buffer.clear()
                self.violation()
                return
            end = position + max(length, _HEADER)
            if end > len(data):
                side.buffer.keep(data, position, length)
                return
            if not self._pdu(side, FieldReader(data, position, end), little, length):
                side.buffer.clear()
                self.violation()
                return
            self.confirm()
            position = end
        side.buffer.keep(data, position, _HEADER)

    def _pdu(self, side: _Side, reader: FieldReader, little: bool, length: int) -> bool:
        """Judge one PDU."""
        reader.skip(2)
        kind = reader.u8()
        flags = reader.u8()
        reader.skip(6)
        auth_length = _u16(reader, little)
        call = _u32(reader, little)
        trailer = auth_length + _AUTH_HEADER if auth_length > 0 else 0
        fragment = reader.take(length - _HEADER - trailer)
        if auth_length > 0:
            auth_type = reader.u8()
            reader.skip(_AUTH_HEADER - 1)
            token = reader.take(auth_length)
            if not reader.failed:
                self._authenticate(auth_type, token)
        if reader.failed:
            return False
        if flags & (_FIRST_FRAGMENT | _LAST_FRAGMENT) == _FIRST_FRAGMENT | _LAST_FRAGMENT:
            if call in side.calls:
                self.alive = False
                return True
            body = fragment
        elif self._reassemble(side, call, flags, fragment):
            body = side.calls.pop(call)
        else:
            return True
        content = FieldReader(body, 0, len(body))
        _body(content, kind, flags & _OBJECT != 0, little)
        return not content.failed

    def _authenticate(self, auth_type: int, token: bytes) -> None:
        """Hand an authentication token on. Zeek calls every token the originator's."""
        if auth_type == _AUTH_SPNEGO:
            gssapi = self._gssapi
            if gssapi is None:
                gssapi = GssapiAnalyzer(self.connection)
                self._gssapi = gssapi
            feed_embedded(gssapi, True, token)
        elif auth_type == _AUTH_NTLM:
            ntlm = self._ntlm
            if ntlm is None:
                ntlm = NtlmAnalyzer(self.connection)
                self._ntlm = ntlm
            feed_embedded(ntlm, True, token)

    def _reassemble(self, side: _Side, call: int, flags: int, fragment: bytes) -> bool:
        """Add a fragment to its call; whether the call is complete with it.

        Past the limits the analyzer rests without disowning the connection, as Zeek's does.
        """
        before = side.calls.get(call)
        if flags & _FIRST_FRAGMENT != 0:
            if before is not None:
                self.alive = False
                return False
            before = b""
            if len(side.calls) >= MAX_REASSEMBLIES:
                self.connection.context.counters.count("dce_rpc_reassemblies_dropped")
                self.alive = False
                return False
        elif before is None:
            return False
        if len(before) + len(fragment) > MAX_FRAGMENT_DATA:
            self.connection.context.counters.count("dce_rpc_fragments_dropped")
            self.alive = False
            side.calls.pop(call, None)
            return False
        side.calls[call] = before + fragment
        return flags & _LAST_FRAGMENT != 0


def _u16(reader: FieldReader, little: bool) -> int:
    return reader.u16le() if little else reader.u16()


def _u32(reader: FieldReader, little: bool) -> int:
    return reader.u32le() if little else reader.u32()


def _body(reader: FieldReader, kind: int, has_object: bool, little: bool) -> None:
    """Judge the body of a call, put together from its fragments."""
    if kind == _REQUEST:
        reader.skip(24 if has_object else 8)
    elif kind == _RESPONSE:
        reader.skip(8)
    elif kind in (_BIND, _ALTER_CONTEXT):
        reader.skip(8)
        contexts = reader.u8()
        reader.skip(3)
        for _ in range(contexts):
            reader.skip(2)
            syntaxes = reader.u8()
            reader.skip(21)
            reader.skip(20 * syntaxes)
    elif kind in (_BIND_ACK, _ALTER_CONTEXT_RESPONSE):
        reader.skip(8)
        reader.skip(_u16(reader, little))
        reader.align(4)
        contexts = reader.u8()
        reader.skip(3)
        reader.skip(24 * contexts)
