"""The connection table: who is who, when a connection ends, what its row says."""

from __future__ import annotations

import struct

import pytest
from conversations import CLIENT, NOON, SERVER, Talk, Wire, ipv4, tcp_segment

from osect_sensor.flows.table import icmp_counterpart, icmpv6_counterpart
from osect_sensor.logs.rows import UNSET, ConnRow
from osect_sensor.wire.packet import ICMP, ICMPV6, TCP, UDP, Encapsulation

OPEN = "cS sSA cA "
CLIENT_MAC = bytes.fromhex("020000000001")
SERVER_MAC = bytes.fromhex("020000000002")


def starts(wire: Wire) -> list[float]:
    """When the connections began, seconds."""
    return [(found.ts - NOON) / 1_000_000 for found in wire.finish()]


# Originator and responder


@pytest.mark.parametrize(
    ("source", "destination", "flipped"),
    [
        (40_000, 53, False),
        (53, 40_000, True),
        (53, 53, False),
        (123, 53, False),
        (40_000, 40_001, False),
    ],
)
def test_a_datagram_from_a_servers_port_comes_from_the_responder(
    source: int, destination: int, flipped: bool
) -> None:
    wire = Wire()
    wire.udp(source, destination, b"12345")
    found = wire.finish()[0]
    assert (found.history, found.conn_state) == (("^d", "SHR") if flipped else ("D", "S0"))
    assert found.id_resp_p == (source if flipped else destination)
    assert (found.resp_pkts if flipped else found.orig_pkts) == 1


@pytest.mark.parametrize(
    ("source", "destination", "flags", "flipped"),
    [
        (80, 40_000, "S", False),
        (80, 40_000, "A", True),
        (80, 40_000, "SA", True),
        (40_000, 80, "A", False),
        (22, 80, "A", True),
        (80, 22, "A", False),
        (22, 80, "SA", False),
    ],
)
def test_a_segment_without_a_syn_from_a_servers_port_comes_from_the_responder(
    source: int, destination: int, flags: str, flipped: bool
) -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, TCP, tcp_segment(source, destination, flags, 1, 1)))
    found = wire.finish()[0]
    assert found.id_orig_p == (destination if flipped else source)
    assert found.history.startswith("^") is flipped


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_broadcast_address_never_becomes_the_originator(protocol: int) -> None:
    if protocol == UDP:
        payload = struct.pack(">HHHH", 67, 40_000, 8, 0)
    else:
        payload = tcp_segment(80, 40_000, "A", 1, 1)
    wire = Wire()
    wire.put(ipv4(SERVER, b"\xff\xff\xff\xff", protocol, payload))
    assert wire.finish()[0].id_resp_h == "255.255.255.255"


def test_both_directions_are_one_connection() -> None:
    wire = Wire()
    wire.udp(40_000, 9_600, b"ask", 0)
    wire.udp(9_600, 40_000, b"answer", 0.5, reply=True)
    found = wire.finish()
    assert len(found) == 1
    assert (found[0].conn_state, found[0].history, found[0].duration) == ("SF", "Dd", 500_000)
    assert (found[0].orig_bytes, found[0].resp_bytes) == (3, 6)
    assert (found[0].orig_pkts, found[0].orig_ip_bytes) == (1, 31)
    assert (found[0].resp_pkts, found[0].resp_ip_bytes) == (1, 34)


def test_a_conversation_with_oneself_has_one_end() -> None:
    wire = Wire()
    for _ in range(2):
        wire.udp(500, 500, b"x", source=CLIENT, destination=CLIENT)
    wire.put(ipv4(CLIENT, CLIENT, TCP, tcp_segment(7, 7, "S", 1, 0)))
    wire.put(ipv4(CLIENT, CLIENT, TCP, tcp_segment(7, 7, "SA", 1, 2)))
    found = wire.finish()
    assert [(one.orig_pkts, one.resp_pkts) for one in found] == [(2, 0), (2, 0)]


def test_protocols_and_ip_versions_do_not_meet() -> None:
    wire = Wire()
    wire.udp(5_000, 6_000)
    wire.put(ipv4(CLIENT, SERVER, TCP, tcp_segment(5_000, 6_000, "S", 1, 0)))
    wire.put(
        struct.pack(">IHBB", 0x60000000, 8, 17, 64) + CLIENT * 4 + SERVER * 4
        + struct.pack(">HHHH", 5_000, 6_000, 8, 0)
    )  # fmt: skip
    assert len(wire.finish()) == 3


