from __future__ import annotations

import pytest

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO
from osect_sensor.protocols.dnp3 import Dnp3Analyzer

READ_CLASSES = b"\xc1\x01\x3c\x02\x06\x3c\x01\x06"
FIRST = 0x40
FINAL = 0x80


def crc(data: bytes) -> bytes:
    value = 0
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA6BC if value & 1 else value >> 1
    return (value ^ 0xFFFF).to_bytes(2, "little")


def frame(data: bytes, transport: int = FIRST | FINAL) -> bytes:
    body = bytes([transport]) + data
    head = bytes([5, 0x64, 5 + len(body), 0xC4, 1, 0, 2, 0])
    blocks = [body[start : start + 16] for start in range(0, len(body), 16)]
    return head + crc(head) + b"".join(block + crc(block) for block in blocks)


def response(objects: bytes) -> bytes:
    return b"\xc1\x81\x00\x00" + objects


def test_a_frame_from_the_field_confirms(tcp_connection) -> None:
    # Checks the checksum of this test against one that a real station made.
    data = bytes.fromhex("05640bc4050064006f36d0c3013c0106344d")
    assert data == data[:10] + data[10:]
    assert crc(data[:8]) == data[8:10]
    Dnp3Analyzer(tcp_connection, True).stream(True, data)
    assert tcp_connection.services == ["dnp3_tcp"]


def test_the_header_confirms_however_it_is_cut(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    for octet in frame(READ_CLASSES):
        analyzer.stream(True, bytes([octet]))
    assert tcp_connection.services == ["dnp3_tcp"]
    assert analyzer.alive


def test_the_service_tells_the_transport(udp_connection) -> None:
    data = frame(READ_CLASSES)
    Dnp3Analyzer(udp_connection, False).datagram(True, data, len(data))
    assert udp_connection.services == ["dnp3_udp"]


def test_other_protocols_confirm_nothing(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, b"GET / HTTP/1.1\r\n")
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_a_bad_header_checksum_disowns(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, frame(READ_CLASSES))
    bad = bytearray(frame(READ_CLASSES))
    bad[8] ^= 1
    analyzer.stream(True, bytes(bad))
    assert tcp_connection.services == []


@pytest.mark.parametrize("position", [0, -1])
def test_bad_magic_and_data_checksums_only_make_it_rest(tcp_connection, position: int) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, frame(READ_CLASSES))
    bad = bytearray(frame(READ_CLASSES))
    bad[position] ^= 1
    analyzer.stream(True, bytes(bad))
    assert tcp_connection.services == ["dnp3_tcp"]
    assert not analyzer.alive


def test_a_fragment_that_does_not_parse_disowns(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, frame(READ_CLASSES[:-1]))
    assert tcp_connection.services == []


def test_late_malformed_fragments_do_not_disown(tcp_connection) -> None:
    tcp_connection.size = VIOLATIONS_COUNT_UP_TO + 1
    Dnp3Analyzer(tcp_connection, True).stream(True, frame(READ_CLASSES[:-1]))
    assert tcp_connection.services == ["dnp3_tcp"]


def test_fragments_span_frames(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    data = response(b"\x1e\x01\x00\x00\x03" + bytes(20))
    analyzer.stream(False, frame(data[:9], FIRST))
    analyzer.stream(False, frame(data[9:], FINAL))
    assert tcp_connection.services == ["dnp3_tcp"]
    assert analyzer.alive
    analyzer.stream(False, frame(data[:9], FIRST))
    analyzer.stream(False, frame(data[9:-1], FINAL))
    assert tcp_connection.services == []


def test_a_fragment_without_its_beginning_makes_it_rest(tcp_connection) -> None:
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, frame(READ_CLASSES, FINAL))
    assert not analyzer.alive
    assert tcp_connection.services == ["dnp3_tcp"]


def test_link_frames_without_data_confirm_with_the_octet_after_them(tcp_connection) -> None:
    head = bytes([5, 0x64, 5, 0xC9, 1, 0, 2, 0])
    analyzer = Dnp3Analyzer(tcp_connection, True)
    analyzer.stream(True, head + crc(head))
    assert tcp_connection.services == []
    analyzer.stream(True, head + crc(head))
    assert tcp_connection.services == ["dnp3_tcp"]
    assert analyzer.alive
