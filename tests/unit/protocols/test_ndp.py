"""Neighbor Solicitations and Advertisements become rows with the asking station as originator."""

from __future__ import annotations

from osect_sensor.logs.rows import NeighborRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.ndp import neighbor_packet
from osect_sensor.wire.packet import Packet

A = bytes.fromhex("fe80000000000000000000000000000a")
B = bytes.fromhex("fe80000000000000000000000000000b")
GROUP = bytes.fromhex("ff0200000000000000000001ff00000b")


def rows(
    kind: int,
    source: bytes,
    destination: bytes,
    target: bytes = B,
    *,
    payload_length: int = 24,
    captured: int = 24,
    macs: bool = True,
) -> list[NeighborRow]:
    packet = Packet()
    packet.timestamp = 7
    link = bytes.fromhex("02000000000b 02000000000a 86dd")
    message = bytes((kind, 0, 0, 0, 0, 0, 0, 0)) + target
    packet.data = packet.link = link + bytes(8) + source + destination + message
    if macs:
        packet.destination_mac = 0
        packet.source_mac = 6
    packet.network = 14
    packet.ip_version = 6
    packet.source = 22
    packet.destination = 38
    packet.transport = 54
    packet.payload_end = 54 + payload_length
    packet.captured_end = 54 + captured
    sink = CollectingSink()
    neighbor_packet(packet, sink)
    return sink.neighbor_rows


def values(row: NeighborRow) -> tuple[object, ...]:
    return (row.ts, row.orig_mac, row.orig_ip, row.resp_mac, row.resp_ip, row.who_has)


def test_solicitation():
    (row,) = rows(135, A, GROUP)
    assert values(row) == (7, "02:00:00:00:00:0a", "fe80::a", "", "fe80::b", "fe80::b")


def test_solicitation_of_a_station_without_an_address_yet():
    (row,) = rows(135, bytes(16), GROUP)
    assert row.orig_ip == "::"


def test_advertisement_has_its_addressee_as_originator():
    (row,) = rows(136, A, B, A)
    assert values(row) == (
        7, "02:00:00:00:00:0b", "fe80::b", "02:00:00:00:00:0a", "fe80::a", "",
    )  # fmt: skip


def test_advertisement_to_a_group_makes_no_row():
    assert rows(136, A, GROUP) == []


def test_other_types_make_no_row():
    for kind in (0, 128, 133, 134, 137):
        assert rows(kind, A, B) == []


def test_cut_off_message_makes_no_row():
    assert rows(135, A, GROUP, captured=23) == []
    assert rows(135, A, GROUP, payload_length=23) == []
    assert rows(135, A, GROUP, captured=0) == []


def test_payload_length_of_zero_says_nothing():
    assert len(rows(135, A, GROUP, payload_length=0)) == 1


def test_link_layer_without_addresses_leaves_them_out():
    (row,) = rows(136, A, B, macs=False)
    assert (row.orig_mac, row.resp_mac) == ("", "")
