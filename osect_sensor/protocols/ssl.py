"""TLS over TCP: the record layer (RFC 5246 section 6.2, RFC 8446 section 5) and SSL 2."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.protocols.tls_handshake import (
    SSL_2,
    SSL_3,
    TLS_1_2,
    TLS_1_3,
    UNKNOWN_VERSION,
    TlsHandshake,
    is_known_version,
)
from osect_sensor.wire.octets import u16

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
HEARTBEAT: Final = 24

MAX_ALERTS: Final = 10
"""Alerts looked at in one record (one in TLS 1.3)."""

_V2_CLIENT_HELLO: Final = 1
_V2_CLIENT_MASTER_KEY: Final = 2
_V2_SERVER_HELLO: Final = 4


@final
class SslAnalyzer(Analyzer):
    """SSL and TLS: confirmed by a ClientHello, left alone once both sides encrypt."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "ssl")
        self._handshake: TlsHandshake = TlsHandshake(self)
        self._record_version: int = UNKNOWN_VERSION
        self._orig_encrypts: bool = False
        self._resp_encrypts: bool = False
        self._orig: bytes = b""
        self._resp: bytes = b""

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Cut the stream into records."""
        if self.connection.partial:
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        end = len(pending)
        while end - offset >= 5 and self.alive:
            length = self._record_length(from_orig, pending, offset)
            if length < 0:
                return
            if offset + 5 + length > end:
                break
            self._record(from_orig, pending, offset, offset + 5 + length)
            offset += 5 + length
        if from_orig:
            self._orig = pending[offset:]
        else:
            self._resp = pending[offset:]

    def start_encryption(self) -> None:
        """Learn from the carrier (RDP, …) that both directions are encrypted from here on."""
        self._orig_encrypts = True
        self._resp_encrypts = True

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: records cannot be found again behind a gap."""
        self.alive = False

    def flip(self) -> None:
        """Exchange the directions."""
        pending = self._orig
        self._orig = self._resp
        self._resp = pending
        encrypts = self._orig_encrypts
        self._orig_encrypts = self._resp_encrypts
        self._resp_encrypts = encrypts
        self._handshake.flip()

    def _give_up(self) -> None:
        self.violation()
        self.alive = False

    def _record_length(self, from_orig: bool, data: bytes, offset: int) -> int:
        """The length of the record whose five-octet header is at ``offset``, or -1."""
        version = u16(data, offset + 1)
        if self._record_version == UNKNOWN_VERSION:
            if data[offset] & 0x80 != 0:
                kind = data[offset + 2]
                if kind == _V2_CLIENT_HELLO and from_orig:
                    named = u16(data, offset + 3)
                    if not is_known_version(named) or named == TLS_1_3 or named > TLS_1_3:
                        self._give_up()
                        return -1
                elif kind == _V2_SERVER_HELLO and data[offset + 4] < 2 and not from_orig:
                    self._record_version = SSL_2
                else:
                    self._give_up()
                    return -1
                return self._v2_length(data, offset)
            if not SSL_3 <= version <= TLS_1_2 or not 20 <= data[offset] <= 30:
                self._give_up()
                return -1
            self._record_version = version
        elif self._record_version == SSL_2:
            return self._v2_length(data, offset)
        elif not SSL_3 <= version <= TLS_1_2:
            self._give_up()
            return -1
        return u16(data, offset + 3)

    def _v2_length(self, data: bytes, offset: int) -> int:
        length = ((data[offset] & 0x7F) << 8 | data[offset + 1]) - 3
        if length < 0:
            self._give_up()
        return length

    def _record(self, from_orig: bool, data: bytes, offset: int, end: int) -> None:
        """Take one record, its header at ``offset``."""
        if self._record_version == SSL_2 or data[offset] & 0x80 != 0:
            self._v2_record(from_orig, data, offset, end)
            return
        kind = data[offset]
        start = offset + 5
        while start < end and self.alive:
            encrypted = self._orig_encrypts if from_orig else self._resp_encrypts
            if not encrypted and kind == APPLICATION_DATA and self._is_tls_1_3_or_unknown():
                encrypted = True
                if from_orig:
                    self._orig_encrypts = True
                else:
                    self._resp_encrypts = True
            if encrypted:
                if self._orig_encrypts and self._resp_encrypts:
                    # Established: what follows is opaque.
                    self.alive = False
                return
            if kind == CHANGE_CIPHER_SPEC:
                start += 1
                # TLS 1.3 only pretends to change the cipher.
                if not self._is_tls_1_3():
                    if from_orig:
                        self._orig_encrypts = True
                    else:
                        self._resp_encrypts = True
                continue
            if kind == HANDSHAKE:
                self._handshake.feed(from_orig, data[start:end])
                if self._handshake.rejected:
                    self.alive = False
            elif kind == ALERT:
                most = 2 if self._is_tls_1_3() else 2 * MAX_ALERTS
                if end - start <= most and (end - start) % 2 != 0:
                    self.violation()
            elif kind == HEARTBEAT:
                if end - start < 3:
                    self.violation()
            elif kind != APPLICATION_DATA:
                self.violation()
            return

    def _is_tls_1_3(self) -> bool:
        version = self._handshake.version
        return version == TLS_1_3 or version // 0xFF == 0x7F

    def _is_tls_1_3_or_unknown(self) -> bool:
        version = self._handshake.version
        return not SSL_3 <= version <= TLS_1_2 and version != SSL_2

    def _v2_record(self, from_orig: bool, data: bytes, offset: int, end: int) -> None:
        """Take one SSL 2 record; the first two octets of the body are still in the header."""
        kind = data[offset + 2]
        start = offset + 5
        if start >= end:
            return
        if self._orig_encrypts if from_orig else self._resp_encrypts:
            if self._orig_encrypts and self._resp_encrypts:
                self.alive = False
            return
        if kind == _V2_CLIENT_HELLO:
            if (
                start + 6 > end
                or start + 6 + u16(data, start) + u16(data, start + 2) + u16(data, start + 4) > end
            ):
                self.violation()
                return
            if is_known_version(u16(data, offset + 3)):
                self.confirm()
            else:
                self._give_up()
        elif kind == _V2_SERVER_HELLO:
            if (
                start + 8 > end
                or start
                + 8
                + u16(data, start + 2)
                + u16(data, start + 4) // 3 * 3
                + u16(data, start + 6)
                > end
            ):
                self.violation()
                return
            if u16(data, start) != SSL_2:
                self._give_up()
        elif kind == _V2_CLIENT_MASTER_KEY:
            if (
                start + 7 > end
                or start + 7 + u16(data, start + 1) + u16(data, start + 3) + u16(data, start + 5)
                > end
            ):
                self.violation()
                return
            self.alive = False
        elif kind != 0:
            self.violation()
