"""What carries IP: Ethernet's variants, other link types, capture file formats."""

from __future__ import annotations

from pcaps.capture import (
    BSD_LOOPBACK,
    BSD_NULL,
    LINUX_COOKED,
    LINUX_COOKED_2,
    RAW_IP,
    Capture,
    Recorder,
)
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    Link,
    datagrams,
    ethernet,
    exchange,
    frame,
    llc_snap,
    tagged,
    udp,
)


def build() -> list[Capture]:
    """The captures ``link_…`` and ``format_…``."""
    return [
        vlan(),
        _over("link_qinq", tagged(100, 20, service_tag=True)),
        _over("link_mpls", mpls),
        _over("link_pppoe", pppoe),
        _over("link_snap", snap),
        cooked(),
        cooked_2(),
        raw_ip(),
        bsd_null(),
        bsd_loopback(),
        *formats(),
    ]


def _over(name: str, link: Link) -> Capture:
    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    exchange(recorder, link, HMI6, PLC6, 44002, 1.0)
    return Capture(name, recorder)


def vlan() -> Capture:
    """One tag; and a request whose answer comes back on another VLAN."""
    recorder = Recorder()
    exchange(recorder, tagged(10), HMI, PLC, 44001, 0.0)
    exchange(recorder, tagged(10), HMI6, PLC6, 44002, 1.0)
    request = udp(HMI, PLC, 44003, 9700, b"q" * 10)
    answer = udp(PLC, HMI, 9700, 44003, b"r" * 6)
    recorder.add(2.0, tagged(10)(request, HMI.mac, PLC.mac))
    recorder.add(2.001, tagged(20)(answer, PLC.mac, HMI.mac))
    return Capture("link_vlan", recorder)


def mpls(packet: bytes, source: str, destination: str) -> bytes:
    """Two labels, 1000 and 2000."""
    labels = ((1000 << 12) | 64).to_bytes(4, "big") + ((2000 << 12) | 1 << 8 | 64).to_bytes(
        4, "big"
    )
    return frame(source, destination, 0x8847, labels + packet)


def pppoe(packet: bytes, source: str, destination: str) -> bytes:
    """A PPPoE session frame."""
    kind = b"\x00\x57" if packet[0] >> 4 == 6 else b"\x00\x21"
    head = b"\x11\x00\x00\x07" + (len(packet) + 2).to_bytes(2, "big")
    return frame(source, destination, 0x8864, head + kind + packet)


def snap(packet: bytes, source: str, destination: str) -> bytes:
    """An 802.3 frame with LLC and SNAP."""
    body = llc_snap(packet)
    return frame(source, destination, len(body), body)


def cooked() -> Capture:
    """Linux "any" device, first version."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        return b"\0\0\0\1\0\6" + bytes.fromhex(source.replace(":", "")) + b"\0\0" + kind + packet

    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    exchange(recorder, link, HMI6, PLC6, 44002, 1.0)
    return Capture("link_linux_cooked", recorder, link_type=LINUX_COOKED)


def cooked_2() -> Capture:
    """Linux "any" device, second version."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        head = kind + b"\0\0\0\0\0\2\0\1\0\6" + bytes.fromhex(source.replace(":", "")) + b"\0\0"
        return head + packet

    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    return Capture("link_linux_cooked_2", recorder, link_type=LINUX_COOKED_2)


def bare(packet: bytes, source: str, destination: str) -> bytes:
    """No link layer at all."""
    return packet


def raw_ip() -> Capture:
    """Packets without a link layer."""
    recorder = Recorder()
    exchange(recorder, bare, HMI, PLC, 44001, 0.0)
    exchange(recorder, bare, HMI6, PLC6, 44002, 1.0)
    return Capture("link_raw_ip", recorder, link_type=RAW_IP)


def bsd_null() -> Capture:
    """BSD loopback in the byte order of a little-endian machine; IPv6 has three numbers."""

    def family(number: int) -> Link:
        def link(packet: bytes, source: str, destination: str) -> bytes:
            return number.to_bytes(4, "little") + packet

        return link

    recorder = Recorder()
    exchange(recorder, family(2), HMI, PLC, 44001, 0.0)
    for at, number in ((1.0, 24), (2.0, 28), (3.0, 30)):
        datagrams(recorder, family(number), HMI6, PLC6, 44000 + number, at)
    return Capture("link_bsd_null", recorder, link_type=BSD_NULL)


def bsd_loopback() -> Capture:
    """OpenBSD loopback: network byte order."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return (24 if packet[0] >> 4 == 6 else 2).to_bytes(4, "big") + packet

    recorder = Recorder()
    datagrams(recorder, link, HMI, PLC, 44001, 0.0)
    datagrams(recorder, link, HMI6, PLC6, 44002, 1.0)
    return Capture("link_bsd_loopback", recorder, link_type=BSD_LOOPBACK)


FORMATS = (
    "pcap-big-endian",
    "pcap-nanoseconds",
    "pcap-gz",
    "pcapng",
    "pcapng-big-endian",
    "pcapng-nanoseconds",
    "pcapng-sections",
)


def formats() -> list[Capture]:
    """The same frames in each file format; nanoseconds end in 999, which microseconds cut off."""
    captures = []
    for file_format in FORMATS:
        recorder = Recorder()
        exchange(recorder, ethernet, HMI, PLC, 44001, 0.0)
        if file_format.endswith("nanoseconds"):
            for recorded in recorder.frames:
                recorded.at += 999
        name = "format_" + file_format.replace("-", "_")
        captures.append(Capture(name, recorder, file_format=file_format))
    recorder = Recorder()
    exchange(recorder, ethernet, HMI, PLC, 44001, 0.0)
    recorder.add(1.0, udp(HMI, PLC, 44002, 9700, b"q" * 10), interface=1)
    recorder.add(1.001, udp(PLC, HMI, 9700, 44002, b"r" * 6), interface=1)
    captures.append(Capture("format_pcapng_interfaces", recorder, file_format="pcapng-interfaces"))
    return captures
