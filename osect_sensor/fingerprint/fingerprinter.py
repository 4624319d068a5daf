"""p0f's bookkeeping: which SYN and SYN+ACK make a row.

p0f works on frames as captured, on its own: no defragmentation, no tunnels, at most one VLAN tag,
no IPv6 extension headers, nothing that the snapshot length cut. It keeps a table of flows made
from SYNs; a SYN+ACK counts only with its SYN, a repeated SYN only when its flow is gone. Flows go
by FIN, RST, data p0f has no use for, age, or because the table is full.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, final

from osect_sensor.fingerprint.database import Database
from osect_sensor.fingerprint.exchange import Exchange
from osect_sensor.fingerprint.signature import (
    ACK,
    FIN,
    PROBE_MSS,
    PROBE_WINDOW,
    RST,
    SYN,
    Signature,
)
from osect_sensor.flows.analyzer import Counters
from osect_sensor.logs.rows import FingerprintRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import ipv4_text, mac_text, u8, u16, u32

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_FLOWS: Final = 1000
"""Live flows before the oldest tenth is dropped: p0f's default ``-m``."""

MAX_HOSTS: Final = 10000
"""Known hosts before each new one costs the oldest tenth of the flows: p0f's default ``-m``."""

MAX_FRAME: Final = 65535
"""Octets of a frame that are looked at: p0f's snapshot length."""

_FLOW_SECONDS: Final = 30
_HOST_SECONDS: Final = 120 * 60

_EXPIRY_PACKETS: Final = 50
"""TCP packets between looks for what has expired."""

_BUCKETS: Final = 4096
"""Buckets of the flow filter, a power of two."""

_LINK_ETHERNET: Final = 1
_LINK_LINUX_SLL: Final = 113

_NETWORK_OFFSETS: Final[dict[int, int]] = {
    0: 4,  # BSD loopback
    9: 4,  # PPP
    12: 0,  # raw IP
    14: 0,  # raw IP
    50: 8,  # PPP in HDLC-like framing
    51: 8,  # PPPoE
    101: 0,  # raw IP
    105: 32,  # IEEE 802.11
    108: 8,  # OpenBSD loopback
    _LINK_LINUX_SLL: 16,
    117: 28,  # OpenBSD pflog
}
"""Where p0f looks for IP by pcap link type. For 50, 108 and 117 it is mistaken on today's
systems and sees nothing there; for a type that is not listed it guesses, see ``_guess_offset``."""

_UNKNOWN_OFFSET: Final = -1
_MAX_GUESSED_OFFSET: Final = 40

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLAN: Final = 0x8100
_QINQ: Final = 0x88A8
_QINQ_OLD: Final = 0x9100
_TCP: Final = 6
_FRAGMENT: Final = 44


@final
class _Host:
    """A station that sent or was sent a SYN."""

    __slots__ = ("flows", "last_seen")

    def __init__(self) -> None:
        self.last_seen: i64 = 0
        """Second of its last SYN."""
        self.flows: i64 = 0
        """Live flows it takes part in."""


@final
class _Flow:
    """A TCP connection from its SYN on."""

    __slots__ = (
        "answered",
        "bucket",
        "client",
        "created",
        "exchange",
        "key",
        "next_client",
        "next_server",
        "peer_mss",
        "probe",
        "server",
    )

    def __init__(self, key: bytes, bucket: i64, client: bytes, server: bytes) -> None:
        self.key: bytes = key
        """Addresses and ports as in the SYN."""
        self.bucket: i64 = bucket
        self.client: bytes = client
        self.server: bytes = server
        self.created: i64 = 0
        self.next_client: i64 = 0
        """Sequence number expected from the client."""
        self.next_server: i64 = 0
        self.answered: bool = False
        """Whether a SYN+ACK was seen."""
        self.probe: bool = False
        """Whether p0f-sendsyn made it: such packets make no rows."""
        self.peer_mss: i64 = 0
        """MSS of the SYN."""
        self.exchange: Exchange | None = None


