"""QUIC versions 1 and 2 (RFC 9000, RFC 9369) over UDP, as far as its Initial packets tell."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    VIOLATIONS_COUNT_UP_TO,
    Analyzer,
    Connection,
    deliver_stream,
    finish_all,
)
from osect_sensor.protocols.quic_crypto import (
    TAG_LENGTH,
    VERSION_2,
    InitialKeys,
    is_supported,
)
from osect_sensor.wire.octets import u24, u32

MAX_DECRYPTED: Final = 64
"""Initial packets looked into in a connection: a handshake has a handful, even with losses."""

MAX_HELLO: Final = (1 << 14) + 256
"""Octets of a hello (RFC 8446 section 5.1)."""

MAX_BEFORE_LENGTH: Final = 2000
"""Octets of crypto data in which the length of the hello has to come."""

MAX_FRAGMENTS: Final = 64
"""CRYPTO frames kept because something before them is missing."""

_INITIAL: Final = 0
_RETRY: Final = 3

_MINIMUM_INITIAL: Final = 20
_MAXIMUM_PAYLOAD: Final = 10_000

_BAD: Final = -1


def _integer_end(data: bytes, offset: int, end: int) -> int:
    """Behind the variable-length integer at ``offset`` (RFC 9000 section 16), or ``_BAD``."""
    if offset == _BAD or offset >= end:
        return _BAD
    offset += 1 << (data[offset] >> 6)
    return offset if offset <= end else _BAD


def _integer(data: bytes, offset: int, end: int) -> int:
    """The variable-length integer from ``offset`` to ``end``."""
    value = data[offset] & 0x3F
    for index in range(offset + 1, end):
        value = value << 8 | data[index]
    return value


@final
class _Hello:
    """The crypto stream of one direction's Initial packets, up to the end of its hello."""

    def __init__(self) -> None:
        self.octets: int = 0
        """Octets in order so far."""
        self.head: bytes = b""
        self.length: int = 0
        """Octets of the hello with its header, 0 while unknown."""
        self.finished: bool = False
        self.offsets: list[int] = []
        self.fragments: list[bytes] = []


