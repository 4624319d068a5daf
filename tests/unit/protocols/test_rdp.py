from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record


def tpkt(data: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, len(data) + 4) + data


def x224(kind: int, body: bytes) -> bytes:
    return tpkt(bytes([len(body) + 1, kind]) + body)


COOKIE = b"Cookie: mstshash=op\r\n"
NEGOTIATION = b"\x01\x00\x08\x00\x03\x00\x00\x00"
REQUEST = (ORIG, x224(0xE0, bytes(5) + COOKIE + NEGOTIATION))
CONFIRM = (RESP, x224(0xD0, bytes(5)))
CONFIRM_TLS = (RESP, x224(0xD0, bytes(5) + b"\x02\x00\x08\x00\x01\x00\x00\x00"))


def block(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body) + 4) + body


def data(body: bytes) -> bytes:
    return tpkt(b"\x02\xf0\x80" + body)


CORE = block(0xC001, bytes(206))
SECURITY = block(0xC002, bytes(8))
NETWORK = block(0xC003, b"\x01\x00\x00\x00" + bytes(12))


def client(*blocks: bytes) -> bytes:
    element = b"\x04\x01\x01"
    head = b"\x7f\x65" + element * 3 + b"\x01\x01\xff" + b"\x30\x03abc" * 3 + bytes(4)
    connection = b"\x00\x05\x00\x14\x7c\x00\x01\x81\x00"
    create = bytes(8) + b"Duca" + bytes(2)
    # The X.224 header's third octet and two octets of type precede the elements.
    return tpkt(b"\x02\xf0\x80" + head + connection + create + b"".join(blocks))


CERTIFICATE = struct.pack("<III", 2, 1, 3) + b"der"
SERVER_SECURITY = struct.pack("<IIII", 2, 2, 32, len(CERTIFICATE)) + bytes(32) + CERTIFICATE


def server(*blocks: bytes) -> bytes:
    head = b"\x7f\x66" + bytes(3) + b"\x0a\x01\x00" + b"\x02\x01\x00" + b"\x30\x03abc" + bytes(4)
    connection = b"\x00\x05\x00\x14\x7c\x00\x01\x2a"
    create = bytes(9) + b"McDn" + bytes(2)
    return tpkt(b"\x02\xf0\x80" + head + connection + create + b"".join(blocks))


CLIENT_DATA = (ORIG, client(CORE, SECURITY, NETWORK))


def test_core_data_confirms() -> None:
    assert services_of([REQUEST, CONFIRM], port=3389) == []
    assert services_of([REQUEST, CONFIRM, CLIENT_DATA], port=3389) == ["rdp"]
    assert services_of([REQUEST, CONFIRM, CLIENT_DATA]) == ["rdp"]


def test_packets_may_be_cut_anywhere() -> None:
    turns = [REQUEST, CONFIRM, CLIENT_DATA]
    cut = [(side, octets[i : i + 1]) for side, octets in turns for i in range(len(octets))]
    assert services_of(cut, port=3389) == ["rdp"]


def test_the_answer_of_the_server_confirms_too() -> None:
    answer = (RESP, server(block(0x0C02, SERVER_SECURITY)))
    assert services_of([REQUEST, CONFIRM, answer], port=3389) == ["rdp"]


def test_with_tls_chosen_the_connection_is_tls() -> None:
    turns = [REQUEST, CONFIRM_TLS, (ORIG, record(22, client_hello()))]
    assert services_of(turns, port=3389) == ["ssl"]


def test_native_encryption_ends_the_analysis() -> None:
    detected = Detected(port=3389)
    for turn in (REQUEST, CONFIRM, CLIENT_DATA, (RESP, server(block(0x0C02, SERVER_SECURITY)))):
        detected.send(*turn)
    detected.send(ORIG, b"\x00\x00\x00\x00noise")
    assert "rdp" not in detected.attached
    assert detected.services == ["rdp"]


@pytest.mark.parametrize(
    "bad",
    [
        (ORIG, x224(0xE0, bytes(4))),
        (ORIG, x224(0xE0, bytes(5) + b"Cookie: mstshash=op")),
        (ORIG, x224(0xE0, bytes(5) + b"\x01\x00\x09\x00" + bytes(4))),
        (RESP, x224(0xD0, bytes(5) + b"\x04" + bytes(7))),
        (ORIG, client(block(0xC001, bytes(205)))),
        (ORIG, client(block(0xC003, b"\x02\x00\x00\x00" + bytes(12)))),
        (RESP, server(block(0x0C02, SERVER_SECURITY[:-1]))),
        (RESP, server(b"\x02\x0c\x03\x00")),
        (ORIG, tpkt(b"\x02")),
    ],
    ids=[
        "request",
        "cookie",
        "negotiation",
        "response",
        "core",
        "channels",
        "security",
        "block",
        "empty",
    ],
)
def test_a_malformed_packet_disowns(bad: tuple[bool, bytes]) -> None:
    detected = Detected(port=3389)
    for turn in (REQUEST, CONFIRM, CLIENT_DATA, bad):
        detected.send(*turn)
    assert detected.services == []
    assert "rdp" not in detected.attached
