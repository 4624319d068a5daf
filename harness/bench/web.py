"""A minute of an office: names looked up, pages fetched in the clear and over TLS."""

from __future__ import annotations

import random
import struct
from typing import Final

from osect_harness.bench.octets import Conversation, Film, Station, udp

RESOLVER: Final = Station(2)
SERVER: Final = Station(3, bytes((203, 0, 113)))
CLIENTS: Final = 12
FIRST_CLIENT: Final = 20
SECOND: Final = 1_000_000

PAGES: Final = 24
PAGE_EVERY: Final = 2_400_000
"""Microseconds from one page to the next; every fourth is fetched over IPv6."""

SIZES: Final = (1_800, 24_000, 90_000)
"""Octets of the objects of a page in the clear, fetched one after the other."""

DOWNLOAD: Final = 140_000
"""Octets that a connection with TLS brings."""

RECORD: Final = 16_384
"""Octets of plain text in a TLS record at most (RFC 8446 section 5.1)."""

TYPE_A: Final = 1
TYPE_AAAA: Final = 28


def web_minute() -> bytes:
    """The capture of the minute; the same octets each time."""
    film = Film()
    noise = random.Random(1)
    for page in range(PAGES):
        at = SECOND + page * PAGE_EVERY
        client = Station(FIRST_CLIENT + page % CLIENTS)
        v6 = page % 4 == 3
        name = f"page{page}.example"
        for number, kind in enumerate((TYPE_A, TYPE_AAAA)):
            _look_up(film, client, at + number * 400, 30_000 + page, kind, name, v6)
        talk = Conversation(film, client, SERVER, (41_000 + page, 80), at + 5_000, v6=v6)
        for number, size in enumerate(SIZES):
            talk.send(0, _request(name, f"/{page}/{number}"))
            talk.send(1, _response(size))
        talk.close()
        talk = Conversation(film, client, SERVER, (42_000 + page, 443), at + 500_000, v6=v6)
        _tls(talk, name, noise)
        talk.close()
    return film.capture()


def _look_up(
    film: Film, client: Station, at: int, port: int, kind: int, name: str, v6: bool
) -> None:
    """A question and its answer (RFC 1035 section 4)."""
    labels = b"".join(bytes((len(one),)) + one.encode() for one in name.split(".")) + b"\0"
    question = labels + struct.pack(">HH", kind, 1)
    address = SERVER.address if kind == TYPE_A else SERVER.address6
    answer = struct.pack(">HHHIH", 0xC00C, kind, 1, 300, len(address)) + address
    number = port + kind & 0xFFFF
    asked = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + question
    answered = struct.pack(">HHHHHH", number, 0x8180, 1, 1, 0, 0) + question + answer
    ports = (port + kind * 100, 53)
    film.add(at, udp(client, RESOLVER, ports, asked, v6))
    film.add(at + 300, udp(RESOLVER, client, ports[::-1], answered, v6))


def _request(host: str, uri: str) -> bytes:
    return (
        f"GET {uri} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en\r\n"
        f"Referer: http://{host}/\r\nConnection: keep-alive\r\n\r\n"
    ).encode()


def _response(size: int) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nServer: example\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {size}\r\nConnection: keep-alive\r\n\r\n"
    ).encode()
    line = b"<p>Nothing of what is written here is of interest to anybody.</p>\n"
    return head + (line * (size // len(line) + 1))[:size]


def _tls(talk: Conversation, name: str, noise: random.Random) -> None:
    """A TLS 1.3 handshake and what follows it (RFC 8446); what is encrypted is noise."""
    talk.send(0, _record(22, _client_hello(name, noise)))
    # Everything from the server's extensions to its Finished message is encrypted.
    changed = _record(20, b"\1")
    talk.send(1, _record(22, _server_hello(noise)) + changed + _record(23, noise.randbytes(3_200)))
    talk.send(0, changed + _record(23, noise.randbytes(53)) + _record(23, noise.randbytes(400)))
    talk.send(1, b"".join(
        _record(23, noise.randbytes(min(RECORD, DOWNLOAD - start)))
        for start in range(0, DOWNLOAD, RECORD)
    ))  # fmt: skip


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BHH", kind, 0x0303, len(content)) + content


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">HH", kind, len(content)) + content


def _handshake(kind: int, content: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(content)) + content


def _client_hello(name: str, noise: random.Random) -> bytes:
    host = name.encode()
    share = struct.pack(">HHH", 36, 29, 32) + noise.randbytes(32)
    extensions = (
        _extension(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)
        + _extension(10, b"\0\2\0\x1d")
        + _extension(13, b"\0\4\4\3\x08\4")
        + _extension(16, b"\0\x0c\2h2\x08http/1.1")
        + _extension(43, b"\2\3\4")
        + _extension(51, share)
    )
    return _handshake(
        1,
        b"\3\3" + noise.randbytes(32) + b"\x20" + noise.randbytes(32)
        + b"\0\6\x13\1\x13\2\x13\3" + b"\1\0" + len(extensions).to_bytes(2, "big") + extensions,
    )  # fmt: skip


def _server_hello(noise: random.Random) -> bytes:
    extensions = _extension(43, b"\3\4") + _extension(
        51, struct.pack(">HH", 29, 32) + noise.randbytes(32)
    )
    return _handshake(
        2,
        b"\3\3" + noise.randbytes(32) + b"\x20" + noise.randbytes(32)
        + b"\x13\1\0" + len(extensions).to_bytes(2, "big") + extensions,
    )  # fmt: skip
