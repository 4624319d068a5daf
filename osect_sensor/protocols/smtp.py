"""SMTP (RFC 5321) with STARTTLS (RFC 3207) and chunks (RFC 3030)."""

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
from osect_sensor.protocols.lines import (
    MAX_LINE,
    LineBuffer,
    decimal,
    first_word,
    reply_code,
    skip_white,
)

MAX_PENDING_COMMANDS: Final = 1000
"""Pipelined commands without a reply."""

_MAX_CHUNK: Final = (1 << 63) - 1

_IN_SESSION: Final = 0
_IN_DATA: Final = 1
_IN_CHUNK: Final = 2
_IN_AUTH: Final = 3
_AFTER_GAP: Final = 4
_GAP_RECOVERY: Final = 5

_NO_COMMAND: Final = b""
_GREETING: Final = b">"
_END_OF_DATA: Final = b"."
_AUTH_ANSWER: Final = b"***"

_COMMANDS: Final = [
    b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"QUIT", b"RSET", b"VRFY", b"EXPN", b"HELP",
    b"NOOP", b"STARTTLS", b"X-ANONYMOUSTLS", b"SEND", b"SOML", b"SAML", b"TURN", b"BDAT", b"ETRN",
    b"AUTH",
]  # fmt: skip


@final
class SmtpAnalyzer(Analyzer):
    """SMTP: confirmed by a command of the client."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "smtp")
        self._orig: LineBuffer = LineBuffer(True, MAX_LINE)
        self._resp: LineBuffer = LineBuffer(True, MAX_LINE)
        self._state: int = _IN_SESSION
        self._orig_is_sender: bool = True
        """False after TURN."""
        self._first: bytes = _GREETING
        """The command whose reply is due."""
        self._queue: list[bytes] = []
        """Commands behind it."""
        self._pending_reply: int = -1
        """Code of the multi-line reply that has begun."""
        self._chunk: int = 0
        """Octets of a BDAT chunk still to come."""
        self._last_chunk: bool = False
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next lines of one direction, or of the TLS stream that follows STARTTLS."""
        if self._secured:
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        if self.connection.partial:
            return
        if (
            self.confirmed
            and (self._state == _IN_DATA or self._state == _IN_CHUNK)
            and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO
        ):
            # A message of some length: nothing that follows can change what the connection is.
            self.alive = False
            return
        lines = self._orig if from_orig else self._resp
        lines.append(data)
        while self.alive and not self._secured:
            if self._chunk > 0 and from_orig == self._orig_is_sender:
                self._chunk = lines.skip(self._chunk)
                if self._chunk > 0:
                    break
                if self._last_chunk:
                    self._update(_END_OF_DATA, 0)
            line = lines.next_line()
            if line is None:
                break
            line = line.rstrip(b"\r")
            if from_orig == self._orig_is_sender:
                self._command(line)
            else:
                self._reply(line)

    def gap(self, from_orig: bool, length: int) -> None:
        """Pass the gap on to TLS, or wait for the next reply to find the thread again."""
        if self._secured:
            deliver_gap(self._inner, from_orig, length)
            return
        self._queue = []
        self._first = _NO_COMMAND
        self._chunk = 0
        self._state = _AFTER_GAP

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS, or take the line that it cuts off."""
        if self._secured:
            deliver_end_of_stream(self._inner, from_orig)
        elif self._chunk == 0 and (self._orig if from_orig else self._resp).is_partial():
            self.stream(from_orig, b"\n")

    def flip(self) -> None:
        """Exchange the directions."""
        lines = self._orig
        self._orig = self._resp
        self._resp = lines
        for analyzer in self._inner:
            analyzer.flip()

    def finish(self) -> None:
        """Finish the TLS stream."""
        finish_all(self._inner)

    def _command(self, line: bytes) -> None:
        if self._state == _AFTER_GAP:
            return
        if self._state == _IN_DATA:
            if line == b".":
                self._queue_command(_END_OF_DATA)
                self._update(_END_OF_DATA, 0)
                self.confirm()
            return
        if self._state == _IN_AUTH:
            self._queue_command(_AUTH_ANSWER)
            self.confirm()
            self._update(_AUTH_ANSWER, 0)
            return
        start, end = first_word(line, 0)
        command = line[start:end].upper()
        if command not in _COMMANDS:
            return
        self._queue_command(command)
        self.confirm()
        if command == b"BDAT":
            if not self._begin_chunk(line[skip_white(line, end) :]):
                return
        elif self._state == _IN_CHUNK:
            self._state = _IN_SESSION
            self._chunk = 0
        self._update(command, 0)

    def _begin_chunk(self, argument: bytes) -> bool:
        digits = len(argument)
        space = argument.find(b" ")
        if space >= 0:
            digits = space
            if argument[space:].upper() != b" LAST":
                return False
        size = decimal(argument, 0, digits, _MAX_CHUNK)
        if size < 0:
            return False
        self._chunk = size
        self._last_chunk = space >= 0
        return True

    def _queue_command(self, command: bytes) -> None:
        if self._first == _NO_COMMAND:
            self._first = command
            return
        if len(self._queue) == MAX_PENDING_COMMANDS:
            self._queue = []
        self._queue.append(command)

    def _reply(self, line: bytes) -> None:
        code = reply_code(line)
        if code < 100 or code > 599:
            self.violation()
            return
        if self._pending_reply >= 0 and code != self._pending_reply:
            self._pending_reply = -1
        if self._pending_reply < 0:
            if self._state == _AFTER_GAP:
                self._state = _GAP_RECOVERY
                self.confirm()
            command = self._first
            self._first = _NO_COMMAND
            if len(self._queue) > 0:
                self._first = self._queue.pop(0)
            self._update(command, code)
        if len(line) > 3 and line[3] == 0x2D:
            self._pending_reply = code
        else:
            self._pending_reply = -1

    def _update(self, command: bytes, code: int) -> None:
        """Follow the session: a command just sent (``code`` 0) or its reply."""
        if command == b"DATA":
            if code == 0:
                self._state = _IN_DATA
            elif code != 354:
                self._state = _IN_SESSION
        elif command == b"BDAT":
            if code == 0:
                self._state = _IN_CHUNK
                if self._chunk == 0 and self._last_chunk:
                    self._state = _IN_SESSION
        elif command == b"AUTH" or command == _AUTH_ANSWER:
            if code == 334:
                self._state = _IN_AUTH
            elif code != 0:
                self._state = _IN_SESSION
        elif command == b"TURN":
            if code == 250:
                self._orig_is_sender = not self._orig_is_sender
                self._state = _IN_SESSION
        elif command == b"STARTTLS" or command == b"X-ANONYMOUSTLS":
            if code == 220:
                self._secured = True
                self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
        elif command == b"MAIL" or command in (b"SEND", b"SOML", b"SAML"):
            if code == 0 or (code != 250 and self._state != _IN_DATA):
                self._state = _IN_SESSION
        elif command == b"RCPT" or command == b"RSET" or command == b"QUIT":
            if code == 0:
                self._state = _IN_SESSION
        elif command == b"EHLO" or command == b"HELO":
            if code in (0, 421, 500, 501, 504, 550):
                self._state = _IN_SESSION
        elif command == _END_OF_DATA:
            self._state = _IN_SESSION
        elif command == _GREETING:
            if code == 421 or code == 554:
                self._state = _IN_SESSION
        elif self._state == _GAP_RECOVERY and code == 354:
            self._state = _IN_DATA
