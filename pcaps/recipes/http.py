"""HTTP: methods, bodies, pipelining, upgrades, and what is no HTTP."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder, stored_gzip
from pcaps.frames import HMI, SERVER, Talk


def message(first: str, *headers: str, body: bytes = b"") -> bytes:
    """A request or response: start line, headers, body."""
    return "\r\n".join((first, *headers, "", "")).encode("latin-1") + body


HOST = "Host: scada.example"

GET = message(
    "GET /index.html HTTP/1.1", HOST, "User-Agent: Panel/2.0", "Referer: http://scada.example/"
)
GOT = message("HTTP/1.1 200 OK", "Content-Length: 12", body=b"hello, line\n")

POST = message(
    "POST /recipe HTTP/1.1", HOST, "Origin: http://hmi.example", "Content-Length: 27",
    body=b"speed=1200&temperature=80.5",
)  # fmt: skip
CREATED = message(
    "HTTP/1.1 201 Created", "Transfer-Encoding: chunked",
    body=b"8\r\nthe reci\r\n5;x=y\r\npe is\r\n7\r\n stored\r\n0\r\n\r\n",
)  # fmt: skip

PIPELINED = (
    message("GET /one HTTP/1.1", HOST), message("GET /two?x=%41%20b HTTP/1.1", HOST),
)  # fmt: skip
IN_ORDER = (
    message("HTTP/1.1 200 OK", "Content-Length: 3", body=b"one"),
    message("HTTP/1.1 404 Not Found", "Content-Length: 0"),
)

EXPECTING = message("PUT /big HTTP/1.1", HOST, "Expect: 100-continue", "Content-Length: 40")
CONTINUE = message("HTTP/1.1 100 Continue")
BIG_BODY = b"b" * 40
STORED = message("HTTP/1.1 204 No Content")

HEAD = message("HEAD /index.html HTTP/1.1", HOST)
HEADERS = message("HTTP/1.1 200 OK", "Content-Length: 500")

CONDITIONAL = message("GET /logo.png HTTP/1.1", HOST, 'If-None-Match: "7"')
NOT_MODIFIED = message("HTTP/1.1 304 Not Modified", "Content-Length: 900")

CONNECT = message("CONNECT cloud.example:443 HTTP/1.1", "Host: cloud.example:443")
CONNECTED = message("HTTP/1.1 200 Connection established")

LOGIN = message("GET /admin HTTP/1.1", HOST, "Authorization: Basic b3BlcmF0b3I6c2VjcmV0")
DENIED = message("HTTP/1.1 401 Unauthorized", "Content-Length: 0")

PROXIED = message("GET /p HTTP/1.1", HOST, "X-Forwarded-For: 10.0.0.9")
EMPTY = message("HTTP/1.1 200 OK", "Content-Length: 0")

UPGRADE = message(
    "GET /live HTTP/1.1", HOST, "Connection: Upgrade", "Upgrade: websocket",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
UPGRADED = message(
    "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
)  # fmt: skip
CLIENT_FRAME = b"\x81\x82\1\2\3\4" + bytes([ord("h") ^ 1, ord("i") ^ 2])
SERVER_FRAME = b"\x81\x02yo"

PARTS = (
    b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nsome text\r\n--XyZ--\r\n"
)
MULTIPART = message(
    "POST /upload HTTP/1.1", HOST, "Content-Type: multipart/form-data; boundary=XyZ",
    f"Content-Length: {len(PARTS)}", body=PARTS,
)  # fmt: skip

ZIPPED = stored_gzip(b"g" * 100)
COMPRESSED = message(
    "HTTP/1.1 200 OK", "Content-Encoding: gzip", f"Content-Length: {len(ZIPPED)}", body=ZIPPED
)

OLD = message("GET /old HTTP/1.0", "User-Agent: caf\xc3\xa9")
UNTIL_CLOSE = message("HTTP/1.0 200 OK", "Connection: close", body=b"until the end")

BREW = message("BREW /pot HTTP/1.1", HOST)
TEAPOT = message("HTTP/1.1 418 I'm a teapot", "Content-Length: 0")


def build() -> list[Capture]:
    """The capture ``http``."""
    recorder = Recorder()

    def talk(at: float, port: int, server_port: int = 80) -> Talk:
        opened = Talk(recorder, HMI, SERVER, port, server_port)
        opened.open(at)
        return opened

    def visit(at: float, port: int, request: bytes, response: bytes, server_port: int = 80) -> None:
        opened = talk(at, port, server_port)
        opened.ask(at + 0.01, request, response)
        opened.close(at + 0.02)

    visit(0.0, 48001, GET, GOT)
    visit(1.0, 48002, POST, CREATED)
    visit(2.0, 48003, PIPELINED[0] + PIPELINED[1], IN_ORDER[0] + IN_ORDER[1])

    # The body waits for 100 Continue.
    waiting = talk(3.0, 48004)
    waiting.send(3.01, "c", "PA", EXPECTING)
    waiting.send(3.011, "s", "PA", CONTINUE)
    waiting.send(3.012, "c", "PA", BIG_BODY)
    waiting.send(3.013, "s", "PA", STORED)
    waiting.close(3.02)

    visit(4.0, 48005, HEAD, HEADERS)
    visit(5.0, 48006, CONDITIONAL, NOT_MODIFIED)

    # A tunnel through a proxy, and octets of no known protocol in it.
    through = talk(6.0, 48007, 8080)
    through.ask(6.01, CONNECT, CONNECTED)
    through.ask(6.02, b"\x01\x02\x03", b"\x04\x05")
    through.close(6.03)

    visit(7.0, 48008, LOGIN, DENIED)
    visit(8.0, 48009, PROXIED, EMPTY)

    # Only the responder speaks.
    alone = talk(9.0, 48010)
    alone.send(9.01, "s", "PA", GOT)
    alone.send(9.011, "c", "A")
    alone.close(9.02)

    # WebSocket.
    live = talk(10.0, 48011)
    live.ask(10.01, UPGRADE, UPGRADED)
    live.ask(10.02, CLIENT_FRAME, SERVER_FRAME)
    live.close(10.03)

    visit(11.0, 48012, MULTIPART, EMPTY)
    visit(12.0, 48013, GET, COMPRESSED)

    # No length: the body ends with the connection.
    until = talk(13.0, 48014)
    until.send(13.01, "c", "PA", OLD)
    until.send(13.011, "s", "PA", UNTIL_CLOSE)
    until.send(13.012, "c", "A")
    until.close(13.02, first="s")

    # A port that says nothing.
    visit(14.0, 48015, GET, GOT, server_port=9610)

    # Nobody answers.
    silent = talk(15.0, 48016)
    silent.send(15.01, "c", "PA", GET)
    silent.send(15.011, "s", "A")

    visit(16.0, 48017, BREW, TEAPOT)
    # Two requests, one after the other, on one connection.
    twice = talk(17.0, 48018)
    twice.ask(17.01, GET, GOT)
    twice.ask(17.02, POST, CREATED)
    twice.close(17.03)

    # No HTTP on its port.
    visit(18.0, 48019, b"FOO\r\n\r\n", b"BAR\r\n\r\n")

    # A request in pieces that arrive in the wrong order.
    pieces = talk(19.0, 48020)
    pieces.send(19.01, "c", "A", GET[:10])
    pieces.send(19.011, "c", "PA", GET[30:], seq=1031)
    pieces.send(19.012, "c", "A", GET[10:30], seq=1011)
    pieces.send(19.02, "s", "PA", GOT)
    pieces.send(19.021, "c", "A")
    pieces.close(19.03)
    return [Capture("http", recorder)]
