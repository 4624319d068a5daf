"""What a connection offers its application-protocol analyzers, and what it asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import address_text

if TYPE_CHECKING:
    from mypy_extensions import i64


class Counters:
    """Named events worth telling the operator: limits that were hit, input that made no sense."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add ``by`` to the counter ``name``."""
        self.values[name] = self.values.get(name, 0) + by


class AnalysisContext:
    """The running analysis as analyzers see it: the clock, the sink, expectations, detection.

    The native generator's engine derives from it and fills in what needs other rooms.
    """

    def __init__(self, sink: RowSink) -> None:
        self.now: i64 = 0
        """Time of the packet being processed, microseconds since the epoch."""
        self.sink: RowSink = sink
        self.counters: Counters = Counters()
        self.expecting: bool = False
        """Whether any connection is expected; if so each new one is attached at once."""

    def expect_connection(
        self,
        originator: bytes,
        responder: bytes,
        responder_port: i64,
        protocol: i64,
        service: str,
        lifetime: i64,
    ) -> None:
        """Attach ``service``'s analyzer to a connection that is about to come (FTP data, …).

        ``originator`` may be empty for "anybody"; ``lifetime`` is in microseconds.
        """

    def attach(self, connection: Connection) -> None:
        """Choose the analyzers of a connection, just before its first payload is delivered."""

    def flipped(self, connection: Connection) -> None:
        """Learn that originator and responder of a connection were exchanged."""

    def stream_analyzers(self, connection: Connection, service: str) -> list[Analyzer]:
        """Fresh analyzers for a stream inside a stream (CONNECT, SOCKS, STARTTLS, …).

        ``service`` names the protocol, or is empty to have it detected by content. The caller
        owns the analyzers: it feeds and finishes them.
        """
        return []


class SharedState:
    """What analyzers of one protocol on one connection have in common, beyond each one's life."""


class Connection:
    """Identity of a connection and its services; the connection table's entries derive from it."""

    def __init__(
        self,
        context: AnalysisContext,
        protocol: i64,
        orig_address: bytes,
        resp_address: bytes,
        orig_port: i64,
        resp_port: i64,
    ) -> None:
        self.context: AnalysisContext = context
        self.protocol: i64 = protocol
        """IP protocol number: 6, 17, 1 or 58."""
        self.orig_address: bytes = orig_address
        self.resp_address: bytes = resp_address
        self.orig_port: i64 = orig_port
        self.resp_port: i64 = resp_port
        self.start: i64 = 0
        """Time of the first packet, microseconds."""
        self.services: list[str] = NO_SERVICES
        """Confirmed service names in the order of their confirmation."""
        self.analyzers: list[Analyzer] = NO_ANALYZERS
        """Analyzers that receive this connection's payload, in order of attachment. Replace the
        list to attach the first one; the table walks it by index, so appending is safe."""
        self.inactivity_timeout: i64 = 0
        """Microseconds of silence after which the connection ends."""
        self.silence_check: i64 = 0
        """Microseconds between looks at the connection, counted from its start; a look that finds
        silence for at least this long less one second ends the connection. 0 for none."""
        self.partial: bool = False
        """Whether the TCP handshake was missed (set by the flow table, also when it changes)."""
        self.had_gap: bool = False
        """Whether octets of the TCP stream are missing, in either direction (ditto)."""
        self.shared: dict[str, SharedState] | None = None
        """Shared states by service, None before there are any."""
        self._uid: str = ""
        self._orig_text: str = ""
        self._resp_text: str = ""

    @property
    def uid(self) -> str:
        """The id that joins the rows of this connection in all logs."""
        if self._uid == "":
            self._uid = self.make_uid()
        return self._uid

    def make_uid(self) -> str:
        """A fresh uid: ``C`` and base 62."""
        raise NotImplementedError

    def orig_text(self) -> str:
        """Originator address as text."""
        if self._orig_text == "":
            self._orig_text = address_text(self.orig_address)
        return self._orig_text

    def resp_text(self) -> str:
        """Responder address as text."""
        if self._resp_text == "":
            self._resp_text = address_text(self.resp_address)
        return self._resp_text

    def orig_mac_text(self) -> str:
        """Originator MAC as text, empty where the link layer has none."""
        return ""

    def resp_mac_text(self) -> str:
        """Responder MAC as text, empty where the link layer has none."""
        return ""

    def payload_size(self) -> int:
        """Payload octets of both directions so far (by sequence numbers for TCP)."""
        return 0

    def mark_unknown(self) -> None:
        """Note in the history (``X``, once) that a parser gave up on a packet of it."""

    def flip(self) -> None:
        """Exchange originator and responder (a protocol showed that the first packet misled)."""

    def confirm(self, service: str) -> None:
        """Record ``service`` as seen on this connection."""
        if self.services is NO_SERVICES:
            self.services = [service]
        elif service not in self.services:
            self.services.append(service)

    def withdraw(self, service: str) -> None:
        """Take ``service`` back: its analyzer met what the protocol does not allow."""
        if service in self.services:
            self.services.remove(service)


