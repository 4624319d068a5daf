"""SIP over UDP (RFC 3261)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.protocols.lines import MAX_LINE, LineBuffer, is_digit

MAX_BODY: Final = 1 << 31
"""Octets of a body; a longer one is not announced in earnest."""

_FIRST_LINE: Final = 0
_HEADERS: Final = 1
_BODY: Final = 2

_TOKEN: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + b"_.!%*+`'~-"


@final
class _Flow:
    """The messages of one kind, requests or replies, read as one stream."""

    def __init__(self) -> None:
        self.lines: LineBuffer = LineBuffer(True, MAX_LINE)
        self.state: int = _FIRST_LINE
        self.content_length: int = 0
        """Of the last message that had one: it holds for those that have none."""
        self.body: int = 0


@final
class SipAnalyzer(Analyzer):
    """SIP: confirmed by a status line."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "sip")
        self._requests: _Flow = _Flow()
        self._replies: _Flow = _Flow()

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take a message; either end may ask and answer."""
        if len(data) == 2 and data[0] == 0x0D:
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        is_reply = len(data) > 6 and data.startswith(b"SIP/")
        flow = self._replies if is_reply else self._requests
        flow.lines.append(data)
        while self.alive:
            if flow.state == _BODY:
                flow.body = flow.lines.skip(flow.body)
                if flow.body > 0:
                    return
                flow.state = _FIRST_LINE
            line = flow.lines.next_line()
            if line is None:
                return
            if not self._line(flow, line, is_reply):
                flow.lines.rest()
                flow.state = _FIRST_LINE
                self.violation()
                return

    def _line(self, flow: _Flow, line: bytes, is_reply: bool) -> bool:
        if flow.state == _FIRST_LINE:
            flow.state = _HEADERS
            if not is_reply:
                return _is_request_line(line)
            if not _is_status_line(line):
                return False
            self.confirm()
            return True
        if len(line) == 0:
            flow.state = _BODY
            flow.body = flow.content_length
            return True
        return self._header(flow, line)

    def _header(self, flow: _Flow, line: bytes) -> bool:
        end = 0
        while end < len(line) and line[end] != 0x3A and line[end] != 0x20 and line[end] != 0x09:
            end += 1
        colon = _skip_blanks(line, end)
        if end == 0 or colon >= len(line) or line[colon] != 0x3A:
            return False
        name = line[:end]
        if name == b"Content-Length" or name == b"L":
            start = _skip_blanks(line, colon + 1)
            value = 0
            while start < len(line) and is_digit(line[start]) and value < MAX_BODY:
                value = value * 10 + line[start] - 0x30
                start += 1
            flow.content_length = value
        return True


def _skip_blanks(line: bytes, offset: int) -> int:
    while offset < len(line) and (line[offset] == 0x20 or line[offset] == 0x09):
        offset += 1
    return offset


def _version_end(line: bytes, offset: int) -> int:
    """Behind ``SIP/d.d`` at ``offset``, or -1."""
    if not line.startswith(b"SIP/", offset):
        return -1
    offset += 4
    start = offset
    while offset < len(line) and is_digit(line[offset]):
        offset += 1
    if offset == start or offset >= len(line) or line[offset] != 0x2E:
        return -1
    offset += 1
    start = offset
    while offset < len(line) and is_digit(line[offset]):
        offset += 1
    return offset if offset > start else -1


def _is_request_line(line: bytes) -> bool:
    """``METHOD uri SIP/d.d``, perhaps behind octets that no method can have."""
    start = 0
    while start < len(line) and line[start] not in _TOKEN:
        start += 1
    end = start
    while end < len(line) and line[end] in _TOKEN:
        end += 1
    if end == start:
        return False
    uri = _skip_blanks(line, end)
    end = uri
    while end < len(line) and 0x21 <= line[end] <= 0x7E:
        end += 1
    return end > uri and _version_end(line, _skip_blanks(line, end)) >= 0


def _is_status_line(line: bytes) -> bool:
    """``SIP/d.d nnn``."""
    end = _version_end(line, 0)
    if end < 0:
        return False
    status = _skip_blanks(line, end)
    return (
        status + 3 <= len(line)
        and is_digit(line[status])
        and is_digit(line[status + 1])
        and is_digit(line[status + 2])
    )
