"""IP in something in IP: what is inside is a connection of its own, with the tunnel as parent."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    Host,
    Link,
    Talk,
    arp,
    datagrams,
    ethernet,
    exchange,
    icmp,
    ipv4,
    ipv6,
    udp,
)
from pcaps.messages import POINTER, A, address, dns, question, record
from pcaps.recipes import http, neighbors, stations

EAST = Host("02:00:00:00:00:e1", "10.0.0.1")
WEST = Host("02:00:00:00:00:e2", "10.0.0.2")
"""Ends of the tunnels; the HMI is behind the first."""


def build() -> list[Capture]:
    """The captures ``tunnel_…``."""
    return [
        ip_in_ip(), gre(), gre_variants(), vxlan(), geneve(), gtp(), gtp_extended(), teredo(),
        teredo_headers(), in_udp(), changing(), applications(), nested(),
    ]  # fmt: skip


def _ends(source: str) -> tuple[Host, Host]:
    return (EAST, WEST) if source == HMI.mac else (WEST, EAST)


def in_ip_link(protocol: int, header: bytes) -> Link:
    """A tunnel in IP between its ends."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        near, far = _ends(source)
        outer = ipv4(near.address, far.address, protocol, header + packet)
        return ethernet(outer, near.mac, far.mac)

    return link


def in_udp_link(port: int, header: bytes, inner_ethernet: bool = True) -> Link:
    """A tunnel in UDP, of which both ends use ``port``."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        near, far = _ends(source)
        inner = ethernet(packet, source, destination) if inner_ethernet else packet
        return ethernet(udp(near, far, port, port, header + inner), near.mac, far.mac)

    return link


def ip_in_ip() -> Capture:
    """Protocol 4, then IPv6 as protocol 41 between the same ends."""
    recorder = Recorder()
    exchange(recorder, in_ip_link(4, b""), HMI, PLC, 46001, 0.0)
    datagrams(recorder, in_ip_link(41, b""), HMI6, PLC6, 46002, 1.0)
    return Capture("tunnel_ip_in_ip", recorder)


def gre() -> Capture:
    """GRE with IPv4, with a key and a sequence number, with Ethernet inside."""
    recorder = Recorder()
    exchange(recorder, in_ip_link(47, bytes.fromhex("00000800")), HMI, PLC, 46101, 0.0)
    keyed = bytes.fromhex("30000800 00000007 00000001")
    datagrams(recorder, in_ip_link(47, keyed), HMI, PLC, 46102, 1.0)

    def bridged(packet: bytes, source: str, destination: str) -> bytes:
        inner = ethernet(packet, source, destination)
        return in_ip_link(47, bytes.fromhex("00006558"))(inner, source, destination)

    datagrams(recorder, bridged, HMI, PLC, 46103, 2.0)
    return Capture("tunnel_gre", recorder)


def gre_variants() -> Capture:
    """GRE that mirrors a port (ERSPAN II), PPTP's, with a checksum, with a source route."""
    recorder = Recorder()

    def mirrored(packet: bytes, source: str, destination: str) -> bytes:
        header = bytes.fromhex("100088be 00000001") + bytes.fromhex("100a0001 00000000")
        inner = ethernet(packet, source, destination)
        return in_ip_link(47, header)(inner, source, destination)

    datagrams(recorder, mirrored, HMI, PLC, 46111, 0.0)

    def pptp(packet: bytes, source: str, destination: str) -> bytes:
        length = (len(packet) + 4).to_bytes(2, "big")
        header = bytes.fromhex("3001880b") + length + bytes.fromhex("0007 00000001 ff030021")
        return in_ip_link(47, header)(packet, source, destination)

    datagrams(recorder, pptp, HMI, PLC, 46112, 1.0)
    datagrams(recorder, in_ip_link(47, bytes.fromhex("80000800 00000000")), HMI, PLC, 46113, 2.0)
    routed = in_ip_link(47, bytes.fromhex("40000800"))
    recorder.add(3.0, routed(udp(HMI, PLC, 46114, 9700, b"q" * 10), HMI.mac, PLC.mac))
    return Capture("tunnel_gre_variants", recorder)


