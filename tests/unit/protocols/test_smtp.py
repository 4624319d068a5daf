from __future__ import annotations

from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO

GREETING = (RESP, b"220 mail ready\r\n")
HELLO = [GREETING, (ORIG, b"EHLO me\r\n"), (RESP, b"250-mail\r\n250 STARTTLS\r\n")]


def test_a_command_confirms() -> None:
    assert services_of([GREETING], port=25) == []
    assert services_of(HELLO[:2], port=25) == ["smtp"]
    assert services_of(HELLO[:2]) == ["smtp"]


def test_unknown_commands_do_not_confirm() -> None:
    assert services_of([GREETING, (ORIG, b"NONSENSE\r\n")], port=25) == []


def test_a_reply_without_a_code_disowns() -> None:
    assert services_of([*HELLO, (RESP, b"what?\r\n")], port=25) == []
    assert services_of([*HELLO, (RESP, b"600 what?\r\n")], port=25) == []


def test_a_message_is_no_command() -> None:
    data = [(ORIG, b"DATA\r\n"), (RESP, b"354 go\r\n"), (ORIG, b"STARTTLS\r\n.\r\n")]
    turns = [*HELLO, *data, (RESP, b"250 ok\r\n"), (ORIG, record(22, client_hello()))]
    assert services_of(turns, port=25) == ["smtp"]


def test_starttls_turns_into_tls() -> None:
    turns = [*HELLO, (ORIG, b"STARTTLS\r\n"), (RESP, b"220 go\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=25) == ["smtp", "ssl"]


def test_a_refused_starttls_does_not() -> None:
    turns = [*HELLO, (ORIG, b"STARTTLS\r\n"), (RESP, b"454 no\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=25) == ["smtp"]


def test_replies_find_their_commands_when_pipelined() -> None:
    turns = [*HELLO, (ORIG, b"NOOP\r\nSTARTTLS\r\n"), (RESP, b"250 ok\r\n220 go\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=25) == ["smtp", "ssl"]


def test_a_chunk_is_skipped_octet_by_octet() -> None:
    chunk = b"BDAT 11 LAST\r\nSTARTTLS\r\nx" + b"STARTTLS\r\n"
    turns = [*HELLO, (ORIG, chunk), (RESP, b"250 ok\r\n220 go\r\n")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=25) == ["smtp", "ssl"]


def test_an_authentication_exchange_is_no_command() -> None:
    turns = [*HELLO, (ORIG, b"AUTH LOGIN\r\n"), (RESP, b"334 x\r\n"), (ORIG, b"STARTTLS\r\n")]
    turns += [(RESP, b"235 ok\r\n"), (ORIG, record(22, client_hello()))]
    assert services_of(turns, port=25) == ["smtp"]


def test_after_a_gap_the_next_reply_confirms() -> None:
    detected = Detected(port=25)
    detected.send(*GREETING)
    detected.gap(ORIG, 20)
    assert detected.services == []
    detected.send(RESP, b"250 ok\r\n")
    assert detected.services == ["smtp"]


def test_a_long_message_is_not_read_to_its_end() -> None:
    detected = Detected(port=25)
    for turn in [*HELLO, (ORIG, b"DATA\r\n"), (RESP, b"354 go\r\n")]:
        detected.send(*turn)
    detected.connection.size = VIOLATIONS_COUNT_UP_TO
    detected.send(ORIG, b"text\r\n")
    assert "smtp" not in detected.attached
    assert detected.services == ["smtp"]
