"""Frames to packets: link layers, VLAN tags, MPLS, PPPoE, IPv4, IPv6 and its extension headers.

What is accepted follows Zeek's packet analyzers, so that the same packets are seen: a frame that
Zeek drops as malformed is counted here under a reason and dropped too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.wire.fragments import FragmentTable
from osect_sensor.wire.octets import u8, u16, u16le, u24, u32, u32le
from osect_sensor.wire.packet import NO_VLAN, Packet

if TYPE_CHECKING:
    from mypy_extensions import i64

LINKTYPE_NULL: Final = 0
LINKTYPE_ETHERNET: Final = 1
LINKTYPE_PPP: Final = 9
LINKTYPE_FDDI: Final = 10
LINKTYPE_RAW_BSD: Final = 12
LINKTYPE_RAW_OPENBSD: Final = 14
LINKTYPE_PPP_SERIAL: Final = 50
LINKTYPE_RAW: Final = 101
LINKTYPE_IEEE802_11: Final = 105
LINKTYPE_LOOP: Final = 108
LINKTYPE_LINUX_SLL: Final = 113
LINKTYPE_IEEE802_11_RADIO: Final = 127
LINKTYPE_IPV4: Final = 228
LINKTYPE_IPV6: Final = 229
LINKTYPE_NFLOG: Final = 239
LINKTYPE_LINUX_SLL2: Final = 276

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_FABRICPATH: Final = 0x8903
ETHERTYPE_RARP: Final = 0x8035
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_IPV6: Final = 0x86DD
ETHERTYPE_MPLS: Final = 0x8847
ETHERTYPE_PPPOE: Final = 0x8864
ETHERTYPE_QINQ: Final = 0x88A8
ETHERTYPE_PBB: Final = 0x88E7
ETHERTYPE_CCLINK_IE: Final = 0x890F
ETHERTYPE_VNTAG: Final = 0x8926
ETHERTYPE_QINQ_OLD: Final = 0x9100

SMALLEST_ETHERTYPE: Final = 1536
"""Values below are 802.3 lengths (up to 1500) or undefined."""

MAX_VLAN_TAGS: Final = 8
"""Two are in use (802.1ad); a frame with more than this is a forgery."""

# What an EtherType was found in. Zeek knows other types behind a tag than behind the addresses.
_IN_ETHERNET: Final = 0
_IN_VLAN: Final = 1
_IN_VNTAG: Final = 2

SUBFRAME_HEADER: Final = 14
"""Octets before the packet in a subframe of an aggregated 802.11 frame."""

UNDECODABLE: Final = 0
"""The frame was dropped; a counter says why."""
OTHER: Final = 1
"""Not IP or ARP: ``packet.ethertype`` says what, ``packet.network`` where."""
ARP: Final = 2
IP: Final = 3
"""IPv4 or IPv6 by the link layer's word; ``Decoder.ip`` decides."""
AGGREGATED: Final = 4
"""Several packets in one 802.11 frame, the first for ``Decoder.subframe`` at ``packet.network``."""

IP_BAD: Final = 0
IP_HELD: Final = 1
"""A fragment of a datagram that is not complete yet."""
IP_WHOLE: Final = 2
"""``packet`` describes a whole datagram (or the first fragment of a cut-off capture)."""
IP_OPAQUE: Final = 3
"""Valid, but its payload cannot be followed (ESP, mobility, no next header)."""

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
ESP: Final = 50
AUTHENTICATION: Final = 51
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60
MOBILITY: Final = 135


def supports(link_type: i64) -> bool:
    """Whether frames of this libpcap link type can be decoded."""
    return link_type in (
        LINKTYPE_ETHERNET,
        LINKTYPE_NULL,
        LINKTYPE_LOOP,
        LINKTYPE_PPP,
        LINKTYPE_RAW,
        LINKTYPE_RAW_BSD,
        LINKTYPE_RAW_OPENBSD,
        LINKTYPE_LINUX_SLL,
        LINKTYPE_LINUX_SLL2,
        LINKTYPE_IPV4,
        LINKTYPE_IPV6,
        LINKTYPE_FDDI,
        LINKTYPE_PPP_SERIAL,
        LINKTYPE_IEEE802_11,
        LINKTYPE_IEEE802_11_RADIO,
        LINKTYPE_NFLOG,
    )


