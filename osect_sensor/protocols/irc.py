"""IRC (RFC 2812) with STARTTLS, and the DCC transfers that it announces."""

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
from osect_sensor.protocols.lines import LineBuffer, decimal, is_digit, reply_code
from osect_sensor.wire.packet import TCP

MAX_LINE: Final = 1000
"""Octets after which a line is cut."""

MAX_MESSAGE: Final = 512
"""Octets of a message (RFC 2812 section 2.3); longer lines are passed over."""

MAX_INVALID: Final = 20
"""Messages with an impossibly long command after which this is not IRC."""

TRANSFER_LIFETIME: Final = 300 * 1_000_000
"""Microseconds within which an announced transfer has to begin."""

_RPL_STARTTLS: Final = 670

_CLIENT_COMMANDS: Final = [
    b"ADMIN", b"AWAY", b"CNOTICE", b"CPRIVMSG", b"CONNECT", b"DIE", b"ENCAP", b"ERROR", b"INFO",
    b"INVITE", b"ISON", b"JOIN", b"KICK", b"KILL", b"KNOCK", b"LINKS", b"LIST", b"LUSERS", b"MODE",
    b"MOTD", b"NAMES", b"NICK", b"NOTICE", b"OPER", b"PART", b"PASS", b"PING", b"PONG", b"PRIVMSG",
    b"QUIT", b"REHASH", b"RULES", b"SERVER", b"SERVICE", b"SERVLIST", b"SETNAME", b"SILENCE",
    b"SQUERY", b"SQUIT", b"STATS", b"SUMMON", b"TIME", b"TOPIC", b"TRACE", b"USER", b"USERHOST",
    b"USERS", b"VERSION", b"WALLOPS", b"WHO", b"WHOIS", b"WHOWAS", b"STARTTLS",
]  # fmt: skip


@final
class IrcAnalyzer(Analyzer):
    """IRC: confirmed by a client's command."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "irc")
        self._orig: LineBuffer = LineBuffer(True, MAX_LINE)
        self._resp: LineBuffer = LineBuffer(True, MAX_LINE)
        self._invalid: int = 0
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next lines of one direction, or of the TLS stream that follows STARTTLS."""
        if self._secured:
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        lines = self._orig if from_orig else self._resp
        lines.append(data)
        while self.alive and not self._secured:
            line = lines.next_line()
            if line is None:
                break
            self._message(from_orig, line)

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

    def _message(self, from_orig: bool, line: bytes) -> None:
        if len(line) > MAX_MESSAGE:
            return
        line = line.lstrip(b" ")
        if len(line) < 3:
            return
        if line.startswith(b"@"):
            # Message tags of IRCv3.
            space = line.find(b" ")
            if space < 0:
                return
            line = line[space + 1 :]
        if line.startswith(b":"):
            space = line.find(b" ")
            if space < 0:
                return
            line = line[space + 1 :].lstrip(b" ")
        if len(line) < 3:
            self.violation()
            return
        if is_digit(line[0]):
            code = reply_code(line)
            if code < 0 or len(line) < 4 or line[3] != 0x20:
                self.violation()
            elif code == _RPL_STARTTLS:
                self._secured = True
                self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
            return
        space = line.find(b" ")
        command = line if space < 0 else line[:space]
        command = command.upper()
        if from_orig and not self.confirmed and command in _CLIENT_COMMANDS:
            self.confirm()
        if len(command) > 20:
            self._invalid += 1
            if self._invalid > MAX_INVALID:
                self.violation()
        elif command == b"PRIVMSG" and space >= 0:
            self._private_message(line[space + 1 :].lstrip(b" "))

    def _private_message(self, parameters: bytes) -> None:
        """Announce the connection that a DCC SEND offers (Client-to-Client Protocol)."""
        space = parameters.find(b" ")
        if space < 0:
            return
        message = parameters[space + 1 :].lstrip(b" ")
        if message.startswith(b":"):
            message = message[1:]
        if message.startswith(b"\x01"):
            message = message[1:]
        if not message.startswith(b"DCC") or len(message) <= 3:
            return
        if message.endswith(b"\x01"):
            message = message[:-1]
        parts = [part for part in message.split(b" ") if len(part) > 0]
        if len(parts) < 5 or len(parts) > 7 or (len(parts) == 7 and parts[6] != b"T"):
            return
        if parts[1] != b"SEND":
            return
        address = decimal(parts[3], 0, len(parts[3]), 0xFFFFFFFF)
        port = decimal(parts[4], 0, len(parts[4]), 65535)
        if address < 0 or port < 0:
            return
        responder = bytes(
            [address >> 24, address >> 16 & 0xFF, address >> 8 & 0xFF, address & 0xFF]
        )
        self.connection.context.expect_connection(
            b"", responder, port, TCP, "irc-dcc-data", TRANSFER_LIFETIME
        )
