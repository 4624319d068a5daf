from __future__ import annotations

import pytest
from detected import ORIG, RESP, services_of
from handshakes import client_hello, record

from osect_sensor.protocols.pop3 import MAX_UNKNOWN_COMMANDS

GREETING = (RESP, b"+OK ready\r\n")


def after(*turns: tuple[bool, bytes]) -> list[str]:
    return services_of([GREETING, *turns])


def test_an_accepted_user_confirms() -> None:
    assert after((ORIG, b"USER a\r\n")) == []
    assert after((ORIG, b"USER a\r\n"), (RESP, b"+OK\r\n")) == ["pop3"]


def test_a_refused_one_does_not() -> None:
    assert after((ORIG, b"USER a\r\n"), (RESP, b"-ERR no\r\n")) == []


def test_capabilities_confirm_and_run_over_lines() -> None:
    answer = (RESP, b"+OK list\r\nTOP\r\nwhatever\r\n.\r\n+OK bye\r\n")
    assert after((ORIG, b"CAPA\r\n"), (ORIG, b"QUIT\r\n"), answer) == ["pop3"]


def test_a_reply_of_another_kind_disowns() -> None:
    turns = [(ORIG, b"USER a\r\n"), (RESP, b"+OK\r\n"), (RESP, b"what?\r\n")]
    assert after(*turns) == []


def test_authentication_lines_are_not_replies() -> None:
    turns = [
        (ORIG, b"CAPA\r\n"),
        (RESP, b"+OK\r\n.\r\n"),
        (ORIG, b"AUTH LOGIN\r\n"),
        (RESP, b"+ VXNlcm5hbWU6\r\n"),
        (ORIG, b"dXNlcg==\r\n"),
        (RESP, b"+ UGFzc3dvcmQ6\r\n"),
        (ORIG, b"c2VjcmV0\r\n"),
        (RESP, b"+OK\r\n"),
    ]
    assert after(*turns) == ["pop3"]


def test_too_many_unknown_commands_disown() -> None:
    known = [(ORIG, b"USER a\r\n"), (RESP, b"+OK\r\n")]
    unknown = [(ORIG, b"WHAT\r\n"), (RESP, b"-ERR\r\n")]
    assert after(*known, *unknown * MAX_UNKNOWN_COMMANDS) == ["pop3"]
    assert after(*known, *unknown * (MAX_UNKNOWN_COMMANDS + 1)) == []


def test_stls_turns_into_tls() -> None:
    turns = [(ORIG, b"STLS\r\n"), (RESP, b"+OK go\r\n"), (ORIG, record(22, client_hello()))]
    assert after(*turns) == ["pop3", "ssl"]


@pytest.mark.parametrize("command", [b"LIST", b"RETR 1", b"TOP 1 0", b"UIDL"])
def test_a_missed_log_in_is_inferred(command: bytes) -> None:
    turns = [(ORIG, command + b"\r\n"), (RESP, b"+OK\r\nwhat?\r\n.\r\n")]
    turns += [(ORIG, b"STLS\r\n"), (RESP, b"+OK\r\n")]
    assert services_of([GREETING, (ORIG, b"CAPA\r\n"), (RESP, b"+OK\r\n.\r\n"), *turns]) == ["pop3"]
