"""Link layers that are rarely met: netfilter's log, FDDI, PPP, Ethernet in Ethernet."""

from __future__ import annotations

from pcaps.capture import FDDI, NETFILTER_LOG, PPP, PPP_SERIAL, Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    datagrams,
    ethernet,
    exchange,
    frame,
    llc_snap,
    mac_octets,
    udp,
)


def build() -> list[Capture]:
    """The captures ``link_nflog``, ``link_fddi``, ``link_ppp``, ``link_ppp_serial``,
    ``link_bridged`` and ``link_stacked``."""
    return [netfilter(), fddi(), ppp(), ppp_serial(), bridged(), stacked()]


def netfilter() -> Capture:
    """Netfilter's log: attributes in the order of a little-endian host, the last is the packet."""
    recorder = Recorder()

    def log(packet: bytes, *, version: int = 0) -> bytes:
        family = 10 if packet[0] >> 4 == 6 else 2
        hook = b"\x08\0\x01\0" + b"\x08\0\x03\0"
        # Its length does not include its padding.
        prefix = b"\x0a\0\x0a\0osect\0" + b"\0\0"
        payload = (len(packet) + 4).to_bytes(2, "little") + b"\x09\0" + packet
        return bytes([family, version]) + b"\0\0" + hook + prefix + payload

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return log(packet)

    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    exchange(recorder, link, HMI6, PLC6, 44002, 1.0)
    recorder.add(2.0, log(udp(HMI, PLC, 44003, 9700, b"q" * 10), version=1))
    # An attribute whose length would never get anywhere.
    stuck = bytearray(log(udp(HMI, PLC, 44004, 9700, b"q" * 10)))
    stuck[4] = 0
    recorder.add(3.0, bytes(stuck))
    return Capture("link_nflog", recorder, link_type=NETFILTER_LOG)


def fddi() -> Capture:
    """FDDI with LLC and SNAP."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return b"\x50" + mac_octets(destination) + mac_octets(source) + llc_snap(packet)

    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    exchange(recorder, link, HMI6, PLC6, 44002, 1.0)
    return Capture("link_fddi", recorder, link_type=FDDI)


def _ppp_kind(packet: bytes) -> bytes:
    return b"\x00\x57" if packet[0] >> 4 == 6 else b"\x00\x21"


def ppp() -> Capture:
    """PPP with HDLC's address and control, without them, with MPLS; and its own control."""

    def framed(packet: bytes, source: str, destination: str) -> bytes:
        return b"\xff\x03" + _ppp_kind(packet) + packet

    def bare(packet: bytes, source: str, destination: str) -> bytes:
        return _ppp_kind(packet) + packet

    def labelled(packet: bytes, source: str, destination: str) -> bytes:
        return b"\xff\x03\x02\x81" + ((1000 << 12) | 1 << 8 | 64).to_bytes(4, "big") + packet

    recorder = Recorder()
    exchange(recorder, framed, HMI, PLC, 44001, 0.0)
    exchange(recorder, bare, HMI6, PLC6, 44002, 1.0)
    datagrams(recorder, labelled, HMI, PLC, 44003, 2.0)
    # A configuration request of the link control protocol.
    recorder.add(3.0, bytes.fromhex("ff03 c021 01 01 0008 0304c023") + b"\0" * 30)
    return Capture("link_ppp", recorder, link_type=PPP)


def ppp_serial() -> Capture:
    """PPP on a serial line, where two octets always precede the protocol."""

    def link(packet: bytes, source: str, destination: str) -> bytes:
        return b"\x0f\x00" + _ppp_kind(packet) + packet

    recorder = Recorder()
    exchange(recorder, link, HMI, PLC, 44001, 0.0)
    exchange(recorder, link, HMI6, PLC6, 44002, 1.0)
    return Capture("link_ppp_serial", recorder, link_type=PPP_SERIAL)


def bridged() -> Capture:
    """Ethernet that carries Ethernet's frames on: the addresses are those inside."""
    east, west = "02:00:00:00:00:e1", "02:00:00:00:00:e2"

    def backbone(packet: bytes, source: str, destination: str) -> bytes:
        inner = ethernet(packet, source, destination)
        return frame(east, west, 0x88E7, bytes.fromhex("00 00004d") + inner)

    def backbone_tagged(packet: bytes, source: str, destination: str) -> bytes:
        inner = ethernet(packet, source, destination)
        tag = bytes.fromhex("000a 88e7") + bytes.fromhex("00 00004d")
        return frame(east, west, 0x88A8, tag + inner)

    def fabric(packet: bytes, source: str, destination: str) -> bytes:
        return frame(east, west, 0x8903, b"\x00\x0a") + ethernet(packet, source, destination)

    def port_extender(packet: bytes, source: str, destination: str) -> bytes:
        """A VN-Tag, which is followed by an 802.1Q tag."""
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        return frame(
            source, destination, 0x8926, bytes.fromhex("80010002 8100 000a") + kind + packet
        )

    recorder = Recorder()
    exchange(recorder, backbone, HMI, PLC, 44001, 0.0)
    datagrams(recorder, backbone_tagged, HMI6, PLC6, 44002, 1.0)
    datagrams(recorder, fabric, HMI, PLC, 44003, 2.0)
    datagrams(recorder, port_extender, HMI, PLC, 44004, 3.0)
    return Capture("link_bridged", recorder)


def stacked() -> Capture:
    """Tags on tags and on other things."""
    recorder = Recorder()

    def put(at: float, port: int, kind: int, header: bytes) -> None:
        """A datagram behind what an Ethernet frame of that type begins with."""
        packet = udp(HMI, PLC, port, 9700, b"q" * 10)
        recorder.add(at, frame(HMI.mac, PLC.mac, kind, header + packet))

    # Priority without a VLAN; three tags; the old service tag.
    put(0.0, 44101, 0x8100, bytes.fromhex("a000 0800"))
    put(1.0, 44102, 0x8100, bytes.fromhex("000a 8100 000b 8100 000c 0800"))
    put(2.0, 44103, 0x9100, bytes.fromhex("000a 8100 000b 0800"))
    # A tag in front of LLC and SNAP, of PPPoE, of MPLS.
    put(3.0, 44104, 0x8100, bytes.fromhex("000a 002e aaaa03 000000 0800"))
    put(4.0, 44105, 0x8100, bytes.fromhex("000a 8864 11000007 0028 0021"))
    put(5.0, 44106, 0x8100, bytes.fromhex("000a 8847 003e8140"))
    # A service tag behind an ordinary one; a VN-Tag in front of IP.
    put(6.0, 44107, 0x8100, bytes.fromhex("000a 88a8 000b 0800"))
    put(7.0, 44108, 0x8926, bytes.fromhex("80010002 0800"))
    return Capture("link_stacked", recorder)
