"""MySQL's client/server protocol (MySQL Internals manual)."""

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
"""Octets of an incomplete packet kept in each direction."""

MAX_ATTRIBUTES: Final = 4096
"""Attributes of a query; more do not fit the octets in which violations count."""

_CONNECT_WITH_DB: Final = 0x00000008
_SSL: Final = 0x00000800
_PLUGIN_AUTH: Final = 0x00080000
_CONNECT_ATTRS: Final = 0x00100000
_DEPRECATE_EOF: Final = 0x01000000
_ZSTD: Final = 0x04000000
_QUERY_ATTRIBUTES: Final = 0x08000000

_COM_QUERY: Final = 0x03
_COM_FIELD_LIST: Final = 0x04
_COM_PROCESS_INFO: Final = 0x0A
_COM_CHANGE_USER: Final = 0x11

_ANSWERED_BY_STATUS: Final = [
    0x00, 0x01, 0x02, 0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x1D, 0x1F,
]  # fmt: skip
"""Sleep, quit, init db, create and drop db, refresh, shutdown, connect, process kill, debug, ping,
time, delayed insert, daemon, reset connection."""

# What the server is expected to send next.
_ANYTHING: Final = 0
_STATUS: Final = 1
_COLUMN_COUNT: Final = 2
_COLUMN_DEFINITION: Final = 3
_DEFINITION_OR_EOF: Final = 4
_EOF_THEN_ROWS: Final = 5
_ROWS: Final = 6

_OK: Final = 0x00
_EOF: Final = 0xFE
_ERROR: Final = 0xFF

_SHORT_EOF: Final = 13
"""Octets of a packet, header included, up to which 0xFE begins an EOF and not an OK."""

_BAD: Final = -1


def _skip_text(data: bytes, offset: int, end: int) -> int:
    """Behind the zero-terminated string at ``offset``, or ``_BAD``."""
    if offset == _BAD:
        return _BAD
    zero = data.find(b"\x00", offset, end)
    return _BAD if zero < 0 else zero + 1


def _integer_width(first: int) -> int:
    """Octets behind the first one of a length-encoded integer."""
    if first == 0xFC:
        return 2
    if first == 0xFD:
        return 3
    if first == 0xFE:
        return 8
    return 0


def _skip_integer(data: bytes, offset: int, end: int) -> int:
    """Behind the length-encoded integer at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset >= end:
        return _BAD
    offset += 1 + _integer_width(data[offset])
    return offset if offset <= end else _BAD


def _integer(data: bytes, offset: int, behind: int) -> int:
    """The length-encoded integer from ``offset`` to ``behind``; 0 for NULL and error marks."""
    if behind == offset + 1:
        return data[offset] if data[offset] < 0xFB else 0
    value = 0
    for index in range(offset + 1, behind):
        value |= data[index] << 8 * (index - offset - 1)
    return value


def _skip_counted(data: bytes, offset: int, end: int) -> int:
    """Behind the length-encoded string at ``offset``, or ``_BAD``."""
    behind = _skip_integer(data, offset, end)
    if behind == _BAD:
        return _BAD
    offset = behind + _integer(data, offset, behind)
    return offset if offset <= end else _BAD


def _skip_attributes(data: bytes, offset: int, end: int) -> int:
    """Behind the connection attributes at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset >= end:
        return _BAD
    last = offset + 1 + data[offset]
    if last > end:
        return _BAD
    offset += 1
    while offset != _BAD and offset < last:
        offset = _skip_counted(data, offset, last)
        offset = _skip_counted(data, offset, last)
    return offset


def _skip_value(kind: int, data: bytes, offset: int, end: int) -> int:
    """Behind a value of the binary protocol at ``offset``, or ``_BAD``."""
    if kind == 0x00:
        return _skip_integer(data, offset, end)
    if kind == 0x0F or kind == 0x10 or kind >= 0xF5:
        return _skip_counted(data, offset, end)
    if kind in (0x07, 0x0A, 0x0B, 0x0C, 0x11):
        # Date and time: a length, one of a few.
        if offset >= end:
            return _BAD
        length = data[offset]
        if length not in ((0, 8, 12) if kind == 0x0B else (0, 4, 7, 11)):
            return _BAD
        offset += 1 + length
    elif kind in (0x03, 0x04, 0x09):
        offset += 4
    elif kind == 0x05 or kind == 0x08:
        offset += 8
    elif kind == 0x02 or kind == 0x0D:
        offset += 2
    elif kind == 0x01:
        offset += 1
    elif kind != 0x06:
        return _BAD
    return offset if offset <= end else _BAD


