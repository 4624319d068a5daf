from __future__ import annotations

import struct

import pytest

from osect_sensor.protocols.dce_rpc import MAX_REASSEMBLIES, DceRpcAnalyzer

REQUEST = 0
BIND = 11
BIND_ACK = 12
CONTEXT = struct.pack("<HBx", 0, 1) + bytes(20) + bytes(20)
BIND_BODY = struct.pack("<HHIB3x", 4280, 4280, 0, 1) + CONTEXT
NTLM = b"NTLMSSP\0\x09\0\0\0"


def pdu(
    kind: int, body: bytes, flags: int = 3, call: int = 1, auth: bytes = b"", auth_type: int = 10
) -> bytes:
    trailer = bytes([auth_type, 2, 0, 0]) + bytes(4) + auth if auth else b""
    length = 16 + len(body) + len(trailer)
    head = bytes([5, 0, kind, flags]) + b"\x10\0\0\0"
    return head + struct.pack("<HHI", length, len(auth), call) + body + trailer


def test_a_bind_confirms_however_it_is_cut(tcp_connection) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    for octet in pdu(BIND, BIND_BODY):
        assert tcp_connection.services == []
        analyzer.stream(True, bytes([octet]))
    assert tcp_connection.services == ["dce_rpc"]


def test_big_endian_integers(tcp_connection) -> None:
    data = bytes([5, 0, REQUEST, 3]) + bytes(4) + struct.pack(">HHI", 24, 0, 1) + bytes(8)
    DceRpcAnalyzer(tcp_connection).stream(True, data)
    assert tcp_connection.services == ["dce_rpc"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x04" + pdu(BIND, BIND_BODY)[1:],
        pdu(BIND, BIND_BODY[:-1]),
        pdu(REQUEST, bytes(7)),
        pdu(BIND_ACK, bytes(8) + b"\xff\xff"),
        pdu(REQUEST, b"")[:8] + b"\x08\0" + bytes(6),
        pdu(REQUEST, bytes(8))[:10] + b"\x40\0" + bytes(12),
    ],
)
def test_malformed_pdus_disown(tcp_connection, data: bytes) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    analyzer.stream(True, pdu(BIND, BIND_BODY))
    analyzer.stream(True, data)
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_unknown_pdu_types_pass(tcp_connection) -> None:
    DceRpcAnalyzer(tcp_connection).stream(True, pdu(19, b"x"))
    assert tcp_connection.services == ["dce_rpc"]


def test_what_authenticates_confirms_first(tcp_connection) -> None:
    DceRpcAnalyzer(tcp_connection).stream(True, pdu(BIND, BIND_BODY, auth=NTLM))
    assert tcp_connection.services == ["ntlm", "dce_rpc"]


def test_spnego_authenticates_too(tcp_connection) -> None:
    token = b"\xa1\x02\x30\x00"
    DceRpcAnalyzer(tcp_connection).stream(False, pdu(BIND, BIND_BODY, auth=token, auth_type=9))
    assert tcp_connection.services == ["gssapi", "dce_rpc"]


def test_fragments_are_put_together_before_they_are_judged(tcp_connection) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    analyzer.stream(True, pdu(BIND, BIND_BODY[:20], flags=1))
    analyzer.stream(True, pdu(BIND, BIND_BODY[20:], flags=2))
    assert tcp_connection.services == ["dce_rpc"]
    analyzer.stream(True, pdu(BIND, BIND_BODY[:20], flags=1))
    analyzer.stream(True, pdu(BIND, BIND_BODY[20:-1], flags=2))
    assert tcp_connection.services == []


def test_a_second_first_fragment_makes_it_rest_without_disowning(tcp_connection) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    analyzer.stream(True, pdu(REQUEST, bytes(8), flags=1))
    analyzer.stream(True, pdu(REQUEST, bytes(8), flags=1))
    assert tcp_connection.services == ["dce_rpc"]
    assert not analyzer.alive


def test_too_many_calls_in_pieces_make_it_rest(tcp_connection) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    for call in range(MAX_REASSEMBLIES):
        analyzer.stream(True, pdu(REQUEST, bytes(8), flags=1, call=call))
    assert analyzer.alive
    analyzer.stream(True, pdu(REQUEST, bytes(8), flags=1, call=999))
    assert not analyzer.alive
    assert tcp_connection.services == ["dce_rpc"]


def test_nothing_is_read_after_a_gap(tcp_connection) -> None:
    analyzer = DceRpcAnalyzer(tcp_connection)
    analyzer.gap(True, 10)
    analyzer.stream(True, pdu(BIND, BIND_BODY))
    assert tcp_connection.services == []
