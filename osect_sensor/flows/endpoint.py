"""The two ends of a connection, and the connection itself as the table keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import AnalysisContext, Connection
from osect_sensor.flows.uid import UidSource
from osect_sensor.logs.rows import UNSET, ConnRow
from osect_sensor.wire.octets import mac_text
from osect_sensor.wire.packet import TCP, UDP, Encapsulation

if TYPE_CHECKING:
    from mypy_extensions import i64

# Endpoint states (RFC 9293 seen from outside, as Zeek tells them apart).
INACTIVE: Final = 0
"""Nothing seen from this end."""
SYN_SENT: Final = 1
SYN_ACK_SENT: Final = 2
"""A SYN+ACK, but no SYN from the other end."""
PARTIAL: Final = 3
"""Data, but no SYN."""
ESTABLISHED: Final = 4
CLOSED: Final = 5
"""FIN seen."""
RESET: Final = 6
"""RST seen."""

# Bits of ``FlowConnection.history_seen``; the responder's are shifted by 16.
SEEN_SYN: Final = 0x1
SEEN_FIN: Final = 0x2
SEEN_RST: Final = 0x4
SEEN_FIN_RST: Final = 0x8
SEEN_DATA: Final = 0x10
SEEN_ACK: Final = 0x20
SEEN_MULTI_FLAG: Final = 0x40
SEEN_UNKNOWN: Final = 0x400

MAX_HISTORY: Final = 512
"""Characters kept; Zeek has no bound. F, H, R and S repeat for each new sequence number, so a
forger can add one a packet."""

MAX_TUNNEL_PARENTS: Final = 64
"""Tunnels remembered of one connection. Two are common (one a direction), more mean roaming."""

NO_MACS: Final = b""
_NULL_MAC: Final = "00:00:00:00:00:00"


class Endpoint:
    """One end of a UDP or ICMP connection; ``TcpEndpoint`` adds what TCP needs."""

    __slots__ = ("connection", "ip_octets", "is_orig", "key", "octets", "packets")

    def __init__(self, connection: FlowConnection, is_orig: bool, key: bytes) -> None:
        self.connection: FlowConnection = connection
        self.is_orig: bool = is_orig
        self.key: bytes = key
        """Addresses and ports in the order of this end's packets: its key in the table."""
        self.packets: i64 = 0
        self.ip_octets: i64 = 0
        """Sum of the total lengths in the IP headers."""
        self.octets: i64 = -1
        """Payload octets by the transport's length field, -1 while nothing was seen."""


@final
class TcpEndpoint(Endpoint):
    """One end of a TCP connection: its state, sequence space and stream."""

    __slots__ = (
        "ack_seq",
        "ack_wraps",
        "did_close",
        "did_eof",
        "fin_count",
        "fin_seq",
        "gap_count",
        "gap_threshold",
        "last_fin",
        "last_rst",
        "last_seq",
        "last_syn",
        "next_seq",
        "pending",
        "previous_state",
        "retransmission_threshold",
        "retransmissions",
        "seq_wraps",
        "skip_deliveries",
        "start_seq",
        "state",
        "stored_end",
        "trim_seq",
        "zero_window_threshold",
        "zero_windows",
    )  # fmt: skip

    def __init__(self, connection: FlowConnection, is_orig: bool, key: bytes) -> None:
        super().__init__(connection, is_orig, key)
        self.state: i64 = INACTIVE
        self.previous_state: i64 = INACTIVE
        self.start_seq: i64 = 0
        """Sequence number of the SYN (or where it must have been)."""
        self.last_seq: i64 = 0
        """One past the highest sequence number seen, modulo 2**32."""
        self.seq_wraps: i64 = 0
        self.ack_seq: i64 = 0
        """Highest acknowledgement of this end's data, modulo 2**32."""
        self.ack_wraps: i64 = 0
        self.fin_count: i64 = 0
        self.fin_seq: i64 = 0
        """Relative sequence number behind the FIN."""
        self.did_close: bool = False
        self.last_syn: i64 = 0
        self.last_fin: i64 = 0
        self.last_rst: i64 = 0
        self.gap_count: i64 = 0
        self.gap_threshold: i64 = 1
        self.retransmissions: i64 = 0
        self.retransmission_threshold: i64 = 1
        self.zero_windows: i64 = 0
        self.zero_window_threshold: i64 = 1
        self.next_seq: i64 = 1
        """Relative sequence number of the next octet to deliver; the SYN is number 0."""
        self.trim_seq: i64 = 1
        """Everything before this was acknowledged and is forgotten."""
        self.stored_end: i64 = 1
        """End of the highest segment taken and not yet acknowledged."""
        self.pending: list[tuple[int, int, bytes]] | None = None
        """Segments beyond a hole: start, end, content (empty if nobody wants it); sorted."""
        self.skip_deliveries: bool = False
        self.did_eof: bool = False

    def relative_ack(self) -> i64:
        """How far the other end acknowledged, as a relative sequence number."""
        return (self.ack_wraps << 32) + self.ack_seq - self.start_seq

    def no_data_acked(self) -> bool:
        """Whether nothing beyond the SYN was acknowledged."""
        return 0 <= self.relative_ack() <= 1

    def size(self, peer_state: i64) -> int:
        """Payload octets sent, from the sequence space; unsigned 64 bits as Zeek has it."""
        if (
            self.state == RESET
            and self.previous_state == SYN_SENT
            and peer_state == INACTIVE
            and not self.no_data_acked()
        ):
            return 0
        last = (self.seq_wraps << 32) + self.last_seq
        ack = (self.ack_wraps << 32) + self.ack_seq
        size: int = (last if last > ack else ack) - self.start_seq
        if size != 0:
            size -= 1
        if self.fin_count > 0 and size != 0:
            size -= 1
        if size < 0:
            return size + (1 << 64)
        return size


