"""Frames and capture files as octets, with right checksums; scapy is not needed."""

from __future__ import annotations

import struct
from typing import Final

BASE: Final = 1_500_000_000
"""Start of every workload, seconds since the epoch: 2017-07-14 02:40:00 UTC, a full minute."""

ETHERNET: Final = 1
SNAP_LENGTH: Final = 262_144
FILE_HEADER: Final = 24
RECORD_HEADER: Final = 16

TCP: Final = 6
UDP: Final = 17

FILE_START: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET)
"""Header of a little-endian capture with microseconds."""


def record(microseconds: int, frame: bytes, wire_length: int = -1) -> bytes:
    """A record of a capture, ``microseconds`` after BASE."""
    seconds, rest = divmod(microseconds, 1_000_000)
    length = len(frame)
    return (
        struct.pack("<IIII", BASE + seconds, rest, length, max(length, wire_length)) + frame
    )  # fmt: skip


def total(octets: bytes | bytearray) -> int:
    """The one's complement sum of 16-bit words (RFC 1071), an odd octet padded with zero."""
    if len(octets) % 2:
        octets = octets + b"\0"
    # 2**16 is 1 modulo 0xFFFF, so that the number's remainder is the sum of its words.
    value = int.from_bytes(octets, "big")
    return value % 0xFFFF or (0xFFFF if value else 0)


def fold(value: int) -> int:
    """The Internet checksum of what sums up to ``value``."""
    while value > 0xFFFF:
        value = (value & 0xFFFF) + (value >> 16)
    return value ^ 0xFFFF


class Station:
    """An interface with its addresses; the last octet tells stations of a network apart."""

    def __init__(self, number: int, network: bytes = bytes((192, 168, 10))) -> None:
        self.mac: Final = bytes((2, 0, 0, 0, 0, number))
        self.address: Final = network + bytes((number,))
        self.address6: Final = b"\xfd" + bytes(14) + bytes((number,))


def packet(
    source: Station, destination: Station, protocol: int, segment: bytes, at: int, v6: bool
) -> bytes:
    """An Ethernet frame with an IP packet; the checksum at ``at`` of the segment is filled in."""
    first, second = (
        (source.address6, destination.address6) if v6 else (source.address, destination.address)
    )
    checksum = fold(total(first + second) + protocol + len(segment) + total(segment))
    if protocol == UDP and checksum == 0:
        checksum = 0xFFFF
    segment = segment[:at] + checksum.to_bytes(2, "big") + segment[at + 2 :]
    ends = destination.mac + source.mac
    if v6:
        header = struct.pack(">IHBB", 0x60000000, len(segment), protocol, 64) + first + second
        return ends + b"\x86\xdd" + header + segment
    header = struct.pack(">HHHHBBH", 0x4500, 20 + len(segment), 0, 0x4000, 64, protocol, 0)
    header += first + second
    header = header[:10] + fold(total(header)).to_bytes(2, "big") + header[12:]
    return ends + b"\x08\x00" + header + segment


def udp(
    source: Station, destination: Station, ports: tuple[int, int], payload: bytes, v6: bool = False
) -> bytes:
    """A frame with a datagram."""
    header = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    return packet(source, destination, UDP, header + payload, 6, v6)


FIN: Final = 0x01
SYN: Final = 0x02
PUSH: Final = 0x08
ACK: Final = 0x10

SYN_OPTIONS: Final = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")
STAMP_OPTIONS: Final = bytes.fromhex("0101 080a 00000001 00000001")
SEGMENT: Final = 1448
"""Octets in a full segment: 1500 without the headers and the time stamps."""


class Film:
    """The frames of a minute, in any order of time."""

    def __init__(self) -> None:
        self._frames: list[tuple[int, bytes]] = []

    def add(self, microseconds: int, frame: bytes) -> None:
        """Record a frame at a time within the minute."""
        self._frames.append((microseconds, frame))

    def frames(self) -> list[bytes]:
        """The frames in order of time; those of the same time in the order in which they came."""
        return [frame for _, frame in self._sorted()]

    def capture(self) -> bytes:
        """The capture file."""
        return FILE_START + b"".join(record(at, frame) for at, frame in self._sorted())

    def _sorted(self) -> list[tuple[int, bytes]]:
        return sorted(self._frames, key=lambda one: one[0])


class Conversation:
    """A TCP connection between a client and a server, some 200 microseconds apart."""

    LATENCY: Final = 200
    SPACING: Final = 12
    """Microseconds between full segments: what a gigabit allows."""

    def __init__(
        self, film: Film, client: Station, server: Station, ports: tuple[int, int], at: int,
        *, v6: bool = False,
    ) -> None:  # fmt: skip
        """The connection is opened at ``at``."""
        self.now = at
        self._film = film
        self._ends = (client, server)
        self._ports = ports
        self._v6 = v6
        self.next = [at & 0x7FFFFFFF, (at ^ 0x5A5A5A5A) & 0x7FFFFFFF]
        """Sequence numbers of the next octets of client and server."""
        self._segment(0, SYN, b"", SYN_OPTIONS)
        self._segment(1, SYN | ACK, b"", SYN_OPTIONS)
        self._segment(0, ACK, b"")

    def send(self, side: int, octets: bytes) -> None:
        """Send from the client (0) or the server (1); every other segment is acknowledged."""
        for number, start in enumerate(range(0, len(octets), SEGMENT)):
            piece = octets[start : start + SEGMENT]
            last = start + SEGMENT >= len(octets)
            self.now += self.SPACING - self.LATENCY
            self._segment(side, ACK | PUSH if last else ACK, piece)
            if number % 2 or last:
                self._segment(1 - side, ACK, b"")

    def close(self) -> None:
        """Close both directions, the client first."""
        self._segment(0, FIN | ACK, b"")
        self._segment(1, FIN | ACK, b"")
        self._segment(0, ACK, b"")

    def _segment(
        self, side: int, flags: int, payload: bytes, options: bytes = STAMP_OPTIONS
    ) -> None:
        self.now += self.LATENCY
        ports = self._ports if side == 0 else self._ports[::-1]
        acknowledged = self.next[1 - side] if flags & ACK else 0
        header = struct.pack(
            ">HHIIBBHHH", *ports, self.next[side], acknowledged, (20 + len(options)) << 2, flags,
            64240, 0, 0,
        )  # fmt: skip
        frame = packet(
            self._ends[side], self._ends[1 - side], TCP, header + options + payload, 16, self._v6
        )
        self._film.add(self.now, frame)
        self.next[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)
