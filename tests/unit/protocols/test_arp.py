"""ARP requests and replies become rows; what Zeek calls bad does not."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.logs.rows import ArpRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.arp import arp_frame
from osect_sensor.wire.packet import Packet

ASKING = bytes.fromhex("020000000001")
ASKED = bytes.fromhex("020000000002")


def frame(
    operation: int,
    *,
    hardware: int = 1,
    protocol: int = 0x0800,
    lengths: bytes = b"\x06\x04",
    sender: bytes = ASKING,
    target: bytes = bytes(6),
    addresses: tuple[bytes, bytes] = (b"\x0a\0\0\1", b"\x0a\0\0\2"),
) -> bytes:
    return (
        struct.pack(">HH", hardware, protocol)
        + lengths
        + struct.pack(">H", operation)
        + sender
        + addresses[0]
        + target
        + addresses[1]
    )


def rows(payload: bytes, source: bytes = ASKING) -> list[ArpRow]:
    packet = Packet()
    packet.timestamp = 7
    packet.data = packet.link = b"\xff" * 6 + source + b"\x08\x06" + payload
    packet.destination_mac = 0
    packet.source_mac = 6
    packet.network = 14
    packet.captured_end = len(packet.data)
    sink = CollectingSink()
    arp_frame(packet, sink)
    return sink.arp_rows


def values(row: ArpRow) -> tuple[object, ...]:
    return (row.ts, row.orig_mac, row.orig_ip, row.resp_mac, row.resp_ip, row.who_has)


def test_request_has_the_asking_station_as_originator():
    (row,) = rows(frame(1))
    assert values(row) == (7, "02:00:00:00:00:01", "10.0.0.1", "", "10.0.0.2", "10.0.0.2")


def test_reply_has_the_station_that_had_asked_as_originator():
    addresses = (b"\x0a\0\0\2", b"\x0a\0\0\1")
    (row,) = rows(frame(2, sender=ASKED, target=ASKING, addresses=addresses), ASKED)
    assert values(row) == (
        7, "02:00:00:00:00:01", "10.0.0.1", "02:00:00:00:00:02", "10.0.0.2", "",
    )  # fmt: skip


def test_probe_without_own_address_makes_a_row():
    (row,) = rows(frame(1, addresses=(bytes(4), b"\x0a\0\0\1")))
    assert row.orig_ip == "0.0.0.0"


def test_ieee_802_hardware_type_and_trailing_padding_are_accepted():
    assert len(rows(frame(1, hardware=6) + bytes(18))) == 1


@pytest.mark.parametrize(
    "payload",
    [
        frame(1, hardware=7),
        frame(1, protocol=0x86DD),
        frame(1, lengths=b"\x08\x04"),
        frame(1, lengths=b"\x06\x10"),
        frame(3),
        frame(8),
        frame(0),
    ],
)
def test_other_kinds_make_no_row(payload):
    assert rows(payload) == []


def test_sender_that_is_not_the_frames_source_makes_no_row():
    assert rows(frame(1), source=ASKED) == []


def test_link_layer_without_addresses_leaves_the_claim_unchecked():
    packet = Packet()
    packet.data = packet.link = frame(1)
    packet.captured_end = len(packet.data)
    sink = CollectingSink()
    arp_frame(packet, sink)
    assert len(sink.arp_rows) == 1


def test_cut_off_at_any_length_makes_no_row():
    whole = frame(1)
    for length in range(len(whole)):
        assert rows(whole[:length]) == []