@final
class QuicAnalyzer(Analyzer):
    """QUIC: confirmed by an Initial packet that its own keys decrypt; hands the hellos to TLS."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "quic")
        self._client: _Hello = _Hello()
        self._server: _Hello = _Hello()
        self._has_destination: bool = False
        self._destination: bytes = b""
        """The client's first destination connection ID, from which all Initial keys follow."""
        self._client_id_length: int = 0
        self._decrypted: int = 0
        self._inner: list[Analyzer] = []
        self._has_inner: bool = False

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take the packets of one datagram."""
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        offset = 0
        while offset != _BAD and offset < len(data):
            if data[offset] & 0x40 == 0:
                return
            if data[offset] & 0x80 == 0:
                if offset + 1 + self._client_id_length > len(data):
                    offset = _BAD
                    break
                return
            offset = self._long_packet(from_orig, data, offset)
        if offset == _BAD:
            self.violation()
            self.alive = False

    def flip(self) -> None:
        """Give up: the two sides were mistaken for each other."""
        self.alive = False

    def finish(self) -> None:
        """Finish the TLS stream."""
        finish_all(self._inner)

    def _long_packet(self, from_orig: bool, data: bytes, start: int) -> int:
        """Take the packet at ``start``; where the next begins, or ``_BAD``."""
        end = len(data)
        if start + 6 > end:
            return _BAD
        version = u32(data, start + 1)
        destination = start + 6
        destination_end = destination + data[start + 5]
        if destination_end >= end:
            return _BAD
        source_length = data[destination_end]
        offset = destination_end + 1 + source_length
        if offset > end or not is_supported(version):
            return _BAD
        kind = data[start] >> 4 & 3
        if version == VERSION_2:
            # Version 2 counts the same four types from another beginning.
            kind = (kind + 3) & 3
        if kind == _RETRY:
            if end - offset < TAG_LENGTH:
                return _BAD
            self._start_over()
            return end
        if kind == _INITIAL:
            token = _integer_end(data, offset, end)
            if token == _BAD:
                return _BAD
            offset = token + _integer(data, offset, token)
        number = _integer_end(data, offset, end)
        if number == _BAD:
            return _BAD
        length = _integer(data, offset, number)
        packet_end = number + length
        if packet_end > end or (kind == _INITIAL and length < _MINIMUM_INITIAL):
            return _BAD
        hello = self._client if from_orig else self._server
        if kind != _INITIAL or hello.finished or not (from_orig or self._has_destination):
            return packet_end
        destination_id = data[destination:destination_end]
        self._client_id_length = source_length if from_orig else len(destination_id)
        if not self._has_destination:
            self._has_destination = True
            self._destination = destination_id
        self._decrypted += 1
        if self._decrypted > MAX_DECRYPTED:
            self.connection.context.counters.count("quic_initials_ignored")
            return packet_end
        if length > _MAXIMUM_PAYLOAD:
            return _BAD
        keys = InitialKeys(version, self._destination, from_orig)
        frames = keys.decrypt(data[start:packet_end], number - start)
        if frames is None or len(frames) == 0:
            return _BAD
        self.confirm()
        return packet_end if self._frames(from_orig, frames, hello) else _BAD

    def _start_over(self) -> None:
        """Forget the keys: after a Retry the client begins with another connection ID."""
        self._client = _Hello()
        self._server = _Hello()
        self._has_destination = False
        self._has_inner = False
        finish_all(self._inner)

    def _frames(self, from_orig: bool, data: bytes, hello: _Hello) -> bool:
        """Take the frames of an Initial packet (RFC 9000 section 12.4)."""
        offset = 0
        end = len(data)
        while offset < end:
            kind = data[offset]
            offset += 1
            if kind == 0 or kind == 1:
                continue
            if kind == 6:
                position = _integer_end(data, offset, end)
                size = _integer_end(data, position, end)
                if size == _BAD:
                    return False
                last = size + _integer(data, position, size)
                if last > end:
                    return False
                if not self._crypto(
                    from_orig, hello, _integer(data, offset, position), data[size:last]
                ):
                    return False
                offset = last
            elif kind == 2 or kind == 3:
                offset = self._acknowledgement_end(data, offset, end, kind == 3)
                if offset == _BAD:
                    return False
            elif kind == 0x1C:
                offset = _integer_end(data, offset, end)
                offset = _integer_end(data, offset, end)
                reason = _integer_end(data, offset, end)
                if reason == _BAD:
                    return False
                offset = reason + _integer(data, offset, reason)
                if offset > end:
                    return False
            else:
                return False
        return True

    def _acknowledgement_end(self, data: bytes, offset: int, end: int, counts: bool) -> int:
        offset = _integer_end(data, offset, end)
        ranges = _integer_end(data, offset, end)
        after = _integer_end(data, ranges, end)
        if after == _BAD:
            return _BAD
        count = 2 * _integer(data, ranges, after)
        if count > end - after:
            return _BAD
        offset = _integer_end(data, after, end)
        for _ in range(count + (3 if counts else 0)):
            offset = _integer_end(data, offset, end)
        return offset

    def _crypto(self, from_orig: bool, hello: _Hello, position: int, data: bytes) -> bool:
        """Put crypto data in its place and hand on what is then in order."""
        hello.offsets.append(position)
        hello.fragments.append(data)
        index = 0
        while index < len(hello.offsets):
            start = hello.octets - hello.offsets[index]
            fragment = hello.fragments[index]
            if start < 0:
                index += 1
                continue
            hello.offsets.pop(index)
            hello.fragments.pop(index)
            if start < len(fragment):
                hello.octets += len(fragment) - start
                self._in_order(from_orig, hello, fragment[start:])
                index = 0
        if len(hello.offsets) > MAX_FRAGMENTS:
            self.connection.context.counters.count("quic_crypto_fragments_dropped")
            return False
        if hello.length > 0:
            return hello.octets <= hello.length
        return hello.octets <= MAX_BEFORE_LENGTH

    def _in_order(self, from_orig: bool, hello: _Hello, data: bytes) -> None:
        """Hand a hello to TLS, within a record of its own."""
        if hello.finished:
            return
        if hello.length == 0:
            hello.head += data
            if len(hello.head) < 4:
                return
            hello.length = u24(hello.head, 1) + 4
            if hello.length > MAX_HELLO:
                hello.finished = True
                return
            data = hello.head
            record = b"\x16\x03\x03" + bytes([hello.length >> 8, hello.length & 0xFF])
            self._to_tls(from_orig, record)
        left = hello.length - (hello.octets - len(data))
        self._to_tls(from_orig, data[:left])
        if hello.octets >= hello.length:
            hello.finished = True

    def _to_tls(self, from_orig: bool, data: bytes) -> None:
        if not self._has_inner:
            self._has_inner = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
        deliver_stream(self._inner, from_orig, data)