@final
class Decoder:
    """Fills ``Packet`` objects; keeps the fragments of datagrams that are not complete yet."""

    __slots__ = ("counting", "fragments", "reasons", "undecodable")

    def __init__(self) -> None:
        self.fragments: FragmentTable = FragmentTable()
        self.counting: bool = True
        """Whether dropped frames are counted (not where somebody else counts them)."""
        self.undecodable: i64 = 0
        """Frames dropped so far."""
        self.reasons: dict[str, int] = {}
        """Why frames were dropped, and how often."""

    def drop(self, reason: str) -> i64:
        """Count a dropped frame; returns ``UNDECODABLE``."""
        if not self.counting:
            return UNDECODABLE
        self.undecodable += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        return UNDECODABLE

    def link(self, packet: Packet, link_type: i64) -> i64:
        """Walk the link layers of ``packet.data[packet.network:packet.captured_end]``.

        Fills the MAC offsets, VLANs, EtherType and ``packet.network``; answers ``IP``, ``ARP``,
        ``OTHER`` or ``UNDECODABLE``.
        """
        packet.source_mac = -1
        packet.destination_mac = -1
        packet.ethertype = 0
        packet.vlan = NO_VLAN
        packet.inner_vlan = NO_VLAN
        packet.link = packet.data
        if link_type == LINKTYPE_ETHERNET:
            return self.ethernet(packet)
        if link_type in (
            LINKTYPE_RAW,
            LINKTYPE_IPV4,
            LINKTYPE_IPV6,
            LINKTYPE_RAW_BSD,
            LINKTYPE_RAW_OPENBSD,
        ):
            return IP
        data = packet.data
        start = packet.network
        available = packet.captured_end - start
        if link_type in (LINKTYPE_NULL, LINKTYPE_LOOP):
            return self._loopback(packet, link_type)
        if link_type == LINKTYPE_LINUX_SLL:
            if available <= 16:
                return self.drop("truncated Linux cooked header")
            packet.source_mac = start + 6
            packet.network = start + 16
            return self._cooked(packet, u16(data, start + 14))
        if link_type == LINKTYPE_LINUX_SLL2:
            if available <= 20:
                return self.drop("truncated Linux cooked header")
            packet.source_mac = start + 12
            packet.network = start + 20
            return self._cooked(packet, u16(data, start))
        if link_type == LINKTYPE_PPP:
            if available > 2 and u8(data, start) == 0xFF and u8(data, start + 1) == 0x03:
                start += 2
                available -= 2
            if available <= 2:
                return self.drop("truncated PPP header")
            packet.network = start + 2
            return self._ppp(packet, u16(data, start))
        if link_type == LINKTYPE_PPP_SERIAL:
            if available <= 4:
                return self.drop("truncated PPP header")
            packet.network = start + 4
            return self._ppp(packet, u16(data, start + 2))
        if link_type == LINKTYPE_FDDI:
            if available <= 21:
                return self.drop("truncated FDDI header")
            # 13 octets of FDDI, then 8 of LLC and SNAP; like Zeek, what follows is taken to be IP.
            packet.network = start + 21
            return IP
        if link_type == LINKTYPE_IEEE802_11_RADIO:
            if available <= 3:
                return self.drop("truncated radiotap header")
            header = u16le(data, start + 2)
            if header >= available:
                return self.drop("truncated radiotap header")
            packet.network = start + header
            return self.ieee_802_11(packet)
        if link_type == LINKTYPE_IEEE802_11:
            return self.ieee_802_11(packet)
        if link_type == LINKTYPE_NFLOG:
            return self._nflog(packet)
        return self.drop("unsupported link type")

    def ieee_802_11(self, packet: Packet) -> i64:
        """An 802.11 data frame with LLC and SNAP; management, control and encrypted ones hold no
        packet (IEEE 802.11-2020 section 9.3.2)."""
        data = packet.data
        start = packet.network
        available = packet.captured_end - start
        header: i64 = 24
        if available <= header:
            return self.drop("truncated 802.11 header")
        kind = u8(data, start)
        directions = u8(data, start + 1) & 3
        if kind & 0x08 == 0 or kind & 0x40 != 0:
            return OTHER
        if directions == 3:
            header += 6
        aggregated = False
        if kind & 0x80 != 0:
            if available <= header:
                return self.drop("truncated 802.11 header")
            if u8(data, start + 1) & 0x40 != 0:
                return OTHER
            aggregated = u8(data, start + header) & 0x80 != 0
            header += 2
        if available < header + (SUBFRAME_HEADER if aggregated else 8):
            return self.drop("truncated 802.11 header")
        # Which of the address fields are source and destination depends on the direction.
        packet.source_mac = start + (10 if directions < 2 else 16 if directions == 2 else 24)
        packet.destination_mac = start + (4 if directions in (0, 2) else 16)
        packet.network = start + header
        return AGGREGATED if aggregated else self._llc(packet)

    def subframe(self, packet: Packet, position: i64, end: i64) -> i64:
        """The packet in the subframe at ``position`` of an aggregated frame that ends at ``end``.

        IEEE 802.11-2020 section 9.3.2.2.2. The packet is confined to its subframe; answers what
        it is, as ``link`` does, or ``UNDECODABLE`` where the subframes cannot be followed.
        """
        start = position + SUBFRAME_HEADER
        if end < start or end - start < u16(packet.data, position + 12):
            return self.drop("truncated 802.11 subframe")
        packet.network = start
        packet.captured_end = start + u16(packet.data, position + 12)
        if packet.captured_end - start < 8:
            return self.drop("truncated 802.11 subframe")
        return self._llc(packet)

    def _llc(self, packet: Packet) -> i64:
        """What follows LLC and SNAP for Ethernet (RFC 1042), at least eight octets."""
        data = packet.data
        start = packet.network
        if data[start : start + 6] != b"\xaa\xaa\x03\0\0\0":
            return OTHER
        packet.network = start + 8
        return self._cooked(packet, u16(data, start + 6))

    def _nflog(self, packet: Packet) -> i64:
        """Linux netfilter's log: an address family and attributes, the last of them the packet."""
        data = packet.data
        position = packet.network
        end = packet.captured_end
        if end - position <= 4:
            return self.drop("truncated NFLOG header")
        family = u8(data, position)
        if u8(data, position + 1) != 0:
            return self.drop("unknown NFLOG version")
        position += 4
        while True:
            if end - position <= 4:
                return self.drop("NFLOG without packet")
            # In the byte order of the host that captured; all of today's are little-endian.
            length = u16le(data, position)
            if u16le(data, position + 2) == 9:
                packet.network = position + 4
                return IP if family in (2, 10) else OTHER
            if length < 4:
                return self.drop("malformed NFLOG attribute")
            position += (length + 3) & ~3

    def _loopback(self, packet: Packet, link_type: i64) -> i64:
        """BSD loopback: a four-octet address family, in the byte order of the host (NULL) that
        captured it or in network byte order (LOOP)."""
        data = packet.data
        start = packet.network
        if packet.captured_end - start <= 4:
            return self.drop("truncated loopback header")
        family = u32(data, start)
        if family & 0xFFFF0000 and link_type == LINKTYPE_NULL:
            family = u32le(data, start)
        packet.network = start + 4
        # AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
        if family == 2 or family == 24 or family == 28 or family == 30 or family == 10:
            return IP
        return OTHER

    def _cooked(self, packet: Packet, protocol: i64) -> i64:
        packet.ethertype = protocol
        if protocol in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
            return IP
        if protocol in (ETHERTYPE_ARP, ETHERTYPE_RARP):
            return ARP
        return OTHER

    def _ppp(self, packet: Packet, protocol: i64) -> i64:
        if protocol == 0x0021 or protocol == 0x0057:
            return IP
        if protocol == 0x0281:
            return self._mpls(packet)
        return OTHER

    def _mpls(self, packet: Packet) -> i64:
        """Skip the label stack (RFC 3032); what follows is taken to be IP."""
        data = packet.data
        position = packet.network
        while True:
            if packet.captured_end - position <= 4:
                return self.drop("truncated MPLS label stack")
            last = u8(data, position + 2) & 1
            position += 4
            if last:
                packet.network = position
                return IP

    def ethernet(self, packet: Packet) -> i64:
        """Decode an Ethernet frame at ``packet.network``."""
        protocol = self._ethernet_header(packet)
        if protocol < 0:
            return UNDECODABLE
        packet.ethertype = protocol
        # The order of the tests is the order of frequency on a factory network.
        if protocol in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
            return IP
        return self._ethertype(packet, protocol)

    def _ethernet_header(self, packet: Packet) -> i64:
        """Take the addresses at ``packet.network``; the EtherType, or -1 for a dropped frame."""
        data = packet.data
        start = packet.network
        if packet.captured_end - start <= 16:
            self.drop("truncated Ethernet frame")
            return -1
        if u8(data, start + 12) == 0x89 and u8(data, start + 13) == 0x03:
            # Cisco FabricPath: 16 octets, then the whole frame.
            if packet.captured_end - start <= 30:
                self.drop("truncated Ethernet frame")
                return -1
            start += 16
        packet.destination_mac = start
        packet.source_mac = start + 6
        packet.network = start + 14
        return u16(data, start + 12)

    def _ethertype(self, packet: Packet, protocol: i64) -> i64:
        data = packet.data
        tags: i64 = 0
        inside: i64 = _IN_ETHERNET
        while True:
            position = packet.network
            available = packet.captured_end - position
            if protocol < SMALLEST_ETHERTYPE:
                if inside == _IN_VNTAG:
                    return OTHER
                return self._ieee_802_3(packet, protocol, inside == _IN_ETHERNET)
            packet.ethertype = protocol
            if protocol in (ETHERTYPE_VLAN, ETHERTYPE_QINQ, ETHERTYPE_QINQ_OLD):
                if protocol != ETHERTYPE_VLAN and inside == _IN_VLAN:
                    return OTHER
                if available <= 4:
                    return self.drop("truncated VLAN tag")
                tags += 1
                if tags > MAX_VLAN_TAGS:
                    return self.drop("too many VLAN tags")
                vlan = u16(data, position) & 0xFFF
                if packet.vlan == NO_VLAN:
                    packet.vlan = vlan
                else:
                    packet.inner_vlan = vlan
                protocol = u16(data, position + 2)
                packet.network = position + 4
                inside = _IN_VLAN
            elif inside == _IN_VNTAG:
                return OTHER
            elif protocol in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
                return IP
            elif protocol in (ETHERTYPE_ARP, ETHERTYPE_RARP):
                return ARP
            elif protocol == ETHERTYPE_MPLS:
                return self._mpls(packet)
            elif protocol == ETHERTYPE_PPPOE:
                if available <= 8:
                    return self.drop("truncated PPPoE header")
                # The length counts the two octets of the PPP protocol; padding may follow.
                payload = max(u16(data, position + 4) - 2, 0)
                packet.network = position + 8
                if payload < available - 8:
                    packet.captured_end = packet.network + payload
                kind = u16(data, position + 6)
                return IP if kind == 0x0021 or kind == 0x0057 else OTHER
            elif protocol == ETHERTYPE_VNTAG:
                if available <= 6:
                    return self.drop("truncated VN-Tag")
                tags += 1
                if tags > MAX_VLAN_TAGS:
                    return self.drop("too many VLAN tags")
                protocol = u16(data, position + 4)
                packet.network = position + 6
                inside = _IN_VNTAG
            elif protocol == ETHERTYPE_PBB:
                if available <= 18:
                    return self.drop("truncated provider backbone header")
                # 802.1ah: a four-octet I-TAG, then the customer's whole Ethernet frame.
                packet.network = position + 4
                protocol = self._ethernet_header(packet)
                if protocol < 0:
                    return UNDECODABLE
                inside = _IN_ETHERNET
            else:
                return OTHER

    def _ieee_802_3(self, packet: Packet, length: i64, check_length: bool) -> i64:
        """802.3 framing: a length, then LLC, SNAP or raw Novell."""
        data = packet.data
        position = packet.network
        available = packet.captured_end - position
        packet.ethertype = 0
        if length > 1500:
            return self.drop("undefined EtherType")
        if available < 3 or (check_length and available < length):
            return self.drop("truncated Ethernet frame")
        if u8(data, position) != 0xAA or u8(data, position + 1) != 0xAA:
            return OTHER
        header: i64 = 3 if u8(data, position + 2) & 3 == 3 else 4
        if available < header + 5:
            return self.drop("truncated SNAP header")
        position += header
        if u24(data, position) != 0:
            return OTHER
        protocol = u16(data, position + 3)
        packet.network = position + 5
        packet.ethertype = protocol
        if protocol in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
            return IP
        if protocol in (ETHERTYPE_ARP, ETHERTYPE_RARP):
            return ARP
        return OTHER

    def ip(self, packet: Packet, wire_end: i64) -> i64:
        """Decode the IP header at ``packet.network``; reassemble fragments.

        ``wire_end`` is where the packet ended on the wire (beyond ``captured_end`` where the
        capture cut it off). On ``IP_WHOLE`` the packet describes the whole datagram, in a buffer
        of its own if it was reassembled.
        """
        data = packet.data
        start = packet.network
        available = packet.captured_end - start
        packet.reassembled = False
        if available < 20:
            return self.drop("truncated IP header")
        version = u8(data, start) >> 4
        if version == 4:
            header_length = (u8(data, start) & 0x0F) * 4
            total_length = u16(data, start + 2)
            packet.ip_version = 4
            packet.ip_length = total_length
            if total_length == 0:
                # Segmentation offload leaves the length to the network card (RFC 791 has no 0).
                total_length = available
            if wire_end - start < total_length:
                return self.drop("IP length beyond the frame")
            if header_length > total_length or header_length > available or header_length < 20:
                return self.drop("bad IP header length")
            packet.flow_label = 0
            packet.protocol = u8(data, start + 9)
            packet.source = start + 12
            packet.destination = start + 16
            packet.address_length = 4
            packet.transport = start + header_length
            packet.payload_end = start + total_length
            if u16(data, start + 6) & 0x3FFF:
                return self._fragment4(packet, header_length, total_length)
            if packet.protocol == NO_NEXT_HEADER:
                return IP_OPAQUE
            return IP_WHOLE
        if version == 6:
            if available < 40:
                return self.drop("truncated IP header")
            return self._ipv6(packet, wire_end)
        return self.drop("unknown IP version")

    def _fragment4(self, packet: Packet, header_length: i64, total_length: i64) -> i64:
        data = packet.data
        start = packet.network
        field = u16(data, start + 6)
        offset = (field & 0x1FFF) * 8
        if packet.captured_end - start < total_length:
            # Reassembly is doomed; the first fragment still shows the ports.
            if offset != 0:
                return self.drop("cut-off fragment")
            return IP_WHOLE
        key = data[start + 12 : start + 20] + data[start + 4 : start + 6]
        whole = self.fragments.add(
            key,
            packet.timestamp,
            data[start : start + header_length],
            data[start + header_length : start + total_length],
            offset,
            field & 0x2000 != 0,
        )
        if whole is None:
            return IP_HELD
        # The header is that of the fragment that came first: options need not be in all of them.
        header_length = (whole[0] & 0x0F) * 4
        length = len(whole) & 0xFFFF
        if length < header_length:
            return self.drop("bad IP header length")
        packet.data = whole[:2] + bytes((length >> 8, length & 0xFF)) + whole[4:]
        packet.network = 0
        packet.captured_end = len(whole)
        packet.ip_length = length
        packet.protocol = whole[9]
        packet.source = 12
        packet.destination = 16
        packet.transport = header_length
        packet.payload_end = length
        packet.reassembled = True
        return IP_WHOLE

    def _ipv6(self, packet: Packet, wire_end: i64) -> i64:
        data = packet.data
        start = packet.network
        total_length = u16(data, start + 4) + 40
        packet.ip_version = 6
        packet.ip_length = total_length
        packet.flow_label = u32(data, start) & 0xFFFFF
        packet.source = start + 8
        packet.destination = start + 24
        packet.address_length = 16
        packet.payload_end = start + total_length
        if wire_end - start < total_length:
            return self.drop("IP length beyond the frame")
        next_header = u8(data, start + 6)
        packet.protocol = next_header
        packet.transport = start + 40
        if (
            next_header != HOP_BY_HOP
            and next_header != ROUTING
            and next_header != FRAGMENT
            and next_header != ESP
            and next_header != AUTHENTICATION
            and next_header != DESTINATION_OPTIONS
            and next_header != MOBILITY
        ):
            return IP_OPAQUE if next_header == NO_NEXT_HEADER else IP_WHOLE
        return self._extension_headers(packet, next_header)

    def _extension_headers(self, packet: Packet, next_header: i64) -> i64:
        data = packet.data
        start = packet.network
        position = start + 40
        end = packet.captured_end
        last: i64 = 0
        previous_field = start + 6
        source = packet.source
        destination = packet.destination
        while True:
            if end - position < 2:
                break
            if next_header in (FRAGMENT, ESP):
                length = 8
            elif next_header == AUTHENTICATION:
                length = (u8(data, position + 1) + 2) * 4
            else:
                length = 8 + u8(data, position + 1) * 8
            if length > end - position:
                break
            last = next_header
            if next_header == ROUTING:
                destination = self._final_destination(data, position, length, destination, packet)
            elif next_header == DESTINATION_OPTIONS:
                source = self._home_address(data, position, length, source)
            # Fragment headers inside a reassembled datagram are only passed over.
            if next_header == FRAGMENT and not packet.reassembled:
                packet.source = source
                packet.destination = destination
                packet.protocol = u8(data, position)
                return self._fragment6(packet, position, previous_field)
            if next_header in (ESP, MOBILITY):
                packet.protocol = next_header
                break
            previous_field = position
            next_header = u8(data, position)
            position += length
            if (
                next_header != HOP_BY_HOP
                and next_header != ROUTING
                and next_header != FRAGMENT
                and next_header != ESP
                and next_header != AUTHENTICATION
                and next_header != DESTINATION_OPTIONS
                and next_header != MOBILITY
            ):
                break
        if position - start > packet.ip_length:
            return self.drop("bad IP header length")
        packet.source = source
        packet.destination = destination
        packet.transport = position
        if last in (ESP, MOBILITY):
            return IP_OPAQUE
        packet.protocol = next_header
        if next_header == NO_NEXT_HEADER:
            return IP_OPAQUE
        return IP_WHOLE

    def ends(self, packet: Packet) -> tuple[i64, i64]:
        """Offsets of the addresses that an IPv6 packet comes from and goes to in the end.

        As ``ip`` finds them, without its other effects; behind a fragment header it does not look.
        """
        data = packet.data
        start = packet.network
        source = start + 8
        destination = start + 24
        packet.destination = destination
        next_header = u8(data, start + 6)
        position = start + 40
        while next_header in (HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION_OPTIONS):
            if packet.captured_end - position < 2:
                break
            length = 8 + u8(data, position + 1) * 8
            if next_header == AUTHENTICATION:
                length = (u8(data, position + 1) + 2) * 4
            if length > packet.captured_end - position:
                break
            if next_header == ROUTING:
                destination = self._final_destination(data, position, length, destination, packet)
            elif next_header == DESTINATION_OPTIONS:
                source = self._home_address(data, position, length, source)
            next_header = u8(data, position)
            position += length
        return source, destination

    def _final_destination(
        self, data: bytes, position: i64, length: i64, destination: i64, packet: Packet
    ) -> i64:
        """Where a routing header (types 0 and 2) sends the packet in the end."""
        if destination != packet.destination or u8(data, position + 3) == 0:
            return destination
        kind = u8(data, position + 2)
        units = u8(data, position + 1)
        if (kind == 0 and units >= 2 and units % 2 == 0) or (kind == 2 and units == 2):
            return position + length - 16
        return destination

    def _home_address(self, data: bytes, position: i64, length: i64, source: i64) -> i64:
        """The home address that a mobile node names as its source (RFC 6275 section 6.3)."""
        end = position + length
        position += 2
        while position < end:
            option = u8(data, position)
            if option == 0:
                position += 1
                continue
            if end - position < 2 or end - position < 2 + u8(data, position + 1):
                break
            if option == 201 and u8(data, position + 1) == 16:
                return position + 2
            position += 2 + u8(data, position + 1)
        return source

    def _fragment6(self, packet: Packet, position: i64, previous_field: i64) -> i64:
        data = packet.data
        start = packet.network
        field = u16(data, position + 2)
        offset = field & 0xFFF8
        header_length = position + 8 - start
        packet.transport = position + 8
        if header_length > packet.ip_length:
            return self.drop("bad IP header length")
        if packet.captured_end - start < packet.ip_length:
            if offset != 0:
                return self.drop("cut-off fragment")
            return IP_WHOLE
        # The header before the fragment header names what follows it once whole.
        headers = (
            data[start:previous_field] + data[position : position + 1]
            + data[previous_field + 1 : position]
        )  # fmt: skip
        addresses = (
            data[packet.source : packet.source + 16]
            + data[packet.destination : packet.destination + 16]
        )
        whole = self.fragments.add(
            addresses + data[position + 4 : position + 8],
            packet.timestamp,
            headers,
            data[position + 8 : packet.payload_end],
            offset,
            field & 1 != 0,
        )
        if whole is None:
            return IP_HELD
        payload_length = (len(whole) - 40) & 0xFFFF
        packet.data = whole[:4] + bytes((payload_length >> 8, payload_length & 0xFF)) + whole[6:]
        packet.network = 0
        packet.captured_end = len(whole)
        packet.reassembled = True
        return self._ipv6(packet, len(whole))
