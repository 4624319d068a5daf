"""Flows of the IP protocols that conn.log does not hold, as YAF 2.11 keeps them: yaf_flow.log.

YAF's flow table works on whole milliseconds and on a clock that only packets advance; a packet
from before that clock, or without a time, is rejected. Its fragment table is its own as well: it
looks at lengths and never at contents, so it completes datagrams that a capture cut off. Between
Ethernet and IP it knows 802.1Q tags, MPLS and PPPoE only. One thing differs on purpose: IPv6
fragments are put together (YAF takes every one of them for "more to come" and loses them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import AnalysisContext
from osect_sensor.logs.rows import FlowRow
from osect_sensor.wire.octets import ipv4_text, mac_text, u8, u16
from osect_sensor.wire.packet import ICMP, ICMPV6, NO_VLAN, TCP, UDP, Packet

if TYPE_CHECKING:
    from mypy_extensions import i64

IDLE_TIMEOUT: Final = 300_000
"""Milliseconds without a packet after which a flow has ended (``yaf --idle-timeout``)."""

ACTIVE_TIMEOUT: Final = 1_800_000
"""Milliseconds after which a flow is reported and begun anew (``yaf --active-timeout``)."""

FLUSH_INTERVAL: Final = 5_000
"""Milliseconds between looks for idle flows."""

MAX_FLOWS: Final = 65_536
"""Flows kept at once. YAF has no limit unless told; at some 600 octets each this is 40 MB, and a
network has two orders of magnitude fewer outside of TCP, UDP and ICMP unless it is flooded."""

EVICTED_AT_ONCE: Final = MAX_FLOWS // 64
"""Flows that make room when the table is full: the least recently active ones. Many at once,
because finding the oldest entry of a dict costs a walk over those that were removed before it."""

FRAGMENT_TIMEOUT: Final = 30_000
"""Milliseconds without a fragment after which an incomplete datagram is given up."""

MAX_FRAGMENTED: Final = 4_096
"""Incomplete datagrams kept at once; a fragment's identification distinguishes 65,536 of them
between two hosts, and an honest host has a handful in flight."""

MAX_PIECES: Final = 1_366
"""Gaps plus one of an incomplete datagram: the smallest link MTU (68 octets, RFC 791) carries 48
octets a fragment, so a datagram of 65,535 octets has no more fragments than this."""

MAX_SUFFIXES: Final = 1_024
"""Pairs of protocol and VLAN whose part of the flow key is kept ready; a network has dozens."""

_ETHERTYPE_IPV4: Final = 0x0800
_ETHERTYPE_VLAN: Final = 0x8100
_ETHERTYPE_IPV6: Final = 0x86DD
_ETHERTYPE_MPLS: Final = 0x8847
_ETHERTYPE_MPLS_MULTICAST: Final = 0x8848
_ETHERTYPE_PPPOE: Final = 0x8864

_ETHERNET_HEADER: Final = 14

_HOP_BY_HOP: Final = 0
_ROUTING: Final = 43
_FRAGMENT: Final = 44
_NO_NEXT_HEADER: Final = 59
_DESTINATION_OPTIONS: Final = 60

_HEX: Final = [f"{value:02x}" for value in range(256)]


def padded_ipv6_text(address: bytes) -> str:
    """An IPv6 address the way YAF writes it: groups of four digits, the first zeros left out."""
    text = ""
    omitted = False
    done = False
    for index in range(0, 16, 2):
        high = address[index]
        low = address[index + 1]
        if high or low or done:
            text += _HEX[high] + _HEX[low]
            if index < 14:
                text += ":"
            done = omitted
        elif not omitted:
            text += "::" if index == 0 else ":"
            omitted = True
    return text


def _address_text(address: bytes) -> str:
    if len(address) == 4:
        return ipv4_text(address, 0)
    return padded_ipv6_text(address)


def _mac_text(mac: bytes) -> str:
    return mac_text(mac, 0) if len(mac) == 6 else ""


@final
class _Flow:
    """One flow; times in milliseconds."""

    __slots__ = (
        "destination", "destination_mac", "end", "key", "octets", "packets", "protocol",
        "reverse_octets", "reverse_packets", "rtt", "source", "source_mac", "start", "vlan",
    )  # fmt: skip

    def __init__(
        self, key: bytes, protocol: i64, source: bytes, destination: bytes, vlan: i64, start: i64
    ) -> None:
        self.key: bytes = key
        self.protocol: i64 = protocol
        self.source: bytes = source
        self.destination: bytes = destination
        self.vlan: i64 = vlan
        self.start: i64 = start
        self.end: i64 = start
        self.rtt: i64 = 0
        self.source_mac: bytes = b""
        self.destination_mac: bytes = b""
        self.packets: i64 = 0
        self.octets: i64 = 0
        self.reverse_packets: i64 = 0
        self.reverse_octets: i64 = 0


@final
class _Fragments:
    """What has come of a fragmented datagram."""

    __slots__ = (
        "destination_mac", "ends", "first", "last", "seen", "source_mac", "starts", "vlan",
    )  # fmt: skip

    def __init__(self, vlan: i64) -> None:
        self.vlan: i64 = vlan
        self.source_mac: bytes = b""
        self.destination_mac: bytes = b""
        self.seen: i64 = 0
        """Time of the latest fragment, milliseconds."""
        self.first: bool = False
        """Whether the fragment with offset 0 has come."""
        self.last: bool = False
        """Whether the fragment that none follows has come."""
        self.starts: list[int] = []
        self.ends: list[int] = []
        """The octets that have come: ascending ranges with gaps between them."""

    def take(self, start: i64, end: i64) -> None:
        """Mark a range of octets as having come."""
        low = 0
        while low < len(self.starts) and self.ends[low] < start:
            low += 1
        high = low
        while high < len(self.starts) and self.starts[high] <= end:
            start = min(start, self.starts[high])
            end = max(end, self.ends[high])
            high += 1
        self.starts[low:high] = [start]
        self.ends[low:high] = [end]

    def length(self) -> i64:
        """Octets of the whole payload, or -1 while some are missing."""
        if self.first and self.last and len(self.starts) == 1 and self.starts[0] == 0:
            return self.ends[0]
        return -1


@final
class OtherIpFlows:
    """The flow table; feed it every outermost IP packet in the order of capture."""

    def __init__(self, context: AnalysisContext) -> None:
        self._context: Final = context
        self._clock: i64 = 0
        """Time of the latest packet that was accepted, milliseconds."""
        self._next_flush: i64 = 0
        self._flows: dict[bytes, _Flow] = {}
        """Least recently active first."""
        self._newest: _Flow | None = None
        self._suffixes: dict[int, bytes] = {}
        """Protocol and VLAN as they appear in keys."""
        self._fragments: dict[bytes, _Fragments] = {}
        """Least recently fed first."""
        self._fragment_clock: i64 = 0
        self._next_prune: i64 = 0

    def __len__(self) -> int:
        """Flows in the table."""
        return len(self._flows)

    def add(self, packet: Packet, frame: i64) -> None:
        """Take an IP packet as it was on the wire: outermost header, fragments as fragments.

        ``frame`` is where its frame starts in ``packet.data``. The IP header at
        ``packet.network`` is read here, because YAF believes it in other cases than Zeek does.
        TCP, UDP, ICMP and ICMPv6 advance the clock and are not kept.
        """
        if (
            packet.network != frame + _ETHERNET_HEADER
            and packet.destination_mac >= 0
            and not _is_known_encapsulation(packet, frame)
        ):
            self._context.counters.count("yaf_flow: encapsulation unknown to YAF, ignored")
            return
        ethertype = packet.ethertype
        if ethertype == _ETHERTYPE_IPV4:
            self._ipv4(packet)
        elif ethertype == _ETHERTYPE_IPV6:
            self._ipv6(packet)
        elif packet.captured_end > packet.network:
            version = u8(packet.data, packet.network) >> 4
            if version == 4:
                self._ipv4(packet)
            elif version == 6:
                self._ipv6(packet)

    def advance(self, timestamp: i64) -> None:
        """Learn the time of a packet that is not kept here (microseconds)."""
        milliseconds = timestamp // 1000
        if milliseconds > self._clock:
            self._clock = milliseconds
            if milliseconds >= self._next_flush:
                self._flush()

    def expire(self, now: i64) -> None:
        """End the flows that have been idle for too long at ``now`` (microseconds)."""
        self._close_idle(now // 1000)

    def finish(self) -> None:
        """End all flows: the capture has ended."""
        self._close_idle(self._clock)
        for flow in list(self._flows.values()):
            self._emit(flow, "eof")
        self._flows.clear()
        self._newest = None
        if len(self._fragments) > 0:
            self._context.counters.count(
                "yaf_flow: fragmented datagram never completed", len(self._fragments)
            )
            self._fragments.clear()

    def _ipv4(self, packet: Packet) -> None:
        data = packet.data
        start = packet.network
        available = packet.captured_end - start
        if available < 20:
            return
        protocol = u8(data, start + 9)
        if protocol in (TCP, UDP, ICMP, ICMPV6):
            self.advance(packet.timestamp)
            return
        header_length = (u8(data, start) & 0x0F) * 4
        if available < header_length:
            return
        length = u16(data, start + 2)
        field = u16(data, start + 6)
        # The length is taken as claimed, whatever it is.
        if field & 0x3FFF:
            key = data[start + 12 : start + 20] + data[start + 4 : start + 6] + bytes((protocol,))
            offset = (field & 0x1FFF) * 8
            self._fragment(
                packet, key, protocol, header_length, length, offset, field & 0x2000 != 0,
                data[start + 12 : start + 16], data[start + 16 : start + 20],
            )  # fmt: skip
            return
        self._packet(
            packet, protocol, data[start + 12 : start + 16], data[start + 16 : start + 20], length
        )

    def _ipv6(self, packet: Packet) -> None:
        data = packet.data
        start = packet.network
        if packet.captured_end - start < 40:
            return
        length = u16(data, start + 4) + 40
        end = min(packet.captured_end, start + length)
        protocol = u8(data, start + 6)
        position = start + 40
        fragment: i64 = -1
        while True:
            if protocol == _FRAGMENT:
                if end - position < 8:
                    return
                fragment = position
                size = 8
            elif protocol in (_HOP_BY_HOP, _ROUTING, _DESTINATION_OPTIONS):
                if end - position < 2:
                    return
                size = u8(data, position + 1) * 8 + 8
                if end - position < size:
                    return
            else:
                break
            protocol = u8(data, position)
            position += size
        if protocol in (TCP, UDP, ICMP, ICMPV6):
            self.advance(packet.timestamp)
            return
        if protocol == _NO_NEXT_HEADER:
            return
        source = data[start + 8 : start + 24]
        destination = data[start + 24 : start + 40]
        if fragment >= 0:
            field = u16(data, fragment + 2)
            key = source + destination + data[fragment + 4 : fragment + 8] + bytes((protocol,))
            self._fragment(
                packet, key, protocol, position - start, length, field & 0xFFF8, field & 1 != 0,
                source, destination,
            )  # fmt: skip
            return
        self._packet(packet, protocol, source, destination, length)

    def _fragment(
        self, packet: Packet, key: bytes, protocol: i64, header_length: i64, length: i64,
        offset: i64, more: bool, source: bytes, destination: bytes,
    ) -> None:  # fmt: skip
        """Take a fragment; count the datagram once it is whole."""
        now = packet.timestamp // 1000
        counters = self._context.counters
        if now < self._fragment_clock:
            counters.count("yaf_flow: fragment older than its predecessors, rejected")
            return
        self._fragment_clock = now
        if length < header_length:
            counters.count("yaf_flow: fragment shorter than its header, rejected")
            return
        fragments = self._fragments.pop(key, None)
        if fragments is None:
            fragments = _Fragments(_vlan(packet))
        self._fragments[key] = fragments
        fragments.seen = now
        if offset == 0:
            fragments.first = True
            fragments.source_mac = _mac(packet, packet.source_mac)
            fragments.destination_mac = _mac(packet, packet.destination_mac)
        if not more:
            fragments.last = True
        fragments.take(offset, offset + length - header_length)
        whole = fragments.length()
        if whole >= 0:
            del self._fragments[key]
            begun = self._count(
                now, protocol, source, destination, fragments.vlan, whole + header_length
            )
            if begun is not None:
                begun.source_mac = fragments.source_mac
                begun.destination_mac = fragments.destination_mac
        elif len(fragments.starts) > MAX_PIECES:
            del self._fragments[key]
            counters.count("yaf_flow: datagram in too many pieces, dropped")
        if now >= self._next_prune or len(self._fragments) > MAX_FRAGMENTED:
            self._prune_fragments(now)

    def _prune_fragments(self, now: i64) -> None:
        self._next_prune = now + FLUSH_INTERVAL
        surplus = 0
        if len(self._fragments) > MAX_FRAGMENTED:
            surplus = MAX_FRAGMENTED // 64
        stale: list[bytes] = []
        for key, fragments in self._fragments.items():
            if len(stale) >= surplus and now - fragments.seen <= FRAGMENT_TIMEOUT:
                break
            stale.append(key)
        for key in stale:
            del self._fragments[key]
        if len(stale) > 0:
            self._context.counters.count(
                "yaf_flow: fragmented datagram never completed", len(stale)
            )

    def _packet(
        self, packet: Packet, protocol: i64, source: bytes, destination: bytes, octets: i64
    ) -> None:
        begun = self._count(
            packet.timestamp // 1000, protocol, source, destination, _vlan(packet), octets
        )
        if begun is not None:
            begun.source_mac = _mac(packet, packet.source_mac)
            begun.destination_mac = _mac(packet, packet.destination_mac)

    def _count(
        self, now: i64, protocol: i64, source: bytes, destination: bytes, vlan: i64, octets: i64
    ) -> _Flow | None:
        """Count a whole packet into its flow; answers the flow if the packet is its first."""
        if now < self._clock:
            self._context.counters.count("yaf_flow: packet older than its predecessors, rejected")
            return None
        if now == 0:
            self._context.counters.count("yaf_flow: packet without a time, rejected")
            return None
        self._clock = now
        if now >= self._next_flush:
            self._flush()
        code = vlan << 8 | protocol
        suffix = self._suffixes.get(code, b"")
        if len(suffix) == 0:
            suffix = bytes((protocol, vlan >> 8 & 0x0F, vlan & 0xFF))
            if len(self._suffixes) >= MAX_SUFFIXES:
                self._suffixes.clear()
            self._suffixes[code] = suffix
        if source <= destination:
            key = source + destination + suffix
        else:
            key = destination + source + suffix
        flow = self._flows.get(key)
        if flow is not None:
            if now - flow.end > IDLE_TIMEOUT:
                self._close(flow, "idle")
                flow = None
            elif now - flow.start > ACTIVE_TIMEOUT:
                self._close(flow, "active")
                flow = None
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                self._evict()
            flow = _Flow(key, protocol, source, destination, vlan, now)
            flow.packets = 1
            flow.octets = octets
            self._flows[key] = flow
            self._newest = flow
            return flow
        if flow is not self._newest:
            del self._flows[key]
            self._flows[key] = flow
            self._newest = flow
        flow.end = now
        if flow.source == source:
            flow.packets += 1
            flow.octets += octets
        else:
            if flow.reverse_packets == 0:
                flow.rtt = now - flow.start
            flow.reverse_packets += 1
            flow.reverse_octets += octets
        return None

    def _flush(self) -> None:
        self._next_flush = self._clock + FLUSH_INTERVAL
        self._close_idle(self._clock)

    def _close_idle(self, now: i64) -> None:
        idle: list[_Flow] = []
        for flow in self._flows.values():
            if now - flow.end <= IDLE_TIMEOUT:
                break
            idle.append(flow)
        for flow in idle:
            self._close(flow, "idle")

    def _evict(self) -> None:
        """Make room in a full table."""
        oldest: list[_Flow] = []
        for flow in self._flows.values():
            if len(oldest) >= EVICTED_AT_ONCE:
                break
            oldest.append(flow)
        for flow in oldest:
            self._close(flow, "")
        self._context.counters.count("yaf_flow: flow ended early, table full", len(oldest))

    def _close(self, flow: _Flow, reason: str) -> None:
        del self._flows[flow.key]
        if self._newest is flow:
            self._newest = None
        self._emit(flow, reason)

    def _emit(self, flow: _Flow, reason: str) -> None:
        row = FlowRow()
        row.start = flow.start * 1000
        row.end = flow.end * 1000
        row.rtt = flow.rtt * 1000
        row.protocol = flow.protocol
        row.source = _address_text(flow.source)
        row.destination = _address_text(flow.destination)
        row.source_mac = _mac_text(flow.source_mac)
        row.destination_mac = _mac_text(flow.destination_mac)
        row.vlan = flow.vlan
        # Told by the octets: that is how YAF decides whether there was a reverse direction.
        row.reverse_vlan = flow.vlan if flow.reverse_octets > 0 else 0
        row.packets = flow.packets
        row.octets = flow.octets
        row.reverse_packets = flow.reverse_packets
        row.reverse_octets = flow.reverse_octets
        row.end_reason = reason
        self._context.sink.flow(row)


def _is_known_encapsulation(packet: Packet, frame: i64) -> bool:
    """Whether only what YAF knows lies between the Ethernet header and ``packet.network``."""
    data = packet.data
    position = frame + _ETHERNET_HEADER
    ethertype = u16(data, position - 2)
    while ethertype == _ETHERTYPE_VLAN and position + 4 <= packet.network:
        ethertype = u16(data, position + 2)
        position += 4
    if ethertype in (_ETHERTYPE_MPLS, _ETHERTYPE_MPLS_MULTICAST, _ETHERTYPE_PPPOE):
        return True
    return position == packet.network


def _vlan(packet: Packet) -> i64:
    """The innermost VLAN id, 0 for none."""
    if packet.inner_vlan != NO_VLAN:
        return packet.inner_vlan
    return 0 if packet.vlan == NO_VLAN else packet.vlan


def _mac(packet: Packet, offset: i64) -> bytes:
    """The MAC at ``offset``; none where the link layer does not name both stations."""
    if packet.source_mac < 0 or packet.destination_mac < 0:
        return b""
    return packet.link[offset : offset + 6]
