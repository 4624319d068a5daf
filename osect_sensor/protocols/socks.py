"""SOCKS 4 and 5 (RFC 1928, RFC 1929) and the stream that they carry."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    Analyzer,
    Connection,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
    finish_all,
)
from osect_sensor.wire.octets import u32

MAX_PENDING: Final = 4096
"""Octets of an incomplete message kept in each direction. The longest in SOCKS 5 has 513; the
strings of SOCKS 4 have no limit, but user and host names have."""

_BAD: Final = -1
_MORE: Final = 0

_PASSWORD: Final = 2
_NO_METHOD: Final = 0xFF


@final
class SocksAnalyzer(Analyzer):
    """SOCKS: confirmed by the server's reply to a request."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "socks")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._orig_done: bool = False
        self._resp_done: bool = False
        self._negotiated: bool = False
        """SOCKS 5: whether the server has chosen a method."""
        self._authenticating: bool = False
        self._method: int = _NO_METHOD
        self._tunnel: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of the negotiation, or of the tunnelled stream."""
        if self.connection.partial:
            return
        if self._orig_done and self._resp_done:
            if not self._tunnel:
                self._tunnel = True
                self._inner = self.connection.context.stream_analyzers(self.connection, "")
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while offset < len(pending) and self.alive:
            size = self._message(from_orig, pending, offset)
            if size == _BAD:
                self.violation()
                offset = len(pending)
                break
            if size == _MORE:
                break
            offset += size
        rest = pending[offset:]
        if len(rest) > MAX_PENDING:
            self.connection.context.counters.count("socks_message_too_long")
            self.alive = False
        if from_orig:
            self._orig = rest
        else:
            self._resp = rest

    def gap(self, from_orig: bool, length: int) -> None:
        """Pass the gap on to the tunnelled stream."""
        if self._tunnel:
            deliver_gap(self._inner, from_orig, length)

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to the tunnelled stream."""
        if self._tunnel:
            deliver_end_of_stream(self._inner, from_orig)

    def flip(self) -> None:
        """Exchange the directions."""
        pending = self._orig
        self._orig = self._resp
        self._resp = pending
        done = self._orig_done
        self._orig_done = self._resp_done
        self._resp_done = done
        for analyzer in self._inner:
            analyzer.flip()

    def finish(self) -> None:
        """Finish the tunnelled stream."""
        finish_all(self._inner)

    def _message(self, from_orig: bool, data: bytes, offset: int) -> int:
        """Take the message at ``offset``; its size, ``_MORE`` or ``_BAD``."""
        end = len(data)
        if self._authenticating:
            return self._authentication(from_orig, data, offset, end)
        version = data[offset]
        if version == 4:
            return self._version_4(from_orig, data, offset, end)
        if version != 5:
            return _BAD
        if not self._negotiated:
            if end - offset < 2:
                return _MORE
            if from_orig:
                size = 2 + data[offset + 1]
                return size if offset + size <= end else _MORE
            self._method = data[offset + 1]
            self._authenticating = self._method != 0 and self._method != _NO_METHOD
            self._negotiated = True
            return 2
        return self._version_5(from_orig, data, offset, end)

    def _authentication(self, from_orig: bool, data: bytes, offset: int, end: int) -> int:
        """User name and password (RFC 1929); other methods are passed over."""
        if self._method != _PASSWORD or data[offset] != 1:
            if not from_orig:
                self._authenticating = False
            return end - offset
        if from_orig:
            if end - offset < 2:
                return _MORE
            password = offset + 2 + data[offset + 1]
            if password >= end:
                return _MORE
            size = password + 1 + data[password] - offset
            return size if offset + size <= end else _MORE
        if end - offset < 2:
            return _MORE
        self._authenticating = False
        return 2

    def _version_4(self, from_orig: bool, data: bytes, offset: int, end: int) -> int:
        if not from_orig:
            if end - offset < 9:
                return _MORE
            self.confirm()
            self._resp_done = True
            return 9
        if end - offset < 9:
            return _MORE
        last = data.find(b"\x00", offset + 8)
        if last >= 0 and u32(data, offset + 4) <= 0xFF:
            # SOCKS 4a: a host name follows.
            last = data.find(b"\x00", last + 1)
        if last < 0:
            return _MORE
        self._orig_done = True
        return last + 1 - offset

    def _version_5(self, from_orig: bool, data: bytes, offset: int, end: int) -> int:
        """A request or a reply (RFC 1928 sections 4 and 6)."""
        if end - offset < 5:
            return _MORE
        kind = data[offset + 3]
        size = 0
        if kind == 1:
            size = 10
        elif kind == 3:
            size = 7 + data[offset + 4]
        elif kind == 4:
            size = 22
        else:
            return _BAD
        if offset + size > end:
            return _MORE
        if not from_orig:
            self.confirm()
            self._resp_done = True
            return size
        if data[offset + 2] != 0 or not 1 <= data[offset + 1] <= 3:
            self.violation()
            self.alive = False
            return size
        self._orig_done = True
        return size
