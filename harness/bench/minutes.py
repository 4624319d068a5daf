"""A minute repeated, minute after minute, in as many plants as asked, by patching octets.

Every plant has its own subnet in every minute, so connections come and go at a constant rate and
the number of live ones stays the same. Checksums stay right. The same octets for the same
arguments, a second or two a million packets.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from osect_harness.bench.octets import BASE, FILE_HEADER, RECORD_HEADER

PERIOD: Final = 60
"""Seconds from one repetition to the next: what the minute's name promises."""

NETWORK: Final = bytes((192, 168, 10))
"""Where the minute's stations live; the second and third octet are what is patched."""
NETWORK6: Final = bytes.fromhex("fd00000000000000")
"""Their IPv6 prefix; its last two octets are what is patched."""
THIRD_OCTETS: Final = 200
SECOND_OCTETS: Final = 80
SUBNETS: Final = THIRD_OCTETS * SECOND_OCTETS
"""Subnets 192.168.10.0/24 up to 192.247.209.0/24, then again from the first."""

MAX_PLANTS: Final = 1000
"""Each plant's part of the template takes as much as the minute does."""


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


def write_minutes(output: BinaryIO, stored: bytes, packets: int, plants: int) -> None:
    """Write ``packets`` packets of a minute in ``plants`` plants, minute by minute.

    ``stored`` is a little-endian capture of less than PERIOD seconds from BASE.
    """
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
