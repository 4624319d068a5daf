from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, services_of


def string(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([first, len(body)]) + body


def connect(flags: int = 2, rest: bytes = b"") -> bytes:
    return packet(
        0x10, string(b"MQTT") + b"\x04" + bytes([flags]) + b"\x00\x3c" + string(b"id") + rest
    )


def test_connect_confirms_on_any_port() -> None:
    assert services_of([(ORIG, connect())], port=1883) == ["mqtt"]
    assert services_of([(ORIG, connect())]) == ["mqtt"]


def test_publish_confirms_on_the_port() -> None:
    assert services_of([(RESP, packet(0x30, string(b"t") + b"x"))], port=1883) == ["mqtt"]
    assert services_of([(RESP, packet(0x32, string(b"t") + b"\x00\x01x"))], port=1883) == ["mqtt"]


@pytest.mark.parametrize("flags", [0x04, 0x80, 0x40, 0xC4])
def test_flags_announce_fields(flags: int) -> None:
    count = 2 * (flags >> 2 & 1) + (flags >> 7) + (flags >> 6 & 1)
    assert services_of([(ORIG, connect(flags, string(b"f") * count))], port=1883) == ["mqtt"]
    assert services_of([(ORIG, connect(flags, string(b"f") * (count - 1)))], port=1883) == []


@pytest.mark.parametrize(
    "bad",
    [
        b"\x30",
        b"\x30\x05ab",
        b"\x30\x80\x80\x80\x80\x01",
        b"\x30\x80\x80\x80\x01" + bytes(200),
        packet(0x20, b"x"),
        packet(0x90, b"xx"),
        packet(0x40, b"x"),
        packet(0x82, b"\x00\x01" + string(b"t")),
        packet(0xA2, b"\x00\x01\x00\x09"),
        packet(0x32, string(b"t") + b"x"),
    ],
)
def test_a_malformed_packet_disowns(bad: bytes) -> None:
    assert services_of([(ORIG, connect()), (RESP, bad)], port=1883) == []


@pytest.mark.parametrize(
    "good",
    [
        packet(0x20, b"\x00\x00"),
        packet(0x90, b"\x00\x01\x00"),
        packet(0x82, b"\x00\x01" + string(b"t") + b"\x01"),
        packet(0xA2, b"\x00\x01" + string(b"t")),
        packet(0xC0, b""),
        packet(0xC0, b"") + b"what follows is not looked at",
    ],
)
def test_well_formed_packets_pass(good: bytes) -> None:
    assert services_of([(ORIG, connect()), (RESP, good)], port=1883) == ["mqtt"]