# Most connections of a scan never carry payload: they share these lists, which stay empty.
NO_SERVICES: Final[list[str]] = []
NO_ANALYZERS: Final[list[Analyzer]] = []

VIOLATIONS_COUNT_UP_TO: Final = 10 * 1024
"""Payload octets after which a protocol violation no longer disables the analyzer (Zeek's
``DPD::ignore_violations_after``): a long, healthy connection is not disowned for one bad PDU."""


class Analyzer:
    """One application-protocol parser on one connection.

    The owner calls ``stream``/``gap``/``end_of_stream`` (TCP: octets in order, each once) or
    ``datagram`` (UDP: one payload), then ``finish`` exactly once. Input is never an exception: a
    parser that meets nonsense calls ``violation`` and, when disabled, is fed no more.
    """

    def __init__(self, connection: Connection, service: str) -> None:
        self.connection: Connection = connection
        self.service: str = service
        """Name under which the protocol appears in conn.log."""
        self.alive: bool = True
        """False once disabled; the owner then feeds it nothing more (``finish`` still comes)."""
        self.confirmed: bool = False

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next in-order octets of one direction."""

    def gap(self, from_orig: bool, length: int) -> None:
        """Learn that ``length`` octets of one direction are missing and will not come."""

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take one datagram's captured payload; ``length`` is its length on the wire."""

    def end_of_stream(self, from_orig: bool) -> None:
        """Learn that one direction has ended (FIN, all octets delivered)."""

    def flip(self) -> None:
        """Learn that originator and responder were exchanged: what was one is now the other."""

    def closed(self) -> None:
        """Learn that a RST was seen, or that both sides have closed; payload may still come."""

    def finish(self) -> None:
        """Learn that the connection is over: emit what is pending, drop references."""

    def confirm(self) -> None:
        """Declare that the payload is this protocol (idempotent, void once disabled)."""
        if self.alive and not self.confirmed:
            self.confirmed = True
            self.connection.confirm(self.service)

    def violation(self) -> None:
        """Declare that the payload is not this protocol: disable, withdraw the service.

        It has no effect where the payload cannot be trusted (a stream that lacks its beginning or
        has holes) and late in a connection.
        """
        connection = self.connection
        if connection.partial or connection.had_gap:
            return
        if connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            return
        self.alive = False
        connection.withdraw(self.service)


# Delivery to a list of analyzers. Content detection appends to the list while it is walked, and
# what it appends has by then received the current octets: hence the length taken beforehand.


def deliver_stream(analyzers: list[Analyzer], from_orig: bool, data: bytes) -> None:
    """Give the next in-order octets to each analyzer; drop those that are disabled."""
    dead = False
    for index in range(len(analyzers)):
        analyzer = analyzers[index]
        if analyzer.alive:
            analyzer.stream(from_orig, data)
        if not analyzer.alive:
            dead = True
    if dead:
        drop_disabled(analyzers)


def deliver_gap(analyzers: list[Analyzer], from_orig: bool, length: int) -> None:
    """Tell each analyzer that octets are missing; drop those that are disabled."""
    dead = False
    for index in range(len(analyzers)):
        analyzer = analyzers[index]
        if analyzer.alive:
            analyzer.gap(from_orig, length)
        if not analyzer.alive:
            dead = True
    if dead:
        drop_disabled(analyzers)


def deliver_datagram(analyzers: list[Analyzer], from_orig: bool, data: bytes, length: int) -> None:
    """Give one datagram to each analyzer; drop those that are disabled."""
    dead = False
    for index in range(len(analyzers)):
        analyzer = analyzers[index]
        if analyzer.alive:
            analyzer.datagram(from_orig, data, length)
        if not analyzer.alive:
            dead = True
    if dead:
        drop_disabled(analyzers)


def deliver_end_of_stream(analyzers: list[Analyzer], from_orig: bool) -> None:
    """Tell each analyzer that one direction has ended; drop those that are disabled."""
    dead = False
    for index in range(len(analyzers)):
        analyzer = analyzers[index]
        if analyzer.alive:
            analyzer.end_of_stream(from_orig)
        if not analyzer.alive:
            dead = True
    if dead:
        drop_disabled(analyzers)


def drop_disabled(analyzers: list[Analyzer]) -> None:
    """Finish the disabled analyzers and take them off the list."""
    index = 0
    while index < len(analyzers):
        if analyzers[index].alive:
            index += 1
        else:
            analyzers.pop(index).finish()


def finish_all(analyzers: list[Analyzer]) -> None:
    """Finish every analyzer and empty the list: the stream is over."""
    for index in range(len(analyzers)):
        analyzers[index].finish()
    analyzers.clear()
