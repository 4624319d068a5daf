"""From frames to packets: link layers, tags, IP headers, extension headers."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.wire import decode
from osect_sensor.wire.decode import (
    ARP,
    IP,
    IP_BAD,
    IP_HELD,
    IP_OPAQUE,
    IP_WHOLE,
    OTHER,
    UNDECODABLE,
    Decoder,
)
from osect_sensor.wire.packet import NO_VLAN, Packet

DESTINATION = bytes.fromhex("020000000002")
SOURCE = bytes.fromhex("020000000001")
CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
CLIENT6 = bytes.fromhex("20010db8000000000000000000000001")
SERVER6 = bytes.fromhex("20010db8000000000000000000000002")
HOME6 = bytes.fromhex("20010db8000000000000000000000009")
UDP_HEADER = bytes.fromhex("9c40003500080000")


def ipv4(
    payload: bytes = UDP_HEADER,
    *,
    protocol: int = 17,
    length: int = -1,
    fragment: int = 0,
    options: bytes = b"",
    words: int = -1,
    identification: int = 7,
) -> bytes:
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBH",
        0x40 | (size // 4 if words < 0 else words),
        0,
        size + len(payload) if length < 0 else length,
        identification,
        fragment,
        64,
        protocol,
        0,
    )
    return head + CLIENT + SERVER + options + payload


def ipv6(payload: bytes, next_header: int, length: int = -1) -> bytes:
    size = len(payload) if length < 0 else length
    return struct.pack(">IHBB", 0x60012345, size, next_header, 64) + CLIENT6 + SERVER6 + payload


def ethernet(ethertype: int, payload: bytes) -> bytes:
    return DESTINATION + SOURCE + ethertype.to_bytes(2, "big") + payload


class Bench:
    """A decoder with one packet that sits in the middle of a buffer, as in a capture."""

    def __init__(self, frame: bytes, link_type: int = decode.LINKTYPE_ETHERNET) -> None:
        self.decoder = Decoder()
        self.packet = Packet()
        self.frame = frame
        self.link_type = link_type

    def link(self) -> int:
        packet = self.packet
        packet.data = b"before" + self.frame + b"behind"
        packet.network = 6
        packet.captured_end = 6 + len(self.frame)
        return self.decoder.link(packet, self.link_type)

    def ip(self, cut: int = 0) -> int:
        assert self.link() == IP
        return self.decoder.ip(self.packet, 6 + len(self.frame) + cut)

    @property
    def rest(self) -> bytes:
        """What the network layer holds."""
        return self.packet.data[self.packet.network : self.packet.captured_end]

    @property
    def payload(self) -> bytes:
        """What the IP header says is its payload."""
        return self.packet.data[self.packet.transport : self.packet.payload_end]

    def mac(self, offset: int) -> bytes:
        return self.packet.link[offset : offset + 6]


INNER = ipv4()
SNAP_IP = bytes.fromhex("aaaa03000000 0800")
TAG7 = bytes.fromhex("0007")

WRAPPED = {
    "ethernet": (1, ethernet(0x0800, INNER)),
    "vlan": (1, ethernet(0x8100, TAG7 + b"\x08\0" + INNER)),
    "priority_tag": (1, ethernet(0x8100, b"\x60\0" + b"\x08\0" + INNER)),
    "qinq": (1, ethernet(0x88A8, TAG7 + b"\x81\0" + TAG7 + b"\x08\0" + INNER)),
    "qinq_before_802_1ad": (1, ethernet(0x9100, TAG7 + b"\x81\0" + TAG7 + b"\x08\0" + INNER)),
    "802_3_snap": (1, ethernet(8 + len(INNER), SNAP_IP + INNER)),
    "snap_in_vlan": (1, ethernet(0x8100, TAG7 + b"\0\x08" + SNAP_IP + INNER)),
    "snap_of_four_octets": (
        1,
        ethernet(9 + len(INNER), bytes.fromhex("aaaa0000 000000 0800") + INNER),
    ),
    "mpls": (1, ethernet(0x8847, bytes.fromhex("00001040 00002140") + INNER)),
    "mpls_in_vlan": (1, ethernet(0x8100, TAG7 + b"\x88\x47" + bytes.fromhex("00001140") + INNER)),
    "pppoe": (
        1,
        ethernet(0x8864, b"\x11\0\0\1" + struct.pack(">HH", len(INNER) + 2, 0x21) + INNER),
    ),
    "provider_backbone": (1, ethernet(0x88E7, bytes(4) + ethernet(0x0800, INNER))),
    "fabricpath": (1, bytes(12) + b"\x89\x03" + b"\0\0" + ethernet(0x0800, INNER)),
    "vntag": (1, ethernet(0x8926, bytes(4) + b"\x81\0" + TAG7 + b"\x08\0" + INNER)),
    "raw": (101, INNER),
    "raw_ipv4": (228, INNER),
    "null": (0, b"\2\0\0\0" + INNER),
    "null_of_a_big_endian_host": (0, b"\0\0\0\2" + INNER),
    "loop": (108, b"\0\0\0\2" + INNER),
    "ppp": (9, b"\0\x21" + INNER),
    "ppp_in_hdlc": (9, b"\xff\3\0\x21" + INNER),
    "ppp_mpls": (9, b"\2\x81" + bytes.fromhex("00001140") + INNER),
    "ppp_serial": (50, b"\xff\3\0\x21" + INNER),
    "cooked": (113, bytes(6) + SOURCE + bytes(2) + b"\x08\0" + INNER),
    "cooked_2": (276, b"\x08\0" + bytes(10) + SOURCE + bytes(2) + INNER),
    "fddi": (10, bytes(21) + INNER),
    "wireless": (105, b"\x08\1" + bytes(22) + SNAP_IP + INNER),
    "wireless_with_quality": (105, b"\x88\1" + bytes(24) + SNAP_IP + INNER),
    "wireless_bridge": (105, b"\x08\3" + bytes(28) + SNAP_IP + INNER),
    "radiotap": (127, b"\0\0\x0a\0" + bytes(6) + b"\x08\2" + bytes(22) + SNAP_IP + INNER),
    "nflog": (239, b"\2\0\0\0" + b"\7\0\1\0abc\0" + b"\x20\0\x09\0" + INNER),
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_ip_is_found_behind_every_link_layer(name: str) -> None:
    link_type, frame = WRAPPED[name]
    bench = Bench(frame, link_type)
    assert bench.ip() == IP_WHOLE
    assert bench.rest == INNER
    assert bench.payload == UDP_HEADER
    assert bench.decoder.undecodable == 0


@pytest.mark.parametrize("name", list(WRAPPED))
def test_a_frame_cut_at_any_octet_yields_no_whole_packet(name: str) -> None:
    link_type, frame = WRAPPED[name]
    for size in range(len(frame)):
        bench = Bench(frame[:size], link_type)
        if bench.link() == IP:
            result = bench.decoder.ip(bench.packet, 6 + size)
            # All of the IP header may be there; then its length does not fit the frame.
            assert result == IP_BAD
        assert bench.decoder.undecodable <= 1


def test_addresses_and_tags_are_noted() -> None:
    bench = Bench(ethernet(0x88A8, b"\x20\x64" + b"\x81\0" + b"\0\xc8" + b"\x08\0" + INNER))
    assert bench.link() == IP
    assert (bench.packet.vlan, bench.packet.inner_vlan) == (100, 200)
    assert bench.mac(bench.packet.destination_mac) == DESTINATION
    assert bench.mac(bench.packet.source_mac) == SOURCE


def test_a_packet_is_reset_between_frames() -> None:
    bench = Bench(WRAPPED["qinq"][1])
    assert bench.link() == IP
    bench.frame = INNER
    bench.link_type = decode.LINKTYPE_RAW
    assert bench.link() == IP
    assert (bench.packet.vlan, bench.packet.inner_vlan) == (NO_VLAN, NO_VLAN)
    assert (bench.packet.source_mac, bench.packet.destination_mac) == (-1, -1)


def test_addresses_behind_a_provider_backbone_header_are_the_customers() -> None:
    inner = bytes.fromhex("0200000000ff0200000000fe0800") + INNER
    bench = Bench(ethernet(0x88E7, bytes(4) + inner))
    assert bench.link() == IP
    assert bench.mac(bench.packet.source_mac)[5] == 0xFE


def test_provider_backbone_headers_nest() -> None:
    inner = ethernet(0x88E7, bytes(4) + ethernet(0x0800, INNER))
    bench = Bench(ethernet(0x88E7, bytes(4) + inner))
    assert bench.ip() == IP_WHOLE


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("a service tag behind a tag", ethernet(0x8100, TAG7 + b"\x88\xa8" + TAG7 + b"\x08\0")),
        ("IP directly behind a VN-Tag", ethernet(0x8926, bytes(4) + b"\x08\0")),
        ("802.3 behind a VN-Tag", ethernet(0x8926, bytes(4) + b"\0\x40" + SNAP_IP)),
        ("MPLS in PPPoE", ethernet(0x8864, b"\x11\0\0\1\0\x50\2\x81" + bytes.fromhex("00001140"))),
        ("LLC", ethernet(0x0010, bytes.fromhex("424203"))),
        ("raw Novell", ethernet(0x0010, b"\xff\xff\0")),
        ("a vendor's SNAP", ethernet(0x0010, bytes.fromhex("aaaa0300000c0800"))),
        ("PROFINET", ethernet(0x8892, bytes(4))),
    ],
)
def test_what_zeek_does_not_follow_is_not_followed(name: str, payload: bytes) -> None:
    assert Bench(payload + INNER).link() == OTHER, name


def test_the_ethertype_of_other_frames_is_told() -> None:
    bench = Bench(ethernet(0x8100, TAG7 + b"\x89\x0f" + bytes(20)))
    assert bench.link() == OTHER
    assert bench.packet.ethertype == decode.ETHERTYPE_CCLINK_IE
    assert bench.rest == bytes(20)


@pytest.mark.parametrize("ethertype", [0x0806, 0x8035])
def test_arp_is_recognised(ethertype: int) -> None:
    assert Bench(ethernet(ethertype, bytes(28))).link() == ARP
    assert Bench(ethernet(36, SNAP_IP[:6] + ethertype.to_bytes(2, "big") + bytes(28))).link() == ARP
    assert Bench(bytes(14) + ethertype.to_bytes(2, "big") + bytes(28), 113).link() == ARP


def test_a_frame_of_tags_ends() -> None:
    bench = Bench(ethernet(0x8100, b"\0\1\x81\0" * 5000 + INNER))
    assert bench.link() == UNDECODABLE
    assert bench.decoder.reasons == {"too many VLAN tags": 1}


def test_an_undefined_ethertype_is_dropped() -> None:
    bench = Bench(ethernet(1501, bytes(60)))
    assert bench.link() == UNDECODABLE
    assert bench.decoder.reasons == {"undefined EtherType": 1}


def test_padding_of_pppoe_is_not_part_of_the_packet() -> None:
    head = b"\x11\0\0\1" + struct.pack(">HH", len(INNER) + 2, 0x21)
    bench = Bench(ethernet(0x8864, head + INNER + bytes(10)))
    assert bench.link() == IP
    assert bench.rest == INNER


@pytest.mark.parametrize("length", [0, 1, 2])
def test_pppoe_without_payload_hides_what_follows(length: int) -> None:
    head = b"\x11\0\0\1" + struct.pack(">HH", length, 0x21)
    bench = Bench(ethernet(0x8864, head + INNER))
    assert bench.link() == IP
    assert bench.rest == b""


@pytest.mark.parametrize(
    ("directions", "source", "destination"), [(0, 10, 4), (1, 10, 16), (2, 16, 4), (3, 24, 16)]
)
def test_wireless_addresses_depend_on_the_direction(
    directions: int, source: int, destination: int
) -> None:
    addresses = bytes(range(4, 30 if directions == 3 else 24))
    bench = Bench(bytes((8, directions, 0, 0)) + addresses + SNAP_IP + INNER, 105)
    assert bench.ip() == IP_WHOLE
    assert bench.mac(bench.packet.source_mac)[0] == source
    assert bench.mac(bench.packet.destination_mac)[0] == destination


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("beacon", b"\x80\0"),
        ("acknowledgement", b"\xd4\0"),
        ("null data", b"\x48\1"),
        ("encrypted", b"\x88\x41"),
    ],
)
def test_wireless_frames_without_a_packet_are_passed_over(name: str, start: bytes) -> None:
    assert Bench(start + bytes(24) + SNAP_IP + INNER, 105).link() == OTHER, name


def test_an_nflog_attribute_cannot_stand_still() -> None:
    bench = Bench(b"\2\0\0\0" + b"\0\0\1\0" * 8, 239)
    assert bench.link() == UNDECODABLE


def test_an_unknown_link_type_is_dropped() -> None:
    assert not decode.supports(147)
    assert Bench(INNER, 147).link() == UNDECODABLE


# IPv4


def test_ipv4_fields_are_offsets_into_the_buffer() -> None:
    bench = Bench(ipv4(UDP_HEADER + b"hi", options=bytes(8)), 101)
    assert bench.ip() == IP_WHOLE
    packet = bench.packet
    assert packet.data[packet.source : packet.source + 4] == CLIENT
    assert packet.data[packet.destination : packet.destination + 4] == SERVER
    assert (packet.ip_version, packet.protocol, packet.address_length) == (4, 17, 4)
    assert packet.ip_length == 20 + 8 + 10
    assert bench.payload == UDP_HEADER + b"hi"
    assert packet.source_text() == "10.0.0.1"


def test_ethernet_padding_is_no_payload_but_is_captured() -> None:
    bench = Bench(ethernet(0x0800, INNER + bytes(18)))
    assert bench.ip() == IP_WHOLE
    assert bench.payload == UDP_HEADER
    assert bench.packet.captured_end - bench.packet.payload_end == 18


def test_a_length_of_zero_is_taken_from_the_frame() -> None:
    bench = Bench(ipv4(UDP_HEADER + b"offload", length=0), 101)
    assert bench.ip() == IP_WHOLE
    assert bench.payload == UDP_HEADER + b"offload"
    assert bench.packet.ip_length == 0


def test_a_packet_longer_than_its_frame_is_dropped_unless_the_capture_cut_it() -> None:
    bench = Bench(ipv4(UDP_HEADER, length=60), 101)
    assert bench.ip() == IP_BAD
    assert bench.decoder.reasons == {"IP length beyond the frame": 1}
    bench = Bench(ipv4(UDP_HEADER, length=60), 101)
    assert bench.ip(cut=32) == IP_WHOLE
    assert bench.packet.payload_end - bench.packet.captured_end == 32


@pytest.mark.parametrize("words", [0, 4, 15])
def test_a_header_length_that_cannot_be_is_dropped(words: int) -> None:
    assert Bench(ipv4(words=words), 101).ip() == IP_BAD


def test_a_version_that_is_neither_4_nor_6_is_dropped() -> None:
    bench = Bench(b"\x55" + INNER[1:], 101)
    assert bench.ip() == IP_BAD
    assert bench.decoder.reasons == {"unknown IP version": 1}


def test_no_next_header_is_not_followed_in_ipv4_either() -> None:
    assert Bench(ipv4(protocol=59), 101).ip() == IP_OPAQUE


# Fragments of IPv4


def fragments4(payload: bytes, size: int, identification: int = 7) -> list[bytes]:
    parts = []
    for offset in range(0, len(payload), size):
        more = 0x2000 if offset + size < len(payload) else 0
        parts.append(
            ipv4(
                payload[offset : offset + size],
                fragment=more | offset // 8,
                identification=identification,
            )
        )
    return parts


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_fragments_in_any_order_make_one_packet(order: tuple[int, ...]) -> None:
    payload = UDP_HEADER + bytes(range(56))
    parts = fragments4(payload, 24)
    bench = Bench(b"", 101)
    results = []
    for index in order:
        bench.frame = ethernet(0x0800, parts[index])
        bench.link_type = decode.LINKTYPE_ETHERNET
        results.append(bench.ip())
    assert results == [IP_HELD, IP_HELD, IP_WHOLE]
    packet = bench.packet
    assert packet.reassembled
    assert bench.payload == payload
    assert packet.ip_length == 20 + len(payload)
    assert packet.captured_end == packet.payload_end
    assert bench.mac(packet.source_mac) == SOURCE, "of the last fragment's frame"


def test_the_header_of_the_fragment_that_came_first_counts() -> None:
    """Options are in all fragments or in the first only (RFC 791 section 3.1)."""
    payload = UDP_HEADER + bytes(24)
    bench = Bench(ipv4(payload[:16], fragment=0x2000, options=bytes(12)), 101)
    assert bench.ip() == IP_HELD
    bench.frame = ipv4(payload[16:], fragment=2)
    assert bench.ip() == IP_WHOLE
    assert bench.payload == payload


def test_a_fragment_that_the_capture_cut_shows_its_ports_if_it_is_the_first() -> None:
    bench = Bench(ipv4(UDP_HEADER, fragment=0x2000, length=1500), 101)
    assert bench.ip(cut=1472) == IP_WHOLE
    bench = Bench(ipv4(UDP_HEADER, fragment=0x2001, length=1500), 101)
    assert bench.ip(cut=1472) == IP_BAD


def test_fragments_of_different_datagrams_stay_apart() -> None:
    bench = Bench(b"", 101)
    for frame in (
        fragments4(UDP_HEADER + b"a" * 16, 16)[0],
        fragments4(UDP_HEADER + b"b" * 16, 16, identification=8)[1],
    ):
        bench.frame = frame
        assert bench.ip() == IP_HELD
    bench.frame = fragments4(UDP_HEADER + b"a" * 16, 16)[1]
    assert bench.ip() == IP_WHOLE
    assert bench.payload == UDP_HEADER + b"a" * 16


# IPv6


def extension(next_header: int, body: bytes = bytes(6)) -> bytes:
    assert len(body) % 8 == 6
    return bytes((next_header, len(body) // 8)) + body


def routing(kind: int, left: int, final: bytes, next_header: int = 17) -> bytes:
    return extension(next_header, bytes((kind, left)) + bytes(4) + final)


HOME_OPTION = bytes((1, 2, 0, 0, 201, 16)) + HOME6


def test_ipv6_fields() -> None:
    bench = Bench(ipv6(UDP_HEADER, 17), 101)
    assert bench.ip() == IP_WHOLE
    packet = bench.packet
    assert (packet.ip_version, packet.protocol, packet.address_length) == (6, 17, 16)
    assert packet.flow_label == 0x12345
    assert packet.ip_length == 48
    assert bench.payload == UDP_HEADER


@pytest.mark.parametrize(
    ("name", "next_header", "chain"),
    [
        ("hop by hop", 0, extension(17)),
        ("long hop by hop", 0, extension(17, bytes(30))),
        ("destination options", 60, extension(17)),
        ("authentication", 51, bytes((17, 4)) + bytes(22)),
        ("several", 0, extension(43) + routing(4, 1, SERVER6, 60) + extension(17)),
    ],
)
def test_extension_headers_are_skipped(name: str, next_header: int, chain: bytes) -> None:
    bench = Bench(ipv6(chain + UDP_HEADER, next_header), 101)
    assert bench.ip() == IP_WHOLE, name
    assert bench.packet.protocol == 17
    assert bench.payload == UDP_HEADER
    assert bench.packet.ip_length == 40 + len(chain) + 8


@pytest.mark.parametrize(
    ("kind", "left", "followed"), [(0, 1, True), (0, 0, False), (2, 1, True), (4, 1, False)]
)
def test_a_routing_header_names_the_final_destination(kind: int, left: int, followed: bool) -> None:
    bench = Bench(ipv6(routing(kind, left, HOME6) + UDP_HEADER, 43), 101)
    assert bench.ip() == IP_WHOLE
    packet = bench.packet
    found = packet.data[packet.destination : packet.destination + 16]
    assert found == (HOME6 if followed else SERVER6)


def test_a_home_address_option_names_the_source() -> None:
    bench = Bench(ipv6(extension(17, HOME_OPTION) + UDP_HEADER, 60), 101)
    assert bench.ip() == IP_WHOLE
    packet = bench.packet
    assert packet.data[packet.source : packet.source + 16] == HOME6


@pytest.mark.parametrize(("next_header", "name"), [(50, "ESP"), (135, "mobility"), (59, "none")])
def test_what_ends_the_chain_is_not_followed(next_header: int, name: str) -> None:
    bench = Bench(ipv6(bytes(16), next_header), 101)
    assert bench.ip() == IP_OPAQUE, name


def test_a_cut_off_extension_header_leaves_its_own_number_as_protocol() -> None:
    bench = Bench(ipv6(extension(17, bytes(30))[:20], 0, length=40), 101)
    assert bench.ip(cut=20) == IP_WHOLE
    assert bench.packet.protocol == 0


def fragment6(payload: bytes, offset: int, more: bool, next_header: int = 17) -> bytes:
    return ipv6(struct.pack(">BBHI", next_header, 0, offset | more, 99) + payload, 44)


def test_ipv6_fragments_make_one_packet_without_fragment_header() -> None:
    bench = Bench(fragment6(UDP_HEADER + bytes(8), 0, True), 101)
    assert bench.ip() == IP_HELD
    bench.frame = fragment6(b"tail", 16, False)
    assert bench.ip() == IP_WHOLE
    assert bench.payload == UDP_HEADER + bytes(8) + b"tail"
    assert bench.packet.protocol == 17
    assert bench.packet.ip_length == 40 + 20


def test_an_atomic_fragment_is_whole_at_once() -> None:
    bench = Bench(fragment6(UDP_HEADER, 0, False), 101)
    assert bench.ip() == IP_WHOLE
    assert bench.payload == UDP_HEADER
    assert bench.packet.ip_length == 48


def test_headers_inside_the_fragments_are_skipped_too() -> None:
    chain = extension(17) + UDP_HEADER
    bench = Bench(fragment6(chain[:8], 0, True, 60), 101)
    assert bench.ip() == IP_HELD
    bench.frame = fragment6(chain[8:], 8, False, 60)
    assert bench.ip() == IP_WHOLE
    assert bench.packet.protocol == 17
    assert bench.payload == UDP_HEADER


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([0, 1, 9, 10, 50, 101, 105, 108, 113, 127, 228, 239, 276, 147]),
    st.binary(max_size=90),
    st.integers(0, 40),
)
def test_any_octets_decode_to_something_within_them(link_type: int, frame: bytes, cut: int) -> None:
    bench = Bench(frame, link_type)
    if bench.link() != IP:
        return
    assert 6 <= bench.packet.network <= bench.packet.captured_end
    if bench.decoder.ip(bench.packet, 6 + len(frame) + cut) == IP_WHOLE:
        packet = bench.packet
        assert packet.transport <= packet.captured_end
        assert packet.destination + packet.address_length <= packet.captured_end


HEADERS = (0, 43, 44, 50, 51, 59, 60, 135, 17)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(HEADERS),
    st.lists(st.tuples(st.sampled_from(HEADERS), st.integers(0, 5), st.binary(max_size=20))),
)
def test_any_chain_of_extension_headers_ends(
    first: int, chain: list[tuple[int, int, bytes]]
) -> None:
    octets = b"".join(bytes((kind, units)) + body for kind, units, body in chain)
    bench = Bench(ipv6(octets, first), 101)
    if bench.ip() == IP_WHOLE:
        assert bench.packet.transport <= bench.packet.captured_end
