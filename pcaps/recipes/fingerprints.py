"""SYN and SYN+ACK as stacks send them, and as p0f takes them apart."""

from __future__ import annotations

import ipaddress

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, checksum, ethernet, ipv4, ipv6

MSS = b"\x02\x04\x05\xb4"
MSS6 = b"\x02\x04\x05\xa0"
NOP = b"\x01"
SACK_OK = b"\x04\x02"
TIMES = b"\x08\x0a\x00\x00\x30\x39\0\0\0\0"


def scale(shift: int) -> bytes:
    """The window scale option."""
    return bytes([3, 3, shift])


LINUX = MSS + SACK_OK + TIMES + NOP + scale(7)
WINDOWS = MSS + NOP + scale(8) + NOP + NOP + SACK_OK

FIN, SYN, PSH, ACK, URG, ECE, CWR = 1, 2, 8, 16, 32, 64, 128

CLIENT6 = "fd00::1:2"
SERVER6 = "fd00::1:1"


def segment(
    source: str, destination: str, ports: tuple[int, int], flags: int, options: bytes,
    *, seq: int = 1000, ack: int = 0, window: int = 8192, urgent: int = 0, reserved: int = 0,
    words: int | None = None,
) -> bytes:  # fmt: skip
    """A TCP segment with its options octet by octet; they fill whole words."""
    length = words if words is not None else 5 + len(options) // 4
    bare = (
        ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + seq.to_bytes(4, "big")
        + ack.to_bytes(4, "big") + bytes([length << 4 | reserved, flags])
        + window.to_bytes(2, "big") + b"\0\0" + urgent.to_bytes(2, "big") + options
    )  # fmt: skip
    pseudo = (
        ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
        + len(bare).to_bytes(4, "big") + (6).to_bytes(4, "big")
    )  # fmt: skip
    return bare[:16] + checksum(pseudo + bare).to_bytes(2, "big") + bare[18:]


def build() -> list[Capture]:
    """The captures ``fingerprints`` and ``fingerprints_oddities``."""
    return [systems(), oddities()]


class Film:
    """Puts SYNs of the HMI to the PLC into a recorder, each from another port."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def syn(
        self, at: float, port: int, options: bytes, *, flags: int = SYN, ttl: int = 64,
        ident: int = 1, ip_flags: str = "DF", ip_options: bytes = b"", tos: int = 0,
        seq: int = 1000, ack: int = 0, window: int = 8192, urgent: int = 0, reserved: int = 0,
        offset: int = 0,
    ) -> None:  # fmt: skip
        """Record one over IPv4."""
        payload = segment(
            HMI.address, PLC.address, (port, 502), flags, options,
            seq=seq, ack=ack, window=window, urgent=urgent, reserved=reserved,
        )  # fmt: skip
        packet = ipv4(
            HMI.address, PLC.address, 6, payload,
            ident=ident, ttl=ttl, flags=ip_flags, options=ip_options, tos=tos, offset=offset,
        )  # fmt: skip
        self.recorder.add(at, ethernet(packet, HMI.mac, PLC.mac))

    def answer(self, at: float, port: int, options: bytes, **fields: int) -> None:
        """Record the PLC's SYN+ACK, without an identification."""
        payload = segment(
            PLC.address, HMI.address, (502, port), SYN | ACK, options,
            seq=fields.get("seq", 5000), ack=1001, window=fields.get("window", 29200),
        )  # fmt: skip
        packet = ipv4(PLC.address, HMI.address, 6, payload, ident=0)
        self.recorder.add(at, ethernet(packet, PLC.mac, HMI.mac))


