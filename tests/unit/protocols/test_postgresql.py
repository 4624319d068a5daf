from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

from osect_sensor.protocols.postgresql import MAX_HELD


def startup(
    parameters: bytes = b"user\x00op\x00database\x00plant\x00", version: int = 0x30000
) -> bytes:
    body = struct.pack(">I", version) + parameters + b"\x00"
    return struct.pack(">I", len(body) + 4) + body


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


SSL_REQUEST = (ORIG, struct.pack(">II", 8, 80877103))
START = (ORIG, startup())
AUTHENTICATED = (RESP, message(b"R", bytes(4)) + message(b"Z", b"I"))


def postgresql(*turns: tuple[bool, bytes]) -> list[str]:
    return services_of(list(turns), port=5432)


def test_a_startup_message_confirms() -> None:
    assert postgresql(START) == ["postgresql"]
    assert services_of([START]) == []
    assert services_of([START, AUTHENTICATED]) == ["postgresql"]


def test_messages_may_be_cut_anywhere() -> None:
    turns = [START, AUTHENTICATED, (ORIG, message(b"Q", b"select 1\x00"))]
    cut = [(side, data[i : i + 1]) for side, data in turns for i in range(len(data))]
    assert postgresql(*cut) == ["postgresql"]


def test_tls_follows_its_acceptance() -> None:
    turns = [SSL_REQUEST, (RESP, b"S"), (ORIG, record(22, client_hello()))]
    assert postgresql(*turns[:2]) == ["postgresql"]
    assert postgresql(*turns) == ["postgresql", "ssl"]
    assert services_of(turns) == ["postgresql", "ssl"]


def test_a_session_follows_its_refusal() -> None:
    assert postgresql(SSL_REQUEST, (RESP, b"N"), START, AUTHENTICATED) == ["postgresql"]


def test_what_the_client_sends_before_the_answer_is_held_back() -> None:
    hello = (ORIG, record(22, client_hello()))
    assert postgresql(SSL_REQUEST, hello, (RESP, b"S"), (ORIG, b"")) == ["postgresql", "ssl"]


def test_only_so_much_is_held_back() -> None:
    detected = Detected(port=5432)
    detected.send(*SSL_REQUEST)
    for _ in range(MAX_HELD + 1):
        assert "postgresql" in detected.attached
        detected.send(ORIG, b"x")
    assert "postgresql" not in detected.attached


@pytest.mark.parametrize(
    "first",
    [
        struct.pack(">II", 7, 0x30000),
        startup(version=0x20000),
        startup(b"user\x00"),
        startup(b"us er\x00op\x00"),
        startup(b"user\x00\x80\x00"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_other_beginnings_confirm_nothing(first: bytes) -> None:
    assert "postgresql" not in postgresql((ORIG, first))


@pytest.mark.parametrize(
    "bad",
    [
        (RESP, b"R\x00\x00\x00\x03"),
        (RESP, message(b"R", struct.pack(">I", 13))),
        (RESP, message(b"R", bytes(5))),
        (RESP, message(b"Z", b"x")),
        (RESP, message(b"K", bytes(7))),
        (RESP, message(b"S", b"name\x00value")),
        (RESP, message(b"E", b"Sno zero")),
        (RESP, message(b"D", b"x")),
        (ORIG, message(b"Q", b"no zero")),
        (ORIG, b"Q\x00\x00\x00\x03"),
    ],
)
def test_a_malformed_message_disowns(bad: tuple[bool, bytes]) -> None:
    assert postgresql(START, AUTHENTICATED, bad) == []


def test_an_answer_of_another_kind_disowns() -> None:
    assert postgresql(SSL_REQUEST, (RESP, b"X")) == []


def test_an_end_within_a_message_disowns() -> None:
    detected = Detected(port=5432)
    for turn in (START, AUTHENTICATED, (RESP, b"D\x00\x00")):
        detected.send(*turn)
    detected.end(RESP)
    assert detected.services == []
