"""Connections for analyzers under test."""

from __future__ import annotations

import pytest

from osect_sensor.flows.analyzer import AnalysisContext, Connection
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.packet import TCP, UDP


class StandInConnection(Connection):
    """A connection whose size and role changes the test controls and sees."""

    def __init__(self, protocol: int) -> None:
        context = AnalysisContext(CollectingSink())
        super().__init__(context, protocol, b"\x0a\0\0\x01", b"\x0a\0\0\x02", 40000, 1)
        self.octets = 0
        self.flips = 0

    def payload_size(self) -> int:
        return self.octets

    def flip(self) -> None:
        self.flips += 1


@pytest.fixture
def tcp_connection() -> StandInConnection:
    return StandInConnection(TCP)


@pytest.fixture
def udp_connection() -> StandInConnection:
    return StandInConnection(UDP)
