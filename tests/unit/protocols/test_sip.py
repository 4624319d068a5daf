from __future__ import annotations

import pytest
from detected import ORIG, RESP, services_of

from osect_sensor.wire.packet import UDP

REQUEST = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nContent-Length: 0\r\n\r\n"
REPLY = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\nContent-Length: 0\r\n\r\n"


def sip(*turns: tuple[bool, bytes], port: int = 5060) -> list[str]:
    return services_of(list(turns), protocol=UDP, port=port)


def test_a_status_line_confirms_on_any_port_and_from_either_end() -> None:
    assert sip((ORIG, REQUEST)) == []
    assert sip((ORIG, REQUEST), (RESP, REPLY)) == ["sip"]
    assert sip((ORIG, REPLY), port=9999) == ["sip"]


def test_keep_alives_are_ignored() -> None:
    assert sip((RESP, REPLY), (ORIG, b"\r\n"), (RESP, REPLY)) == ["sip"]


@pytest.mark.parametrize(
    "message",
    [
        b"\r\n\r\n",
        b"OPTIONS SIP/2.0\r\n\r\n",
        b"OPTIONS sip:a@b HTTP/1.1\r\n\r\n",
        b"SIP/2.0 OK\r\n\r\n",
        b"SIP/2 200 OK\r\n\r\n",
        REQUEST[:25] + b" folded: no\r\n\r\n",
        REQUEST[:25] + b"no colon\r\n\r\n",
    ],
)
def test_a_malformed_message_disowns(message: bytes) -> None:
    assert sip((RESP, REPLY), (ORIG, message)) == []


def test_octets_before_a_method_are_tolerated() -> None:
    assert sip((RESP, REPLY), (ORIG, b"\x00 " + REQUEST)) == ["sip"]


def test_a_body_is_taken_by_its_announced_length() -> None:
    reply = REPLY.replace(b"Length: 0", b"Length: 12") + b"v=0 no: SIP!"
    assert sip((RESP, reply), (RESP, REPLY)) == ["sip"]


def test_a_body_that_is_cut_off_swallows_what_follows() -> None:
    reply = REPLY.replace(b"Length: 0", b"Length: 12") + b"v=0"
    assert sip((RESP, reply)) == ["sip"]
    assert sip((RESP, reply), (RESP, REPLY)) == []
