"""What campaigns start from: the captures of ``pcaps/built``, and real ones where there are any."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

from fuzzing import SECONDS

import osect_sensor
from osect_sensor.wire.capture import CaptureError, open_capture
from osect_sensor.wire.decode import IP, IP_WHOLE, Decoder, supports
from osect_sensor.wire.octets import u16
from osect_sensor.wire.packet import TCP, UDP, Packet

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "pcaps" / "built"
FINGERPRINTS = ROOT / "pcaps" / "p0f" / "reference.fp"

MOST_FRAMES = 60
"""Frames of an input: enough for a few connections, few enough for many tries a second."""

LARGEST = 200_000
"""Octets of a real capture that is started from."""

MOST_TURNS = 40

Frame = tuple[int, int, bytes, int]
"""Time (microseconds), link type, octets, length on the wire."""

Turn = tuple[bool, bytes]
"""Whether from the originator, and what."""


@functools.cache
def capture_files() -> tuple[Path, ...]:
    """Captures; the real ones in long campaigns only, because short ones are to be the same."""
    files = sorted(path for path in BUILT.iterdir() if path.is_file())
    shared = Path(os.environ.get("OSECT_SHARED", ROOT.parent / "shared"))
    if SECONDS:
        for folder in ("captures", "fuzz"):
            for path in sorted((shared / folder).rglob("*")):
                if path.is_file() and path.stat().st_size <= LARGEST:
                    files.append(path)
    return tuple(files)


@functools.cache
def frames() -> tuple[tuple[Frame, ...], ...]:
    """The captures' frames, in pieces."""
    pieces = []
    for path in capture_files():
        found: list[Frame] = []
        with path.open("rb") as file:
            try:
                reader = open_capture(file, path.name)
            except CaptureError:
                continue
            while reader.next():
                octets = reader.data[reader.offset : reader.offset + reader.captured]
                found.append((reader.timestamp, reader.link_type, octets, reader.wire_length))
        pieces += [
            tuple(found[start : start + MOST_FRAMES]) for start in range(0, len(found), MOST_FRAMES)
        ]
    return tuple(pieces)


@functools.cache
def conversations() -> tuple[tuple[int, int, tuple[Turn, ...]], ...]:
    """(protocol, port of the responder, payloads) of the connections in the captures."""
    found: dict[tuple[int, int, bytes], tuple[bytes, int, list[Turn]]] = {}
    packet = Packet()
    for number, piece in enumerate(frames()):
        decoder = Decoder()
        for timestamp, link_type, octets, wire_length in piece:
            packet.timestamp = timestamp
            packet.data = octets
            packet.network = 0
            packet.captured_end = len(octets)
            if not supports(link_type) or decoder.link(packet, link_type) != IP:
                continue
            if decoder.ip(packet, wire_length) != IP_WHOLE or packet.protocol not in (TCP, UDP):
                continue
            data, at = packet.data, packet.transport
            end = min(packet.payload_end, packet.captured_end)
            if end - at < (20 if packet.protocol == TCP else 8):
                continue
            header = (data[at + 12] >> 4) * 4 if packet.protocol == TCP else 8
            payload = data[at + header : end] if at + header < end else b""
            source = data[packet.source : packet.source + packet.address_length]
            target = data[packet.destination : packet.destination + packet.address_length]
            one, other = source + data[at : at + 2], target + data[at + 2 : at + 4]
            key = packet.protocol, number, min(one, other) + max(one, other)
            conversation = found.setdefault(key, (one, u16(data, at + 2), []))
            if payload and len(conversation[2]) < MOST_TURNS:
                conversation[2].append((conversation[0] == one, payload))
    # The same words need not be heard twice.
    distinct = {
        (protocol, port, tuple(turns))
        for (protocol, _, _), (_, port, turns) in found.items()
        if turns
    }
    return tuple(sorted(distinct))


@functools.cache
def words(package: str) -> tuple[bytes, ...]:
    """The octet strings that stand in the sources of a package of the sensor."""
    found = set()
    for path in sorted((Path(osect_sensor.__file__).parent / package).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                if 1 < len(node.value) <= 40:
                    found.add(node.value)
    return tuple(sorted(found))
