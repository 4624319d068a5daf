from __future__ import annotations

import pytest
from detected import CLIENT, ORIG, RESP, SERVER, Detected, services_of
from handshakes import client_hello, record

from osect_sensor.protocols.ftp import INACTIVITY_TIMEOUT, parse_address

LOGIN = [(RESP, b"220 ready\r\n"), (ORIG, b"USER a\r\n"), (RESP, b"331 password\r\n")]


def test_a_command_confirms_on_the_port() -> None:
    assert services_of(LOGIN[:1], port=21) == []
    assert services_of(LOGIN[:2], port=21) == ["ftp"]


def test_a_log_in_is_recognised_on_any_port() -> None:
    assert services_of(LOGIN) == ["ftp"]
    assert services_of(LOGIN[:2]) == []


def test_a_control_connection_may_be_silent_for_an_hour() -> None:
    detected = Detected(port=21)
    for turn in LOGIN:
        detected.send(*turn)
    assert detected.connection.inactivity_timeout == INACTIVITY_TIMEOUT


@pytest.mark.parametrize("reply", [b"what?\r\n", b"099 low\r\n", b"220_odd\r\n"])
def test_a_reply_without_a_proper_code_disowns(reply: bytes) -> None:
    assert services_of([*LOGIN, (RESP, reply)], port=21) == []


def test_lines_of_a_long_reply_need_no_code() -> None:
    reply = b"211-Features\r\n anything\r\n 220 nested\r\n211 End\r\n"
    assert services_of([*LOGIN, (RESP, reply)], port=21) == ["ftp"]


def test_words_that_are_no_commands_are_passed_over() -> None:
    junk = b"\x00\x01\x02\x03\r\nxy\r\n" + b"A" * 101 + b"\r\n"
    assert services_of([(ORIG, junk)], port=21) == []


def test_telnet_commands_are_taken_out() -> None:
    assert services_of([(ORIG, b"\xff\xf4\xff\xf2ABOR\r\n")], port=21) == ["ftp"]


def announced(turns: list[tuple[bool, bytes]], orig: bytes, resp: bytes, port: int) -> list[str]:
    detected = Detected(port=21)
    for turn in [*LOGIN, *turns]:
        detected.send(*turn)
    other = Detected(context=detected.context, port=port, orig=orig, resp=resp)
    return other.services


def test_port_announces_a_connection_of_the_server() -> None:
    turns = [(ORIG, b"PORT 10,0,0,1,19,137\r\n")]
    assert announced(turns, SERVER, CLIENT, 5001) == ["ftp-data"]
    assert announced(turns, SERVER, CLIENT, 5002) == []


@pytest.mark.parametrize(
    "reply",
    [
        b"227 Passive (10,0,0,2,19,137)\r\n",
        b"227 10,0,0,2,19,137\r\n",
        b"229 Entering (|||5001|)\r\n",
    ],
)
def test_passive_mode_announces_a_connection_of_the_client(reply: bytes) -> None:
    assert announced([(ORIG, b"PASV\r\n"), (RESP, reply)], CLIENT, SERVER, 5001) == ["ftp-data"]
    assert announced([(RESP, reply)], CLIENT, SERVER, 5001) == []


def test_extended_port_announces_either_family() -> None:
    turns = [(ORIG, b"EPRT |1|10.0.0.1|5001|\r\n")]
    assert announced(turns, SERVER, CLIENT, 5001) == ["ftp-data"]
    address = parse_address(b"2001:db8::1")
    turns = [(ORIG, b"EPRT |2|2001:db8::1|5001|\r\n")]
    assert announced(turns, SERVER, address, 5001) == ["ftp-data"]


@pytest.mark.parametrize(
    "command",
    [
        b"PORT 10,0,0,1,19",
        b"PORT 10,0,0,256,19,137",
        b"PORT x",
        b"EPRT |1|10.0.0.1|70000|",
        b"EPRT ||",
    ],
)
def test_malformed_announcements_announce_nothing(command: bytes) -> None:
    detected = Detected(port=21)
    detected.send(ORIG, command + b"\r\n")
    assert not detected.context.expecting


def test_auth_tls_turns_into_tls() -> None:
    turns = [
        *LOGIN,
        (ORIG, b"AUTH TLS\r\n"),
        (RESP, b"234 go ahead\r\n"),
        (ORIG, record(22, client_hello())),
    ]
    assert services_of(turns, port=21) == ["ftp", "ssl"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (b"192.0.2.1", b"\xc0\x00\x02\x01"),
        (b"::", bytes(16)),
        (b"2001:db8::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        (b"1:2:3:4:5:6:7:8", bytes.fromhex("00010002000300040005000600070008")),
        (b"::ffff:192.0.2.1", bytes(10) + b"\xff\xff\xc0\x00\x02\x01"),
        (b"192.0.2", b""),
        (b"192.0.2.256", b""),
        (b"1::2::3", b""),
        (b"1:2:3:4:5:6:7", b""),
        (b"12345::", b""),
        (b"::g", b""),
    ],
)
def test_addresses_as_text(text: bytes, address: bytes) -> None:
    assert parse_address(text) == address
