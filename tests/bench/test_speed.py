"""What a minute costs, beside the yardstick in the same run. Nothing is asserted of time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from osect_harness.bench.benchmark import WorkloadResult
from osect_harness.bench.measure import Series, run
from osect_harness.bench.tools import SENSOR, YARDSTICK, Tool, find_tools
from osect_harness.bench.workloads import measure
from pytest_benchmark.fixture import BenchmarkFixture

PACKETS = int(os.environ.get("OSECT_BENCH_PACKETS", "50000"))
"""Few enough for continuous integration; a million for figures."""

ROUNDS = 3
LONGEST = 600


def test_factory_minute(
    benchmark: BenchmarkFixture,
    sensor: Tool,
    workload: Callable[[str, int], Path],
    tell: Callable[[str], None],
    tmp_path: Path,
) -> None:
    capture = workload("factory", PACKETS)
    made = measure(capture)
    result = WorkloadResult("factory", made.packets, made.octets, made.seconds)
    tools, missing = find_tools((YARDSTICK,))
    numbers = itertools.count()

    def one(tool: Tool) -> None:
        directory = tmp_path / f"run-{next(numbers)}"
        directory.mkdir()
        output = directory / "output"
        if tool is not sensor:
            output.mkdir()
        cost = run(tool.line(capture, output), directory, LONGEST)
        result.tools.setdefault(tool.name, Series()).costs.append(cost)

    def yardstick() -> None:
        for tool in tools:
            one(tool)

    benchmark.pedantic(one, args=(sensor,), setup=yardstick, rounds=ROUNDS)
    ours = result.tools[SENSOR]
    assert not ours.failures
    ratio = result.ratio(ours)
    benchmark.extra_info.update(
        sensor=sensor.version,
        packets=made.packets,
        cpu=ours.cpu,
        packets_per_second=round(result.packets_per_second(ours)),
        peak=ours.peak,
        ratio=ratio,
    )
    tell(sensor.version)
    tell(
        f"factory, {made.packets:,} packets: {ours.cpu:.2f} s of processor time, "
        f"{result.packets_per_second(ours):,.0f} packets/s, "
        f"{result.megabits_per_second(ours):,.0f} Mbit/s, {ours.peak >> 20} MiB"
    )
    theirs = result.good(YARDSTICK)
    if ratio is not None and theirs is not None:
        tell(f"{tools[0].version}: {theirs.cpu:.2f} s, {theirs.peak >> 20} MiB")
        tell(f"ratio to {YARDSTICK}: {ratio:.2f}")
    else:
        tell(f"no ratio: {missing.get(YARDSTICK) or result.tools[YARDSTICK].failure}")
