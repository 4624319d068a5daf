"""The TLS handshake protocol (RFC 5246 section 7.4, RFC 8446 section 4), as TLS, DTLS and QUIC
carry it: enough to tell a handshake from something else and to know when encryption starts."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer
from osect_sensor.wire.octets import u16, u24

UNKNOWN_VERSION: Final = 0
SSL_2: Final = 0x0002
SSL_3: Final = 0x0300
TLS_1_1: Final = 0x0302
TLS_1_2: Final = 0x0303
TLS_1_3: Final = 0x0304
DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD
DTLS_1_3: Final = 0xFEFC

MAX_MESSAGE: Final = 65536
"""Octets of an incomplete handshake message kept in each direction. What decides the service lies
in the first messages; the longest that occur there, certificate chains, stay far below."""

_HELLO_REQUEST: Final = 0
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_HELLO_VERIFY_REQUEST: Final = 3
_SESSION_TICKET: Final = 4
_CERTIFICATE: Final = 11
_SERVER_KEY_EXCHANGE: Final = 12
_CERTIFICATE_REQUEST: Final = 13
_SERVER_HELLO_DONE: Final = 14
_CERTIFICATE_VERIFY: Final = 15
_CLIENT_KEY_EXCHANGE: Final = 16
_FINISHED: Final = 20
_CERTIFICATE_URL: Final = 21
_CERTIFICATE_STATUS: Final = 22

_SERVER_NAME: Final = 0
_ELLIPTIC_CURVES: Final = 10
_EC_POINT_FORMATS: Final = 11
_SIGNATURE_ALGORITHMS: Final = 13
_PROTOCOL_NEGOTIATION: Final = 16
_CERTIFICATE_TIMESTAMP: Final = 18
_KEY_SHARE_OLD: Final = 40
_PRE_SHARED_KEY: Final = 41
_SUPPORTED_VERSIONS: Final = 43
_KEY_EXCHANGE_MODES: Final = 45
_KEY_SHARE: Final = 51
_CONNECTION_ID: Final = 54

_BAD: Final = -1
"""A parser's answer for a field that reaches beyond its container."""

# Cipher suites (IANA "TLS Cipher Suites") by what their ServerKeyExchange holds: pairs of the first
# and last number of a run.
_ECDHE_SUITES: Final = [
    0xC006, 0xC00A, 0xC010, 0xC014, 0xC023, 0xC024, 0xC027, 0xC028, 0xC02B, 0xC02C, 0xC02F, 0xC030,
    0xC033, 0xC03B, 0xC048, 0xC049, 0xC04C, 0xC04D, 0xC05C, 0xC05D, 0xC060, 0xC061, 0xC070, 0xC073,
    0xC076, 0xC077, 0xC086, 0xC087, 0xC08A, 0xC08B, 0xC09A, 0xC09B, 0xC0AC, 0xC0AF, 0xCC13, 0xCC14,
    0xCCA8, 0xCCA9, 0xD001, 0xD003, 0xD005, 0xD005,
]  # fmt: skip
_ECDH_ANON_SUITES: Final = [0xC015, 0xC019]
_DHE_SUITES: Final = [
    0x11, 0x16, 0x32, 0x33, 0x38, 0x39, 0x40, 0x40, 0x44, 0x45, 0x63, 0x63, 0x65, 0x67, 0x6A, 0x6B,
    0x72, 0x74, 0x77, 0x79, 0x87, 0x88, 0x8E, 0x91, 0x99, 0x9A, 0x9E, 0x9F, 0xA2, 0xA3, 0xAA, 0xAB,
    0xB2, 0xB5, 0xBD, 0xBE, 0xC3, 0xC4, 0xC042, 0xC045, 0xC052, 0xC053, 0xC056, 0xC057, 0xC066,
    0xC067, 0xC06C, 0xC06D, 0xC07C, 0xC07D, 0xC080, 0xC081, 0xC090, 0xC091, 0xC096, 0xC097, 0xC09E,
    0xC09F, 0xC0A2, 0xC0A3, 0xC0A6, 0xC0A7, 0xC0AA, 0xC0AB, 0xCC15, 0xCC15, 0xCCAA, 0xCCAA, 0xCCAD,
    0xCCAD,
]  # fmt: skip
_DH_ANON_SUITES: Final = [
    0x17, 0x1B, 0x34, 0x34, 0x3A, 0x3A, 0x46, 0x46, 0x6C, 0x6D, 0x89, 0x89, 0x9B, 0x9B, 0xA6, 0xA7,
    0xBF, 0xBF, 0xC5, 0xC5, 0xC046, 0xC047, 0xC05A, 0xC05B, 0xC084, 0xC085,
]  # fmt: skip


