"""PostgreSQL's frontend/backend protocol, version 3 (PostgreSQL documentation, chapter 54)."""

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
from osect_sensor.wire.octets import u16, u32

MAX_HELD: Final = 4
"""Deliveries of one side held back until the other has spoken."""

MAX_PENDING: Final = 65536
"""Octets of an incomplete message kept in each direction; those that open a session are short."""

_SSL_REQUEST: Final = 80877103

_UNDECIDED: Final = 0
_PLAIN: Final = 1
_TLS: Final = 2


def _text_end(data: bytes, offset: int, end: int) -> int:
    """Behind the printable characters at ``offset``."""
    while offset < end and 0x20 <= data[offset] <= 0x7E:
        offset += 1
    return offset


def _name_end(data: bytes, offset: int, end: int) -> int:
    """Behind the characters of a parameter's name at ``offset``."""
    while offset < end:
        octet = data[offset]
        if not (
            0x2D <= octet <= 0x39 or 0x41 <= octet <= 0x5A or 0x61 <= octet <= 0x7A or octet == 0x5F
        ):
            break
        if octet == 0x2E:
            break
        offset += 1
    return offset


@final
class PostgresqlAnalyzer(Analyzer):
    """PostgreSQL: confirmed by a StartupMessage or by the answer to an SSLRequest."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "postgresql")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._orig_held: int = 0
        self._resp_held: int = 0
        self._asked: bool = False
        """Whether the client has said what it wants: TLS or a session."""
        self._wants_tls: bool = False
        self._transport: int = _UNDECIDED
        self._started: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next messages of one direction, or of the TLS stream inside."""
        if self._transport == _TLS and (from_orig or len(self._resp) == 0):
            if from_orig and len(self._orig) > 0:
                data = self._orig + data
                self._orig = b""
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        if self.confirmed and self._transport == _PLAIN:
            if self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
                # Nothing that follows can change what the connection is.
                self.alive = False
                return
        if from_orig:
            self._orig += data
            self._frontend()
        else:
            self._resp += data
            self._backend()
        if len(self._orig) > MAX_PENDING or len(self._resp) > MAX_PENDING:
            self.connection.context.counters.count("postgresql_message_too_long")
            self.alive = False

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: messages cannot be found again behind a gap."""
        self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS; tell an ending within a message."""
        if self._transport == _TLS:
            deliver_end_of_stream(self._inner, from_orig)
        elif len(self._orig if from_orig else self._resp) > 0 and self._asked:
            self._give_up()

    def flip(self) -> None:
        """Give up: the two sides were mistaken for each other."""
        self.alive = False

    def finish(self) -> None:
        """Finish the TLS stream."""
        finish_all(self._inner)

    def _give_up(self) -> None:
        self.violation()
        self.alive = False

    def _frontend(self) -> None:
        data = self._orig
        if not self._asked:
            if len(data) < 8:
                if len(data) >= 4 and u32(data, 0) < 8:
                    self._give_up()
                return
            length = u32(data, 0)
            if length < 8:
                self._give_up()
                return
            self._asked = True
            self._wants_tls = length == 8 and u32(data, 4) == _SSL_REQUEST
            if self._wants_tls:
                self._orig = data[8:]
            else:
                self._transport = _PLAIN
                if u16(data, 4) != 3:
                    self._give_up()
                    return
        if self._transport == _UNDECIDED:
            if len(self._orig) > 0:
                self._orig_held += 1
                if self._orig_held > MAX_HELD:
                    self._give_up()
            return
        offset = 0
        data = self._orig
        if not self._started:
            if len(data) < 8:
                return
            length = u32(data, 0)
            if length < 9 or u16(data, 4) != 3:
                self._give_up()
                return
            if len(data) < length:
                return
            if not _is_startup(data, 8, length):
                self._give_up()
                return
            self._started = True
            self.confirm()
            offset = length
        while self.alive and len(data) - offset >= 5:
            length = u32(data, offset + 1)
            if length < 4:
                self._give_up()
                return
            end = offset + 1 + length
            if end > len(data):
                break
            if data[offset] == 0x51 and data.find(b"\x00", offset + 5, end) < 0:
                self._give_up()
                return
            offset = end
        self._orig = data[offset:]

    def _backend(self) -> None:
        if not self._asked:
            self._resp_held += 1
            if self._resp_held > MAX_HELD:
                self._give_up()
            return
        data = self._resp
        offset = 0
        if self._transport == _UNDECIDED:
            if len(data) == 0:
                return
            answer = data[0]
            if answer != 0x53 and answer != 0x4E:
                self._give_up()
                return
            self.confirm()
            if answer == 0x53:
                self._transport = _TLS
                self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
                self._resp = b""
                if len(data) > 1:
                    deliver_stream(self._inner, False, data[1:])
                return
            self._transport = _PLAIN
            offset = 1
        while self.alive and len(data) - offset >= 5:
            length = u32(data, offset + 1)
            if length < 4:
                self._give_up()
                return
            end = offset + 1 + length
            if end > len(data):
                break
            if not _is_backend_message(data[offset], data, offset + 5, end):
                self._give_up()
                return
            offset = end
        self._resp = data[offset:]


def _is_startup(data: bytes, offset: int, end: int) -> bool:
    """Whether parameters and a final zero fill ``offset`` to ``end``."""
    if offset >= end or data[end - 1] != 0:
        return False
    end -= 1
    while offset < end:
        name = _name_end(data, offset, end)
        if name == offset or name >= end or data[name] != 0:
            return False
        value = _text_end(data, name + 1, end)
        if value == name + 1 or value >= end or data[value] != 0:
            return False
        offset = value + 1
    return True


def _is_backend_message(kind: int, data: bytes, start: int, end: int) -> bool:
    """Whether the body of a message of the server is what its type has."""
    if kind == 0x4B:
        return end - start >= 8
    if kind == 0x45 or kind == 0x4E:
        return start < end and data[end - 1] == 0
    if kind == 0x52:
        if end - start < 4:
            return False
        identifier = u32(data, start)
        return identifier <= 12 and (identifier != 0 or end - start == 4)
    if kind == 0x53:
        name = _name_end(data, start, end)
        if name == start or name >= end or data[name] != 0:
            return False
        value = _text_end(data, name + 1, end)
        return value < end and data[value] == 0
    if kind == 0x44:
        return end - start >= 2
    if kind == 0x5A:
        return start < end and data[start] in b"ITE"
    return True
