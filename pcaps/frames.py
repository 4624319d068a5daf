"""Frames by scapy, with every field that scapy would otherwise choose decided here.

Scapy looks up routes, addresses and neighbours for fields left open, and its defaults have changed
between releases; a reference capture must not depend on either. Hence: no layer is built outside
this module without its addresses, identification and lengths being given or computed from the
given ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6Unknown, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from pcaps.capture import Recorder

Link = Callable[[bytes, str, str], bytes]
"""Puts an IP packet on a link: (packet, source MAC, destination MAC) → frame."""


class Host:
    """A station: its MAC and its address, IPv4 or IPv6."""

    def __init__(self, mac: str, address: str) -> None:
        self.mac = mac
        self.address = address

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 one."""
        return ":" in self.address


def octets(layers: Any) -> bytes:
    """The packet that scapy builds of ``layers``."""
    return bytes(layers)


def ethernet(packet: bytes, source: str, destination: str) -> bytes:
    """An Ethernet frame around an IP packet, its type by the packet's version."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return frame(source, destination, kind, packet)


def frame(source: str, destination: str, kind: int, payload: bytes) -> bytes:
    """An Ethernet frame of the given type."""
    macs = bytes.fromhex((destination + source).replace(":", ""))
    return macs + kind.to_bytes(2, "big") + payload


def llc_snap(packet: bytes) -> bytes:
    """An IP packet behind LLC and SNAP, its type by its version."""
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return b"\xaa\xaa\x03\x00\x00\x00" + kind + packet


def mac_octets(text: str) -> bytes:
    """The octets of a MAC."""
    return bytes.fromhex(text.replace(":", ""))


def tagged(*identifiers: int, service_tag: bool = False) -> Link:
    """A link that puts 802.1Q tags on; with ``service_tag`` the outer one is 802.1ad's."""

    def put(packet: bytes, source: str, destination: str) -> bytes:
        kinds = [0x8100] * len(identifiers) + [0x86DD if packet[0] >> 4 == 6 else 0x0800]
        if service_tag:
            kinds[0] = 0x88A8
        layers: Any = Ether(src=source, dst=destination, type=kinds[0])
        for identifier, kind in zip(identifiers, kinds[1:], strict=True):
            layers = layers / Dot1Q(prio=0, vlan=identifier, type=kind)
        return octets(layers / Raw(packet))

    return put


def ipv4(
    source: str, destination: str, protocol: int, payload: bytes,
    *, ident: int = 1, ttl: int = 64, flags: str = "DF", offset: int = 0, tos: int = 0,
    options: bytes = b"",
) -> bytes:  # fmt: skip
    """An IPv4 packet; ``offset`` in units of eight octets, as on the wire."""
    words = 5 + len(options) // 4
    header = IP(
        version=4, ihl=words, tos=tos, len=4 * words + len(payload), id=ident, flags=flags,
        frag=offset, ttl=ttl, proto=protocol, src=source, dst=destination,
    )  # fmt: skip
    if not options:
        return octets(header / Raw(payload))
    bare = bytearray(octets(header))[:20] + options
    bare[10:12] = b"\0\0"
    bare[10:12] = checksum(bytes(bare)).to_bytes(2, "big")
    return bytes(bare) + payload


