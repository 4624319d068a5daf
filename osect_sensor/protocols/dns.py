"""DNS and its relatives over UDP and TCP, and the rows of dns.log.

Queries and responses are paired by transaction id, within a connection, as Zeek pairs them: what
stays alone is reported when the connection ends or when too much is waiting.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.logs.rows import UNSET, DnsRow
from osect_sensor.protocols.dns_message import (
    NETBIOS_PORT,
    OPCODE_QUERY,
    PARSED,
    TOO_MANY_QUESTIONS,
    TOO_SHORT,
    UNSUPPORTED_OPCODE,
    DnsMessage,
    Question,
    netbios_name,
    parse_message,
)
from osect_sensor.protocols.dns_names import (
    SRV,
    class_name,
    query_type_name,
    response_code_name,
)
from osect_sensor.wire.packet import TCP, UDP

MAX_PENDING_MESSAGES: Final = 50
"""Unpaired messages of one transaction id before they are given up (as Zeek does): an AXFR
response has hundreds of messages of which only the first finds a query."""

MAX_PENDING_IDENTIFIERS: Final = 50
"""Transaction ids with unpaired messages before all are given up (as Zeek does)."""

SESSION_TIMEOUT: Final = 10_000_000
"""Microseconds between looks at whether a DNS exchange over UDP is over."""

_SECOND: Final = 1_000_000


@final
class _Exchange:
    """A query, a response, or both."""

    def __init__(self, row: DnsRow) -> None:
        self.row: Final = row
        self.saw_query: bool = False
        self.saw_reply: bool = False
        self.waiting: bool = False
        """Whether it may still be paired, so that its row will be needed after this one."""


@final
class _Waiting:
    """Unpaired messages: a queue for each transaction id."""

    def __init__(self) -> None:
        self._queues: Final[dict[int, list[_Exchange]]] = {}

    def put(self, exchange: _Exchange) -> list[_Exchange]:
        """Add ``exchange``; what is given up for it."""
        identifier = exchange.row.trans_id
        given_up: list[_Exchange] = []
        queue = self._queues.get(identifier)
        if queue is None:
            if len(self._queues) > MAX_PENDING_IDENTIFIERS:
                given_up = self.drain()
            self._queues[identifier] = [exchange]
        elif len(queue) > MAX_PENDING_MESSAGES:
            given_up = queue
            self._queues[identifier] = [exchange]
        else:
            queue.append(exchange)
        return given_up

    def pop(self, identifier: int) -> _Exchange | None:
        """Take the oldest message of ``identifier``."""
        queue = self._queues.get(identifier)
        if queue is None:
            return None
        exchange = queue.pop(0)
        if len(queue) == 0:
            del self._queues[identifier]
        return exchange

    def pop_any(self) -> _Exchange | None:
        """Take the oldest message of some identifier."""
        for identifier in self._queues:
            return self.pop(identifier)
        return None

    def drain(self) -> list[_Exchange]:
        """Take everything."""
        everything: list[_Exchange] = []
        for queue in self._queues.values():
            everything.extend(queue)
        self._queues.clear()
        return everything


@final
class DnsTransactions:
    """Turns the messages of one connection into rows of dns.log."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._current: _Exchange | None = None
        self._first_query: _Exchange | None = None
        """A query that waits outside ``_queries``, as nearly always just one does."""
        self._queries: Final = _Waiting()
        self._replies: Final = _Waiting()

    def message(self, message: DnsMessage) -> None:
        """Take the next message of either direction."""
        if message.opcode == OPCODE_QUERY:
            current = self._pair(message)
            self._current = current
            for question in message.questions:
                self._question(current.row, message, question)
            if message.response:
                self._answers(current.row, message)
        self._end(message)

    def finish(self) -> None:
        """Report everything that is still alone."""
        first_query = self._first_query
        self._first_query = None
        if first_query is not None:
            self._emit_last(first_query)
        for exchange in self._queries.drain():
            self._emit_last(exchange)
        for exchange in self._replies.drain():
            self._emit_last(exchange)
        self._current = None

    def _pair(self, message: DnsMessage) -> _Exchange:
        """The exchange that ``message`` belongs to, a new one where it is the first of it."""
        if not message.response:
            reply = self._replies.pop(message.identifier)
            if reply is not None:
                reply.waiting = False
                return reply
            query = self._new(message)
            if self._first_query is None:
                self._first_query = query
            else:
                self._give_up(self._queries.put(query))
            return query
        exchange = self._pop_query(message.identifier)
        if exchange is None:
            exchange = self._new(message)
            self._give_up(self._replies.put(exchange))
        else:
            exchange.waiting = False
        row = exchange.row
        row.rcode = message.rcode
        row.rcode_name = response_code_name(message.rcode)
        if message.rcode != 0 and message.question_count == 0:
            row.rejected = True
        return exchange

    def _pop_query(self, identifier: int) -> _Exchange | None:
        first_query = self._first_query
        if first_query is None or first_query.row.trans_id != identifier:
            return self._queries.pop(identifier)
        # A query that waits behind it moves up, one with the same id first: otherwise the next
        # query would overtake those in the queues.
        following = self._queries.pop(identifier)
        self._first_query = following if following is not None else self._queries.pop_any()
        return first_query

    def _new(self, message: DnsMessage) -> _Exchange:
        connection = self._connection
        row = DnsRow()
        row.ts = connection.context.now
        row.uid = connection.uid
        row.id_orig_h = connection.orig_text()
        row.id_orig_p = connection.orig_port
        row.id_resp_h = connection.resp_text()
        row.id_resp_p = connection.resp_port
        row.proto = "udp" if connection.protocol == UDP else "tcp"
        row.trans_id = message.identifier
        exchange = _Exchange(row)
        exchange.waiting = True
        return exchange

    def _question(self, row: DnsRow, message: DnsMessage, question: Question) -> None:
        if message.response:
            if (
                message.answer_count == 0
                and message.authority_count == 0
                and message.additional_count == 0
            ):
                row.rejected = True
            return
        row.rd = message.recursion_desired
        row.tc = message.truncated
        row.qclass = question.qclass
        row.qclass_name = class_name(question.qclass)
        row.qtype = question.qtype
        row.qtype_name = query_type_name(question.qtype)
        row.z = message.z
        row.query = question.name
        connection = self._connection
        if connection.resp_port == NETBIOS_PORT and connection.protocol == UDP:
            decoded = netbios_name(question.name)
            if decoded != b"":
                row.query = decoded
            if question.qtype == SRV:
                row.qtype_name = "NBSTAT"

    def _answers(self, row: DnsRow, message: DnsMessage) -> None:
        for answer in message.answers:
            if row.query is None:
                row.query = answer.name
            row.aa = message.authoritative
            row.ra = message.recursion_available
            if row.rtt == UNSET:
                elapsed = self._connection.context.now - row.ts
                # No time between query and response means that this row began with the response.
                if elapsed != 0:
                    row.rtt = elapsed
            if answer.text != b"":
                answers = row.answers
                ttls = row.ttls
                if answers is None or ttls is None:
                    answers = []
                    ttls = []
                    row.answers = answers
                    row.ttls = ttls
                answers.append(answer.text)
                ttls.append(answer.ttl * _SECOND)

    def _end(self, message: DnsMessage) -> None:
        current = self._current
        if current is None:
            return
        if message.response:
            current.saw_reply = True
        else:
            current.saw_query = True
        if current.saw_query and current.saw_reply:
            self._current = None
            # A message of another opcode may complete an exchange that still waits for its own
            # other half: its row is then reported again with that one.
            row = _copy(current.row) if current.waiting else current.row
            self._connection.context.sink.dns(row)

    def _give_up(self, exchanges: list[_Exchange]) -> None:
        if len(exchanges) > 0:
            self._connection.context.counters.count("dns_unpaired_messages_given_up")
        for exchange in exchanges:
            self._emit_last(exchange)

    def _emit_last(self, exchange: _Exchange) -> None:
        exchange.waiting = False
        # It may be the current one, which later messages still write to.
        row = _copy(exchange.row) if exchange is self._current else exchange.row
        self._connection.context.sink.dns(row)


