"""Memory has a bound, whatever the packets: the sensor's process is measured from outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from osect_harness.bench.measure import run
from osect_harness.bench.tools import Tool

KIBI = 1 << 10
MEBI = 1 << 20

MAX_CONNECTIONS = 65_536
"""The limit of the sensor's table of connections."""

FEW = 100
"""Packets with which the memory of the program itself is measured."""


def per_connection(compiled: bool) -> int:
    """Octets that a live connection may take; Python's own objects are larger."""
    return 2 * KIBI if compiled else 4 * KIBI


@pytest.fixture
def peak(
    sensor: Tool, workload: Callable[[str, int], Path], tmp_path: Path
) -> Callable[[str, int], int]:
    """The most memory that the sensor takes for a workload."""

    def measured(name: str, packets: int) -> int:
        directory = tmp_path / f"run-{name}-{packets}"
        directory.mkdir()
        cost = run(sensor.line(workload(name, packets), directory / "output"), directory, 600)
        assert not cost.failure
        return cost.peak

    return measured


def test_a_flood_takes_memory_in_proportion(
    peak: Callable[[str, int], int], compiled: bool
) -> None:
    packets = 100_000 if compiled else 20_000
    allowed = peak("syn-flood", FEW) + packets * per_connection(compiled)
    assert peak("syn-flood", packets) < allowed


@pytest.mark.skipif(
    os.environ.get("OSECT_LONG_TESTS") != "1", reason="a million packets: set OSECT_LONG_TESTS=1"
)
def test_a_flood_of_a_million_takes_no_more_than_the_table_of_connections_may(
    peak: Callable[[str, int], int], compiled: bool
) -> None:
    allowed = 150 * MEBI if compiled else MAX_CONNECTIONS * per_connection(compiled)
    assert peak("syn-flood", 1_000_000) < allowed


def test_a_live_connection_takes_at_most_its_share(
    peak: Callable[[str, int], int], compiled: bool
) -> None:
    few, many = 5_000, 25_000
    share = (peak("connections", many) - peak("connections", few)) / (many - few)
    assert share < per_connection(compiled)


def test_memory_does_not_grow_with_the_length_of_what_goes_on_as_before(
    peak: Callable[[str, int], int],
) -> None:
    assert peak("small", 30_000) - peak("small", 3_000) < 4 * MEBI
