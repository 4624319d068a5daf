"""Workloads for the benchmarks, and a summary that shows without asking for the output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from osect_harness.bench.tools import DEFAULT_SENSOR, Tool, sensor_tool
from osect_harness.bench.workloads import Sources, write_workload

MINUTE = Path(__file__).resolve().parents[2] / "pcaps" / "built" / "factory_minute.pcap"


_told = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_told] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_only", default=False):
        return
    skip = pytest.mark.skip(reason="benchmarks run with --benchmark-only: tox -e bench")
    for item in items:
        if "benchmark" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash[_told]:
        terminalreporter.section("sensor and yardstick")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Add a line to the summary."""
    return pytestconfig.stash[_told].append


@pytest.fixture(scope="session")
def sensor() -> Tool:
    """The sensor that is installed, compiled or not."""
    return sensor_tool(DEFAULT_SENSOR)


@pytest.fixture(scope="session")
def compiled(sensor: Tool) -> bool:
    """Whether it is compiled."""
    return "compiled: yes" in sensor.version


@pytest.fixture
def workload(tmp_path: Path) -> Callable[[str, int], Path]:
    """Make a workload: its name and how many packets."""

    def make(name: str, packets: int) -> Path:
        path = tmp_path / f"{name}-{packets}.pcap"
        with path.open("wb") as output:
            write_workload(output, name, packets, Sources(minute=MINUTE))
        return path

    return make
