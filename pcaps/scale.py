"""Large captures for load tests, made by patching octets: no scapy, a second or two a million.

``python -m pcaps.scale minutes FILE --packets N --plants K`` repeats the factory minute, minute
after minute, in K plants at once. Every plant has its own subnet in every minute, so connections
come and go at a constant rate and the number of live ones stays the same. Checksums stay right.

``python -m pcaps.scale syn-flood FILE --packets N`` is a flood of SYNs from random addresses to
one server: the worst case for every table that remembers connections.

Both write the same octets for the same arguments.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from pcaps.capture import BASE, ETHERNET, SNAP_LENGTH

MINUTE = Path(__file__).resolve().parent / "built" / "factory_minute.pcap"

FILE_HEADER = 24
RECORD_HEADER = 16
PERIOD = 60
"""Seconds from one repetition to the next: what the minute's name promises."""

NETWORK = bytes((192, 168, 10))
"""Where the minute's stations live; the second and third octet are what is patched."""
NETWORK6 = bytes.fromhex("fd00000000000000")
"""Their IPv6 prefix; its last two octets are what is patched."""
THIRD_OCTETS = 200
SECOND_OCTETS = 80
SUBNETS = THIRD_OCTETS * SECOND_OCTETS
"""Subnets 192.168.10.0/24 up to 192.247.209.0/24, then again from the first."""

MAX_PLANTS = 1000
"""Each plant of the template takes 170 KB."""


class Template:
    """The minute of one plant inside the template of all, and where it has to be patched."""

    def __init__(self) -> None:
        self.networks: list[int] = []
        """Offsets of second and third octets of IPv4 addresses of the network."""
        self.networks6: list[int] = []
        """Offsets of the last two octets of IPv6 prefixes."""
        self.checksums: list[tuple[int, int, int, int]] = []
        """Offset, complement of the checksum, IPv4 and IPv6 addresses that it covers."""

    def add(self, template: bytearray, start: int, end: int) -> None:
        """Find what is to be patched in the frame ``template[start:end]``."""
        network = start + 14
        kind = template[start + 12] << 8 | template[start + 13]
        if kind == 0x8100:
            network += 4
            kind = template[start + 16] << 8 | template[start + 17]
        if kind == 0x0806:
            for offset in (network + 14, network + 24):
                self._network(template, offset)
        elif kind == 0x0800:
            covered = sum(
                self._network(template, offset) for offset in (network + 12, network + 16)
            )
            self._checksum(template, network + 10, covered, 0)
            transport = network + (template[network] & 15) * 4
            protocol = template[network + 9]
            if protocol == 6:
                self._checksum(template, transport + 16, covered, 0)
            elif protocol == 17 and template[transport + 6 : transport + 8] != b"\0\0":
                self._checksum(template, transport + 6, covered, 0)
        elif kind == 0x86DD:
            transport = network + 40
            protocol = template[network + 6]
            covered = sum(
                self._network6(template, offset) for offset in (network + 8, network + 24)
            )
            if protocol == 58:
                if template[transport] in (135, 136):
                    covered += self._network6(template, transport + 8)
                self._checksum(template, transport + 2, 0, covered)
            elif protocol in (6, 17):
                offset = transport + (16 if protocol == 6 else 6)
                self._checksum(template, offset, 0, covered)

    def _network(self, template: bytearray, offset: int) -> int:
        if template[offset : offset + 3] != NETWORK:
            return 0
        self.networks.append(offset + 1)
        return 1

    def _network6(self, template: bytearray, offset: int) -> int:
        if template[offset : offset + 8] != NETWORK6:
            return 0
        self.networks6.append(offset + 6)
        return 1

    def _checksum(self, template: bytearray, offset: int, addresses: int, addresses6: int) -> None:
        if addresses or addresses6:
            value = template[offset] << 8 | template[offset + 1]
            self.checksums.append((offset, value ^ 0xFFFF, addresses, addresses6))

    def patch(self, template: bytearray, subnet: int) -> None:
        """Move the plant to a subnet, 0 being the one that it comes from."""
        second = NETWORK[1] + subnet // THIRD_OCTETS
        third = NETWORK[2] + subnet % THIRD_OCTETS
        octets = bytes((second, third))
        for offset in self.networks:
            template[offset : offset + 2] = octets
        octets = subnet.to_bytes(2, "big")
        for offset in self.networks6:
            template[offset : offset + 2] = octets
        # RFC 1624: the sum grows by the new words and shrinks by the old; the complement of a
        # checksum is a sum. Second and third octet are in two words, the prefix's are one.
        change = (second - NETWORK[1]) + (third - NETWORK[2] << 8)
        for offset, total, addresses, addresses6 in self.checksums:
            total += addresses * change + addresses6 * subnet
            while total > 0xFFFF:
                total = (total & 0xFFFF) + (total >> 16)
            total ^= 0xFFFF
            template[offset] = total >> 8
            template[offset + 1] = total & 0xFF


