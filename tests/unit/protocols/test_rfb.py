from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of


def banner(minor: int) -> bytes:
    return b"RFB 003.%03d\n" % minor


def initialization(name: bytes = b"desk") -> bytes:
    return struct.pack(">HH", 8, 8) + bytes(16) + struct.pack(">I", len(name)) + name


def opening(minor: int, *turns: tuple[bool, bytes]) -> list[tuple[bool, bytes]]:
    return [(RESP, banner(minor)), (ORIG, banner(minor)), *turns]


PIXELS = (RESP, b"\xee" * 50)
EVENTS = (
    ORIG,
    bytes(20)
    + b"\x02\x00\x00\x01\x00\x00\x00\x00"
    + b"\x03" + bytes(9)
    + b"\x04" + bytes(7)
    + b"\x05" + bytes(5)
    + b"\x06\x00\x00\x00\x00\x00\x00\x02hi",
)  # fmt: skip
NONE_3_3 = opening(3, (RESP, b"\x00\x00\x00\x01"), (ORIG, b"\x01"))
NONE_3_8 = opening(8, (RESP, b"\x02\x01\x02"), (ORIG, b"\x01"), (RESP, bytes(4)), (ORIG, b"\x01"))
VNC_3_8 = opening(
    8,
    (RESP, b"\x01\x02"),
    (ORIG, b"\x02"),
    (RESP, bytes(16)),
    (ORIG, bytes(16)),
    (RESP, bytes(4)),
    (ORIG, b"\x01"),
)
APPLE = opening(
    889,
    (RESP, b"\x01\x1e"),
    (ORIG, b"\x1e"),
    (RESP, b"\x00\x02\x00\x04" + bytes(8)),
    (ORIG, bytes(8)),
    (RESP, bytes(4)),
    (ORIG, b"\x01"),
)


@pytest.mark.parametrize("session", [NONE_3_3, NONE_3_8, VNC_3_8, APPLE])
def test_sessions_of_every_kind(session: list[tuple[bool, bytes]]) -> None:
    turns = [*session, (RESP, initialization()), PIXELS, EVENTS]
    assert services_of(turns[:1]) == []
    assert services_of(turns[:2]) == ["rfb"]
    assert services_of(turns) == ["rfb"]
    cut = [(side, data[i : i + 1]) for side, data in turns for i in range(len(data))]
    assert services_of(cut) == ["rfb"]


@pytest.mark.parametrize(
    "turns",
    [
        opening(3, (RESP, b"\x00\x00\x00\x07")),
        opening(8, (RESP, b"\x01\x02"), (ORIG, b"\x09")),
        [*NONE_3_8[:4], (RESP, b"\x00\x00\x00\x02")],
        [*NONE_3_3, (ORIG, b"\x09")],
        [*NONE_3_3, (ORIG, b"\x06\x00\x00\x00\x00\x01\x00\x00")],
        [*NONE_3_3, (RESP, bytes(20) + b"\x00\x01\x00\x00")],
        opening(3, (RESP, bytes(4)), (RESP, b"\x00\x01\x00\x00")),
        opening(3, (ORIG, b"x")),
    ],
    ids=["type", "selection", "result", "message", "text", "name", "reason", "out of turn"],
)
def test_what_the_state_does_not_allow_disowns(turns: list[tuple[bool, bytes]]) -> None:
    assert services_of(turns) == []


def test_a_failure_carries_its_reason() -> None:
    assert services_of(opening(8, (RESP, b"\x00"), (RESP, b"\x00\x00\x00\x02no"))) == ["rfb"]


def test_a_banner_of_another_kind_ends_it() -> None:
    detected = Detected()
    detected.send(RESP, b"RFB x").send(ORIG, b"RFB x" + bytes(20))
    assert "rfb" not in detected.attached