def is_known_version(version: int) -> bool:
    """Whether ``version`` is one that SSL, TLS or DTLS ever had (TLS 1.3 drafts are 0x7Fxx)."""
    return (
        version >> 8 == 127
        or SSL_3 <= version <= TLS_1_3
        or version in (SSL_2, DTLS_1_0)
        or DTLS_1_3 <= version <= DTLS_1_2
    )


def _in_suites(cipher: int, suites: list[int]) -> bool:
    index = 0
    while index < len(suites):
        if suites[index] <= cipher <= suites[index + 1]:
            return True
        index += 2
    return False


def _skip_short(data: bytes, offset: int, end: int) -> int:
    """Behind a vector with a one-octet length at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset + 1 > end:
        return _BAD
    offset += 1 + data[offset]
    return offset if offset <= end else _BAD


def _skip_long(data: bytes, offset: int, end: int) -> int:
    """Behind a vector with a two-octet length at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset + 2 > end:
        return _BAD
    offset += 2 + u16(data, offset)
    return offset if offset <= end else _BAD


def _is_list_of_short(data: bytes, offset: int, end: int) -> bool:
    """Whether vectors with one-octet lengths fill ``offset`` to ``end`` exactly."""
    while offset != _BAD and offset < end:
        offset = _skip_short(data, offset, end)
    return offset == end


def _is_list_of_long(data: bytes, offset: int, end: int) -> bool:
    """Whether vectors with two-octet lengths fill ``offset`` to ``end`` exactly."""
    while offset != _BAD and offset < end:
        offset = _skip_long(data, offset, end)
    return offset == end


