from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, services_of

from osect_sensor.wire.packet import UDP

SYN, ACK, DATA, CORRELATION, EXTENSION = 0x01, 0x04, 0x08, 0x0800, 0x1000


def opening(flags: int, version: int, acknowledged: int = 0xFFFFFFFF) -> bytes:
    packet = struct.pack(">IHH", acknowledged, 64, flags) + bytes(8)
    if flags & CORRELATION:
        packet += bytes(32)
    if flags & EXTENSION:
        packet += struct.pack(">HH", 1, version) + bytes(32 if version == 0x0101 else 0)
    return packet.ljust(1132, b"\x00")


def rdpeudp(*turns: tuple[bool, bytes], port: int = 3389) -> list[str]:
    return services_of(list(turns), protocol=UDP, port=port)


OPEN = (ORIG, opening(SYN | EXTENSION, 2))
ANSWER = (RESP, opening(SYN | ACK | EXTENSION | CORRELATION, 2, 5))


def test_the_answer_confirms_on_any_port() -> None:
    assert rdpeudp(OPEN) == []
    assert rdpeudp(OPEN, ANSWER) == ["rdpeudp"]
    assert rdpeudp(OPEN, ANSWER, port=9999) == ["rdpeudp"]


def test_a_syn_has_to_come_from_the_client_and_acknowledge_nothing() -> None:
    assert rdpeudp((RESP, OPEN[1]), ANSWER) == []
    assert rdpeudp((ORIG, opening(SYN | EXTENSION, 2, 7)), ANSWER) == []


def test_an_opening_needs_its_extension() -> None:
    assert rdpeudp((ORIG, opening(SYN, 2)), ANSWER) == []


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_vectors_of_acknowledgements_are_padded(length: int) -> None:
    vector = struct.pack(">H", length) + bytes(length)
    vector += bytes(-len(vector) % 4)
    packet = struct.pack(">IHH", 1, 64, ACK | DATA) + vector + bytes(8)
    assert rdpeudp(OPEN, ANSWER, (ORIG, packet)) == ["rdpeudp"]
    assert rdpeudp(OPEN, ANSWER, (ORIG, packet[:-1])) == []


def test_version_3_has_short_packets() -> None:
    turns = [
        (ORIG, opening(SYN | EXTENSION, 0x0101)),
        (RESP, opening(SYN | ACK | EXTENSION, 0x0101)),
    ]
    assert rdpeudp(*turns, (ORIG, b"\x00\x00\x04")) == ["rdpeudp"]
    assert rdpeudp(*turns, (ORIG, b"\x00\x00")) == []
