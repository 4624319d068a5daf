from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of

from osect_sensor.protocols.finger import MAX_LINE


def finger(*turns: tuple[bool, bytes]) -> list[str]:
    return services_of(list(turns), port=79)


@pytest.mark.parametrize(
    "request_", [b"alice\r\n", b" /W\r\n", b"/W alice@host\n", b"alice@host\r"]
)
def test_a_request_that_asks_for_somebody_confirms(request_: bytes) -> None:
    assert finger((ORIG, request_)) == ["finger"]
    assert services_of([(ORIG, request_)]) == []


@pytest.mark.parametrize("request_", [b"\r\n", b"  \r\n", b"@host\r\n", b"alice"])
def test_other_requests_do_not(request_: bytes) -> None:
    assert finger((ORIG, request_)) == []


def test_a_line_of_some_length_confirms() -> None:
    assert finger((ORIG, b"\r\n"), (RESP, b"Login: alice\r\n")) == ["finger"]
    assert finger((ORIG, b"\r\n"), (RESP, b"nobody\r\n")) == []


def test_lines_are_bounded() -> None:
    assert finger((ORIG, b"a" * (MAX_LINE + 1))) == []
    assert finger((ORIG, b"a\r\n"), (RESP, b"a" * (MAX_LINE + 1))) == []


def test_a_reply_has_to_end_with_its_line() -> None:
    detected = Detected(port=79)
    detected.send(ORIG, b"alice\r\n").send(RESP, b"Login: alice\r\nPlan")
    assert detected.services == ["finger"]
    detected.end(RESP)
    assert detected.services == []


def test_the_end_of_the_stream_ends_a_request() -> None:
    detected = Detected(port=79)
    detected.send(ORIG, b"alice")
    detected.end(ORIG)
    assert detected.services == ["finger"]


def test_a_lone_carriage_return_in_a_reply_disowns() -> None:
    assert finger((ORIG, b"alice\r\n"), (RESP, b"Login: alice\rPlan\r\n")) == []
