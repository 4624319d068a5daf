"""Connections outside any flow table, and the ways in which octets can reach an analyzer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from osect_sensor.flows.analyzer import Analyzer, Connection, finish_all
from osect_sensor.flows.recording import RecordingConnection, RecordingContext
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.packet import TCP, UDP

CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
START = 1_700_000_000_000_000
SECOND = 1_000_000

Turn = tuple[bool, bytes]
"""Octets of one direction: whether from the originator, and what."""


class Session:
    """One analyzer on one connection, driven turn by turn as a flow table drives it."""

    def __init__(
        self,
        make: Callable[[Connection], Analyzer],
        *,
        protocol: int = TCP,
        orig_port: int = 40000,
        resp_port: int = 80,
        resp_address: bytes = SERVER,
    ) -> None:
        self.context = RecordingContext()
        self.context.now = START
        self.connection = RecordingConnection(
            self.context, protocol, CLIENT, resp_address, orig_port, resp_port
        )
        self.connection.start = START
        self.analyzer = make(self.connection)
        self.connection.analyzers = [self.analyzer]

    @property
    def rows(self) -> CollectingSink:
        return self.context.rows

    @property
    def services(self) -> list[str]:
        return self.connection.services

    def _each(self) -> Iterator[Analyzer]:
        for analyzer in list(self.connection.analyzers):
            if analyzer.alive:
                yield analyzer

    def _drop_disabled(self) -> None:
        for analyzer in list(self.connection.analyzers):
            if not analyzer.alive:
                self.connection.analyzers.remove(analyzer)
                analyzer.finish()

    def send(self, from_orig: bool, data: bytes) -> None:
        for analyzer in self._each():
            analyzer.stream(from_orig, data)
        self.connection.size += len(data)
        self._drop_disabled()

    def datagram(self, from_orig: bool, data: bytes) -> None:
        for analyzer in self._each():
            analyzer.datagram(from_orig, data, len(data))
        self.connection.size += len(data)
        self._drop_disabled()

    def gap(self, from_orig: bool, length: int) -> None:
        self.connection.had_gap = True
        for analyzer in self._each():
            analyzer.gap(from_orig, length)
        self._drop_disabled()

    def wait(self, microseconds: int) -> None:
        self.context.now += microseconds

    def end(self, from_orig: bool) -> None:
        for analyzer in self._each():
            analyzer.end_of_stream(from_orig)
        self._drop_disabled()

    def close(self) -> None:
        """The capture ends here."""
        finish_all(self.connection.analyzers)


def whole(turns: list[Turn]) -> list[Turn]:
    """Each turn in one delivery."""
    return [turn for turn in turns if turn[1] != b""]


def bytewise(turns: list[Turn]) -> list[Turn]:
    """Each octet in a delivery of its own."""
    return [
        (from_orig, data[index : index + 1])
        for from_orig, data in turns
        for index in range(len(data))
    ]


def split(turns: list[Turn]) -> Iterator[list[Turn]]:
    """Every way of cutting one of the turns in two."""
    for number, (from_orig, data) in enumerate(turns):
        for cut in range(1, len(data)):
            yield whole(
                [
                    *turns[:number],
                    (from_orig, data[:cut]),
                    (from_orig, data[cut:]),
                    *turns[number + 1 :],
                ]
            )


def truncated(turns: list[Turn]) -> Iterator[list[Turn]]:
    """Every beginning of the exchange."""
    for number, (from_orig, data) in enumerate(turns):
        for end in range(len(data)):
            yield whole([*turns[:number], (from_orig, data[:end])])


def deliveries(turns: list[Turn]) -> Iterator[list[Turn]]:
    """The same octets whole, by the byte, and cut in two everywhere."""
    yield whole(turns)
    yield bytewise(turns)
    yield from split(turns)


__all__ = [
    "CLIENT",
    "SECOND",
    "SERVER",
    "START",
    "TCP",
    "UDP",
    "Session",
    "Turn",
    "bytewise",
    "deliveries",
    "split",
    "truncated",
    "whole",
]
