"""DHCPv6 requests become rows of what the client says about itself."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.logs.rows import UNSET, Dhcpv6Row
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.dhcpv6 import dhcpv6_datagram
from osect_sensor.wire.packet import Packet

SOLICIT = b"\x01\x00\x00\x01"


def option(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(value)) + value


def rows(payload: bytes) -> list[Dhcpv6Row]:
    packet = Packet()
    packet.timestamp = 7
    packet.ip_version = 6
    packet.data = b"\xfe\x80" + bytes(13) + b"\x01" + payload + b"\xff" * 80
    packet.link = b"\xff" * 6 + bytes.fromhex("020000000001")
    packet.source_mac = 6
    sink = CollectingSink()
    dhcpv6_datagram(packet, 16, 16 + len(payload), sink)
    return sink.dhcpv6_rows


def test_request_with_all_that_is_logged():
    (row,) = rows(
        SOLICIT
        + option(1, b"\x00\x03")
        + option(39, b"\x00\x03box\x07example\x03org\x00")
        + option(16, b"\x00\x00\x01\x37\x00\x08MSFT 5.0")
        + option(6, b"\x00\x18\x00\x17")
    )
    assert (row.ts, row.src_ip, row.src_mac) == (7, "fe80::1", "02:00:00:00:00:01")
    assert (row.hostname, row.finger_print) == (b"box.example.org", [24, 23])
    assert (row.enterprise_number, row.vendor_class) == (311, b"MSFT 5.0")


def test_what_is_missing_or_empty_is_unset():
    for options in (b"", option(39, b"\x00\x00") + option(6, b"") + option(16, bytes(6))):
        (row,) = rows(SOLICIT + options)
        assert (row.hostname, row.finger_print) == (None, None)
        assert (row.enterprise_number, row.vendor_class) == (UNSET, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"\x03box", b"box"),
        (b"\x03box\x00trailer", b"box"),
        (b"\x40box", b"box"),
        (b"\x03b\x01x\x01\xe9", b"bx.\xe9"),
    ],
)
def test_hostname_of_unusual_shape(name, expected):
    assert rows(SOLICIT + option(39, b"\x00" + name))[0].hostname == expected


def test_the_last_of_two_counts():
    (row,) = rows(SOLICIT + option(6, b"\x00\x01") + option(6, b"\x00\x02"))
    assert row.finger_print == [2]


def test_relayed_request_has_a_longer_header():
    relayed = option(9, SOLICIT + option(6, b"\x00\x01"))
    (row,) = rows(b"\x0c" + bytes(33) + relayed + option(16, bytes(3) + b"\x09" + bytes(2)))
    assert (row.finger_print, row.enterprise_number) == (None, 9)


@pytest.mark.parametrize("kind", [2, 7, 10, 13])
def test_messages_of_servers_make_no_row(kind):
    assert rows(bytes((kind,)) + SOLICIT[1:] + bytes(40)) == []


@pytest.mark.parametrize(
    "options",
    [
        option(6, b"\x00\x01\x02"),
        option(39, b"\x00"),
        option(16, b"\x00\x00\x00\x09\x00"),
        b"\x00\x06\x00",
        b"\x00\x01\x00\x05abc",
    ],
)
def test_malformed_options_make_no_row(options):
    assert rows(SOLICIT + options) == []


def test_any_prefix_is_survived():
    whole = SOLICIT + option(39, b"\x00\x03box") + option(16, bytes(9)) + option(6, b"\x00\x01")
    made = [len(rows(whole[:length])) for length in range(len(whole) + 1)]
    assert made.count(1) == 4
