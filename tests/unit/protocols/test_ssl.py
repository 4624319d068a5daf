from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import (
    CHANGE_CIPHER_SPEC,
    FINISHED,
    TLS_1_3,
    client_hello,
    extension,
    message,
    record,
    server_hello,
    vector,
)

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO

HELLO = record(22, client_hello(), 0x0301)
ANSWER = record(22, server_hello() + message(14, b""))
CERTIFICATE = record(22, message(11, vector(3, vector(3, b"\x30\x82") * 2)))


def test_a_client_hello_confirms_on_any_port() -> None:
    assert services_of([(ORIG, HELLO)]) == ["ssl"]
    assert services_of([(ORIG, HELLO)], port=443) == ["ssl"]


def test_a_client_hello_confirms_however_it_is_cut() -> None:
    turns = [(ORIG, HELLO[index : index + 1]) for index in range(len(HELLO))]
    assert services_of(turns, port=443) == ["ssl"]
    assert services_of(turns[:-1], port=443) == []


def test_a_server_hello_alone_does_not_confirm() -> None:
    assert services_of([(RESP, ANSWER)], port=443) == []


def test_the_analyzer_leaves_once_both_sides_encrypt() -> None:
    detected = Detected(port=443)
    detected.send(ORIG, HELLO).send(RESP, ANSWER + CERTIFICATE)
    detected.send(ORIG, CHANGE_CIPHER_SPEC + FINISHED)
    assert "ssl" in detected.attached
    detected.send(RESP, CHANGE_CIPHER_SPEC + FINISHED)
    assert "ssl" not in detected.attached
    assert detected.services == ["ssl"]


def test_tls_1_3_encrypts_with_its_first_application_data() -> None:
    detected = Detected(port=443)
    detected.send(ORIG, HELLO)
    versions = extension(43, TLS_1_3.to_bytes(2, "big"))
    detected.send(RESP, record(22, server_hello(extensions=versions)) + CHANGE_CIPHER_SPEC)
    detected.send(RESP, record(23, b"opaque"))
    assert "ssl" in detected.attached
    detected.send(ORIG, CHANGE_CIPHER_SPEC + record(23, b"opaque"))
    assert "ssl" not in detected.attached
    assert detected.services == ["ssl"]


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        record(22, client_hello(), 0x0305),
        b"\x99\x03\x01\x00\x00" + bytes(20),
        record(31, b"x"),
    ],
)
def test_what_begins_otherwise_is_not_tls(bad: bytes) -> None:
    detected = Detected(port=443)
    detected.send(ORIG, bad)
    assert "ssl" not in detected.attached


@pytest.mark.parametrize(
    "bad",
    [
        record(22, message(99, b"")),
        record(22, message(11, vector(3, b"\x00\x00\x05abc"))),
        record(21, b"\x01"),
        record(24, b"\x01\x00"),
        record(29, b"x"),
        b"\x16\x04\x00\x00\x01x",
        record(22, server_hello(0x0666)),
        record(22, server_hello(extensions=extension(51, b"\x00\x1d\x00\x09x"))),
    ],
    ids=["type", "certificate", "alert", "heartbeat", "record", "version", "hello", "key share"],
)
def test_a_malformed_message_disowns(bad: bytes) -> None:
    detected = Detected(port=443)
    detected.send(ORIG, HELLO).send(RESP, bad)
    assert detected.services == []
    assert "ssl" not in detected.attached


def test_late_nonsense_does_not_disown() -> None:
    detected = Detected(port=443)
    detected.send(ORIG, HELLO)
    detected.connection.size = VIOLATIONS_COUNT_UP_TO + 1
    detected.send(RESP, b"nonsense")
    assert detected.services == ["ssl"]
    assert "ssl" not in detected.attached


@pytest.mark.parametrize("kind", [0, 10, 11, 13, 16, 18, 41, 43, 45, 51, 54])
def test_extensions_are_checked(kind: int) -> None:
    reaching_beyond = extension(kind, b"\xff\xfe\xff")
    assert services_of([(ORIG, record(22, client_hello(extensions=reaching_beyond)))]) == []
    empty = extension(kind, b"")
    assert services_of([(ORIG, record(22, client_hello(extensions=empty)))]) == ["ssl"]


def test_unknown_extensions_pass() -> None:
    grease = extension(0x0A0A, b"\xff")
    assert services_of([(ORIG, record(22, client_hello(extensions=grease)))]) == ["ssl"]


def test_a_hello_in_several_records_is_one_hello() -> None:
    hello = client_hello()
    assert services_of([(ORIG, record(22, hello[:50]) + record(22, hello[50:]))]) == ["ssl"]


def test_a_gap_ends_the_analysis() -> None:
    detected = Detected(port=443)
    detected.send(ORIG, HELLO)
    detected.gap(RESP, 100)
    assert "ssl" not in detected.attached
    assert detected.services == ["ssl"]


def test_a_stream_without_its_beginning_is_not_read() -> None:
    detected = Detected(port=443)
    detected.connection.partial = True
    detected.send(ORIG, HELLO)
    assert detected.services == []


V2_HELLO = b"\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80" + bytes(16)


def test_ssl_2_is_recognised_on_its_port() -> None:
    assert services_of([(ORIG, V2_HELLO)], port=443) == ["ssl"]
    assert services_of([(ORIG, V2_HELLO)]) == []


def test_ssl_2_continues_to_its_master_key() -> None:
    detected = Detected(port=443)
    detected.send(ORIG, V2_HELLO)
    server = b"\x04\x00\x01" + b"\x00\x02\x00\x01\x00\x03\x00\x01" + b"c" + b"\x01\x00\x80" + b"i"
    detected.send(RESP, bytes([0x80, len(server)]) + server)
    assert "ssl" in detected.attached
    key = b"\x02\x01\x00\x80\x00\x00\x00\x01\x00\x00" + b"k"
    detected.send(ORIG, bytes([0x80, len(key)]) + key)
    assert detected.services == ["ssl"]
    assert "ssl" not in detected.attached


def test_a_server_key_exchange_is_read_by_its_cipher_suite() -> None:
    good = message(12, b"\x03\x00\x17" + vector(1, b"p") + b"\x04\x01" + vector(2, b"s"))
    bad = message(12, b"\x03\x00\x17" + vector(1, b"p") + b"\x04\x01\x00\x09s")
    for exchange, services in ((good, ["ssl"]), (bad, [])):
        turns = [(ORIG, HELLO), (RESP, record(22, server_hello())), (RESP, record(22, exchange))]
        assert services_of(turns) == services
    anything = [(ORIG, HELLO), (RESP, record(22, server_hello(cipher=0x2F) + bad))]
    assert services_of(anything) == ["ssl"]
