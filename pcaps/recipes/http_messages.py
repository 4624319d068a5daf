"""HTTP as it is also written: line ends, folded headers, uncertain bodies, 1xx, tunnels."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, SERVER, Talk
from pcaps.recipes.http import EMPTY, HOST, message

GET = message("GET /data HTTP/1.1", HOST)
OK = "HTTP/1.1 200 OK"
CHUNKED = "Transfer-Encoding: chunked"

Exchange = tuple[bytes, bytes]


def build() -> list[Capture]:
    """The captures ``http_lines``, ``http_bodies``, ``http_multipart``, ``http_interim`` and
    ``http_connect``."""
    return [lines(), bodies(), multipart(), interim(), connect()]


def _visit(
    recorder: Recorder, at: float, port: int, *exchanges: Exchange, server_port: int = 80
) -> None:
    """A connection with these requests and responses, each in one segment."""
    talk = Talk(recorder, HMI, SERVER, port, server_port)
    talk.open(at)
    for number, (request, response) in enumerate(exchanges, 1):
        talk.ask(at + number / 100, request, response)
    talk.close(at + (len(exchanges) + 1) / 100)


CARRIAGE_RETURNS = (
    b"GET /cr HTTP/1.1\rHost: scada.example\r\r",
    b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok",
)
LINE_FEEDS = (
    b"GET /lf HTTP/1.1\nHost: scada.example\n\n",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\n\nk",
)
SWALLOWED = (
    b"GET /swallowed HTTP/1.1\rHost: scada.example\r\r",
    b"HTTP/1.1 200 OK\rContent-Length: 4\r\r\nabc",
)
FOLDED = (
    message("GET /folded HTTP/1.1", HOST, "User-Agent: Panel", "\t/2.0", " (line 7)"),
    EMPTY,
)
CASES = (
    b"get /lower http/1.1\r\nHOST:scada.example\r\nuser-agent:   Panel  \r\n\r\n",
    b"http/1.1 200 ok\r\nCONTENT-LENGTH:0\r\n\r\n",
)
LATE = (b"\r\n\r\n" + message("GET /late HTTP/1.1", HOST), EMPTY)
UNREASONED = (
    message("GET /unreasoned HTTP/1.1", HOST),
    message("HTTP/1.1 200", "Content-Length: 0"),
)
SPLIT = (b"GET /split HTTP/1.1\r", b"\nHost: scada.example\r\n\r", b"\n")


def lines() -> Capture:
    """Start lines and headers."""
    recorder = Recorder()
    _visit(recorder, 0.0, 48101, CARRIAGE_RETURNS)
    _visit(recorder, 1.0, 48102, LINE_FEEDS)
    # The body begins with a line feed: after a carriage return that ended a line.
    _visit(recorder, 2.0, 48103, SWALLOWED)
    # Carriage return and line feed come in different segments.
    talk = Talk(recorder, HMI, SERVER, 48104, 80)
    talk.open(3.0)
    for number, piece in enumerate(SPLIT):
        talk.send(3.01 + number / 1000, "c", "PA", piece)
    talk.send(3.013, "s", "PA", EMPTY)
    talk.send(3.014, "c", "A")
    talk.close(3.02)
    _visit(recorder, 4.0, 48105, FOLDED)
    _visit(recorder, 5.0, 48106, CASES)
    _visit(recorder, 6.0, 48107, LATE)
    _visit(recorder, 7.0, 48108, UNREASONED)
    return Capture("http_lines", recorder)


TRAILERS = message(OK, CHUNKED, body=b"3\r\nabc\r\n0\r\nChecksum: 1\r\n\r\n")
HEXADECIMAL = message(OK, CHUNKED, body=b"00A\r\n0123456789\r\n0\r\n\r\n")
NO_SIZE = message(OK, CHUNKED, body=b"xyz\r\n\r\n")
OLD_CHUNKED = message("HTTP/1.0 200 OK", CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n")
ENDLESS = message(OK, body=b"abc\ndef")
SHORT = message(OK, "Content-Length: 100", body=b"short")
TWO_REQUESTS = message("HEAD /head HTTP/1.1", HOST) + message("GET /get HTTP/1.1", HOST)
TWO_RESPONSES = message(OK, "Content-Length: 500") + message(OK, "Content-Length: 3", body=b"abc")


def bodies() -> Capture:
    """Where a body ends."""
    recorder = Recorder()
    _visit(recorder, 0.0, 48201, (GET, TRAILERS), (GET, EMPTY))
    _visit(recorder, 1.0, 48202, (GET, HEXADECIMAL))
    _visit(recorder, 2.0, 48203, (GET, NO_SIZE))
    _visit(recorder, 3.0, 48204, (GET, OLD_CHUNKED))
    _visit(recorder, 4.0, 48205, (GET, ENDLESS))
    _visit(recorder, 5.0, 48206, (GET, SHORT))
    _visit(recorder, 6.0, 48207, (TWO_REQUESTS, TWO_RESPONSES))
    return Capture("http_bodies", recorder)


MIXED = "Content-Type: multipart/mixed; boundary=XyZ"
PARTS = b"--XyZ\r\nContent-Type: text/plain\r\n\r\nline 1\nline 2\r\n--XyZ--"
"""The line end after the closing delimiter is missing."""
LENGTH = f"Content-Length: {len(PARTS)}"


def multipart() -> Capture:
    """Multipart responses, which are read by lines even if their length is known."""
    recorder = Recorder()
    _visit(recorder, 0.0, 48501, (GET, message(OK, MIXED, body=PARTS + b"\r\n")))
    _visit(recorder, 1.0, 48502, (GET, message(OK, MIXED, body=PARTS)))
    _visit(recorder, 2.0, 48503, (GET, message(OK, MIXED, LENGTH, body=PARTS)))
    # The body comes in a segment of its own.
    talk = Talk(recorder, HMI, SERVER, 48504, 80)
    talk.open(3.0)
    talk.send(3.01, "c", "PA", GET)
    talk.send(3.011, "s", "PA", message(OK, MIXED, LENGTH))
    talk.send(3.012, "s", "PA", PARTS)
    talk.send(3.013, "c", "A")
    talk.close(3.02)
    # Something in front of the first delimiter.
    _visit(recorder, 4.0, 48505, (GET, message(OK, MIXED, body=b"pre\n" + PARTS + b"\r\n")))
    return Capture("http_multipart", recorder)


HINTS = message("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload")
CONTINUE = message("HTTP/1.1 100 Continue")
PROCESSING = message("HTTP/1.1 102 Processing")
EXPECTING = message("POST /never HTTP/1.1", HOST, "Content-Length: 5", "Expect: 100-continue")


def interim() -> Capture:
    """Informational responses."""
    recorder = Recorder()
    _visit(recorder, 0.0, 48301, (GET, HINTS + EMPTY))
    _visit(recorder, 1.0, 48302, (GET, CONTINUE + PROCESSING + EMPTY))
    # The request's body never comes, nor does a final response.
    _visit(recorder, 2.0, 48303, (EXPECTING, CONTINUE))
    return Capture("http_interim", recorder)


CONNECT = message("CONNECT plc.example:80 HTTP/1.1", "Host: plc.example:80")
FORBIDDEN = message("HTTP/1.1 403 Forbidden", "Content-Length: 0")
ESTABLISHED = message("HTTP/1.1 200 Connection established")


def connect() -> Capture:
    """Tunnels by way of a proxy: one that is refused, one with HTTP in it."""
    recorder = Recorder()
    _visit(recorder, 0.0, 48401, (CONNECT, FORBIDDEN), (GET, EMPTY), server_port=8080)
    _visit(recorder, 1.0, 48402, (CONNECT, ESTABLISHED), (GET, EMPTY), server_port=8080)
    return Capture("http_connect", recorder)
