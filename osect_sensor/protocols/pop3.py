"""POP3 (RFC 1939) with STLS (RFC 2595)."""

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
from osect_sensor.protocols.lines import MAX_LINE, LineBuffer

MAX_PENDING_COMMANDS: Final = 10
"""Pipelined commands without a reply."""

MAX_UNKNOWN_COMMANDS: Final = 10
"""Unknown words in place of commands after which this is not POP3."""

_AUTHORIZATION: Final = 1
_TRANSACTION: Final = 2
_OTHER: Final = 0

_COMMANDS: Final = [
    b"OK", b"ERR", b"USER", b"PASS", b"APOP", b"AUTH", b"STAT", b"LIST", b"RETR", b"DELE", b"RSET",
    b"NOOP", b"LAST", b"QUIT", b"TOP", b"CAPA", b"UIDL", b"STLS", b"XSENDER",
]  # fmt: skip

_AUTH_EXCHANGE: Final = b"AUTH method"
"""The state of an AUTH that named a method and now exchanges its lines."""


@final
class Pop3Analyzer(Analyzer):
    """POP3: confirmed when the server agrees to USER, CAPA or STLS."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "pop3")
        self._orig: LineBuffer = LineBuffer(True, MAX_LINE)
        self._resp: LineBuffer = LineBuffer(True, MAX_LINE)
        self._phase: int = _OTHER
        self._command: bytes = b""
        """The command whose reply is due."""
        self._guess: bytes = b""
        """A command out of its phase: it tells that the log-in was missed, if it succeeds."""
        self._authenticating: bool = False
        self._wants_lines: bool = False
        self._in_lines: bool = False
        self._unknown_commands: int = 0
        self._queue: list[bytes] = []
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next lines of one direction, or of the TLS stream that follows STLS."""
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
        lines = self._orig if from_orig else self._resp
        lines.append(data)
        while self.alive and not self._secured:
            line = lines.next_line()
            if line is None:
                break
            if from_orig:
                self._request(line)
            else:
                self._reply(line)

    def gap(self, from_orig: bool, length: int) -> None:
        """Pass the gap on to TLS; lines are found again behind it."""
        if self._secured:
            deliver_gap(self._inner, from_orig, length)

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS, or take the line that it cuts off."""
        if self._secured:
            deliver_end_of_stream(self._inner, from_orig)
        elif (self._orig if from_orig else self._resp).is_partial():
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

    def _request(self, line: bytes) -> None:
        if len(line) == 0 or self._authenticating:
            return
        self._queue.append(line)
        if len(self._queue) > MAX_PENDING_COMMANDS:
            self._queue.pop(0)
        if len(self._queue) == 1:
            self._next_command()

    def _next_command(self) -> None:
        """Let the oldest command without a reply take effect."""
        if len(self._queue) == 0:
            return
        word, argument = _split(self._queue[0])
        command = _known(word)
        if command == b"":
            if not self._authenticating:
                self._unknown_commands += 1
                if self._unknown_commands > MAX_UNKNOWN_COMMANDS:
                    self.violation()
            return
        if command == b"CAPA" or command == b"STLS" or command == b"QUIT":
            self._command = command
            if command == b"CAPA":
                self._wants_lines = True
        elif command == b"USER" or command == b"APOP":
            if self._phase == _AUTHORIZATION:
                self._command = command
        elif command == b"PASS":
            if self._phase == _AUTHORIZATION and self._command == b"USER":
                self._command = command
        elif command == b"AUTH":
            if self._phase == _AUTHORIZATION:
                if argument == b"":
                    self._command = b"AUTH"
                    self._wants_lines = True
                else:
                    self._command = _AUTH_EXCHANGE
                    self._authenticating = True
        elif command != b"OK" and command != b"ERR":
            if command == b"RETR" or command == b"TOP":
                self._wants_lines = True
            elif argument == b"" and (command == b"LIST" or command == b"UIDL"):
                self._wants_lines = True
            if self._phase == _TRANSACTION:
                self._command = command
            else:
                self._guess = command

    def _finish_command(self) -> None:
        if len(self._queue) > 0:
            self._queue.pop(0)
            self._next_command()

    def _reply(self, line: bytes) -> None:
        if self._in_lines:
            if line == b".":
                self._wants_lines = False
                self._in_lines = False
                self._finish_command()
            return
        word, _ = _split(line)
        status = _known(word)
        if status == b"":
            if not self._authenticating:
                self.violation()
        elif status == b"OK":
            self._success()
        elif status == b"ERR":
            self._failure()

    def _success(self) -> None:
        if self._guess != b"":
            self._phase = _TRANSACTION
            self._command = self._guess
            self._guess = b""
        command = self._command
        if command == b"" or command == b"USER":
            self._phase = _AUTHORIZATION
            if command == b"USER":
                self.confirm()
        elif command == b"STLS":
            self.confirm()
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
            return
        elif command == b"CAPA" or command in (b"UIDL", b"LIST", b"TOP", b"RETR"):
            if command == b"CAPA":
                self.confirm()
            if self._wants_lines:
                self._in_lines = True
        elif command == b"AUTH" or command == _AUTH_EXCHANGE:
            if self._wants_lines:
                self._in_lines = True
            if self._authenticating:
                self._phase = _TRANSACTION
            self._authenticating = False
        elif command == b"QUIT":
            self._phase = _OTHER
        else:
            self._phase = _TRANSACTION
        if not self._in_lines:
            self._finish_command()

    def _failure(self) -> None:
        self._wants_lines = False
        self._guess = b""
        self._authenticating = False
        command = self._command
        if command in (b"USER", b"PASS", b"APOP", b"AUTH", _AUTH_EXCHANGE):
            self._phase = _AUTHORIZATION
            self._command = b""
        elif command == b"QUIT":
            self._phase = _OTHER
        elif command != b"" and command != b"CAPA" and command != b"STLS":
            self._phase = _TRANSACTION
        self._finish_command()


def _split(line: bytes) -> tuple[bytes, bytes]:
    """The first word of ``line`` and the rest."""
    line = line.strip()
    space = line.find(b" ")
    if space < 0:
        return line, b""
    return line[:space], line[space + 1 :].lstrip(b" ")


def _known(word: bytes) -> bytes:
    """The command or status that ``word`` is, or none; signs before it do not count."""
    name = word.lstrip(b"+-").upper()
    if name in _COMMANDS:
        return name
    return b""
