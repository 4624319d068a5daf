from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

GREETING = (RESP, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")


def test_a_greeting_confirms_on_the_port_only() -> None:
    assert services_of([GREETING], port=143) == ["imap"]
    assert services_of([GREETING]) == []


def test_a_client_confirms_with_starttls() -> None:
    assert services_of([(ORIG, b"a STARTTLS\r\n")], port=143) == ["imap"]
    assert services_of([(ORIG, b"a NOOP\r\n")], port=143) == []


def test_starttls_turns_into_tls() -> None:
    turns = [GREETING, (ORIG, b"a1 STARTTLS\r\n"), (RESP, b"a1 OK go\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=143) == ["imap", "ssl"]


def test_the_answer_has_to_carry_the_tag() -> None:
    turns = [GREETING, (ORIG, b"a1 STARTTLS\r\n"), (RESP, b"a2 OK go\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=143) == []


def test_capabilities_are_a_list() -> None:
    answer = (RESP, b"* CAPABILITY IMAP4rev1 AUTH=PLAIN \r\na1 OK done\r\n")
    assert services_of([GREETING, (ORIG, b"a1 CAPABILITY\r\n"), answer], port=143) == ["imap"]
    assert services_of([GREETING, (RESP, b"* CAPABILITY \x80\r\n")], port=143) == []


@pytest.mark.parametrize("command", [b"login", b"authenticate", b"fetch"])
def test_the_analyzer_leaves_when_starttls_cannot_come_any_more(command: bytes) -> None:
    detected = Detected(port=143)
    detected.send(*GREETING)
    detected.send(ORIG, b"a1 " + command + b" x\r\n")
    assert "imap" not in detected.attached
    assert detected.services == ["imap"]


@pytest.mark.parametrize(
    "line", [b"\r\n", b"tag\r\n", b"tag \r\n", b"tag command", b"\x80 x y\r\n"]
)
def test_a_malformed_line_disowns(line: bytes) -> None:
    assert services_of([GREETING, (ORIG, line)], port=143) == []
