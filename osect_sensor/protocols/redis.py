"""Redis serialization protocol, versions 2 and 3 (RESP specification)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.protocols.lines import decimal

MAX_PENDING: Final = 65536
"""Octets of a line without an end kept in each direction; bulk strings are counted, not kept."""

MAX_INLINE: Final = 1024
"""Octets of a command that is not an array."""

MAX_SIZE: Final = 1024 * 1024
"""Elements of an array and octets of a bulk string."""

MAX_DEPTH: Final = 20
"""Arrays within arrays."""

_KINDS: Final = b"+-:$*_#,(!=%|~>"

_NULL: Final = -1
_BAD: Final = -2


def _count(data: bytes, start: int, end: int) -> int:
    """The length that ``start`` to ``end`` spell, ``_NULL`` for a negative one, or ``_BAD``."""
    if start < end and data[start] == 0x2D:
        return _NULL if decimal(data, start + 1, end, MAX_SIZE) >= 0 else _BAD
    if start < end and data[start] == 0x2B:
        start += 1
    value = decimal(data, start, end, MAX_SIZE)
    return value if value >= 0 else _BAD


@final
class RedisAnalyzer(Analyzer):
    """Redis: confirmed by a reply behind a command."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "redis")
        self._asked: bool = False
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._arguments: int = 0
        """Bulk strings that the command still lacks."""
        self._orig_skip: int = 0
        """Octets of a bulk string still to come, its line end not counted."""
        self._orig_in_bulk: bool = False
        self._resp_skip: int = 0
        self._resp_in_bulk: bool = False
        self._lost: bool = False
        """Whether the rest of a line is passed over, behind which the next reply begins."""
        self._open: list[int] = []
        """For each array that has begun in the reply, how many elements it still lacks."""
        self._is_attribute: list[bool] = []
        """For each of them, whether it is an attribute: the element it describes follows it."""

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of the commands or of the replies."""
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        if from_orig:
            self._asked = True
            self._commands(self._orig + data)
        elif self._asked:
            self._replies(self._resp + data)
        else:
            self._give_up()
        if len(self._orig) > MAX_PENDING or len(self._resp) > MAX_PENDING:
            self.connection.context.counters.count("redis_line_too_long")
            self.alive = False

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: elements cannot be counted any more."""
        self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Tell an ending within an element."""
        if from_orig:
            if len(self._orig) > 0 or self._orig_in_bulk or self._arguments > 0:
                self._give_up()
        elif len(self._resp) > 0 or self._resp_in_bulk or len(self._open) > 0:
            self.violation()

    def flip(self) -> None:
        """Give up: commands were taken for replies."""
        self.alive = False

    def _give_up(self) -> None:
        self.violation()
        self.alive = False

    def _commands(self, data: bytes) -> None:
        offset = 0
        while offset < len(data) and self.alive:
            if self._orig_skip > 0:
                step = min(self._orig_skip, len(data) - offset)
                self._orig_skip -= step
                offset += step
                continue
            end = data.find(b"\r\n", offset)
            if self._orig_in_bulk:
                if end < 0:
                    break
                self._orig_in_bulk = False
                self._arguments -= 1
                offset = end + 2
                continue
            if self._arguments == 0 and data[offset] != 0x2A:
                if end - offset > MAX_INLINE or (end < 0 and len(data) - offset > MAX_INLINE + 1):
                    self._give_up()
                    return
                if end < 0:
                    break
                if data[offset:end].strip(b"\x00\t\n\r ") == b"":
                    self._give_up()
                    return
                offset = end + 2
                continue
            if end < 0:
                break
            size = _count(data, offset + 1, end)
            if self._arguments > 0:
                if data[offset] != 0x24 or size == _BAD:
                    self._give_up()
                    return
                self._orig_skip = max(size, 0)
                self._orig_in_bulk = True
            else:
                if size <= 0:
                    self._give_up()
                    return
                self._arguments = size
            offset = end + 2
        self._orig = data[offset:]

    def _replies(self, data: bytes) -> None:
        offset = 0
        while offset < len(data) and self.alive:
            if self._resp_skip > 0:
                step = min(self._resp_skip, len(data) - offset)
                self._resp_skip -= step
                offset += step
                continue
            kind = data[offset]
            if not self._resp_in_bulk and not self._lost and kind not in _KINDS:
                self._lost = True
                self._lose_reply()
            end = data.find(b"\r\n", offset)
            if end < 0:
                break
            start = offset + 1
            offset = end + 2
            if self._lost:
                self._lost = False
            elif self._resp_in_bulk:
                self._resp_in_bulk = False
                self._element()
            elif kind in b"+-:_#,(":
                self._element()
            elif kind in b"$!=":
                size = _count(data, start, end)
                if size == _BAD:
                    self._lose_reply()
                elif size == _NULL:
                    self._element()
                else:
                    self._resp_skip = size
                    self._resp_in_bulk = True
            else:
                size = _count(data, start, end)
                if size < 0 or len(self._open) >= MAX_DEPTH:
                    self._lose_reply()
                else:
                    self._begin(kind, size)
        self._resp = data[offset:]

    def _begin(self, kind: int, size: int) -> None:
        """Open an array, set, push, map or attribute of ``size`` elements or pairs."""
        if kind == 0x25 or kind == 0x7C:
            size *= 2
        if size > 0:
            self._open.append(size)
            self._is_attribute.append(kind == 0x7C)
        elif kind != 0x7C:
            self._element()

    def _element(self) -> None:
        """Count an element; with the last one of all arrays the reply is complete."""
        while len(self._open) > 0:
            self._open[-1] -= 1
            if self._open[-1] > 0:
                return
            self._open.pop()
            if self._is_attribute.pop():
                return
        self.confirm()

    def _lose_reply(self) -> None:
        """Tell a malformed reply; the next one begins behind a line end."""
        self._open = []
        self._is_attribute = []
        self.violation()