@final
class TlsHandshake:
    """The handshake messages of both directions, on behalf of the analyzer that carries them."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer: Analyzer = analyzer
        self.version: int = UNKNOWN_VERSION
        """The version that the server chose."""
        self.rejected: bool = False
        """Whether a hello named a version that never was: nothing more is to be parsed."""
        self._cipher: int = -1
        self._flipped: bool = False
        self._orig: bytes = b""
        self._resp: bytes = b""

    def feed(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction's handshake stream."""
        if self.rejected:
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        end = len(pending)
        while end - offset >= 4 and not self.rejected and self._analyzer.alive:
            length = u24(pending, offset + 1)
            if length + 4 > end - offset:
                if end - offset > MAX_MESSAGE:
                    self._analyzer.connection.context.counters.count("tls_handshake_too_long")
                    self.rejected = True
                break
            if not self._message(from_orig, pending, offset + 4, offset + 4 + length):
                # Like Zeek's parser, give up what was delivered together with the bad message.
                self._analyzer.violation()
                offset = end
                break
            offset += 4 + length
        if self.rejected or not self._analyzer.alive:
            self._orig = b""
            self._resp = b""
        elif from_orig:
            self._orig = pending[offset:]
        else:
            self._resp = pending[offset:]

    def flip(self) -> None:
        """Exchange the directions."""
        pending = self._orig
        self._orig = self._resp
        self._resp = pending

    def _set_version(self, version: int) -> None:
        # The supported_versions extension comes before the outer version of the hello, which
        # stays at TLS 1.2 for the sake of old devices: the first one holds.
        if self.version == UNKNOWN_VERSION:
            self.version = version

    def _signs_with_algorithm(self) -> bool:
        return self.version > TLS_1_1 and self.version != DTLS_1_0

    def _message(self, from_orig: bool, data: bytes, start: int, end: int) -> bool:
        """Take one message; its type stands at ``start - 4``. False where it is malformed."""
        kind = data[start - 4]
        if kind == _CLIENT_HELLO:
            self._flipped = not from_orig
            return self._client_hello(from_orig, data, start, end)
        if kind == _SERVER_HELLO:
            self._flipped = from_orig
            return self._server_hello(from_orig, data, start, end)
        if kind == _HELLO_REQUEST:
            self._flipped = from_orig
            return True
        if kind == _CERTIFICATE:
            return self._certificate(data, start, end)
        if kind == _SERVER_KEY_EXCHANGE:
            return self._server_key_exchange(data, start, end)
        if kind == _CERTIFICATE_REQUEST:
            return self._certificate_request(data, start, end)
        if kind == _SESSION_TICKET:
            return end - start >= 4 and _skip_long(data, start + 4, end) != _BAD
        if kind == _CERTIFICATE_STATUS:
            return end - start >= 4
        if kind == _HELLO_VERIFY_REQUEST:
            return end - start >= 2 and _skip_short(data, start + 2, end) != _BAD
        if kind in (
            _SERVER_HELLO_DONE,
            _CERTIFICATE_VERIFY,
            _CLIENT_KEY_EXCHANGE,
            _FINISHED,
            _CERTIFICATE_URL,
        ):
            return True
        self._analyzer.violation()
        return True

    def _client_hello(self, from_orig: bool, data: bytes, start: int, end: int) -> bool:
        if end - start < 35:
            return False
        version = u16(data, start)
        offset = _skip_short(data, start + 34, end)
        if version in (DTLS_1_0, DTLS_1_2):
            offset = _skip_short(data, offset, end)
        if offset == _BAD or offset + 2 > end:
            return False
        # Pairs of octets: of an odd length the last octet is left for the next field.
        offset += 2 + u16(data, offset) // 2 * 2
        if offset > end:
            return False
        offset = _skip_short(data, offset, end)
        if offset == _BAD or not self._extensions(from_orig, data, offset, end, _CLIENT_HELLO):
            return False
        if is_known_version(version):
            self._analyzer.confirm()
        else:
            self._reject()
        return True

    def _server_hello(self, from_orig: bool, data: bytes, start: int, end: int) -> bool:
        if end - start < 34:
            return False
        version = u16(data, start)
        offset = start + 34
        if version == TLS_1_3 or version >> 8 == 0x7F:
            if offset + 2 > end:
                return False
            cipher = u16(data, offset)
            offset += 2
        else:
            offset = _skip_short(data, offset, end)
            if offset == _BAD or offset + 3 > end:
                return False
            cipher = u16(data, offset)
            offset += 3
        if not self._extensions(from_orig, data, offset, end, _SERVER_HELLO):
            return False
        self._cipher = cipher
        self._set_version(version)
        if not is_known_version(version):
            self._reject()
        return True

    def _reject(self) -> None:
        self._analyzer.violation()
        self.rejected = True

    def _extensions(self, from_orig: bool, data: bytes, offset: int, end: int, hello: int) -> bool:
        """Whether the rest of a hello is nothing, or a length and well-formed extensions."""
        if offset == end:
            return True
        if offset + 2 > end:
            return False
        offset += 2
        while offset < end:
            if offset + 4 > end:
                return False
            kind = u16(data, offset)
            start = offset + 4
            offset = start + u16(data, offset + 2)
            if offset > end:
                return False
            if start < offset and not self._extension(from_orig, data, start, offset, kind, hello):
                return False
        return True

    def _extension(
        self, from_orig: bool, data: bytes, start: int, end: int, kind: int, hello: int
    ) -> bool:
        """Whether an extension that is not empty holds what its type asks for."""
        if kind == _SUPPORTED_VERSIONS:
            if from_orig != self._flipped:
                last = start + 1 + data[start]
                return last <= end and data[start] % 2 == 0
            if start + 2 > end:
                return False
            self._set_version(u16(data, start))
            return True
        if kind == _EC_POINT_FORMATS:
            return _skip_short(data, start, end) != _BAD
        if kind in (_CONNECTION_ID, _KEY_EXCHANGE_MODES):
            return _skip_short(data, start, end) != _BAD
        if kind in (_KEY_SHARE, _KEY_SHARE_OLD):
            return self._key_share(data, start, end, hello)
        if kind == _PRE_SHARED_KEY:
            return self._pre_shared_key(data, start, end, hello)
        if (
            kind != _SERVER_NAME
            and kind != _ELLIPTIC_CURVES
            and kind != _SIGNATURE_ALGORITHMS
            and kind != _PROTOCOL_NEGOTIATION
            and kind != _CERTIFICATE_TIMESTAMP
        ):
            return True
        last = _skip_long(data, start, end)
        if kind == _ELLIPTIC_CURVES and last == _BAD:
            # Whole pairs count here: an odd length may reach one octet too far.
            return start + 2 <= end and start + 2 + u16(data, start) // 2 * 2 <= end
        if last == _BAD:
            return False
        if kind == _ELLIPTIC_CURVES:
            return True
        if kind == _SIGNATURE_ALGORITHMS:
            return (last - start) % 2 == 0
        if kind == _PROTOCOL_NEGOTIATION:
            return _is_list_of_short(data, start + 2, last)
        if kind == _CERTIFICATE_TIMESTAMP:
            return self._certificate_timestamps(data, start + 2, last)
        return self._server_names(data, start + 2, last)

    def _server_names(self, data: bytes, offset: int, end: int) -> bool:
        while offset < end:
            if data[offset] != 0:
                # A name of unknown type takes the rest.
                return True
            offset = _skip_long(data, offset + 1, end)
            if offset == _BAD:
                return False
        return True

    def _certificate_timestamps(self, data: bytes, offset: int, end: int) -> bool:
        while offset < end:
            start = offset
            offset = _skip_long(data, offset, end)
            if offset == _BAD or offset - start < 2 + 1 + 32 + 8:
                return False
            inner = _skip_long(data, start + 43, offset)
            if inner == _BAD or inner + 2 > offset:
                return False
            if _skip_long(data, inner + 2, offset) == _BAD:
                return False
        return True

    def _key_share(self, data: bytes, start: int, end: int, hello: int) -> bool:
        if hello == _SERVER_HELLO:
            # Two octets are the group that a HelloRetryRequest asks for.
            return end - start == 2 or _skip_long(data, start + 2, end) != _BAD
        last = _skip_long(data, start, end)
        if last == _BAD:
            return False
        offset = start + 2
        while offset < last:
            offset = _skip_long(data, offset + 2, last)
            if offset == _BAD:
                return False
        return True

    def _pre_shared_key(self, data: bytes, start: int, end: int, hello: int) -> bool:
        if hello == _SERVER_HELLO:
            return end - start >= 2
        last = _skip_long(data, start, end)
        if last == _BAD:
            return False
        offset = start + 2
        while offset < last:
            offset = _skip_long(data, offset, last)
            if offset == _BAD or offset + 4 > last:
                return False
            offset += 4
        binders = _skip_long(data, last, end)
        return binders != _BAD and _is_list_of_short(data, last + 2, binders)

    def _certificate(self, data: bytes, start: int, end: int) -> bool:
        if end - start < 3:
            return False
        last = start + 3 + u24(data, start)
        if last > end:
            return False
        offset = start + 3
        while offset < last:
            if offset + 3 > last:
                return False
            offset += 3 + u24(data, offset)
        return offset == last

    def _server_key_exchange(self, data: bytes, start: int, end: int) -> bool:
        cipher = self._cipher
        if _in_suites(cipher, _ECDHE_SUITES) or _in_suites(cipher, _ECDH_ANON_SUITES):
            if start >= end:
                return False
            if data[start] != 3:
                # Only named curves are told apart.
                return True
            offset = _skip_short(data, start + 3, end)
            if _in_suites(cipher, _ECDH_ANON_SUITES):
                return offset != _BAD
            return self._signature(data, offset, end)
        if _in_suites(cipher, _DHE_SUITES) or _in_suites(cipher, _DH_ANON_SUITES):
            offset = _skip_long(data, start, end)
            offset = _skip_long(data, offset, end)
            offset = _skip_long(data, offset, end)
            if _in_suites(cipher, _DH_ANON_SUITES):
                return offset != _BAD
            return self._signature(data, offset, end)
        return True

    def _signature(self, data: bytes, offset: int, end: int) -> bool:
        if offset == _BAD:
            return False
        if self._signs_with_algorithm():
            offset += 2
        return _skip_long(data, offset, end) != _BAD

    def _certificate_request(self, data: bytes, start: int, end: int) -> bool:
        offset = _skip_short(data, start, end)
        if self._signs_with_algorithm():
            algorithms = offset
            offset = _skip_long(data, offset, end)
            if offset == _BAD or (offset - algorithms) % 2 != 0:
                return False
        last = _skip_long(data, offset, end)
        return last != _BAD and _is_list_of_long(data, offset + 2, last)
