"""Captures of one's own mixed into a workload: all at once, minute by minute, in order of time."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from osect_harness.bench.octets import ETHERNET, FILE_START, SNAP_LENGTH, record
from osect_harness.errors import UsageError

SUFFIXES: Final = (".pcap", ".pcapng", ".cap")

SPAN: Final = 60_000_000
"""Microseconds into which a longer capture is pressed."""

ROUND: Final = 7_260_000_000
"""Microseconds from one repetition to the next: longer than any tool keeps a silent connection,
so that the repeated packets make new ones."""

OT_SOURCES: Final = (
    "icsnpp", "iec104", "iec61850", "c1222", "melsoft", "ethercrab", "quickdraw", "fins",
    "cclink", "profinet", "modbus", "dnp3", "s7comm", "enip", "opcua", "bacnet",
)  # fmt: skip
"""Captures with one of these in their path hold protocols of production networks."""

_PCAP: Final = {b"\xa1\xb2\xc3\xd4": 1, b"\xa1\xb2\x3c\x4d": 1000}
"""What a capture begins with, most significant octet first: units of time in a microsecond."""

_SECTION: Final = b"\x0a\x0d\x0d\x0a"


class _Packet:
    """A packet of a capture."""

    __slots__ = ("at", "frame", "wire_length")

    def __init__(self, at: int, frame: bytes, wire_length: int) -> None:
        self.at = at
        self.frame = frame
        self.wire_length = wire_length


def find_captures(root: Path, *, ot: bool) -> list[Path]:
    """Captures below ``root``, those of production networks only where that is asked."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and (not ot or any(one in str(path.relative_to(root)).lower() for one in OT_SOURCES))
    )


def write_mixture(output: BinaryIO, captures: Iterable[Path], packets: int) -> None:
    """Write ``packets`` packets of captures; only their Ethernet frames are taken."""
    mixed = [one for path in captures for one in _within_a_minute(list(_read(path)))]
    if not mixed:
        raise UsageError("the captures hold no Ethernet frame")
    mixed.sort(key=lambda one: one.at)
    output.write(FILE_START)
    rounds = itertools.count()
    repeated = ((number * ROUND, one) for number in rounds for one in mixed)
    for begun, one in itertools.islice(repeated, packets):
        output.write(record(begun + one.at, one.frame, one.wire_length))


def _within_a_minute(packets: list[_Packet]) -> list[_Packet]:
    """Let a capture begin at zero and end before SPAN; packets from before its first are dropped
    to it."""
    if packets:
        first = packets[0].at
        span = max(one.at for one in packets) - first
        for one in packets:
            one.at = max(0, one.at - first)
            if span >= SPAN:
                one.at = one.at * (SPAN - 1) // span
    return packets


def _read(path: Path) -> Iterator[_Packet]:
    """The Ethernet frames of a capture, up to where it breaks off."""
    octets = path.read_bytes()
    for order, magic in ((">", octets[:4]), ("<", octets[3::-1])):
        if magic in _PCAP:
            return _read_pcap(octets, order, _PCAP[magic])
    if octets[:4] == _SECTION:
        return _read_pcapng(octets)
    return iter(())


def _read_pcap(octets: bytes, order: str, scale: int) -> Iterator[_Packet]:
    head = struct.Struct(order + "IIII")
    if len(octets) < 24 or struct.unpack_from(order + "I", octets, 20)[0] & 0xFFFF != ETHERNET:
        return
    start = 24
    while start + 16 <= len(octets):
        seconds, fraction, length, wire_length = head.unpack_from(octets, start)
        start += 16
        if length > SNAP_LENGTH or start + length > len(octets):
            return
        at = seconds * 1_000_000 + fraction // scale
        yield _Packet(at, octets[start : start + length], wire_length)
        start += length


def _read_pcapng(octets: bytes) -> Iterator[_Packet]:
    order = "<"
    interfaces: list[tuple[int, int]] = []
    start = 0
    while start + 12 <= len(octets):
        if octets[start : start + 4] == _SECTION:
            order = ">" if octets[start + 8 : start + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", octets, start)
        if length < 12 or start + length > len(octets):
            return
        body = octets[start + 8 : start + length - 4]
        if kind == 1 and len(body) >= 8:
            link_type = struct.unpack_from(order + "H", body)[0]
            interfaces.append((link_type, _units(body[8:], order)))
        elif kind == 6 and len(body) >= 20:
            number, high, low, captured, wire_length = struct.unpack_from(order + "IIIII", body)
            if number < len(interfaces) and interfaces[number][0] == ETHERNET:
                if captured <= len(body) - 20:
                    at = (high << 32 | low) * 1_000_000 // interfaces[number][1]
                    yield _Packet(at, body[20 : 20 + captured], wire_length)
        start += length


def _units(options: bytes, order: str) -> int:
    """Units of time in a second: option if_tsresol, a million where it is absent."""
    start = 0
    while start + 4 <= len(options):
        code, length = struct.unpack_from(order + "HH", options, start)
        if code == 9 and length == 1 and start + 5 <= len(options):
            exponent = options[start + 4]
            power: int = (2 if exponent & 0x80 else 10) ** (exponent & 0x7F)
            return power
        start += 4 + (length + 3 & ~3)
    return 1_000_000
