"""The native generator packet by packet: tunnels, what is inside what, what is passed over."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.generators.native import END_OF_TIME, NativeGenerator
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.decode import LINKTYPE_ETHERNET, LINKTYPE_RAW

NOON = 1_700_000_000_000_000
OUTER = (bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)))
INSIDE = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
OUTER6 = (
    bytes.fromhex("20010db8000000000000000000000001"),
    bytes.fromhex("20010db8000000000000000000000002"),
)
TEREDO6 = (
    bytes.fromhex("20010000000000000000000000000001"),
    bytes.fromhex("20010000000000000000000000000002"),
)
MACS = bytes.fromhex("020000000002020000000001")


def ipv4(
    protocol: int, payload: bytes, ends: tuple[bytes, bytes] = OUTER, *, length: int = -1
) -> bytes:
    size = 20 + len(payload) if length < 0 else length
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, size, 1, 0, 64, protocol, 0) + ends[0] + ends[1] + payload
    )


def ipv6(next_header: int, payload: bytes, ends: tuple[bytes, bytes] = OUTER6) -> bytes:
    head = struct.pack(">IHBB", 0x60000000, len(payload), next_header, 64)
    return head + ends[0] + ends[1] + payload


def udp(source: int, destination: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


DATAGRAM = ipv4(17, udp(5_000, 6_000, b"inside"), INSIDE)
DATAGRAM6 = ipv6(17, udp(5_000, 6_000, b"inside"), TEREDO6)
FRAME = MACS + b"\x08\0" + DATAGRAM


class Bench:
    """A generator that is given packets of raw IP, or frames."""

    def __init__(self) -> None:
        self.sink = CollectingSink()
        self.generator = NativeGenerator(self.sink, 0, 1)
        self.now = NOON

    def put(
        self, packet: bytes, link_type: int = LINKTYPE_RAW, *, cut: int = 0, wire: int = -1
    ) -> None:
        self.now += 1_000
        size = len(packet) if wire < 0 else wire
        self.generator.frame(self.now, link_type, packet, 0, len(packet) - cut, size)

    def rows(self) -> dict[int, list[str]]:
        """Parents of the connections, by the port that the originator spoke to."""
        self.generator.finish()
        services: dict[str, str] = {row.uid: row.service for row in self.sink.conn_rows}
        return {
            row.id_resp_p: [
                services.get(uid, "address pair")
                for uid in row.tunnel_parents.split(",")
                if uid != ""
            ]
            for row in self.sink.conn_rows
        }


def inside(packet: bytes, times: int = 1) -> dict[int, list[str]]:
    bench = Bench()
    for _ in range(times):
        bench.put(packet)
    return bench.rows()


GRE = struct.pack(">HH", 0, 0x0800)
PPTP = struct.pack(">HHII", 0x3001, 0x880B, 1, 1)
GTP = struct.pack(">BBHI", 0x30, 255, len(DATAGRAM), 1)
VXLAN = bytes((8, 0, 0, 0, 0, 0, 42, 0))
GENEVE = struct.pack(">HHI", 0, 0x6558, 0)
AYIYA = bytes((0x44, 0x52, 0x11, 4)) + bytes(4 + 16 + 20)
WIRELESS = b"\x08\1" + bytes(22) + bytes.fromhex("aaaa030000000800")


@pytest.mark.parametrize(
    ("name", "packet", "parents"),
    [
        ("IP in IP", ipv4(4, DATAGRAM), ["address pair"]),
        ("IPv6 in IP", ipv4(41, DATAGRAM6), ["address pair"]),
        ("IP in IPv6", ipv6(4, DATAGRAM), ["address pair"]),
        ("GRE", ipv4(47, GRE + DATAGRAM), ["address pair"]),
        ("GRE with padding", ipv4(47, GRE + DATAGRAM) + bytes(4), ["address pair"]),
        ("GRE with a frame", ipv4(47, b"\0\0\x65\x58" + FRAME), ["address pair"]),
        (
            "GRE with a wireless frame",
            ipv4(47, b"\0\0\x82\0" + WIRELESS + DATAGRAM),
            ["address pair"],
        ),
        ("PPTP", ipv4(47, PPTP + b"\xff\3\0\x21" + DATAGRAM), ["address pair"]),
        ("PPTP with IPv6", ipv4(47, PPTP + b"\xff\3\0\x57" + DATAGRAM6), ["address pair"]),
        ("VXLAN", ipv4(17, udp(40_000, 4789, VXLAN + FRAME)), ["vxlan"]),
        ("Geneve", ipv4(17, udp(40_000, 6081, GENEVE + FRAME)), ["geneve"]),
        ("GTP", ipv4(17, udp(2152, 2152, GTP + DATAGRAM)), ["gtpv1"]),
        ("AYIYA", ipv4(17, udp(40_000, 5072, AYIYA + DATAGRAM)), ["ayiya"]),
        ("AYIYA elsewhere", ipv4(17, udp(40_000, 40_001, AYIYA + DATAGRAM)), ["ayiya"]),
        ("Teredo", ipv4(17, udp(40_000, 3544, DATAGRAM6)), [""]),
        ("Teredo elsewhere", ipv4(17, udp(40_000, 40_001, DATAGRAM6)), [""]),
        ("GRE in UDP", ipv4(17, udp(40_000, 4754, GRE + DATAGRAM)), ["address pair"]),
        (
            "PPTP's GRE in UDP",
            ipv4(17, udp(40_000, 4754, PPTP + b"\xff\3\0\x21" + DATAGRAM)),
            ["address pair"],
        ),
        (
            "VXLAN in GRE",
            ipv4(47, GRE + ipv4(17, udp(40_000, 4789, VXLAN + FRAME))),
            ["vxlan"],
        ),
    ],
)
def test_what_a_tunnel_carries_is_a_connection_of_its_own(
    name: str, packet: bytes, parents: list[str]
) -> None:
    assert inside(packet)[6_000] == parents, name


@pytest.mark.parametrize(
    ("name", "packet"),
    [
        ("IP in IP with padding", ipv4(4, DATAGRAM) + bytes(4)),
        ("IP in IP that is IPv6", ipv4(4, DATAGRAM6)),
        ("IPv6 in IP that is IPv4", ipv4(41, DATAGRAM)),
        ("PPTP with padding", ipv4(47, PPTP + b"\xff\3\0\x21" + DATAGRAM) + bytes(4)),
        ("PPTP that names the other version", ipv4(47, PPTP + b"\xff\3\0\x57" + DATAGRAM)),
        ("GTP with something behind", ipv4(17, udp(2152, 2152, GTP + DATAGRAM + b"."))),
        ("VXLAN without its flag", ipv4(17, udp(40_000, 4789, bytes(8) + FRAME))),
        ("GTP in GTP", ipv4(17, udp(2152, 2152, GTP + ipv4(17, udp(2152, 2152, GTP + DATAGRAM))))),
    ],
)
def test_what_does_not_fit_is_not_unwrapped(name: str, packet: bytes) -> None:
    assert 6_000 not in inside(packet), name


def test_a_violated_tunnel_is_not_followed_any_more() -> None:
    bench = Bench()
    bench.put(ipv4(17, udp(40_000, 4789, bytes(8) + FRAME)))
    bench.put(ipv4(17, udp(40_000, 4789, VXLAN + FRAME)))
    assert 6_000 not in bench.rows()


def test_teredo_is_confirmed_once_both_sides_spoke_it() -> None:
    bench = Bench()
    bench.put(ipv4(17, udp(40_000, 3544, DATAGRAM6)))
    answer = ipv6(17, udp(6_000, 5_000, b"answer"), (TEREDO6[1], TEREDO6[0]))
    bench.put(ipv4(17, udp(3544, 40_000, answer), (OUTER[1], OUTER[0])))
    assert bench.rows()[6_000] == ["teredo"]


def test_both_directions_of_an_address_pair_are_one_tunnel() -> None:
    bench = Bench()
    bench.put(ipv4(4, DATAGRAM))
    answer = ipv4(17, udp(6_000, 5_000, b"answer"), (INSIDE[1], INSIDE[0]))
    bench.put(ipv4(4, answer, (OUTER[1], OUTER[0])))
    assert bench.rows()[6_000] == ["address pair"]


def nested(depth: int) -> bytes:
    packet = DATAGRAM
    for _ in range(depth):
        packet = ipv4(4, packet)
    return packet


def test_tunnels_in_tunnels_are_followed_four_deep() -> None:
    assert 6_000 in inside(nested(4))
    assert 6_000 not in inside(nested(5))


def test_a_udp_tunnel_too_deep_marks_its_connection() -> None:
    packet = ipv4(17, udp(40_000, 4789, VXLAN + FRAME))
    for _ in range(4):
        packet = ipv4(4, packet)
    bench = Bench()
    bench.put(packet)
    bench.generator.finish()
    assert [row.history for row in bench.sink.conn_rows] == ["DX"]


def test_a_tunnel_that_the_capture_cut_off_is_followed_as_far_as_it_goes() -> None:
    bench = Bench()
    bench.put(ipv4(17, udp(40_000, 4789, VXLAN + FRAME)), cut=3)
    bench.generator.finish()
    found = {row.id_resp_p: row for row in bench.sink.conn_rows}
    assert found[6_000].orig_pkts == 1
    assert found[6_000].orig_ip_bytes == len(DATAGRAM)


def test_macs_of_what_is_inside_are_the_inner_frames() -> None:
    bench = Bench()
    frame = bytes.fromhex("0200000000bb0200000000aa0800") + ipv4(
        17, udp(40_000, 4789, VXLAN + FRAME)
    )
    bench.put(frame, LINKTYPE_ETHERNET)
    bench.put(
        bytes.fromhex("0200000000bb0200000000aa0800")
        + ipv4(4, ipv4(17, udp(1_000, 7_000), INSIDE)),
        LINKTYPE_ETHERNET,
    )
    bench.generator.finish()
    found = {row.id_resp_p: row.orig_l2_addr for row in bench.sink.conn_rows}
    assert found == {4789: "02:00:00:00:00:aa", 6_000: "02:00:00:00:00:01", 7_000: ""}


def test_arp_inside_a_tunnel_is_logged() -> None:
    arp = bytes.fromhex("0001080006040001") + MACS[6:] + INSIDE[0] + bytes(6) + INSIDE[1]
    bench = Bench()
    bench.put(ipv4(17, udp(40_000, 4789, VXLAN + MACS + b"\x08\x06" + arp)))
    assert len(bench.sink.arp_rows) == 1


def test_frames_without_a_length_or_beyond_time_are_passed_over() -> None:
    bench = Bench()
    bench.put(DATAGRAM, wire=0)
    bench.generator.frame(END_OF_TIME, LINKTYPE_RAW, DATAGRAM, 0, len(DATAGRAM), len(DATAGRAM))
    bench.put(b"", LINKTYPE_ETHERNET)
    bench.generator.finish()
    assert bench.sink.conn_rows == []
    assert bench.generator.undecodable() == {
        "frame without a length": 2,
        "time stamp after January 2038": 1,
    }


def test_other_protocols_are_flows_of_their_own() -> None:
    bench = Bench()
    bench.put(ipv4(89, bytes(24)))
    bench.put(ipv4(4, ipv4(89, bytes(24), INSIDE)))
    bench.generator.finish()
    assert bench.sink.conn_rows == []
    assert [row.protocol for row in bench.sink.flow_rows] == [89, 4]
