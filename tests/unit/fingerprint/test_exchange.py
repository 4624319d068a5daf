"""A flow is of interest only while a GET or HEAD exchange goes on in it."""

from __future__ import annotations

import pytest

from osect_sensor.fingerprint.exchange import MAX_KEPT, Exchange

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: b\r\n\r\n"


def test_request_then_response_ends_with_the_response_headers():
    exchange = Exchange()
    assert exchange.take(True, REQUEST)
    assert not exchange.take(False, RESPONSE)


def test_request_in_small_pieces_is_followed():
    exchange = Exchange()
    for index in range(len(REQUEST)):
        assert exchange.take(True, REQUEST[index : index + 1])
    assert exchange.take(False, RESPONSE[:20])


@pytest.mark.parametrize(
    "payload",
    [
        b"POST / HTTP/1.1\r\n\r\n",
        b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x01\x00\x00\x00",
        b"GET /\x01 HTTP/1.1\r\n\r\n",
        b"GET / FTP/1.10\r\n\r\n",
        b"GET / \n" + b" " * 20,
        b"GET /" + b"x" * 1100 + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n",
        b"GET / HTTP/1.1\r\n" + b"n" * 40 + b": long name\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 33,
    ],
)
def test_anything_else_is_over_at_once(payload):
    assert not Exchange().take(True, payload)


def test_too_short_to_tell_waits():
    assert Exchange().take(True, b"\x00" * 14)


def test_server_that_speaks_first_is_over_at_once():
    assert not Exchange().take(False, b"220 ready\r\n")


def test_endless_header_value_lasts_until_the_next_payload():
    exchange = Exchange()
    assert exchange.take(True, b"GET / HTTP/1.1\r\nA: " + b"v" * 1100)
    assert not exchange.take(True, b"v")


def test_flow_ends_when_both_directions_have_filled_up():
    exchange = Exchange()
    assert exchange.take(True, REQUEST)
    assert exchange.take(True, b"x" * MAX_KEPT)
    assert exchange.take(False, b"HTTP/1.1 200 OK\r\n")
    assert not exchange.take(False, b"A: b\r\n" * MAX_KEPT)
