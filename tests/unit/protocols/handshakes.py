"""TLS handshake messages and records, made for tests."""

from __future__ import annotations

import struct

TLS_1_2 = 0x0303
TLS_1_3 = 0x0304


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, data)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def record(kind: int, data: bytes, version: int = TLS_1_2) -> bytes:
    return bytes([kind]) + struct.pack(">H", version) + vector(2, data)


SERVER_NAME = extension(0, vector(2, b"\x00" + vector(2, b"plant.example")))


def client_hello(
    version: int = TLS_1_2, extensions: bytes = SERVER_NAME, cookie: bytes = b""
) -> bytes:
    body = struct.pack(">H", version) + bytes(32) + vector(1, b"")
    if version >> 8 == 0xFE:
        body += vector(1, cookie)
    body += vector(2, b"\xc0\x2f\x00\x9c") + vector(1, b"\x00") + vector(2, extensions)
    return message(1, body)


def server_hello(version: int = TLS_1_2, extensions: bytes = b"", cipher: int = 0xC02F) -> bytes:
    body = struct.pack(">H", version) + bytes(32) + vector(1, b"")
    body += struct.pack(">H", cipher) + b"\x00" + vector(2, extensions)
    return message(2, body)


CHANGE_CIPHER_SPEC = record(20, b"\x01")
FINISHED = record(22, bytes(range(40)))
"""Encrypted, hence opaque."""
