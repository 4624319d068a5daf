"""The connection table: which packet belongs to which connection, and when a connection ends."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import (
    NO_ANALYZERS,
    AnalysisContext,
    deliver_datagram,
    finish_all,
)
from osect_sensor.flows.endpoint import (
    INACTIVE,
    NO_MACS,
    RESET,
    SEEN_DATA,
    SYN_ACK_SENT,
    SYN_SENT,
    Endpoint,
    FlowConnection,
    TcpEndpoint,
    reversed_key,
)
from osect_sensor.flows.likely_servers import is_likely_tcp_server, is_likely_udp_server
from osect_sensor.flows.tcp import (
    ACK,
    LINGER,
    SECOND,
    SESSION_CHECK,
    SYN,
    TcpTracker,
)
from osect_sensor.flows.uid import UidSource
from osect_sensor.wire.octets import u8, u16, u32
from osect_sensor.wire.packet import ICMP, TCP, UDP, Packet

if TYPE_CHECKING:
    from mypy_extensions import i64

SYN_TIMEOUT: Final = 5 * SECOND
"""First look at a TCP connection after its first packet (Zeek's ``tcp_SYN_timeout``)."""
INACTIVITY: Final = 60 * SECOND
"""Silence that ends a UDP or ICMP connection, or a TCP handshake."""

REPORT_AT_NEXT_PACKET: Final = -1
"""``report_due`` of a connection whose interim row is due but which has been silent so far."""

MAX_CONNECTIONS: Final = 65_536
"""Live connections. A plant has some thousands, and Linux tracks as many as this by default
(nf_conntrack) on a small machine; a flood from random addresses stays within 150 MiB.
Beyond it the oldest end early, which loses no packet: a later packet of one starts a new
connection."""

ACTIVE: Final = 5 * SECOND
"""A connection with a packet so recently outlives a flood that fills the table."""

MAX_ENDED_SINCE_SWEEP: Final = 4096
"""Ended connections that the wheel may always hold: few enough not to count."""

_NO_CONNECTIONS: Final[list[FlowConnection]] = []

_NEVER: Final = 1 << 60
"""Later than any packet, and still an integer that needs no memory."""

_BROADCAST: Final = b"\xff\xff\xff\xff"


def icmp_counterpart(icmp_type: i64) -> i64:
    """The ICMP type that answers ``icmp_type``, -1 where none does (RFC 792, 950, 1256)."""
    if icmp_type == 8:
        return 0
    if icmp_type == 0:
        return 8
    if icmp_type in (13, 15, 17):
        return icmp_type + 1
    if icmp_type in (14, 16, 18):
        return icmp_type - 1
    if icmp_type == 10:
        return 9
    if icmp_type == 9:
        return 10
    return -1


def icmpv6_counterpart(icmp_type: i64) -> i64:
    """The ICMPv6 type that answers ``icmp_type``, -1 where none does (RFC 4443, 4861, 6275)."""
    if icmp_type in (128, 130, 133, 135, 139, 144):
        return icmp_type + 1
    if icmp_type in (129, 131, 134, 136, 140, 145):
        return icmp_type - 1
    return -1


@final
class ConnectionTable:
    """All live connections, found by addresses and ports in either direction.

    Each end has an entry of its own, keyed by the octets as they stand in its packets, so that
    finding a packet's connection takes one slice and one look-up.
    """

    __slots__ = (
        "_checks",
        "_clock",
        "_connections",
        "_context",
        "_ended_since_sweep",
        "_icmp",
        "_limit",
        "_next_check",
        "_previous",
        "_silent",
        "_tcp",
        "_tracker",
        "_udp",
        "_uids",
        "_wheel",
        "_wheel_second",
        "evicted",
        "rejected",
        "report_interval",
        "total",
    )

    def __init__(
        self,
        context: AnalysisContext,
        uids: UidSource,
        report_interval: i64,
        limit: i64 = MAX_CONNECTIONS,
    ) -> None:
        self._context: AnalysisContext = context
        self._uids: UidSource = uids
        self._tracker: TcpTracker = TcpTracker()
        self._tcp: dict[bytes, TcpEndpoint] = {}
        self._udp: dict[bytes, Endpoint] = {}
        self._icmp: dict[bytes, Endpoint] = {}
        self._limit: i64 = limit
        self._connections: dict[FlowConnection, int] = {}
        """Live connections in order of their beginning, or of when they were last kept for being
        active while the table was full."""
        self._wheel: dict[int, list[FlowConnection]] = {}
        """Which connections to look at once a second of capture time has passed."""
        self._wheel_second: i64 = 0
        self._ended_since_sweep: i64 = 0
        """Connections that ended before the wheel would have looked at them."""
        self._previous: i64 = 0
        """The latest time before the current packet."""
        self._clock: i64 = 0
        """The latest time so far. Timers go by it: to a packet that comes from the past, what was
        silent until now is over, and what it begins itself is over with the next packet."""
        self._checks: list[int] = []
        """Heap of the times at which connections are checked for silence. Unlike other timers
        these run at the first packet after they are due and start anew from it, so the seconds of
        the wheel are too coarse. An entry outlives its connection by one interval at most."""
        self._silent: dict[int, list[FlowConnection]] = {}
        """Which connections to check at those times."""
        self._next_check: i64 = _NEVER
        self.report_interval: i64 = report_interval
        """Microseconds between rows of a long-lived connection, 0 for a row at its end only."""
        self.rejected: i64 = 0
        """Packets whose transport header was missing or cut off."""
        self.evicted: i64 = 0
        """Connections ended early because the table was full."""
        self.total: i64 = 0
        """Connections so far."""

    def __len__(self) -> int:
        return len(self._connections)

    # Time

    def advance(self, now: i64) -> None:
        """Move the clock: end what timed out in the seconds that have passed."""
        if now > self._clock:
            self._clock = now
        if now >= self._next_check:
            self._check_silence(now)
        second = now // SECOND
        if second > self._wheel_second:
            self._turn(second, now)

    def _check_silence(self, now: i64) -> None:
        """End the connections whose check finds them silent."""
        checks = self._checks
        while len(checks) > 0 and checks[0] <= now:
            for connection in self._silent.pop(heapq.heappop(checks)):
                interval = connection.silence_check
                if not connection.live or interval == 0:
                    continue
                if now - connection.last >= interval - SECOND:
                    self._remove(connection)
                else:
                    self._check_at(connection, now + interval)
        self._next_check = checks[0] if len(checks) > 0 else _NEVER

    def _check_at(self, connection: FlowConnection, due: i64) -> None:
        """Have a connection checked for silence."""
        others = self._silent.get(due)
        if others is not None:
            others.append(connection)
            return
        self._silent[due] = [connection]
        heapq.heappush(self._checks, due)
        if due < self._next_check:
            self._next_check = due

    def packet_done(self, now: i64) -> None:
        """Remember the time of the packet that was just processed."""
        if now > self._previous:
            self._previous = now

    def _turn(self, second: i64, now: i64) -> None:
        wheel = self._wheel
        first = self._wheel_second
        self._wheel_second = second
        if second - first > len(wheel):
            due = sorted(wheel)
            for key in due:
                if key >= second:
                    break
                # What ends on the way may have the rest swept.
                self._look_at(wheel.pop(key, _NO_CONNECTIONS), key, now)
            return
        for key in range(first, second):
            if key in wheel:
                self._look_at(wheel.pop(key), key, now)

    def _look_at(self, connections: list[FlowConnection], key: i64, now: i64) -> None:
        for connection in connections:
            if connection.live and connection.wheel_second == key:
                connection.wheel_second = 0
                if self._expired(connection, now, False):
                    self._remove(connection)
                else:
                    self._schedule(connection)

    def _schedule(self, connection: FlowConnection) -> None:
        """Work out when the next timer fires and put the connection into the wheel."""
        due = connection.last + connection.inactivity_timeout
        if connection.attempt_due != 0 and connection.attempt_due < due:
            due = connection.attempt_due
        if connection.expire_due != 0 and connection.expire_due < due:
            due = connection.expire_due
        if connection.delete_due != 0 and connection.delete_due < due:
            due = connection.delete_due
        if 0 < connection.report_due < due:
            due = connection.report_due
        connection.due = 0 if connection.report_due == REPORT_AT_NEXT_PACKET else due
        second = due // SECOND
        if second < self._wheel_second:
            second = self._wheel_second
        if connection.wheel_second == 0 or second < connection.wheel_second:
            connection.wheel_second = second
            bucket = self._wheel.get(second)
            if bucket is None:
                self._wheel[second] = [connection]
            else:
                bucket.append(connection)

    def _expired(self, connection: FlowConnection, now: i64, arriving: bool) -> bool:
        """Run the timers that are due; returns whether they end the connection.

        ``arriving`` says whether a packet for the connection is at hand.
        """
        if connection.delete_due != 0 and now >= connection.delete_due:
            return True
        if connection.protocol == TCP:
            orig, resp = connection.tcp_states()
            if connection.attempt_due != 0 and now >= connection.attempt_due:
                connection.attempt_due = 0
                if connection.active and orig in (SYN_SENT, SYN_ACK_SENT) and resp == INACTIVE:
                    return True
            while connection.expire_due != 0 and now >= connection.expire_due:
                if not connection.active:
                    connection.expire_due = 0
                    break
                # Timers fire with the first packet that comes after they are due.
                fired = connection.expire_due if self._previous >= connection.expire_due else now
                if connection.last + LINGER < fired and _may_expire(connection, orig, resp):
                    return True
                connection.expire_due = fired + SESSION_CHECK
        if now >= connection.last + connection.inactivity_timeout:
            return True
        if connection.report_due != 0 and now >= connection.report_due:
            self._report(connection, now, arriving)
        return False

    def _report(self, connection: FlowConnection, now: i64, arriving: bool) -> None:
        """An interim row of a connection that has lived for an interval.

        Without a packet for it now, its life ends at its last one so far: if that is too short,
        the row waits for the next packet, which may never come.
        """
        interval = self.report_interval
        if not arriving and connection.last - connection.start < interval:
            connection.report_due = REPORT_AT_NEXT_PACKET
            return
        connection.report_due = now + interval - (now - connection.start) % interval
        self._context.sink.conn(connection.interim_row())

    # Life and death

    def _begin(self, connection: FlowConnection, packet: Packet, timeout: i64) -> None:
        now = packet.timestamp
        connection.start = now
        connection.last = now
        connection.inactivity_timeout = timeout
        source = packet.source_mac
        destination = packet.destination_mac
        if destination >= 0 and source == destination + 6:
            connection.macs = packet.link[destination : destination + 12]
        elif destination >= 0:
            # 802.11 has them in another order, or with a third address between them.
            connection.macs = (
                packet.link[destination : destination + 6] + packet.link[source : source + 6]
            )
        elif source >= 0:
            # A cooked capture has no destination address.
            connection.macs = b"\0\0\0\0\0\0" + packet.link[source : source + 6]
        else:
            connection.macs = NO_MACS
        if packet.encapsulation is not None:
            connection.encapsulation = packet.encapsulation
            connection.add_tunnel_parent(packet.encapsulation)
        if self.report_interval != 0:
            connection.report_due = now + self.report_interval
        self.total += 1
        if len(self._connections) >= self._limit:
            self._make_room()
        self._connections[connection] = 0

    def _make_room(self) -> None:
        """End the oldest connections, many at once: finding the oldest of a dict is a search.

        Those of them that are active count as begun anew: what a plant's stations say to each
        other all the time must not be cut by whoever floods the table.
        """
        wanted = max(1, self._limit // 64)
        since = self._clock - ACTIVE
        active: list[FlowConnection] = []
        silent: list[FlowConnection] = []
        for connection in self._connections:
            if connection.last > connection.start and connection.last >= since:
                active.append(connection)
            else:
                silent.append(connection)
            if len(silent) == wanted or len(active) == 4 * wanted:
                break
        if len(silent) == 0:
            silent = active[:wanted]
        else:
            for connection in active:
                del self._connections[connection]
                self._connections[connection] = 0
        for connection in silent:
            self._remove(connection)
        self.evicted += len(silent)

    def _remove(self, connection: FlowConnection) -> None:
        """End a connection: its analyzers finish, its row is written."""
        if not connection.live:
            return
        connection.live = False
        del self._connections[connection]
        if connection.wheel_second != 0:
            self._ended_since_sweep += 1
            if self._ended_since_sweep > len(self._connections) // 8 + MAX_ENDED_SINCE_SWEEP:
                self._sweep_wheel()
        orig = connection.orig
        resp = connection.resp
        if connection.protocol == TCP:
            if orig is not None:
                self._tcp.pop(orig.key, None)
            if resp is not None:
                self._tcp.pop(resp.key, None)
        else:
            entries = self._udp if connection.protocol == UDP else self._icmp
            if orig is not None:
                entries.pop(orig.key, None)
            if resp is not None:
                entries.pop(resp.key, None)
        if connection.analyzers is not NO_ANALYZERS:
            finish_all(connection.analyzers)
        if connection.reported is None:
            self._context.sink.conn(connection.row())
        else:
            self._context.sink.conn(connection.interim_row())
        # The ends and the connection refer to each other: cut that for the reference counter.
        connection.orig = None
        connection.resp = None

    def _sweep_wheel(self) -> None:
        """Take out what has ended: minutes may pass until it would be looked at, and it has a size.

        Done once an eighth as many have ended as live, so that it costs each but little.
        """
        for second in list(self._wheel):
            kept: list[FlowConnection] = []
            for connection in self._wheel[second]:
                if connection.live and connection.wheel_second == second:
                    kept.append(connection)
            if len(kept) > 0:
                self._wheel[second] = kept
            else:
                del self._wheel[second]
        self._ended_since_sweep = 0

    def finish(self) -> None:
        """End all connections: the capture is over."""
        for connection in list(self._connections):
            self._remove(connection)
        self._wheel.clear()

    # TCP

    def tcp(self, packet: Packet) -> FlowConnection | None:
        """Take a TCP packet; returns its connection, None if it has no TCP header."""
        data = packet.data
        transport = packet.transport
        remaining = packet.captured_end - transport
        length = packet.payload_end - transport
        if remaining < 20 or 0 < length < 20:
            self.rejected += 1
            return None
        key = _ends(packet)
        now = packet.timestamp
        flags = u8(data, transport + 13)
        twin: i64 = 0
        endpoint = self._tcp.get(key)
        if endpoint is None:
            endpoint = self._other_tcp_end(key)
        if endpoint is not None:
            connection = endpoint.connection
            if self._clock >= connection.due:
                if self._expired(connection, self._clock, True):
                    self._remove(connection)
                    endpoint = None
                else:
                    self._schedule(connection)
            if endpoint is not None and flags & SYN and self._is_reuse(connection, packet):
                if connection.start == now:
                    twin = connection.twin + 1
                self._remove(connection)
                endpoint = None
            elif endpoint is not None and (
                packet.encapsulation is not None or connection.encapsulation is not None
            ):
                connection.enclose(packet.encapsulation)
        if endpoint is None:
            endpoint = self._new_tcp(packet, key, flags)
            connection = endpoint.connection
            connection.twin = twin
        else:
            connection = endpoint.connection
        header = (u8(data, transport + 12) >> 4) * 4
        if header < 20 or header > length or header > remaining:
            self.rejected += 1
            return connection
        peer = connection.resp if endpoint.is_orig else connection.orig
        if not isinstance(peer, TcpEndpoint):
            peer = self._missing_tcp_end(connection, endpoint)
        self._tracker.segment(
            connection,
            endpoint,
            peer,
            flags,
            u32(data, transport + 4),
            u32(data, transport + 8),
            u16(data, transport + 14),
            length - header,
            data,
            transport + header,
            remaining - header,
            now,
        )
        endpoint.packets += 1
        endpoint.ip_octets += packet.ip_length
        if connection.due == 0:
            self._schedule(connection)
        return connection

    def _other_tcp_end(self, key: bytes) -> TcpEndpoint | None:
        """The end that sends under ``key``, if the other end is known already."""
        known = self._tcp.get(reversed_key(key))
        if known is None:
            return None
        connection = known.connection
        other = connection.resp if known.is_orig else connection.orig
        if isinstance(other, TcpEndpoint):
            return other
        return self._missing_tcp_end(connection, known)

    def _missing_tcp_end(self, connection: FlowConnection, known: TcpEndpoint) -> TcpEndpoint:
        end = TcpEndpoint(connection, not known.is_orig, reversed_key(known.key))
        if known.is_orig:
            connection.resp = end
        else:
            connection.orig = end
        if end.key != known.key:
            self._tcp[end.key] = end
        return end

    def _new_tcp(self, packet: Packet, key: bytes, flags: i64) -> TcpEndpoint:
        size = packet.address_length
        source_port = u16(key, 2 * size)
        destination_port = u16(key, 2 * size + 2)
        connection = FlowConnection(
            self._context,
            self._uids,
            TCP,
            key[:size],
            key[size : 2 * size],
            source_port,
            destination_port,
        )
        self._begin(connection, packet, INACTIVITY)
        connection.expire_due = self._clock + SYN_TIMEOUT
        endpoint = TcpEndpoint(connection, True, key)
        connection.orig = endpoint
        self._tcp[key] = endpoint
        flip = False
        if flags & (SYN | ACK) != SYN and is_likely_tcp_server(source_port):
            if is_likely_tcp_server(destination_port):
                flip = not flags & SYN and source_port < destination_port
            else:
                flip = True
        if flip and connection.resp_address != _BROADCAST:
            connection.flip()
        if self._context.expecting:
            connection.attach()
        return endpoint

    def _is_reuse(self, connection: FlowConnection, packet: Packet) -> bool:
        """Whether a SYN (or SYN+ACK) begins another connection between the same ports."""
        data = packet.data
        transport = packet.transport
        if u8(data, transport + 12) >> 4 < 5:
            return False
        orig = connection.orig
        resp = connection.resp
        orig_state, resp_state = connection.tcp_states()
        flags = u8(data, transport + 13)
        known = orig
        if flags & ACK:
            if orig_state != INACTIVE:
                return False
            known = resp
        if (isinstance(orig, TcpEndpoint) and orig.did_close) or (
            isinstance(resp, TcpEndpoint) and resp.did_close
        ):
            return True
        seq = u32(data, transport + 4)
        known_seq = known.start_seq & 0xFFFFFFFF if isinstance(known, TcpEndpoint) else 0
        if seq == known_seq:
            return False
        known_state = known.state if isinstance(known, TcpEndpoint) else INACTIVE
        return not (
            not flags & ACK
            and known_state == SYN_ACK_SENT
            and resp_state == INACTIVE
            and seq == (resp.start_seq & 0xFFFFFFFF if isinstance(resp, TcpEndpoint) else 0)
        )

    # UDP

    def udp(self, packet: Packet) -> Endpoint | None:
        """Take a UDP packet; returns the end that sent it, None if it has no UDP header.

        The payload reaches the analyzers by ``deliver``, after the tunnels that UDP carries were
        looked at.
        """
        data = packet.data
        transport = packet.transport
        remaining = packet.captured_end - transport
        length = packet.payload_end - transport
        if remaining < 8 or 0 < length < 8:
            self.rejected += 1
            return None
        key = _ends(packet)
        now = packet.timestamp
        endpoint = self._udp.get(key)
        if endpoint is None:
            endpoint = self._other_end(self._udp, key, reversed_key(key))
        if endpoint is not None:
            endpoint = self._still_live(endpoint, packet)
        if endpoint is None:
            endpoint = self._new_udp(packet, key)
        connection = endpoint.connection
        connection.last = now
        # A length below the header's makes this negative, and the end looks silent again.
        octets = u16(data, transport + 4) - 8
        endpoint.octets = octets if endpoint.octets < 0 else endpoint.octets + octets
        bit: i64 = SEEN_DATA if endpoint.is_orig else SEEN_DATA << 16
        if connection.history_seen & bit == 0:
            connection.history_seen |= bit
            connection.add_history("D" if endpoint.is_orig else "d")
        return endpoint

    def deliver(self, sender: Endpoint, packet: Packet) -> None:
        """Give a UDP packet's payload to the analyzers of its connection, then count it.

        It counts for the role that its sender had before: an analyzer may exchange the roles.
        """
        connection = sender.connection
        from_orig = sender.is_orig
        if not connection.attached:
            connection.attach()
            if connection.silence_check != 0:
                self._check_at(connection, self._clock + connection.silence_check)
        analyzers = connection.analyzers
        if len(analyzers) != 0:
            data = packet.data
            start = packet.transport + 8
            end = packet.payload_end
            length = end - start
            if length < 0 or end > packet.captured_end:
                end = packet.captured_end
                if length < 0:
                    length = end - start
            deliver_datagram(analyzers, from_orig, data[start:end] if start < end else b"", length)
        endpoint = connection.orig if from_orig else connection.resp
        if endpoint is None:
            # The roles were exchanged before the other end sent anything.
            known = connection.resp if from_orig else connection.orig
            if known is None:
                return
            endpoint = Endpoint(connection, from_orig, reversed_key(known.key))
            if from_orig:
                connection.orig = endpoint
            else:
                connection.resp = endpoint
        endpoint.packets += 1
        endpoint.ip_octets += packet.ip_length

    def _new_udp(self, packet: Packet, key: bytes) -> Endpoint:
        size = packet.address_length
        source_port = u16(key, 2 * size)
        destination_port = u16(key, 2 * size + 2)
        connection = FlowConnection(
            self._context,
            self._uids,
            UDP,
            key[:size],
            key[size : 2 * size],
            source_port,
            destination_port,
        )
        self._begin(connection, packet, INACTIVITY)
        endpoint = Endpoint(connection, True, key)
        connection.orig = endpoint
        self._udp[key] = endpoint
        if (
            is_likely_udp_server(source_port)
            and not is_likely_udp_server(destination_port)
            and connection.resp_address != _BROADCAST
        ):
            connection.flip()
        self._schedule(connection)
        return endpoint

    def _other_end(
        self, entries: dict[bytes, Endpoint], key: bytes, reverse: bytes
    ) -> Endpoint | None:
        """The end that sends under ``key``, if the other end is known already."""
        known = entries.get(reverse)
        if known is None:
            return None
        connection = known.connection
        end = connection.resp if known.is_orig else connection.orig
        if end is None:
            end = Endpoint(connection, not known.is_orig, key)
            if known.is_orig:
                connection.resp = end
            else:
                connection.orig = end
        entries[key] = end
        return end

    def _still_live(self, endpoint: Endpoint, packet: Packet) -> Endpoint | None:
        """The endpoint, or None if its connection has timed out by now."""
        connection = endpoint.connection
        if self._clock >= connection.due:
            if self._expired(connection, self._clock, True):
                self._remove(connection)
                return None
            self._schedule(connection)
        if packet.encapsulation is not None or connection.encapsulation is not None:
            connection.enclose(packet.encapsulation)
        return endpoint

    # ICMP

    def icmp(self, packet: Packet) -> FlowConnection | None:
        """Take an ICMP or ICMPv6 packet; returns its connection, None if it has no header."""
        data = packet.data
        transport = packet.transport
        remaining = packet.captured_end - transport
        length = packet.payload_end - transport
        if remaining < 8 or 0 < length < 8:
            self.rejected += 1
            return None
        if length == 0:
            length = remaining
        icmp_type = u8(data, transport)
        if packet.protocol == ICMP:
            counterpart = icmp_counterpart(icmp_type)
        else:
            counterpart = icmpv6_counterpart(icmp_type)
        size = packet.address_length
        source = data[packet.source : packet.source + size]
        destination = data[packet.destination : packet.destination + size]
        if counterpart < 0:
            # Nothing answers this type: the other direction is another connection.
            code = u8(data, transport + 1)
            key = source + destination + bytes((icmp_type, code, packet.protocol, 1))
            endpoint = self._icmp.get(key)
        else:
            code = counterpart
            key = source + destination + bytes((icmp_type, counterpart, packet.protocol, 0))
            endpoint = self._icmp.get(key)
            if endpoint is None:
                reverse = destination + source + bytes((counterpart, icmp_type, packet.protocol, 0))
                endpoint = self._other_end(self._icmp, key, reverse)
        if endpoint is not None:
            endpoint = self._still_live(endpoint, packet)
        if endpoint is None:
            connection = FlowConnection(
                self._context,
                self._uids,
                packet.protocol,
                source,
                destination,
                icmp_type,
                code,
            )
            self._begin(connection, packet, INACTIVITY)
            endpoint = Endpoint(connection, True, key)
            connection.orig = endpoint
            self._icmp[key] = endpoint
            self._schedule(connection)
        connection = endpoint.connection
        connection.last = packet.timestamp
        octets = length - 8
        endpoint.octets = octets if endpoint.octets < 0 else endpoint.octets + octets
        if remaining >= length:
            endpoint.packets += 1
            endpoint.ip_octets += packet.ip_length
        return connection


def _ends(packet: Packet) -> bytes:
    """Addresses and ports of a TCP or UDP packet as they stand in it: its sender's key."""
    data = packet.data
    transport = packet.transport
    if packet.address_length == 4 and packet.source + 8 == transport:
        return data[packet.source : packet.source + 12]
    return (
        data[packet.source : packet.source + packet.address_length]
        + data[packet.destination : packet.destination + packet.address_length]
        + data[transport : transport + 4]
    )


def _may_expire(connection: FlowConnection, orig: i64, resp: i64) -> bool:
    """Whether a silent connection has probably ended."""
    orig_end = connection.orig
    resp_end = connection.resp
    orig_closed = isinstance(orig_end, TcpEndpoint) and orig_end.did_close
    resp_closed = isinstance(resp_end, TcpEndpoint) and resp_end.did_close
    if orig_closed or resp_closed:
        return (
            (orig_closed and resp_closed) or orig in (RESET, INACTIVE) or resp in (RESET, INACTIVE)
        )
    return orig == INACTIVE and resp == INACTIVE