def ipv6(
    source: str, destination: str, next_header: int, payload: bytes,
    *, hop_limit: int = 64, flow_label: int = 0, traffic_class: int = 0,
) -> bytes:  # fmt: skip
    """An IPv6 packet."""
    header = IPv6(
        version=6, tc=traffic_class, fl=flow_label, plen=len(payload), nh=next_header,
        hlim=hop_limit, src=source, dst=destination,
    )  # fmt: skip
    return octets(header / Raw(payload))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(data[i] << 8 | data[i + 1] for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(
    source: Host, destination: Host, transport: Any, protocol: int,
    *, ident: int = 1, ttl: int = 64, flow_label: int = 0, tos: int = 0, flags: str = "DF",
) -> bytes:  # fmt: skip
    """An IP packet of the hosts' version around a scapy transport layer, checksum computed."""
    if source.is_ipv6:
        return octets(
            IPv6(
                version=6, tc=tos, fl=flow_label, nh=protocol, hlim=ttl,
                src=source.address, dst=destination.address,
            )
            / transport
        )  # fmt: skip
    return octets(
        IP(
            version=4, tos=tos, id=ident, flags=flags, frag=0, ttl=ttl, proto=protocol,
            src=source.address, dst=destination.address,
        )
        / transport
    )  # fmt: skip


def udp(
    source: Host, destination: Host, source_port: int, destination_port: int, payload: bytes,
    *, ident: int = 1, ttl: int = 64,
) -> bytes:  # fmt: skip
    """An IP packet with a UDP datagram."""
    layer = UDP(sport=source_port, dport=destination_port) / Raw(payload)
    return ip_packet(source, destination, layer, 17, ident=ident, ttl=ttl)


def icmp(
    source: Host, destination: Host, kind: int, code: int, body: bytes, *, ident: int = 1
) -> bytes:
    """An ICMP or ICMPv6 message: ``body`` is what follows type, code and checksum."""
    if source.is_ipv6:
        layer = ICMPv6Unknown(type=kind, code=code, msgbody=body)
        return ip_packet(source, destination, layer, 58, ttl=255)
    bare = bytes([kind, code, 0, 0]) + body
    whole = bare[:2] + checksum(bare).to_bytes(2, "big") + body
    return ipv4(source.address, destination.address, 1, whole, ident=ident, flags="")


def echo(identifier: int, sequence: int, data: bytes) -> bytes:
    """Body of an echo request or reply."""
    return identifier.to_bytes(2, "big") + sequence.to_bytes(2, "big") + data


def arp(
    operation: int, sender_mac: str, sender: str, target_mac: str, target: str,
    *, source: str | None = None, destination: str = "ff:ff:ff:ff:ff:ff",
) -> bytes:  # fmt: skip
    """An Ethernet frame with an ARP packet; the frame's source is the sender's MAC if not given."""
    return octets(
        Ether(src=source or sender_mac, dst=destination, type=0x0806)
        / ARP(
            hwtype=1, ptype=0x0800, hwlen=6, plen=4, op=operation,
            hwsrc=sender_mac, psrc=sender, hwdst=target_mac, pdst=target,
        )
    )  # fmt: skip


SYN_OPTIONS: list[tuple[str, Any]] = [("MSS", 1460)]
"""The options of a SYN where the recipe says nothing else."""


class Talk:
    """A TCP conversation: keeps both sides' sequence numbers and identifications.

    ``"c"`` is the client's side, ``"s"`` the server's. Sequence numbers are the recipe's, so that
    a reader can follow them in a packet viewer.
    """

    def __init__(
        self,
        recorder: Recorder,
        client: Host,
        server: Host,
        client_port: int,
        server_port: int,
        *,
        link: Link = ethernet,
        client_isn: int = 1000,
        server_isn: int = 5000,
        ttl: int = 64,
    ) -> None:
        self.recorder = recorder
        self.link = link
        self.hosts = {"c": client, "s": server}
        self.ports = {"c": client_port, "s": server_port}
        self.next = {"c": client_isn, "s": server_isn}
        self.ident = {"c": 1, "s": 1}
        self.ttl = ttl

    def packet(
        self, side: str, flags: str, payload: bytes = b"",
        *, seq: int | None = None, ack: int | None = None, window: int = 8192,
        options: list[tuple[str, Any]] | None = None, urgent: int = 0, count: bool = True,
    ) -> bytes:  # fmt: skip
        """The IP packet of one segment; advances the side's sequence number if ``count``."""
        other = "s" if side == "c" else "c"
        sequence = self.next[side] if seq is None else seq
        acknowledged = ack
        if acknowledged is None:
            acknowledged = self.next[other] if "A" in flags else 0
        if options is None:
            options = SYN_OPTIONS if "S" in flags else []
        layer = TCP(
            sport=self.ports[side], dport=self.ports[other],
            seq=sequence & 0xFFFFFFFF, ack=acknowledged & 0xFFFFFFFF, reserved=0, flags=flags,
            window=window, urgptr=urgent, options=options,
        )  # fmt: skip
        packet = ip_packet(
            self.hosts[side], self.hosts[other], layer / Raw(payload) if payload else layer, 6,
            ident=self.ident[side], ttl=self.ttl,
        )  # fmt: skip
        self.ident[side] += 1
        if count:
            used = len(payload) + ("S" in flags) + ("F" in flags)
            self.next[side] = max(self.next[side], sequence + used)
        return packet

    def send(
        self, at: float, side: str, flags: str, payload: bytes = b"",
        *, seq: int | None = None, ack: int | None = None, window: int = 8192,
        options: list[tuple[str, Any]] | None = None, urgent: int = 0, count: bool = True,
        keep: int | None = None,
    ) -> None:  # fmt: skip
        """Record one segment."""
        other = "s" if side == "c" else "c"
        packet = self.packet(
            side, flags, payload, seq=seq, ack=ack, window=window, options=options,
            urgent=urgent, count=count,
        )  # fmt: skip
        put = self.link(packet, self.hosts[side].mac, self.hosts[other].mac)
        self.recorder.add(at, put, keep=keep)

    def lose(self, side: str, length: int) -> None:
        """Let ``length`` octets of a side go by unseen."""
        self.next[side] += length

    def open(self, at: float, *, step: float = 0.001) -> float:
        """Three-way handshake; answers the time of the last segment."""
        self.send(at, "c", "S")
        self.send(at + step, "s", "SA")
        self.send(at + 2 * step, "c", "A")
        return at + 2 * step

    def ask(self, at: float, request: bytes, response: bytes, *, step: float = 0.001) -> float:
        """A request acknowledged by its response, and the response's acknowledgement."""
        self.send(at, "c", "PA", request)
        self.send(at + step, "s", "PA", response)
        self.send(at + 2 * step, "c", "A")
        return at + 2 * step

    def close(self, at: float, *, first: str = "c", step: float = 0.001) -> float:
        """FIN, FIN+ACK, ACK."""
        second = "s" if first == "c" else "c"
        self.send(at, first, "FA")
        self.send(at + step, second, "FA")
        self.send(at + 2 * step, first, "A")
        return at + 2 * step


PLC = Host("02:00:00:00:00:01", "192.168.10.1")
HMI = Host("02:00:00:00:00:02", "192.168.10.2")
ENGINEER = Host("02:00:00:00:00:03", "192.168.10.3")
SERVER = Host("02:00:00:00:00:04", "192.168.10.4")
PLC6 = Host("02:00:00:00:00:01", "fd00::1:1")
HMI6 = Host("02:00:00:00:00:02", "fd00::1:2")


def exchange(
    recorder: Recorder, link: Link, client: Host, server: Host, port: int, at: float
) -> None:
    """A complete TCP connection (10 octets one way, 20 back) and a UDP request with its answer.

    The recipes about what lies below IP use it: whatever carries it, its rows are the same.
    """
    talk = Talk(recorder, client, server, port, 9600, link=link)
    talk.open(at)
    talk.ask(at + 0.01, b"q" * 10, b"r" * 20)
    talk.close(at + 0.02)
    datagrams(recorder, link, client, server, port, at + 0.5)


def datagrams(
    recorder: Recorder, link: Link, client: Host, server: Host, port: int, at: float
) -> None:
    """The UDP part of ``exchange`` alone."""
    request = udp(client, server, port, 9700, b"q" * 10)
    answer = udp(server, client, 9700, port, b"r" * 6)
    recorder.add(at, link(request, client.mac, server.mac))
    recorder.add(at + 0.001, link(answer, server.mac, client.mac))
