"""Minute after minute without a pause: memory and descriptors of ``run`` stay where they are.

``OSECT_SOAK_SECONDS`` says for how long, beyond the minutes that are the least, and
``OSECT_SOAK_PLANTS`` how many plants there are: 31 packets in each second of each.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from minutes import PACKETS, feed
from sensor import Sensor, wait_for

SECONDS = float(os.environ.get("OSECT_SOAK_SECONDS", "20"))
PLANTS = int(os.environ.get("OSECT_SOAK_PLANTS", "1"))

WARM_UP = 25
"""Minutes until as much ends as begins: connections without packets live for five, states of
connections are kept for fifteen, and the next one is written within five."""

LEAST = 3 * WARM_UP

GROWTH = 8 * 1024
"""KiB that memory may lie higher after the warm-up than within it, beyond its twentieth."""


def resident(pid: int) -> int:
    """Memory of a process, KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_memory_and_descriptors_stay_flat(tmp_path: Path) -> None:
    sensor = Sensor(
        tmp_path,
        sensor__period=60,
        sensor__report_interval=60,
        recovery__checkpoint_interval=300,
        retention__capture_size="64MB",
        retention__archive_size="64MB",
    )
    run = sensor.start("run")
    memory: list[int] = []
    descriptors: list[int] = []
    end = time.monotonic() + SECONDS

    def enough(minutes: int) -> bool:
        memory.append(resident(run.pid))
        descriptors.append(len(os.listdir(f"/proc/{run.pid}/fd")))
        return minutes >= LEAST and time.monotonic() >= end

    try:
        assert wait_for(lambda: sensor.log.exists() and sensor.said("cycle.recovered") == 1, 60)
        begun = time.monotonic()
        feed(sensor, enough, PLANTS)
        seconds = time.monotonic() - begun
    finally:
        run.terminate()
        assert run.wait(60) == 0
    minutes = len(memory) - 1
    assert sensor.said("segment.done") == minutes
    assert sensor.said("cycle.failed") == 0
    warm = memory[WARM_UP : 2 * WARM_UP]
    late = memory[-WARM_UP:]
    print(
        f"{minutes} minutes of {PACKETS * PLANTS} packets in {seconds:.0f} s: memory"
        f" {min(warm)} to {max(warm)} KiB when warm, {min(late)} to {max(late)} KiB at the end,"
        f" {max(descriptors)} descriptors"
    )
    assert max(late) <= max(warm) * 1.05 + GROWTH, memory
    assert max(descriptors[-WARM_UP:]) <= max(descriptors[WARM_UP : 2 * WARM_UP]), descriptors
