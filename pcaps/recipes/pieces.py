"""Incomplete frames: IP fragments and captures cut off by a snap length."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    Talk,
    arp,
    checksum,
    echo,
    ethernet,
    icmp,
    ipv4,
    ipv6,
    udp,
)


def build() -> list[Capture]:
    """The captures ``fragments`` and ``snap_length``."""
    return [fragments(), snap_length()]


def _datagram(port: int, length: int) -> bytes:
    head = port.to_bytes(2, "big") + (9700).to_bytes(2, "big") + (8 + length).to_bytes(2, "big")
    return head + b"\0\0" + bytes(i % 251 for i in range(length))


def fragments() -> Capture:
    """IPv4 and IPv6 fragments."""
    recorder = Recorder()

    def put(at: float, packet: bytes) -> None:
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac))

    def pieces(datagram: bytes, ident: int) -> list[bytes]:
        """Three IPv4 fragments: 1480, 1480 and the rest."""
        return [
            ipv4(
                HMI.address, PLC.address, 17, datagram[start : start + 1480],
                ident=ident, flags="MF" if start + 1480 < len(datagram) else "", offset=start // 8,
            )
            for start in range(0, len(datagram), 1480)
        ]  # fmt: skip

    # In order.
    for number, piece in enumerate(pieces(_datagram(45001, 3200), 101)):
        put(0.0 + number / 1000, piece)
    # In reverse, one of them twice.
    first, second, third = pieces(_datagram(45002, 3200), 102)
    for number, piece in enumerate((third, second, second, first)):
        put(1.0 + number / 1000, piece)
    # One is missing.
    first, second, third = pieces(_datagram(45003, 3200), 103)
    put(2.0, first)
    put(2.001, third)
    # Two datagrams interleaved, and the answer in one piece.
    ones, twos = pieces(_datagram(45004, 1600), 104), pieces(_datagram(45004, 1600), 105)
    for number, piece in enumerate((ones[0], twos[0], twos[1], ones[1])):
        put(3.0 + number / 1000, piece)
    recorder.add(3.01, ethernet(udp(PLC, HMI, 9700, 45004, b"r" * 6), PLC.mac, HMI.mac))
    # IPv6.
    datagram = bytearray(_datagram(45005, 2000))
    datagram[6:8] = b"\x12\x34"
    for number, (start, end) in enumerate(((0, 1232), (1232, 2008))):
        more = end < len(datagram)
        extension = bytes([17, 0]) + (start | more).to_bytes(2, "big") + (201).to_bytes(4, "big")
        packet = ipv6(HMI6.address, PLC6.address, 44, extension + bytes(datagram[start:end]))
        recorder.add(4.0 + number / 1000, ethernet(packet, HMI6.mac, PLC6.mac))
    # A fragment that is alone and whole (RFC 6946, "atomic").
    extension = bytes([17, 0, 0, 0]) + (202).to_bytes(4, "big")
    packet = ipv6(HMI6.address, PLC6.address, 44, extension + _datagram(45006, 10))
    recorder.add(5.0, ethernet(packet, HMI6.mac, PLC6.mac))
    # An echo request in two fragments.
    body = echo(7, 0, b"p" * 2000)
    message = bytearray(b"\x08\x00\x00\x00" + body)
    message[2:4] = checksum(bytes(message)).to_bytes(2, "big")
    for number, start in enumerate((0, 1480)):
        flags = "MF" if start == 0 else ""
        put(
            6.0 + number / 1000,
            ipv4(
                HMI.address, PLC.address, 1, bytes(message[start : start + 1480]),
                ident=106, flags=flags, offset=start // 8,
            ),
        )  # fmt: skip
    return Capture("fragments", recorder)


def snap_length() -> Capture:
    """Frames of which only the beginning was kept."""
    recorder = Recorder()

    # TCP headers whole, payload cut: acknowledged but never seen.
    talk = Talk(recorder, HMI, PLC, 45101, 9600)
    talk.open(0.0)
    talk.send(0.01, "c", "PA", b"x" * 1000, keep=68)
    talk.send(0.02, "s", "A")
    talk.close(0.03)
    # TCP header cut.
    talk = Talk(recorder, HMI, PLC, 45102, 9600)
    talk.send(1.0, "c", "S", keep=44)
    # TCP options cut.
    talk = Talk(recorder, HMI, PLC, 45103, 9600)
    talk.send(2.0, "c", "S", keep=54)
    # UDP payload cut, twice.
    for at in (3.0, 3.5):
        packet = udp(HMI, PLC, 45104, 9700, b"x" * 500)
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac), keep=68)
    # UDP header cut.
    packet = udp(HMI, PLC, 45105, 9700, b"x" * 500)
    recorder.add(4.0, ethernet(packet, HMI.mac, PLC.mac), keep=40)
    # ICMP payload cut, twice.
    for number, at in enumerate((5.0, 6.0)):
        packet = icmp(HMI, PLC, 8, 0, echo(7, number, b"p" * 500))
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac), keep=68)
    # IP header cut; ARP cut; Ethernet header cut.
    recorder.add(7.0, ethernet(packet, HMI.mac, PLC.mac), keep=30)
    request = arp(1, HMI.mac, HMI.address, "00:00:00:00:00:00", PLC.address)
    recorder.add(8.0, request, keep=30)
    recorder.add(9.0, request, keep=10)
    return Capture("snap_length", recorder)
