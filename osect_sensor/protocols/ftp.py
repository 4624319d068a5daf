"""FTP control connections (RFC 959, RFC 2428, RFC 4217), and the data connections they announce."""

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
from osect_sensor.protocols.lines import (
    MAX_LINE,
    LineBuffer,
    decimal,
    first_word,
    is_digit,
    reply_code,
    skip_white,
)
from osect_sensor.wire.packet import TCP

INACTIVITY_TIMEOUT: Final = 3600 * 1_000_000
"""Microseconds of silence that a person at a control connection is granted."""

DATA_LIFETIME: Final = 300 * 1_000_000
"""Microseconds within which an announced data connection has to begin."""

MAX_COMMAND: Final = 100
"""Octets of a command word; what is longer is no command."""

_IAC: Final = 255
_SB: Final = 250
_WILL: Final = 251
_DONT: Final = 254


@final
class FtpAnalyzer(Analyzer):
    """FTP: confirmed by a line of the client that begins with a command word."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "ftp")
        self._orig: LineBuffer = LineBuffer(False, MAX_LINE)
        self._resp: LineBuffer = LineBuffer(False, MAX_LINE)
        self._pending_reply: int = -1
        """Code of the multi-line reply that has begun."""
        self._security: bytes = b""
        """Argument of the last AUTH."""
        self._passive_pending: bool = False
        """Whether a PASV or EPSV awaits its reply."""
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def confirm(self) -> None:
        """Declare the connection FTP: it may then be silent for longer."""
        if self.alive and not self.confirmed:
            self.connection.inactivity_timeout = INACTIVITY_TIMEOUT
        super().confirm()

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next lines of one direction, or of the TLS stream that follows AUTH TLS."""
        if self._secured:
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        lines = self._orig if from_orig else self._resp
        if _IAC in data:
            data = _without_telnet(data)
        lines.append(data)
        while self.alive and not self._secured:
            line = lines.next_line()
            if line is None:
                break
            if len(line) == 0:
                continue
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
        start, end = first_word(line, 0)
        if end - start < 3 or end - start > MAX_COMMAND:
            return
        for index in range(start, end):
            if not 0x20 < line[index] < 0x7F:
                return
        self.confirm()
        command = line[start:end].upper()
        argument = line[skip_white(line, end) :]
        if command == b"AUTH":
            self._security = argument
        elif command == b"PASV" or command == b"EPSV":
            self._passive_pending = True
        elif command == b"PORT":
            self._expect_port(argument, 0, False)
        elif command == b"EPRT":
            self._expect_extended(argument, 0, False)

    def _reply(self, line: bytes) -> None:
        code = reply_code(line)
        if self._pending_reply >= 0:
            if code != self._pending_reply or len(line) < 4 or line[3] != 0x20:
                return
            self._pending_reply = -1
        else:
            if code < 100:
                self.violation()
                return
            if len(line) > 3 and line[3] == 0x2D:
                self._pending_reply = code
                return
            if len(line) > 3 and line[3] != 0x20:
                self.violation()
                return
        if code == 234 and self._security == b"TLS":
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
        elif (code == 227 or code == 229) and self._passive_pending:
            self._passive_pending = False
            if code == 227:
                self._expect_port(line, _passive_address(line), True)
            else:
                self._expect_extended(line, line.find(b"(") + 1, True)

    def _expect(self, responder: bytes, port: int, passive: bool) -> None:
        connection = self.connection
        originator = connection.orig_address if passive else connection.resp_address
        connection.context.expect_connection(
            originator, responder, port, TCP, "ftp-data", DATA_LIFETIME
        )

    def _expect_port(self, text: bytes, offset: int, passive: bool) -> None:
        """Announce the connection that six comma-separated octets name (RFC 959 section 5.3.2)."""
        if offset < 0 or len(text) - offset < 11:
            return
        octets: list[int] = []
        while len(octets) < 6:
            while offset < len(text) and text[offset] == 0x20:
                offset += 1
            end = offset
            while end < len(text) and is_digit(text[end]):
                end += 1
            value = decimal(text, offset, end, 255)
            if value < 0:
                return
            octets.append(value)
            if len(octets) < 6:
                if end >= len(text) or text[end] != 0x2C:
                    return
                end += 1
            offset = end
        self._expect(bytes(octets[:4]), octets[4] << 8 | octets[5], passive)

    def _expect_extended(self, text: bytes, offset: int, passive: bool) -> None:
        """Announce the connection that ``|protocol|address|port|`` names (RFC 2428)."""
        offset = skip_white(text, offset)
        if offset >= len(text) or (passive and offset == 0):
            return
        delimiter = text[offset : offset + 1]
        protocol_end = text.find(delimiter, offset + 1)
        if protocol_end < 0:
            return
        address_end = text.find(delimiter, protocol_end + 1)
        if address_end < 0:
            return
        port_end = text.find(delimiter, address_end + 1)
        if port_end < 0:
            return
        port = decimal(text, address_end + 1, port_end, 65535)
        if port < 0:
            return
        address = self.connection.resp_address
        if address_end > protocol_end + 1:
            address = parse_address(text[protocol_end + 1 : address_end])
            if len(address) == 0:
                return
        elif not passive:
            return
        self._expect(address, port, passive)


