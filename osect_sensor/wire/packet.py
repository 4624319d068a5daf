"""The decoded packet that every later room reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.wire.octets import ipv4_text, ipv6_text, mac_text

if TYPE_CHECKING:
    from mypy_extensions import i64

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58

NO_VLAN: Final = -1


@final
class Encapsulation:
    """The tunnel a packet came out of: one node a layer, outermost last."""

    __slots__ = ("kind", "outer", "uid")

    def __init__(self, kind: str, uid: str, outer: Encapsulation | None) -> None:
        # Not Final, which compiled is enforced: a kept state is filled in from outside.
        self.kind: str = kind
        """``IP``, ``GRE``, ``TEREDO``, ``VXLAN``, ``GENEVE`` or ``GTPV1``."""
        self.uid: str = uid
        """uid of the connection (or of the address pair) that carries the tunnel."""
        self.outer: Encapsulation | None = outer


@final
class Packet:
    """One packet as offsets into the buffer that holds it.

    A decoder owns a single instance and refills it for each packet, so nothing may keep a
    reference to it; slices of ``data`` are safe to keep. All offsets are absolute in ``data``.
    """

    __slots__ = (
        "address_length",
        "captured_end",
        "data",
        "destination",
        "destination_mac",
        "encapsulation",
        "ethertype",
        "flow_label",
        "inner_vlan",
        "ip_length",
        "ip_version",
        "link",
        "network",
        "payload_end",
        "protocol",
        "reassembled",
        "source",
        "source_mac",
        "timestamp",
        "transport",
        "vlan",
    )

    def __init__(self) -> None:
        self.timestamp: i64 = 0
        """Capture time, microseconds since the epoch."""
        self.data: bytes = b""
        """The buffer that the offsets index; it may hold many frames."""
        self.captured_end: i64 = 0
        """One past the last captured octet of this packet."""
        self.link: bytes = b""
        """The buffer that the MAC offsets index (differs from ``data`` after reassembly)."""
        self.source_mac: i64 = -1
        """Offset in ``link`` of the source MAC, or -1 where the link layer has none."""
        self.destination_mac: i64 = -1
        self.ethertype: i64 = 0
        """EtherType of the network layer, 0 where the link layer names none."""
        self.vlan: i64 = NO_VLAN
        self.inner_vlan: i64 = NO_VLAN
        self.network: i64 = 0
        """Offset of the network layer (the IP header, the ARP header, …)."""
        self.ip_version: i64 = 0
        """4, 6, or 0 for anything that is not IP."""
        self.ip_length: i64 = 0
        """Total length the IP header claims: header, extension headers and payload."""
        self.flow_label: i64 = 0
        self.protocol: i64 = 0
        """IP protocol number behind all extension headers."""
        self.source: i64 = 0
        """Offset of the source address."""
        self.destination: i64 = 0
        """Offset of the destination address (follows the source address directly)."""
        self.address_length: i64 = 4
        self.transport: i64 = 0
        """Offset of the transport header."""
        self.payload_end: i64 = 0
        """Where the IP payload ends by the IP header; may lie beyond ``captured_end``."""
        self.reassembled: bool = False
        """Whether this packet was put together from fragments."""
        self.encapsulation: Encapsulation | None = None

    def source_text(self) -> str:
        """Source IP address as text."""
        if self.ip_version == 4:
            return ipv4_text(self.data, self.source)
        return ipv6_text(self.data, self.source)

    def destination_text(self) -> str:
        """Destination IP address as text."""
        if self.ip_version == 4:
            return ipv4_text(self.data, self.destination)
        return ipv6_text(self.data, self.destination)

    def source_mac_text(self) -> str:
        """Source MAC as text, empty where the link layer has none."""
        if self.source_mac < 0:
            return ""
        return mac_text(self.link, self.source_mac)

    def destination_mac_text(self) -> str:
        """Destination MAC as text, empty where the link layer has none."""
        if self.destination_mac < 0:
            return ""
        return mac_text(self.link, self.destination_mac)
