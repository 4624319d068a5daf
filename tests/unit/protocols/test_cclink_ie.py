"""CC-Link IE Field and Control frames are told apart and counted by content."""

from __future__ import annotations

import pytest

from osect_sensor.flows.analyzer import Counters
from osect_sensor.logs.rows import UNSET, FieldControlRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.cclink_ie import MAX_TUPLES, FieldControlAggregator
from osect_sensor.wire.packet import Packet

CONTROL, FIELD = 0, 1


def frame(
    kind: int,
    version: int = FIELD,
    *,
    data_type: int = 0,
    node_id: int = 0x0102,
    info: int = 0x13,
    node_type: int = 0x30,
    source: int = 0x0007,
    data: bytes = b"",
) -> bytes:
    return (
        bytes((kind, data_type))
        + node_id.to_bytes(2, "big")
        + bytes((info, node_type))
        + source.to_bytes(2, "big")
        + bytes((version, 0, 0, 0, 0, 0))
        + data
    )


def count(*frames: bytes, step: int = 10) -> list[FieldControlRow]:
    aggregator = FieldControlAggregator(Counters())
    packet = Packet()
    for number, payload in enumerate(frames):
        packet.timestamp = 1000 + step * number
        packet.data = packet.link = bytes.fromhex("020000000002 020000000001 890f") + payload
        packet.destination_mac = 0
        packet.source_mac = 6
        packet.network = 14
        packet.captured_end = len(packet.data)
        aggregator.frame(packet)
    sink = CollectingSink()
    aggregator.flush(sink)
    return sink.field_control_rows


def test_senders_are_told_apart_where_their_address_comes_first():
    aggregator = FieldControlAggregator(Counters())
    packet = Packet()
    for sender in (1, 2, 1):
        packet.data = bytes.fromhex(f"02000000000{sender} 020000000009 890f") + frame(0x83)
        packet.link = packet.data
        packet.source_mac = 0
        packet.destination_mac = 6
        packet.network = 14
        packet.captured_end = len(packet.data)
        aggregator.frame(packet)
    sink = CollectingSink()
    aggregator.flush(sink)
    counted = [(row.src_mac[-2:], row.number) for row in sink.field_control_rows]
    assert counted == [("01", 2), ("02", 1)]


def test_times_that_go_back_do_not_end_before_they_begin():
    [row] = count(frame(0x83), frame(0x83), frame(0x83), step=-10)
    assert (row.number, row.ts, row.ts_end) == (3, 1000, 1000)


