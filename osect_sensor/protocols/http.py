"""HTTP/0.9 to HTTP/1.1 over TCP, and what connections are switched to by it.

Follows Zeek's analyzer in what it takes for HTTP and in how messages begin and end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection, deliver_stream, finish_all
from osect_sensor.protocols.content_lines import ContentLines
from osect_sensor.protocols.http_message import (
    BODY_EXPECTED,
    BODY_MAYBE,
    BODY_NOT_EXPECTED,
    VERSION_0_9,
    VERSION_1_0,
    VERSION_UNKNOWN,
    HttpMessage,
    HttpSide,
    HttpState,
)
from osect_sensor.protocols.http_transactions import HttpTransactions, transactions_of
from osect_sensor.protocols.mime import is_blank

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_UNANSWERED: Final = 10_000
"""Requests whose responses are still to come. Only the oldest one's method matters, so that
forgetting the newest ones of such a crowd costs at most a body length."""

# What is expected next of a direction.
_START_LINE: Final = 0
_MESSAGE: Final = 1
_NOTHING: Final = 2
_RAW: Final = 3
"""An HTTP/0.9 response: its body and nothing else."""

_VERSION_TEXTS: Final = [b"%d.%d" % (number // 10, number % 10) for number in range(100)]

_NO_REASON: Final = b"<empty>"

_TOKEN_EXCLUDED: Final = b'()<>@,;:\\"/[]?={}'
_URI_PUNCTUATION: Final = b":/?#[]@!$&'()*+,;=-_.~%\x00"


def _token_octets() -> bytes:
    flags = bytearray(256)
    for octet in range(33, 127):
        flags[octet] = 0 if octet in _TOKEN_EXCLUDED else 1
    return bytes(flags)


def _uri_octets() -> bytes:
    flags = bytearray(256)
    for octet in range(128):
        if chr(octet).isalnum() or octet in _URI_PUNCTUATION:
            flags[octet] = 1
    return bytes(flags)


_TOKEN_OCTETS: Final = _token_octets()
_URI_OCTETS: Final = _uri_octets()


def _skip_blanks(line: bytes, position: i64) -> i64:
    while position < len(line) and is_blank(line[position]):
        position += 1
    return position


def _is_http_at(line: bytes, position: i64) -> bool:
    return (
        position + 5 <= len(line)
        and line[position + 4] == 0x2F
        and line[position : position + 4].upper() == b"HTTP"
    )


def _version(line: bytes, position: i64) -> i64:
    """The version at ``position``: ten times major plus minor, one digit each."""
    if position + 3 > len(line) or line[position + 1] != 0x2E:
        return VERSION_UNKNOWN
    major = line[position] - 0x30
    minor = line[position + 2] - 0x30
    if major < 0 or major > 9 or minor < 0 or minor > 9:
        return VERSION_UNKNOWN
    return major * 10 + minor


def _is_prefix_of(method: bytes, word: bytes) -> bool:
    return word.startswith(method.upper())


def _hex_digit(octet: i64) -> i64:
    if 0x30 <= octet <= 0x39:
        return octet - 0x30
    octet |= 0x20
    if 0x61 <= octet <= 0x66:
        return octet - 0x61 + 10
    return -1


def _hex_octet(text: bytes, position: i64) -> i64:
    """The octet that two hexadecimal digits at ``position`` stand for, or -1."""
    if position + 2 > len(text):
        return -1
    high = _hex_digit(text[position])
    low = _hex_digit(text[position + 1])
    return -1 if high < 0 or low < 0 else high << 4 | low


def unescape_uri(uri: bytes) -> bytes:
    """Undo percent-encoding (RFC 3986 section 2.1), and the ``%uXXXX`` that some software sends."""
    if b"%" not in uri:
        return uri
    text = bytearray()
    end = len(uri)
    position = 0
    while position < end:
        octet = uri[position]
        position += 1
        if octet != 0x25:
            text.append(octet)
            continue
        if end - position < 2:
            # Nothing that could be an escape: it stands for itself.
            text.append(octet)
            text += uri[position:]
            break
        if uri[position] == 0x25:
            # Of several percent signs the last one counts.
            continue
        value = _hex_octet(uri, position)
        if value >= 0:
            text.append(value)
            position += 2
            continue
        if uri[position] == 0x75:
            high = _hex_octet(uri, position + 1)
            low = _hex_octet(uri, position + 3)
            if high >= 0 and low >= 0:
                if uri[position + 1] != 0x30 or uri[position + 2] != 0x30:
                    text.append(high)
                text.append(low)
                position += 5
                continue
        text.append(octet)
        text.append(uri[position])
        position += 1
    return bytes(text)


@final
class _Keeper(Analyzer):
    """Reports pending transactions at the connection's end in place of a disabled analyzer."""

    def __init__(self, connection: Connection, transactions: HttpTransactions) -> None:
        super().__init__(connection, "")
        self._transactions: Final = transactions

    def finish(self) -> None:
        """Report what is pending, unless another analyzer is at work and will."""
        if self._transactions.users == 0:
            self._transactions.finish()


