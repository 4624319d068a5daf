"""CC-Link IE Field Basic frames are recognised and counted by connection."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.flows.analyzer import AnalysisContext, Connection
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.cclink_field_basic import (
    MAX_TUPLES,
    SERVICE,
    FieldBasicAggregator,
    FieldBasicAnalyzer,
)


def request(stations: int = 1, command: int = 0x0E70) -> bytes:
    head = b"\x50\x00" + bytes(9) + struct.pack("<H", command)
    return head + bytes(48) + struct.pack("<H", stations) + bytes(4) + bytes(76 * stations)


def response(stations: int = 1, length: int = -1) -> bytes:
    if length < 0:
        length = 50 + 72 * stations
    head = b"\xd0\x00" + bytes(5) + struct.pack("<H", length) + bytes(2)
    return head + bytes(48) + bytes(72 * stations)


class Line:
    """Connections to one aggregator."""

    def __init__(self) -> None:
        self.sink = CollectingSink()
        self.context = AnalysisContext(self.sink)
        self.aggregator = FieldBasicAggregator(self.context.counters)

    def connection(self, number: int = 1) -> FieldBasicAnalyzer:
        address = bytes((10, 0, 0, number))
        connection = Connection(self.context, 17, address, b"\x0a\0\0\xff", 61450, 61450)
        connection._uid = f"C{number}"
        return FieldBasicAnalyzer(connection, self.aggregator)

    def rows(self) -> list[tuple[object, ...]]:
        self.aggregator.flush(self.sink)
        rows = [
            (row.uid, row.pdu, row.cmd, row.number, row.ts, row.ts_end)
            for row in self.sink.field_basic_rows
        ]
        self.sink.field_basic_rows = []
        return rows


def feed(line: Line, analyzer: FieldBasicAnalyzer, data: bytes, at: int = 0) -> None:
    line.context.now = at
    analyzer.datagram(True, data, len(data))


def test_frames_are_counted_by_connection_pdu_and_command_in_order_of_appearance():
    line = Line()
    master = line.connection(1)
    slave = line.connection(2)
    feed(line, master, request(), 10)
    feed(line, slave, response(), 20)
    feed(line, master, request(2), 30)
    feed(line, master, request(command=0x1234), 40)
    assert line.rows() == [
        ("C1", "cyclicDataReq", "cyclic", 2, 10, 30),
        ("C2", "cyclicDataRes", "", 1, 20, 20),
        ("C1", "cyclicDataReq", "", 1, 40, 40),
    ]


def test_row_carries_the_connections_endpoints():
    line = Line()
    feed(line, line.connection(), request())
    line.aggregator.flush(line.sink)
    (row,) = line.sink.field_basic_rows
    assert (row.id_orig_h, row.id_orig_p) == ("10.0.0.1", 61450)
    assert (row.id_resp_h, row.id_resp_p) == ("10.0.0.255", 61450)


def test_flush_begins_a_new_window():
    line = Line()
    analyzer = line.connection()
    feed(line, analyzer, request(), 10)
    assert len(line.rows()) == 1
    assert line.rows() == []
    feed(line, analyzer, request(), 70)
    assert line.rows() == [("C1", "cyclicDataReq", "cyclic", 1, 70, 70)]


@pytest.mark.parametrize("payload", [request(), response(), response(0, 50)])
def test_whole_pdu_confirms_the_service(payload):
    line = Line()
    analyzer = line.connection()
    feed(line, analyzer, payload)
    assert analyzer.connection.services == [SERVICE]


@pytest.mark.parametrize(
    "payload", [request(2)[:-1], request()[:20], response(2)[:-1], response(1, 49), b"\x50", b""]
)
def test_malformed_pdu_ends_what_was_not_recognised_yet_but_no_more(payload):
    line = Line()
    analyzer = line.connection()
    feed(line, analyzer, payload)
    assert not analyzer.alive
    assert line.rows() == []
    analyzer = line.connection()
    feed(line, analyzer, request())
    feed(line, analyzer, payload)
    feed(line, analyzer, request())
    assert analyzer.connection.services == [SERVICE]
    assert [row[3] for row in line.rows()] == [2]


def test_other_pdus_and_datagrams_cut_by_the_capture_say_nothing():
    line = Line()
    analyzer = line.connection()
    feed(line, analyzer, b"\x51\x00" + bytes(80))
    analyzer.datagram(True, request()[:30], len(request()))
    assert analyzer.alive
    assert analyzer.connection.services == []
    assert line.rows() == []


def test_number_of_rows_is_bounded():
    line = Line()
    for number in range(MAX_TUPLES + 2):
        analyzer = line.connection()
        analyzer.connection._uid = f"C{number}"
        feed(line, analyzer, request(0))
    assert len(line.rows()) == MAX_TUPLES
    assert line.context.counters.values == {"field_basic_tuples_full": 2}
