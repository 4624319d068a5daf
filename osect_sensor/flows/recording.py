"""A context, a connection and an analyzer that keep what happens to them.

For tests and tools that feed an analyzer without a flow table. They live here because compiled
classes cannot be derived from by interpreted ones.
"""

from __future__ import annotations

from collections.abc import Callable

from osect_sensor.flows.analyzer import AnalysisContext, Analyzer, Connection
from osect_sensor.logs.sink import CollectingSink


class RecordingContext(AnalysisContext):
    """Collects rows; ``stream_analyzers`` hands out what ``inner`` makes and notes the request."""

    def __init__(self, *, watching: bool = False) -> None:
        self.rows: CollectingSink = CollectingSink()
        super().__init__(self.rows)
        self.watching: bool = watching
        """Whether each connection of a flow table gets a ``RecordingAnalyzer``."""
        self.watchers: list[RecordingAnalyzer] = []
        """Those analyzers, in the order of their attachment."""
        self.silence_check: int = 0
        """What each connection's ``silence_check`` becomes."""
        self.inner: Callable[[Connection, str], list[Analyzer]] | None = None
        self.asked_for: list[str] = []

    def attach(self, connection: Connection) -> None:
        """Watch the connection if asked to."""
        connection.silence_check = self.silence_check
        if self.watching:
            watcher = RecordingAnalyzer(connection, "watched")
            self.watchers.append(watcher)
            connection.analyzers.append(watcher)

    def stream_analyzers(self, connection: Connection, service: str) -> list[Analyzer]:
        """What ``inner`` makes, or nothing."""
        self.asked_for.append(service)
        return [] if self.inner is None else self.inner(connection, service)


class RecordingConnection(Connection):
    """A connection whose life is in the caller's hands."""

    def __init__(
        self,
        context: AnalysisContext,
        protocol: int,
        orig_address: bytes,
        resp_address: bytes,
        orig_port: int,
        resp_port: int,
    ) -> None:
        super().__init__(context, protocol, orig_address, resp_address, orig_port, resp_port)
        self.size: int = 0
        """What ``payload_size`` answers."""
        self.flips: int = 0
        self.unknown: int = 0

    def make_uid(self) -> str:
        """Always the same."""
        return "C1"

    def orig_mac_text(self) -> str:
        """A locally administered address."""
        return "02:00:00:00:00:01"

    def resp_mac_text(self) -> str:
        """A locally administered address."""
        return "02:00:00:00:00:02"

    def payload_size(self) -> int:
        """``size``."""
        return self.size

    def mark_unknown(self) -> None:
        """Count."""
        self.unknown += 1

    def flip(self) -> None:
        """Exchange the roles, here and in the analyzers, and count."""
        self.flips += 1
        self.orig_address, self.resp_address = self.resp_address, self.orig_address
        self.orig_port, self.resp_port = self.resp_port, self.orig_port
        self._orig_text = ""
        self._resp_text = ""
        for analyzer in self.analyzers:
            analyzer.flip()


class RecordingAnalyzer(Analyzer):
    """Keeps what it is given, for analyzers that hand streams on."""

    def __init__(self, connection: Connection, service: str) -> None:
        super().__init__(connection, service)
        self.orig: bytes = b""
        self.resp: bytes = b""
        self.gaps: list[tuple[bool, int]] = []
        self.ended: list[bool] = []
        self.datagrams: list[tuple[bool, bytes, int]] = []
        self.finished: int = 0

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Keep the octets."""
        if from_orig:
            self.orig += data
        else:
            self.resp += data

    def gap(self, from_orig: bool, length: int) -> None:
        """Keep the gap."""
        self.gaps.append((from_orig, length))

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Keep the datagram."""
        self.datagrams.append((from_orig, data, length))

    def end_of_stream(self, from_orig: bool) -> None:
        """Keep which direction ended."""
        self.ended.append(from_orig)

    def finish(self) -> None:
        """Count."""
        self.finished += 1
