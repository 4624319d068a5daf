"""Where tunnels put the packet that they carry."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.wire import tunnels
from osect_sensor.wire.tunnels import (
    INNER_ARP,
    INNER_ETHERNET,
    INNER_IEEE802_11,
    INNER_IP,
    INNER_IPV4_EXACT,
    INNER_IPV6_EXACT,
    MALFORMED,
    NOT_INSIDE,
)

INNER = bytes.fromhex("45000014") + bytes(16)
INNER6 = struct.pack(">IHBB", 0x60000000, 0, 59, 64) + bytes(32)
FRAME = bytes(12) + b"\x08\0" + INNER
BEFORE = b"outer"


def placed(data: bytes) -> tuple[bytes, int, int]:
    """The octets in the middle of a buffer, and where they begin and end."""
    return BEFORE + data + b"padding", len(BEFORE), len(BEFORE) + len(data)


# GRE


def gre(flags: int, protocol: int, rest: bytes) -> tuple[int, int]:
    inner, kind = tunnels.gre(*placed(struct.pack(">HH", flags, protocol) + rest))
    return (inner - len(BEFORE), kind) if inner >= 0 else (inner, kind)


@pytest.mark.parametrize(
    ("flags", "header"),
    [(0, 4), (0x8000, 8), (0x2000, 8), (0x1000, 8), (0xB000, 16), (0x0080, 8)],
)
def test_each_optional_gre_field_takes_four_octets(flags: int, header: int) -> None:
    assert gre(flags, 0x0800, bytes(header - 4) + INNER) == (header, INNER_IP)


@pytest.mark.parametrize("protocol", [0x0800, 0x86DD, 0x883E])
def test_gre_is_taken_to_carry_ip_whatever_it_says(protocol: int) -> None:
    assert gre(0, protocol, INNER) == (4, INNER_IP)


@pytest.mark.parametrize("protocol", [0x8200, 0x8210, 0x8370, 0x9000])
def test_arubas_gre_carries_wireless_frames(protocol: int) -> None:
    assert gre(0, protocol, bytes(40)) == (4, INNER_IEEE802_11)
    assert gre(0, protocol, b"") == (MALFORMED, 0)


def test_bridged_ethernet_in_gre() -> None:
    assert gre(0, 0x6558, FRAME) == (4, INNER_ETHERNET)
    assert gre(0, 0x6558, FRAME[:14]) == (MALFORMED, 0)


def test_erspan_has_no_header_of_its_own_or_eight_or_twelve_or_twenty_octets() -> None:
    assert gre(0, 0x88BE, FRAME) == (4, INNER_ETHERNET)
    assert gre(0x1000, 0x88BE, bytes(4 + 8) + FRAME) == (8 + 8, INNER_ETHERNET)
    assert gre(0x1000, 0x22EB, bytes(4 + 12) + FRAME) == (8 + 12, INNER_ETHERNET)
    optional = bytes(4 + 11) + b"\1" + bytes(8)
    assert gre(0x1000, 0x22EB, optional + FRAME) == (8 + 20, INNER_ETHERNET)


@pytest.mark.parametrize(
    ("flags", "protocol", "rest"),
    [
        (0x1000, 0x88BE, bytes(4 + 8 + 13)),
        (0x1000, 0x22EB, bytes(4 + 12 + 14)),
        (0x1000, 0x22EB, bytes(4 + 11) + b"\1" + bytes(8 + 14)),
    ],
)
def test_erspan_without_room_for_a_frame_is_malformed(
    flags: int, protocol: int, rest: bytes
) -> None:
    assert gre(flags, protocol, rest) == (MALFORMED, 0)


def test_pptp_carries_ip_behind_ppp() -> None:
    head = bytes.fromhex("00000001 00000001")
    assert gre(0x3001, 0x880B, head + b"\xff\3\0\x21" + INNER) == (16, INNER_IPV4_EXACT)
    assert gre(0x3001, 0x880B, head + b"\xff\3\0\x57" + INNER6) == (16, INNER_IPV6_EXACT)
    assert gre(0x3001, 0x880B, head + b"\xff\3\xc0\x21" + INNER) == (MALFORMED, 0)
    assert gre(0x3001, 0x0800, head + b"\xff\3\0\x21" + INNER) == (MALFORMED, 0)


@pytest.mark.parametrize("flags", [0x0002, 0x0007, 0x4000, 0x0008, 0x0040])
def test_other_versions_routing_and_undefined_flags_are_malformed(flags: int) -> None:
    assert gre(flags, 0x0800, INNER) == (MALFORMED, 0)


def test_one_packet_must_fill_the_room_where_that_is_demanded() -> None:
    for data, version in ((INNER, 4), (INNER6, 6)):
        start, end = 1, 1 + len(data)
        assert tunnels.holds_exactly(b"." + data, start, end, version)
        assert tunnels.holds_exactly(b"." + data, start, end, 0)
        assert not tunnels.holds_exactly(b"." + data, start, end, 10 - version)
        assert not tunnels.holds_exactly(b"." + data + b".", start, end + 1, version)
        assert not tunnels.holds_exactly(b"." + data, start, end - 1, version)
    assert not tunnels.holds_exactly(b"\x50" + bytes(39), 0, 40, 0)


# Teredo


TEREDO_ADDRESS = tunnels.TEREDO_PREFIX + bytes(12)
BUBBLE = INNER6[:8] + TEREDO_ADDRESS + bytes(16)
ORIGIN = bytes.fromhex("0000 63bf 3f57fffe")
AUTHENTICATION = bytes.fromhex("0001 0000") + bytes(9)


def teredo(data: bytes) -> int:
    inner = tunnels.teredo(*placed(data))
    return inner - len(BEFORE) if inner >= 0 else inner


@pytest.mark.parametrize("head", [b"", ORIGIN, AUTHENTICATION, AUTHENTICATION + ORIGIN])
def test_teredo_headers_come_in_one_order(head: bytes) -> None:
    assert teredo(head + BUBBLE) == len(head)


@pytest.mark.parametrize(
    "head", [ORIGIN + ORIGIN, ORIGIN + AUTHENTICATION, AUTHENTICATION + AUTHENTICATION, b"\0\2"]
)
def test_other_orders_are_no_teredo(head: bytes) -> None:
    assert teredo(head + BUBBLE) == MALFORMED


def test_teredo_authentication_has_two_variable_fields() -> None:
    head = b"\0\1\3\5" + bytes(3 + 5 + 9)
    assert teredo(head + BUBBLE) == len(head)
    assert teredo(b"\0\1\xff\xff" + bytes(17)) == MALFORMED


def test_only_a_bubble_may_be_followed_by_something() -> None:
    assert teredo(BUBBLE + b"behind") == 0
    packet = struct.pack(">IHBB", 0x60000000, 8, 17, 64) + bytes(32) + bytes(8)
    assert teredo(packet) == 0
    assert teredo(packet + b"!") == MALFORMED
    assert teredo(packet[:-1]) == MALFORMED


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BUBBLE, True),
        (INNER6[:24] + TEREDO_ADDRESS, True),
        (INNER6, False),
        (ORIGIN + INNER6, True),
        (AUTHENTICATION + ORIGIN + INNER6, True),
        (AUTHENTICATION + INNER6, False),
        (ORIGIN + INNER + bytes(20), False),
        (BUBBLE[:39], False),
        (b"\0\1\xff\xff" + bytes(60), False),
    ],
)
def test_teredo_on_any_port_is_recognised_by_its_shape(data: bytes, expected: bool) -> None:
    assert tunnels.looks_like_teredo(*placed(data)) is expected


# VXLAN, Geneve, GTP, AYIYA


def test_vxlan_needs_its_valid_flag() -> None:
    assert tunnels.vxlan(*placed(bytes((8, 0, 0, 0, 0, 0, 42, 0)) + FRAME)) == len(BEFORE) + 8
    assert tunnels.vxlan(*placed(bytes(8) + FRAME)) == MALFORMED
    assert tunnels.vxlan(*placed(b"\x08" + bytes(6))) == MALFORMED


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [(0x6558, INNER_ETHERNET), (0x0800, INNER_IP), (0x86DD, INNER_IP), (0x0806, INNER_ARP)],
)
def test_geneve_names_what_it_carries(protocol: int, kind: int) -> None:
    head = bytes((2, 0)) + protocol.to_bytes(2, "big") + bytes(4) + bytes(8)
    assert tunnels.geneve(*placed(head + FRAME)) == (len(BEFORE) + 16, kind)


def test_geneve_of_other_protocols_versions_and_lengths() -> None:
    assert tunnels.geneve(*placed(b"\0\0\x88\x47" + bytes(4))) == (len(BEFORE) + 8, -1)
    assert tunnels.geneve(*placed(b"\x40\0\x65\x58" + bytes(4)))[0] == NOT_INSIDE
    assert tunnels.geneve(*placed(b"\1\0\x65\x58" + bytes(4)))[0] == MALFORMED
    assert tunnels.geneve(*placed(bytes(7)))[0] == MALFORMED


def gtp(flags: int, kind: int, rest: bytes) -> int:
    inner = tunnels.gtp(*placed(struct.pack(">BBHI", flags, kind, len(rest), 1) + rest))
    return inner - len(BEFORE) if inner >= 0 else inner


def test_gtp_has_optional_fields_if_any_of_its_three_flags_is_set() -> None:
    assert gtp(0x30, 255, INNER) == 8
    for flag in (1, 2):
        assert gtp(0x30 | flag, 255, bytes(4) + INNER) == 12


def test_gtp_extension_headers_are_skipped_one_by_one() -> None:
    chain = b"\0\0\0\x85" + bytes((1, 0, 0, 0x85)) + bytes((2, 0, 0, 0, 0, 0, 0, 0))
    assert gtp(0x34, 255, chain + INNER) == 8 + len(chain)
    assert gtp(0x34, 255, b"\0\0\0\x85" + bytes(20)) == MALFORMED, "a length of 0"
    assert gtp(0x34, 255, b"\0\0\0\x85\xff" + bytes(3) + INNER) == MALFORMED


def test_gtp_of_other_versions_and_messages() -> None:
    assert gtp(0x50, 255, INNER) == MALFORMED
    assert gtp(0x20, 255, INNER) == NOT_INSIDE
    assert gtp(0x30, 1, INNER) == NOT_INSIDE
    assert gtp(0x30, 255, INNER[:19]) == MALFORMED
    assert gtp(0x30, 255, b"\x50" + INNER[1:]) == MALFORMED


def test_ayiya_lengths_are_in_its_first_octets() -> None:
    head = bytes((0x44, 0x52, 0x11, 41)) + bytes(4 + 16 + 20)
    assert tunnels.ayiya(*placed(head + INNER6)) == (len(BEFORE) + len(head), INNER_IP)
    assert tunnels.ayiya(*placed(head[:-1]))[0] == MALFORMED
    assert tunnels.ayiya(*placed(bytes(7)))[0] == MALFORMED
    heartbeat = bytes((0x44, 0x52, 0x10, 59)) + bytes(40)
    assert tunnels.ayiya(*placed(heartbeat))[0] == NOT_INSIDE
    other = bytes((0x44, 0x52, 0x11, 6)) + bytes(40)
    assert tunnels.ayiya(*placed(other)) == (len(BEFORE) + 44, -1)


@given(st.binary(max_size=80))
def test_any_octets_are_answered_within_their_bounds(data: bytes) -> None:
    buffer, start, end = placed(data)
    answers = [
        tunnels.gre(buffer, start, end)[0],
        tunnels.teredo(buffer, start, end),
        tunnels.vxlan(buffer, start, end),
        tunnels.geneve(buffer, start, end)[0],
        tunnels.gtp(buffer, start, end),
        tunnels.ayiya(buffer, start, end)[0],
    ]
    for answer in answers:
        assert answer in (MALFORMED, NOT_INSIDE) or start <= answer <= end
    tunnels.looks_like_teredo(buffer, start, end)
    tunnels.holds_exactly(buffer, start, end, 0)