@final
class MysqlAnalyzer(Analyzer):
    """MySQL: confirmed by the client's answer to the server's handshake."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "mysql")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._version: int = 0
        """Of the handshake, 0 before it."""
        self._in_commands: bool = False
        """Whether the connection phase is over."""
        self._expects_response: bool = True
        """Whether the client's answer to the handshake is due, and not opaque authentication."""
        self._expected: int = _STATUS
        self._sequence: int = 0
        self._columns: int = 0
        self._columns_left: int = 0
        self._capabilities: int = 0
        self._server_query_attributes: bool = False
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
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while self.alive and not self._secured and len(pending) - offset >= 4:
            length = pending[offset] | pending[offset + 1] << 8 | pending[offset + 2] << 16
            end = offset + 4 + length
            if end > len(pending):
                break
            if from_orig:
                good = self._from_client(pending, offset + 4, end)
            else:
                good = self._from_server(pending[offset + 3], pending, offset + 4, end)
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

    def _enter_commands(self) -> None:
        self._in_commands = True
        self._expects_response = True

    def _from_server(self, sequence: int, data: bytes, start: int, end: int) -> bool:
        """Take a server's packet; whether it is what the state asks for."""
        initial = sequence == 0 and self._sequence != 255
        self._sequence = sequence
        if self._in_commands:
            return self._answer(data, start, end)
        if initial:
            return self._handshake(data, start, end)
        if start >= end:
            return False
        kind = data[start]
        if kind == _OK:
            return self._ok(data, start + 1, end)
        if kind == _ERROR:
            return self._error(start + 1, end)
        if kind == _EOF:
            # Another authentication method is asked for.
            self._expects_response = False
            self._expected = _STATUS
            return _skip_text(data, start + 1, end) != _BAD
        return kind == 0x01

    def _ok(self, data: bytes, start: int, end: int) -> bool:
        if _skip_integer(data, start, end) == _BAD:
            return False
        self._enter_commands()
        return True

    def _error(self, start: int, end: int) -> bool:
        if start + 8 > end:
            return False
        self._enter_commands()
        return True

    def _handshake(self, data: bytes, start: int, end: int) -> bool:
        """Take the server's first packet."""
        if start >= end:
            return False
        self._version = data[start]
        if self._version == 9:
            offset = _skip_text(data, start + 1, end)
            return offset != _BAD and _skip_text(data, offset + 4, end) != _BAD
        if self._version != 10:
            # The server is not willing.
            return self._error(start + 1, end)
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
        self._server_query_attributes = capabilities & _QUERY_ATTRIBUTES != 0
        return capabilities & _PLUGIN_AUTH == 0 or _skip_text(data, offset, end) != _BAD

    def _from_client(self, data: bytes, start: int, end: int) -> bool:
        """Take a client's packet; whether it is what the state asks for."""
        if self._in_commands:
            return self._command(data, start, end)
        if not self._expects_response:
            return True
        if self._version == 9:
            return self._response_9(data, start, end)
        if self._version != 10 or start + 32 > end:
            return False
        flags = u32le(data, start)
        if flags & _SSL != 0:
            self._capabilities = flags
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
        if flags & _CONNECT_ATTRS != 0:
            offset = _skip_attributes(data, offset, end)
        if offset == _BAD or (flags & _ZSTD != 0 and offset >= end):
            return False
        self._capabilities = flags
        if flags & _PLUGIN_AUTH != 0:
            self._expects_response = False
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

    def _command(self, data: bytes, start: int, end: int) -> bool:
        """Take a client's command and expect its answer."""
        if start >= end:
            return False
        command = data[start]
        if (
            command == _COM_QUERY
            and self._capabilities & _QUERY_ATTRIBUTES != 0
            and self._server_query_attributes
            and not self._query_attributes(data, start + 1, end)
        ):
            return False
        if command == _COM_CHANGE_USER:
            if not self._change_user(data, start + 1, end):
                return False
            self._in_commands = False
        elif command in _ANSWERED_BY_STATUS:
            self._expected = _STATUS
        elif command in (_COM_QUERY, _COM_PROCESS_INFO):
            self._expected = _COLUMN_COUNT
        elif command == _COM_FIELD_LIST:
            self._expected = _DEFINITION_OR_EOF
        else:
            self._expected = _ANYTHING
        return True

    def _query_attributes(self, data: bytes, offset: int, end: int) -> bool:
        behind = _skip_integer(data, offset, end)
        if behind == _BAD:
            return False
        count = _integer(data, offset, behind)
        offset = _skip_integer(data, behind, end)
        if count == 0:
            return offset != _BAD
        nulls = offset
        offset += (count + 7) // 8
        if nulls == _BAD or count > MAX_ATTRIBUTES or offset >= end or data[offset] != 1:
            return False
        offset += 1
        kinds: list[int] = []
        for _ in range(count):
            if offset + 2 > end:
                return False
            kinds.append(data[offset])
            offset = _skip_counted(data, offset + 2, end)
            if offset == _BAD:
                return False
        for index in range(count):
            if data[nulls + index // 8] >> index % 8 & 1 == 0:
                offset = _skip_value(kinds[index], data, offset, end)
                if offset == _BAD:
                    return False
        return True

    def _change_user(self, data: bytes, offset: int, end: int) -> bool:
        offset = _skip_text(data, offset, end)
        if offset == _BAD or offset >= end:
            return False
        offset = _skip_text(data, offset + 1 + data[offset], end)
        if offset == _BAD or offset + 2 > end:
            return False
        offset += 2
        if self._capabilities & _PLUGIN_AUTH != 0:
            offset = _skip_text(data, offset, end)
        if self._capabilities & _CONNECT_ATTRS != 0:
            offset = _skip_attributes(data, offset, end)
        return offset != _BAD

    def _answer(self, data: bytes, start: int, end: int) -> bool:
        """Take a packet of the answer to a command."""
        expected = self._expected
        if expected == _ANYTHING:
            return True
        if start >= end:
            return False
        kind = data[start]
        if expected == _STATUS:
            if kind == _OK:
                return self._ok(data, start + 1, end)
            if kind == _ERROR:
                return self._error(start + 1, end)
            return kind != _EOF or start + 5 <= end
        if expected == _COLUMN_COUNT:
            if kind == _OK:
                return self._ok(data, start + 1, end)
            if kind == _ERROR:
                return self._error(start + 1, end)
            behind = _skip_integer(data, start, end)
            if behind == _BAD:
                return False
            self._columns = _integer(data, start, behind)
            self._columns_left = self._columns
            self._expected = _COLUMN_DEFINITION
            return True
        if expected == _COLUMN_DEFINITION:
            self._columns_left -= 1
            if self._columns_left == 0:
                self._expected = _EOF_THEN_ROWS
            return self._definition(data, start, end)
        if expected == _DEFINITION_OR_EOF:
            if kind == _EOF:
                return self._eof_or_ok(data, start, end)
            return self._definition(data, start, end)
        if expected == _EOF_THEN_ROWS and self._capabilities & _DEPRECATE_EOF == 0:
            self._expected = _ROWS
            return start + 5 <= end
        if kind == _EOF:
            self._expected = _ANYTHING
            return self._eof_or_ok(data, start, end)
        self._expected = _ROWS
        return self._row(data, start, end)

    def _eof_or_ok(self, data: bytes, start: int, end: int) -> bool:
        if self._capabilities & _DEPRECATE_EOF != 0 or end - start + 4 > _SHORT_EOF:
            return self._ok(data, start + 1, end)
        return start + 5 <= end

    def _definition(self, data: bytes, offset: int, end: int) -> bool:
        for _ in range(6):
            offset = _skip_counted(data, offset, end)
        offset = _skip_integer(data, offset, end)
        return offset != _BAD and offset + 12 <= end

    def _row(self, data: bytes, offset: int, end: int) -> bool:
        column = 0
        while column == 0 or column < self._columns:
            offset = _skip_counted(data, offset, end)
            if offset == _BAD:
                return False
            column += 1
        return True
