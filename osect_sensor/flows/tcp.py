"""TCP tracking from outside: states, history, sequence space, stream reassembly.

The rules are Zeek's (its TCP session adapter, endpoints and reassembler), because conn.log's
columns are defined by them: what counts as established, retransmitted, lost or closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import (
    NO_ANALYZERS,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
)
from osect_sensor.flows.endpoint import (
    CLOSED,
    ESTABLISHED,
    INACTIVE,
    PARTIAL,
    RESET,
    SEEN_ACK,
    SEEN_DATA,
    SEEN_FIN,
    SEEN_FIN_RST,
    SEEN_MULTI_FLAG,
    SEEN_RST,
    SEEN_SYN,
    SYN_ACK_SENT,
    SYN_SENT,
    FlowConnection,
    TcpEndpoint,
)
from osect_sensor.flows.likely_servers import is_likely_tcp_server

if TYPE_CHECKING:
    from mypy_extensions import i64

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10

SECOND: Final = 1_000_000
ATTEMPT_DELAY: Final = 5 * SECOND
"""A SYN without an answer is given up after this (Zeek's ``tcp_attempt_delay``)."""
CLOSE_DELAY: Final = 5 * SECOND
"""A closed connection waits this long for stragglers (``tcp_close_delay``)."""
LINGER: Final = 5 * SECOND
"""Silence after which a half-closed connection may end (``tcp_connection_linger``)."""
SESSION_CHECK: Final = 6 * SECOND
"""Time between looks at a half-closed connection (``tcp_session_timer``)."""
TCP_INACTIVITY: Final = 300 * SECOND
INTERACTIVE_INACTIVITY: Final = 3600 * SECOND

MAX_INITIAL_WINDOW: Final = 16_384
"""Octets sent without an acknowledgement after which none is expected (one-way capture)."""
MAX_ABOVE_HOLE_UNACKED: Final = 16_384
"""Octets held above a hole without any acknowledgement before the stream is given up."""
MAX_UNACKED: Final = 10 * 1024 * 1024
"""Octets held without further acknowledgements before the stream is given up."""
MAX_PENDING_SEGMENTS: Final = 16_384
"""Segments held above a hole. 10 MiB in full-sized segments are 7200, twice that with delayed
acknowledgements off; a forger's one-octet segments would make each insertion slow."""

TOO_LARGE_SEQ_DELTA: Final = 1_048_576

_DO_CLOSE: Final = 1
_FINISHED: Final = 2


def seq_delta(one: i64, other: i64) -> i64:
    """``one - other`` in sequence space: -2**31 … 2**31 - 1."""
    delta = (one - other) & 0xFFFFFFFF
    return delta - 0x100000000 if delta & 0x80000000 else delta


def _in_handshake(state: i64) -> bool:
    return state <= SYN_ACK_SENT


def _set_state(endpoint: TcpEndpoint, peer: TcpEndpoint, state: i64) -> None:
    before = endpoint.state
    if state == before:
        return
    if not _in_handshake(state) and _in_handshake(before) and _in_handshake(peer.state):
        endpoint.connection.inactivity_timeout = TCP_INACTIVITY
        endpoint.connection.due = 0
    endpoint.previous_state = before
    endpoint.state = state


def _relative(start_seq: i64, current: i64, last: i64, wraps: i64) -> tuple[i64, bool]:
    """``current`` relative to ``start_seq``, and whether it lies before the start."""
    delta = seq_delta(current, last)
    if delta < 0:
        if wraps != 0 and current > last:
            wraps -= 1
    elif delta > 0 and current < last:
        wraps += 1
    if wraps == 0:
        delta = seq_delta(current, start_seq & 0xFFFFFFFF)
        return delta, delta < 0
    return (wraps << 32) + current - start_seq, False


@final
class TcpTracker:
    """Follows the segments of TCP connections."""

    __slots__ = ()

    def segment(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        flags: i64,
        seq: i64,
        ack: i64,
        window: i64,
        length: i64,
        data: bytes,
        start: i64,
        captured: i64,
        now: i64,
    ) -> None:
        """Take one segment of ``endpoint``.

        ``length`` is the payload's length by the IP header, ``data[start:start + captured]`` what
        was captured of it (padding may follow).
        """
        from_orig = endpoint.is_orig
        syn = flags & SYN != 0
        rst = flags & RST != 0
        fin = flags & FIN != 0
        has_ack = flags & ACK != 0

        if from_orig:
            if not connection.first_orig_seen:
                connection.partial = not syn or has_ack
        elif not connection.first_resp_seen and not connection.partial:
            connection.partial = not syn

        segment_length = length
        if flags & (SYN | FIN | RST):
            if syn:
                segment_length += 1
            if fin:
                segment_length += 1
            if rst:
                segment_length -= length
        end = (seq + segment_length) & 0xFFFFFFFF

        state = endpoint.state
        if state == INACTIVE:
            if syn:
                endpoint.start_seq = seq
                endpoint.last_seq = end
            else:
                # Joined in the middle: number the octets as if a SYN had come just before.
                endpoint.start_seq = (seq - 1) & 0xFFFFFFFF
                endpoint.last_seq = seq
            endpoint.ack_seq = endpoint.start_seq
        elif syn and (
            (state in (SYN_SENT, SYN_ACK_SENT) and seq != endpoint.start_seq & 0xFFFFFFFF)
            or state in (ESTABLISHED, PARTIAL)
            or (state == RESET and endpoint.previous_state == INACTIVE)
        ):
            # This SYN will be the one that sets the connection up.
            endpoint.start_seq = seq
            endpoint.ack_seq = seq
            endpoint.last_seq = end

        relative_seq, underflow = _relative(
            endpoint.start_seq, seq, endpoint.last_seq, endpoint.seq_wraps
        )
        self._update_history(connection, endpoint, flags, relative_seq, length)
        if window == 0 and not rst and peer.state != CLOSED and endpoint.state != RESET:
            endpoint.zero_windows += 1
            if endpoint.zero_windows == endpoint.zero_window_threshold:
                endpoint.zero_window_threshold *= 10
                connection.add_history("W" if endpoint.is_orig else "w")

        if not endpoint.did_close or not peer.did_close:
            connection.last = now
        if fin:
            endpoint.fin_count += 1
            endpoint.fin_seq = relative_seq + segment_length
        if rst:
            self._tell_closed(connection)

        relative_ack: i64 = 0
        if has_ack:
            if peer.state == INACTIVE:
                relative_ack = 1
                peer.start_seq = (ack - 1) & 0xFFFFFFFF
                peer.ack_seq = peer.start_seq
                peer.last_seq = peer.start_seq
            else:
                relative_ack, ack_underflow = _relative(
                    peer.start_seq, ack, peer.ack_seq, peer.ack_wraps
                )
                if ack_underflow:
                    relative_ack = 0
                elif not rst:
                    delta = seq_delta(ack, peer.ack_seq)
                    # An acknowledgement of 0 far ahead is a broken one.
                    if delta > 0 and (ack != 0 or delta <= TOO_LARGE_SEQ_DELTA):
                        if ack < peer.ack_seq:
                            peer.ack_wraps += 1
                        peer.ack_seq = ack

        delta_last = seq_delta(end, endpoint.last_seq)
        if (syn or rst) and (delta_last > TOO_LARGE_SEQ_DELTA or delta_last < -TOO_LARGE_SEQ_DELTA):
            pass
        elif fin and endpoint.last_seq == (endpoint.start_seq + 1) & 0xFFFFFFFF:
            self._advance(endpoint, end)
        elif endpoint.state == RESET:
            pass
        elif delta_last > 0:
            self._advance(endpoint, end)
        elif length > 0:
            endpoint.retransmissions += 1
            if endpoint.retransmissions == endpoint.retransmission_threshold:
                endpoint.retransmission_threshold *= 10
                connection.add_history("T" if endpoint.is_orig else "t")

        outcome = self._update_state(connection, endpoint, peer, flags, seq, length, from_orig, now)
        if has_ack:
            self._ack_received(connection, peer, endpoint, relative_ack)
        if from_orig:
            connection.first_orig_seen = True
        else:
            connection.first_resp_seen = True
        if length > 0 and not rst and not underflow and captured >= length:
            first = relative_seq + 1 if syn else relative_seq
            self._data_sent(connection, endpoint, peer, first, data, start, length)
        if not endpoint.did_eof and (
            endpoint.fin_count > 0 or endpoint.state == CLOSED or endpoint.state == RESET
        ):
            self._check_eof(connection, endpoint, peer)
        if outcome & _DO_CLOSE:
            self._connection_closed(connection, endpoint, peer, outcome & _FINISHED != 0)

    def _advance(self, endpoint: TcpEndpoint, last_seq: i64) -> None:
        if last_seq < endpoint.last_seq:
            endpoint.seq_wraps += 1
        endpoint.last_seq = last_seq

    # History

    def _update_history(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        flags: i64,
        relative_seq: i64,
        length: i64,
    ) -> None:
        control = flags & (SYN | FIN | RST)
        if control == 0:
            if length != 0:
                if self._productive(connection, endpoint, SEEN_DATA):
                    self._first(connection, endpoint, SEEN_DATA, "D")
            elif flags & ACK and self._productive(connection, endpoint, SEEN_ACK):
                self._first(connection, endpoint, SEEN_ACK, "A")
        elif control == SYN:
            code = "H" if flags & ACK else "S"
            if self._first(connection, endpoint, SEEN_SYN, code) and (
                relative_seq != endpoint.last_syn
            ):
                connection.add_history(code if endpoint.is_orig else code.lower())
            endpoint.last_syn = relative_seq
        elif control == FIN:
            if self._first(connection, endpoint, SEEN_FIN, "F") and (
                relative_seq + length != endpoint.last_fin
            ):
                connection.add_history("F" if endpoint.is_orig else "f")
            endpoint.last_fin = relative_seq + length
        elif control == RST:
            if self._first(connection, endpoint, SEEN_RST, "R") and (
                relative_seq != endpoint.last_rst
            ):
                connection.add_history("R" if endpoint.is_orig else "r")
            endpoint.last_rst = relative_seq
        elif control & (FIN | RST) == FIN | RST:
            self._first(connection, endpoint, SEEN_FIN_RST, "I")
        else:
            self._first(connection, endpoint, SEEN_MULTI_FLAG, "Q")

    def _productive(self, connection: FlowConnection, endpoint: TcpEndpoint, bit: i64) -> bool:
        """Before the letter of a data segment or pure ACK: is it new for this end?

        A connection that began with a SYN+ACK keeps its direction while it may be a scan; the
        first productive segment shows that it was the responder's, so the roles are exchanged.
        """
        if connection.history == "H":
            connection.flip()
            connection.history = "^h"
            connection.first_orig_seen = True
        return connection.history_seen & (bit if endpoint.is_orig else bit << 16) == 0

    def _first(
        self, connection: FlowConnection, endpoint: TcpEndpoint, bit: i64, code: str
    ) -> bool:
        """Add the letter if it is new for this end; returns whether it was there already."""
        if not endpoint.is_orig:
            bit <<= 16
            code = code.lower()
        if connection.history_seen & bit:
            return True
        connection.history_seen |= bit
        connection.add_history(code)
        return False

    # States

    def _update_state(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        flags: i64,
        seq: i64,
        length: i64,
        from_orig: bool,
        now: i64,
    ) -> i64:
        """Move the endpoint's state; returns ``_DO_CLOSE`` and ``_FINISHED`` bits."""
        state = endpoint.state
        if state in (ESTABLISHED, PARTIAL):
            if flags & (SYN | FIN | RST) == 0:
                return 0
            return self._leave_established(connection, endpoint, peer, flags)
        if state == INACTIVE:
            return self._leave_inactive(
                connection, endpoint, peer, flags, seq, length, from_orig, now
            )
        if state in (SYN_SENT, SYN_ACK_SENT):
            outcome: i64 = 0
            if flags & FIN:
                _set_state(endpoint, peer, CLOSED)
                outcome = _DO_CLOSE | _FINISHED
            if flags & RST:
                _set_state(endpoint, peer, RESET)
                self._connection_reset(connection)
                outcome |= _DO_CLOSE
            return outcome
        if state == CLOSED and flags & RST and peer.state != CLOSED:
            _set_state(endpoint, peer, RESET)
            if not endpoint.did_close:
                return _DO_CLOSE
        return 0

    def _leave_inactive(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        flags: i64,
        seq: i64,
        length: i64,
        from_orig: bool,
        now: i64,
    ) -> i64:
        outcome: i64 = 0
        if flags & SYN:
            if from_orig:
                _set_state(endpoint, peer, SYN_ACK_SENT if flags & ACK else SYN_SENT)
                connection.attempt_due = now + ATTEMPT_DELAY
                connection.due = 0
            else:
                if (
                    not flags & ACK
                    and peer.state == SYN_ACK_SENT
                    and seq == endpoint.start_seq & 0xFFFFFFFF
                ):
                    # SYN and SYN+ACK came in the wrong order (two capture interfaces).
                    connection.partial = False
                    connection.flip()
                    _set_state(peer, endpoint, ESTABLISHED)
                    connection.first_orig_seen = True
                if peer.state == SYN_SENT:
                    _set_state(peer, endpoint, ESTABLISHED)
                _set_state(endpoint, peer, ESTABLISHED)
                if peer.state != PARTIAL:
                    self._established(connection, peer)
        if flags & FIN:
            _set_state(endpoint, peer, CLOSED)
            outcome = _DO_CLOSE | _FINISHED
        if flags & RST:
            _set_state(endpoint, peer, RESET)
            if from_orig:
                rejected = peer.state == ESTABLISHED
            else:
                rejected = peer.state in (SYN_SENT, SYN_ACK_SENT)
            outcome = _DO_CLOSE if rejected else _DO_CLOSE | _FINISHED
        if endpoint.state == INACTIVE:
            if not from_orig and length == 0 and peer.state == SYN_SENT:
                # Some acknowledge a SYN before they answer it: nothing is settled yet.
                pass
            elif flags & ACK and peer.state == ESTABLISHED:
                # The SYN was missed, the SYN+ACK was not.
                _set_state(endpoint, peer, ESTABLISHED)
                connection.partial = False
                if from_orig:
                    connection.first_orig_seen = True
                else:
                    connection.first_resp_seen = True
            else:
                _set_state(endpoint, peer, PARTIAL)
        return outcome

    def _established(self, connection: FlowConnection, orig: TcpEndpoint) -> None:
        """Interactive services may be silent for an hour."""
        port = connection.resp_port
        if (
            orig.state == INACTIVE
            and not is_likely_tcp_server(port)
            and is_likely_tcp_server(connection.orig_port)
        ):
            port = connection.orig_port
        if port in (21, 22, 23, 513):
            connection.inactivity_timeout = INTERACTIVE_INACTIVITY

    def _leave_established(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint, flags: i64
    ) -> i64:
        outcome: i64 = 0
        if flags & (SYN | ACK) == SYN and endpoint.state == PARTIAL and peer.state == INACTIVE:
            _set_state(endpoint, peer, SYN_SENT)
        if flags & (FIN | RST) == FIN:
            _set_state(endpoint, peer, CLOSED)
            if peer.state == RESET and peer.previous_state == CLOSED:
                # FIN then RST from the peer was a normal end after all.
                _set_state(peer, endpoint, CLOSED)
            outcome = _DO_CLOSE | _FINISHED
        if flags & RST:
            _set_state(endpoint, peer, RESET)
            outcome |= _DO_CLOSE
            if peer.state != RESET or peer.previous_state != ESTABLISHED:
                self._connection_reset(connection)
        return outcome

    # The end of a connection

    def _tell_closed(self, connection: FlowConnection) -> None:
        analyzers = connection.analyzers
        for index in range(len(analyzers)):
            if analyzers[index].alive:
                analyzers[index].closed()

    def _connection_reset(self, connection: FlowConnection) -> None:
        connection.active = False
        self._tell_closed(connection)

    def _connection_closed(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        finished: bool,
    ) -> None:
        if self._data_pending(endpoint, peer):
            connection.close_deferred = True
            if not connection.deferred_finish:
                connection.deferred_finish = finished
            return
        connection.close_deferred = False
        if endpoint.did_close:
            return
        endpoint.did_close = True
        if endpoint.state == RESET or peer.did_close or peer.state == INACTIVE:
            if endpoint.previous_state != INACTIVE or peer.state != INACTIVE:
                if connection.deferred_finish:
                    finished = True
                    connection.deferred_finish = False
                if finished:
                    connection.active = False
                    self._tell_closed(connection)
            connection.attempt_due = 0
            connection.expire_due = 0
            connection.delete_due = connection.last + CLOSE_DELAY
            connection.due = 0
        elif endpoint.previous_state != INACTIVE:
            due = connection.last + SESSION_CHECK
            if connection.expire_due == 0 or due < connection.expire_due:
                connection.expire_due = due
                connection.due = 0

    # The stream

    def _data_pending(self, endpoint: TcpEndpoint, peer: TcpEndpoint) -> bool:
        """Whether octets that were announced have not been delivered yet."""
        if endpoint.skip_deliveries:
            return False
        delivered = endpoint.start_seq + endpoint.next_seq
        last = (endpoint.seq_wraps << 32) + endpoint.last_seq
        if last < delivered:
            return False
        if delivered != last - 1 and delivered != last:
            return True
        return endpoint.state != RESET and peer.stored_end > peer.trim_seq

    def _check_eof(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint
    ) -> None:
        if (
            endpoint.did_eof
            or (endpoint.fin_count == 0 and endpoint.state not in (CLOSED, RESET))
            or self._data_pending(endpoint, peer)
        ):
            return
        endpoint.did_eof = True
        if connection.analyzers is not NO_ANALYZERS:
            deliver_end_of_stream(connection.analyzers, endpoint.is_orig)
        if connection.close_deferred:
            self._connection_closed(connection, endpoint, peer, connection.deferred_finish)
            connection.close_deferred = False

    def _ack_received(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint, seq: i64
    ) -> None:
        """``endpoint``'s octets up to ``seq`` were acknowledged: what is missing was lost."""
        if endpoint.fin_count > 0 and endpoint.fin_seq >= 0 and seq >= endpoint.fin_seq:
            seq = endpoint.fin_seq - 1
        if seq <= endpoint.trim_seq:
            return
        self._trim(connection, endpoint, peer, seq)
        if not endpoint.did_eof:
            self._check_eof(connection, endpoint, peer)

    def _trim(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint, seq: i64
    ) -> None:
        if seq > endpoint.next_seq:
            self._undelivered(connection, endpoint, peer, seq)
        if endpoint.pending is not None:
            self._drop_delivered(endpoint, seq)
            self._deliver_pending(connection, endpoint)
        endpoint.trim_seq = seq

    def _undelivered(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint, up_to: i64
    ) -> None:
        """Octets before ``up_to`` will not come any more."""
        if up_to <= 2 and connection.partial:
            # The numbering of a partial connection was guessed; a keep-alive may be off by one.
            return
        if not endpoint.skip_deliveries:
            while endpoint.pending is not None and endpoint.pending[0][0] < up_to:
                start = endpoint.pending[0][0]
                if start > endpoint.next_seq:
                    self._gap(connection, endpoint, peer, start - endpoint.next_seq)
                    endpoint.next_seq = start
                self._deliver_pending(connection, endpoint)
            if up_to > endpoint.next_seq:
                self._gap(connection, endpoint, peer, up_to - endpoint.next_seq)
        if up_to > endpoint.next_seq:
            endpoint.next_seq = up_to

    def _gap(
        self, connection: FlowConnection, endpoint: TcpEndpoint, peer: TcpEndpoint, length: i64
    ) -> None:
        # In other states a gap is an artefact: mismatched RSTs, the unseen past of a partial one.
        if _clean(endpoint) and _clean(peer):
            endpoint.gap_count += 1
            if endpoint.gap_count == endpoint.gap_threshold:
                endpoint.gap_threshold *= 10
                connection.add_history("G" if endpoint.is_orig else "g")
            connection.missed += length
        connection.had_gap = True
        if not connection.attached:
            connection.attach()
        if connection.analyzers is not NO_ANALYZERS:
            deliver_gap(connection.analyzers, endpoint.is_orig, length)

    def _data_sent(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        seq: i64,
        data: bytes,
        start: i64,
        length: i64,
    ) -> None:
        """Take a segment's payload, whose first octet has the relative number ``seq``."""
        if endpoint.skip_deliveries:
            return
        end = seq + length
        acked = endpoint.relative_ack()
        begin = seq
        if begin < acked:
            if end <= acked:
                return
            begin = acked
        if begin < endpoint.trim_seq:
            begin = endpoint.trim_seq
        if end > begin:
            self._keep(connection, endpoint, peer, begin, end, data, start + begin - seq)
        pending = endpoint.pending
        if pending is not None:
            above = pending[len(pending) - 1][1] - endpoint.next_seq
            if (
                (above > MAX_ABOVE_HOLE_UNACKED and endpoint.no_data_acked())
                or self._held(endpoint) > MAX_UNACKED
                or len(pending) > MAX_PENDING_SEGMENTS
            ):
                connection.context.counters.count("TCP streams given up: too much held")
                self._give_up(endpoint)
        elif endpoint.next_seq - endpoint.trim_seq > MAX_UNACKED:
            self._give_up(endpoint)

    def _keep(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        peer: TcpEndpoint,
        begin: i64,
        end: i64,
        data: bytes,
        start: i64,
    ) -> None:
        """Deliver or hold the octets ``begin`` to ``end`` of a stream, at ``data[start:]``."""
        if end > endpoint.stored_end:
            endpoint.stored_end = end
        next_seq = endpoint.next_seq
        if begin > next_seq:
            self._insert(connection, endpoint, begin, end, data, start)
            return
        if end <= next_seq:
            return
        start += next_seq - begin
        if endpoint.pending is None:
            self._deliver(connection, endpoint, end - next_seq, data, start)
        else:
            self._insert(connection, endpoint, next_seq, end, data, start)
            self._deliver_pending(connection, endpoint)
        if endpoint.no_data_acked() and endpoint.size(peer.state) > MAX_INITIAL_WINDOW:
            # The other direction is not captured: nothing will ever be acknowledged.
            self._trim(connection, endpoint, peer, endpoint.next_seq)

    def _held(self, endpoint: TcpEndpoint) -> i64:
        """Octets that came and were not acknowledged; holes between them do not count."""
        if endpoint.stored_end - endpoint.trim_seq <= MAX_UNACKED:
            # With the holes it is no more, hence without them neither.
            return 0
        held = max(endpoint.next_seq - endpoint.trim_seq, 0)
        pending = endpoint.pending
        if pending is not None:
            for begin, end, _ in pending:
                held += end - begin
        return held

    def _give_up(self, endpoint: TcpEndpoint) -> None:
        endpoint.pending = None
        endpoint.stored_end = endpoint.trim_seq
        endpoint.skip_deliveries = True

    def _deliver(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        length: i64,
        data: bytes,
        start: i64,
    ) -> None:
        """Hand the next ``length`` octets of the stream, at ``data[start:]``, to the analyzers."""
        endpoint.next_seq += length
        if not connection.attached:
            connection.attach()
        analyzers = connection.analyzers
        if len(analyzers) != 0:
            deliver_stream(analyzers, endpoint.is_orig, data[start : start + length])

    def _insert(
        self,
        connection: FlowConnection,
        endpoint: TcpEndpoint,
        begin: i64,
        end: i64,
        data: bytes,
        start: i64,
    ) -> None:
        """Keep what is new of a segment until the hole before it is filled; old octets win."""
        if endpoint.pending is None:
            endpoint.pending = []
        pending = endpoint.pending
        wanted = not connection.attached or len(connection.analyzers) != 0
        index = len(pending)
        while index > 0 and pending[index - 1][0] >= begin:
            index -= 1
        if index > 0 and pending[index - 1][1] > begin:
            shift = pending[index - 1][1] - begin
            begin += shift
            start += shift
        while begin < end:
            stop = end
            if index < len(pending) and pending[index][0] < end:
                stop = pending[index][0]
            if begin < stop:
                content = data[start : start + stop - begin] if wanted else b""
                pending.insert(index, (begin, stop, content))
                index += 1
            if index >= len(pending):
                break
            shift = pending[index][1] - begin
            begin += shift
            start += shift
            index += 1

    def _deliver_pending(self, connection: FlowConnection, endpoint: TcpEndpoint) -> None:
        """Deliver the held segments that are next in order."""
        while True:
            pending = endpoint.pending
            if pending is None or pending[0][0] > endpoint.next_seq:
                return
            begin, end, content = pending.pop(0)
            if len(pending) == 0:
                endpoint.pending = None
            if end <= endpoint.next_seq:
                continue
            skipped = endpoint.next_seq - begin
            if len(content) == 0:
                endpoint.next_seq = end
            else:
                self._deliver(connection, endpoint, end - endpoint.next_seq, content, skipped)

    def _drop_delivered(self, endpoint: TcpEndpoint, seq: i64) -> None:
        """Forget held segments that were acknowledged as a whole."""
        pending = endpoint.pending
        while pending is not None and len(pending) > 0 and pending[0][1] <= seq:
            pending.pop(0)
        if pending is not None and len(pending) == 0:
            endpoint.pending = None


def _clean(endpoint: TcpEndpoint) -> bool:
    """Established, or closing after it was."""
    return endpoint.state == ESTABLISHED or (
        endpoint.state == CLOSED and endpoint.previous_state == ESTABLISHED
    )