def test_addresses_behind_extension_headers_are_found() -> None:
    wire = Wire()
    datagram = struct.pack(">HHHH", 5_000, 6_000, 8, 0)
    addresses = CLIENT * 4 + SERVER * 4
    wire.put(struct.pack(">IHBB", 0x60000000, 8, 17, 64) + addresses + datagram)
    hop_by_hop = bytes((17, 0)) + bytes(6)
    wire.put(struct.pack(">IHBB", 0x60000000, 16, 0, 64) + addresses + hop_by_hop + datagram)
    found = wire.finish()
    assert len(found) == 1
    assert (found[0].orig_pkts, found[0].orig_ip_bytes) == (2, 48 + 56)


def test_macs_are_those_of_the_first_frame_and_follow_the_roles() -> None:
    wire = Wire()
    datagram = struct.pack(">HHHH", 53, 40_000, 8, 0)
    wire.put(ipv4(SERVER, CLIENT, UDP, datagram), macs=CLIENT_MAC + SERVER_MAC)
    wire.put(ipv4(SERVER, CLIENT, UDP, datagram), macs=bytes(12))
    found = wire.finish()[0]
    assert (found.orig_l2_addr, found.resp_l2_addr) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


def test_a_mac_of_zeros_is_none() -> None:
    wire = Wire()
    datagram = struct.pack(">HHHH", 5_000, 6_000, 8, 0)
    wire.put(ipv4(CLIENT, SERVER, UDP, datagram), macs=bytes(6) + CLIENT_MAC)
    found = wire.finish()[0]
    assert (found.orig_l2_addr, found.resp_l2_addr) == ("02:00:00:00:00:01", "")


# Lengths that lie


def test_the_octets_of_a_datagram_are_what_its_udp_header_says() -> None:
    wire = Wire(watching=True)
    wire.udp(5_000, 6_000, b"12345", 0, length=8 + 100)
    wire.udp(5_000, 6_000, b"12345", 1, length=8 + 2)
    found = wire.finish()[0]
    assert found.orig_bytes == 102
    assert wire.context.watchers[0].datagrams == [(True, b"12345", 5)] * 2


def test_a_udp_length_below_its_header_makes_the_end_look_silent() -> None:
    wire = Wire()
    for moment in range(3):
        wire.udp(5_000, 6_000, b"12345", moment, length=0)
    found = wire.finish()[0]
    assert (found.conn_state, found.history, found.orig_bytes) == ("OTH", "D", 0)
    assert found.orig_pkts == 3


def test_a_datagram_that_the_capture_cut_off_is_delivered_as_far_as_it_goes() -> None:
    wire = Wire(watching=True)
    wire.udp(5_000, 6_000, b"12345", 0, cut=2)
    wire.udp(5_000, 6_000, b"12345", 1, cut=5)
    found = wire.finish()[0]
    assert found.orig_bytes == 10
    assert wire.context.watchers[0].datagrams == [(True, b"123", 5), (True, b"", 5)]


@pytest.mark.parametrize(
    ("protocol", "payload"), [(TCP, bytes(19)), (UDP, bytes(7)), (ICMP, b"\x08" + bytes(6))]
)
def test_a_packet_without_room_for_its_header_is_rejected(protocol: int, payload: bytes) -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, protocol, payload))
    wire.put(ipv4(CLIENT, SERVER, protocol, payload + bytes(20)), cut=20)
    assert wire.finish() == []
    assert wire.table.rejected == 2


@pytest.mark.parametrize("words", [0, 4, 15])
def test_a_tcp_header_of_impossible_length_makes_a_connection_without_packets(words: int) -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, TCP, tcp_segment(1, 2, "S", 1, 0, words=words)))
    found = wire.finish()
    assert [(one.conn_state, one.history, one.orig_pkts) for one in found] == [("OTH", "", 0)]


# ICMP


def icmp(kind: int, code: int = 0) -> bytes:
    return bytes((kind, code)) + bytes(14)


def test_an_echo_and_its_reply_are_one_connection_with_types_for_ports() -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, ICMP, icmp(8)), 0)
    wire.put(ipv4(SERVER, CLIENT, ICMP, icmp(0)), 1)
    found = wire.finish()
    assert [(one.id_orig_p, one.id_resp_p, one.proto) for one in found] == [(8, 0, "icmp")]
    assert (found[0].orig_bytes, found[0].resp_bytes) == (8, 8)
    assert (found[0].conn_state, found[0].history) == ("OTH", "")


def test_echoes_of_both_stations_are_two_connections() -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, ICMP, icmp(8)))
    wire.put(ipv4(SERVER, CLIENT, ICMP, icmp(8)))
    assert len(wire.finish()) == 2