def test_frames_are_counted_in_order_of_appearance():
    first, second = count(frame(0x83), frame(0x85), frame(0x83), frame(0x83))
    assert (first.pdu_type, first.number, first.ts, first.ts_end) == ("cyclicDataRY", 3, 1000, 1030)
    assert (second.pdu_type, second.number) == ("cyclicDataRX", 1)
    assert (second.ts, second.ts_end) == (1010, 1010)
    assert (first.src_mac, first.dst_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


@pytest.mark.parametrize(
    "other",
    [
        frame(0x13, node_id=9),
        frame(0x13, source=9),
        frame(0x13, CONTROL),
        frame(0x15),
    ],
)
def test_every_logged_part_tells_frames_apart(other):
    assert [row.number for row in count(frame(0x13), other, frame(0x13))] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "version", "expected"),
    [
        (0x00, 9, ("connect", b"cclink_ie_control", None, UNSET, "", "0x0007")),
        (0x8F, 9, ("cyclicDataIn2", b"cclink_ie_control", None, UNSET, "", "0x0007")),
        (0x10, FIELD, ("persuasion", b"cclink_ie_field", b"master node", UNSET, "", "0x0007")),
        (0x11, FIELD, ("testData", b"cclink_ie_field", b"master node", UNSET, "", "0x0007")),
        (0x14, CONTROL, ("setupAck", b"cclink_ie_control", None, UNSET, "", "0x0007")),
        (0x15, CONTROL, ("tokenM", b"cclink_ie_control", None, 0x0102, "", "0x0007")),
        (0x1C, FIELD, ("timer", b"cclink_ie_field", None, UNSET, "", "0x0007")),
        (0x20, FIELD, ("myStatus", b"cclink_ie_field", b"master node", 0x0102, "", "0x0007")),
        (0x20, CONTROL, ("myStatus", b"cclink_ie_control", None, 0x0102, "", "0x0007")),
        (0x40, FIELD, ("measure", b"cclink_ie_field", None, 0x0102, "", "0x0007")),
        (0x40, CONTROL, ("measure", b"cclink_ie_control", None, UNSET, "", "0x0007")),
        (0x23, FIELD, ("transientAck", b"cclink_ie_field", None, 0x0102, "0x13", "0x0007")),
        (0x23, CONTROL, ("transientAck", b"cclink_ie_control", None, UNSET, "", "0x0007")),
        (0x29, 5, ("parameter", b"unknownserviceVerType\x05", None, UNSET, "", "")),
    ],
)
def test_kind_and_version_decide_what_is_logged(kind, version, expected):
    (row,) = count(frame(kind, version))
    assert expected == (
        row.pdu_type, row.service, row.node_type, row.node_id, row.connection_info,
        row.src_node_number,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "node_type", "name"),
    [
        (CONTROL, 0x00, b"management node"),
        (CONTROL, 0x30, b"unknownNodetype0"),
        (FIELD, 0x35, b"remote I/O node"),
        (FIELD, 0x01, b"unknownNodetype\x01"),
    ],
)
def test_node_types(version, node_type, name):
    assert count(frame(0x10, version, node_type=node_type))[0].node_type == name


@pytest.mark.parametrize(
    ("kind", "version", "data_type", "data", "cmd"),
    [
        (0x25, FIELD, 0, bytes(22) + b"\x20", b"messageTransfer"),
        (0x25, CONTROL, 0, bytes(22) + b"\x10", b"readMemory"),
        (0x25, CONTROL, 0, bytes(22) + b"\x20", b"unknownCt "),
        (0x22, FIELD, 5, bytes(38) + b"\xb0", b"slmpTransmitResponse"),
        (0x22, FIELD, 5, bytes(38) + b"\x01", b"unknownCt\x01"),
        (0x22, FIELD, 7, bytes(16) + b"\x03\x80", b"getStatisticalInformationResponse"),
        (0x22, FIELD, 7, bytes(16) + b"\x03\x01", b"unknownCmd\x03\x01"),
        (0x22, FIELD, 8, bytes(16) + b"\x02\x00", b"objectReadRequest"),
        (0x22, CONTROL, 8, bytes(16) + b"\x02\x00", None),
    ],
)
def test_commands_of_transient_frames(kind, version, data_type, data, cmd):
    (row,) = count(frame(kind, version, data_type=data_type, data=data))
    assert row.cmd == cmd
    assert (row.node_id, row.connection_info) == (0x0102, "0x13")
    assert count(frame(kind, version, data_type=data_type, data=data[:-1])) == []


def test_frames_of_tsn_and_unknown_kinds_make_no_row():
    assert count(frame(0xC4), frame(0x99), frame(0x11, 2), frame(0x12, 3)) == []
    assert count(frame(0x22, data_type=6, data=bytes(60))) == []


def test_cut_off_header_makes_no_row():
    whole = frame(0x83)
    for length in range(len(whole)):
        assert count(whole[:length]) == []


def test_number_of_rows_is_bounded():
    counters = Counters()
    aggregator = FieldControlAggregator(counters)
    packet = Packet()
    packet.network = 0
    for number in range(MAX_TUPLES + 2):
        packet.data = packet.link = frame(0x15, node_id=number & 0xFFFF, source=number >> 16)
        packet.captured_end = len(packet.data)
        aggregator.frame(packet)
    sink = CollectingSink()
    aggregator.flush(sink)
    assert len(sink.field_control_rows) == MAX_TUPLES
    assert counters.values == {"cclink_ie_tuples_full": 2}
