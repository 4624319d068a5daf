"""A plant's packets, minute after minute, through capture, run with Suricata, and upload.

Memory and descriptors of each process stay where they are. ``OSECT_SOAK_MINUTES`` says how long,
``OSECT_SOAK_PLANTS`` how many plants there are: 640 are 20,000 packets a second. Minutes come as
fast as windows are made of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from osect_harness.bench.minutes import write_minutes
from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import FACTORY, PACKETS, sending_to
from figures import note
from mirror_port import stop
from sensor import Sensor, wait_for

MINUTES = int(os.environ.get("OSECT_SOAK_MINUTES", "6"))
PLANTS = int(os.environ.get("OSECT_SOAK_PLANTS", "1"))
WARM_UP = 25
"""Minutes until as much ends as begins, see the soak of ``run`` alone."""

GROWTH = 8 * 1024
"""KiB that memory may lie higher at the end than when warm, beyond its twentieth."""


def status(pid: int) -> dict[str, int]:
    """Memory (KiB) and open descriptors of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return {
                "memory": int(line.split()[1]),
                "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            }
    raise AssertionError(f"{pid} has ended")


class Stream:
    """Standard input of capture, which gets a minute when few are waiting; looks before each."""

    def __init__(self, sensor: Sensor, pipe: IO[bytes], pids: dict[str, int]) -> None:
        self._sensor = sensor
        self._pipe = pipe
        self._pids = pids
        self._began = False
        self.samples: dict[str, list[dict[str, int]]] = {name: [] for name in pids}

    def write(self, octets: bytes | bytearray) -> int:
        if self._began:
            # Capture takes a longer silence for a minute without packets.
            wait_for(lambda: len(list(self._sensor.incoming.glob("*.pcap"))) < 2, 45)
            for name, pid in self._pids.items():
                self.samples[name].append(status(pid))
        self._began = True
        self._pipe.write(octets)
        self._pipe.flush()
        return len(octets)


@contextlib.contextmanager
def processes(sensor: Sensor) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        started["capture"] = sensor.start("capture", "--read", "-", stdin=subprocess.PIPE)
        for name in ("run", "upload"):
            started[name] = sensor.start(name)
        yield started
    finally:
        for process in started.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def child(pid: int, name: str) -> int:
    """The id of a child with that in its command line."""
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if name.encode() in Path(f"/proc/{one}/cmdline").read_bytes():
            return int(one)
    raise AssertionError(f"{pid} has no {name}")


def test_memory_and_descriptors_of_all_processes_stay_flat(tmp_path: Path) -> None:
    with MockCloud(tmp_path / "cloud") as cloud:
        settings = sending_to(cloud) | {
            "sensor__period": 60,
            "sensor__report_interval": 60,
            "recovery__checkpoint_interval": 300,
            "retention__capture_size": "1GB",
            "retention__archive_size": "1GB",
            "suricata__enabled": shutil.which("suricata") is not None,
            "upload__read_timeout": 60,
        }
        sensor = Sensor(tmp_path / "sensor", **settings)
        with processes(sensor) as started:
            assert wait_for(lambda: sensor.log.exists() and sensor.said("cycle.recovered") == 1, 60)
            pids = {name: process.pid for name, process in started.items()}
            if settings["suricata__enabled"]:
                pids["Suricata"] = child(pids["run"], "suricata")
            pipe = started["capture"].stdin
            assert pipe is not None
            stream = Stream(sensor, pipe, pids)
            begun = time.monotonic()
            packets = MINUTES * PLANTS * PACKETS
            write_minutes(stream, FACTORY.read_bytes(), packets, PLANTS)  # type: ignore[arg-type]
            pipe.close()
            assert started["capture"].wait(60) == 0
            assert wait_for(lambda: sensor.said("segment.done") == MINUTES, 600)
            seconds = time.monotonic() - begun
            assert cloud.wait_for(lambda one: len(one.kept()) == MINUTES, 600)
            stop(started["run"])
            stop(started["upload"])
        rows = int(cloud.state()["rows"])
        assert cloud.state()["violations"] == 0
    assert sensor.said("cycle.failed") == sensor.said("suricata.failed") == 0
    figures: dict[str, object] = {}
    for name, samples in stream.samples.items():
        memory = [one["memory"] for one in samples]
        descriptors = [one["descriptors"] for one in samples]
        warm = memory[WARM_UP : (WARM_UP + len(memory)) // 2] or memory
        late = memory[(WARM_UP + len(memory)) // 2 :] or memory
        figures[name] = {
            "memory when warm, KiB": [min(warm), max(warm)],
            "at the end": [min(late), max(late)],
            "descriptors": [min(descriptors[1:]), max(descriptors)],
        }
    note(
        "soak",
        minutes=MINUTES,
        packets=packets,
        rows=rows,
        seconds=round(seconds),
        processes=figures,
        memory={name: [one["memory"] for one in found] for name, found in stream.samples.items()},
    )
    if MINUTES < 2 * WARM_UP:
        return
    for name, samples in stream.samples.items():
        memory = [one["memory"] for one in samples]
        middle = (WARM_UP + len(memory)) // 2
        assert max(memory[middle:]) <= max(memory[WARM_UP:middle]) * 1.05 + GROWTH, (name, memory)
        descriptors = [one["descriptors"] for one in samples]
        # Some are open for a moment only; what leaks is open in every sample.
        lowest = min(descriptors[WARM_UP:middle])
        assert min(descriptors[middle:]) <= lowest + 2, (name, descriptors)
