"""Cuts an octet stream into lines, and into runs of plain octets where the protocol asks for it.

Text protocols such as HTTP switch between the two while they read, so lines are pulled one at a
time: what the reader sets after one piece holds for the next. The rules are those of Zeek's
content-line analyzer, by which its body lengths come about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_LINE_LENGTH: Final = 16 * 1024 * 1024 - 100
"""Octets of one line, after which it is cut (Zeek's limit)."""

MAX_KEPT_LINE: Final = 1024 * 1024
"""Octets of one line that are kept. The rest is only counted: no start line or header is that
long, and of bodies nothing but the length is recorded."""

MAX_BLOCK: Final = 64 * 1024
"""Octets up to a blank line that are cut into lines all at once: start lines and headers, which
are a few kilobytes."""

_NONE: Final = -1
_CR: Final = 0x0D
_LF: Final = 0x0A

_NO_LINES: Final[list[bytes]] = []


@final
class ContentLines:
    """One direction of a stream. ``feed`` octets, then pull with ``next`` until it says False."""

    def __init__(self) -> None:
        self.line: bytes = b""
        """The piece that ``next`` found, without its line end, cut at ``MAX_KEPT_LINE``."""
        self.length: i64 = 0
        """Octets of that piece."""
        self.plain: bool = False
        """Whether that piece is a run of plain octets and no line."""
        self.single_ends: bool = True
        """Whether CR and LF alone end a line as CR LF does."""
        self.skipping: bool = False
        """Whether everything is to be ignored from now on."""
        self._input: bytes = b""
        self._position: i64 = 0
        self._line_feed: i64 = _NONE
        """Where the first LF at or after ``_position`` was last found in the input."""
        self._blank_line: i64 = _NONE
        """Where the first CR LF CR LF at or after ``_position`` was last found, ditto."""
        self._block: list[bytes] = []
        self._block_next: i64 = 0
        """Lines that were cut in advance, each with its end, and which of them is at
        ``_position``."""
        self._parts: list[bytes] = []
        self._kept: i64 = 0
        self._offset: i64 = 0
        """Length of the unfinished line, of which ``_kept`` octets are in ``_parts``."""
        self._last: i64 = _NONE
        """The octet before the current one, forgotten after plain octets."""
        self._plain_left: i64 = 0
        self._delivery_left: i64 = _NONE
        self._after_plain: bool = False
        self._flushing: bool = False

    def set_plain(self, length: i64) -> None:
        """Take the next ``length`` octets as they are."""
        self._plain_left = length

    def set_delivery(self, length: i64) -> None:
        """Announce that a line left unfinished ``length`` octets on ends there; -1 revokes it.

        Octets that were already fed do not count.
        """
        self._delivery_left = length

    def remaining(self) -> i64:
        """Octets that were fed and not yet pulled."""
        return len(self._input) - self._position

    def feed(self, data: bytes) -> None:
        """Add octets; only when the previous ones have been pulled."""
        if self.skipping or len(data) == 0:
            return
        if self._delivery_left > 0:
            self._delivery_left -= len(data)
        self._set_input(data)
        self._after_plain = False
        self._flushing = False

    def feed_end(self) -> None:
        """Say that the stream has ended, which ends an unfinished line."""
        if self._offset > 0:
            self.feed(b"\n")

    def next(self) -> bool:
        """Find the next piece; False when more octets are needed."""
        while not self.skipping:
            if self._block_next < len(self._block):
                if self._plain_left <= 0 and self.single_ends:
                    self._take_from_block()
                    return True
                self._drop_block()
            if self._position >= len(self._input):
                if not self._end_of_input():
                    return False
                continue
            if not self._after_plain:
                if self.single_ends and self._last == _CR and self._input[self._position] == _LF:
                    # CR has ended the line already.
                    self._last = _LF
                    self._position += 1
                if self._plain_left > 0:
                    self._last = _NONE
                    if self._position >= len(self._input):
                        continue
                    self._take_plain()
                    return True
                if self._position >= len(self._input):
                    continue
            self._after_plain = False
            if self._take_line():
                return True
        self._set_input(b"")
        return False

    def _set_input(self, data: bytes) -> None:
        self._input = data
        self._position = 0
        self._line_feed = _NONE
        self._blank_line = _NONE
        self._drop_block()

    def _end_of_input(self) -> bool:
        """Whether an announced end of delivery makes for further input."""
        if self._input == b"":
            return False
        self._set_input(b"")
        if self._flushing:
            self._delivery_left = _NONE
        elif self._delivery_left == 0:
            if self._offset > 0:
                self._flushing = True
                self._set_input(b"\r\n")
                return True
            self._delivery_left = _NONE
        return False

    def _take_plain(self) -> None:
        start = self._position
        stop = start + min(len(self._input) - start, self._plain_left)
        self._plain_left -= stop - start
        self._position = stop
        self._after_plain = True
        whole = start == 0 and stop == len(self._input)
        self.line = self._input if whole else self._input[start:stop]
        self.length = stop - start
        self.plain = True

    def _take_from_block(self) -> None:
        line = self._block[self._block_next]
        self._block_next += 1
        self._position += len(line)
        stop = len(line) - 1
        self._last = line[stop]
        if stop > 0 and line[stop] == _LF and line[stop - 1] == _CR:
            stop -= 1
        self.line = line[:stop]
        self.length = stop
        self.plain = False

    def _cut_block(self) -> bool:
        """Cut all lines up to the next blank one; False if that is not there, or far away."""
        data = self._input
        start = self._position
        if self._blank_line < start:
            found = data.find(b"\r\n\r\n", start)
            self._blank_line = found if found >= 0 else len(data)
        stop = self._blank_line + 4
        if stop > len(data) or stop - start > MAX_BLOCK:
            return False
        self._block = data[start:stop].splitlines(True)
        self._block_next = 0
        return True

    def _drop_block(self) -> None:
        self._block = _NO_LINES
        self._block_next = 0

    def _take_line(self) -> bool:
        """Scan to the end of the line; False when the input has no such end."""
        if self._offset == 0 and self.single_ends and self._cut_block():
            self._take_from_block()
            return True
        data = self._input
        end: i64 = len(data)
        start = self._position
        position = start
        limit = start + MAX_LINE_LENGTH - self._offset
        while True:
            stop = self._find_end(position)
            if min(stop, end - 1) >= limit:
                # The line is too long: it ends here and loses two octets.
                self._keep(data, start, limit)
                self._last = data[limit]
                self._position = limit + 1
                self._emit(MAX_LINE_LENGTH - 1)
                return True
            if stop >= end:
                self._keep(data, start, end)
                self._last = data[end - 1]
                self._position = end
                return False
            if data[stop] == _CR:
                if stop + 1 < end and data[stop + 1] == _LF:
                    self._keep(data, start, stop)
                    self._last = _LF
                    self._position = stop + 2
                    self._emit(self._offset)
                    return True
                if self.single_ends:
                    self._keep(data, start, stop)
                    self._last = _CR
                    self._position = stop + 1
                    self._emit(self._offset)
                    return True
            elif self.single_ends:
                self._keep(data, start, stop)
                self._last = _LF
                self._position = stop + 1
                self._emit(self._offset)
                return True
            elif stop == start and self._last == _CR:
                # CR and LF came in two deliveries.
                self._last = _LF
                self._position = stop + 1
                if self._offset > 0:
                    self._emit(self._offset - 1)
                    return True
                start = stop + 1
                limit = start + MAX_LINE_LENGTH
                if start >= end:
                    return False
            position = stop + 1

    def _find_end(self, position: i64) -> i64:
        """Where the next CR or LF is, or the end of the input."""
        data = self._input
        if self._line_feed < position:
            found = data.find(b"\n", position)
            self._line_feed = found if found >= 0 else len(data)
        carriage_return = data.find(b"\r", position, self._line_feed)
        return self._line_feed if carriage_return < 0 else carriage_return

    def _keep(self, data: bytes, start: i64, stop: i64) -> None:
        self._offset += stop - start
        room = MAX_KEPT_LINE - self._kept
        if stop - start > room:
            stop = start + room
        if stop > start:
            self._parts.append(data[start:stop])
            self._kept += stop - start

    def _emit(self, length: i64) -> None:
        line = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if len(line) > length:
            line = line[:length]
        self.line = line
        self.length = length
        self.plain = False
        self._parts = []
        self._kept = 0
        self._offset = 0
