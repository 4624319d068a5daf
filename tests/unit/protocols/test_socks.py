from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

METHODS = (ORIG, b"\x05\x01\x00")
CHOICE = (RESP, b"\x05\x00")
REQUEST = (ORIG, b"\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb")
REPLY = (RESP, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
VERSION_5 = [METHODS, CHOICE, REQUEST, REPLY]


def test_a_reply_confirms_on_any_port() -> None:
    assert services_of(VERSION_5[:3]) == []
    assert services_of(VERSION_5) == ["socks"]


def test_messages_may_be_cut_anywhere() -> None:
    cut = [(side, data[i : i + 1]) for side, data in VERSION_5 for i in range(len(data))]
    assert services_of(cut, port=1080) == ["socks"]


def test_what_is_tunnelled_is_detected_by_content() -> None:
    turns = [*VERSION_5, (ORIG, record(22, client_hello()))]
    assert services_of(turns) == ["socks", "ssl"]


@pytest.mark.parametrize("address", [b"\x03\x05plant", b"\x04" + bytes(16)], ids=["domain", "IPv6"])
def test_addresses_of_every_kind(address: bytes) -> None:
    request = (ORIG, b"\x05\x01\x00" + address + b"\x01\xbb")
    reply = (RESP, b"\x05\x00\x00" + address + b"\x01\xbb")
    assert services_of([METHODS, CHOICE, request, reply]) == ["socks"]


def test_a_password_comes_in_between() -> None:
    turns = [
        (ORIG, b"\x05\x01\x02"),
        (RESP, b"\x05\x02"),
        (ORIG, b"\x01\x01u\x01p"),
        (RESP, b"\x01\x00"),
        REQUEST,
        REPLY,
    ]
    assert services_of(turns) == ["socks"]


@pytest.mark.parametrize(
    "request_",
    [
        b"\x05\x01\x01\x01\x01\x02\x03\x04\x01\xbb",
        b"\x05\x00\x00\x01\x01\x02\x03\x04\x01\xbb",
        b"\x05\x04\x00\x01\x01\x02\x03\x04\x01\xbb",
        b"\x05\x01\x00\x02\x01\x02\x03\x04\x01\xbb",
        b"\x06\x01\x00\x01\x01\x02\x03\x04\x01\xbb",
    ],
    ids=["reserved", "command 0", "command 4", "address", "version"],
)
def test_an_undefined_request_ends_it(request_: bytes) -> None:
    detected = Detected(port=1080)
    for turn in (METHODS, CHOICE, (ORIG, request_)):
        detected.send(*turn)
    assert "socks" not in detected.attached
    assert detected.services == []


def test_version_4_requests_may_name_a_host() -> None:
    detected = Detected(port=1080)
    detected.send(ORIG, b"\x04\x01\x00\x50\x00\x00\x00\x01user\x00plant")
    detected.send(ORIG, b"\x00")
    # As Zeek has it, a reply needs the version in front of its zero octet.
    detected.send(RESP, b"\x04\x00\x5a\x00\x50\x01\x02\x03\x04")
    assert detected.services == ["socks"]
    detected.send(ORIG, record(22, client_hello()))
    assert detected.services == ["socks", "ssl"]
