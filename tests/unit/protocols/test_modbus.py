from __future__ import annotations

import struct

import pytest

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO
from osect_sensor.protocols.modbus import ModbusAnalyzer

READ = b"\x03\x00\x00\x00\x02"
ANSWER = b"\x03\x04\x00\x01\x00\x02"


def adu(body: bytes, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", 1, protocol, len(body) + 1, 1) + body


def test_one_request_confirms(tcp_connection) -> None:
    ModbusAnalyzer(tcp_connection).stream(True, adu(READ))
    assert tcp_connection.services == ["modbus"]


def test_one_response_confirms_however_it_is_cut(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    for octet in adu(ANSWER):
        assert tcp_connection.services == []
        analyzer.stream(False, bytes([octet]))
    assert tcp_connection.services == ["modbus"]


def test_several_messages_in_one_segment_and_a_beginning(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    data = adu(READ) * 3
    analyzer.stream(True, data + adu(READ)[:5])
    analyzer.stream(True, adu(READ)[5:])
    assert analyzer.alive


def test_another_protocol_on_the_port_confirms_nothing(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    analyzer.stream(True, b"GET / HTTP/1.1\r\n\r\n")
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_a_protocol_identifier_other_than_zero_disowns(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    analyzer.stream(True, adu(READ))
    analyzer.stream(True, adu(READ, protocol=1))
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_late_nonsense_does_not_disown(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    analyzer.stream(True, adu(READ))
    tcp_connection.size = VIOLATIONS_COUNT_UP_TO + 1
    analyzer.stream(True, adu(READ, protocol=1))
    assert tcp_connection.services == ["modbus"]
    assert analyzer.alive


def test_exceptions_are_modbus(tcp_connection) -> None:
    ModbusAnalyzer(tcp_connection).stream(False, adu(b"\x83\x02"))
    assert tcp_connection.services == ["modbus"]


def test_an_odd_count_of_register_octets_disowns(tcp_connection) -> None:
    analyzer = ModbusAnalyzer(tcp_connection)
    analyzer.stream(True, adu(READ))
    analyzer.stream(False, adu(b"\x03\x03\x00\x01\x00"))
    assert tcp_connection.services == []


def test_an_odd_count_in_the_first_message_confirms_nothing(tcp_connection) -> None:
    ModbusAnalyzer(tcp_connection).stream(False, adu(b"\x03\x01\x00"))
    assert tcp_connection.services == []


def test_unknown_functions_pass(tcp_connection) -> None:
    ModbusAnalyzer(tcp_connection).stream(True, adu(b"\x5a\x00\x01\x02"))
    assert tcp_connection.services == ["modbus"]


REQUESTS = [
    b"\x01\x00\x00\x00\x01",
    b"\x06\x00\x00\x00\x01",
    b"\x08\x00\x00",
    b"\x0f\x00\x00\x00\x08\x01\xff",
    b"\x10\x00\x00\x00\x02\x04\x00\x01\x00\x02",
    b"\x14\x07\x06\x00\x01\x00\x02\x00\x03",
    b"\x15\x09\x06\x00\x01\x00\x02\x00\x01\xab\xcd",
    b"\x16\x00\x00\x00\x01\x00\x02",
    b"\x17\x00\x00\x00\x01\x00\x02\x00\x01\x02\x00\x05",
    b"\x18\x00\x00",
    b"\x2b\x0e",
]
RESPONSES = [
    b"\x01\x01\xff",
    b"\x03\x02\x00\x01",
    b"\x05\x00\x00\xff\x00",
    b"\x08\x00\x00",
    b"\x10\x00\x00\x00\x02",
    b"\x14\x04\x02\x06\xab\xcd",
    b"\x15\x09\x06\x00\x01\x00\x02\x00\x01\xab\xcd",
    b"\x16\x00\x00\x00\x01\x00\x02",
    b"\x17\x02\x00\x05",
    b"\x18\x00\x04\x00\x01\x00\x05",
    b"\x2b\x0e",
]


@pytest.mark.parametrize("body", REQUESTS)
def test_requests_must_have_room_for_their_fields(tcp_connection, body: bytes) -> None:
    ModbusAnalyzer(tcp_connection).stream(True, adu(body))
    assert tcp_connection.services == ["modbus"]
    ModbusAnalyzer(tcp_connection).stream(True, adu(body[:-1]))
    assert tcp_connection.services == []


@pytest.mark.parametrize("body", RESPONSES)
def test_responses_must_have_room_for_their_fields(tcp_connection, body: bytes) -> None:
    ModbusAnalyzer(tcp_connection).stream(False, adu(body))
    assert tcp_connection.services == ["modbus"]
    ModbusAnalyzer(tcp_connection).stream(False, adu(body[:-1]))
    assert tcp_connection.services == []


def test_more_registers_announced_than_octets_disowns(tcp_connection) -> None:
    ModbusAnalyzer(tcp_connection).stream(True, adu(b"\x10\x00\x00\x00\x03\x04\x00\x01\x00\x02"))
    assert tcp_connection.services == []