def _copy(row: DnsRow) -> DnsRow:
    other = DnsRow()
    other.ts = row.ts
    other.uid = row.uid
    other.id_orig_h = row.id_orig_h
    other.id_orig_p = row.id_orig_p
    other.id_resp_h = row.id_resp_h
    other.id_resp_p = row.id_resp_p
    other.proto = row.proto
    other.trans_id = row.trans_id
    other.rtt = row.rtt
    other.query = row.query
    other.qclass = row.qclass
    other.qclass_name = row.qclass_name
    other.qtype = row.qtype
    other.qtype_name = row.qtype_name
    other.rcode = row.rcode
    other.rcode_name = row.rcode_name
    other.aa = row.aa
    other.tc = row.tc
    other.rd = row.rd
    other.ra = row.ra
    other.z = row.z
    other.answers = None if row.answers is None else row.answers.copy()
    other.ttls = None if row.ttls is None else row.ttls.copy()
    other.rejected = row.rejected
    return other


_IN_HIGH_OCTET: Final = 0
_IN_LOW_OCTET: Final = 1
_IN_MESSAGE: Final = 2


@final
class _MessageBuffer:
    """Cuts one direction of DNS over TCP into messages (RFC 1035 section 4.2.2).

    It holds at most one message, 65535 octets.
    """

    def __init__(self) -> None:
        self._state: int = _IN_HIGH_OCTET
        self._size: int = 0
        self._parts: list[bytes] = []
        self._held: int = 0

    def take(self, data: bytes, position: int) -> tuple[bytes, int]:
        """Continue at ``position``; the next message, and where to go on: -1 without a message."""
        end = len(data)
        if position < end and self._state == _IN_HIGH_OCTET:
            self._size = data[position] << 8
            self._state = _IN_LOW_OCTET
            position += 1
        if position < end and self._state == _IN_LOW_OCTET:
            self._size += data[position]
            self._state = _IN_MESSAGE
            self._parts = []
            self._held = 0
            position += 1
        if position >= end:
            # Even an empty message completes only when something follows it.
            return b"", -1
        wanted = max(self._size - self._held, 0)
        part = data[position : position + wanted]
        self._parts.append(part)
        self._held += len(part)
        if self._held < self._size:
            return b"", -1
        message = b"".join(self._parts)
        self._parts = []
        self._held = 0
        self._state = _IN_HIGH_OCTET
        return message, position + len(part)

    def partial(self) -> bytes:
        """What there is of an unfinished message; its rest is then no longer waited for."""
        if self._held > 0:
            self._size = 0
        return b"".join(self._parts)