class Fingerprinter:
    """Takes every frame in order and emits p0f-k.log's rows."""

    def __init__(self, sink: RowSink, database: Database, counters: Counters) -> None:
        self._sink: Final = sink
        self._database: Final = database
        self._counters: Final = counters
        self._packets: i64 = 0
        self._now: i64 = 0
        """Second of the current packet."""
        self._last_expiry: i64 = 0
        self._flows: Final[dict[bytes, _Flow]] = {}
        """Live flows in order of creation."""
        self._filter: Final[list[int]] = [0] * _BUCKETS
        """Live flows a bucket: most packets belong to none, which is told here at once."""
        # A plain dict whose oldest entries go one by one is searched from its front, past all that
        # were taken out before.
        self._hosts: Final[OrderedDict[bytes, _Host]] = OrderedDict()
        """Known hosts in order of their last SYN."""
        self._signature: Final = Signature()
        self._guessed_offsets: Final[dict[int, int]] = {}

    def frame(self, timestamp: i64, link_type: i64, data: bytes, start: i64, end: i64) -> None:
        """Take the frame ``data[start:end]``, as captured at ``timestamp`` (microseconds).

        ``link_type`` is the capture's LINKTYPE_ value.
        """
        if end - start > MAX_FRAME:
            end = start + MAX_FRAME
        if link_type == _LINK_ETHERNET:
            if end - start < 18:
                return
            kind = u16(data, start + 12)
            ip = start + 14
            tag: i64 = 0
            if kind in (_VLAN, _QINQ, _QINQ_OLD):
                tag = kind
                kind = u16(data, start + 16)
                ip = start + 18
            if kind != _IPV4 and kind != _IPV6:
                return
            version: i64 = 4 if kind == _IPV4 else 6
            if not _carries_tcp(data, ip, end, version):
                return
            self._count_packet(timestamp)
            if tag != 0 and tag != _VLAN:
                return
        else:
            ip = self._network_offset(link_type, data, start, end)
            if ip < 0 or end - ip < 10:
                return
            version = u8(data, ip) >> 4
            if version != 4 and version != 6:
                return
            if link_type == _LINK_LINUX_SLL:
                kind = u16(data, start + 14)
                if kind != _IPV4 and kind != _IPV6:
                    return
            if not _carries_tcp(data, ip, end, version):
                return
            self._count_packet(timestamp)
        self._ip_packet(timestamp, link_type, data, start, ip, end)

    def _count_packet(self, timestamp: i64) -> None:
        self._now = timestamp // 1_000_000 & 0xFFFFFFFF
        self._packets += 1
        if self._packets % _EXPIRY_PACKETS == 0 and self._now != self._last_expiry:
            self._last_expiry = self._now
            self._expire()

    def _network_offset(self, link_type: i64, data: bytes, start: i64, end: i64) -> i64:
        """Offset of the IP header, or -1 where it is unknown or beyond ``end``."""
        offset = _NETWORK_OFFSETS.get(link_type, _UNKNOWN_OFFSET)
        if offset < 0:
            offset = self._guessed_offsets.get(link_type, _UNKNOWN_OFFSET)
        if offset < 0:
            offset = _guess_offset(data, start, end)
            if offset < 0:
                return -1
            self._guessed_offsets[link_type] = offset
        return start + offset if start + offset < end else -1

    def _ip_packet(
        self, timestamp: i64, link_type: i64, data: bytes, start: i64, ip: i64, end: i64
    ) -> None:
        version = u8(data, ip) >> 4
        if version == 4:
            if end - ip < 40:
                return
            header = (u8(data, ip) & 0x0F) * 4
            total = u16(data, ip + 2)
            if total > end - ip or header < 20 or header + 20 > total or total < 40:
                return
            if u8(data, ip + 9) != _TCP or u16(data, ip + 6) & 0x3FFF != 0:
                return
            source = ip + 12
            size: i64 = 4
        elif version == 6:
            if end - ip < 60:
                return
            header = 40
            total = u16(data, ip + 4) + 40
            if total > end - ip or total < 60 or u8(data, ip + 6) != _TCP:
                return
            source = ip + 8
            size = 16
        else:
            return
        tcp = ip + header
        tcp_header = (u8(data, tcp + 12) >> 4) * 4
        payload_length = total - header - tcp_header
        if tcp_header < 20 or payload_length < 0:
            return
        flags = u8(data, tcp + 13) & (SYN | ACK | FIN | RST)
        if flags & (SYN | ACK) != flags and flags & SYN != 0:
            return
        if flags == 0 or flags & (FIN | RST) == FIN | RST:
            return

        bucket = (
            u16(data, source + size - 2)
            ^ u16(data, source + 2 * size - 2)
            ^ u16(data, tcp)
            ^ u16(data, tcp + 2)
        ) & (_BUCKETS - 1)
        flow: _Flow | None = None
        to_server = False
        if flags == SYN or self._filter[bucket] != 0:
            ahead = data[source : source + 2 * size] + data[tcp : tcp + 4]
            if self._filter[bucket] != 0:
                flow = self._flows.get(ahead)
                if flow is not None:
                    to_server = True
                else:
                    back = (
                        data[source + size : source + 2 * size]
                        + data[source : source + size]
                        + data[tcp + 2 : tcp + 4]
                        + data[tcp : tcp + 2]
                    )
                    flow = self._flows.get(back)
            if flags == SYN:
                sequence = u32(data, tcp + 4)
                if flow is not None:
                    if to_server and flow.next_client == (sequence + 1) & 0xFFFFFFFF:
                        return
                    self._drop(flow)
                client = data[source : source + size]
                server = data[source + size : source + 2 * size]
                flow = self._new_flow(_Flow(ahead, bucket, client, server), sequence)
                self._read_signature(data, ip, tcp, payload_length)
                self._take_syn(flow, timestamp, link_type, data, start, source)
                return
        if flow is None:
            return
        if flags == SYN | ACK:
            if flow.probe:
                self._drop(flow)
            elif not to_server and not flow.answered:
                flow.answered = True
                flow.next_server = (u32(data, tcp + 4) + 1) & 0xFFFFFFFF
                self._read_signature(data, ip, tcp, payload_length)
                self._take_answer(flow, timestamp, link_type, data, start, source)
        elif flags != ACK or flow.probe or not flow.answered:
            self._drop(flow)
        else:
            self._take_data(flow, to_server, data, tcp, tcp + tcp_header, payload_length)

    def _read_signature(self, data: bytes, ip: i64, tcp: i64, payload_length: i64) -> None:
        if u8(data, ip) >> 4 == 4:
            self._signature.read_ipv4(data, ip)
        else:
            self._signature.read_ipv6(data, ip)
        self._signature.read_tcp(data, tcp, payload_length)

    def _take_syn(
        self, flow: _Flow, timestamp: i64, link_type: i64, data: bytes, start: i64, source: i64
    ) -> None:
        signature = self._signature
        flow.peer_mss = signature.mss
        if signature.window == PROBE_WINDOW and signature.mss == PROBE_MSS:
            flow.probe = True
            return
        if self._emit("syn", 0, timestamp, link_type, data, start, source):
            self._drop(flow)

    def _take_answer(
        self, flow: _Flow, timestamp: i64, link_type: i64, data: bytes, start: i64, source: i64
    ) -> None:
        if self._emit("syn+ack", flow.peer_mss, timestamp, link_type, data, start, source):
            self._drop(flow)

    def _emit(
        self,
        mod: str,
        peer_mss: i64,
        timestamp: i64,
        link_type: i64,
        data: bytes,
        start: i64,
        source: i64,
    ) -> bool:
        """Emit the current signature's row; answers whether a userland tool sent the packet.

        p0f follows the flows of such tools no further.
        """
        signature = self._signature
        record = self._database.match(signature, mod == "syn", peer_mss)
        row = FingerprintRow()
        row.ts = timestamp
        row.mod = mod
        row.src_ip = _address_text(data, source, signature.version)
        if link_type == _LINK_ETHERNET:
            row.src_mac = mac_text(data, start + 6)
        else:
            row.src_mac = "00:00:00:00:00:00"
        row.os = "???" if record is None else record.label
        row.raw_sig = signature.text(peer_mss)
        self._sink.fingerprint(row)
        return record is not None and record.application

    def _take_data(
        self, flow: _Flow, to_server: bool, data: bytes, tcp: i64, start: i64, length: i64
    ) -> None:
        """Take a plain segment: what is not next in sequence p0f neglects."""
        sequence = u32(data, tcp + 4)
        if to_server:
            if sequence != flow.next_client:
                return
            flow.next_client = (sequence + length) & 0xFFFFFFFF
        else:
            if sequence != flow.next_server:
                return
            flow.next_server = (sequence + length) & 0xFFFFFFFF
        if length == 0:
            return
        if flow.exchange is None:
            flow.exchange = Exchange()
        if not flow.exchange.take(to_server, data[start : start + length]):
            self._drop(flow)

    def _new_flow(self, flow: _Flow, sequence: i64) -> _Flow:
        if len(self._flows) > MAX_FLOWS:
            self._drop_oldest_flows()
        flow.created = self._now
        flow.next_client = (sequence + 1) & 0xFFFFFFFF
        self._touch_host(flow.client)
        self._touch_host(flow.server)
        self._hosts[flow.client].flows += 1
        self._hosts[flow.server].flows += 1
        self._flows[flow.key] = flow
        self._filter[flow.bucket] += 1
        return flow

    def _touch_host(self, address: bytes) -> None:
        """Make ``address`` the host seen last, known or new."""
        host = self._hosts.get(address)
        if host is None:
            if len(self._hosts) > MAX_HOSTS:
                self._make_room_for_host()
            host = _Host()
            self._hosts[address] = host
        else:
            self._hosts.move_to_end(address)
        host.last_seen = self._now

    def _make_room_for_host(self) -> None:
        """Drop the oldest flows and, unless still in use, the oldest host: no more, as p0f does."""
        self._counters.count("fingerprint_hosts_full")
        self._drop_oldest_flows()
        oldest = next(iter(self._hosts))
        if self._hosts[oldest].flows == 0:
            del self._hosts[oldest]

    def _drop_oldest_flows(self) -> None:
        self._counters.count("fingerprint_flows_full")
        excess = 1 + len(self._flows) // 10
        oldest: list[_Flow] = []
        for flow in self._flows.values():
            if len(oldest) == excess:
                break
            oldest.append(flow)
        for flow in oldest:
            self._drop(flow)

    def _drop(self, flow: _Flow) -> None:
        del self._flows[flow.key]
        self._filter[flow.bucket] -= 1
        self._hosts[flow.client].flows -= 1
        self._hosts[flow.server].flows -= 1

    def _expire(self) -> None:
        """Drop what is too old. A clock that goes back makes everything too old, as in p0f."""
        old_flows: list[_Flow] = []
        for flow in self._flows.values():
            if (self._now - flow.created) & 0xFFFFFFFF <= _FLOW_SECONDS:
                break
            old_flows.append(flow)
        for flow in old_flows:
            self._drop(flow)
        old_hosts: list[bytes] = []
        for address, host in self._hosts.items():
            if (self._now - host.last_seen) & 0xFFFFFFFF <= _HOST_SECONDS:
                break
            if host.flows == 0:
                old_hosts.append(address)
        for address in old_hosts:
            del self._hosts[address]