def systems() -> Capture:
    """Stacks that the reference database knows, near and far, exactly and nearly."""
    film = Film()
    film.syn(0.0, 49001, WINDOWS, ttl=128, window=64240)
    film.syn(1.0, 49002, LINUX, window=29200)
    film.answer(1.001, 49002, LINUX)
    # The same SYN+ACK again, and a SYN+ACK of another sequence number.
    film.answer(1.5, 49002, LINUX)
    film.answer(1.6, 49002, LINUX, seq=6000)
    # Four routers away; without an identification; with the time to live of another system.
    film.syn(2.0, 49003, LINUX, window=29200, ttl=60)
    film.syn(3.0, 49004, LINUX, window=29200, ident=0)
    film.syn(4.0, 49005, LINUX, window=29200, ttl=128)
    # Only the generic signature fits.
    film.syn(5.0, 49006, LINUX, window=12345)
    # IPv6 with a flow label.
    options = MSS6 + SACK_OK + TIMES + NOP + scale(7)
    payload = segment(CLIENT6, SERVER6, (49007, 502), SYN, options, window=28800)
    packet = ipv6(CLIENT6, SERVER6, 6, payload, flow_label=0x12345)
    film.recorder.add(6.0, ethernet(packet, HMI.mac, PLC.mac))
    film.syn(7.0, 49008, MSS, ttl=255, window=4096)
    # Nothing fits; a window that is a multiple of the MTU.
    film.syn(8.0, 49009, MSS, window=4500)
    # The sequence number changes: another attempt on the same ports.
    film.syn(9.0, 49010, MSS, ttl=255, window=4096, seq=1000)
    film.syn(9.5, 49010, MSS, ttl=255, window=4096, seq=1000)
    film.syn(9.6, 49010, MSS, ttl=255, window=4096, seq=7000)
    return Capture("fingerprints", film.recorder)


def oddities() -> Capture:
    """Quirks one by one, broken options, what p0f passes over."""
    film = Film()
    film.syn(0.0, 49101, MSS, ip_flags="", ident=0)
    film.syn(0.1, 49102, MSS, ip_flags="", ident=7)
    film.syn(0.2, 49103, MSS, ip_flags="evil+DF")
    film.syn(0.3, 49104, MSS, flags=SYN | ECE | CWR)
    film.syn(0.4, 49105, MSS, tos=2)
    film.syn(0.5, 49106, MSS, reserved=1)
    film.syn(0.6, 49107, MSS, seq=0)
    film.syn(0.7, 49108, MSS, ack=0x01000000)
    film.syn(0.75, 49126, MSS, ack=77)
    film.syn(0.8, 49109, MSS, urgent=5)
    film.syn(0.9, 49110, MSS, flags=SYN | URG, urgent=5)
    film.syn(1.0, 49111, MSS, flags=SYN | PSH)
    film.syn(1.1, 49112, MSS + NOP + NOP + b"\x08\x0a\0\0\0\0\0\0\0\x05")
    film.syn(1.2, 49113, MSS + NOP + scale(15))
    film.syn(1.3, 49114, MSS + b"\0\0\0\0")
    film.syn(1.4, 49115, MSS + b"\0\0\x01\0")
    film.syn(1.5, 49116, MSS + b"\x1e\x0c\0\x81" + b"\0" * 8)
    # MSS cut by the end of the header; a wrong length in MSS; an unknown option of no length.
    film.syn(1.6, 49117, NOP + NOP + NOP + b"\x02")
    film.syn(1.7, 49118, b"\x02\x05\x05\xb4")
    film.syn(1.8, 49119, MSS + b"\x1e\0\0\0")
    # No options; IP options; an impossible distance.
    film.syn(1.9, 49120, b"")
    film.syn(2.0, 49121, MSS, ip_options=b"\x94\x04\0\0")
    film.syn(2.1, 49122, MSS, ttl=65)
    # Passed over: the first fragment of two, SYN+FIN, a SYN behind an IPv6 extension header.
    film.syn(3.0, 49123, MSS, ip_flags="MF")
    film.syn(3.1, 49124, MSS, flags=SYN | FIN)
    payload = segment(CLIENT6, SERVER6, (49125, 502), SYN, MSS6)
    options = b"\x06\0\x01\x04\0\0\0\0"
    packet = ipv6(CLIENT6, SERVER6, 60, options + payload)
    film.recorder.add(3.2, ethernet(packet, HMI.mac, PLC.mac))
    return Capture("fingerprints_oddities", film.recorder)