def _passive_address(line: bytes) -> int:
    """Where the six numbers of a 227 reply begin, or -1."""
    at = line.find(b"(", 3)
    if at >= 0:
        return at + 1
    at = line.find(b"PORT", 3)
    if at >= 0:
        return at + 5
    at = line.find(b",", 3)
    if at < 0:
        return -1
    while at > 0 and is_digit(line[at - 1]):
        at -= 1
    return at


def _without_telnet(data: bytes) -> bytes:
    """``data`` without Telnet commands (RFC 854), which clients send to interrupt a transfer."""
    kept = bytearray()
    index = 0
    while index < len(data):
        octet = data[index]
        if octet != _IAC:
            kept.append(octet)
            index += 1
        elif index + 1 >= len(data):
            index += 1
        elif data[index + 1] == _IAC:
            kept.append(_IAC)
            index += 2
        elif data[index + 1] == _SB:
            end = data.find(b"\xff\xf0", index + 2)
            index = end + 2 if end >= 0 else len(data)
        elif _WILL <= data[index + 1] <= _DONT:
            index += 3
        else:
            index += 2
    return bytes(kept)


def parse_address(text: bytes) -> bytes:
    """The address that ``text`` spells, 4 or 16 octets, or none."""
    if b":" in text:
        return _parse_ipv6(text)
    parts = text.split(b".")
    if len(parts) != 4:
        return b""
    octets: list[int] = []
    for part in parts:
        value = decimal(part, 0, len(part), 255)
        if value < 0:
            return b""
        octets.append(value)
    return bytes(octets)


def _parse_ipv6(text: bytes) -> bytes:
    halves = text.split(b"::")
    if len(halves) > 2:
        return b""
    head = _parse_groups(halves[0])
    if head is None:
        return b""
    if len(halves) == 1:
        return head if len(head) == 16 else b""
    tail = _parse_groups(halves[1])
    if tail is None or len(head) + len(tail) > 14:
        return b""
    return head + bytes(16 - len(head) - len(tail)) + tail


def _parse_groups(text: bytes) -> bytes | None:
    """The octets of groups of hexadecimal digits, the last perhaps a dotted quad."""
    if len(text) == 0:
        return b""
    octets = bytearray()
    groups = text.split(b":")
    for index in range(len(groups)):
        group = groups[index]
        if b"." in group and index == len(groups) - 1:
            quad = parse_address(group)
            if len(quad) == 0:
                return None
            octets += quad
            continue
        if not 1 <= len(group) <= 4:
            return None
        value = 0
        for octet in group:
            if is_digit(octet):
                value = value << 4 | octet - 0x30
            elif 0x61 <= octet | 0x20 <= 0x66:
                value = value << 4 | (octet | 0x20) - 0x57
            else:
                return None
        octets.append(value >> 8)
        octets.append(value & 0xFF)
    return bytes(octets)
