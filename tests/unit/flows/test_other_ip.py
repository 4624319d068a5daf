"""The flow table of the IP protocols that conn.log does not hold."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.flows import other_ip
from osect_sensor.flows.analyzer import AnalysisContext
from osect_sensor.flows.other_ip import OtherIpFlows, padded_ipv6_text
from osect_sensor.logs.rows import FlowRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.packet import NO_VLAN, Packet

CLIENT_MAC = bytes.fromhex("020000000001")
SERVER_MAC = bytes.fromhex("020000000002")
CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
CLIENT6 = bytes.fromhex("20010db8000000000000000000000001")
SERVER6 = bytes.fromhex("fe800000000000000001000000000002")
OSPF = 89
NOON = 1_700_000_000_000_000
SECOND = 1_000_000


def ipv4(
    payload: bytes = b"hello",
    source: bytes = CLIENT,
    destination: bytes = SERVER,
    protocol: int = OSPF,
    *,
    identification: int = 1,
    fragment: int = 0,
    words: int = 5,
    length: int = -1,
) -> bytes:
    total = words * 4 + len(payload) if length < 0 else length
    header = struct.pack(
        ">BBHHHBBH", 0x40 | words, 0, total, identification, fragment, 64, protocol, 0
    )
    return header + source + destination + bytes(max(0, words - 5) * 4) + payload


def ipv6(payload: bytes, next_header: int = OSPF, length: int = -1) -> bytes:
    total = len(payload) if length < 0 else length
    return struct.pack(">IHBB", 0x60000000, total, next_header, 255) + CLIENT6 + SERVER6 + payload


class Bench:
    """The table with a clock and a wire of its own."""

    def __init__(self) -> None:
        self.sink = CollectingSink()
        self.context = AnalysisContext(self.sink)
        self.flows = OtherIpFlows(self.context)
        self.packet = Packet()

    def put(
        self,
        network: bytes,
        seconds: float = 0.0,
        *,
        between: bytes = b"",
        ethertype: int | None = None,
        vlan: int = NO_VLAN,
        inner: int = NO_VLAN,
        reverse: bool = False,
        cut: int = -1,
    ) -> None:
        """One Ethernet frame; ``between`` is what lies between the MACs and the IP header."""
        macs = CLIENT_MAC + SERVER_MAC if reverse else SERVER_MAC + CLIENT_MAC
        if ethertype is None:
            ethertype = 0x86DD if network[:1] == b"\x60" else 0x0800
        link = macs + (between or struct.pack(">H", ethertype))
        before = b"another record"
        packet = self.packet
        packet.data = before + link + network + b"the next record"
        packet.link = packet.data
        packet.destination_mac = len(before)
        packet.source_mac = len(before) + 6
        packet.network = len(before) + len(link)
        packet.captured_end = packet.network + (len(network) if cut < 0 else cut)
        packet.ethertype = ethertype
        packet.vlan = vlan
        packet.inner_vlan = inner
        packet.timestamp = NOON + round(seconds * SECOND)
        self.flows.add(packet, len(before))

    def rows(self) -> list[FlowRow]:
        self.flows.finish()
        assert len(self.flows) == 0
        return self.sink.flow_rows

    def counted(self, part: str) -> int:
        return sum(n for name, n in self.context.counters.values.items() if part in name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_both_directions_are_one_flow(bench: Bench) -> None:
    bench.put(ipv4(bytes(20)), 0.0001)
    bench.put(ipv4(bytes(30), SERVER, CLIENT), 0.0049, reverse=True)
    bench.put(ipv4(bytes(20)), 2.0)
    (row,) = bench.rows()
    assert (row.source, row.destination, row.protocol) == ("10.0.0.1", "10.0.0.2", 89)
    assert (row.source_mac, row.destination_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert (row.packets, row.octets, row.reverse_packets, row.reverse_octets) == (2, 80, 1, 50)
    assert (row.start, row.end, row.rtt) == (NOON, NOON + 2 * SECOND, 4000)
    assert (row.vlan, row.reverse_vlan, row.end_reason) == (0, 0, "eof")


def test_a_station_talking_to_itself_has_no_reverse_direction(bench: Bench) -> None:
    bench.put(ipv4(source=CLIENT, destination=CLIENT))
    bench.put(ipv4(source=CLIENT, destination=CLIENT), reverse=True)
    (row,) = bench.rows()
    assert (row.packets, row.reverse_packets) == (2, 0)


@pytest.mark.parametrize("protocol", [1, 6, 17, 58])
def test_what_conn_log_holds_is_not_kept(bench: Bench, protocol: int) -> None:
    bench.put(ipv4(protocol=protocol))
    bench.put(ipv6(b"hello", protocol))
    assert bench.rows() == []


@pytest.mark.parametrize("protocol", [0, 2, 4, 41, 47, 50, 103, 112, 132, 255])
def test_every_other_protocol_is_kept(bench: Bench, protocol: int) -> None:
    bench.put(ipv4(protocol=protocol))
    (row,) = bench.rows()
    assert row.protocol == protocol


def test_protocol_and_innermost_vlan_tell_flows_apart(bench: Bench) -> None:
    tag = struct.pack(">HH", 0x8100, 5)
    inner = struct.pack(">HH", 0x8100, 7)
    end = struct.pack(">H", 0x0800)
    bench.put(ipv4())
    bench.put(ipv4(protocol=2))
    bench.put(ipv4(), between=tag + end, vlan=5)
    bench.put(ipv4(b"back", SERVER, CLIENT), between=tag + end, vlan=5)
    bench.put(ipv4(), between=tag + inner + end, vlan=5, inner=7)
    rows = bench.rows()
    assert [(row.protocol, row.vlan, row.reverse_vlan) for row in rows] == [
        (89, 0, 0),
        (2, 0, 0),
        (89, 5, 5),
        (89, 7, 0),
    ]


@pytest.mark.parametrize(
    ("between", "kept"),
    [
        (struct.pack(">HHH", 0x8100, 5, 0x0800), True),
        (struct.pack(">HI", 0x8847, 0x00003140), True),
        (struct.pack(">HHHI", 0x8100, 5, 0x8848, 0x00003140), True),
        (struct.pack(">HBBHHH", 0x8864, 0x11, 0, 1, 27, 0x21), True),
        (struct.pack(">HHH", 0x88A8, 5, 0x0800), False),
        (struct.pack(">HHHHH", 0x88A8, 5, 0x8100, 6, 0x0800), False),
        (struct.pack(">HHHHH", 0x8100, 5, 0x88A8, 6, 0x0800), False),
        (struct.pack(">HHBBBHBH", 0x8100, 5, 0xAA, 0xAA, 3, 0, 0, 0x0800), False),
    ],
)
def test_encapsulations_that_yaf_does_not_know_are_ignored(
    bench: Bench, between: bytes, kept: bool
) -> None:
    bench.put(ipv4(), between=between, vlan=5)
    assert len(bench.rows()) == int(kept)
    assert bench.counted("encapsulation") == int(not kept)


def test_links_without_addresses_have_no_macs(bench: Bench) -> None:
    packet = bench.packet
    for network in (ipv4(), ipv6(b"hello"), b"\x00", b""):
        packet.data = network
        packet.network = 0
        packet.captured_end = len(network)
        packet.ethertype = 0
        packet.timestamp = NOON
        bench.flows.add(packet, 0)
    rows = bench.rows()
    assert [(row.source_mac, row.destination_mac) for row in rows] == [("", ""), ("", "")]


def test_silence_of_300_seconds_ends_a_flow(bench: Bench) -> None:
    for seconds in (0.0, 300.0, 600.001, 700.0):
        bench.put(ipv4(), seconds)
    first, second = bench.rows()
    assert (first.packets, first.end, first.end_reason) == (2, NOON + 300 * SECOND, "idle")
    assert (second.packets, second.start) == (2, NOON + 600 * SECOND + 1000)
    assert second.end_reason == "eof"


def test_a_flow_is_begun_anew_after_1800_seconds(bench: Bench) -> None:
    for seconds in (*range(0, 1801, 200), 1800.001, 1900):
        bench.put(ipv4(), seconds)
    first, second = bench.rows()
    assert (first.packets, first.end, first.end_reason) == (10, NOON + 1800 * SECOND, "active")
    assert (second.packets, second.end_reason) == (2, "eof")


def test_the_direction_of_a_new_flow_is_that_of_its_first_packet(bench: Bench) -> None:
    bench.put(ipv4())
    bench.put(ipv4(b"late", SERVER, CLIENT), 400, reverse=True)
    first, second = bench.rows()
    assert (first.source, second.source) == ("10.0.0.1", "10.0.0.2")
    assert second.source_mac == "02:00:00:00:00:02"


def test_idle_flows_are_reported_while_others_go_on(bench: Bench) -> None:
    bench.put(ipv4())
    bench.put(ipv4(protocol=2), 250)
    bench.put(ipv4(protocol=6), 301)
    assert [row.protocol for row in bench.sink.flow_rows] == [89]
    bench.flows.expire(NOON + 550 * SECOND)
    assert len(bench.sink.flow_rows) == 1
    bench.flows.expire(NOON + 551 * SECOND)
    assert [row.end_reason for row in bench.rows()] == ["idle", "idle"]


def test_what_is_idle_when_the_capture_ends_is_idle(bench: Bench) -> None:
    bench.put(ipv4(), 0)
    bench.put(ipv4(protocol=2), 299)
    bench.flows.advance(NOON + 301 * SECOND)
    bench.flows.advance(NOON + 302 * SECOND)
    assert [(row.protocol, row.end_reason) for row in bench.rows()] == [(89, "idle"), (2, "eof")]


def test_rows_come_in_the_order_of_last_activity(bench: Bench) -> None:
    for protocol in (100, 101, 102, 100, 103, 101):
        bench.put(ipv4(protocol=protocol))
    assert [row.protocol for row in bench.rows()] == [102, 100, 103, 101]


def test_packets_from_before_the_clock_are_rejected(bench: Bench) -> None:
    bench.put(ipv4(), 1.0005)
    bench.put(ipv4(), 1.0001)  # the same millisecond
    bench.put(ipv4(), 0.9999)
    bench.put(ipv4(protocol=17), 5)
    bench.put(ipv4(), 4)
    bench.put(ipv4(), 5)
    (row,) = bench.rows()
    assert row.packets == 3
    assert bench.counted("older") == 2


def test_packets_without_a_time_are_rejected(bench: Bench) -> None:
    bench.put(ipv4(), -NOON / SECOND)
    assert bench.rows() == []
    assert bench.counted("without a time") == 1


def test_lengths_are_believed_as_claimed(bench: Bench) -> None:
    for length in (0, 10, 5000):
        bench.put(ipv4(length=length))
    bench.put(ipv4(b"", SERVER, CLIENT, length=0), reverse=True)
    (row,) = bench.rows()
    assert (row.packets, row.octets, row.reverse_packets, row.reverse_octets) == (3, 5010, 1, 0)


def test_headers_that_the_capture_cut_off_are_ignored(bench: Bench) -> None:
    options = ipv4(words=15)
    for cut in range(60):
        bench.put(options, cut=cut)
    headers = ipv6(bytes((OSPF, 0)) + bytes(6) + b"hello", 0)
    for cut in range(48):
        bench.put(headers, cut=cut)
    assert bench.rows() == []


@pytest.mark.parametrize(
    ("chain", "next_header", "protocol"),
    [
        (b"", OSPF, OSPF),
        (bytes((OSPF, 0)) + bytes(6), 0, OSPF),
        (b"\x2b\1" + bytes(14) + b"\x3c\0" + bytes(6) + b"\x70\0" + bytes(6), 0, 112),
        (bytes((OSPF, 4)) + bytes(22), 51, 51),
        (b"", 50, 50),
        (b"", 135, 135),
    ],
)
def test_ipv6_extension_headers_are_skipped_except_authentication(
    bench: Bench, chain: bytes, next_header: int, protocol: int
) -> None:
    network = ipv6(chain + b"hello", next_header)
    bench.put(network)
    (row,) = bench.rows()
    assert (row.protocol, row.octets) == (protocol, len(network))


def test_no_next_header_is_no_flow(bench: Bench) -> None:
    bench.put(ipv6(b"", 59))
    assert bench.rows() == []


def test_ipv6_addresses_are_written_as_yaf_does(bench: Bench) -> None:
    bench.put(ipv6(b"hello"))
    (row,) = bench.rows()
    assert row.source == "2001:0db8::0001"
    assert row.destination == "fe80::0001:0000:0000:0002"
    assert padded_ipv6_text(bytes(16)) == "::"
    assert padded_ipv6_text(bytes(15) + b"\1") == "::0001"
    assert padded_ipv6_text(b"\x12\x34" + bytes(14)) == "1234::"
    assert padded_ipv6_text(bytes(range(1, 17))) == "0102:0304:0506:0708:090a:0b0c:0d0e:0f10"


def pieces(size: int = 100, count: int = 3, identification: int = 1) -> list[bytes]:
    """A datagram of ``count`` fragments with ``size`` octets each, a multiple of eight but last."""
    step = (size + 7) // 8
    return [
        ipv4(
            bytes(step * 8 if number < count - 1 else size),
            fragment=(0x2000 if number < count - 1 else 0) | number * step,
            identification=identification,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 0, 2, 1)])
def test_fragments_count_once_when_all_have_come(bench: Bench, order: tuple[int, ...]) -> None:
    fragments = pieces()
    for number, index in enumerate(order):
        assert len(bench.flows) == 0
        bench.put(fragments[index], number)
    (row,) = bench.rows()
    assert (row.packets, row.octets) == (1, 20 + 104 + 104 + 100)
    assert row.start == NOON + (len(order) - 1) * SECOND


def test_fragments_of_two_datagrams_are_kept_apart(bench: Bench) -> None:
    for one, other in zip(pieces(), pieces(identification=2), strict=True):
        bench.put(one)
        bench.put(other)
    (row,) = bench.rows()
    assert row.packets == 2


def test_a_datagram_with_a_missing_fragment_never_counts(bench: Bench) -> None:
    for index in (0, 2):
        bench.put(pieces()[index])
    assert bench.rows() == []
    assert bench.counted("never completed") == 1


def test_overlapping_fragments_count_to_the_end_of_the_last(bench: Bench) -> None:
    bench.put(ipv4(bytes(64), fragment=0x2000))
    bench.put(ipv4(bytes(64), fragment=0x2000 | 4))
    bench.put(ipv4(bytes(10), fragment=12))
    (row,) = bench.rows()
    assert row.octets == 20 + 106


def test_cut_off_fragments_are_complete_by_their_lengths(bench: Bench) -> None:
    for fragment in pieces():
        bench.put(fragment, cut=24)
    (row,) = bench.rows()
    assert (row.packets, row.octets) == (1, 328)


def test_a_datagram_is_given_up_after_30_seconds(bench: Bench) -> None:
    first, middle, last = pieces()
    bench.put(first, 0)
    bench.put(middle, 1)
    bench.put(ipv4(identification=9, fragment=0x2000), 40)
    bench.put(last, 45)
    assert bench.rows() == []
    assert bench.counted("never completed") == 3


def test_fragments_from_before_the_previous_one_are_rejected(bench: Bench) -> None:
    first, middle, last = pieces()
    bench.put(first, 2)
    bench.put(middle, 1)
    bench.put(last, 3)
    assert bench.rows() == []
    assert bench.counted("fragment older") == 1


def test_the_macs_of_a_datagram_are_those_of_its_first_octets(bench: Bench) -> None:
    first, middle, last = pieces()
    bench.put(last, reverse=True)
    bench.put(first)
    bench.put(middle, reverse=True)
    (row,) = bench.rows()
    assert row.source_mac == "02:00:00:00:00:01"


def test_a_fragment_shorter_than_its_header_is_rejected(bench: Bench) -> None:
    bench.put(ipv4(fragment=0x2000, length=10))
    assert bench.rows() == []
    assert bench.counted("shorter") == 1


def test_ipv6_fragments_are_put_together(bench: Bench) -> None:
    identification = bytes(4)
    bench.put(ipv6(bytes((OSPF, 0, 0, 1)) + identification + bytes(16), 44))
    bench.put(ipv6(bytes((OSPF, 0, 0, 16)) + identification + bytes(7), 44))
    bench.put(ipv6(bytes((OSPF, 0, 0, 0)) + b"\0\0\0\1" + bytes(8), 44))
    (row,) = bench.rows()
    assert (row.packets, row.octets) == (2, 48 + 23 + 48 + 8)


def test_a_full_table_ends_its_least_recently_active_flows(bench: Bench) -> None:
    for number in range(other_ip.MAX_FLOWS + 1):
        bench.put(ipv4(source=struct.pack(">I", number + 1)))
    assert len(bench.flows) == other_ip.MAX_FLOWS + 1 - other_ip.EVICTED_AT_ONCE
    assert len(bench.sink.flow_rows) == other_ip.EVICTED_AT_ONCE
    assert bench.sink.flow_rows[0].source == "0.0.0.1"
    assert {row.end_reason for row in bench.sink.flow_rows} == {""}
    assert bench.counted("table full") == other_ip.EVICTED_AT_ONCE


def test_incomplete_datagrams_are_bounded(bench: Bench) -> None:
    for number in range(other_ip.MAX_FRAGMENTED * 2):
        bench.put(ipv4(identification=number, fragment=0x2000))
    assert 0 < bench.counted("never completed") <= other_ip.MAX_FRAGMENTED + 64
    bench.flows.finish()
    assert bench.counted("never completed") == other_ip.MAX_FRAGMENTED * 2


def test_a_datagram_in_too_many_pieces_is_dropped(bench: Bench) -> None:
    for number in range(other_ip.MAX_PIECES + 1):
        bench.put(ipv4(bytes(8), fragment=0x2000 | number * 2))
    assert bench.counted("too many pieces") == 1


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_octets_make_it_raise(data: st.DataObject) -> None:
    bench = Bench()
    for seconds in range(data.draw(st.integers(1, 5))):
        network = bytearray(
            data.draw(
                st.sampled_from(
                    [
                        *pieces(),
                        ipv6(bytes((44, 0)) + bytes(6) + bytes((OSPF, 0, 0, 1)) + bytes(20), 0),
                        ipv4(words=15),
                    ]
                )
            )
        )
        for _ in range(data.draw(st.integers(0, 4))):
            network[data.draw(st.integers(0, len(network) - 1))] = data.draw(st.integers(0, 255))
        bench.put(
            bytes(network),
            seconds,
            ethertype=data.draw(st.sampled_from([0x0800, 0x86DD, 0])),
            cut=data.draw(st.integers(0, len(network))),
        )
    for row in bench.rows():
        assert row.protocol not in (1, 6, 17, 58)
        assert row.packets >= 1