def vxlan() -> Capture:
    """VXLAN network 77; then a VXLAN header without the flag that makes it valid."""
    recorder = Recorder()
    header = bytes.fromhex("08000000 00004d00")
    exchange(recorder, in_udp_link(4789, header), HMI, PLC, 46201, 0.0)
    other = Host("02:00:00:00:00:e3", "10.0.0.3")
    broken = bytes.fromhex("00000000 00004d00") + b"\0" * 40
    packet = udp(other, WEST, 4789, 4789, broken)
    recorder.add(2.0, ethernet(packet, other.mac, WEST.mac))
    return Capture("tunnel_vxlan", recorder)


def geneve() -> Capture:
    """Geneve with one option of four octets."""
    recorder = Recorder()
    header = bytes.fromhex("02006558 00004d00 01020301 01020304")
    exchange(recorder, in_udp_link(6081, header), HMI, PLC, 46301, 0.0)
    return Capture("tunnel_geneve", recorder)


def gtp() -> Capture:
    """GTP-U user data."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        header = b"\x30\xff" + len(packet).to_bytes(2, "big") + b"\0\0\0\x09"
        return in_udp_link(2152, header, inner_ethernet=False)(packet, source, destination)

    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 46401, 0.0)
    return Capture("tunnel_gtp", recorder)


def gtp_extended() -> Capture:
    """GTP-U with a sequence number and an extension header."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        optional = bytes.fromhex("0001 00 85") + bytes.fromhex("01 1009 00")
        header = b"\x36\xff" + (len(packet) + 8).to_bytes(2, "big") + b"\0\0\0\x09" + optional
        return in_udp_link(2152, header, inner_ethernet=False)(packet, source, destination)

    recorder = Recorder()
    datagrams(recorder, link, HMI, PLC, 46411, 0.0)
    return Capture("tunnel_gtp_extended", recorder)


def teredo() -> Capture:
    """Teredo: IPv6 of 2001::/32 in UDP 3544, with and without an origin indication."""
    client = Host(HMI.mac, "2001:0:a00:2::2")
    server = Host(PLC.mac, "fd00::1:1")

    def link(packet: bytes, source: str, destination: str) -> bytes:
        near, far = _ends(source)
        ports = (50000, 3544) if near is EAST else (3544, 50000)
        origin = b"" if near is EAST else bytes.fromhex("0000 3caf f5fffffe")
        outer = udp(near, far, ports[0], ports[1], origin + packet)
        return ethernet(outer, near.mac, far.mac)

    recorder = Recorder()
    exchange(recorder, link, client, server, 46501, 0.0)
    return Capture("tunnel_teredo", recorder)


def teredo_headers() -> Capture:
    """Teredo with an authentication header, answered by a bubble behind an origin indication."""
    recorder = Recorder()
    client = Host(HMI.mac, "2001:0:a00:2::2")
    authentication = b"\x00\x01\0\0" + b"\x11" * 8 + b"\0"
    inner = authentication + udp(client, PLC6, 46511, 9700, b"q" * 10)
    recorder.add(0.0, ethernet(udp(EAST, WEST, 50001, 3544, inner), EAST.mac, WEST.mac))
    origin = bytes.fromhex("0000 3cae f5fffffe")
    bubble = origin + ipv6(PLC6.address, client.address, 59, b"")
    recorder.add(0.001, ethernet(udp(WEST, EAST, 3544, 50001, bubble), WEST.mac, EAST.mac))
    return Capture("tunnel_teredo_headers", recorder)


