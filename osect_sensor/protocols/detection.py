"""Dynamic protocol detection: which analyzers see a connection.

A new connection gets the analyzers that were scheduled for it, or else those of its responder
port, and a ``ContentMatcher``, which attaches further ones when the first octets carry a
protocol's signature. What the connection is stays undecided until an analyzer confirms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import AnalysisContext, Analyzer, Connection
from osect_sensor.logs.sink import RowSink
from osect_sensor.protocols.ports import TCP_PORT_SERVICES, UDP_PORT_SERVICES
from osect_sensor.protocols.registry import new_analyzer
from osect_sensor.protocols.signatures import (
    LDAP_UDP,
    RULE_SERVICES,
    found_words,
    is_ldap_bind,
    tcp_rules,
    udp_rules,
)
from osect_sensor.wire.packet import TCP, UDP

if TYPE_CHECKING:
    from mypy_extensions import i64

MAX_MATCHED_OCTETS: Final = 1024
"""Payload of both directions after which content matching ends (Zeek's ``dpd_buffer_size``)."""

MAX_MATCHED_CHUNKS: Final = 100
"""Deliveries after which content matching ends (Zeek's ``dpd_max_packets``)."""

FTP_DATA: Final = "ftp-data"
IRC_DCC_DATA: Final = "irc-dcc-data"

MAX_EXPECTED: Final = 10_000
"""Scheduled connections kept. An FTP session announces one at a time and they expire within
minutes, so only a flood of announcements gets here."""

_NO_CHUNKS: Final[list[tuple[bool, bytes, int]]] = []

EXPIRY_INTERVAL: Final = 10 * 1_000_000
"""Microseconds between two searches for expectations whose time has passed."""


def _attached(analyzers: list[Analyzer], service: str) -> bool:
    return any(analyzer.alive and analyzer.service == service for analyzer in analyzers)


@final
class ContentMatcher(Analyzer):
    """Watches the beginning of a connection for signatures and attaches what they name.

    It keeps what it has seen until the budget is spent, and replays it, gaps included, to each
    analyzer that it adds to the list it is itself a member of.
    """

    def __init__(self, connection: Connection, analyzers: list[Analyzer]) -> None:
        super().__init__(connection, "")
        self._analyzers: list[Analyzer] = analyzers
        self._fired: int = 0
        self._octets: int = 0
        self._orig: bytes = b""
        """TCP: the originator's octets so far. UDP: not used."""
        self._resp: bytes = b""
        self._orig_words: int = 0
        self._resp_words: int = 0
        """Words of signatures among them (``found_words``)."""
        self._ldap_binds: int = 0
        """UDP: 1 after a bind request from the originator, 2 after one from the responder."""
        self._ldap_replies: int = 0
        """UDP: 1 after a sequence from the originator, 2 after one from the responder."""
        self._chunks: list[tuple[bool, bytes, int]] = _NO_CHUNKS
        """What was delivered, in order of arrival: from which end, octets (none for a gap), length
        on the wire."""

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Match both directions' beginnings, this chunk included in full."""
        self._keep(from_orig, data, len(data))
        if from_orig:
            self._orig_words |= found_words(self._orig, data)
            self._orig = self._orig + data if len(self._orig) > 0 else data
        else:
            self._resp_words |= found_words(self._resp, data)
            self._resp = self._resp + data if len(self._resp) > 0 else data
        rules = tcp_rules(self._orig, self._resp, from_orig, self._orig_words, self._resp_words)
        rules &= ~self._fired
        if rules != 0:
            self._fire(rules, True)
        self._spend()

    def gap(self, from_orig: bool, length: int) -> None:
        """Keep the gap for replay; what follows it is matched as if it followed directly."""
        if len(self._chunks) == 0:
            return
        self._keep(from_orig, b"", length)
        if len(self._chunks) > MAX_MATCHED_CHUNKS:
            self._stop()

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Match one datagram; each is matched from its own beginning."""
        if len(data) == 0:
            return
        self._keep(from_orig, data, length)
        rules = udp_rules(data)
        if data[0] == 0x30:
            side = 1 if from_orig else 2
            self._ldap_replies |= side
            if is_ldap_bind(data):
                self._ldap_binds |= side
            if (self._ldap_binds & 1 != 0 and self._ldap_replies & 2 != 0) or (
                self._ldap_binds & 2 != 0 and self._ldap_replies & 1 != 0
            ):
                rules |= LDAP_UDP
        rules &= ~self._fired
        if rules != 0:
            self._fire(rules, False)
        self._spend()

    def flip(self) -> None:
        """Exchange what was kept of the two directions."""
        orig = self._orig
        self._orig = self._resp
        self._resp = orig
        words = self._orig_words
        self._orig_words = self._resp_words
        self._resp_words = words
        self._ldap_binds = self._ldap_binds >> 1 | (self._ldap_binds & 1) << 1
        self._ldap_replies = self._ldap_replies >> 1 | (self._ldap_replies & 1) << 1
        flipped: list[tuple[bool, bytes, int]] = []
        for from_orig, data, length in self._chunks:
            flipped.append((not from_orig, data, length))
        self._chunks = flipped

    def finish(self) -> None:
        """Drop what was kept."""
        self._stop()

    def _keep(self, from_orig: bool, data: bytes, length: int) -> None:
        if self._chunks is _NO_CHUNKS:
            self._chunks = []
        self._chunks.append((from_orig, data, length))
        self._octets += len(data)

    def _spend(self) -> None:
        if self._octets > MAX_MATCHED_OCTETS or len(self._chunks) > MAX_MATCHED_CHUNKS:
            self._stop()

    def _stop(self) -> None:
        self.alive = False
        self._orig = b""
        self._resp = b""
        self._chunks = _NO_CHUNKS

    def _fire(self, rules: int, in_stream: bool) -> None:
        self._fired |= rules
        for index in range(len(RULE_SERVICES)):
            if rules >> index & 1 == 0:
                continue
            service = RULE_SERVICES[index]
            if _attached(self._analyzers, service):
                continue
            analyzer = new_analyzer(self.connection, service)
            if analyzer is None:
                continue
            self._replay(analyzer, in_stream)
            if analyzer.alive:
                self._analyzers.append(analyzer)
            else:
                analyzer.finish()

    def _replay(self, analyzer: Analyzer, in_stream: bool) -> None:
        # Whole even if the analyzer gives up midway: it is taken off after the packet.
        for from_orig, data, length in self._chunks:
            if not in_stream:
                analyzer.datagram(from_orig, data, length)
            elif len(data) > 0:
                analyzer.stream(from_orig, data)
            else:
                analyzer.gap(from_orig, length)


@final
class _Expected:
    """One scheduled connection."""

    def __init__(self, key: bytes, service: str, expires: i64) -> None:
        self.key: bytes = key
        self.service: str = service
        self.expires: i64 = expires
        self.spent: bool = False
        """Whether a transfer was recognised by it."""


def _expectation_key(originator: bytes, responder: bytes, port: int, protocol: int) -> bytes:
    return bytes([protocol, port >> 8, port & 0xFF, len(originator)]) + originator + responder


class DetectionContext(AnalysisContext):
    """The analysis context that attaches analyzers; the engine derives from it."""

    def __init__(self, sink: RowSink) -> None:
        super().__init__(sink)
        self._expected: dict[bytes, list[_Expected]] = {}
        self._expected_count: int = 0
        self._next_expiry: i64 = 0

    def attach(self, connection: Connection) -> None:
        """Fill ``connection.analyzers``: called once, when the connection is created."""
        if connection.protocol != TCP and connection.protocol != UDP:
            return
        analyzers = connection.analyzers
        if not self._attach_expected(connection):
            services = None
            if connection.protocol == TCP:
                services = TCP_PORT_SERVICES.get(connection.resp_port)
            else:
                services = UDP_PORT_SERVICES.get(connection.resp_port)
            if services is not None:
                for service in services:
                    analyzer = new_analyzer(connection, service)
                    if analyzer is not None:
                        analyzers.append(analyzer)
        analyzers.append(ContentMatcher(connection, analyzers))

    def flipped(self, connection: Connection) -> None:
        """Carry an exchange of originator and responder on to the analyzers."""
        for analyzer in connection.analyzers:
            analyzer.flip()
        self._attach_expected(connection)

    def expect_connection(
        self,
        originator: bytes,
        responder: bytes,
        responder_port: i64,
        protocol: i64,
        service: str,
        lifetime: i64,
    ) -> None:
        """Attach ``service``'s analyzer to a connection that is about to come (FTP data, …)."""
        self._expire()
        if self._expected_count >= MAX_EXPECTED:
            self.counters.count("expected_connections_dropped")
            return
        key = _expectation_key(originator, responder, responder_port, protocol)
        expected = _Expected(key, service, self.now + lifetime)
        entries = self._expected.get(key)
        if entries is None:
            self._expected[key] = [expected]
        else:
            entries.append(expected)
        self._expected_count += 1
        self.expecting = True

    def stream_analyzers(self, connection: Connection, service: str) -> list[Analyzer]:
        """Fresh analyzers for a stream inside a stream, walked by ``deliver_stream`` and its kin.

        An empty ``service`` means detection by content: the list then grows as it is fed.
        """
        analyzers: list[Analyzer] = []
        if service == "":
            analyzers.append(ContentMatcher(connection, analyzers))
        else:
            analyzer = new_analyzer(connection, service)
            if analyzer is not None:
                analyzers.append(analyzer)
        return analyzers

    def _expire(self) -> None:
        """Forget expectations whose time has passed, from time to time."""
        if self._expected_count == 0 or self._next_expiry > self.now:
            return
        self._expected_count = 0
        for key in list(self._expected):
            kept: list[_Expected] = []
            for expected in self._expected[key]:
                if expected.expires > self.now:
                    kept.append(expected)
            if len(kept) > 0:
                self._expected[key] = kept
                self._expected_count += len(kept)
            else:
                del self._expected[key]
        self._next_expiry = self.now + EXPIRY_INTERVAL
        self.expecting = self._expected_count > 0

    def _attach_expected(self, connection: Connection) -> bool:
        """Attach the analyzers scheduled for ``connection``; whether there were any."""
        if self._expected_count == 0:
            return False
        for_originator = self._apply_expected(connection, connection.orig_address)
        for_anybody = self._apply_expected(connection, b"")
        return for_originator or for_anybody

    def _apply_expected(self, connection: Connection, originator: bytes) -> bool:
        """Apply what was announced for ``originator`` (empty: for anybody); whether there was."""
        entries = self._expected.get(
            _expectation_key(
                originator, connection.resp_address, connection.resp_port, connection.protocol
            )
        )
        if entries is None:
            return False
        found = False
        for expected in entries:
            if expected.expires <= self.now:
                continue
            found = True
            service = expected.service
            if service in (FTP_DATA, IRC_DCC_DATA):
                # Transfers have no grammar to confirm: to be announced is to be recognised, once.
                if not expected.spent:
                    connection.confirm(service)
                    expected.spent = True
            elif not _attached(connection.analyzers, service):
                analyzer = new_analyzer(connection, service)
                if analyzer is not None:
                    connection.analyzers.append(analyzer)
        return found
