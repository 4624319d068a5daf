"""Address resolution: ARP and IPv6 neighbour discovery."""

from __future__ import annotations

import ipaddress

from scapy.layers.l2 import ARP, Dot1Q, Ether

from pcaps.capture import Capture, Recorder
from pcaps.frames import ENGINEER, HMI, PLC, Host, Link, arp, ethernet, icmp, octets, tagged

BROADCAST = "ff:ff:ff:ff:ff:ff"
ZERO = "00:00:00:00:00:00"

HMI_LL = Host(HMI.mac, "fe80::2")
PLC_LL = Host(PLC.mac, "fe80::1")
UNSPECIFIED = Host(HMI.mac, "::")
SOLICITED_PLC = Host("33:33:ff:00:00:01", "ff02::1:ff00:1")
SOLICITED_HMI = Host("33:33:ff:00:00:02", "ff02::1:ff00:2")
ALL_NODES = Host("33:33:00:00:00:01", "ff02::1")


def build() -> list[Capture]:
    """The captures ``arp`` and ``neighbor_discovery``."""
    return [address_resolution(), discovery()]


def address_resolution() -> Capture:
    """ARP."""
    recorder = Recorder()
    # Request and reply.
    recorder.add(0.0, arp(1, HMI.mac, HMI.address, ZERO, PLC.address))
    recorder.add(0.001, arp(2, PLC.mac, PLC.address, HMI.mac, HMI.address, destination=HMI.mac))
    # Gratuitous request and gratuitous reply.
    recorder.add(1.0, arp(1, PLC.mac, PLC.address, ZERO, PLC.address))
    recorder.add(1.5, arp(2, PLC.mac, PLC.address, BROADCAST, PLC.address))
    # Probe: the asker has no address yet.
    recorder.add(2.0, arp(1, ENGINEER.mac, "0.0.0.0", ZERO, ENGINEER.address))
    # Unicast request.
    recorder.add(3.0, arp(1, HMI.mac, HMI.address, PLC.mac, PLC.address, destination=PLC.mac))
    # The same request twice: two rows.
    recorder.add(4.0, arp(1, HMI.mac, HMI.address, ZERO, "192.168.10.99"))
    recorder.add(5.0, arp(1, HMI.mac, HMI.address, ZERO, "192.168.10.99"))
    # On a VLAN, and padded to the shortest Ethernet frame.
    tagged_request = octets(
        Ether(src=HMI.mac, dst=BROADCAST, type=0x8100)
        / Dot1Q(prio=0, vlan=10, type=0x0806)
        / ARP(
            hwtype=1, ptype=0x0800, hwlen=6, plen=4, op=1,
            hwsrc=HMI.mac, psrc=HMI.address, hwdst=ZERO, pdst=PLC.address,
        )
    )  # fmt: skip
    recorder.add(6.0, tagged_request + b"\0" * 14)
    # Sender's MAC differs from the frame's source.
    recorder.add(7.0, arp(1, PLC.mac, PLC.address, ZERO, HMI.address, source=ENGINEER.mac))
    # Neither request nor reply: RARP's request (3), an undefined operation.
    recorder.add(8.0, arp(3, HMI.mac, "0.0.0.0", HMI.mac, "0.0.0.0"))
    recorder.add(8.1, arp(99, HMI.mac, HMI.address, ZERO, PLC.address))
    # Not of IPv4 over Ethernet: other hardware, other protocol, other lengths.
    whole = arp(1, HMI.mac, HMI.address, ZERO, PLC.address)
    recorder.add(9.0, whole[:15] + b"\x20" + whole[16:])
    recorder.add(9.1, whole[:16] + b"\x86\xdd" + whole[18:])
    recorder.add(9.2, whole[:18] + b"\x08" + whole[19:] + b"\0" * 4)
    # Cut short on the wire.
    recorder.add(10.0, whole[:38])
    return Capture("arp", recorder)


def solicitation(target: str, option: str | None) -> bytes:
    """Body of a neighbour solicitation, with the source's link-layer address or without."""
    body = b"\0" * 4 + ipaddress.IPv6Address(target).packed
    return body if option is None else body + b"\x01\x01" + bytes.fromhex(option.replace(":", ""))


def advertisement(flags: int, target: str, option: str) -> bytes:
    """Body of a neighbour advertisement."""
    body = bytes([flags, 0, 0, 0]) + ipaddress.IPv6Address(target).packed
    return body + b"\x02\x01" + bytes.fromhex(option.replace(":", ""))


def discovery() -> Capture:
    """Neighbour solicitations and advertisements."""
    recorder = Recorder()

    def send(
        at: float, source: Host, destination: Host, kind: int, body: bytes, link: Link = ethernet
    ) -> None:
        packet = icmp(source, destination, kind, 0, body)
        recorder.add(at, link(packet, source.mac, destination.mac))

    # Resolution: to the solicited-node group, and back to the asker.
    send(0.0, HMI_LL, SOLICITED_PLC, 135, solicitation("fe80::1", HMI.mac))
    send(0.001, PLC_LL, HMI_LL, 136, advertisement(0x60, "fe80::1", PLC.mac))
    # Reachability probe, unicast both ways.
    send(1.0, HMI_LL, PLC_LL, 135, solicitation("fe80::1", HMI.mac))
    send(1.001, PLC_LL, HMI_LL, 136, advertisement(0x40, "fe80::1", PLC.mac))
    # Duplicate address detection: from the unspecified address.
    send(2.0, UNSPECIFIED, SOLICITED_HMI, 135, solicitation("fe80::2", None))
    # Unsolicited advertisement to all nodes.
    send(3.0, PLC_LL, ALL_NODES, 136, advertisement(0x20, "fe80::1", PLC.mac))
    # On a VLAN; the target is not the responder's address but another of its own.
    host = Host(HMI.mac, "fd00::1:2")
    group = Host("33:33:ff:01:00:01", "ff02::1:ff01:1")
    send(4.0, host, group, 135, solicitation("fd00::1:1", HMI.mac), tagged(10))
    send(4.001, PLC_LL, host, 136, advertisement(0x60, "fd00::1:1", PLC.mac), tagged(10))
    # No room for a target.
    send(5.0, HMI_LL, SOLICITED_PLC, 135, b"\0" * 12)
    return Capture("neighbor_discovery", recorder)
