from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of

from osect_sensor.protocols.ssh import INACTIVITY_TIMEOUT

BANNER = b"SSH-2.0-test\r\n"


def packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">IBB", len(body) + 6, 4, kind) + body + bytes(4)


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def kex_init(algorithms: bytes) -> bytes:
    return packet(20, bytes(16) + string(algorithms) + string(b"x") * 9 + b"\x00" + bytes(4))


NEW_KEYS = packet(21, b"")


def exchange(algorithms: bytes = b"curve25519-sha256", *replies: tuple[bool, bytes]):
    return [
        (RESP, BANNER),
        (ORIG, BANNER),
        (ORIG, kex_init(b"unknown," + algorithms)),
        (RESP, kex_init(algorithms)),
        *replies,
    ]


ECDH = [(ORIG, packet(30, string(b"q"))), (RESP, packet(31, string(b"k") * 3))]


def test_new_keys_confirm_on_any_port() -> None:
    turns = exchange(b"curve25519-sha256", *ECDH)
    assert services_of(turns) == []
    assert services_of([*turns, (RESP, NEW_KEYS)]) == ["ssh"]
    assert services_of([*turns, (RESP, NEW_KEYS)], port=22) == ["ssh"]


def test_the_exchange_may_be_cut_anywhere() -> None:
    turns = [*exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS)]
    cut = [(side, data[index : index + 1]) for side, data in turns for index in range(len(data))]
    assert services_of(cut, port=22) == ["ssh"]


def test_a_shell_may_be_silent_for_an_hour() -> None:
    detected = Detected(port=22)
    for turn in [*exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS)]:
        detected.send(*turn)
    assert detected.connection.inactivity_timeout == INACTIVITY_TIMEOUT


def test_the_analyzer_leaves_with_encryption() -> None:
    detected = Detected(port=22)
    for turn in [*exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS), (ORIG, NEW_KEYS)]:
        detected.send(*turn)
    assert "ssh" not in detected.attached
    assert detected.services == ["ssh"]


def test_a_server_may_talk_before_its_version() -> None:
    turns = [(RESP, b"welcome\r\n"), *exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS)]
    assert services_of(turns, port=22) == ["ssh"]


def test_a_client_may_not() -> None:
    turns = [(ORIG, b"welcome\r\n"), *exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS)]
    assert services_of(turns, port=22) == []


@pytest.mark.parametrize(
    ("algorithm", "messages"),
    [
        (b"diffie-hellman-group14-sha256", ECDH),
        (
            b"diffie-hellman-group-exchange-sha256",
            [
                (ORIG, packet(34, bytes(12))),
                (RESP, packet(31, string(b"p") * 2)),
                (ORIG, packet(32, string(b"e"))),
                (RESP, packet(33, string(b"k") * 3)),
            ],
        ),
        (
            b"rsa2048-sha256",
            [(RESP, packet(30, string(b"k") * 2)), (ORIG, packet(31, string(b"s")))],
        ),
        (
            b"gss-group1-sha1-x",
            [(ORIG, packet(30, string(b"t") * 2)), (RESP, packet(33, string(b"k")))],
        ),
    ],
)
def test_each_exchange_has_messages_of_its_own(algorithm: bytes, messages) -> None:
    turns = [*exchange(algorithm, *messages), (ORIG, NEW_KEYS)]
    assert services_of(turns, port=22) == ["ssh"]


def test_a_message_of_another_exchange_disowns() -> None:
    turns = exchange(b"curve25519-sha256", (ORIG, packet(34, bytes(12))), (ORIG, NEW_KEYS))
    assert services_of(turns, port=22) == []


def test_a_string_beyond_its_packet_disowns() -> None:
    turns = exchange(b"curve25519-sha256", (ORIG, packet(30, struct.pack(">I", 99))))
    assert services_of([*turns, (ORIG, NEW_KEYS)], port=22) == []


def test_ssh_1_confirms_with_its_session_key() -> None:
    def packet_1(kind: int, body: bytes) -> bytes:
        length = len(body) + 5
        return struct.pack(">I", length) + bytes(8 - length % 8) + bytes([kind]) + body + bytes(4)

    number = b"\x00\x08\x01"
    public = bytes(8) + bytes(4) + number * 2 + bytes(4) + number * 2 + bytes(12)
    session = b"\x03" + bytes(8) + number + bytes(4)
    turns = [(RESP, b"SSH-1.5-x\n"), (ORIG, b"SSH-1.5-y\n"), (RESP, packet_1(2, public))]
    assert services_of(turns, port=22) == []
    assert services_of([*turns, (ORIG, packet_1(3, session))], port=22) == ["ssh"]


def test_1_99_is_version_2_to_a_client_of_version_2() -> None:
    turns = [*exchange(b"curve25519-sha256", *ECDH), (RESP, NEW_KEYS)]
    turns[0] = (RESP, b"SSH-1.99-test\r\n")
    assert services_of(turns, port=22) == ["ssh"]
