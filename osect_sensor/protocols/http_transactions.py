"""Pairs HTTP requests with responses into rows of http.log, as Zeek's scripts do."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Connection, SharedState
from osect_sensor.logs.rows import UNSET, HttpRow

MAX_PENDING_REQUESTS: Final = 100
"""Requests without a response before they are given up (Zeek's ``max_pending_requests``)."""

_PROXY_HEADERS: Final = (
    b"FORWARDED",
    b"X-FORWARDED-FOR",
    b"X-FORWARDED-FROM",
    b"CLIENT-IP",
    b"VIA",
    b"XROXY-CONNECTION",
    b"PROXY-CONNECTION",
)

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _is_informational(code: int) -> bool:
    return 100 <= code <= 199


@final
class HttpTransactions(SharedState):
    """The requests and responses of one connection, numbered from 1 each.

    A request and the response of the same number share a row; what reaches a number without a row
    opens one, so that rows come about for responses without requests, too. HTTP inside HTTP (in a
    tunnel, in WebSocket), and HTTP recognised again after an analyzer was disabled, go on counting
    where the connection has got to.
    """

    def __init__(self, connection: Connection) -> None:
        self.users: int = 0
        """Analyzers at work on the connection."""
        self._connection: Final = connection
        self._pending: Final[dict[int, HttpRow]] = {}
        self._request: int = 0
        """Number of the current request."""
        self._response: int = 0
        self._depth: int = 0

    def request(self, method: bytes, uri: bytes) -> None:
        """Take a request line."""
        if self._request < self._response:
            # A response came before any request: the next one is this request's.
            self._request = self._response
        if len(self._pending) > MAX_PENDING_REQUESTS:
            self._give_up()
        self._request += 1
        row = self._row(True)
        row.method = method
        row.uri = uri

    def reply(self, version: bytes, code: int, reason: bytes) -> None:
        """Take a status line."""
        pending = self._pending.get(self._response)
        # After an interim response the final one goes to the same row.
        if pending is None or (
            pending.status_code != UNSET and not _is_informational(pending.status_code)
        ):
            self._response += 1
        row = self._row(False)
        row.status_code = code
        row.status_msg = reason
        row.version = version
        if _is_informational(code):
            row.info_code = code
            row.info_msg = reason

    def entity_begins(self, from_orig: bool) -> None:
        """Learn that an entity of a request or response begins."""
        self._row(from_orig)

    def header(self, from_orig: bool, name: bytes, value: bytes) -> None:
        """Take a header field, its ``name`` in upper case."""
        row = self._row(from_orig)
        if not from_orig:
            return
        if name == b"HOST":
            row.host = value
        elif name == b"USER-AGENT":
            row.user_agent = value
        elif name == b"REFERER":
            row.referrer = value
        elif name == b"ORIGIN":
            row.origin = value
        elif name in _PROXY_HEADERS:
            proxied = row.proxied
            if proxied is None:
                proxied = []
                row.proxied = proxied
            entry = name + b" -> " + value
            if entry not in proxied:
                proxied.append(entry)
        elif name == b"AUTHORIZATION" or name == b"PROXY-AUTHORIZATION":
            if value[:6].lower() == b"basic ":
                row.username = _user(value)

    def header_cut(self) -> None:
        """Learn that a header was too long to be read in full."""
        self._connection.mark_unknown()
        self._connection.context.counters.count("http_headers_cut")

    def message_done(self, from_orig: bool, body_length: int) -> None:
        """Learn that a message is over, complete or not; a final response completes the row."""
        row = self._row(from_orig)
        if from_orig:
            row.request_body_len = body_length
            return
        row.response_body_len = body_length
        if not _is_informational(row.status_code):
            del self._pending[self._response]
            self._emit(row)

    def finish(self) -> None:
        """Report what is still waiting."""
        for row in self._pending.values():
            self._emit(row)
        self._pending.clear()

    def _row(self, from_orig: bool) -> HttpRow:
        number = self._request if from_orig else self._response
        row = self._pending.get(number)
        if row is not None:
            return row
        connection = self._connection
        self._depth += 1
        row = HttpRow()
        row.ts = connection.context.now
        row.uid = connection.uid
        row.id_orig_h = connection.orig_text()
        row.id_orig_p = connection.orig_port
        row.id_resp_h = connection.resp_text()
        row.id_resp_p = connection.resp_port
        row.trans_depth = self._depth
        self._pending[number] = row
        return row

    def _give_up(self) -> None:
        self._connection.context.counters.count("http_requests_given_up")
        if self._response == 0:
            self._response = 1
        while self._response < self._request:
            row = self._pending.pop(self._response, None)
            if row is not None:
                self._emit(row)
            self._response += 1

    def _emit(self, row: HttpRow) -> None:
        connection = self._connection
        row.orig_l2_addr = connection.orig_mac_text()
        row.resp_l2_addr = connection.resp_mac_text()
        connection.context.sink.http(row)


def transactions_of(connection: Connection) -> HttpTransactions:
    """The transactions of ``connection``."""
    shared = connection.shared
    if shared is None:
        shared = {}
        connection.shared = shared
    transactions = shared.get("http")
    if isinstance(transactions, HttpTransactions):
        return transactions
    transactions = HttpTransactions(connection)
    shared["http"] = transactions
    return transactions


def _user(value: bytes) -> bytes:
    """The user of Basic credentials (RFC 7617)."""
    credentials = decode_base64(value[6:].lstrip(b" \t"))
    colon = credentials.find(b":")
    if colon < 0:
        return b"<problem-decoding> (" + value + b")"
    return credentials[:colon]


def decode_base64(text: bytes) -> bytes:
    """Decode base64 (RFC 4648 section 4); missing padding is supplied.

    Empty for text with other octets, white space included, or with further groups after padding.
    """
    decoded: list[int] = []
    bits = 0
    count = 0
    padding = 0
    padded = False
    for octet in text:
        digit = 0 if octet == 0x3D else _BASE64.find(octet)
        if digit < 0:
            return b""
        if octet == 0x3D:
            padding += 1
        bits = bits << 6 | digit
        count += 1
        if count == 4:
            if padded:
                return b""
            _append_group(decoded, bits, padding)
            padded = padding > 0
            bits = 0
            count = 0
            padding = 0
    if count > 0 and not padded:
        missing = 4 - count
        _append_group(decoded, bits << 6 * missing, padding + missing)
    return bytes(decoded)


def _append_group(decoded: list[int], bits: int, padding: int) -> None:
    if padding < 3:
        decoded.append(bits >> 16 & 0xFF)
    if padding < 2:
        decoded.append(bits >> 8 & 0xFF)
    if padding < 1:
        decoded.append(bits & 0xFF)
