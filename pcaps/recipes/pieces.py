"""Incomplete frames: IP fragments and captures cut off by a snap length."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    Host,
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
from pcaps.messages import POINTER, A, address, dns, question, record
from pcaps.recipes import cclink, http, neighbors, stations, tunnels


def build() -> list[Capture]:
    """The captures ``fragments``, ``fragments_odd``, ``snap_length``,
    ``snap_length_messages`` and ``snap_length_tunnels``."""
    return [
        fragments(), fragments_odd(), snap_length(), snap_length_messages(), snap_length_tunnels(),
    ]  # fmt: skip


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


def fragments_odd() -> Capture:
    """IPv4 fragments that overlap, that the snap length cut, that come late."""
    recorder = Recorder()

    def put(
        at: float, datagram: bytes, ident: int, start: int, end: int, keep: int | None = None
    ) -> None:
        """The fragment with these octets of a datagram."""
        packet = ipv4(
            HMI.address, PLC.address, 17, datagram[start:end],
            ident=ident, flags="MF" if end < len(datagram) else "", offset=start // 8,
        )  # fmt: skip
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac), keep=keep)

    # Only the beginning of each fragment was kept.
    datagram = _datagram(45011, 2000)
    for number, at in enumerate((0.0, 0.5)):
        put(at, datagram, 111 + number, 0, 1480, keep=100)
        put(at + 0.001, datagram, 111 + number, 1480, 2008, keep=100)
    # The second begins within the first, and comes once more when all is there.
    datagram = _datagram(45012, 2000)
    put(1.0, datagram, 113, 0, 1480)
    put(1.001, datagram, 113, 1200, 2008)
    put(1.002, datagram, 113, 1200, 2008)
    # The rest comes after 299 s, and after 301 s.
    for port, ident, silence in ((45013, 114, 299.0), (45014, 115, 301.0)):
        datagram = _datagram(port, 2000)
        put(2.0, datagram, ident, 0, 1480)
        put(2.0 + silence, datagram, ident, 1480, 2008)
    return Capture("fragments_odd", recorder)


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


def snap_length_messages() -> Capture:
    """Application messages of which only the beginning was kept."""
    recorder = Recorder()
    # A DNS query without the end of its name, and one whose response lost its answer.
    cut = udp(HMI, PLC, 45201, 53, dns(1, 0x0100, [question("cut.factory.example", A)]))
    recorder.add(0.0, ethernet(cut, HMI.mac, PLC.mac), keep=14 + 28 + 12 + 8)
    ask = question("half.factory.example", A)
    query = udp(HMI, PLC, 45202, 53, dns(2, 0x0100, [ask]))
    recorder.add(1.0, ethernet(query, HMI.mac, PLC.mac))
    whole = dns(2, 0x8180, [ask], [record(POINTER, A, 60, address("10.0.0.1"))])
    response = udp(PLC, HMI, 53, 45202, whole)
    recorder.add(1.002, ethernet(response, PLC.mac, HMI.mac), keep=14 + 28 + len(whole) - 6)
    # HTTP both ways.
    talk = Talk(recorder, HMI, PLC, 45203, 80)
    talk.open(2.0)
    talk.send(2.01, "c", "PA", http.GET, keep=68)
    talk.send(2.011, "s", "PA", http.GOT, keep=68)
    talk.send(2.012, "c", "A")
    talk.close(2.02)
    # A neighbour solicitation without its option, and one without the end of its target.
    group = Host("33:33:ff:01:00:01", "ff02::1:ff01:1")
    packet = icmp(HMI6, group, 135, 0, neighbors.solicitation("fd00::1:1", HMI6.mac))
    recorder.add(3.0, ethernet(packet, HMI6.mac, group.mac), keep=14 + 40 + 24)
    recorder.add(4.0, ethernet(packet, HMI6.mac, group.mac), keep=14 + 40 + 20)
    # DHCP without its options.
    source, destination = stations.UNNUMBERED, stations.EVERYBODY
    packet = udp(source, destination, 68, 67, stations.DISCOVER)
    recorder.add(5.0, ethernet(packet, source.mac, destination.mac), keep=14 + 28 + 100)
    # CC-Link IE Field Basic without its cyclic data.
    packet = udp(HMI, PLC, 61450, 61450, cclink.request(1))
    recorder.add(6.0, ethernet(packet, HMI.mac, PLC.mac), keep=14 + 28 + 80)
    return Capture("snap_length_messages", recorder)


def snap_length_tunnels() -> Capture:
    """Tunnels whose inner packets lack their last five octets, twice each."""
    recorder = Recorder()
    links = (
        tunnels.in_udp_link(4789, bytes.fromhex("08000000 00004d00")),
        tunnels.in_udp_link(6081, bytes.fromhex("00006558 00004d00")),
        tunnels.in_ip_link(47, bytes.fromhex("00000800")),
        tunnels.in_ip_link(4, b""),
    )
    for number, link in enumerate(links):
        frame = link(udp(HMI, PLC, 45301 + number, 9700, b"q" * 10), HMI.mac, PLC.mac)
        for at in (number, number + 0.5):
            recorder.add(at, frame, keep=len(frame) - 5)
    return Capture("snap_length_tunnels", recorder)
