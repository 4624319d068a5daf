"""Floods: the packets of which each is as small, or as new, as it can be."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from osect_harness.bench.octets import (
    BASE,
    FILE_START,
    TCP,
    UDP,
    Conversation,
    Film,
    Station,
    fold,
    packet,
    record,
    total,
    udp,
)

WRITTEN_AT_ONCE: Final = 20_000
"""Packets between writes: some 1.5 MB."""

TARGET: Final = Station(1)
MODBUS: Final = 502
MAX_RATE: Final = 1_000_000
"""The capture's clock has microseconds."""

SYN_RATE: Final = 100_000
CONNECTION_RATE: Final = 10_000
SMALL_RATE: Final = 100_000
"""Packets a second."""

SMALL_CONNECTIONS: Final = 4
"""TCP connections of the flood of small packets, and as many flows of UDP."""

_IP_SUM: Final = 24
_IP_SOURCE: Final = 26
_PORTS: Final = 34
_SEQUENCE: Final = 38
_ACKNOWLEDGED: Final = 42
_TCP_SUM: Final = 50
"""Where these are in a frame with IPv4."""

_NO_ZERO: Final = {TCP: 0, UDP: 0xFFFF}
"""What a checksum of zero is sent as: in UDP zero means that there is none (RFC 768)."""


def write_syn_flood(output: BinaryIO, packets: int, seed: int = 1, rate: int = SYN_RATE) -> None:
    """Write ``packets`` SYNs from random sources, ``rate`` a second, to one server's port.

    The worst case for every table that remembers connections.
    """
    segment = struct.pack(">HHIIBBHHH", 0, MODBUS, 0, 0, 0x60, 0x02, 8192, 0, 0) + b"\2\4\5\xb4"
    _write(output, _from_everywhere(TCP, segment, 16, packets, seed, rate))


def write_connection_flood(
    output: BinaryIO, packets: int, seed: int = 1, rate: int = CONNECTION_RATE
) -> None:
    """Write ``packets`` datagrams, ``rate`` a second, each the first of its flow."""
    segment = struct.pack(">HHHH", 0, 20_000, 26, 0) + b"\0" * 18
    _write(output, _from_everywhere(UDP, segment, 6, packets, seed, rate))


