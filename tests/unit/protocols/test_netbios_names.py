"""Registrations of unique NetBIOS names become rows."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.logs.rows import NetbiosRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.netbios_names import netbios_name_datagram
from osect_sensor.wire.packet import Packet

POINTER = b"\xc0\x0c"


def encoded(name: bytes, kind: int = 0x20) -> bytes:
    octets = name.ljust(15)[:15] + bytes((kind,))
    halves = bytes(0x41 + half for octet in octets for half in (octet >> 4, octet & 15))
    return b"\x20" + halves + b"\x00"


def registration(
    question: bytes,
    *,
    flags: int = 0x2910,
    additional: bytes = POINTER,
    ttl: int = 300000,
    name_flags: int = 0x6000,
    counts: tuple[int, int] = (1, 1),
) -> bytes:
    return (
        struct.pack(">HHHHHH", 1, flags, counts[0], 0, 0, counts[1])
        + question
        + b"\x00\x20\x00\x01"
        + additional
        + struct.pack(">HHIHH", 0x20, 1, ttl, 6, name_flags)
        + b"\x0a\0\0\1"
    )


def rows(payload: bytes) -> list[NetbiosRow]:
    packet = Packet()
    packet.timestamp = 7
    packet.ip_version = 4
    packet.data = b"\x0a\0\0\1" + payload + b"\xff" * 80
    packet.link = b"\xff" * 6 + bytes.fromhex("020000000001")
    packet.source_mac = 6
    sink = CollectingSink()
    netbios_name_datagram(packet, 4, 4 + len(payload), sink)
    return sink.netbios_rows


def test_registration():
    (row,) = rows(registration(encoded(b"MY BOX")))
    assert (row.ts, row.src_ip, row.src_mac) == (7, "10.0.0.1", "02:00:00:00:00:01")
    assert (row.name, row.ttl, row.service_type) == (b"MYBOX", 300000, "Server")


def test_fifteenth_octet_of_a_name_is_not_logged():
    (row,) = rows(registration(encoded(b"DESKTOP-1234567")))
    assert row.name == b"DESKTOP-123456"


@pytest.mark.parametrize(
    ("kind", "service"),
    [(0x00, "Workstation"), (0x1D, "Master Browser"), (0xBE, "Network Monitor Agent"),
     (0x42, "Unknown")],
)  # fmt: skip
def test_service_type_by_the_sixteenth_octet(kind, service):
    assert rows(registration(encoded(b"A", kind)))[0].service_type == service


def test_additional_name_may_be_spelled_out_and_names_may_have_a_scope():
    name = encoded(b"BOX")
    assert rows(registration(name, additional=name))[0].ttl == 300000
    scoped = name[:-1] + b"\x03com\x00"
    assert rows(registration(scoped))[0].name == b"BOX"


@pytest.mark.parametrize(
    "payload",
    [
        registration(encoded(b"A"), name_flags=0xE000),
        registration(encoded(b"A"), flags=0xAD80),
        registration(encoded(b"A"), flags=0x0110),
        registration(encoded(b"A"), flags=0x3010),
        registration(encoded(b"A"), counts=(0, 1)),
        registration(encoded(b"A"), counts=(1, 0)),
        registration(b"\x04abcd\x00"),
        registration(POINTER),
    ],
)
def test_groups_responses_other_operations_and_other_names_make_no_row(payload):
    assert rows(payload) == []


def test_cut_off_makes_no_row():
    whole = registration(encoded(b"A"))
    for length in range(len(whole) - 4):
        assert rows(whole[:length]) == []