def in_udp() -> Capture:
    """AYIYA, Geneve with IP instead of Ethernet, Geneve of another version, GRE in UDP."""
    recorder = Recorder()
    # An identity of 16 octets and a signature of 20.
    ayiya = bytes.fromhex("44 52 11 29 00000000") + b"\x11" * 16 + b"\x22" * 20
    datagrams(recorder, in_udp_link(5072, ayiya, False), HMI6, PLC6, 46901, 0.0)
    geneve_ip = bytes.fromhex("00000800 00004d00")
    datagrams(recorder, in_udp_link(6081, geneve_ip, False), HMI, PLC, 46902, 1.0)
    other = Host("02:00:00:00:00:e3", "10.0.0.3")
    newer = bytes.fromhex("40000800 00004d00") + udp(HMI, PLC, 46903, 9700, b"q" * 10)
    recorder.add(2.0, ethernet(udp(other, WEST, 6081, 6081, newer), other.mac, WEST.mac))
    datagrams(recorder, in_udp_link(4754, bytes.fromhex("00000800"), False), HMI, PLC, 46904, 3.0)
    return Capture("tunnel_in_udp", recorder)


def changing() -> Capture:
    """A connection that is seen in a tunnel at first and outside later."""
    recorder = Recorder()
    talk = Talk(
        recorder, HMI, PLC, 46601, 9600, link=in_udp_link(4789, bytes.fromhex("08000000 00004d00"))
    )
    talk.open(0.0)
    talk.link = ethernet
    talk.ask(0.01, b"q" * 10, b"r" * 20)
    talk.close(0.02)
    return Capture("tunnel_changing", recorder)


def applications() -> Capture:
    """In VXLAN: ARP, neighbour discovery, DNS, HTTP and DHCP like outside of it."""
    recorder = Recorder()
    header = bytes.fromhex("08000000 00004d00")
    link = in_udp_link(4789, header)

    def bridge(at: float, inner: bytes) -> None:
        outer = udp(EAST, WEST, 4789, 4789, header + inner)
        recorder.add(at, ethernet(outer, EAST.mac, WEST.mac))

    bridge(0.0, arp(1, HMI.mac, HMI.address, neighbors.ZERO, PLC.address))
    group = Host("33:33:ff:01:00:01", "ff02::1:ff01:1")
    ask = icmp(HMI6, group, 135, 0, neighbors.solicitation("fd00::1:1", HMI6.mac))
    recorder.add(1.0, link(ask, HMI6.mac, group.mac))
    query = question("scada.example", A)
    answer = [record(POINTER, A, 60, address(PLC.address))]
    packet = udp(HMI, PLC, 46701, 53, dns(1, 0x0100, [query]))
    recorder.add(2.0, link(packet, HMI.mac, PLC.mac))
    packet = udp(PLC, HMI, 53, 46701, dns(1, 0x8180, [query], answer))
    recorder.add(2.002, link(packet, PLC.mac, HMI.mac))
    talk = Talk(recorder, HMI, PLC, 46702, 80, link=link)
    talk.open(3.0)
    talk.ask(3.01, http.GET, http.GOT)
    talk.close(3.02)
    packet = udp(stations.UNNUMBERED, stations.EVERYBODY, 68, 67, stations.DISCOVER)
    bridge(4.0, ethernet(packet, stations.UNNUMBERED.mac, stations.EVERYBODY.mac))
    return Capture("tunnel_applications", recorder)


def nested() -> Capture:
    """Tunnels in tunnels: GRE in VXLAN, and IP in IP up to and beyond what is followed."""
    recorder = Recorder()

    def gre_in_vxlan(packet: bytes, source: str, destination: str) -> bytes:
        near, far = ("10.1.0.1", "10.1.0.2") if source == HMI.mac else ("10.1.0.2", "10.1.0.1")
        inner = ipv4(near, far, 47, bytes.fromhex("00000800") + packet)
        return in_udp_link(4789, bytes.fromhex("08000000 00004d00"))(inner, source, destination)

    datagrams(recorder, gre_in_vxlan, HMI, PLC, 46801, 0.0)
    for at, network, depth in ((1.0, 2, 4), (2.0, 3, 5)):
        packet = udp(HMI, PLC, 46800 + network, 9700, b"q" * 10)
        for level in range(depth, 0, -1):
            packet = ipv4(f"10.{network}.{level}.1", f"10.{network}.{level}.2", 4, packet)
        recorder.add(at, ethernet(packet, EAST.mac, WEST.mac))
    return Capture("tunnel_nested", recorder)
