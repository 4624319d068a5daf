"""How long p0f keeps a flow: its HTTP module decides, so its view of an exchange is needed here.

Whether a repeated SYN belongs to a live flow (no row) or to a new one (a row) depends on it. p0f
looks at GET and HEAD requests only; a flow that carries anything else is forgotten at its first
payload, one that carries them when the headers of the response end or break its rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_KEPT: Final = 8192
"""Octets of one direction kept while an exchange is undecided: p0f's limit a flow."""

_MAX_START_LINE: Final = 1024
_MIN_REQUEST: Final = 15
_MIN_RESPONSE: Final = 13
_MAX_HEADERS: Final = 32
_MAX_HEADER_NAME: Final = 32
_MAX_HEADER_VALUE: Final = 1024

_CR: Final = 13
_LF: Final = 10

_UNDECIDED: Final = 0
_HTTP: Final = 1
_OVER: Final = -1


def _is_name(octet: i64) -> bool:
    return (
        48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122 or octet == 45 or octet == 95
    )


@final
class Exchange:
    """The payload that a flow has carried so far, as far as p0f still cares."""

    __slots__ = ("_headers", "_position", "_request", "_request_done", "_response", "_state")

    def __init__(self) -> None:
        self._request: bytes = b""
        self._response: bytes = b""
        self._state: i64 = _UNDECIDED
        self._request_done: bool = False
        self._position: i64 = 0
        """Where parsing of the current direction goes on."""
        self._headers: i64 = 0

    def take(self, from_client: bool, payload: bytes) -> bool:
        """Take the next payload in sequence; answers whether the flow is still of interest."""
        if from_client:
            room = MAX_KEPT - len(self._request)
            if room > 0:
                self._request += payload if len(payload) <= room else payload[:room]
            wanted = self._take_request()
        else:
            room = MAX_KEPT - len(self._response)
            if room > 0:
                self._response += payload if len(payload) <= room else payload[:room]
            wanted = self._take_response()
        return wanted and (len(self._request) < MAX_KEPT or len(self._response) < MAX_KEPT)

    def _end(self) -> bool:
        self._state = _OVER
        return False

    def _take_request(self) -> bool:
        if self._state == _OVER:
            return False
        if self._request_done:
            return True
        request = self._request
        more_may_come = len(request) < MAX_KEPT
        if self._state == _UNDECIDED:
            if len(request) < _MIN_REQUEST:
                return more_may_come
            if self._position == 0 and not (
                request.startswith(b"GET /") or request.startswith(b"HEAD /")
            ):
                return self._end()
            end = self._end_of_start_line(request)
            if end < 14:
                return self._end()
            if end == len(request):
                self._position = end
                return more_may_come or self._end()
            mark = end - 9 if request[end - 1] == _CR else end - 8
            if request[mark : mark + 7] != b"HTTP/1.":
                return self._end()
            self._state = _HTTP
            self._position = end + 1
        return self._take_headers(request, True, more_may_come)

    def _take_response(self) -> bool:
        if self._state != _HTTP or not self._request_done:
            return self._end()
        response = self._response
        more_may_come = len(response) < MAX_KEPT
        if len(response) < _MIN_RESPONSE:
            return more_may_come
        # p0f looks for a start line at each payload, not only at the first: of headers that come
        # in several payloads it thus skips the one that a payload begins with.
        end = self._end_of_start_line(response)
        if end < _MIN_RESPONSE:
            return self._end()
        if end == len(response):
            self._position = end
            return more_may_come or self._end()
        if not response.startswith(b"HTTP/1."):
            return self._end()
        self._position = end + 1
        return self._take_headers(response, False, more_may_come)

    def _end_of_start_line(self, data: bytes) -> i64:
        """Offset of the line feed or of the end of ``data``; -1 for binary or endless lines."""
        offset = self._position
        while offset < len(data) and offset < _MAX_START_LINE:
            octet = data[offset]
            if octet == _LF:
                break
            if octet != _CR and (octet < 0x20 or octet > 0x7F):
                return -1
            offset += 1
        return -1 if offset == _MAX_START_LINE else offset

    def _take_headers(self, data: bytes, from_client: bool, more_may_come: bool) -> bool:
        end = len(data)
        while self._position < end:
            offset = self._position
            if data[offset] == _CR or data[offset] == _LF:
                if not from_client:
                    return self._end()
                self._request_done = True
                self._position = 0
                self._headers = 0
                return True
            if self._headers >= _MAX_HEADERS:
                return self._end()
            start = offset
            while offset < end and offset - start <= _MAX_HEADER_NAME and _is_name(data[offset]):
                offset += 1
            if offset == end:
                return more_may_come or self._end()
            name_length = offset - start
            if name_length == 0 or name_length > _MAX_HEADER_NAME or data[offset] != 58:
                return self._end()
            offset += 1
            if offset < end and (data[offset] == 32 or data[offset] == 9):
                offset += 1
            start = offset
            while offset < end and offset - start <= _MAX_HEADER_VALUE and data[offset] != _LF:
                offset += 1
            if offset - start > _MAX_HEADER_VALUE:
                # p0f marks the exchange as over but keeps the flow until its next payload.
                self._state = _OVER
                return True
            if offset == end:
                return more_may_come or self._end()
            self._headers += 1
            self._position = offset + 1
        return more_may_come or self._end()
