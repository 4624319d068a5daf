from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import TLS_1_3, client_hello, extension, server_hello
from test_quic_crypto import protect

from osect_sensor.protocols.quic_crypto import VERSION_1, VERSION_2
from osect_sensor.wire.packet import UDP

DESTINATION = b"destined"
SOURCE = b"source"
HELLO = client_hello(extensions=b"")
ANSWER = server_hello(extensions=extension(43, TLS_1_3.to_bytes(2, "big")))


def integer(value: int) -> bytes:
    return bytes([value]) if value < 64 else struct.pack(">H", value | 0x4000)


def crypto(data: bytes, offset: int = 0) -> bytes:
    return b"\x06" + integer(offset) + integer(len(data)) + data


def initial(
    frames: bytes,
    *,
    client: bool = True,
    version: int = VERSION_1,
    key: bytes = DESTINATION,
    number: int = 0,
    token: bytes = b"",
) -> bytes:
    frames = frames.ljust(64, b"\x00")
    first = 0xD0 if version == VERSION_2 else 0xC0
    destination, source = (key, SOURCE) if client else (SOURCE, key)
    header = bytes([first]) + struct.pack(">I", version)
    header += bytes([len(destination)]) + destination + bytes([len(source)]) + source
    header += integer(len(token)) + token + integer(len(frames) + 20)
    return protect(version, header, number, frames, key, client)


def quic(*turns: tuple[bool, bytes], port: int = 443) -> list[str]:
    return services_of(list(turns), protocol=UDP, port=port)


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_an_initial_that_decrypts_confirms_and_carries_tls(version: int) -> None:
    packet = initial(crypto(HELLO), version=version, token=b"t")
    assert quic((ORIG, packet)) == ["quic", "ssl"]
    assert quic((ORIG, packet), port=4433) == []


def test_an_initial_without_a_hello_confirms_quic_alone() -> None:
    assert quic((ORIG, initial(b"\x01"))) == ["quic"]


def test_a_forged_initial_is_refused() -> None:
    packet = initial(crypto(HELLO))
    assert quic((ORIG, packet[:-1] + b"\x00")) == []


def test_a_hello_comes_in_pieces_and_out_of_order() -> None:
    first = initial(crypto(HELLO[30:], 30) + b"\x01" + crypto(HELLO[:10]), number=1)
    second = initial(crypto(HELLO[10:30], 10), number=2)
    assert quic((ORIG, first)) == ["quic"]
    assert quic((ORIG, first), (ORIG, second)) == ["quic", "ssl"]


def test_the_server_answers_under_the_same_connection_id() -> None:
    acknowledged = b"\x02\x00\x00\x00\x00" + crypto(ANSWER)
    turns = [(ORIG, initial(crypto(HELLO))), (RESP, initial(acknowledged, client=False))]
    assert quic(*turns) == ["quic", "ssl"]


def test_a_server_that_speaks_first_cannot_be_read() -> None:
    assert quic((RESP, initial(crypto(ANSWER), client=False))) == []


def test_after_a_retry_the_keys_follow_from_the_new_connection_id() -> None:
    retry = b"\xf0\x00\x00\x00\x01\x06" + SOURCE + b"\x03new" + b"token" + bytes(16)
    turns = [(ORIG, initial(b"\x01")), (RESP, retry)]
    turns.append((ORIG, initial(crypto(HELLO), key=b"another!", number=1)))
    assert quic(*turns) == ["quic", "ssl"]


def test_other_packets_in_the_datagram_are_passed_over() -> None:
    handshake = b"\xe0\x00\x00\x00\x01\x00\x00" + integer(5) + b"crypt"
    short = b"\x40" + bytes(30)
    assert quic((ORIG, initial(crypto(HELLO)) + handshake + short)) == ["quic", "ssl"]
    assert quic((ORIG, initial(crypto(HELLO))), (RESP, short)) == ["quic", "ssl"]


@pytest.mark.parametrize(
    "bad",
    [
        b"\xc0\x00\x00\x00\x01",
        b"\xc0\x00\x00\x00\x00\x00\x00" + bytes(40),
        b"\xc0\x51\x30\x34\x33\x00\x00" + bytes(40),
        b"\xe0\x00\x00\x00\x01\x00\x00" + integer(50) + b"short",
        b"\xc0\x00\x00\x00\x01\x00\x00\x00" + integer(19) + bytes(19),
        b"\xf0\x00\x00\x00\x01\x00\x00" + bytes(15),
        initial(b"\x08"),
        initial(b"\x06\x00\x40\xff"),
        initial(b"\x02\x00\x00\x3f\x00"),
    ],
    ids=["header", "version 0", "version", "length", "initial", "retry", "frame", "crypto", "ack"],
)
def test_a_malformed_packet_disowns(bad: bytes) -> None:
    detected = Detected(protocol=UDP, port=443)
    detected.send(ORIG, initial(b"\x01")).send(ORIG, bad)
    assert "quic" not in detected.services
    assert "quic" not in detected.attached


def test_datagrams_of_other_protocols_are_passed_over() -> None:
    assert quic((ORIG, initial(b"\x01")), (ORIG, b"\x00\x01stun?")) == ["quic"]


def test_a_reason_to_close_is_read() -> None:
    closing = b"\x1c\x0a\x00" + integer(3) + b"bye"
    assert quic((ORIG, initial(closing))) == ["quic"]
    assert quic((ORIG, initial(b"\x1c\x0a\x00" + integer(63)))) == []
