"""RDP ([MS-RDPBCGR]): TPKT, X.224 and the T.125 connection sequence, up to encryption."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    VIOLATIONS_COUNT_UP_TO,
    Analyzer,
    Connection,
    deliver_end_of_stream,
    deliver_stream,
    finish_all,
)
from osect_sensor.wire.octets import u16, u16le, u32le

MAX_CERTIFICATES: Final = 1000
MAX_CHANNELS: Final = 1000

_CONNECTION_CONFIRM: Final = 0xD0
_CONNECTION_REQUEST: Final = 0xE0
_DATA: Final = 0xF0

_CLIENT_CORE_LENGTH: Final = 206
"""Octets of the client's core data, with the optional fields up to its product id."""

_BAD: Final = -1


def _skip_asn1(data: bytes, offset: int, end: int) -> int:
    """Behind the ASN.1 element at ``offset`` (BER, X.690 section 8.1), or ``_BAD``."""
    if offset == _BAD or offset + 2 > end:
        return _BAD
    length = data[offset + 1]
    offset += 2
    if length & 0x80 != 0:
        count = length & 0x7F
        if offset + count > end:
            return _BAD
        length = 0
        if count <= 8:
            for index in range(offset, offset + count):
                length = length << 8 | data[index]
        offset += count
    offset += length
    return offset if offset <= end else _BAD


@final
class RdpAnalyzer(Analyzer):
    """RDP: confirmed by the core or security data of the connection sequence.

    Where the server chooses TLS before that, the connection is only known to be TLS.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "rdp")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._encrypted: bool = False
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction, or of the TLS stream inside."""
        if self.connection.partial:
            return
        if self._encrypted:
            if not self._secured or len(self._inner) == 0:
                self.alive = False
                return
            deliver_stream(self._inner, from_orig, data)
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while self.alive and len(pending) - offset >= 4:
            length = max(u16(pending, offset + 2), 4)
            if offset + length > len(pending):
                break
            if not self._packet(pending, offset + 4, offset + length):
                self.violation()
                offset = len(pending)
                break
            offset += length
        if from_orig:
            self._orig = pending[offset:]
        else:
            self._resp = pending[offset:]

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: packets cannot be found again behind a gap."""
        self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS."""
        deliver_end_of_stream(self._inner, from_orig)

    def flip(self) -> None:
        """Exchange the directions."""
        pending = self._orig
        self._orig = self._resp
        self._resp = pending
        for analyzer in self._inner:
            analyzer.flip()

    def finish(self) -> None:
        """Finish the TLS stream."""
        finish_all(self._inner)

    def _packet(self, data: bytes, start: int, end: int) -> bool:
        """Take one X.224 TPDU; whether it is well formed."""
        if end - start < 2:
            return False
        kind = data[start + 1]
        if kind == _CONNECTION_REQUEST:
            return self._connection_request(data, start, end)
        if kind == _CONNECTION_CONFIRM:
            return self._connection_confirm(data, start, end)
        if kind == _DATA:
            if end - start < 5:
                return False
            if data[start + 4] == 0x65:
                return self._client_data(data, start + 5, end)
            if data[start + 4] == 0x66:
                return self._server_data(data, start + 5, end)
        return True

    def _connection_request(self, data: bytes, start: int, end: int) -> bool:
        offset = start + 7
        if offset > end:
            return False
        if data.startswith(b"Cookie: mstshash=", offset, end):
            line_end = data.find(b"\r", offset, end)
            if line_end < 0 or not data.startswith(b"\r\n", line_end, end):
                return False
            offset = line_end + 2
        if offset == start + 1 + data[start]:
            return True
        return offset + 8 <= end and u16le(data, offset + 2) == 8

    def _connection_confirm(self, data: bytes, start: int, end: int) -> bool:
        offset = start + 7
        if offset > end:
            return False
        if offset == start + 1 + data[start]:
            return True
        if offset + 8 > end:
            return False
        if data[offset] == 3:
            return True
        if data[offset] != 2 or u16le(data, offset + 2) != 8:
            return False
        if u32le(data, offset + 4) > 0:
            self._encrypted = True
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
        return True

    def _client_data(self, data: bytes, offset: int, end: int) -> bool:
        """Take a Connect-Initial with the client's data blocks."""
        for _ in range(7):
            offset = _skip_asn1(data, offset, end)
        if offset == _BAD or offset + 4 + 2 > end:
            return False
        offset += 4
        offset += 2 + u16(data, offset) + 2
        if offset + 14 > end or not data.startswith(b"Duca", offset + 8):
            return False
        return self._blocks(data, offset + 14, end)

    def _server_data(self, data: bytes, offset: int, end: int) -> bool:
        """Take a Connect-Response with the server's data blocks."""
        offset += 3
        for _ in range(3):
            offset = _skip_asn1(data, offset, end)
        if offset == _BAD or offset + 4 + 2 > end:
            return False
        offset += 4
        offset += 2 + u16(data, offset) + 1
        if offset + 15 > end or not data.startswith(b"McDn", offset + 9):
            return False
        self.confirm()
        return self._blocks(data, offset + 15, end)

    def _blocks(self, data: bytes, offset: int, end: int) -> bool:
        while offset < end:
            if offset + 4 > end:
                return False
            length = u16le(data, offset + 2)
            last = offset + length
            if length < 4 or last > end:
                return False
            if not self._block(u16le(data, offset), data, offset + 4, last):
                return False
            offset = last
        return True

    def _block(self, kind: int, data: bytes, start: int, end: int) -> bool:
        length = end - start
        if kind == 0xC001:
            if length < _CLIENT_CORE_LENGTH:
                return False
            self.confirm()
            return True
        if kind == 0xC002 or kind == 0xC004:
            return length >= 8
        if kind == 0xC003:
            if length < 4:
                return False
            count = u32le(data, start)
            return count <= MAX_CHANNELS and length >= 4 + 12 * count
        if kind == 0x0C01:
            return length >= 8 or length == 4
        if kind == 0x0C03:
            return length >= 4
        if kind == 0x0C02:
            return self._server_security(data, start, end)
        return True

    def _server_security(self, data: bytes, start: int, end: int) -> bool:
        if end - start < 16:
            return False
        method = u32le(data, start)
        level = u32le(data, start + 4)
        random_length = u32le(data, start + 8)
        if random_length != 0x20 and not (level == 0 and method == 0 and random_length == 0):
            return False
        certificate = start + 16 + random_length
        last = certificate + u32le(data, start + 12)
        if last > end or certificate + 4 > last:
            return False
        kind = u32le(data, certificate) & 0x7FFFFFFF
        if kind == 2:
            if not self._certificates(data, certificate + 4, last):
                return False
        elif kind != 1 or not self._proprietary(data, certificate + 4, last):
            return False
        self.confirm()
        if method > 0 and level > 0:
            self._encrypted = True
        return True

    def _certificates(self, data: bytes, offset: int, end: int) -> bool:
        if offset + 4 > end:
            return False
        count = u32le(data, offset)
        if count > MAX_CERTIFICATES:
            return False
        offset += 4
        for _ in range(count):
            if offset + 4 > end:
                return False
            offset += 4 + u32le(data, offset)
        return offset <= end

    def _proprietary(self, data: bytes, offset: int, end: int) -> bool:
        if offset + 12 > end:
            return False
        blob = u16le(data, offset + 10)
        if blob < 16 or offset + 12 + blob + 4 > end:
            return False
        if 16 + u32le(data, offset + 16) > blob:
            return False
        offset += 12 + blob
        return offset + 4 + u16le(data, offset + 2) <= end
