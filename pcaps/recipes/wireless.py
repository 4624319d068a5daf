"""Wireless Ethernet (802.11), with and without a radiotap header."""

from __future__ import annotations

from pcaps.capture import RADIOTAP, WIRELESS, Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    datagrams,
    exchange,
    llc_snap,
    mac_octets,
    udp,
)
from pcaps.recipes import tunnels

ACCESS_POINT = "02:00:00:00:00:aa"
FAR_ACCESS_POINT = "02:00:00:00:00:ab"


def build() -> list[Capture]:
    """The captures ``link_802_11``, ``link_802_11_aggregated``, ``link_radiotap`` and
    ``tunnel_gre_wireless``."""
    return [wireless(), aggregated(), radiotap(), in_gre()]


def _data(
    directions: int, addresses: list[str], body: bytes, *, kind: int = 0x08, more: int = 0,
    last: bytes = b"",
) -> bytes:  # fmt: skip
    """An 802.11 frame; ``last`` is what follows the sequence control (fourth address, QoS)."""
    first = b"".join(mac_octets(address) for address in addresses)
    return bytes([kind, directions | more]) + b"\0\0" + first + b"\0\0" + last + body


def infrastructure(packet: bytes, source: str, destination: str) -> bytes:
    """By way of an access point: the HMI's frames go to it, the others come from it."""
    if source == HMI.mac:
        return _data(1, [ACCESS_POINT, source, destination], llc_snap(packet))
    return _data(2, [destination, ACCESS_POINT, source], llc_snap(packet))


def independent(packet: bytes, source: str, destination: str) -> bytes:
    """From station to station."""
    return _data(0, [destination, source, ACCESS_POINT], llc_snap(packet))


def between_access_points(packet: bytes, source: str, destination: str) -> bytes:
    """Four addresses and a QoS field."""
    addresses = [FAR_ACCESS_POINT, ACCESS_POINT, destination]
    return _data(3, addresses, llc_snap(packet), kind=0x88, last=mac_octets(source) + b"\0\0")


def wireless() -> Capture:
    """802.11: the four uses of the addresses, and frames that hold no packet."""
    recorder = Recorder()
    exchange(recorder, infrastructure, HMI, PLC, 44001, 0.0)
    datagrams(recorder, independent, HMI6, PLC6, 44002, 1.0)
    datagrams(recorder, between_access_points, HMI, PLC, 44003, 2.0)
    # A beacon, an acknowledgement, a frame without data, an encrypted one.
    packet = llc_snap(udp(HMI, PLC, 44004, 9700, b"q" * 10))
    addresses = [ACCESS_POINT, HMI.mac, PLC.mac]
    recorder.add(3.0, _data(0, addresses, packet, kind=0x80))
    recorder.add(3.1, _data(0, addresses, packet, kind=0xD4))
    recorder.add(3.2, _data(1, addresses, packet, kind=0x48))
    recorder.add(3.3, _data(1, addresses, packet, kind=0x88, more=0x40, last=b"\0\0"))
    # LLC of another kind (spanning tree).
    recorder.add(3.4, _data(1, addresses, b"\x42\x42\x03" + packet))
    return Capture("link_802_11", recorder, link_type=WIRELESS)


def radiotap() -> Capture:
    """802.11 behind a radiotap header of 8 octets, then of 10; and one that is too long."""
    recorder = Recorder()

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return b"\0\0\x08\0\0\0\0\0" + infrastructure(packet, source, destination)

    def longer(packet: bytes, source: str, destination: str) -> bytes:
        return b"\0\0\x0a\0\2\0\0\0\0\0" + infrastructure(packet, source, destination)

    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    datagrams(recorder, longer, HMI6, PLC6, 44002, 1.0)
    broken = bytearray(link(udp(HMI, PLC, 44003, 9700, b"q" * 10), HMI.mac, PLC.mac))
    broken[2:4] = len(broken).to_bytes(2, "little")
    recorder.add(2.0, bytes(broken))
    return Capture("link_radiotap", recorder, link_type=RADIOTAP)


def aggregated() -> Capture:
    """Two packets in one frame (A-MSDU), padded after the first to a multiple of four octets."""
    recorder = Recorder()

    def subframe(packet: bytes) -> bytes:
        body = llc_snap(packet)
        return mac_octets(PLC.mac) + mac_octets(HMI.mac) + len(body).to_bytes(2, "big") + body

    # 8 + 28 + 9 octets: here the standard's padding is Zeek's too.
    first = subframe(udp(HMI, PLC, 44001, 9700, b"q" * 9))
    second = subframe(udp(HMI, PLC, 44002, 9700, b"q" * 10))
    addresses = [ACCESS_POINT, HMI.mac, PLC.mac]
    body = first + b"\0" + second
    recorder.add(0.0, _data(1, addresses, body, kind=0x88, last=b"\x80\0"))
    return Capture("link_802_11_aggregated", recorder, link_type=WIRELESS)


def in_gre() -> Capture:
    """802.11 in GRE, as access points send it to their controller."""
    recorder = Recorder()
    gre = tunnels.in_ip_link(47, bytes.fromhex("00008200"))

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return gre(infrastructure(packet, source, destination), source, destination)

    datagrams(recorder, link, HMI, PLC, 46121, 0.0)
    return Capture("tunnel_gre_wireless", recorder)
