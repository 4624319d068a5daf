from __future__ import annotations

import pytest

from osect_sensor.protocols.snmp import SnmpAnalyzer


def tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


ONE = tlv(2, b"\x01")
BINDINGS = tlv(0x30, tlv(0x30, tlv(6, b"\x2b\x06\x01") + tlv(5, b"")))


def message(pdu: int = 0xA0, version: bytes = b"\0", body: bytes = ONE * 3 + BINDINGS) -> bytes:
    return tlv(0x30, tlv(2, version) + tlv(4, b"public") + tlv(pdu, body))


def feed(analyzer: SnmpAnalyzer, from_orig: bool, data: bytes) -> None:
    analyzer.datagram(from_orig, data, len(data))


def test_only_the_responders_message_confirms(udp_connection) -> None:
    analyzer = SnmpAnalyzer(udp_connection)
    feed(analyzer, True, message())
    assert udp_connection.services == []
    assert analyzer.alive
    feed(analyzer, False, message(0xA2, b"\x01"))
    assert udp_connection.services == ["snmp"]


@pytest.mark.parametrize(
    "bad",
    [
        b"\x31" + message()[1:],
        message(body=tlv(4, b"\x01") + ONE * 2 + BINDINGS),
        message(body=tlv(2, bytes(10)) + ONE * 2 + BINDINGS),
        message(body=ONE * 3 + tlv(0x30, tlv(0x30, tlv(4, b"x") + tlv(5, b"")))),
        message()[:-1],
        message(0xA4),
    ],
)
def test_wrong_tags_widths_and_cuts_disown(udp_connection, bad: bytes) -> None:
    analyzer = SnmpAnalyzer(udp_connection)
    feed(analyzer, False, message(0xA2))
    feed(analyzer, False, bad)
    assert udp_connection.services == []
    assert not analyzer.alive


def test_version_1_traps(udp_connection) -> None:
    body = tlv(6, b"\x2b") + tlv(0x40, b"\x0a\0\0\x01") + ONE * 2 + tlv(0x43, b"\x05") + BINDINGS
    feed(SnmpAnalyzer(udp_connection), False, message(0xA4, body=body))
    assert udp_connection.services == ["snmp"]


def test_unknown_versions_and_pdus_pass(udp_connection) -> None:
    feed(SnmpAnalyzer(udp_connection), False, tlv(0x30, tlv(2, b"\x09") + b"anything"))
    assert udp_connection.services == ["snmp"]
    feed(SnmpAnalyzer(udp_connection), False, message(0xAF, body=b"junk"))
    assert udp_connection.services == ["snmp"]


def version_3(flags: bytes, data: bytes) -> bytes:
    header = tlv(0x30, ONE * 2 + tlv(4, flags) + ONE)
    return tlv(0x30, tlv(2, b"\x03") + header + tlv(4, b"usm") + data)


def test_version_3_encrypted_and_plain(udp_connection) -> None:
    feed(SnmpAnalyzer(udp_connection), False, version_3(b"\x03", tlv(4, b"secret")))
    assert udp_connection.services == ["snmp"]
    pdu = tlv(0xA2, ONE * 3 + BINDINGS)
    scoped = tlv(0x30, tlv(4, b"engine") + tlv(4, b"") + pdu)
    feed(SnmpAnalyzer(udp_connection), False, version_3(b"\x04", scoped))
    assert udp_connection.services == ["snmp"]
    feed(SnmpAnalyzer(udp_connection), False, version_3(b"\x04", scoped[:-3]))
    assert udp_connection.services == []


def test_version_3_flags_of_two_octets_disown(udp_connection) -> None:
    feed(SnmpAnalyzer(udp_connection), False, version_3(b"\x03\x00", tlv(4, b"secret")))
    assert udp_connection.services == []