@final
class DnsAnalyzer(Analyzer):
    """DNS (RFC 1035), multicast DNS (RFC 6762), LLMNR (RFC 4795), NetBIOS names (RFC 1002)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "dns")
        self._netbios: Final = (
            connection.orig_port == NETBIOS_PORT or connection.resp_port == NETBIOS_PORT
        )
        self._first: bool = True
        self._transactions: Final = DnsTransactions(connection)
        self._orig: _MessageBuffer = _MessageBuffer()
        self._resp: _MessageBuffer = _MessageBuffer()
        if connection.protocol == UDP:
            connection.silence_check = SESSION_TIMEOUT

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Read one message."""
        self._message(data, from_orig)

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Read the messages that these octets complete."""
        buffer = self._orig if from_orig else self._resp
        position = 0
        while position < len(data):
            message, position = buffer.take(data, position)
            if position < 0:
                return
            self._message(message, from_orig)

    def end_of_stream(self, from_orig: bool) -> None:
        """Read what there is of unfinished messages."""
        self._read_partial()

    def closed(self) -> None:
        """Read what there is of unfinished messages."""
        self._read_partial()

    def flip(self) -> None:
        """Exchange the directions' buffers."""
        orig = self._orig
        self._orig = self._resp
        self._resp = orig

    def finish(self) -> None:
        """Report unpaired messages."""
        if self.connection.protocol == UDP:
            self.connection.silence_check = 0
        self._transactions.finish()

    def _read_partial(self) -> None:
        if self.connection.protocol != TCP:
            return
        for buffer in (self._orig, self._resp):
            message = buffer.partial()
            if message != b"":
                self._message(message, False)

    def _message(self, data: bytes, from_orig: bool) -> None:
        connection = self.connection
        message = parse_message(data, self._netbios, connection.resp_port == NETBIOS_PORT)
        if message.status == TOO_SHORT:
            return
        if message.status == UNSUPPORTED_OPCODE:
            connection.mark_unknown()
            return
        if self._first and from_orig and message.response:
            # The capture began between query and response, unless responses go to a group.
            if not _is_multicast(connection.resp_address):
                connection.flip()
        self._first = False
        self._transactions.message(message)
        if message.status == TOO_MANY_QUESTIONS or message.not_dns:
            self.violation()
        elif message.status == PARSED:
            self.confirm()


def _is_multicast(address: bytes) -> bool:
    if len(address) == 4:
        return address[0] & 0xF0 == 0xE0
    return address[0] == 0xFF
