"""Lines of text protocols, cut from stream octets as they come."""

from __future__ import annotations

from typing import Final, final

MAX_LINE: Final = 16384
"""Octets after which a line without an end is handed out as it is. RFC 5321 allows 1000 and FTP,
POP3 and IRC less; what is longer is not one of these protocols."""

_CR: Final = 0x0D
_LF: Final = 0x0A


@final
class LineBuffer:
    """One direction's octets, handed out line by line without their line ends."""

    def __init__(self, carriage_return_ends: bool, longest: int) -> None:
        self._carriage_return_ends: bool = carriage_return_ends
        """Whether a lone CR ends a line too; a lone LF and CR LF always do."""
        self._longest: int = longest
        self._data: bytes = b""
        self._offset: int = 0
        self._swallow_line_feed: bool = False

    def append(self, data: bytes) -> None:
        """Add octets behind those that are still unread."""
        if self._offset >= len(self._data):
            self._data = data
        else:
            self._data = self._data[self._offset :] + data
        self._offset = 0

    def next_line(self) -> bytes | None:
        """The next complete line, or None until more octets come."""
        data = self._data
        start = self._offset
        if self._swallow_line_feed and start < len(data):
            self._swallow_line_feed = False
            if data[start] == _LF:
                start += 1
                self._offset = start
        end = data.find(b"\n", start)
        if self._carriage_return_ends:
            carriage_return = data.find(b"\r", start, end) if end >= 0 else data.find(b"\r", start)
            if carriage_return >= 0:
                self._offset = carriage_return + 1
                self._swallow_line_feed = True
                return self._cut(start, carriage_return)
        if end < 0:
            if len(data) - start < self._longest:
                return None
            self._offset = start + self._longest
            return data[start : start + self._longest]
        self._offset = end + 1
        if end > start and data[end - 1] == _CR:
            end -= 1
        return self._cut(start, end)

    def rest(self) -> bytes:
        """Take all unread octets as they are: the lines have ended."""
        data = self._data[self._offset :] if self._offset <= len(self._data) else b""
        if self._swallow_line_feed and len(data) > 0 and data[0] == _LF:
            data = data[1:]
        self._swallow_line_feed = False
        self._data = b""
        self._offset = 0
        return data

    def skip(self, length: int) -> int:
        """Drop up to ``length`` unread octets; how many of them are still to come."""
        if self._swallow_line_feed and self._offset < len(self._data):
            self._swallow_line_feed = False
            if self._data[self._offset] == _LF:
                self._offset += 1
        here = min(length, len(self._data) - self._offset)
        self._offset += here
        return length - here

    def is_partial(self) -> bool:
        """Whether a line has begun that lacks its end."""
        offset = self._offset
        if self._swallow_line_feed and offset < len(self._data) and self._data[offset] == _LF:
            offset += 1
        return offset < len(self._data)

    def _cut(self, start: int, end: int) -> bytes:
        return self._data[start:end] if start <= end else b""


def first_word(line: bytes, offset: int) -> tuple[int, int]:
    """Start and end of the first word at or behind ``offset``; equal where there is none."""
    start = skip_white(line, offset)
    end = start
    while end < len(line) and not is_white(line[end]):
        end += 1
    return start, end


def skip_white(line: bytes, offset: int) -> int:
    """The offset of the first octet at or behind ``offset`` that is no white space."""
    while offset < len(line) and is_white(line[offset]):
        offset += 1
    return offset


def is_white(octet: int) -> bool:
    """Whether ``octet`` is ASCII white space."""
    return octet == 0x20 or 0x09 <= octet <= 0x0D


def is_digit(octet: int) -> bool:
    """Whether ``octet`` is an ASCII digit."""
    return 0x30 <= octet <= 0x39


def reply_code(line: bytes) -> int:
    """The three-digit code that begins ``line``, or -1."""
    if len(line) < 3 or not is_digit(line[0]) or not is_digit(line[1]) or not is_digit(line[2]):
        return -1
    return (line[0] - 0x30) * 100 + (line[1] - 0x30) * 10 + line[2] - 0x30


def decimal(data: bytes, start: int, end: int, limit: int) -> int:
    """The decimal number that ``start`` to ``end`` spell, or -1 if none up to ``limit``."""
    if start >= end:
        return -1
    value = 0
    while start < end:
        octet = data[start]
        if not is_digit(octet):
            return -1
        value = value * 10 + octet - 0x30
        if value > limit:
            return -1
        start += 1
    return value
