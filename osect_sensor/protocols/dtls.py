"""DTLS over UDP (RFC 6347, RFC 9147)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.ssl import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    HEARTBEAT,
    MAX_ALERTS,
)
from osect_sensor.protocols.tls_handshake import DTLS_1_0, DTLS_1_2, DTLS_1_3, TlsHandshake
from osect_sensor.wire.octets import u16, u24, u32

MAX_VERSION_ERRORS: Final = 10
"""Records with an impossible version after which a connection is left alone."""

MAX_FRAGMENTED_MESSAGE: Final = 100_000
"""Octets of a handshake message put together from fragments."""

_HEADER: Final = 13
_HANDSHAKE_HEADER: Final = 12
_WINDOW: Final = 32


@final
class _Reassembly:
    """One direction's fragmented handshake message (RFC 6347 section 4.2.3)."""

    def __init__(self) -> None:
        self.message: int = -1
        self.length: int = 0
        self.first: int = 0
        self.last: int = 0
        self.first_seen: bool = False
        self.seen: int = 0
        self.offsets: list[int] = []
        self.fragments: list[bytes] = []

    def joined(self) -> bytes:
        """The message, zeros where no fragment was."""
        octets = bytearray(self.length)
        for index in range(len(self.offsets)):
            offset = self.offsets[index]
            fragment = self.fragments[index]
            octets[offset : offset + len(fragment)] = fragment
        return bytes(octets)


@final
class DtlsAnalyzer(Analyzer):
    """DTLS: confirmed by a ClientHello, left alone once both sides encrypt."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "dtls")
        self._handshake: TlsHandshake = TlsHandshake(self)
        self._orig: _Reassembly = _Reassembly()
        self._resp: _Reassembly = _Reassembly()
        self._orig_encrypts: bool = False
        self._resp_encrypts: bool = False
        self._version_errors: int = 0
        self._reported: bool = False

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take the records of one datagram."""
        end = len(data)
        if end > 20 and data[4:8] == b"\x21\x12\xa4\x42":
            # STUN shares the port in WebRTC (RFC 7983).
            return
        offset = 0
        while offset < end and self.alive:
            if self._handshake.version == DTLS_1_3 and data[offset] & 0xE0 == 0x20:
                self._unified(from_orig)
                return
            if offset + _HEADER > end:
                self.violation()
                return
            if not self._version_is_good(u16(data, offset + 1)):
                return
            start = offset + _HEADER
            offset = start + u16(data, start - 2)
            if offset > end:
                self.violation()
                return
            if u16(data, start - 10) == 0:
                self._plaintext(from_orig, data, start, offset)
            elif start < offset:
                self._ciphertext()

    def flip(self) -> None:
        """Exchange the directions."""
        reassembly = self._orig
        self._orig = self._resp
        self._resp = reassembly
        encrypts = self._orig_encrypts
        self._orig_encrypts = self._resp_encrypts
        self._resp_encrypts = encrypts
        self._handshake.flip()

    def _version_is_good(self, version: int) -> bool:
        if version in (DTLS_1_0, DTLS_1_2):
            if self.confirmed:
                self._version_errors = 0
            return True
        self._version_errors += 1
        if self.confirmed and not self._reported:
            self._reported = True
            self.violation()
        if self._version_errors > MAX_VERSION_ERRORS:
            self.alive = False
        return False

    def _unified(self, from_orig: bool) -> None:
        """A DTLS 1.3 ciphertext record (RFC 9147 section 4)."""
        if from_orig:
            self._orig_encrypts = True
        else:
            self._resp_encrypts = True
        if self._orig_encrypts and self._resp_encrypts:
            self.alive = False

    def _ciphertext(self) -> None:
        if self._orig_encrypts and self._resp_encrypts:
            self.alive = False

    def _plaintext(self, from_orig: bool, data: bytes, start: int, end: int) -> None:
        kind = data[start - _HEADER]
        while start < end and self.alive:
            if kind == CHANGE_CIPHER_SPEC:
                start += 1
                if from_orig:
                    self._orig_encrypts = True
                else:
                    self._resp_encrypts = True
                continue
            if kind == HANDSHAKE:
                if end - start < _HANDSHAKE_HEADER:
                    self.violation()
                else:
                    self._fragment(from_orig, data, start, end)
                    if self._handshake.rejected:
                        self.alive = False
            elif kind == ALERT:
                if end - start <= 2 * MAX_ALERTS and (end - start) % 2 != 0:
                    self.violation()
            elif kind == HEARTBEAT:
                if end - start < 3:
                    self.violation()
            elif kind != APPLICATION_DATA:
                self.violation()
            return

    def _fragment(self, from_orig: bool, data: bytes, start: int, end: int) -> None:
        """Take one handshake fragment; hand on the message when it is complete."""
        length = u24(data, start + 1)
        message = u16(data, start + 4)
        fragment_offset = u24(data, start + 6)
        fragment_length = u24(data, start + 9)
        body = start + _HANDSHAKE_HEADER
        header = data[start : start + 4]
        if fragment_offset == 0 and fragment_length == length:
            self._handshake.feed(from_orig, header + data[body:end])
            return
        if length > MAX_FRAGMENTED_MESSAGE:
            self.violation()
            return
        # Record sequence number: 48 bits before the record's length.
        sequence: int = u16(data, start - 8) << 32 | u32(data, start - 6)
        state = self._orig if from_orig else self._resp
        if state.message != message or state.length != length:
            state.message = message
            state.length = length
            state.first = sequence
            state.last = 0
            state.first_seen = False
            state.seen = 0
            state.offsets = []
            state.fragments = []
        if abs(sequence - state.first) >= _WINDOW:
            self.violation()
            return
        if sequence < state.first:
            if state.first_seen:
                self.violation()
                return
            state.seen = state.seen << (state.first - sequence) & 0xFFFFFFFF
            state.first = sequence
        if fragment_offset == 0:
            state.first_seen = True
        bit = 1 << (sequence - state.first)
        if state.seen & bit != 0:
            return
        if end - body != fragment_length or fragment_offset + fragment_length > length:
            self.violation()
            return
        state.seen |= bit
        state.offsets.append(fragment_offset)
        state.fragments.append(data[body:end])
        if fragment_offset + fragment_length == length:
            state.last = sequence
        if state.last == 0 or not state.first_seen:
            return
        wanted = state.last - state.first
        if wanted < 0 or wanted > 30:
            self.violation()
            return
        mask = (1 << (wanted + 1)) - 1
        if state.seen & mask == mask:
            self._handshake.feed(from_orig, header + state.joined())
