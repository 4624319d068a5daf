from __future__ import annotations

from osect_sensor.protocols.gssapi import GssapiAnalyzer

NTLM = b"NTLMSSP\0\x09\0\0\0"
AP_REP = bytes.fromhex("6f1b3019a003020105a10302010fa20d300ba003020112a20404020102")


def tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


SPNEGO = tlv(6, b"\x2b\x06\x01\x05\x05\x02")
MECHANISMS = tlv(0xA0, tlv(0x30, tlv(6, b"\x2a")))


def initial(*fields: bytes) -> bytes:
    return tlv(0x60, SPNEGO + tlv(0xA0, tlv(0x30, b"".join(fields))))


def answer(*fields: bytes) -> bytes:
    return tlv(0xA1, tlv(0x30, b"".join(fields)))


def kerberos_token(message: bytes) -> bytes:
    return tlv(0x60, tlv(6, b"\x2a\x86") + b"\x02\x00" + message)


def test_initial_tokens_and_answers_confirm(tcp_connection) -> None:
    for token in (initial(MECHANISMS), answer(tlv(0xA0, tlv(10, b"\0"))), answer()):
        tcp_connection.services.clear()
        GssapiAnalyzer(tcp_connection).stream(True, token)
        assert tcp_connection.services == ["gssapi"]


def test_ntlm_inside_confirms_before_its_wrapping(tcp_connection) -> None:
    GssapiAnalyzer(tcp_connection).stream(True, initial(MECHANISMS, tlv(0xA2, tlv(4, NTLM))))
    assert tcp_connection.services == ["ntlm", "gssapi"]


def test_kerberos_inside_confirms(tcp_connection) -> None:
    message = bytes.fromhex("6f13a003020105a10302010fa207a0050203010203")
    token = initial(tlv(0xA2, tlv(4, kerberos_token(message))))
    GssapiAnalyzer(tcp_connection).stream(True, token)
    assert "gssapi" in tcp_connection.services


def test_per_message_tokens_confirm(tcp_connection) -> None:
    GssapiAnalyzer(tcp_connection).stream(True, b"\x05\x04\x06\xff" + bytes(12))
    assert tcp_connection.services == ["gssapi"]


def test_unknown_fields_and_cuts_disown(tcp_connection) -> None:
    for token in (answer(tlv(0xA4, b"")), initial(MECHANISMS)[:-1], b"\x60", b""):
        analyzer = GssapiAnalyzer(tcp_connection)
        analyzer.stream(True, initial(MECHANISMS))
        analyzer.stream(False, token)
        assert tcp_connection.services == []


def test_a_malformed_kerberos_wrapping_disowns(tcp_connection) -> None:
    GssapiAnalyzer(tcp_connection).stream(True, initial(tlv(0xA2, tlv(4, b"\x60\x05\x06\x01"))))
    assert tcp_connection.services == []


def test_nothing_counts_where_octets_are_missing(tcp_connection) -> None:
    analyzer = GssapiAnalyzer(tcp_connection)
    analyzer.stream(True, initial(MECHANISMS))
    tcp_connection.had_gap = True
    analyzer.stream(True, b"\x60")
    assert tcp_connection.services == ["gssapi"]
