from __future__ import annotations

import struct

from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, message

from osect_sensor.protocols.dtls import MAX_FRAGMENTED_MESSAGE, MAX_VERSION_ERRORS
from osect_sensor.wire.packet import UDP

DTLS_1_2 = 0xFEFD


def fragment(body: bytes, start: int, end: int, sequence: int, number: int = 0) -> bytes:
    """A record with octets ``start`` to ``end`` of a handshake message's body."""
    part = body[4 + start : 4 + end]
    header = body[:4] + struct.pack(">H", number) + start.to_bytes(3, "big")
    return record(22, header + len(part).to_bytes(3, "big") + part, sequence)


def record(kind: int, data: bytes, sequence: int = 0, version: int = DTLS_1_2) -> bytes:
    return (
        struct.pack(">BHH", kind, version, 0)
        + sequence.to_bytes(6, "big")
        + struct.pack(">H", len(data))
        + data
    )


HELLO_BODY = client_hello(DTLS_1_2)
HELLO = fragment(HELLO_BODY, 0, len(HELLO_BODY), 0)


def test_a_client_hello_confirms_on_any_port() -> None:
    assert services_of([(ORIG, HELLO)], protocol=UDP) == ["dtls"]


def test_a_hello_is_put_together_from_fragments_in_any_order() -> None:
    size = len(HELLO_BODY) - 4
    parts = [fragment(HELLO_BODY, 0, 40, 7), fragment(HELLO_BODY, 40, size, 8)]
    for order in (parts, parts[::-1]):
        turns = [(ORIG, part) for part in order]
        assert services_of(turns[:1], protocol=UDP, port=443) == []
        assert services_of(turns, protocol=UDP, port=443) == ["dtls"]


def test_fragments_beyond_the_window_disown() -> None:
    turns = [(ORIG, HELLO), (ORIG, fragment(HELLO_BODY, 0, 40, 7, 1))]
    turns.append((ORIG, fragment(HELLO_BODY, 40, 60, 39, 1)))
    assert services_of(turns[:2], protocol=UDP) == ["dtls"]
    assert services_of(turns, protocol=UDP) == []


def test_a_message_beyond_all_measure_disowns() -> None:
    body = b"\x0b" + (MAX_FRAGMENTED_MESSAGE + 1).to_bytes(3, "big") + bytes(40)
    turns = [(ORIG, HELLO), (RESP, fragment(body, 0, 20, 1))]
    assert services_of(turns, protocol=UDP) == []


def test_an_impossible_version_disowns_what_was_confirmed() -> None:
    noise = record(22, b"x", version=0x1234)
    assert services_of([(ORIG, HELLO), (RESP, noise)], protocol=UDP) == []


def test_impossible_versions_before_are_tolerated_for_a_while() -> None:
    noise = record(22, b"x", version=0x1234)
    few = [(ORIG, noise)] * MAX_VERSION_ERRORS
    assert services_of([*few, (ORIG, HELLO)], protocol=UDP, port=443) == ["dtls"]
    detected = Detected(protocol=UDP, port=443)
    for turn in [*few, (ORIG, noise)]:
        detected.send(*turn)
    assert "dtls" not in detected.attached


def test_stun_beside_it_is_ignored() -> None:
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(16)
    assert services_of([(ORIG, HELLO), (ORIG, stun)], protocol=UDP) == ["dtls"]


def test_a_truncated_record_disowns() -> None:
    assert services_of([(ORIG, HELLO), (RESP, HELLO[:20])], protocol=UDP) == []


def test_the_analyzer_leaves_once_both_sides_encrypt() -> None:
    detected = Detected(protocol=UDP)
    detected.send(ORIG, HELLO)
    encrypted = bytearray(record(22, b"opaque"))
    encrypted[4] = 1
    for side in (ORIG, RESP):
        detected.send(side, record(20, b"\x01"))
    assert "dtls" in detected.attached
    detected.send(RESP, bytes(encrypted))
    assert "dtls" not in detected.attached
    assert detected.services == ["dtls"]


def test_a_hello_verify_request_is_read() -> None:
    good = message(3, b"\xfe\xfd\x02ab")
    bad = message(3, b"\xfe\xfd\x09ab")
    turns = [(ORIG, HELLO), (RESP, fragment(good, 0, len(good), 0))]
    assert services_of(turns, protocol=UDP) == ["dtls"]
    turns = [(ORIG, HELLO), (RESP, fragment(bad, 0, len(bad), 0))]
    assert services_of(turns, protocol=UDP) == []
