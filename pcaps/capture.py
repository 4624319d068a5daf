"""What a recipe builds: timed frames, and the file formats in which they can be stored.

The writers are our own so that every octet of a stored capture is decided here: scapy's, libpcap's
and zlib's versions must not show in it.
"""

from __future__ import annotations

import struct
import zlib

BASE = 1_500_000_000
"""Start of every capture, seconds since the epoch: 2017-07-14 02:40:00 UTC, a full minute."""

ETHERNET = 1
RAW_IP = 101
BSD_NULL = 0
BSD_LOOPBACK = 108
LINUX_COOKED = 113
LINUX_COOKED_2 = 276
PPP = 9
PPP_SERIAL = 50
FDDI = 10
WIRELESS = 105
RADIOTAP = 127
NETFILTER_LOG = 239
"""Link types, as registered at tcpdump.org."""

SNAP_LENGTH = 262144


class Frame:
    """One captured frame: nanoseconds since BASE, the octets kept, the length on the wire."""

    def __init__(self, at: int, octets: bytes, length: int, interface: int = 0) -> None:
        self.at = at
        self.octets = octets
        self.length = length
        self.interface = interface


class Recorder:
    """Collects frames in any order of time; ties keep the order of recording."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(
        self, seconds: float, octets: bytes, *, keep: int | None = None, interface: int = 0
    ) -> None:
        """Record ``octets`` at ``seconds`` after BASE; ``keep`` plays a snap length."""
        at = round(seconds * 1_000_000) * 1000
        kept = octets if keep is None else octets[:keep]
        self.frames.append(Frame(at, kept, len(octets), interface))

    def sorted(self) -> list[Frame]:
        """The frames in order of time."""
        return sorted(self.frames, key=lambda frame: frame.at)


class Capture:
    """A capture file to be: its name (without folder), its frames, its format."""

    def __init__(
        self,
        name: str,
        recorder: Recorder,
        *,
        link_type: int = ETHERNET,
        file_format: str = "pcap",
        in_order_of_time: bool = True,
    ) -> None:
        self.name = name
        self.frames = recorder.sorted() if in_order_of_time else recorder.frames
        self.link_type = link_type
        self.file_format = file_format

    @property
    def file_name(self) -> str:
        """Name of the stored file."""
        if self.file_format.startswith("pcapng"):
            return f"{self.name}.pcapng"
        if self.file_format == "pcap-gz":
            return f"{self.name}.pcap.gz"
        return f"{self.name}.pcap"

    def octets(self) -> bytes:
        """The stored file."""
        if self.file_format == "pcap":
            return pcap(self.frames, self.link_type)
        if self.file_format == "pcap-big-endian":
            return pcap(self.frames, self.link_type, order=">")
        if self.file_format == "pcap-nanoseconds":
            return pcap(self.frames, self.link_type, nanoseconds=True)
        if self.file_format == "pcap-gz":
            return stored_gzip(pcap(self.frames, self.link_type))
        if self.file_format == "pcapng":
            return pcapng(self.frames, [self.link_type])
        if self.file_format == "pcapng-big-endian":
            return pcapng(self.frames, [self.link_type], order=">")
        if self.file_format == "pcapng-nanoseconds":
            return pcapng(self.frames, [self.link_type], resolution=9)
        if self.file_format == "pcapng-interfaces":
            return pcapng(self.frames, [ETHERNET, RAW_IP], resolution=9)
        if self.file_format == "pcapng-sections":
            half = len(self.frames) // 2
            return pcapng(self.frames[:half], [self.link_type]) + pcapng(
                self.frames[half:], [self.link_type], order=">", resolution=9
            )
        raise ValueError(f"unknown file format {self.file_format!r} of {self.name}")


def pcap(
    frames: list[Frame], link_type: int, *, order: str = "<", nanoseconds: bool = False
) -> bytes:
    """A classic capture file."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    divisor = 1 if nanoseconds else 1000
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, SNAP_LENGTH, link_type)]
    record = struct.Struct(order + "IIII")
    for frame in frames:
        seconds, rest = divmod(frame.at, 1_000_000_000)
        parts.append(record.pack(BASE + seconds, rest // divisor, len(frame.octets), frame.length))
        parts.append(frame.octets)
    return b"".join(parts)


def pcapng(
    frames: list[Frame], link_types: list[int], *, order: str = "<", resolution: int = 6
) -> bytes:
    """One section of a pcapng file: section header, interfaces, enhanced packet blocks.

    A resolution of 6 is left unsaid, as the format allows; others are written as if_tsresol.
    """
    parts = [_block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    options = b""
    if resolution != 6:
        options = struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    for link_type in link_types:
        body = struct.pack(order + "HHI", link_type, 0, SNAP_LENGTH) + options
        parts.append(_block(order, 1, body))
    scale = 10 ** (9 - resolution)
    for frame in frames:
        ticks = (BASE * 1_000_000_000 + frame.at) // scale
        head = struct.pack(
            order + "IIIII",
            frame.interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.octets), frame.length,
        )  # fmt: skip
        parts.append(_block(order, 6, head + frame.octets))
    return b"".join(parts)


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def stored_gzip(octets: bytes) -> bytes:
    """A gzip member of stored (uncompressed) blocks: the same whatever zlib made it."""
    parts = [b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"]
    for start in range(0, len(octets), 0xFFFF):
        piece = octets[start : start + 0xFFFF]
        last = start + 0xFFFF >= len(octets)
        parts.append(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece)
    parts.append(struct.pack("<II", zlib.crc32(octets), len(octets) & 0xFFFFFFFF))
    return b"".join(parts)