def _from_everywhere(
    protocol: int, segment: bytes, at: int, packets: int, seed: int, rate: int
) -> Iterator[bytes]:
    """Records of one packet, each from another address and port, a SYN with another number too."""
    frame = bytearray(packet(Station(254, b"\0\0\0"), TARGET, protocol, segment, at, False))
    frame[_IP_SOURCE : _IP_SOURCE + 4] = bytes(4)
    frame[_IP_SUM : _IP_SUM + 2] = bytes(2)
    sum_at = _PORTS + at
    frame[sum_at : sum_at + 2] = bytes(2)
    ip_sum = total(frame[14:34])
    transport_sum = total(frame[34:]) + total(TARGET.address) + protocol + (len(frame) - 34)
    length = struct.pack("<II", len(frame), len(frame))
    source = random.Random(seed)
    for number in range(packets):
        bits = source.getrandbits(80)
        # The first octet is 11 to 126: neither multicast, nor loopback, nor the plant's.
        address = (bits & 0x00FFFFFF) | (11 + (bits >> 24 & 0xFF) % 116) << 24
        port = 1024 + (bits >> 32 & 0xFFFF) % 64512
        words = (address >> 16) + (address & 0xFFFF)
        frame[_IP_SUM : _IP_SUM + 2] = fold(ip_sum + words).to_bytes(2, "big")
        frame[_IP_SOURCE : _IP_SOURCE + 4] = address.to_bytes(4, "big")
        frame[_PORTS : _PORTS + 2] = port.to_bytes(2, "big")
        value = transport_sum + words + port
        if protocol == TCP:
            sequence = bits >> 48
            frame[_SEQUENCE : _SEQUENCE + 4] = sequence.to_bytes(4, "big")
            value += (sequence >> 16) + (sequence & 0xFFFF)
        frame[sum_at : sum_at + 2] = (fold(value) or _NO_ZERO[protocol]).to_bytes(2, "big")
        seconds, rest = divmod(number * 1_000_000 // rate, 1_000_000)
        yield (
            (BASE + seconds).to_bytes(4, "little") + rest.to_bytes(4, "little") + length + frame
        )  # fmt: skip


def write_small_packets(output: BinaryIO, packets: int, rate: int = SMALL_RATE) -> None:
    """Write ``packets`` of the smallest packets, ``rate`` a second, of a few connections.

    One octet a segment with its acknowledgement, one a datagram; all of them live on.
    """
    _write(output, _small(packets, rate))


def _small(packets: int, rate: int) -> Iterator[bytes]:
    """Records: the connections' opening, then one octet after the other in turn."""
    for number, frame in enumerate(itertools.islice(_small_frames(), packets)):
        yield record(number * 1_000_000 // rate, frame)


def _small_frames() -> Iterator[bytes]:
    film = Film()
    turns = [_Turn(film, Station(20 + number), number) for number in range(SMALL_CONNECTIONS)]
    yield from film.frames()
    while True:
        for turn in turns:
            yield turn.octet()
            yield turn.acknowledgement()
            yield turn.request
            yield turn.reply


class _Turn:
    """A TCP connection that sends octet after octet, and datagrams between the same stations."""

    def __init__(self, film: Film, client: Station, number: int) -> None:
        talk = Conversation(film, client, TARGET, (40_000 + number, 9100), number)
        self._octets, self._answered = talk.next
        ports = (40_000 + number, 20_000)
        self.request: Final = _padded(udp(client, TARGET, ports, b"x"))
        self.reply: Final = _padded(udp(TARGET, client, ports[::-1], b"x"))
        header = struct.pack(
            ">HHIIBBHHH", 40_000 + number, 9100, 0, self._answered, 0x50, 0x18, 64240, 0, 0
        )
        self._octet: Final = bytearray(
            _padded(packet(client, TARGET, TCP, header + b"x", 16, False))
        )
        header = struct.pack(
            ">HHIIBBHHH", 9100, 40_000 + number, self._answered, 0, 0x50, 0x10, 64240, 0, 0
        )
        self._acknowledgement: Final = bytearray(
            _padded(packet(TARGET, client, TCP, header, 16, False))
        )
        self._sums: Final = [
            int.from_bytes(frame[_TCP_SUM : _TCP_SUM + 2], "big") ^ 0xFFFF
            for frame in (self._octet, self._acknowledgement)
        ]

    def octet(self) -> bytes:
        """The next segment of the client."""
        frame = self._patched(self._octet, _SEQUENCE, self._sums[0])
        self._octets = (self._octets + 1) & 0xFFFFFFFF
        return frame

    def acknowledgement(self) -> bytes:
        """The server's answer to it."""
        return self._patched(self._acknowledgement, _ACKNOWLEDGED, self._sums[1])

    def _patched(self, frame: bytearray, at: int, known: int) -> bytes:
        number = self._octets
        frame[at : at + 4] = number.to_bytes(4, "big")
        checksum = fold(known + (number >> 16) + (number & 0xFFFF))
        frame[_TCP_SUM : _TCP_SUM + 2] = checksum.to_bytes(2, "big")
        return bytes(frame)


def _padded(frame: bytes) -> bytes:
    """As long as Ethernet wants it at least, the checksum at its end left out."""
    return frame.ljust(60, b"\0")


def _write(output: BinaryIO, records: Iterator[bytes]) -> None:
    output.write(FILE_START)
    pieces: list[bytes] = []
    for one in records:
        pieces.append(one)
        if len(pieces) == WRITTEN_AT_ONCE:
            output.write(b"".join(pieces))
            pieces.clear()
    output.write(b"".join(pieces))
