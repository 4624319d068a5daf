"""The native generator: packets in, the rows of fourteen logs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.fingerprint.database import Database, read_database
from osect_sensor.fingerprint.fingerprinter import Fingerprinter
from osect_sensor.flows.analyzer import Connection
from osect_sensor.flows.endpoint import Endpoint, FlowConnection, TunnelState
from osect_sensor.flows.other_ip import OtherIpFlows
from osect_sensor.flows.table import ConnectionTable
from osect_sensor.flows.uid import UidSource
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols import cclink_field_basic
from osect_sensor.protocols.arp import arp_frame
from osect_sensor.protocols.browser import browser_datagram
from osect_sensor.protocols.cclink_field_basic import FieldBasicAggregator, FieldBasicAnalyzer
from osect_sensor.protocols.cclink_ie import FieldControlAggregator
from osect_sensor.protocols.detection import DetectionContext
from osect_sensor.protocols.dhcp_requests import dhcp_datagram
from osect_sensor.protocols.dhcpv6 import dhcpv6_datagram
from osect_sensor.protocols.ndp import neighbor_packet
from osect_sensor.protocols.netbios_names import netbios_name_datagram
from osect_sensor.protocols.ssdp import ssdp_datagram
from osect_sensor.wire import tunnels
from osect_sensor.wire.decode import (
    AGGREGATED,
    ARP,
    ETHERTYPE_CCLINK_IE,
    IP,
    IP_WHOLE,
    LINKTYPE_ETHERNET,
    LINKTYPE_IEEE802_11,
    LINKTYPE_RAW,
    OTHER,
    SUBFRAME_HEADER,
    UNDECODABLE,
    Decoder,
)
from osect_sensor.wire.octets import u8, u16, u32
from osect_sensor.wire.packet import ICMP, ICMPV6, TCP, UDP, Encapsulation, Packet
from osect_sensor.wire.reader import CaptureReader

if TYPE_CHECKING:
    from mypy_extensions import i64

IP_IN_IP: Final = 4
IPV6_IN_IP: Final = 41
GRE: Final = 47

MAX_IP_TUNNELS: Final = 65_536
"""Address pairs with an IP or GRE tunnel between them that are remembered. A site has a handful;
when a flood of forged pairs fills the table it starts anew and live tunnels get another uid."""


END_OF_TIME: Final = (1 << 31) * 1_000_000
"""Where signed 32-bit seconds end. To libpcap a later time is negative and Zeek ignores the packet;
one such packet in the middle would otherwise time out everything."""

PORT_DHCP: Final = 67
PORT_NETBIOS_NAMES: Final = 137
PORT_NETBIOS_DATAGRAMS: Final = 138
PORT_DHCPV6: Final = 547
PORT_SSDP: Final = 1900

NEIGHBOR_SOLICITATION: Final = 135
NEIGHBOR_ADVERTISEMENT: Final = 136


def _port_flags() -> bytes:
    flags = bytearray(65536)
    for port in (PORT_DHCP, PORT_NETBIOS_NAMES, PORT_NETBIOS_DATAGRAMS, PORT_DHCPV6, PORT_SSDP):
        flags[port] = 1
    return bytes(flags)


_LOGGED_PORTS: Final = _port_flags()
"""Ports whose datagrams make rows of a log of their own."""


@final
class _Context(DetectionContext):
    """Detection, and what the logs that count frames by connection need."""

    def __init__(self, sink: RowSink) -> None:
        super().__init__(sink)
        self.field_basic: FieldBasicAggregator = FieldBasicAggregator(self.counters)

    def attach(self, connection: Connection) -> None:
        """Choose the analyzers of a connection."""
        super().attach(connection)
        if connection.protocol == UDP and connection.resp_port == cclink_field_basic.PORT:
            connection.analyzers.append(FieldBasicAnalyzer(connection, self.field_basic))


@final
class _Datagram:
    """A UDP datagram that may carry a packet."""

    __slots__ = ("connection", "cut", "depth", "end", "packet", "start")

    def __init__(
        self,
        connection: FlowConnection,
        packet: Packet,
        start: i64,
        end: i64,
        cut: i64,
        depth: i64,
    ) -> None:
        self.connection: FlowConnection = connection
        self.packet: Packet = packet
        self.start: i64 = start
        """Where its payload starts in ``packet.data``."""
        self.end: i64 = end
        self.cut: i64 = cut
        """Octets of the frame that were not captured."""
        self.depth: i64 = depth
        """Tunnels around it."""


@final
class NativeGenerator:
    """Processes captures packet by packet; rows go to ``sink`` as soon as they are final."""

    __slots__ = (
        "_context",
        "_decoder",
        "_field_control",
        "_fingerprinter",
        "_ip_tunnels",
        "_other_ip",
        "_packets",
        "_pending",
        "_share",
        "_shares",
        "_sink",
        "_table",
        "_uids",
        "packets",
    )

    def __init__(
        self, sink: RowSink, report_interval: i64, seed: int, fingerprints: str = ""
    ) -> None:
        """``report_interval`` in microseconds (0: one row a connection); ``seed`` for the uids;
        ``fingerprints`` is the text of a p0f database (without one every label is ``???``)."""
        self._sink: RowSink = sink
        self._context: _Context = _Context(sink)
        database = read_database(fingerprints) if fingerprints != "" else Database()
        self._fingerprinter: Fingerprinter = Fingerprinter(sink, database, self._context.counters)
        self._other_ip: OtherIpFlows = OtherIpFlows(self._context)
        self._field_control: FieldControlAggregator = FieldControlAggregator(self._context.counters)
        self._uids: UidSource = UidSource(seed)
        self._table: ConnectionTable = ConnectionTable(self._context, self._uids, report_interval)
        self._decoder: Decoder = Decoder()
        self._packets: list[Packet] = [Packet() for _ in range(tunnels.MAX_DEPTH + 2)]
        """One a level of encapsulation: an inner packet must not overwrite the outer one."""
        self._ip_tunnels: dict[bytes, Encapsulation] = {}
        self._pending: bool = False
        self._share: i64 = 0
        self._shares: i64 = 1
        self.packets: i64 = 0
        """Packets seen so far."""

    def take_share(self, share: i64, shares: i64) -> None:
        """Process only part of the traffic; others, given the same packets, process the rest.

        A pair of stations belongs to one share as a whole, with its fragments and tunnels. What
        keeps state beyond a pair is one share's: fingerprints the last one's, the rest share 0's.
        Call it before the first packet.
        """
        self._share = share
        self._shares = shares

    def _mine(self, packet: Packet) -> bool:
        """Whether an IP packet's pair of addresses is of this share."""
        data = packet.data
        position = packet.network
        if packet.captured_end - position >= 40 and u8(data, position) >> 4 == 6:
            source, destination = self._decoder.ends(packet)
            one = u32(data, source + 12)
            other = u32(data, destination + 12)
        elif packet.captured_end - position >= 20:
            one = u32(data, position + 12)
            other = u32(data, position + 16)
        else:
            return self._share == 0
        # The same whichever end sends. The sum tells lines of a plant apart that are numbered alike
        # (their differences are equal), the difference tells the stations of a line apart.
        mixed = (one + other) * 0x1B873593 + (one ^ other) * 0x0CC9E2D5
        # Eight parts for each but the last, which has the fingerprints besides.
        part = (mixed >> 16 & 0xFFFF) * (8 * self._shares - 1) >> 16
        return part // 8 == self._share

    def read(self, reader: CaptureReader, until: i64) -> bool:
        """Process records of ``reader`` up to the first at or after ``until`` (microseconds).

        Returns True if there is such a record (it is processed by the next call), False at the
        end of the capture.
        """
        while self._pending or reader.next():
            if reader.timestamp >= until:
                self._pending = True
                return True
            self._pending = False
            self.frame(
                reader.timestamp,
                reader.link_type,
                reader.data,
                reader.offset,
                reader.captured,
                reader.wire_length,
            )
        return False

    def frame(
        self,
        timestamp: i64,
        link_type: i64,
        data: bytes,
        start: i64,
        captured: i64,
        wire_length: i64,
    ) -> None:
        """Process one captured frame, ``data[start:start + captured]``."""
        self.packets += 1
        packet = self._packets[0]
        packet.timestamp = timestamp
        packet.data = data
        packet.network = start
        packet.captured_end = start + captured
        packet.encapsulation = None
        # p0f decodes frames on its own, also those of link types that nothing else follows.
        shares = self._shares
        if (shares == 1 or self._share == shares - 1) and not (
            # The common frame that p0f has no use for: IPv4 without a tag, but not TCP.
            link_type == LINKTYPE_ETHERNET
            and captured > 24
            and u8(data, start + 23) != TCP
            and u8(data, start + 12) == 8
            and u8(data, start + 13) == 0
        ):
            self._fingerprinter.frame(timestamp, link_type, data, start, start + captured)
        if timestamp >= END_OF_TIME:
            if self._share == 0:
                self._decoder.drop("time stamp after January 2038")
            return
        if wire_length == 0:
            # Zeek passes over frames without a length, whatever was captured of them.
            if self._share == 0:
                self._decoder.drop("frame without a length")
            return
        # The clock never goes back, whatever order the packets are in.
        if timestamp > self._context.now:
            self._context.now = timestamp
        self._table.advance(timestamp)
        if shares == 1:
            kind = self._decoder.link(packet, link_type)
            if kind == IP:
                self._outermost(packet, start)
        else:
            kind = self._link_of_share(packet, link_type, start)
        if kind == IP:
            self._ip(packet, start + wire_length, wire_length - captured, 0)
        elif kind == ARP:
            arp_frame(packet, self._sink)
        elif kind == OTHER and packet.ethertype == ETHERTYPE_CCLINK_IE:
            self._field_control.frame(packet)
        elif kind == AGGREGATED:
            self._aggregated(packet, 0)
        self._table.packet_done(timestamp)

    def _aggregated(self, packet: Packet, depth: i64) -> None:
        """Process the packets of an aggregated 802.11 frame, each confined to its subframe."""
        first = self._share == 0
        data = packet.data
        encapsulation = packet.encapsulation
        position = packet.network
        end = packet.captured_end
        while position < end:
            packet.data = data
            packet.encapsulation = encapsulation
            self._decoder.counting = first
            kind = self._decoder.subframe(packet, position, end)
            self._decoder.counting = True
            if kind == UNDECODABLE:
                return
            stop = packet.captured_end
            if kind == IP:
                if self._shares == 1 or self._mine(packet):
                    self._ip(packet, stop, 0, depth)
            elif kind == ARP and first:
                arp_frame(packet, self._sink)
            # Zeek takes this for the padding, which the standard means to fill up to a multiple of
            # four; for one and three octets more than that they agree.
            padding = (stop - position - SUBFRAME_HEADER) % 4
            position = stop
            if end - position >= padding:
                position += padding

    def _link_of_share(self, packet: Packet, link_type: i64, frame: i64) -> i64:
        """What the link layer carries, ``UNDECODABLE`` if that is for another share."""
        first = self._share == 0
        self._decoder.counting = first
        kind = self._decoder.link(packet, link_type)
        self._decoder.counting = True
        if kind != IP:
            return kind if first or kind == AGGREGATED else UNDECODABLE
        if first:
            self._outermost(packet, frame)
        return IP if self._mine(packet) else UNDECODABLE

    def _outermost(self, packet: Packet, frame: i64) -> None:
        """Give packets of other protocols to yaf_flow.log, as they are on the wire."""
        data = packet.data
        position = packet.network
        if packet.captured_end - position >= 20:
            version = u8(data, position) >> 4
            protocol: i64 = -1
            if version == 4:
                protocol = u8(data, position + 9)
            elif version == 6:
                protocol = u8(data, position + 6)
            if protocol in (TCP, UDP) or protocol == (ICMP if version == 4 else ICMPV6):
                self._other_ip.advance(packet.timestamp)
                return
        self._other_ip.add(packet, frame)

    def close_window(self, end: i64) -> None:
        """Emit what became final before ``end`` (microseconds) although no packet came since."""
        self._context.now = end
        self._table.advance(end)
        self._other_ip.expire(end)
        self._flush_counts()

    def finish(self) -> None:
        """The capture is over: end every connection and emit what is pending."""
        self._table.finish()
        self._other_ip.finish()
        self._flush_counts()

    def _flush_counts(self) -> None:
        self._context.field_basic.flush(self._sink)
        self._field_control.flush(self._sink)

    def undecodable(self) -> dict[str, int]:
        """Packets that could not be decoded, by reason."""
        reasons = dict(self._decoder.reasons)
        if self._table.rejected > 0:
            reasons["truncated transport header"] = self._table.rejected
        return reasons

    def limits(self) -> dict[str, int]:
        """Limits that were hit and other events worth telling, with their counts."""
        events = dict(self._context.counters.values)
        if self._table.evicted > 0:
            events["connections ended early: table full"] = self._table.evicted
        fragments = self._decoder.fragments
        if fragments.refused > 0:
            events["fragmented datagrams given up: too many"] = fragments.refused
        if fragments.expired > 0:
            events["fragmented datagrams given up: fragments missing"] = fragments.expired
        return events

    def connections(self) -> i64:
        """Live connections."""
        return len(self._table)

    def _ip(self, packet: Packet, wire_end: i64, cut: i64, depth: i64) -> None:
        """Process an IP packet; ``cut`` octets of its frame were not captured."""
        if self._decoder.ip(packet, wire_end) != IP_WHOLE:
            return
        protocol = packet.protocol
        if protocol == TCP:
            self._table.tcp(packet)
        elif protocol == UDP:
            sender = self._table.udp(packet)
            if sender is not None:
                self._udp(sender, packet, 0 if packet.reassembled else cut, depth)
        elif protocol in (ICMP, ICMPV6):
            self._table.icmp(packet)
            if protocol == ICMPV6 and packet.captured_end > packet.transport:
                kind = u8(packet.data, packet.transport)
                if kind in (NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT):
                    neighbor_packet(packet, self._sink)
        elif protocol in (IP_IN_IP, IPV6_IN_IP):
            kind = tunnels.INNER_IPV4_EXACT if protocol == IP_IN_IP else tunnels.INNER_IPV6_EXACT
            if depth < tunnels.MAX_DEPTH and self._fits(
                packet, packet.transport, kind, packet.captured_end
            ):
                encapsulation = self._ip_tunnel(packet, "IP")
                self._inner(packet, packet.transport, kind, encapsulation, 0, depth)
        elif protocol == GRE:
            if depth < tunnels.MAX_DEPTH:
                inner, kind = tunnels.gre(packet.data, packet.transport, packet.captured_end)
                if inner < 0:
                    self._decoder.drop("malformed GRE")
                elif self._fits(packet, inner, kind, packet.captured_end):
                    encapsulation = self._ip_tunnel(packet, "GRE")
                    self._inner(packet, inner, kind, encapsulation, 0, depth)

    def _udp(self, sender: Endpoint, packet: Packet, cut: i64, depth: i64) -> None:
        """Look for a tunnel, then give the payload to the connection's analyzers."""
        connection = sender.connection
        start = packet.transport + 8
        end = packet.payload_end
        if end > packet.captured_end or end < start:
            end = packet.captured_end
        data = packet.data
        source_port = u16(data, packet.transport)
        destination_port = u16(data, packet.transport + 2)
        if (
            _LOGGED_PORTS[destination_port] != 0 or source_port == PORT_SSDP
        ) and packet.payload_end <= packet.captured_end:
            self._logged_datagram(packet, start, end, destination_port)
        port = connection.resp_port
        if port in (
            tunnels.PORT_TEREDO,
            tunnels.PORT_VXLAN,
            tunnels.PORT_GENEVE,
            tunnels.PORT_GTP_USER,
            tunnels.PORT_GTP_CONTROL,
            tunnels.PORT_AYIYA,
            tunnels.PORT_GRE_IN_UDP,
        ):
            self._tunnel(port, _Datagram(connection, packet, start, end, cut, depth))
        # Two are recognised on any port.
        elif (
            end - start >= 40
            and u8(data, start) < 0x70
            and tunnels.looks_like_teredo(data, start, end)
        ):
            self._teredo(_Datagram(connection, packet, start, end, cut, depth))
        elif end - start >= 3 and u8(data, start + 1) == 0x52 and u8(data, start + 2) == 0x11:
            self._ayiya(_Datagram(connection, packet, start, end, cut, depth))
        self._table.deliver(sender, packet)

    def _logged_datagram(self, packet: Packet, start: i64, end: i64, port: i64) -> None:
        """Rows of the logs that are about one kind of datagram."""
        if port == PORT_DHCP:
            if packet.ip_version == 4:
                dhcp_datagram(packet, start, end, self._sink)
        elif port == PORT_NETBIOS_NAMES:
            netbios_name_datagram(packet, start, end, self._sink)
        elif port == PORT_NETBIOS_DATAGRAMS:
            browser_datagram(packet, start, end, self._sink)
        elif port == PORT_DHCPV6:
            if packet.ip_version == 6:
                dhcpv6_datagram(packet, start, end, self._sink)
        else:
            ssdp_datagram(packet, start, end, port == PORT_SSDP, self._sink)

    def _tunnel(self, port: i64, datagram: _Datagram) -> None:
        """Follow the tunnel that the responder's port stands for."""
        if port == tunnels.PORT_TEREDO:
            self._teredo(datagram)
        elif port == tunnels.PORT_VXLAN:
            self._vxlan(datagram)
        elif port == tunnels.PORT_GENEVE:
            self._geneve(datagram)
        elif port == tunnels.PORT_AYIYA:
            self._ayiya(datagram)
        elif port == tunnels.PORT_GRE_IN_UDP:
            self._gre_in_udp(datagram)
        else:
            self._gtp(datagram)

    def _tunnel_state(self, datagram: _Datagram) -> TunnelState | None:
        """The connection's tunnel state, None once the tunnel is not to be followed."""
        connection = datagram.connection
        state = connection.tunnel
        if state is None:
            state = TunnelState()
            connection.tunnel = state
        if state.violated:
            return None
        if datagram.depth >= tunnels.MAX_DEPTH:
            connection.mark_unknown()
            return None
        return state

    def _teredo(self, datagram: _Datagram) -> None:
        state = self._tunnel_state(datagram)
        if state is None:
            return
        inner = tunnels.teredo(datagram.packet.data, datagram.start, datagram.end)
        if inner < 0:
            state.violated = True
            return
        connection = datagram.connection
        if self._from_orig(connection, datagram.packet):
            state.valid_orig = True
        else:
            state.valid_resp = True
        if state.valid_orig and state.valid_resp:
            connection.confirm("teredo")
        self._carried(datagram, inner, "TEREDO", tunnels.INNER_IP)

    def _vxlan(self, datagram: _Datagram) -> None:
        state = self._tunnel_state(datagram)
        if state is None:
            return
        inner = tunnels.vxlan(datagram.packet.data, datagram.start, datagram.end)
        if inner < 0:
            state.violated = True
            return
        datagram.connection.confirm("vxlan")
        self._carried(datagram, inner, "VXLAN", tunnels.INNER_ETHERNET)

    def _geneve(self, datagram: _Datagram) -> None:
        state = self._tunnel_state(datagram)
        if state is None:
            return
        inner, kind = tunnels.geneve(datagram.packet.data, datagram.start, datagram.end)
        if inner == tunnels.MALFORMED:
            state.violated = True
        elif inner >= 0:
            datagram.connection.confirm("geneve")
            if kind >= 0:
                self._carried(datagram, inner, "GENEVE", kind)

    def _ayiya(self, datagram: _Datagram) -> None:
        state = self._tunnel_state(datagram)
        if state is None:
            return
        inner, kind = tunnels.ayiya(datagram.packet.data, datagram.start, datagram.end)
        if inner == tunnels.MALFORMED:
            state.violated = True
        elif inner >= 0:
            datagram.connection.confirm("ayiya")
            if kind >= 0:
                self._carried(datagram, inner, "AYIYA", kind)

    def _gtp(self, datagram: _Datagram) -> None:
        connection = datagram.connection
        state = connection.tunnel
        if state is None:
            state = TunnelState()
            connection.tunnel = state
        if datagram.depth >= tunnels.MAX_DEPTH:
            return
        outer = datagram.packet.encapsulation
        if outer is not None and outer.kind == "GTPV1":
            state.violated = True
            return
        data = datagram.packet.data
        inner = tunnels.gtp(data, datagram.start, datagram.end)
        if inner == tunnels.MALFORMED or (
            inner >= 0 and not tunnels.holds_exactly(data, inner, datagram.end, 0)
        ):
            state.violated = True
        elif inner >= 0:
            if not state.violated:
                connection.confirm("gtpv1")
            self._carried(datagram, inner, "GTPV1", tunnels.INNER_IP)

    def _gre_in_udp(self, datagram: _Datagram) -> None:
        """GRE in UDP (RFC 8086), whose inner packet has the tunnel of GRE between two addresses."""
        if datagram.depth >= tunnels.MAX_DEPTH:
            return
        packet = datagram.packet
        inner, kind = tunnels.gre(packet.data, datagram.start, datagram.end)
        if inner >= 0 and self._fits(packet, inner, kind, datagram.end):
            captured_end = packet.captured_end
            packet.captured_end = datagram.end
            encapsulation = self._ip_tunnel(packet, "GRE")
            self._inner(packet, inner, kind, encapsulation, 0, datagram.depth)
            packet.captured_end = captured_end

    def _from_orig(self, connection: FlowConnection, packet: Packet) -> bool:
        return (
            connection.orig_port == u16(packet.data, packet.transport)
            and connection.orig_address
            == (packet.data[packet.source : packet.source + packet.address_length])
        )

    def _carried(self, datagram: _Datagram, inner: i64, name: str, kind: i64) -> None:
        """Process the packet at ``inner`` that a UDP connection carries."""
        if inner >= datagram.end:
            return
        packet = datagram.packet
        encapsulation = Encapsulation(name, datagram.connection.uid, packet.encapsulation)
        # Only what the tunnel's own length covers: Ethernet padding is not part of it.
        captured_end = packet.captured_end
        packet.captured_end = datagram.end
        self._inner(packet, inner, kind, encapsulation, datagram.cut, datagram.depth)
        packet.captured_end = captured_end

    def _inner(
        self,
        outer: Packet,
        start: i64,
        kind: i64,
        encapsulation: Encapsulation,
        cut: i64,
        depth: i64,
    ) -> None:
        """Process a packet inside another, ``outer.data[start:outer.captured_end]``."""
        depth += 1
        packet = self._packets[depth]
        packet.timestamp = outer.timestamp
        packet.data = outer.data
        packet.network = start
        packet.captured_end = outer.captured_end
        packet.encapsulation = encapsulation
        link_type = LINKTYPE_RAW
        if kind == tunnels.INNER_ETHERNET:
            link_type = LINKTYPE_ETHERNET
        elif kind == tunnels.INNER_IEEE802_11:
            link_type = LINKTYPE_IEEE802_11
        layer = self._decoder.link(packet, link_type)
        if kind == tunnels.INNER_ARP or layer == ARP:
            arp_frame(packet, self._sink)
        elif layer == IP:
            self._ip(packet, packet.captured_end + cut, cut, depth)
        elif layer == AGGREGATED:
            self._aggregated(packet, depth)

    def _ip_tunnel(self, packet: Packet, kind: str) -> Encapsulation:
        """The tunnel between two addresses: the same uid for both directions."""
        size = packet.address_length
        source = packet.data[packet.source : packet.source + size]
        destination = packet.data[packet.destination : packet.destination + size]
        key = source + destination if source < destination else destination + source
        known = self._ip_tunnels.get(key)
        if known is None:
            if len(self._ip_tunnels) >= MAX_IP_TUNNELS:
                self._ip_tunnels.clear()
                self._context.counters.count("IP tunnels forgotten: too many")
            uid = self._uids.uid(packet.protocol, source, 0, destination, 0, packet.timestamp, 0)
            known = Encapsulation(kind, uid, None)
            self._ip_tunnels[key] = known
        return Encapsulation(known.kind, known.uid, packet.encapsulation)

    def _fits(self, packet: Packet, inner: i64, kind: i64, end: i64) -> bool:
        """Whether the octets up to ``end`` are exactly one IP packet, where that is demanded.

        Ethernet padding behind the outer packet counts: Zeek compares with what was captured.
        """
        if kind == tunnels.INNER_IPV4_EXACT:
            version = 4
        elif kind == tunnels.INNER_IPV6_EXACT:
            version = 6
        else:
            return True
        if tunnels.holds_exactly(packet.data, inner, end, version):
            return True
        self._decoder.drop("inner IP length does not fit")
        return False
