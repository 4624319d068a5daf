"""UDP, ICMP and ICMPv6 as connections: directions, time-outs, lengths."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import (
    ENGINEER,
    HMI,
    HMI6,
    PLC,
    PLC6,
    Host,
    arp,
    echo,
    ethernet,
    icmp,
    ipv4,
    udp,
)

GROUP = Host("01:00:5e:01:01:01", "239.1.1.1")
ALL_ROUTERS = Host("33:33:00:00:00:02", "ff02::2")
ALL_NODES = Host("33:33:00:00:00:01", "ff02::1")
MLD_ROUTERS = Host("33:33:00:00:00:16", "ff02::16")
LINK_LOCAL_HMI = Host(HMI6.mac, "fe80::2")
ROUTER = Host("02:00:00:00:00:fe", "fe80::fe")


def build() -> list[Capture]:
    """The captures ``udp`` and ``icmp``."""
    return [datagrams(), messages()]


def datagrams() -> Capture:
    """UDP."""
    recorder = Recorder()

    def send(
        at: float, source: Host, destination: Host, ports: tuple[int, int], payload: bytes
    ) -> None:
        packet = udp(source, destination, ports[0], ports[1], payload)
        recorder.add(at, ethernet(packet, source.mac, destination.mac))

    # One way.
    send(0.0, HMI, PLC, (43001, 9700), b"x" * 10)
    send(0.5, HMI, PLC, (43001, 9700), b"x" * 12)
    # Both ways.
    send(1.0, HMI, PLC, (43002, 9700), b"x" * 10)
    send(1.001, PLC, HMI, (9700, 43002), b"y" * 30)
    # Only the answer is seen, from a port known for servers (syslog's).
    send(2.0, PLC, HMI, (514, 43003), b"\0" * 4)
    send(2.5, PLC, HMI, (514, 43003), b"\0" * 4)
    # Multicast.
    send(3.0, HMI, GROUP, (43004, 9700), b"x" * 20)
    # No payload; Ethernet pads the frame.
    packet = udp(HMI, PLC, 43005, 9700, b"")
    recorder.add(4.0, ethernet(packet + b"\0" * 18, HMI.mac, PLC.mac))
    # A UDP length (12) below the packet's, twice.
    short = bytes.fromhex("a7fe 25e4 000c 0000") + b"x" * 12
    packet = ipv4(HMI.address, PLC.address, 17, short)
    recorder.add(5.0, ethernet(packet, HMI.mac, PLC.mac))
    recorder.add(5.5, ethernet(packet, HMI.mac, PLC.mac))
    # Half a UDP header.
    packet = ipv4(HMI.address, PLC.address, 17, bytes.fromhex("a7ff 25e4"))
    recorder.add(6.0, ethernet(packet, HMI.mac, PLC.mac))
    # IPv6.
    send(7.0, HMI6, PLC6, (43008, 9700), b"x" * 10)
    send(7.002, PLC6, HMI6, (9700, 43008), b"y" * 6)
    # Silence of less than the time-out (1 minute), then of more.
    send(10.0, HMI, PLC, (43009, 9700), b"x" * 10)
    send(69.0, HMI, PLC, (43009, 9700), b"x" * 10)
    send(130.0, HMI, PLC, (43009, 9700), b"x" * 10)
    # The answer comes after the time-out: a connection of the other direction.
    send(140.0, HMI, PLC, (43010, 9700), b"x" * 10)
    send(201.0, PLC, HMI, (9700, 43010), b"y" * 10)
    return Capture("udp", recorder)


def messages() -> Capture:
    """ICMP and ICMPv6."""
    recorder = Recorder()

    def send(at: float, source: Host, destination: Host, kind: int, code: int, body: bytes) -> None:
        packet = icmp(source, destination, kind, code, body)
        recorder.add(at, ethernet(packet, source.mac, destination.mac))

    # Echo with replies; the sequence number does not tell connections apart.
    for number in range(3):
        send(0.0 + number, HMI, PLC, 8, 0, echo(7, number, b"p" * 32))
        send(0.001 + number, PLC, HMI, 0, 0, echo(7, number, b"p" * 32))
    # Echo without a reply.
    send(5.0, HMI, Host("02:00:00:00:00:63", "192.168.10.99"), 8, 0, echo(7, 0, b"p" * 32))
    # Port unreachable, with the datagram that caused it.
    cause = udp(HMI, PLC, 43100, 9999, b"x" * 10)
    recorder.add(6.0, ethernet(cause, HMI.mac, PLC.mac))
    send(6.001, PLC, HMI, 3, 3, b"\0\0\0\0" + cause[:28])
    # Timestamp and its reply.
    send(7.0, HMI, PLC, 13, 0, echo(9, 1, b"\0" * 12))
    send(7.001, PLC, HMI, 14, 0, echo(9, 1, b"\0" * 12))
    # A reply whose request was not seen.
    send(8.0, ENGINEER, HMI, 0, 0, echo(8, 0, b"p" * 8))
    # Silence beyond the time-out (1 minute).
    send(80.0, HMI, PLC, 8, 0, echo(7, 0, b"p" * 16))
    send(141.0, HMI, PLC, 8, 0, echo(7, 1, b"p" * 16))
    # ICMPv6 echo.
    send(150.0, HMI6, PLC6, 128, 0, echo(7, 0, b"p" * 32))
    send(150.001, PLC6, HMI6, 129, 0, echo(7, 0, b"p" * 32))
    # Router solicitation and advertisement.
    send(151.0, LINK_LOCAL_HMI, ALL_ROUTERS, 133, 0, b"\0" * 4)
    send(151.1, ROUTER, ALL_NODES, 134, 0, b"\x40\0\x07\x08" + b"\0" * 8)
    # Multicast listener report, version 2.
    report = b"\0\0\0\x01" + b"\x04\0\0\0" + bytes.fromhex("ff0200000000000000000001ff000002")
    send(152.0, LINK_LOCAL_HMI, MLD_ROUTERS, 143, 0, report)
    # Port unreachable in IPv6.
    send(153.0, PLC6, HMI6, 1, 4, b"\0\0\0\0" + udp(HMI6, PLC6, 43101, 9999, b"x" * 8))
    # A frame that is no IP at all.
    recorder.add(
        154.0, arp(1, HMI.mac, HMI.address, "00:00:00:00:00:00", PLC.address, source=HMI.mac)
    )
    return Capture("icmp", recorder)