def test_messages_without_a_reply_are_told_apart_by_type_code_and_direction() -> None:
    wire = Wire()
    for source, destination, kind, code in (
        (CLIENT, SERVER, 3, 1),
        (CLIENT, SERVER, 3, 1),
        (CLIENT, SERVER, 3, 3),
        (SERVER, CLIENT, 3, 3),
        (CLIENT, SERVER, 11, 1),
    ):
        wire.put(ipv4(source, destination, ICMP, icmp(kind, code)))
    found = wire.finish()
    assert [(one.id_orig_p, one.id_resp_p, one.orig_pkts) for one in found] == [
        (3, 1, 2),
        (3, 3, 1),
        (3, 3, 1),
        (11, 1, 1),
    ]


def test_types_that_answer_each_other_do_so_both_ways() -> None:
    for counterpart, top in ((icmp_counterpart, 19), (icmpv6_counterpart, 160)):
        for kind in range(top):
            answer = counterpart(kind)
            assert answer == -1 or counterpart(answer) == kind
    assert icmp_counterpart(3) == -1
    assert icmpv6_counterpart(135) == 136


def test_icmpv6_in_ipv4_is_read_by_its_own_types() -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, ICMPV6, icmp(128)))
    assert wire.finish()[0].id_resp_p == 129


def test_a_message_cut_off_by_the_capture_is_not_counted_as_a_packet() -> None:
    wire = Wire()
    wire.put(ipv4(CLIENT, SERVER, ICMP, icmp(8)), cut=4)
    found = wire.finish()[0]
    assert (found.orig_pkts, found.orig_ip_bytes) == (0, 0)


# The end of a connection


@pytest.mark.parametrize(("silence", "connections"), [(59.999, 1), (60.0, 2), (61.5, 2)])
def test_a_minute_of_silence_ends_a_udp_connection(silence: float, connections: int) -> None:
    wire = Wire()
    wire.udp(5_000, 6_000, b"x", 0.25)
    wire.udp(5_000, 6_000, b"x", 0.25 + silence)
    assert len(wire.finish()) == connections


def test_a_packet_of_another_connection_lets_the_time_pass() -> None:
    wire = Wire()
    wire.udp(5_000, 6_000, b"x", 0)
    wire.udp(5_001, 6_000, b"x", 59)
    assert len(wire.rows) == 0
    wire.udp(5_001, 6_000, b"x", 62)
    assert len(wire.rows) == 1


def test_the_end_of_a_window_lets_the_time_pass() -> None:
    wire = Wire()
    wire.udp(5_000, 6_000, b"x", 0)
    wire.table.advance(NOON + 120_000_000)
    assert len(wire.rows) == 1


def test_a_long_pause_ends_everything_that_waited() -> None:
    wire = Wire()
    for port in range(100):
        wire.udp(5_000 + port, 6_000, b"x", port)
    wire.udp(9_000, 6_000, b"x", 1_000_000)
    assert len(wire.rows) == 100


@pytest.mark.parametrize(
    ("words", "silence", "connections"),
    [
        ("cS", 4.9, 1),
        ("cS", 5.1, 2),
        ("cS sA", 4.9, 1),
        ("cS sA", 5.1, 2),
        ("cn", 59, 1),
        ("cn", 301, 2),
        (OPEN, 299, 1),
        (OPEN, 301, 2),
        ("c+5", 299, 1),
        ("c+5", 301, 2),
        (OPEN + "cF", 299, 1),
        (OPEN + "cF sF", 4.9, 1),
        (OPEN + "cF sF", 5.1, 2),
        (OPEN + "cR", 4.9, 1),
        (OPEN + "cR", 5.1, 2),
        ("cS cF", 5.1, 2),
    ],
)
def test_silence_that_ends_a_tcp_connection_depends_on_its_state(
    words: str, silence: float, connections: int
) -> None:
    wire = Wire()
    Talk(wire).say(words).say(f".{silence} cA")
    assert len(wire.finish()) == connections


@pytest.mark.parametrize("port", [21, 22, 23, 513])
def test_interactive_services_may_be_silent_for_an_hour(port: int) -> None:
    wire = Wire()
    Talk(wire, server_port=port).say(OPEN + ".3599 cA .3601 cA")
    assert len(wire.finish()) == 2


def test_stragglers_do_not_keep_a_closed_connection_alive() -> None:
    wire = Wire()
    Talk(wire).say(OPEN + "cF sF .3 cA .3 cA")
    assert len(wire.finish()) == 2


def test_what_was_closed_lasts_until_its_last_packet_before_that() -> None:
    wire = Wire()
    Talk(wire).say(OPEN + "cF sF .3 cA")
    assert wire.finish()[0].duration == 4_000


