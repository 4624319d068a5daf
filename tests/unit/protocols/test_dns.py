"""How DNS messages become rows: pairing, direction, framing over TCP."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import TCP, UDP, Session, Turn, deliveries, truncated

from osect_sensor.logs.rows import UNSET, DnsRow
from osect_sensor.protocols.dns import (
    MAX_PENDING_IDENTIFIERS,
    MAX_PENDING_MESSAGES,
    DnsAnalyzer,
)

NAME = b"\x03www\x07example\x03org\0"


def query(identifier: int = 1, name: bytes = NAME, qtype: int = 1, flags: int = 0x0100) -> bytes:
    return struct.pack("!6H", identifier, flags, 1, 0, 0, 0) + name + struct.pack("!HH", qtype, 1)


def reply(
    identifier: int = 1, addresses: tuple[int, ...] = (9,), name: bytes = NAME, flags: int = 0x8580
) -> bytes:
    data = struct.pack("!6H", identifier, flags, 1, len(addresses), 0, 0)
    data += name + struct.pack("!HH", 1, 1)
    for last in addresses:
        data += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((192, 0, 2, last))
    return data


def framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def udp(**ports: int) -> Session:
    return Session(DnsAnalyzer, protocol=UDP, **{"resp_port": 53, **ports})


def tcp() -> Session:
    return Session(DnsAnalyzer, protocol=TCP, resp_port=53)


def texts(row: DnsRow) -> list[bytes]:
    return row.answers if row.answers is not None else []


def test_query_and_response_make_one_row() -> None:
    session = udp()
    session.datagram(True, query())
    session.wait(2500)
    session.datagram(False, reply(addresses=(9, 10)))
    (row,) = session.rows.dns_rows
    assert row.ts == session.connection.start
    assert (row.id_orig_h, row.id_orig_p) == ("10.0.0.1", 40000)
    assert (row.id_resp_h, row.id_resp_p, row.proto) == ("10.0.0.2", 53, "udp")
    assert (row.uid, row.trans_id, row.rtt) == ("C1", 1, 2500)
    assert row.query == b"www.example.org"
    assert (row.qclass, row.qclass_name, row.qtype, row.qtype_name) == (1, "C_INTERNET", 1, "A")
    assert (row.rcode, row.rcode_name) == (0, "NOERROR")
    assert (row.aa, row.tc, row.rd, row.ra, row.z) == (True, False, True, True, 0)
    assert row.answers == [b"192.0.2.9", b"192.0.2.10"]
    assert row.ttls == [60_000_000, 60_000_000]
    assert not row.rejected
    assert session.services == ["dns"]
    session.close()
    assert len(session.rows.dns_rows) == 1


def test_unanswered_query_is_reported_when_the_connection_ends() -> None:
    session = udp()
    session.datagram(True, query())
    assert session.rows.dns_rows == []
    session.close()
    (row,) = session.rows.dns_rows
    assert row.query == b"www.example.org"
    assert (row.rcode, row.rcode_name, row.rtt, row.answers) == (UNSET, "", UNSET, None)


def test_response_alone_has_neither_question_nor_round_trip() -> None:
    session = udp()
    session.datagram(False, reply())
    session.close()
    (row,) = session.rows.dns_rows
    assert row.query == b"www.example.org"
    assert (row.qtype, row.rtt, row.rcode) == (UNSET, UNSET, 0)
    assert texts(row) == [b"192.0.2.9"]


def test_response_without_records_has_no_query_and_is_rejected() -> None:
    session = udp()
    session.datagram(False, reply(addresses=(), flags=0x8183))
    session.close()
    (row,) = session.rows.dns_rows
    assert row.query is None
    assert (row.rejected, row.rcode_name) == (True, "NXDOMAIN")


def test_pipelined_queries_are_paired_by_identifier() -> None:
    session = udp()
    for identifier in (1, 2, 3):
        session.datagram(True, query(identifier))
        session.wait(10)
    for identifier in (3, 1, 2):
        session.datagram(False, reply(identifier, (identifier,)))
        session.wait(10)
    rows = session.rows.dns_rows
    assert [(row.trans_id, texts(row), row.rtt) for row in rows] == [
        (3, [b"192.0.2.3"], 10),
        (1, [b"192.0.2.1"], 40),
        (2, [b"192.0.2.2"], 40),
    ]


def test_queries_of_one_identifier_are_paired_in_order() -> None:
    session = udp()
    for name in (b"\x01a\0", b"\x01b\0", b"\x01c\0"):
        session.datagram(True, query(7, name))
    for last in (1, 2, 3):
        session.datagram(False, reply(7, (last,)))
    assert [(row.query, texts(row)) for row in session.rows.dns_rows] == [
        (b"a", [b"192.0.2.1"]),
        (b"b", [b"192.0.2.2"]),
        (b"c", [b"192.0.2.3"]),
    ]


def test_query_may_follow_its_response() -> None:
    session = udp()
    session.datagram(False, reply())
    session.wait(5)
    session.datagram(True, query())
    (row,) = session.rows.dns_rows
    assert (row.qtype_name, row.rtt, row.rcode) == ("A", UNSET, 0)


def test_unpaired_messages_of_one_identifier_are_bounded() -> None:
    session = tcp()
    for _ in range(MAX_PENDING_MESSAGES + 1):
        session.send(False, framed(reply()))
    assert session.rows.dns_rows == []
    session.send(False, framed(reply()))
    assert len(session.rows.dns_rows) == MAX_PENDING_MESSAGES + 1
    session.close()
    assert len(session.rows.dns_rows) == MAX_PENDING_MESSAGES + 2
    assert session.context.counters.values == {"dns_unpaired_messages_given_up": 1}


def test_identifiers_of_unpaired_messages_are_bounded() -> None:
    session = udp()
    for identifier in range(MAX_PENDING_IDENTIFIERS + 3):
        session.datagram(False, reply(identifier))
    assert len(session.rows.dns_rows) == MAX_PENDING_IDENTIFIERS + 1
    session.close()
    assert len(session.rows.dns_rows) == MAX_PENDING_IDENTIFIERS + 3


def test_first_message_being_a_response_exchanges_the_ends() -> None:
    session = udp(orig_port=53, resp_port=40000)
    session.datagram(True, reply())
    assert session.connection.flips == 1
    session.close()
    (row,) = session.rows.dns_rows
    assert (row.id_orig_h, row.id_orig_p, row.id_resp_p) == ("10.0.0.2", 40000, 53)


def test_responses_to_a_group_exchange_nothing() -> None:
    session = Session(
        DnsAnalyzer,
        protocol=UDP,
        orig_port=5353,
        resp_port=5353,
        resp_address=bytes((224, 0, 0, 251)),
    )
    session.datagram(True, reply(0))
    assert session.connection.flips == 0


def test_later_responses_from_the_originator_exchange_nothing() -> None:
    session = udp()
    session.datagram(True, query())
    session.datagram(True, reply())
    assert session.connection.flips == 0


@pytest.mark.parametrize("flags", [0x2800, 0x2000])
def test_other_opcodes_are_marked_and_not_recorded(flags: int) -> None:
    session = udp()
    session.datagram(True, query(flags=flags))
    session.close()
    assert session.connection.unknown == 1
    assert session.rows.dns_rows == []
    assert session.services == []


def test_too_many_questions_disable_the_analyzer() -> None:
    session = udp()
    session.datagram(True, struct.pack("!6H", 1, 0x0100, 26, 0, 0, 0))
    assert not session.analyzer.alive
    assert session.services == []
    assert len(session.rows.dns_rows) == 1


def test_message_cut_in_its_question_still_makes_a_row() -> None:
    session = udp()
    session.datagram(True, query()[:20])
    session.close()
    (row,) = session.rows.dns_rows
    assert (row.trans_id, row.query) == (1, None)
    assert session.services == []


def test_several_questions_leave_the_last_one() -> None:
    data = struct.pack("!6H", 1, 0, 2, 0, 0, 0)
    data += b"\x01a\0" + struct.pack("!HH", 1, 1) + b"\x01b\0" + struct.pack("!HH", 28, 255)
    session = udp()
    session.datagram(True, data)
    session.close()
    (row,) = session.rows.dns_rows
    assert (row.query, row.qtype_name, row.qclass_name) == (b"b", "AAAA", "C_ANY")


def test_netbios_names_are_decoded() -> None:
    encoded = b"\x20FHEPFCELEHFCEPFFFACACACACACACACA\0"
    session = udp(orig_port=137, resp_port=137)
    session.datagram(True, query(1, encoded, 32, 0x0110))
    session.datagram(True, query(2, encoded, 33, 0x0000))
    session.close()
    names = [(row.query, row.qtype_name, row.z) for row in session.rows.dns_rows]
    assert names == [(b"WORKGROUP", "NIMLOC", 1), (b"WORKGROUP", "NBSTAT", 0)]


def test_netbios_registrations_are_dns_but_not_recorded() -> None:
    session = udp(orig_port=137, resp_port=137)
    session.datagram(True, query(flags=0x2910))
    session.close()
    assert session.rows.dns_rows == []
    assert session.services == ["dns"]


def test_netbios_answer_of_another_opcode_completes_what_is_open() -> None:
    session = udp(orig_port=137, resp_port=137)
    session.datagram(True, query(1))
    session.datagram(False, query(2, flags=0xAD80))
    assert len(session.rows.dns_rows) == 1
    session.datagram(False, reply(1))
    first, second = session.rows.dns_rows
    assert first is not second
    assert (first.rcode, second.rcode) == (UNSET, 0)


EXCHANGE: list[Turn] = [
    (True, framed(query(1)) + framed(query(2))),
    (False, framed(reply(1, (1,))) + framed(reply(2, (2,)))),
]


def test_framing_does_not_depend_on_delivery() -> None:
    for turns in deliveries(EXCHANGE):
        session = tcp()
        for from_orig, data in turns:
            session.send(from_orig, data)
        session.close()
        rows = session.rows.dns_rows
        assert [(row.trans_id, texts(row), row.proto) for row in rows] == [
            (1, [b"192.0.2.1"], "tcp"),
            (2, [b"192.0.2.2"], "tcp"),
        ]
        assert session.services == ["dns"]


def test_every_truncated_exchange_ends_in_at_most_one_row_a_message() -> None:
    for turns in truncated(EXCHANGE):
        session = tcp()
        for from_orig, data in turns:
            session.send(from_orig, data)
        session.close()
        assert len(session.rows.dns_rows) <= 2


def test_unfinished_message_is_read_when_the_stream_ends() -> None:
    session = tcp()
    session.send(True, framed(query())[:-1])
    session.end(True)
    session.close()
    (row,) = session.rows.dns_rows
    assert (row.trans_id, row.query) == (1, None)


def test_hole_in_the_stream_shifts_the_framing_and_nothing_more() -> None:
    session = tcp()
    session.send(True, framed(query(1)))
    session.gap(True, 10)
    session.send(True, framed(query(2)))
    session.close()
    assert [row.trans_id for row in session.rows.dns_rows] == [1, 2]


def test_udp_asks_for_the_periodic_look_at_silence() -> None:
    session = udp()
    assert session.connection.silence_check == 10_000_000
    session.close()
    assert session.connection.silence_check == 0
    assert tcp().connection.silence_check == 0


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=8), st.booleans())
def test_no_octets_raise(turns: list[Turn], netbios: bool) -> None:
    datagrams = udp(orig_port=137, resp_port=137) if netbios else udp()
    stream = tcp()
    for from_orig, data in turns:
        datagrams.datagram(from_orig, data)
        stream.send(from_orig, data)
    stream.end(True)
    stream.end(False)
    datagrams.close()
    stream.close()
