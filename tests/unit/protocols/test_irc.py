from __future__ import annotations

import pytest
from detected import CLIENT, ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

from osect_sensor.protocols.irc import MAX_INVALID, MAX_MESSAGE

REGISTRATION = [(ORIG, b"NICK a\r\nUSER a 0 * :A\r\n"), (RESP, b":irc.example 001 a :Welcome\r\n")]


def test_a_command_of_the_client_confirms_on_the_port() -> None:
    assert services_of([(ORIG, b"NICK a\r\n")], port=6667) == ["irc"]
    assert services_of([(ORIG, b"XYZZY a\r\n")], port=6667) == []
    assert services_of([(RESP, b"NOTICE AUTH :hi\r\n")], port=6667) == []


def test_a_registration_is_recognised_on_any_port() -> None:
    assert services_of(REGISTRATION) == ["irc"]
    assert services_of(REGISTRATION[:1]) == []


def test_tags_and_prefixes_are_passed_over() -> None:
    assert services_of([(ORIG, b"@time=x :a!b@c PRIVMSG d :e\r\n")], port=6667) == ["irc"]


@pytest.mark.parametrize("line", [b":prefix ab\r\n", b"12x what\r\n", b"1234 what\r\n"])
def test_a_malformed_line_disowns(line: bytes) -> None:
    assert services_of([*REGISTRATION, (RESP, line)], port=6667) == []


def test_long_lines_are_passed_over() -> None:
    line = b"NICK " + b"a" * MAX_MESSAGE + b"\r\n"
    assert services_of([(ORIG, line)], port=6667) == []


def test_too_many_impossible_commands_disown() -> None:
    line = (RESP, b"A" * 21 + b" x\r\n")
    assert services_of([*REGISTRATION, *[line] * MAX_INVALID], port=6667) == ["irc"]
    assert services_of([*REGISTRATION, *[line] * (MAX_INVALID + 1)], port=6667) == []


def test_starttls_turns_into_tls() -> None:
    turns = [
        (ORIG, b"STARTTLS\r\n"),
        (RESP, b":s 670 a :go\r\n"),
        (ORIG, record(22, client_hello())),
    ]
    assert services_of(turns, port=6667) == ["irc", "ssl"]


def test_an_offer_announces_a_transfer() -> None:
    detected = Detected(port=6667)
    detected.send(ORIG, b"PRIVMSG b :\x01DCC SEND f 167772161 5001 9\x01\r\n")
    transfer = Detected(context=detected.context, port=5001, resp=CLIENT)
    assert transfer.services == ["irc-dcc-data"]


@pytest.mark.parametrize(
    "message",
    [b"DCC SEND f x 5001 9", b"DCC SEND f 1 70000 9", b"DCC CHAT f 1 5001", b"DCC", b"hi"],
)
def test_other_messages_announce_nothing(message: bytes) -> None:
    detected = Detected(port=6667)
    detected.send(ORIG, b"PRIVMSG b :\x01" + message + b"\x01\r\n")
    assert not detected.context.expecting
