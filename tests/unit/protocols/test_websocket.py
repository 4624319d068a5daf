"""WebSocket frames, and what inside them is handed on."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import CLIENT, SERVER, bytewise, split

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.flows.recording import (
    RecordingAnalyzer,
    RecordingConnection,
    RecordingContext,
)
from osect_sensor.protocols.websocket import CHUNK, WebsocketAnalyzer
from osect_sensor.wire.packet import TCP


def frame(payload: bytes, opcode: int = 1, final: bool = True, mask: bytes = b"") -> bytes:
    first = opcode | (0x80 if final else 0)
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, masked | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, masked | 127, len(payload))
    if mask:
        payload = bytes(octet ^ mask[index & 3] for index, octet in enumerate(payload))
    return head + mask + payload


def websocket() -> tuple[WebsocketAnalyzer, RecordingAnalyzer]:
    context = RecordingContext()
    made: list[RecordingAnalyzer] = []

    def inner(connection: Connection, service: str) -> list[Analyzer]:
        made.append(RecordingAnalyzer(endpoints, service))
        return [*made]

    endpoints = RecordingConnection(context, TCP, CLIENT, SERVER, 40000, 80)
    context.inner = inner
    analyzer = WebsocketAnalyzer(endpoints)
    return analyzer, made[0]


MESSAGES = (
    frame(b"masked", mask=b"\x01\x02\x03\x04")
    + frame(b"ping", opcode=9)
    + frame(b"two ", opcode=2, final=False)
    + frame(b"frames", opcode=0)
    + frame(b"")
    + frame(b"x" * 300)
)
INSIDE = b"maskedtwo frames" + b"x" * 300


def test_messages_are_handed_on_however_they_arrive() -> None:
    turns = [(True, MESSAGES)]
    for delivered in [turns, bytewise(turns), *split(turns)]:
        analyzer, inner = websocket()
        for from_orig, data in delivered:
            analyzer.stream(from_orig, data)
        assert analyzer.connection.services == ["websocket"]
        assert (inner.orig, inner.resp) == (INSIDE, b"")


def test_unfinished_message_confirms_nothing() -> None:
    analyzer, inner = websocket()
    analyzer.stream(False, frame(b"part", final=False))
    assert analyzer.connection.services == []
    assert inner.resp == b"part"


def test_large_frames_are_handed_on_in_chunks() -> None:
    payload = bytes(70_000)
    analyzer, inner = websocket()
    data = frame(payload)
    analyzer.stream(True, data[: 10 + CHUNK])
    assert len(inner.orig) == CHUNK
    analyzer.stream(True, data[10 + CHUNK :])
    assert inner.orig == payload


@pytest.mark.parametrize(
    "data", [frame(b"", opcode=0), frame(b"", final=False) + frame(b"", opcode=1)]
)
def test_frames_out_of_order_are_no_websocket(data: bytes) -> None:
    analyzer, _ = websocket()
    analyzer.stream(True, data)
    assert not analyzer.alive


def test_hole_ends_the_reading() -> None:
    analyzer, inner = websocket()
    analyzer.gap(True, 3)
    analyzer.stream(False, frame(b"a"))
    assert inner.resp == b""
    assert analyzer.alive


def test_exchanged_ends_keep_their_frames() -> None:
    analyzer, inner = websocket()
    data = frame(b"abc")
    analyzer.stream(True, data[:3])
    analyzer.flip()
    analyzer.stream(False, data[3:])
    assert inner.resp == b"abc"


def test_end_is_passed_on() -> None:
    analyzer, inner = websocket()
    analyzer.finish()
    assert inner.finished == 1


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=8))
def test_no_octets_raise(chunks: list[tuple[bool, bytes]]) -> None:
    analyzer, _ = websocket()
    for from_orig, data in chunks:
        if analyzer.alive:
            analyzer.stream(from_orig, data)
    analyzer.finish()
