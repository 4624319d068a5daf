"""Connections for analyzers under test."""

from __future__ import annotations

import pytest

from osect_sensor.flows.recording import RecordingConnection, RecordingContext
from osect_sensor.wire.packet import TCP, UDP


def _connection(protocol: int) -> RecordingConnection:
    return RecordingConnection(
        RecordingContext(), protocol, b"\x0a\0\0\x01", b"\x0a\0\0\x02", 40000, 1
    )


@pytest.fixture
def tcp_connection() -> RecordingConnection:
    return _connection(TCP)


@pytest.fixture
def udp_connection() -> RecordingConnection:
    return _connection(UDP)