@final
class Reported:
    """What the earlier rows of a long-lived connection said already."""

    __slots__ = (
        "missed_bytes", "orig_bytes", "orig_ip_bytes", "orig_pkts", "resp_bytes", "resp_ip_bytes",
        "resp_pkts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.missed_bytes: int = 0
        self.orig_bytes: int = 0
        self.resp_bytes: int = 0
        self.orig_pkts: int = 0
        self.orig_ip_bytes: int = 0
        self.resp_pkts: int = 0
        self.resp_ip_bytes: int = 0


@final
class TunnelState:
    """What is known of the tunnel that a UDP connection carries."""

    __slots__ = ("valid_orig", "valid_resp", "violated")

    def __init__(self) -> None:
        self.valid_orig: bool = False
        """Whether the originator's last datagram was a proper one (Teredo needs both sides)."""
        self.valid_resp: bool = False
        self.violated: bool = False
        """Whether a datagram broke the tunnel's format; it is not followed from then on."""


@final
class FlowConnection(Connection):
    """A connection in the table."""

    def __init__(
        self,
        context: AnalysisContext,
        uids: UidSource,
        protocol: i64,
        orig_address: bytes,
        resp_address: bytes,
        orig_port: i64,
        resp_port: i64,
    ) -> None:
        super().__init__(context, protocol, orig_address, resp_address, orig_port, resp_port)
        self._uids: UidSource = uids
        self.last: i64 = 0
        """Time of the last packet that counts, microseconds."""
        self.orig: Endpoint | None = None
        self.resp: Endpoint | None = None
        """Absent until its first packet (TCP: until anything but the first SYN came)."""
        self.history: str = ""
        self.history_seen: i64 = 0
        self.macs: bytes = NO_MACS
        """Responder's and originator's MAC as in the first frame; empty without link layer."""
        self.missed: i64 = 0
        """Octets of payload that never came."""
        self.live: bool = True
        """Whether the table still holds it."""
        self.twin: i64 = 0
        """How many connections began between the same ends in the same microsecond before it."""
        self.attached: bool = False
        """Whether analyzers were chosen (at the first payload)."""
        self.encapsulation: Encapsulation | None = None
        self.tunnel: TunnelState | None = None
        """Set once the connection is looked at as a tunnel."""
        self.tunnel_parents: list[str] | None = None
        self.due: i64 = 0
        """No timer of this connection fires before this time."""
        self.wheel_second: i64 = 0
        """The second under which the table will look at it next."""
        # When each timer fires, microseconds; 0 for a timer that does not run.
        self.attempt_due: i64 = 0
        self.expire_due: i64 = 0
        self.delete_due: i64 = 0
        self.report_due: i64 = 0
        self.reported: Reported | None = None
        self.active: bool = True
        """False once the connection finished or was reset: no more expiry checks."""
        self.first_orig_seen: bool = False
        self.first_resp_seen: bool = False
        self.close_deferred: bool = False
        """Whether an end closed while octets of its stream were still missing."""
        self.deferred_finish: bool = False

    def make_uid(self) -> str:
        """The uid that the table's source makes of what the connection is."""
        return self._uids.uid(
            self.protocol,
            self.orig_address,
            self.orig_port,
            self.resp_address,
            self.resp_port,
            self.start,
            self.twin,
        )

    def _mac(self, offset: i64) -> str:
        if len(self.macs) < 12:
            return ""
        mac = mac_text(self.macs, offset)
        return "" if mac == _NULL_MAC else mac

    def orig_mac_text(self) -> str:
        """Originator MAC, empty where unknown."""
        return self._mac(6)

    def resp_mac_text(self) -> str:
        """Responder MAC, empty where unknown."""
        return self._mac(0)

    def payload_size(self) -> int:
        """Payload octets of both ends so far."""
        return self.orig_size() + self.resp_size()

    def orig_size(self) -> int:
        """Payload octets of the originator so far."""
        return self._size(self.orig, self.resp)

    def resp_size(self) -> int:
        """Payload octets of the responder so far."""
        return self._size(self.resp, self.orig)

    def _size(self, endpoint: Endpoint | None, peer: Endpoint | None) -> int:
        if endpoint is None:
            return 0
        if isinstance(endpoint, TcpEndpoint):
            return endpoint.size(peer.state if isinstance(peer, TcpEndpoint) else INACTIVE)
        return endpoint.octets if endpoint.octets > 0 else 0

    def add_history(self, code: str) -> None:
        """Append to the history."""
        if len(self.history) < MAX_HISTORY:
            self.history += code

    def mark_unknown(self) -> None:
        """Add ``X`` to the history, once."""
        if self.history_seen & SEEN_UNKNOWN == 0:
            self.history_seen |= SEEN_UNKNOWN
            self.add_history("X")

    def flip(self) -> None:
        """Exchange originator and responder."""
        if self.protocol == UDP:
            self._flip_octets()
        self.orig, self.resp = self.resp, self.orig
        if self.orig is not None:
            self.orig.is_orig = True
        if self.resp is not None:
            self.resp.is_orig = False
        self.orig_address, self.resp_address = self.resp_address, self.orig_address
        self.orig_port, self.resp_port = self.resp_port, self.orig_port
        self._orig_text, self._resp_text = self._resp_text, self._orig_text
        if len(self.macs) == 12:
            self.macs = self.macs[6:] + self.macs[:6]
        self.first_orig_seen, self.first_resp_seen = self.first_resp_seen, self.first_orig_seen
        self.partial = False
        self.add_history("^")
        if self.attached:
            self.context.flipped(self)

    def _flip_octets(self) -> None:
        """The payload counted so far stays with the role, as Zeek has it for UDP."""
        if self.orig is None:
            return
        if self.resp is None:
            if self.orig.octets < 0:
                return
            self.resp = Endpoint(self, False, reversed_key(self.orig.key))
        self.orig.octets, self.resp.octets = self.resp.octets, self.orig.octets

    def attach(self) -> None:
        """Have the analyzers chosen; once, no later than the first payload."""
        self.attached = True
        self.analyzers = []
        self.context.attach(self)

    def enclose(self, encapsulation: Encapsulation | None) -> None:
        """Follow a change of the tunnel that the packets come through."""
        if same_tunnel(self.encapsulation, encapsulation):
            return
        self.add_tunnel_parent(encapsulation)
        self.encapsulation = encapsulation

    def add_tunnel_parent(self, encapsulation: Encapsulation | None) -> None:
        """Record the innermost tunnel as a parent."""
        if encapsulation is None:
            return
        if self.tunnel_parents is None:
            self.tunnel_parents = [encapsulation.uid]
        elif encapsulation.uid not in self.tunnel_parents:
            if len(self.tunnel_parents) < MAX_TUNNEL_PARENTS:
                self.tunnel_parents.append(encapsulation.uid)
            else:
                self.context.counters.count("tunnel parents left out: too many")

    def tcp_states(self) -> tuple[i64, i64]:
        """States of originator and responder."""
        orig = self.orig
        resp = self.resp
        return (
            orig.state if isinstance(orig, TcpEndpoint) else INACTIVE,
            resp.state if isinstance(resp, TcpEndpoint) else INACTIVE,
        )

    def state_name(self) -> str:
        """``conn_state`` as Zeek names it."""
        if self.protocol == TCP:
            orig, resp = self.tcp_states()
            return tcp_state_name(
                orig, resp, self.orig_size() == 0 and self.resp_size() == 0, self.history
            )
        if self.protocol == UDP:
            orig_active = self.orig is not None and self.orig.octets >= 0
            resp_active = self.resp is not None and self.resp.octets >= 0
            if orig_active:
                return "SF" if resp_active else "S0"
            return "SHR" if resp_active else "OTH"
        return "OTH"

    def row(self) -> ConnRow:
        """What conn.log says of the connection since its previous row."""
        row = ConnRow()
        row.ts = self.start
        row.uid = self.uid
        row.id_orig_h = self.orig_text()
        row.id_orig_p = self.orig_port
        row.id_resp_h = self.resp_text()
        row.id_resp_p = self.resp_port
        row.proto = "tcp" if self.protocol == TCP else "udp" if self.protocol == UDP else "icmp"
        if len(self.services) > 0:
            row.service = ",".join(self.services)
        if self.last > self.start:
            row.duration = self.last - self.start
            row.orig_bytes = self.orig_size()
            row.resp_bytes = self.resp_size()
        row.conn_state = self.state_name()
        row.missed_bytes = self.missed
        row.history = self.history
        if self.orig is not None:
            row.orig_pkts = self.orig.packets
            row.orig_ip_bytes = self.orig.ip_octets
        if self.resp is not None:
            row.resp_pkts = self.resp.packets
            row.resp_ip_bytes = self.resp.ip_octets
        if self.tunnel_parents is not None:
            row.tunnel_parents = ",".join(self.tunnel_parents)
        row.orig_l2_addr = self.orig_mac_text()
        row.resp_l2_addr = self.resp_mac_text()
        return row

    def interim_row(self) -> ConnRow:
        """A row with what is new since the previous row; the next one starts from here."""
        row = self.row()
        before = self.reported
        now = Reported()
        now.missed_bytes = row.missed_bytes
        now.orig_bytes = row.orig_bytes if row.orig_bytes != UNSET else 0
        now.resp_bytes = row.resp_bytes if row.resp_bytes != UNSET else 0
        now.orig_pkts = row.orig_pkts
        now.orig_ip_bytes = row.orig_ip_bytes
        now.resp_pkts = row.resp_pkts
        now.resp_ip_bytes = row.resp_ip_bytes
        self.reported = now
        if before is not None:
            row.missed_bytes -= before.missed_bytes
            if row.orig_bytes != UNSET:
                # A SYN that restarts the sequence space can take octets back; rows never do.
                row.orig_bytes = max(row.orig_bytes - before.orig_bytes, 0)
                row.resp_bytes = max(row.resp_bytes - before.resp_bytes, 0)
            row.orig_pkts -= before.orig_pkts
            row.orig_ip_bytes -= before.orig_ip_bytes
            row.resp_pkts -= before.resp_pkts
            row.resp_ip_bytes -= before.resp_ip_bytes
        return row


def reversed_key(key: bytes) -> bytes:
    """The key of the other direction: addresses and ports exchanged."""
    size = (len(key) - 4) // 2
    ports = 2 * size
    return b"".join([key[size:ports], key[:size], key[ports + 2 :], key[ports : ports + 2]])


def same_tunnel(one: Encapsulation | None, other: Encapsulation | None) -> bool:
    """Whether two stacks of tunnels are the same, layer by layer."""
    while one is not None and other is not None:
        if one is other:
            return True
        if one.kind != other.kind or one.uid != other.uid:
            return False
        one = one.outer
        other = other.outer
    return one is None and other is None


def tcp_state_name(orig: i64, resp: i64, both_empty: bool, history: str) -> str:
    """The state of a TCP connection from the states of its ends (Zeek's ``conn_state``)."""
    orig_quiet = orig in (INACTIVE, PARTIAL)
    resp_quiet = resp in (INACTIVE, PARTIAL)
    if resp == RESET:
        if orig in (SYN_SENT, SYN_ACK_SENT) or (orig == RESET and both_empty):
            return "REJ"
        return "RSTRH" if orig_quiet else "RSTR"
    if orig == RESET:
        if not resp_quiet:
            return "RSTO"
        return "RSTOS0" if _syn_then_rst(history) else "OTH"
    if resp == CLOSED and orig == CLOSED:
        return "SF"
    if orig == CLOSED:
        return "SH" if resp_quiet else "S2"
    if resp == CLOSED:
        return "SHR" if orig_quiet else "S3"
    if orig == SYN_SENT and resp == INACTIVE:
        return "S0"
    if orig == ESTABLISHED and resp == ESTABLISHED:
        return "S1"
    return "OTH"


def _syn_then_rst(history: str) -> bool:
    """A SYN, then a RST, and of the originator nothing else between."""
    position = 1 if history.startswith("^") else 0
    if not history.startswith("S", position):
        return False
    for code in history[position + 1 :]:
        if code == "R":
            return True
        if code in "HAFGIQ":
            return False
    return False