@final
class HttpAnalyzer(Analyzer):
    """HTTP/1 (RFC 9112) on any port."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "http")
        self._transactions: Final = transactions_of(connection)
        self._transactions.users += 1
        self._state: Final = HttpState()
        self._orig_lines: ContentLines = ContentLines()
        self._resp_lines: ContentLines = ContentLines()
        self._raw_replies: bool = False
        """Whether the responder's octets are not cut into lines any more: HTTP/0.9."""
        self._request: HttpMessage | None = None
        self._reply: HttpMessage | None = None
        self._request_next: i64 = _START_LINE
        self._reply_next: i64 = _START_LINE
        self._reply_ongoing: bool = False
        self._requests: i64 = 0
        self._replies: i64 = 0
        self._method: bytes = b""
        self._uri: bytes = b""
        self._reason: bytes | None = None
        self._unanswered: Final[list[bytes]] = []
        """Methods of the requests that await a response, oldest first."""
        self._connect: bool = False
        """Whether a CONNECT request awaits its response."""
        self._switched: bool = False
        """Whether the stream has become that of another protocol."""
        self._inner: list[Analyzer] = []
        """Analyzers of that other protocol."""
        self._skip: bool = False

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take octets: lines, bodies, or another protocol's."""
        if self._skip or self.connection.partial:
            return
        if self._switched or (self._raw_replies and not from_orig):
            self._deliver(from_orig, data, len(data), False)
            return
        lines = self._orig_lines if from_orig else self._resp_lines
        lines.feed(data)
        self._pull(from_orig, lines)

    def gap(self, from_orig: bool, length: int) -> None:
        """Skip a hole in a body; any other one ends what can be understood."""
        if self._skip:
            return
        message = self._request if from_orig else self._reply
        if message is not None:
            skipped = message.gap(length)
            self._check_finished(from_orig, message)
            if skipped:
                return
        if from_orig:
            # Whether a response has a body may depend on the request.
            self._request_made(True)
            self._orig_lines.skipping = True
        else:
            self._resp_lines.skipping = True
        self._reply_made(True)

    def flip(self) -> None:
        """Exchange the directions, which nothing that was understood survives."""
        if self._switched:
            return
        if self._requests > 0 or self._replies > 0:
            self._skip = True
            return
        lines = self._orig_lines
        self._orig_lines = self._resp_lines
        self._resp_lines = lines

    def end_of_stream(self, from_orig: bool) -> None:
        """End the message that only the end of the connection delimits."""
        if self._skip or self.connection.partial:
            return
        lines = self._orig_lines if from_orig else self._resp_lines
        lines.feed_end()
        self._pull(from_orig, lines)
        if from_orig:
            self._request_made(False)
        else:
            self._reply_made(False)

    def closed(self) -> None:
        """End both messages for good."""
        self._request_made(True)
        self._reply_made(True)

    def finish(self) -> None:
        """End both messages, and report what is pending when the connection is over."""
        self._request_made(True)
        self._reply_made(True)
        self._request = None
        self._reply = None
        finish_all(self._inner)
        transactions = self._transactions
        transactions.users -= 1
        if transactions.users == 0:
            if self.alive:
                transactions.finish()
            else:
                # Disabled, but a response may still be recognised and belong to what is pending.
                self.connection.analyzers.append(_Keeper(self.connection, transactions))

    def _pull(self, from_orig: bool, lines: ContentLines) -> None:
        while lines.next():
            self._deliver(from_orig, lines.line, lines.length, lines.plain)

    def _deliver(self, from_orig: bool, data: bytes, length: i64, plain: bool) -> None:
        if self._switched:
            deliver_stream(self._inner, from_orig, data)
            return
        if from_orig:
            request = self._request
            if plain or self._request_next == _MESSAGE:
                if request is not None:
                    request.deliver(data, length, not plain)
                    self._check_finished(True, request)
            elif self._request_next == _START_LINE:
                self._request_line(data)
            return
        if self._reply_next == _RAW:
            self._raw_reply(data)
            return
        reply = self._reply
        if plain:
            if reply is not None:
                reply.deliver(data, length, False)
                self._check_finished(False, reply)
        elif self._reply_next == _MESSAGE:
            if reply is not None:
                reply.deliver(data, length, True)
                self._check_finished(False, reply)
            if self._connect and length == 0:
                self._switch("")
        elif self._reply_next == _START_LINE:
            self._status_line(data)

    def _check_finished(self, from_orig: bool, message: HttpMessage) -> None:
        if message.finished:
            if from_orig:
                self._request_made(False)
            else:
                self._reply_made(False)

    def _request_line(self, line: bytes) -> None:
        state = self._state
        if not self._parse_request_line(line):
            # Clients send stray line ends after bodies.
            if len(line) > 0 and (self._requests == 0 or state.keep_alive):
                self.violation()
                self._request_next = _NOTHING
            return
        self._requests += 1
        self._request_next = _MESSAGE
        state.request_ongoing = True
        if len(self._unanswered) < MAX_UNANSWERED:
            self._unanswered.append(self._method)
        else:
            self.connection.context.counters.count("http_unanswered_requests_forgotten")
        self.confirm()
        if _is_prefix_of(self._method, b"CONNECT"):
            self._connect = True
        self._transactions.request(self._method, self._uri)
        side = HttpSide(state, self._orig_lines, self._transactions, True)
        self._request = HttpMessage(side, BODY_MAYBE)
        if state.request_version == VERSION_0_9:
            reply = self._reply
            if reply is not None:
                if not reply.finished:
                    reply.finish()
                    self._reply_made(False)
                self._reply = None
            self._reply_next = _RAW
            self._raw_replies = True

    def _parse_request_line(self, line: bytes) -> bool:
        end: i64 = len(line)
        method_end: i64 = 0
        while method_end < end and _TOKEN_OCTETS[line[method_end]] != 0:
            method_end += 1
        start = _skip_blanks(line, method_end)
        if method_end == 0 or start == method_end:
            return False
        self._parse_uri_and_version(line, start)
        if self._state.request_version == VERSION_0_9 and (method_end < 3 or self._uri == b""):
            return False
        self._method = line[:method_end]
        return True

    def _parse_uri_and_version(self, line: bytes, start: i64) -> None:
        end: i64 = len(line)
        uri_end = start
        while uri_end < end and _URI_OCTETS[line[uri_end]] != 0:
            uri_end += 1
        if uri_end >= end and _is_http_at(line, start):
            # There is no URI.
            uri_end = start
        # The URI reaches up to a version that may follow any octet a URI does not have.
        version_start = uri_end
        while version_start < end:
            uri_end = version_start
            version_start = _skip_blanks(line, version_start)
            if _is_http_at(line, version_start):
                break
            version_start += 1
        if version_start >= end:
            self._set_request_version(VERSION_0_9)
        elif version_start + 8 <= end:
            self._set_request_version(_version(line, version_start + 5))
        self._uri = unescape_uri(line[start:uri_end])

    def _set_request_version(self, version: i64) -> None:
        self._state.request_version = version
        if version > VERSION_1_0:
            self._state.keep_alive = True

    def _set_reply_version(self, version: i64) -> None:
        self._state.reply_version = version
        if version > VERSION_1_0:
            self._state.keep_alive = True

    def _status_line(self, line: bytes) -> None:
        if not self._parse_status_line(line):
            if len(line) > 0:
                self.violation()
                self._reply_next = _NOTHING
            return
        self._replies += 1
        if len(self._unanswered) > 0:
            self.confirm()
        self._reply_next = _MESSAGE
        self._reply_begins()
        if self._connect and self._state.reply_code != 200:
            self._connect = False
        side = HttpSide(self._state, self._resp_lines, self._transactions, False)
        self._reply = HttpMessage(side, self._expected_reply_body())

    def _parse_status_line(self, line: bytes) -> bool:
        end: i64 = len(line)
        if not _is_http_at(line, 0):
            return False
        self._set_reply_version(_version(line, 5))
        position: i64 = 5
        while position < end and not is_blank(line[position]):
            position += 1
        position = _skip_blanks(line, position)
        if position + 3 > end:
            return False
        code = line[position : position + 3]
        self._state.reply_code = int(code) if code.isdigit() else 0
        position += 3
        while position < end and not is_blank(line[position]):
            position += 1
        if position < end:
            self._reason = line[_skip_blanks(line, position) :]
        return True

    def _raw_reply(self, data: bytes) -> None:
        """Take octets of an HTTP/0.9 response."""
        state = self._state
        reply = self._reply
        if reply is None:
            self._set_reply_version(VERSION_0_9)
            if len(self._unanswered) > 0:
                self.confirm()
                self._unanswered.pop(0)
            state.connection_close = True
            self._reply_begins()
            side = HttpSide(state, self._resp_lines, self._transactions, False)
            reply = HttpMessage(side, self._expected_reply_body())
            self._reply = reply
            # It has no headers.
            reply.deliver(b"", 0, True)
        reply.deliver(data, len(data), False)
        self._check_finished(False, reply)

    def _reply_begins(self) -> None:
        state = self._state
        self._reply_ongoing = True
        version = _VERSION_TEXTS[state.reply_version]
        reason = self._reason
        self._transactions.reply(
            version, state.reply_code, reason if reason is not None else _NO_REASON
        )

    def _expected_reply_body(self) -> i64:
        code = self._state.reply_code
        if len(self._unanswered) > 0 and _is_prefix_of(self._unanswered[0], b"HEAD"):
            return BODY_NOT_EXPECTED
        if 100 <= code < 200 or code == 204 or code == 304:
            return BODY_NOT_EXPECTED
        return BODY_EXPECTED

    def _request_made(self, interrupted: bool) -> None:
        state = self._state
        if not state.request_ongoing:
            return
        state.request_ongoing = False
        request = self._request
        if request is not None:
            request.finish()
            self._transactions.message_done(True, request.body_length)
        self._request_next = _NOTHING if interrupted else _START_LINE

    def _reply_made(self, interrupted: bool) -> None:
        state = self._state
        if not self._reply_ongoing:
            return
        self._reply_ongoing = False
        reply = self._reply
        if reply is not None:
            reply.finish()
            self._transactions.message_done(False, reply.body_length)
        code = state.reply_code
        # An interim response leaves its request unanswered.
        if (code < 100 or code >= 200) and len(self._unanswered) > 0:
            self._unanswered.pop(0)
        self._reason = None
        if (
            code == 101
            and len(self._unanswered) == 1
            and state.upgrade_connection
            and state.upgrade_protocol != b""
        ):
            is_websocket = state.upgrade_protocol.lower() == b"websocket"
            self._switch("websocket" if is_websocket else "")
            interrupted = True
        state.reply_code = 0
        state.upgrade_connection = False
        state.upgrade_protocol = b""
        self._reply_next = _NOTHING if interrupted else _START_LINE

    def _switch(self, service: str) -> None:
        """Hand the rest of the stream to ``service``, or to what its content shows."""
        self._switched = True
        # What the responder has sent along with its response belongs to the new protocol.
        self._resp_lines.set_plain(self._resp_lines.remaining())
        self._inner = self.connection.context.stream_analyzers(self.connection, service)
