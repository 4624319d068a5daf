"""IP protocols other than TCP, UDP and ICMP: the flows of yaf_flow.log."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, SERVER, Host, Link, ethernet, ipv4, ipv6, tagged

IGMP, GRE, ESP, AH, OSPF, PIM, VRRP = 2, 47, 50, 51, 89, 103, 112

ROUTERS = Host("01:00:5e:00:00:05", "224.0.0.5")
REPORTS = Host("01:00:5e:00:00:16", "224.0.0.22")
VIRTUAL = Host("01:00:5e:00:00:12", "224.0.0.18")
ROUTERS6 = Host("33:33:00:00:00:05", "ff02::5")
MASTER = Host("00:00:5e:00:01:0a", "192.168.10.250")
HMI_LL = Host(HMI.mac, "fe80::2")
PLC_LL = Host(PLC.mac, "fe80::1")


def build() -> list[Capture]:
    """The captures ``other_protocols`` and ``other_protocols_times``."""
    return [kinds(), times()]


class Film:
    """Sends packets of any protocol."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def send(
        self, at: float, source: Host, destination: Host, protocol: int, length: int,
        *, link: Link = ethernet, flags: str = "DF", ident: int = 1, offset: int = 0,
        options: bytes = b"",
    ) -> None:  # fmt: skip
        """Record an IPv4 packet with so many octets of payload."""
        packet = ipv4(
            source.address, destination.address, protocol, b"\x11" * length,
            ident=ident, flags=flags, offset=offset, options=options,
        )  # fmt: skip
        self.recorder.add(at, link(packet, source.mac, destination.mac))

    def send6(
        self, at: float, source: Host, destination: Host, next_header: int, payload: bytes
    ) -> None:
        """Record an IPv6 packet."""
        packet = ipv6(source.address, destination.address, next_header, payload)
        self.recorder.add(at, ethernet(packet, source.mac, destination.mac))


def kinds() -> Capture:
    """Protocols, VLANs, directions, fragments."""
    film = Film()
    # IGMP, with the router alert option; the HMI and the PLC report to one group.
    alert = b"\x94\x04\0\0"
    film.send(0.0, HMI, REPORTS, IGMP, 16, options=alert)
    film.send(0.1, PLC, REPORTS, IGMP, 16, options=alert)
    film.send(0.7, HMI, REPORTS, IGMP, 16, options=alert)
    # OSPF, VRRP.
    for count in range(3):
        film.send(1.0 + 10 * count, SERVER, ROUTERS, OSPF, 44)
        film.send(1.5 + count, MASTER, VIRTUAL, VRRP, 20)
    # ESP both ways; the answer after 20 ms.
    film.send(2.0, HMI, PLC, ESP, 100)
    film.send(2.02, PLC, HMI, ESP, 60)
    film.send(2.5, HMI, PLC, ESP, 100)
    # AH, the undefined protocol 0, experimental 253; nothing but a header.
    film.send(3.0, HMI, PLC, AH, 40)
    film.send(3.1, HMI, PLC, 0, 30)
    film.send(3.2, PLC, HMI, 0, 10)
    film.send(3.3, HMI, PLC, 253, 0)
    # One pair of stations on two VLANs and on none: three flows.
    film.send(4.0, HMI, PLC, GRE, 24)
    film.send(4.1, HMI, PLC, GRE, 24, link=tagged(10))
    film.send(4.2, PLC, HMI, GRE, 24, link=tagged(10))
    film.send(4.3, HMI, PLC, GRE, 24, link=tagged(4094))
    # A datagram in three fragments, and one that lacks its middle.
    film.send(5.0, SERVER, PLC, OSPF, 1480, flags="MF", ident=7)
    film.send(5.001, SERVER, PLC, OSPF, 1480, flags="MF", ident=7, offset=185)
    film.send(5.002, SERVER, PLC, OSPF, 100, flags="", ident=7, offset=370)
    film.send(5.1, SERVER, HMI, OSPF, 1480, flags="MF", ident=8)
    film.send(5.101, SERVER, HMI, OSPF, 100, flags="", ident=8, offset=370)
    # IPv6: OSPF; behind a hop-by-hop header; AH, which is not skipped; no next header.
    film.send6(6.0, HMI_LL, ROUTERS6, OSPF, b"\x03" * 36)
    film.send6(6.1, HMI_LL, PLC_LL, 0, bytes([PIM, 0, 5, 2, 0, 0, 1, 0]) + b"\x20" * 26)
    film.send6(6.2, PLC_LL, HMI_LL, PIM, b"\x20" * 26)
    film.send6(6.3, HMI_LL, PLC_LL, AH, bytes([6, 4]) + b"\0" * 22 + b"\x50" * 20)
    film.send6(6.4, HMI_LL, PLC_LL, 59, b"")
    return Capture("other_protocols", film.recorder)


def times() -> Capture:
    """Idle and active time-outs, milliseconds."""
    film = Film()
    # 300 s of silence are not too much, one millisecond more is.
    film.send(0.0, HMI, PLC, ESP, 100)
    film.send(300.0, HMI, PLC, ESP, 100)
    film.send(600.001, PLC, HMI, ESP, 100)
    # A packet every 290 s: after half an hour a new flow follows.
    for count in range(9):
        film.send(290.0 * count, SERVER, ROUTERS, OSPF, 44)
    # Less than a millisecond between start and end; time is cut off, not rounded.
    film.send(2400.0009, HMI, PLC, GRE, 4)
    film.send(2400.0011, PLC, HMI, GRE, 4)
    return Capture("other_protocols_times", film.recorder)
