"""DHCP requests become rows of what the client says about itself."""

from __future__ import annotations

from osect_sensor.logs.rows import DhcpRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.dhcp_requests import dhcp_datagram
from osect_sensor.wire.packet import Packet

MAGIC = b"\x63\x82\x53\x63"
CLIENT = bytes.fromhex("020000000001") + bytes(10)
DISCOVER = b"\x35\x01\x01"


def message(options: bytes, *, op: int = 1, length: int = 6, magic: bytes = MAGIC) -> bytes:
    head = bytes((op, 1, length, 0)) + bytes(24) + CLIENT + bytes(192)
    return head + magic + options


def rows(payload: bytes) -> list[DhcpRow]:
    packet = Packet()
    packet.timestamp = 7
    packet.ip_version = 4
    packet.data = bytes(4) + b"\xff" * 4 + payload + b"\xff" * 300
    sink = CollectingSink()
    dhcp_datagram(packet, 8, 8 + len(payload), sink)
    return sink.dhcp_rows


def test_request_with_all_that_is_logged():
    options = DISCOVER + b"\x0c\x03box" + b"\x37\x03\x01\x03\x06" + b"\x3c\x04abc\x00" + b"\xff"
    (row,) = rows(message(options))
    assert (row.ts, row.src_ip, row.src_mac) == (7, "0.0.0.0", "02:00:00:00:00:01")
    assert (row.hostname, row.parameter_list, row.class_id) == (b"box", [1, 3, 6], b"abc\x00")


def test_what_is_missing_is_unset():
    (row,) = rows(message(DISCOVER + b"\xff"))
    assert (row.hostname, row.parameter_list, row.class_id) == (None, None, None)


def test_hostname_loses_control_characters_and_marks_what_is_no_utf8():
    (row,) = rows(message(b"\x0c\x05a\x00b\x7f\x83\xff"))
    assert row.hostname == "ab\ufffd".encode()


def test_the_last_of_two_counts_and_padding_is_skipped():
    (row,) = rows(message(b"\x0c\x01a\x00\x00\x0c\x01b\xff\x0c\x01c"))
    assert row.hostname == b"b"


def test_empty_lists_are_empty():
    (row,) = rows(message(b"\x37\x00\x0c\x00\xff"))
    assert (row.parameter_list, row.hostname) == ([], b"")


def test_length_of_the_hardware_address_is_followed():
    assert rows(message(b"\xff", length=2))[0].src_mac == "02:00"
    assert rows(message(b"\xff", length=0))[0].src_mac == ""
    assert rows(message(b"\xff", length=17)) == []


def test_replies_and_plain_bootp_make_no_row():
    assert rows(message(DISCOVER, op=2)) == []
    assert rows(message(DISCOVER, magic=bytes(4))) == []


def test_cut_off_inside_an_option_makes_no_row():
    whole = message(b"\x0c\x03box")
    assert len(rows(whole)) == 1
    for length in range(len(whole)):
        assert len(rows(whole[:length])) == (1 if length == 240 else 0)
