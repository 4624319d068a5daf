"""MySQL's connection phase (MySQL Internals, "Client/Server Protocol")."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    VIOLATIONS_COUNT_UP_TO,
    Analyzer,
    Connection,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
    finish_all,
)
from osect_sensor.wire.octets import u16le, u32le

MAX_PENDING: Final = 65536
"""Octets of an incomplete packet kept in each direction; the connection phase has short ones."""

_CONNECT_WITH_DB: Final = 0x00000008
_SSL: Final = 0x00000800
_PLUGIN_AUTH: Final = 0x00080000
_CONNECT_ATTRS: Final = 0x00100000
_ZSTD: Final = 0x04000000

_BAD: Final = -1


def _skip_text(data: bytes, offset: int, end: int) -> int:
    """Behind the zero-terminated string at ``offset``, or ``_BAD``."""
    if offset == _BAD:
        return _BAD
    zero = data.find(b"\x00", offset, end)
    return _BAD if zero < 0 else zero + 1


def _skip_counted(data: bytes, offset: int, end: int) -> int:
    """Behind the length-encoded string at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset >= end:
        return _BAD
    first = data[offset]
    offset += 1
    width = 0
    if first == 0xFC:
        width = 2
    elif first == 0xFD:
        width = 3
    elif first == 0xFE:
        width = 8
    length = 0 if first >= 0xFB else first
    if offset + width > end:
        return _BAD
    for index in range(width):
        length |= data[offset + index] << 8 * index
    offset += width + length
    return offset if offset <= end else _BAD


@final
class MysqlAnalyzer(Analyzer):
    """MySQL: confirmed by the client's answer to the server's handshake."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "mysql")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._version: int = 0
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next packets of one direction, or of the TLS stream inside."""
        if self._secured:
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        if self.connection.partial:
            return
        if self.confirmed or self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # The command phase tells nothing more about what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while self.alive and not self._secured and len(pending) - offset >= 4:
            length = pending[offset] | pending[offset + 1] << 8 | pending[offset + 2] << 16
            end = offset + 4 + length
            if end > len(pending):
                break
            good = True
            if not from_orig:
                if self._version == 0:
                    good = self._handshake(pending, offset + 4, end)
            elif not self.confirmed:
                good = self._response(pending, offset + 4, end)
            if not good:
                self.violation()
                offset = len(pending)
                break
            offset = end
        rest = pending[offset:]
        if len(rest) > MAX_PENDING:
            self.connection.context.counters.count("mysql_packet_too_long")
            self.alive = False
        if from_orig:
            self._orig = rest
        else:
            self._resp = rest

    def gap(self, from_orig: bool, length: int) -> None:
        """Pass the gap on to TLS, or give up."""
        if self._secured:
            deliver_gap(self._inner, from_orig, length)
        else:
            self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS."""
        if self._secured:
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

    def _handshake(self, data: bytes, start: int, end: int) -> bool:
        """Take the server's first packet."""
        if start >= end:
            return False
        self._version = data[start]
        if self._version == 9:
            offset = _skip_text(data, start + 1, end)
            return offset != _BAD and _skip_text(data, offset + 4, end) != _BAD
        if self._version != 10:
            # An error packet: the server is not willing.
            return start + 9 <= end
        offset = _skip_text(data, start + 1, end)
        if offset == _BAD or offset + 31 > end:
            return False
        capabilities = u16le(data, offset + 18) << 16
        scramble = data[offset + 20]
        if scramble != 0 and scramble < 21:
            return False
        offset += 31 + (scramble - 8 if scramble > 21 else 13)
        if offset > end:
            return False
        return capabilities & _PLUGIN_AUTH == 0 or _skip_text(data, offset, end) != _BAD

    def _response(self, data: bytes, start: int, end: int) -> bool:
        """Take the client's answer."""
        if self._version == 9:
            return self._response_9(data, start, end)
        if self._version != 10 or start + 32 > end:
            return False
        flags = u32le(data, start)
        if flags & _SSL != 0:
            self.confirm()
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
            return True
        offset = _skip_text(data, start + 32, end)
        offset = _skip_counted(data, offset, end)
        if flags & _CONNECT_WITH_DB != 0:
            offset = _skip_text(data, offset, end)
        if offset != _BAD and flags & _PLUGIN_AUTH != 0:
            plugin = _skip_text(data, offset, end)
            if plugin != _BAD:
                offset = plugin
        if offset != _BAD and flags & _CONNECT_ATTRS != 0:
            if offset >= end:
                return False
            last = offset + 1 + data[offset]
            if last > end:
                return False
            offset += 1
            while offset != _BAD and offset < last:
                offset = _skip_counted(data, offset, last)
                offset = _skip_counted(data, offset, last)
        if offset == _BAD or (flags & _ZSTD != 0 and offset >= end):
            return False
        self.confirm()
        return True

    def _response_9(self, data: bytes, start: int, end: int) -> bool:
        if start + 5 > end:
            return False
        offset = _skip_text(data, start + 5, end)
        offset = _skip_text(data, offset, end)
        if u16le(data, start) & _CONNECT_WITH_DB != 0:
            offset = _skip_text(data, offset, end)
        if offset == _BAD:
            return False
        self.confirm()
        return True
