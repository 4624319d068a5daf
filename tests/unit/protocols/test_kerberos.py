from __future__ import annotations

import struct

import pytest

from osect_sensor.protocols.kerberos import KerberosAnalyzer, KerberosTcpAnalyzer


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + struct.pack(">H", len(content)) + content


def number(value: int) -> bytes:
    return tlv(2, bytes([value]))


VERSION_FIRST = tlv(0xA0, number(5))
NAME = tlv(0x30, tlv(0xA0, number(1)), tlv(0xA1, tlv(0x30, tlv(0x1B, b"admin"))))
ENCRYPTED = tlv(0x30, tlv(0xA0, number(18)), tlv(0xA2, tlv(4, b"cipher")))
WITH_KEY_VERSION = tlv(
    0x30, tlv(0xA0, number(18)), tlv(0xA1, number(2)), tlv(0xA2, tlv(4, b"cipher"))
)
TICKET = tlv(
    0x61,
    tlv(
        0x30,
        tlv(0xA0, number(5)),
        tlv(0xA1, tlv(0x1B, b"REALM")),
        tlv(0xA2, NAME),
        tlv(0xA3, WITH_KEY_VERSION),
    ),
)
BODY = tlv(
    0xA4,
    tlv(
        0x30,
        tlv(0xA0, tlv(3, b"\0\x40\x81\0\x10")),
        tlv(0xA1, NAME),
        tlv(0xA2, tlv(0x1B, b"REALM")),
        tlv(0xA5, tlv(0x18, b"20370913024805Z")),
        tlv(0xA7, number(9)),
        tlv(0xA8, tlv(0x30, number(18), number(17))),
        tlv(0xA9, tlv(0x30, tlv(0x30, tlv(0xA0, number(20)), tlv(0xA1, tlv(4, b"HOST"))))),
        tlv(0xAB, tlv(0x30, TICKET)),
    ),
)


def request(kind: int, *preauthentication: bytes) -> bytes:
    data = tlv(0xA3, tlv(0x30, *preauthentication)) if preauthentication else b""
    fields = tlv(0x30, tlv(0xA1, number(5)), tlv(0xA2, number(kind)), data, BODY)
    return tlv(0x60 + kind, fields)


def preauthentication(kind: int, value: bytes) -> bytes:
    return tlv(0x30, tlv(0xA1, number(kind)), tlv(0xA2, tlv(4, value)))


AP_REQUEST = tlv(
    0x6E,
    tlv(
        0x30,
        VERSION_FIRST,
        tlv(0xA1, number(14)),
        tlv(0xA2, tlv(3, b"\0\0\0\0\0")),
        tlv(0xA3, TICKET),
        tlv(0xA4, ENCRYPTED),
    ),
)
REPLY = tlv(
    0x6B,
    tlv(
        0x30,
        VERSION_FIRST,
        tlv(0xA1, number(11)),
        tlv(0xA3, tlv(0x1B, b"REALM")),
        tlv(0xA4, NAME),
        tlv(0xA5, TICKET),
        tlv(0xA6, ENCRYPTED),
    ),
)
ERROR = tlv(
    0x7E,
    tlv(
        0x30,
        VERSION_FIRST,
        tlv(0xA1, number(30)),
        tlv(0xA4, tlv(0x18, b"20120912013138Z")),
        tlv(0xA5, number(1)),
        tlv(0xA6, number(25)),
        tlv(0xA9, tlv(0x1B, b"REALM")),
        tlv(0xAA, NAME),
        tlv(0xAC, tlv(0x30, preauthentication(2, b""))),
    ),
)
PRIVATE = tlv(0x75, tlv(0x30, VERSION_FIRST, tlv(0xA1, number(21)), tlv(0xA3, ENCRYPTED)))

ETYPE_INFO = tlv(0x30, tlv(0x30, tlv(0xA0, number(18))))

MESSAGES = [
    request(10),
    request(10, tlv(0x30, tlv(0xA1, number(128)), tlv(0xA2, tlv(4, b"\x30\x00")))),
    request(10, tlv(0x30, tlv(0xA1, number(19)), tlv(0xA2, tlv(4, ETYPE_INFO)))),
    request(12, preauthentication(1, AP_REQUEST)),
    AP_REQUEST,
    REPLY,
    ERROR,
    PRIVATE,
]


@pytest.mark.parametrize("data", MESSAGES)
def test_whole_messages_confirm(udp_connection, data: bytes) -> None:
    KerberosAnalyzer(udp_connection).datagram(True, data, len(data))
    assert udp_connection.services == ["krb"]


@pytest.mark.parametrize("data", MESSAGES)
def test_cut_messages_disown(udp_connection, data: bytes) -> None:
    analyzer = KerberosAnalyzer(udp_connection)
    analyzer.datagram(True, REPLY, len(REPLY))
    analyzer.datagram(True, data[:-1], len(data))
    assert udp_connection.services == []
    assert not analyzer.alive


def test_other_application_tags_disown(udp_connection) -> None:
    KerberosAnalyzer(udp_connection).datagram(True, b"\x65\x03abc", 5)
    assert udp_connection.services == []


def test_unknown_request_fields_pass(udp_connection) -> None:
    data = tlv(
        0x30, tlv(0xA1, number(5)), tlv(0xA2, number(10)), tlv(0xA4, tlv(0x30, tlv(0xAF, b"?")))
    )
    KerberosAnalyzer(udp_connection).datagram(True, tlv(0x6A, data), 0)
    assert udp_connection.services == ["krb"]


def test_messages_over_tcp_follow_their_length(tcp_connection) -> None:
    analyzer = KerberosTcpAnalyzer(tcp_connection)
    data = struct.pack(">I", len(REPLY)) + REPLY
    for octet in data:
        assert tcp_connection.services == []
        analyzer.stream(False, bytes([octet]))
    assert tcp_connection.services == ["krb_tcp"]
    analyzer.stream(False, data + struct.pack(">I", 3) + b"\x65\x01x")
    assert tcp_connection.services == []


def test_tcp_without_its_beginning_or_after_a_gap_is_not_looked_at(tcp_connection) -> None:
    data = struct.pack(">I", len(REPLY)) + REPLY
    tcp_connection.partial = True
    KerberosTcpAnalyzer(tcp_connection).stream(False, data)
    tcp_connection.partial = False
    analyzer = KerberosTcpAnalyzer(tcp_connection)
    analyzer.gap(True, 1)
    analyzer.stream(False, data)
    assert tcp_connection.services == []


def test_absurd_lengths_over_tcp_disown_at_once(tcp_connection) -> None:
    analyzer = KerberosTcpAnalyzer(tcp_connection)
    analyzer.stream(True, b"\xff\xff\xff\xffabc")
    assert not analyzer.alive
