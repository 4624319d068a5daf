"""The messages of HTTP/1 (RFC 9112) and the entities inside them.

A message is a top-level entity whose body may be delimited by its length, by chunks or by the end
of the connection, be compressed, and hold further entities (multipart, message/…). Nothing of a
body is kept: only its decoded length is recorded.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.protocols.content_lines import ContentLines
from osect_sensor.protocols.http_transactions import HttpTransactions
from osect_sensor.protocols.inflate import Inflater
from osect_sensor.protocols.mime import (
    TYPE_MESSAGE,
    TYPE_MULTIPART,
    TYPE_OTHER,
    ContentType,
    Header,
    is_blank,
)

BODY_NOT_EXPECTED: Final = 0
BODY_EXPECTED: Final = 1
BODY_MAYBE: Final = 2

VERSION_UNKNOWN: Final = 0
"""Versions are ten times the major plus the minor number."""
VERSION_0_9: Final = 9
VERSION_1_0: Final = 10
VERSION_1_1: Final = 11

MAX_DEPTH: Final = 100
"""Entities within entities that are followed (Zeek's ``MIME::max_depth``)."""

MAX_FOLDED_HEADER: Final = 65536
"""Octets of a header beyond which continuation lines are dropped (``MIME::max_header_bytes``)."""

_UNTIL_CLOSE: Final = (1 << 31) - 1
"""Length of a body that only the end of the connection delimits."""

_LARGEST_LENGTH: Final = (1 << 63) - 1

# Where the reader is in the chunked coding (RFC 9112 section 7.1).
_NOT_CHUNKED: Final = 0
_CHUNKS_FOLLOW: Final = 1
_CHUNK_SIZE: Final = 2
_CHUNK_DATA: Final = 3
_CHUNK_END: Final = 4
_TRAILER: Final = 5
_CHUNKS_OVER: Final = 6


def leading_integer(text: bytes, base: int) -> int:
    """The integer that ``text`` begins with; -1 for none and for one beyond 63 bits.

    Nothing but digits may precede what follows it; a negative number counts as none.
    """
    value = 0
    digits = 0
    for octet in text:
        digit = _digit(octet)
        if digit < 0 or digit >= base:
            break
        value = value * base + digit
        digits += 1
        if value > _LARGEST_LENGTH:
            return -1
    return value if digits > 0 else -1


def _digit(octet: int) -> int:
    if 0x30 <= octet <= 0x39:
        return octet - 0x30
    octet |= 0x20
    if 0x61 <= octet <= 0x66:
        return octet - 0x61 + 10
    return -1


@final
class HttpState:
    """What the messages of both directions of a connection know of one another."""

    def __init__(self) -> None:
        self.request_ongoing: bool = False
        self.request_version: int = VERSION_UNKNOWN
        self.reply_version: int = VERSION_UNKNOWN
        self.reply_code: int = 0
        self.keep_alive: bool = False
        """Whether more than one request is to be expected."""
        self.connection_close: bool = False
        """Whether a response has announced the end of the connection."""
        self.upgrade_connection: bool = False
        self.upgrade_protocol: bytes = b""


@final
class HttpSide:
    """What the entities of one message work on."""

    def __init__(
        self,
        state: HttpState,
        lines: ContentLines,
        transactions: HttpTransactions,
        from_orig: bool,
    ) -> None:
        self.state: Final = state
        self.lines: Final = lines
        self.transactions: Final = transactions
        self.from_orig: Final = from_orig

    def header(self, header: Header) -> None:
        """Take one header field of any of the message's entities."""
        state = self.state
        name = header.name
        if name == b"CONNECTION":
            token = header.token().lower()
            if self.from_orig:
                if token == b"keep-alive":
                    state.keep_alive = True
            elif token == b"close":
                state.connection_close = True
            elif token == b"upgrade":
                state.upgrade_connection = True
        elif name == b"UPGRADE" and not self.from_orig:
            state.upgrade_protocol = header.token()
        self.transactions.header(self.from_orig, name, header.value)


@final
class Entity:
    """A set of headers and the body that they describe (RFC 2045 section 2.4)."""

    def __init__(
        self, side: HttpSide, depth: int, expect_body: int, parent_is_multipart: bool
    ) -> None:
        self.ended: bool = False
        self.body_length: int = 0
        """Octets of the body so far, decompressed, with line ends and skipped gaps."""
        self.child: Entity | None = None
        self._side: Final = side
        self._depth: Final = depth
        self._expect_body: Final = expect_body
        self._parent_is_multipart: Final = parent_is_multipart
        self._in_header: bool = True
        self._header_parts: list[bytes] = []
        self._header_length: int = 0
        self._content_type: ContentType = ContentType()
        self._chunks: int = _NOT_CHUNKED
        self._content_length: int = -1
        self._range_length: int = -1
        """Length by Content-Range, -1 without one."""
        self._expected: int = 0
        """Octets of the body, or of the current chunk, that are still to come."""
        self._compressed: bool = False
        self._inflater: Inflater | None = None
        side.transactions.entity_begins(side.from_orig)

    def deliver(self, data: bytes, length: int, line: bool) -> None:
        """Take a line (whose CR LF is not in ``data``) or a run of octets.

        ``data`` may be cut, ``length`` is not.
        """
        if self.ended:
            return
        if self._in_header:
            self._header_line(data)
            return
        lines = self._side.lines
        if self._content_type.kind != TYPE_OTHER:
            self._body(data, length, line)
            # A multipart ends by its closing delimiter, at the latest by Content-Length.
            if self._depth == 0 and self._content_length > 0:
                self._expected -= length + 2 if line else length
                if self._expected <= 0:
                    lines.set_plain(0)
                    self.end()
        elif self._chunks != _NOT_CHUNKED:
            if self._chunks == _CHUNK_SIZE:
                self._expected = leading_integer(data, 16)
                if self._expected > 0:
                    self._chunks = _CHUNK_DATA
                    lines.set_plain(self._expected)
                else:
                    self._in_header = True
                    self._chunks = _TRAILER
            elif self._chunks == _CHUNK_DATA:
                self._expected -= length
                if self._expected <= 0:
                    lines.set_plain(0)
                    self._chunks = _CHUNK_END
                self._body(data, length, False)
            elif self._chunks == _CHUNK_END:
                self._chunks = _CHUNK_SIZE
        elif self._content_length >= 0:
            self._body(data, length, False)
            self._expected -= length
            if self._expected <= 0:
                lines.set_plain(0)
                lines.set_delivery(-1)
                self.end()
        else:
            self._body(data, length, line)

    def gap(self, length: int) -> bool:
        """Skip missing octets; False when they are not wholly inside the body."""
        if self.body_length == 0:
            return False
        lines = self._side.lines
        if self._chunks != _NOT_CHUNKED:
            if self._chunks != _CHUNK_DATA or self._expected < length:
                return False
            self.body_length += length
            self._expected -= length
            lines.set_plain(self._expected)
            if self._expected == 0:
                self._chunks = _CHUNK_END
            return True
        if self._content_length < 0 or self._expected < length:
            return False
        self.body_length += length
        self._expected -= length
        lines.set_plain(self._expected)
        if self._expected <= 0:
            self.end()
        return True

    def end(self) -> None:
        """Learn that the entity is over, complete or not."""
        if self._inflater is not None:
            self._inflater = None
            self._compressed = False
        if self.ended:
            return
        self.ended = True
        if self._in_header:
            self._finish_header()
            self._in_header = False
            self._headers_end()
        elif self.child is not None:
            self._end_child()
        if self._parent_is_multipart:
            self._side.lines.single_ends = True

    def _body(self, data: bytes, length: int, line: bool) -> None:
        if not self._compressed:
            self._clear_body(data, length, line)
            return
        if self._inflater is None:
            self._inflater = Inflater()
        inflater = self._inflater
        inflater.feed(data)
        while inflater.next():
            self._clear_body(inflater.piece, len(inflater.piece), False)

    def _clear_body(self, data: bytes, length: int, line: bool) -> None:
        self.body_length += length + 2 if line else length
        content_type = self._content_type
        if content_type.kind == TYPE_OTHER:
            return
        if content_type.kind == TYPE_MULTIPART:
            boundary = content_type.boundary
            if boundary is not None and data.startswith(b"--") and data.startswith(boundary, 2):
                if self.child is not None:
                    self._end_child()
                if data.startswith(b"--", 2 + len(boundary)):
                    self.end()
                elif not self.ended:
                    self._begin_child()
                return
        if self.child is not None:
            self.child.deliver(data, length, line)

    def _begin_child(self) -> None:
        if self._depth < MAX_DEPTH:
            self.child = Entity(
                self._side,
                self._depth + 1,
                BODY_EXPECTED,
                self._content_type.kind == TYPE_MULTIPART,
            )

    def _end_child(self) -> None:
        child = self.child
        if child is not None:
            child.end()
            self.child = None

    def _header_line(self, data: bytes) -> None:
        if len(data) == 0 or data[0] == 0:
            self._finish_header()
            self._in_header = False
            self._headers_end()
            if not self.ended and self._content_type.kind == TYPE_MESSAGE:
                self._begin_child()
            return
        if not is_blank(data[0]):
            self._finish_header()
        elif len(self._header_parts) == 0:
            # Nothing to continue: it counts as a header of its own.
            data = data.lstrip(b" \t")
            if len(data) == 0:
                return
        elif self._header_length >= MAX_FOLDED_HEADER:
            self._side.transactions.header_cut()
            return
        self._header_parts.append(data)
        self._header_length += len(data)

    def _finish_header(self) -> None:
        if len(self._header_parts) == 0:
            return
        parts = self._header_parts
        header = Header(parts[0] if len(parts) == 1 else b"".join(parts))
        self._header_parts = []
        self._header_length = 0
        if header.name == b"":
            return
        self._take_header(header)
        self._side.header(header)

    def _take_header(self, header: Header) -> None:
        name = header.name
        if name == b"CONTENT-TYPE":
            self._content_type.parse(header.value)
        elif name == b"CONTENT-LENGTH":
            token = header.token()
            if token != b"":
                self._content_length = leading_integer(token, 10)
                if self._content_length < 0:
                    self._content_length = 0
                elif self._range_length > self._content_length:
                    self._content_length = self._range_length
        elif name == b"CONTENT-RANGE":
            if self._side.state.reply_code == 206:
                self._take_range(header)
        elif name == b"TRANSFER-ENCODING":
            state = self._side.state
            version = state.request_version if state.request_ongoing else state.reply_version
            if self._depth == 0 and version == VERSION_1_1 and header.token().lower() == b"chunked":
                self._chunks = _CHUNKS_FOLLOW
        elif name == b"CONTENT-ENCODING":
            token = header.token().lower()
            if token == b"gzip" or token == b"x-gzip" or token == b"deflate":
                self._compressed = True

    def _take_range(self, header: Header) -> None:
        """Content-Range of a partial response (RFC 9110 section 14.4): ``bytes 0-499/1234``."""
        if header.token() != b"bytes":
            return
        text = header.after_token().replace(b" ", b"")
        slash = text.find(b"/")
        dash = text.find(b"-", 0, slash) if slash >= 0 else -1
        if dash < 0:
            return
        first = leading_integer(text[:dash], 10)
        last = leading_integer(text[dash + 1 : slash], 10)
        if first < 0 or last < first:
            return
        length = last - first + 1
        if length > _LARGEST_LENGTH:
            return
        self._range_length = length
        if length > self._content_length:
            self._content_length = length

    def _headers_end(self) -> None:
        """Decide how the body is delimited (RFC 9112 section 6.3, in Zeek's order)."""
        lines = self._side.lines
        state = self._side.state
        if self._parent_is_multipart:
            # Only CR LF ends a line of a part's body: anything else belongs to its content.
            lines.single_ends = False
        if self._content_length >= 0:
            lines.set_delivery(self._content_length)
        if self._chunks == _TRAILER:
            self._chunks = _CHUNKS_OVER
            self.end()
        elif self._expect_body == BODY_NOT_EXPECTED:
            self.end()
        elif self._content_type.kind != TYPE_OTHER:
            if self._depth == 0 and self._content_length >= 0:
                if self._content_length > 0:
                    self._expected = self._content_length
                else:
                    self.end()
        elif self._chunks != _NOT_CHUNKED:
            self._chunks = _CHUNK_SIZE
        elif self._content_length >= 0:
            if self._content_length > 0:
                self._expected = self._content_length
                lines.set_plain(self._content_length)
            else:
                self.end()
        elif state.connection_close or self._compressed:
            self._expected = _UNTIL_CLOSE
            lines.set_plain(_UNTIL_CLOSE)
        elif self._expect_body != BODY_EXPECTED:
            self.end()


@final
class HttpMessage:
    """One request or response behind its start line."""

    def __init__(self, side: HttpSide, expect_body: int) -> None:
        self._top: Final = Entity(side, 0, expect_body, False)

    @property
    def finished(self) -> bool:
        """Whether the message is over."""
        return self._top.ended

    @property
    def body_length(self) -> int:
        """Octets of the body so far."""
        return self._top.body_length

    def deliver(self, data: bytes, length: int, line: bool) -> None:
        """Take a line or a run of octets (see ``Entity.deliver``)."""
        self._top.deliver(data, length, line)

    def gap(self, length: int) -> bool:
        """Skip missing octets; False when they are not wholly inside the body."""
        entity = self._top
        while entity.child is not None and not entity.child.ended:
            entity = entity.child
        return entity.gap(length)

    def finish(self) -> None:
        """End the message where it is."""
        self._top.end()