@pytest.mark.parametrize(
    ("words", "connections"),
    [
        ("cS cS^1", 1),
        ("cS cS", 2),
        (OPEN + "c+5 cS", 2),
        (OPEN + "cF sF cS", 2),
        (OPEN + "cF sF cS^2", 2),
        (OPEN + "sSA", 1),
        ("sSA sSA", 1),
    ],
)
def test_a_syn_with_another_number_begins_another_connection(words: str, connections: int) -> None:
    wire = Wire()
    Talk(wire).say(words)
    assert len(wire.finish()) == connections


def test_each_connection_between_the_same_ports_has_its_own_uid() -> None:
    wire = Wire()
    Talk(wire).say("cS cS cS")
    assert len({found.uid for found in wire.finish()}) == 3


def checked(moments: list[float]) -> int:
    """How many connections datagrams at these times make."""
    wire = Wire()
    wire.context.silence_check = 10_000_000
    for moment in moments:
        wire.udp(5_000, 6_000, b"x", moment)
    return len({found.ts for found in wire.finish()})


@pytest.mark.parametrize(
    ("moments", "connections"),
    [
        ([0, 9.9], 1),
        ([0, 10], 2),
        ([0, 1, 10], 2),
        ([0, 1.1, 10], 1),
        ([0, 5, 12, 21], 1),
        ([0, 5, 12, 22], 2),
        ([0, 5, 14.2], 2),
    ],
)
def test_a_check_for_silence_starts_anew_from_the_packet_that_let_it_run(
    moments: list[float], connections: int
) -> None:
    assert checked(moments) == connections


def test_a_check_for_silence_runs_at_the_first_packet_of_any_connection() -> None:
    wire = Wire()
    wire.context.silence_check = 10_000_000
    wire.udp(5_000, 6_000, b"x", 0.3)
    wire.udp(5_000, 6_000, b"x", 1.4)
    wire.udp(7_000, 6_000, b"x", 10.2)
    assert wire.rows == []
    wire.udp(7_000, 6_000, b"x", 10.5)
    assert len(wire.rows) == 1


def test_a_check_that_was_called_off_ends_nothing() -> None:
    wire = Wire(watching=True)
    wire.context.silence_check = 10_000_000
    wire.udp(5_000, 6_000, b"x", 0)
    wire.context.watchers[0].connection.silence_check = 0
    wire.udp(5_000, 6_000, b"x", 30)
    assert len(wire.finish()) == 1


def test_packets_out_of_order_in_time_are_all_counted() -> None:
    wire = Wire()
    for moment in (100, 50, 0, 200, 10):
        wire.udp(5_000, 6_000, b"x", moment)
    assert sum(found.orig_pkts for found in wire.finish()) == 5


@pytest.mark.parametrize(("step", "connections"), [(59, 1), (61, 3)])
def test_timers_go_by_the_latest_time_although_packets_come_from_the_past(
    step: int, connections: int
) -> None:
    wire = Wire()
    wire.udp(7_000, 6_000, b"x", 1_000)
    for _ in range(3):
        wire.udp(5_000, 6_000, b"x", 1_000 - step)
    found = [one for one in wire.finish() if one.id_orig_p == 5_000]
    assert len(found) == connections


def test_the_oldest_connection_makes_room_when_the_table_is_full() -> None:
    wire = Wire(limit=3)
    for port in range(5):
        wire.udp(5_000 + port, 6_000, b"x", port)
    assert [found.id_orig_p for found in wire.rows] == [5_000, 5_001]
    assert wire.table.evicted == 2
    assert len(wire.table) == 3
    wire.udp(5_000, 6_000, b"x", 5)
    assert [found.id_orig_p for found in wire.finish()] == [
        5_000,
        5_001,
        5_002,
        5_003,
        5_004,
        5_000,
    ]


def test_connections_that_are_active_outlive_a_flood() -> None:
    wire = Wire(limit=3)
    for step in range(20):
        wire.udp(5_000, 6_000, b"x", step)
        wire.udp(7_000 + step, 6_000, b"x", step)
    assert 5_000 not in [found.id_orig_p for found in wire.rows]
    [survivor] = [found for found in wire.finish() if found.id_orig_p == 5_000]
    assert survivor.orig_pkts == 20


def test_a_table_full_of_active_connections_still_makes_room() -> None:
    wire = Wire(limit=3)
    for port in (5_000, 5_001, 5_002):
        wire.udp(port, 6_000, b"x", 0)
        wire.udp(port, 6_000, b"x", 1)
    wire.udp(5_003, 6_000, b"x", 1)
    assert [found.id_orig_p for found in wire.rows] == [5_000]


