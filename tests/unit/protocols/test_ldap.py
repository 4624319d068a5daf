from __future__ import annotations

import struct

import pytest

from osect_sensor.flows.recording import RecordingAnalyzer
from osect_sensor.protocols.ldap import MAX_FILTER_NESTING, MAX_NESTING, LdapAnalyzer


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x84]) + struct.pack(">I", len(content)) + content


def number(value: int, tag: int = 2) -> bytes:
    return tlv(tag, bytes([value]))


def text(value: bytes) -> bytes:
    return tlv(4, value)


def message(operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(0x30, number(1), operation, controls)


def result(tag: int, code: int = 0, rest: bytes = b"") -> bytes:
    return tlv(tag, number(code, 10), text(b""), text(b""), rest)


def search(filter_: bytes) -> bytes:
    scope = number(0, 10) + number(0, 10) + number(0) + number(0) + tlv(1, b"\0")
    return tlv(0x63, text(b"dc=x"), scope, filter_, tlv(0x30, text(b"cn")))


def bind(credentials: bytes) -> bytes:
    return tlv(0x60, number(3), text(b"cn=x"), credentials)


def sasl(mechanism: bytes, rest: bytes = b"") -> bytes:
    return bind(tlv(0xA3, text(mechanism), rest))


PRESENT = tlv(0x87, b"objectClass")
EQUAL = tlv(0xA3, text(b"cn"), text(b"x"))
UNBIND = message(tlv(0x42))
SPNEGO_INITIAL = text(tlv(0x60, tlv(6, b"\x2b\x06\x01\x05\x05\x02"), b"rest"))
SPNEGO_ACCEPTED = tlv(
    0xA1,
    tlv(
        0x30,
        tlv(0xA0, number(0, 10)),
        tlv(0xA1, tlv(6, b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02")),
        tlv(0xA2, text(b"token")),
    ),
)

GOOD = [
    bind(tlv(0x80, b"secret")),
    bind(tlv(0x80)),
    sasl(b"EXTERNAL", text(b"")),
    sasl(b"GSS-SPNEGO", SPNEGO_INITIAL),
    sasl(b"GSS-SPNEGO", text(b"NTLMSSP\0")),
    bind(tlv(0x8A, b"NTLMSSP\0")),
    result(0x61),
    result(0x61, 14, tlv(0x87, b"creds")),
    tlv(0x42),
    search(PRESENT),
    search(tlv(0xA0, EQUAL, tlv(0xA2, PRESENT))),
    search(tlv(0xA4, text(b"cn"), tlv(0x30, tlv(0x80, b"a"), tlv(0x81, b"b")))),
    search(tlv(0xA9, tlv(0x81, b"r"), tlv(0x82, b"t"), tlv(0x83, b"v"))),
    tlv(0x64, text(b"cn=x"), tlv(0x30, tlv(0x30, text(b"cn"), tlv(0x31, text(b"x"))))),
    result(0x65),
    tlv(0x68, b"an addition"),
    tlv(0x73, b"a reference"),
    tlv(0x77, tlv(0x80, b"1.2.3"), tlv(0x81, b"value")),
    result(0x78, 0, tlv(0x8A, b"1.2.3") + tlv(0x8B, b"value")),
]


@pytest.mark.parametrize("operation", GOOD)
def test_operations_that_parse_confirm(tcp_connection, operation: bytes) -> None:
    LdapAnalyzer(tcp_connection, True).stream(True, message(operation))
    assert tcp_connection.services == ["ldap_tcp"]


BAD = [
    bind(number(1)),
    bind(tlv(0x8A, b"NTLM")),
    sasl(b"GSS-SPNEGO"),
    sasl(b"GSS-SPNEGO", text(tlv(0x60, tlv(6, b"\x2b\x06")))),
    result(0x61, 0, tlv(0x88, b"x")),
    tlv(0x42, b"x"),
    search(number(1)),
    search(tlv(0xAA, b"")),
    search(tlv(0xA4, text(b"cn"), tlv(0x30, tlv(0x83, b"a")))),
    tlv(0x66, text(b"cn=x"), tlv(0x30)),
    tlv(0x65, text(b"not a code"), text(b""), text(b"")),
    result(0x65, 10, tlv(0xA3, text(b"ldap://elsewhere"))),
    result(0x78, 0, tlv(0x8C, b"x")),
    tlv(0x77, text(b"1.2.3")),
    tlv(0x5F, b""),
    tlv(0x30, b""),
]


@pytest.mark.parametrize("operation", BAD)
def test_operations_that_do_not_disown(tcp_connection, operation: bytes) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, UNBIND)
    analyzer.stream(True, message(operation))
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_messages_arrive_in_any_pieces(tcp_connection) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    for octet in message(search(PRESENT), tlv(0xA0, b"controls")) * 2:
        analyzer.stream(True, bytes([octet]))
    assert tcp_connection.services == ["ldap_tcp"]
    assert analyzer.alive


def test_other_protocols_confirm_nothing(tcp_connection) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x30\x80junk", b"\x30\x05\x04\x01x\x42\x00"):
        analyzer = LdapAnalyzer(tcp_connection, True)
        analyzer.stream(True, data)
        assert tcp_connection.services == []
        assert not analyzer.alive


def test_a_message_cut_off_by_the_end_of_the_stream_disowns(tcp_connection) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, UNBIND)
    analyzer.end_of_stream(True)
    assert tcp_connection.services == ["ldap_tcp"]
    analyzer.stream(False, UNBIND[:3])
    analyzer.end_of_stream(False)
    assert tcp_connection.services == []


def test_after_a_gap_it_rests_without_disowning(tcp_connection) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, UNBIND)
    tcp_connection.had_gap = True
    analyzer.gap(True, 5)
    assert not analyzer.alive
    assert tcp_connection.services == ["ldap_tcp"]


