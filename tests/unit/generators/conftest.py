"""Captures made of a few bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

ARP_REQUEST = bytes.fromhex(
    "ffffffffffff 001122334455 08060001 0800 06 04 0001 001122334455 0a000001 000000000000 0a000002"
)
"""10.0.0.1 asks for 10.0.0.2."""

START = 1_300_475_168
"""2011-03-18 19:06:08 UTC."""

Frames = list[tuple[float, bytes]]


def pcap_octets(frames: Frames, link_type: int = 1) -> bytes:
    """A classic capture of (seconds, frame)."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    for time, frame in frames:
        seconds, microseconds = divmod(round(time * 1_000_000), 1_000_000)
        octets += struct.pack("<IIII", seconds, microseconds, len(frame), len(frame)) + frame
    return octets


def udp_frame(source: int, payload: bytes = b"payload", port: int = 40_000) -> bytes:
    """An Ethernet frame with a datagram from 10.0.0.``source`` to 10.0.0.2."""
    udp = struct.pack(">HHHH", port, 9999, 8 + len(payload), 0) + payload
    header = struct.pack(
        ">BBHHHBBH4s4s",
        0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 0, 0, source]), bytes([10, 0, 0, 2]),
    )  # fmt: skip
    total = sum(struct.unpack(">10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack(">H", total ^ 0xFFFF) + header[12:]
    return bytes.fromhex("001122334466 001122334455 0800") + header + udp


@pytest.fixture
def write_pcap(tmp_path: Path) -> Callable[..., str]:
    """Writes a capture under a name and gives its path."""

    def write(name: str, frames: Frames, link_type: int = 1) -> str:
        path = tmp_path / name
        path.write_bytes(pcap_octets(frames, link_type))
        return str(path)

    return write
