"""A connection whose analyzers the detection chooses, fed turn by turn."""

from __future__ import annotations

from osect_sensor.flows.analyzer import (
    deliver_datagram,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
    finish_all,
)
from osect_sensor.flows.recording import RecordingConnection
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.detection import DetectionContext
from osect_sensor.wire.packet import TCP, UDP

CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
START = 1_700_000_000_000_000
SECOND = 1_000_000

Turn = tuple[bool, bytes]
"""Octets of one direction: whether from the originator, and what."""

ORIG = True
RESP = False
UNUSUAL = 34567
"""A port that no protocol is registered for."""


class Detected:
    """One connection under detection."""

    def __init__(
        self,
        *,
        protocol: int = TCP,
        port: int = UNUSUAL,
        context: DetectionContext | None = None,
        orig: bytes = CLIENT,
        resp: bytes = SERVER,
    ) -> None:
        if context is None:
            context = DetectionContext(CollectingSink())
            context.now = START
        self.context = context
        self.connection = RecordingConnection(context, protocol, orig, resp, 40000, port)
        self.connection.analyzers = []
        context.attach(self.connection)

    @property
    def services(self) -> list[str]:
        return self.connection.services

    @property
    def attached(self) -> list[str]:
        return [analyzer.service for analyzer in self.connection.analyzers]

    def send(self, from_orig: bool, data: bytes) -> Detected:
        self.connection.size += len(data)
        if self.connection.protocol == UDP:
            deliver_datagram(self.connection.analyzers, from_orig, data, len(data))
        else:
            deliver_stream(self.connection.analyzers, from_orig, data)
        return self

    def gap(self, from_orig: bool, length: int) -> None:
        self.connection.had_gap = True
        deliver_gap(self.connection.analyzers, from_orig, length)

    def end(self, from_orig: bool) -> None:
        deliver_end_of_stream(self.connection.analyzers, from_orig)

    def close(self) -> None:
        finish_all(self.connection.analyzers)


def services_of(turns: list[Turn], *, protocol: int = TCP, port: int = UNUSUAL) -> list[str]:
    """What a connection is recognised as that carries ``turns``."""
    detected = Detected(protocol=protocol, port=port)
    for from_orig, data in turns:
        detected.send(from_orig, data)
    found = list(detected.services)
    detected.close()
    return found