def test_connections_that_ended_early_are_let_go() -> None:
    wire = Wire(limit=16)
    for step in range(10_000):
        wire.udp(5_000 + step, 6_000, b"x", step / 1000)
    held = sum(len(connections) for connections in wire.table._wheel.values())
    assert wire.table.evicted == 10_000 - 16
    assert held < 5_000
    # What is left is looked at in time as before.
    wire.udp(5_000, 6_000, b"x", 300)
    assert len(wire.table) == 1


def test_the_rows_come_in_the_order_of_their_ends() -> None:
    wire = Wire()
    wire.udp(5_000, 6_000, b"x", 0)
    Talk(wire).say("cS")
    wire.udp(7_000, 6_000, b"x", 100)
    assert [found.proto for found in wire.rows] == ["tcp", "udp"]
    assert starts(wire)[-1] == 100


# Rows of long connections


def total(found: list[ConnRow], field: str) -> int:
    return sum(value for one in found if (value := getattr(one, field)) != UNSET)


def test_a_long_connection_is_reported_every_minute_with_what_is_new() -> None:
    wire = Wire(report_interval=60_000_000)
    for moment in range(0, 200, 10):
        wire.udp(5_000, 6_000, b"12345", moment)
    found = wire.finish()
    assert len({one.uid for one in found}) == 1
    assert len({one.ts for one in found}) == 1
    assert [one.orig_pkts for one in found] == [6, 6, 6, 2]
    assert total(found, "orig_bytes") == 100
    assert total(found, "orig_ip_bytes") == 20 * 33


def test_a_short_connection_is_reported_once() -> None:
    wire = Wire(report_interval=60_000_000)
    wire.udp(5_000, 6_000, b"x", 0)
    wire.udp(5_001, 6_000, b"x", 300)
    assert [found.id_orig_p for found in wire.finish()] == [5_000, 5_001]


def test_interim_rows_of_tcp_add_up_too() -> None:
    wire = Wire(report_interval=60_000_000)
    talk = Talk(wire).say(OPEN)
    for _ in range(10):
        talk.say(".25 c+10 s+20 c~5 c+1 sA")
    talk.say("cF sF")
    found = wire.finish()
    assert len(found) > 3
    assert total(found, "orig_bytes") == 160
    assert total(found, "resp_bytes") == 200
    assert total(found, "missed_bytes") == 50
    assert total(found, "orig_pkts") + total(found, "resp_pkts") == 3 + 40 + 2


# Tunnels


def test_the_tunnels_of_a_connection_are_its_parents_each_once() -> None:
    outer = Encapsulation("IP", "Couter", None)
    there = Encapsulation("GRE", "Cthere", outer)
    back = Encapsulation("GRE", "Cback", outer)
    datagram = ipv4(CLIENT, SERVER, UDP, struct.pack(">HHHH", 5_000, 6_000, 8, 0))
    wire = Wire()
    for tunnel in (there, there, back, there, None):
        wire.put(datagram, tunnel=tunnel)
    assert wire.finish()[0].tunnel_parents == "Cthere,Cback"


def test_a_tunnel_that_begins_later_is_a_parent_too() -> None:
    datagram = ipv4(CLIENT, SERVER, UDP, struct.pack(">HHHH", 5_000, 6_000, 8, 0))
    wire = Wire()
    wire.put(datagram)
    wire.put(datagram, tunnel=Encapsulation("VXLAN", "Cv", None))
    assert wire.finish()[0].tunnel_parents == "Cv"


# Analyzers


def test_analyzers_are_chosen_at_the_first_payload_and_finished_once() -> None:
    wire = Wire(watching=True)
    talk = Talk(wire).say(OPEN)
    assert wire.context.watchers == []
    talk.say("c+5 s+5 cF sF")
    wire.finish()
    assert [watcher.finished for watcher in wire.context.watchers] == [1]


def test_analyzers_of_datagrams_learn_the_direction() -> None:
    wire = Wire(watching=True)
    wire.udp(5_000, 6_000, b"ask")
    wire.udp(6_000, 5_000, b"tell", reply=True)
    assert wire.context.watchers[0].datagrams == [(True, b"ask", 3), (False, b"tell", 4)]


def test_confirmed_services_are_in_the_row_in_their_order() -> None:
    wire = Wire(watching=True)
    wire.udp(5_000, 6_000, b"ask")
    connection = wire.context.watchers[0].connection
    connection.confirm("second")
    connection.confirm("first")
    connection.confirm("second")
    assert wire.finish()[0].service == "second,first"
