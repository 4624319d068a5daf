"""Opening a capture: which format it is, whether it is compressed, what it is if it is none."""

from __future__ import annotations

from typing import BinaryIO, Final

from osect_sensor.wire.pcap import PcapReader, is_pcap_magic
from osect_sensor.wire.pcapng import PcapngReader, is_pcapng_magic
from osect_sensor.wire.reader import BLOCK_SIZE, CaptureReader
from osect_sensor.wire.source import (
    GZIP_MAGIC,
    ZSTD_MAGIC,
    CaptureError,
    GzipSource,
    OctetSource,
    StreamSource,
    ZstdSource,
)

__all__ = ["CaptureError", "CaptureReader", "link_type_name", "open_capture"]

_KINDS: Final = [
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"PK\x03\x04", "a zip file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip file"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture"),
    (b"snoop\0\0\0", "a Solaris snoop capture"),
    (b"btsnoop\0", "a Bluetooth btsnoop capture"),
    (b"XCP\0", "a NetXray or Windows Sniffer capture"),
    (b"TRSNIFF data", "a DOS Sniffer capture"),
    (b"iptrace ", "an AIX iptrace capture"),
    (b"\x54\x52\x00\x64\x00", "an HP-UX nettl capture"),
    (b"ObserverPktBuffer", "a Network Instruments Observer capture"),
    (b"\x7fver", "an AiroPeek or OmniPeek capture"),
    (b"\xaa\xaa\xaa\xaa", "an Accellent 5Views capture"),
    (b"\xa1\x2b\x3c\x4d", "a Navtel pcap file"),
    (b"\x4d\x3c\x2b\xa1", "a Navtel pcap file"),
    (b"\xa1\xb2\x34\xcd", "a modified pcap file that nothing reads"),
    (b"\xcd\x34\xb2\xa1", "a modified pcap file that nothing reads"),
    (b"version https://git-lfs", "a Git LFS pointer (the capture itself was not fetched)"),
    (b"#separator", "a Zeek log"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"{", "JSON text"),
]
"""What people hand over by mistake, by its first octets."""

_LINK_TYPE_NAMES: Final = {
    0: "BSD loopback",
    1: "Ethernet",
    6: "Token Ring",
    7: "ARCNET",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    12: "raw IP",
    14: "raw IP",
    50: "PPP in HDLC framing",
    51: "PPP over Ethernet",
    100: "ATM RFC 1483",
    101: "raw IP",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "Frame Relay",
    108: "OpenBSD loopback",
    109: "OpenBSD IPsec",
    113: "Linux cooked",
    117: "OpenBSD packet filter log",
    119: "IEEE 802.11 with Prism header",
    122: "IP over Fibre Channel",
    123: "SunATM",
    127: "IEEE 802.11 with radiotap header",
    129: "Linux ARCNET",
    138: "IP over IEEE 1394",
    141: "MTP3",
    143: "DOCSIS",
    163: "IEEE 802.11 with AVS header",
    165: "BACnet MS/TP",
    177: "Linux LAPD",
    187: "Bluetooth HCI",
    189: "Linux USB",
    192: "PPI",
    195: "IEEE 802.15.4 with FCS",
    197: "ERF",
    201: "Bluetooth HCI with direction",
    203: "LAPD",
    204: "PPP with direction",
    205: "Cisco HDLC with direction",
    206: "Frame Relay with direction",
    219: "MPLS",
    220: "Linux USB",
    226: "Solaris IPNET",
    227: "SocketCAN",
    228: "raw IPv4",
    229: "raw IPv6",
    230: "IEEE 802.15.4",
    231: "D-Bus",
    239: "Linux NFLOG",
    240: "netANALYZER",
    241: "netANALYZER transparent",
    242: "IP over InfiniBand",
    243: "MPEG-2 transport stream",
    247: "InfiniBand",
    248: "SCTP",
    249: "USBPcap",
    250: "RTAC serial",
    251: "Bluetooth Low Energy",
    252: "Wireshark upper PDU",
    253: "Linux netlink",
    256: "Bluetooth Low Energy with header",
    257: "PROFIBUS data link",
    258: "Apple PKTAP",
    274: "Ethernet mPackets",
    276: "Linux cooked v2",
    277: "SERCOS monitor",
    283: "IEEE 802.15.4 with TAP header",
}


def link_type_name(link_type: int) -> str:
    """The LINKTYPE_ value in words."""
    if link_type < 0:
        return "none"
    if 147 <= link_type <= 162:
        return f"user-defined {link_type - 147}"
    return _LINK_TYPE_NAMES.get(link_type, f"link type {link_type}")


def open_capture(stream: BinaryIO, name: str) -> CaptureReader:
    """A reader of the pcap or pcapng capture in ``stream``, compressed or not.

    The stream need not be seekable: a pipe is read as its octets come. ``name`` is for messages.
    Raises ``CaptureError`` where the stream holds no capture; one that breaks off, be it within
    its first header, is read up to there.
    """
    plain = StreamSource(stream)
    head = _first_octets(plain)
    if len(head) == 0:
        if plain.message != "":
            raise CaptureError(f"{name}: {plain.message}")
        raise CaptureError(f"{name}: empty")
    source: OctetSource = plain
    inside = ""
    if head.startswith(GZIP_MAGIC) or head.startswith(ZSTD_MAGIC):
        plain.push_back(head)
        compressed = GzipSource(plain) if head.startswith(GZIP_MAGIC) else ZstdSource(plain)
        head = _first_octets(compressed)
        inside = f"inside the {compressed.kind} file: "
        if len(head) == 0:
            raise CaptureError(f"{name}: {inside}{compressed.message or 'empty'}")
        source = compressed
    if len(head) >= 4:
        if is_pcap_magic(head):
            return PcapReader(source, name, head)
        # A section header's type is a line ending in disguise; its byte-order magic decides.
        if is_pcapng_magic(head):
            return PcapngReader(source, name, head)
    raise CaptureError(f"{name}: {inside}not a capture{_seemingly(head)}")


def _first_octets(source: OctetSource) -> bytes:
    """Enough octets to tell the format by, or all there are."""
    head = b""
    while len(head) < 4:
        octets = source.read(BLOCK_SIZE)
        if len(octets) == 0:
            break
        head += octets
    return head


def _seemingly(head: bytes) -> str:
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return f"; it seems to be {kind}"
    return ""