def write_minutes(output: BinaryIO, packets: int, plants: int = 1) -> None:
    """Write ``packets`` packets of the factory minute in ``plants`` plants, minute by minute."""
    stored = MINUTE.read_bytes()
    output.write(stored[:FILE_HEADER])
    records = _records(stored)
    template = bytearray()
    parts = [Template() for _ in range(plants)]
    times: list[tuple[int, int]] = []
    ends: list[int] = []
    for start, end in records:
        second = int.from_bytes(stored[start : start + 4], "little")
        for part in parts:
            at = len(template)
            template += stored[start:end]
            times.append((at, second))
            part.add(template, at + RECORD_HEADER, len(template))
            ends.append(len(template))
    minute = 0
    left = packets
    while left > 0:
        for number, part in enumerate(parts):
            part.patch(template, (minute * plants + number) % SUBNETS)
        stamps = [
            (BASE + minute * PERIOD + second).to_bytes(4, "little") for second in range(PERIOD)
        ]
        for at, second in times:
            template[at : at + 4] = stamps[second - BASE]
        if left < len(ends):
            output.write(template[: ends[left - 1]])
            return
        output.write(template)
        left -= len(ends)
        minute += 1


def _records(stored: bytes) -> list[tuple[int, int]]:
    """Where the records of a little-endian capture begin and end."""
    found: list[tuple[int, int]] = []
    start = FILE_HEADER
    while start < len(stored):
        length = int.from_bytes(stored[start + 8 : start + 12], "little")
        end = start + RECORD_HEADER + length
        found.append((start, end))
        start = end
    return found


FLOOD_TARGET = bytes((192, 168, 10, 1))
FLOOD_PORT = 502
WRITTEN_AT_ONCE = 20_000
"""Packets between writes: some 1.5 MB."""


def write_syn_flood(output: BinaryIO, packets: int, seed: int = 1, rate: int = 100_000) -> None:
    """Write ``packets`` SYNs from random sources, ``rate`` a second, to one server's port."""
    if rate > 1_000_000:
        raise ValueError("the capture's clock has microseconds: a million packets a second at most")
    output.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET))
    frame = bytearray(
        bytes.fromhex("020000000001 0200000000fe 0800")
        + bytes.fromhex("4500 002c 0001 4000 4006 0000 00000000") + FLOOD_TARGET
        + b"\0\0" + FLOOD_PORT.to_bytes(2, "big")
        + bytes.fromhex("00000000 00000000 6002 2000 0000 0000 020405b4")
    )  # fmt: skip
    length = struct.pack("<II", len(frame), len(frame))
    ip_sum = _sum(frame[14:34])
    tcp_sum = _sum(frame[34:]) + _sum(FLOOD_TARGET) + 6 + (len(frame) - 34)
    source = random.Random(seed)
    interval = 1_000_000 // rate
    pieces: list[bytes] = []
    for number in range(packets):
        bits = source.getrandbits(80)
        # The first octet is 1 to 127 without 10 and 127 itself: neither multicast nor the plant's.
        address = (bits & 0x00FFFFFF) | (11 + (bits >> 24 & 0xFF) % 116) << 24
        port = 1024 + (bits >> 32 & 0xFFFF) % 64512
        sequence = bits >> 48
        words = (address >> 16) + (address & 0xFFFF)
        frame[24:26] = _checksum(ip_sum + words)
        frame[26:30] = address.to_bytes(4, "big")
        frame[34:36] = port.to_bytes(2, "big")
        frame[38:42] = sequence.to_bytes(4, "big")
        total = tcp_sum + words + port + (sequence >> 16) + (sequence & 0xFFFF)
        frame[50:52] = _checksum(total)
        seconds, microseconds = divmod(number * interval, 1_000_000)
        pieces.append(
            (BASE + seconds).to_bytes(4, "little") + microseconds.to_bytes(4, "little")
            + length + frame
        )  # fmt: skip
        if len(pieces) == WRITTEN_AT_ONCE:
            output.write(b"".join(pieces))
            pieces.clear()
    output.write(b"".join(pieces))


def _sum(octets: bytes | bytearray) -> int:
    return sum(octets[i] << 8 | octets[i + 1] for i in range(0, len(octets), 2))


def _checksum(total: int) -> bytes:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 written, 64 impossible arguments."""
    parser = argparse.ArgumentParser(prog="python -m pcaps.scale", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    minutes = kinds.add_parser("minutes", help="the factory minute, repeated")
    minutes.add_argument("--plants", type=int, default=1, help="plants at once (default: 1)")
    flood = kinds.add_parser("syn-flood", help="SYNs from random addresses")
    flood.add_argument("--seed", type=int, default=1, help="of the addresses (default: 1)")
    flood.add_argument("--rate", type=int, default=100_000, help="packets a second")
    for kind in (minutes, flood):
        kind.add_argument("output", type=Path, metavar="FILE")
        kind.add_argument("--packets", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    if options.packets < 1:
        print("at least one packet is needed", file=sys.stderr)
        return 64
    if options.kind == "minutes" and not 1 <= options.plants <= MAX_PLANTS:
        print(f"1 to {MAX_PLANTS} plants are possible", file=sys.stderr)
        return 64
    if options.kind == "syn-flood" and not 1 <= options.rate <= 1_000_000:
        print("1 to 1000000 packets a second are possible", file=sys.stderr)
        return 64
    with options.output.open("wb") as output:
        if options.kind == "minutes":
            write_minutes(output, options.packets, options.plants)
        else:
            write_syn_flood(output, options.packets, options.seed, options.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
