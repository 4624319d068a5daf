from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of

from osect_sensor.protocols.redis import MAX_DEPTH, MAX_INLINE

GET = (ORIG, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
OK = (RESP, b"+OK\r\n")


def redis(*turns: tuple[bool, bytes]) -> list[str]:
    return services_of(list(turns), port=6379)


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":1\r\n",
        b"$5\r\na\r\nb!\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
        b"%1\r\n+k\r\n#t\r\n",
        b"~1\r\n,1.5\r\n",
        b"|1\r\n+k\r\n:1\r\n:2\r\n",
        b"*2\r\n:1\r\n|1\r\n+ttl\r\n:3600\r\n:2\r\n",
        b"_\r\n",
        b"=5\r\ntxt:x\r\n",
    ],
)
def test_a_complete_reply_behind_a_command_confirms(reply: bytes) -> None:
    assert redis(GET, (RESP, reply)) == ["redis"]
    assert redis(GET, *[(RESP, reply[i : i + 1]) for i in range(len(reply))]) == ["redis"]
    assert redis(GET, (RESP, reply[:-1])) == []


def test_replies_are_recognised_on_any_port() -> None:
    assert services_of([GET, OK]) == ["redis"]


def test_a_server_that_talks_first_is_not_redis() -> None:
    assert redis(OK, GET, OK) == []
    assert services_of([OK, (ORIG, b"USER a\r\n"), OK]) != ["redis"]


def test_inline_commands_are_commands() -> None:
    assert redis((ORIG, b"PING\r\n"), (RESP, b"+PONG\r\n")) == ["redis"]


@pytest.mark.parametrize(
    "command",
    [
        b"\r\n",
        b"*0\r\n",
        b"*x\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n$x\r\n",
        b"x" * (MAX_INLINE + 2),
    ],
)
def test_a_malformed_command_disowns(command: bytes) -> None:
    assert redis(GET, OK, (ORIG, command)) == []


@pytest.mark.parametrize(
    "reply", [b"x", b"$x\r\n", b"*-1\r\n", b"$1048577\r\n", b"*1\r\n" * (MAX_DEPTH + 1)]
)
def test_a_malformed_reply_disowns(reply: bytes) -> None:
    assert redis(GET, OK, (RESP, reply)) == []


def test_an_end_within_an_element_disowns() -> None:
    detected = Detected(port=6379)
    for turn in (GET, OK, (RESP, b"*2\r\n:1\r\n")):
        detected.send(*turn)
    detected.end(RESP)
    assert detected.services == []
