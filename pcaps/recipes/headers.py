"""IP headers: IPv6's extension headers, and lengths that segmentation offload leaves at zero."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, HMI6, PLC, PLC6, Host, Talk, echo, ethernet, icmp, ipv6, udp
from pcaps.messages import address

FINS = 9600
NINTH = Host(PLC6.mac, "fd00::1:9")
HOME = Host(HMI6.mac, "fd00::1:8")


def build() -> list[Capture]:
    """The captures ``ipv6_headers`` and ``offload``."""
    return [ipv6_headers(), offload()]


HOP_BY_HOP, ROUTING, ESP, AUTHENTICATION, NO_NEXT, DESTINATION, MOBILITY = (
    0,
    43,
    50,
    51,
    59,
    60,
    135,
)
PADDING = b"\x01\x04\0\0\0\0"
"""Six octets of options that say nothing."""


def _behind(packet: bytes, *headers: tuple[int, bytes]) -> bytes:
    """The IPv6 packet with extension headers: their numbers, and their octets but the first."""
    numbers = [number for number, _ in headers] + [packet[6]]
    chain = b"".join(
        bytes([following]) + header
        for (_, header), following in zip(headers, numbers[1:], strict=True)
    )
    length = len(packet) - 40 + len(chain)
    return (
        packet[:4]
        + length.to_bytes(2, "big")
        + bytes([numbers[0]])
        + packet[7:40]
        + chain
        + packet[40:]
    )


def ipv6_headers() -> Capture:
    """One datagram behind each header and some chains of them."""
    recorder = Recorder()

    def put(at: float, packet: bytes, source: Host = HMI6, destination: Host = PLC6) -> None:
        recorder.add(at, ethernet(packet, source.mac, destination.mac))

    def datagram(port: int) -> bytes:
        return udp(HMI6, PLC6, port, 9700, b"q" * 10)

    options = b"\0" + PADDING
    put(0.0, _behind(datagram(49701), (HOP_BY_HOP, options)))
    arrived = b"\0\0\0\0\0\0\0"
    put(
        1.0,
        _behind(datagram(49702), (HOP_BY_HOP, options), (DESTINATION, options), (ROUTING, arrived)),
    )
    # A source route with one station left; the station answers for itself.
    route = b"\x02\x00\x01\0\0\0\0" + address(NINTH.address)
    put(2.0, _behind(datagram(49703), (ROUTING, route)))
    put(2.001, udp(NINTH, HMI6, 9700, 49703, b"r" * 6), PLC6, HMI6)
    # A mobile station's home address.
    home = b"\x02" + b"\xc9\x10" + address(HOME.address) + b"\x01\x02\0\0"
    put(3.0, _behind(datagram(49704), (DESTINATION, home)))
    authentication = b"\x04\0\0" + b"\0\0\0\x01" + b"\0\0\0\x01" + b"\xaa" * 12
    put(4.0, _behind(datagram(49705), (AUTHENTICATION, authentication)))
    # What ends a chain.
    put(5.0, ipv6(HMI6.address, PLC6.address, ESP, b"\0\0\0\x01" + b"\0\0\0\x01" + b"\xee" * 16))
    put(6.0, ipv6(HMI6.address, PLC6.address, NO_NEXT, b"x" * 8))
    put(7.0, ipv6(HMI6.address, PLC6.address, MOBILITY, b"\x3b\0\0\0\0\0\0\0"))
    # A header that is longer than its packet.
    put(8.0, _behind(datagram(49706), (HOP_BY_HOP, b"\xff" + PADDING)))
    # ICMPv6 and TCP behind a header.
    put(9.0, _behind(icmp(HMI6, PLC6, 128, 0, echo(7, 0, b"p" * 32)), (HOP_BY_HOP, options)))
    talk = Talk(recorder, HMI6, PLC6, 49707, FINS)
    put(10.0, _behind(talk.packet("c", "S"), (DESTINATION, options)))
    talk.send(10.001, "s", "SA")
    return Capture("ipv6_headers", recorder)


def offload() -> Capture:
    """IP lengths of zero, as a sender sees them whose interface cuts up what it sends."""
    recorder = Recorder()

    def without_length(packet: bytes) -> bytes:
        if packet[0] >> 4 == 6:
            return packet[:4] + b"\0\0" + packet[6:]
        return packet[:2] + b"\0\0" + packet[4:]

    def put(at: float, packet: bytes) -> None:
        recorder.add(at, ethernet(without_length(packet), HMI.mac, PLC.mac))

    for at in (0.0, 0.5):
        put(at, udp(HMI, PLC, 49601, 9700, b"q" * 10))
    # One segment of more than fits on the wire.
    talk = Talk(recorder, HMI, PLC, 49602, FINS)
    talk.open(1.0)
    put(1.01, talk.packet("c", "PA", b"x" * 3000))
    talk.send(1.011, "s", "A")
    talk.close(1.02)
    for number, at in enumerate((2.0, 2.5)):
        put(at, icmp(HMI, PLC, 8, 0, echo(7, number, b"p" * 32)))
    # IPv6, where zero is the length of the payload.
    for at in (3.0, 3.5):
        put(at, udp(HMI6, PLC6, 49603, 9700, b"q" * 10))
    put(4.0, Talk(recorder, HMI6, PLC6, 49604, FINS).packet("c", "S"))
    # What Ethernet pads cannot be told from the packet.
    for at in (5.0, 5.5):
        packet = without_length(udp(HMI, PLC, 49605, 9700, b"q" * 4))
        recorder.add(at, ethernet(packet + b"\0" * 14, HMI.mac, PLC.mac))
    return Capture("offload", recorder)