def _carries_tcp(data: bytes, ip: i64, end: i64, version: i64) -> bool:
    """Whether libpcap's filter ``tcp`` accepts the IP packet, whole or a fragment."""
    if version == 4:
        return ip + 10 <= end and u8(data, ip + 9) == _TCP
    if ip + 7 > end:
        return False
    if u8(data, ip + 6) == _FRAGMENT:
        return ip + 41 <= end and u8(data, ip + 40) == _TCP
    return u8(data, ip + 6) == _TCP


def _guess_offset(data: bytes, start: i64, end: i64) -> i64:
    """The first even offset at which something like IP with TCP begins, or -1."""
    offset: i64 = 0
    while offset < _MAX_GUESSED_OFFSET and end - start - offset >= 40:
        ip = start + offset
        version = u8(data, ip) >> 4
        if version == 6 and end - ip >= 60 and u8(data, ip + 6) == _TCP:
            return offset
        if version == 4 and u8(data, ip + 9) == _TCP:
            return offset
        offset += 2
    return -1


def _address_text(data: bytes, offset: i64, version: i64) -> str:
    """An address as p0f writes it: eight groups for IPv6, none left out."""
    if version == 4:
        return ipv4_text(data, offset)
    groups: list[str] = []
    for index in range(8):
        groups.append(f"{u16(data, offset + 2 * index):x}")
    return ":".join(groups)