def test_a_datagram_holds_whole_messages(udp_connection) -> None:
    data = message(search(PRESENT)) + message(result(0x65))
    LdapAnalyzer(udp_connection, False).datagram(True, data, len(data))
    assert udp_connection.services == ["ldap_udp"]
    LdapAnalyzer(udp_connection, False).datagram(True, data[:-1], len(data))
    assert udp_connection.services == []


def nested(tag: int, depth: int, innermost: bytes) -> bytes:
    data = innermost
    for _ in range(depth):
        data = tlv(tag, data)
    return data


def test_nesting_is_bounded(tcp_connection) -> None:
    deep = tlv(0x64, text(b"cn=x"), nested(0x30, MAX_NESTING, number(1)))
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(False, message(deep))
    assert tcp_connection.services == ["ldap_tcp"]
    deeper = tlv(0x64, text(b"cn=x"), nested(0x30, MAX_NESTING + 1, number(1)))
    analyzer.stream(False, message(deeper))
    assert tcp_connection.services == []


def test_filters_are_bounded(tcp_connection) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, message(search(nested(0xA2, MAX_FILTER_NESTING, PRESENT))))
    assert tcp_connection.services == ["ldap_tcp"]
    analyzer.stream(True, message(search(nested(0xA2, MAX_FILTER_NESTING + 1, PRESENT))))
    assert tcp_connection.services == []


def wrapped(inner: bytes, flags: int = 0, extra: int = 12, rotation: int = 12) -> bytes:
    token = b"\x05\x04" + bytes([flags, 0xFF]) + struct.pack(">HH", extra, rotation) + bytes(8)
    if rotation == extra:
        token += bytes(extra) + inner
    else:
        token += inner + bytes(extra)
    return struct.pack(">I", len(token)) + token


def bound(tcp_connection, mechanism: bytes, credentials: bytes, answer: bytes) -> LdapAnalyzer:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, message(sasl(mechanism, credentials)))
    analyzer.stream(False, message(answer))
    assert tcp_connection.services == ["ldap_tcp"]
    return analyzer


def test_messages_in_unsealed_kerberos_tokens_are_parsed(tcp_connection) -> None:
    answer = result(0x61, 0, tlv(0x87, SPNEGO_ACCEPTED))
    analyzer = bound(tcp_connection, b"GSS-SPNEGO", SPNEGO_INITIAL, answer)
    analyzer.stream(True, wrapped(message(search(PRESENT))))
    analyzer.stream(True, wrapped(message(search(PRESENT)), rotation=0))
    analyzer.stream(True, wrapped(b"sealed", flags=2, rotation=28))
    assert tcp_connection.services == ["ldap_tcp"]
    assert analyzer.alive
    analyzer.stream(True, wrapped(b"clear, but no LDAP"))
    assert tcp_connection.services == []


def test_after_sasl_the_first_octets_tell_encrypted_from_clear(tcp_connection) -> None:
    analyzer = bound(tcp_connection, b"GSSAPI", text(b"x"), result(0x61))
    analyzer.stream(True, wrapped(message(search(PRESENT))))
    assert analyzer.alive
    analyzer = bound(tcp_connection, b"PLAIN", text(b"x"), result(0x61))
    analyzer.stream(True, UNBIND)
    assert analyzer.alive
    analyzer = bound(tcp_connection, b"SRP", text(b"x"), result(0x61))
    for octet in b"\0\0\0\x08anything" + b"\0\0\0\x01x":
        analyzer.stream(True, bytes([octet]))
    assert analyzer.alive
    assert tcp_connection.services == ["ldap_tcp"]


def test_what_follows_starttls_goes_to_tls(tcp_connection) -> None:
    tls = RecordingAnalyzer(tcp_connection, "ssl")
    tcp_connection.context.inner = lambda connection, service: [tls]
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, message(tlv(0x77, tlv(0x80, b"1.3.6.1.4.1.1466.20037"))))
    analyzer.stream(False, message(result(0x78)))
    analyzer.stream(True, b"\x16\x03\x01hello")
    analyzer.stream(False, b"\x16\x03\x03hello")
    assert tls.orig == b"\x16\x03\x01hello"
    assert tls.resp == b"\x16\x03\x03hello"
    analyzer.end_of_stream(True)
    analyzer.finish()
    assert tls.finished == 1
    assert tcp_connection.services == ["ldap_tcp"]


def test_a_refused_starttls_changes_nothing(tcp_connection) -> None:
    analyzer = LdapAnalyzer(tcp_connection, True)
    analyzer.stream(True, message(tlv(0x77, tlv(0x80, b"1.3.6.1.4.1.1466.20037"))))
    analyzer.stream(False, message(result(0x78, 2)))
    analyzer.stream(True, UNBIND)
    assert analyzer.alive
