"""Running the tools over the workloads, in turn, and what came out."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from osect_harness.bench.measure import Series, run
from osect_harness.bench.tools import NATIVE_LOGS, SENSOR, YARDSTICK, Tool
from osect_harness.bench.workloads import Sources, measure, missing, write_workload
from osect_harness.errors import UsageError

RATES: Final = (10, 100, 1000)
"""Mbit/s for which the cost of a minute is told."""

FEW: Final = 100
"""Packets of the capture that a start is measured with: its rows are all written at once."""

SHORT: Final = 10
"""How many times shorter the workload is with which the cost is compared to be linear."""

ATTEMPTS: Final = 2
"""Failures of a tool with a workload that are put up with: tools crash now and then."""

STEADY: Final = ("factory", "web", "small")
"""Workloads whose number of live connections does not grow with their length."""


@dataclass(slots=True)
class WorkloadResult:
    """What the tools needed for one workload."""

    name: str
    packets: int
    octets: int
    seconds: float
    tools: dict[str, Series] = field(default_factory=dict)
    shorter_packets: int = 0
    shorter: Series = field(default_factory=Series)
    """The sensor's runs over the first packets of it, where linearity was looked at."""

    def good(self, tool: str) -> Series | None:
        """The runs of a tool, if they have figures."""
        series = self.tools.get(tool)
        return series if series is not None and not series.failure else None

    def packets_per_second(self, series: Series) -> float:
        """Packets in a second of processor time."""
        return self.packets / max(series.cpu, 1e-6)

    def megabits_per_second(self, series: Series) -> float:
        """Mbit in a second of processor time."""
        return self.octets * 8 / 1e6 / max(series.cpu, 1e-6)

    def minute(self, series: Series, rate: int) -> float:
        """Seconds of processor time for a minute at ``rate`` Mbit/s."""
        return 60 * rate / self.megabits_per_second(series)

    def ratio(self, series: Series) -> float | None:
        """Cost as a multiple of the yardstick's."""
        yardstick = self.good(YARDSTICK)
        return series.cpu / max(yardstick.cpu, 1e-6) if yardstick is not None else None


@dataclass(slots=True)
class Result:
    """A benchmark."""

    machine: dict[str, Any]
    repeat: int
    tools: list[Tool]
    missing: dict[str, str]
    """What was left out, and why."""
    workloads: list[WorkloadResult] = field(default_factory=list)
    logs_workload: str = ""
    """The workload with which each log was made alone; empty where that was not done."""
    logs: dict[str, Series] = field(default_factory=dict)
    start: Series = field(default_factory=Series)
    """The sensor's runs over a capture of FEW packets: an upper bound for its first row."""

    def linearity(self, workload: WorkloadResult) -> float | None:
        """How much more time the whole takes than its first part, start-up taken off both.

        None where it was not measured, or where the packets are too few to tell.
        """
        whole = workload.good(SENSOR)
        if whole is None or workload.shorter.failure or self.start.failure:
            return None
        start = self.start.cpu
        shorter = workload.shorter.cpu - start
        # Where starting takes nearly all of it there is nothing to compare.
        return (whole.cpu - start) / shorter if shorter > start / 2 else None

    def growth(self, workload: WorkloadResult) -> int | None:
        """Octets of memory that the whole takes more than its first part."""
        whole = workload.good(SENSOR)
        if whole is None or workload.shorter.failure:
            return None
        return whole.peak - workload.shorter.peak


def machine() -> dict[str, Any]:
    """The machine, as far as it matters to the figures."""
    model = ""
    memory = 0
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) * 1024
            break
    release = {
        key: value.strip('"')
        for key, _, value in (line.partition("=") for line in _lines("/etc/os-release"))
    }
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory": memory,
        "kernel": platform.release(),
        "system": release.get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


class Benchmark:
    """Runs every tool over every workload, a run of each in turn, as often as asked."""

    def __init__(
        self, sensor: Tool, tools: list[Tool], left_out: dict[str, str], sources: Sources,
        *, packets: int, repeat: int, seconds: float, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._sensor = sensor
        self._tools = [sensor, *tools]
        self._sources = sources
        self._packets = packets
        self._seconds = seconds
        self._say = say
        self._made = 0
        self.result = Result(machine(), repeat, self._tools, dict(left_out))

    def run(self, names: list[str], *, per_log: bool, linear: bool) -> Result:
        """Run it over these workloads; those that cannot be made are named in the result."""
        with tempfile.TemporaryDirectory(prefix="osect-bench-") as name:
            scratch = Path(name)
            # Some tools give up root's rights before they open the capture.
            scratch.chmod(0o755)
            for workload in names:
                why = missing(workload, self._sources)
                if why:
                    self.result.missing[workload] = f"workload {workload} is left out: {why}"
                    self._say(self.result.missing[workload])
                    continue
                with self._workload(workload, self._packets, scratch) as capture:
                    self._run_workload(workload, capture, scratch, linear=linear)
                    if not self.result.start.costs:
                        self._run_start(workload, scratch)
                    if per_log and not self.result.logs_workload:
                        self._run_logs(workload, capture, scratch)
        return self.result

    @contextmanager
    def _workload(self, name: str, packets: int, scratch: Path) -> Iterator[Path]:
        self._made += 1
        path = scratch / f"{self._made}-{name}.pcap"
        self._say(f"{name}: making {packets:,} packets")
        try:
            with path.open("wb") as output:
                write_workload(output, name, packets, self._sources)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; set TMPDIR") from error
        try:
            yield path
        finally:
            path.unlink()

    def _run_workload(self, name: str, capture: Path, scratch: Path, *, linear: bool) -> None:
        made = measure(capture)
        result = WorkloadResult(name, made.packets, made.octets, made.seconds)
        result.tools = {tool.name: Series() for tool in self._tools}
        self.result.workloads.append(result)
        for _ in range(self.result.repeat):
            for tool in self._tools:
                self._one(tool, capture, scratch, result.tools[tool.name], name)
        if linear and name in STEADY and made.packets >= SHORT:
            result.shorter_packets = made.packets // SHORT
            with self._workload(name, result.shorter_packets, scratch) as shorter:
                for _ in range(self.result.repeat):
                    self._one(self._sensor, shorter, scratch, result.shorter, f"{name}, a tenth")

    def _run_start(self, name: str, scratch: Path) -> None:
        with self._workload(name, FEW, scratch) as capture:
            for _ in range(max(3, self.result.repeat)):
                self._one(self._sensor, capture, scratch, self.result.start, "start")

    def _run_logs(self, name: str, capture: Path, scratch: Path) -> None:
        if "{logs}" not in self._sensor.command:
            self.result.missing["logs"] = (
                "the cost of each log is left out: the sensor's command does not name {logs}"
            )
            self._say(self.result.missing["logs"])
            return
        self.result.logs_workload = name
        self.result.logs = {log: Series() for log in NATIVE_LOGS}
        for _ in range(self.result.repeat):
            for log, series in self.result.logs.items():
                self._one(self._sensor, capture, scratch, series, f"{name}, {log} alone", (log,))

    def _one(
        self, tool: Tool, capture: Path, scratch: Path, series: Series, label: str,
        logs: tuple[str, ...] = NATIVE_LOGS,
    ) -> None:  # fmt: skip
        for _ in range(ATTEMPTS):
            if len(series.failures) >= ATTEMPTS:
                # It would fail, or take for ever, each time.
                return
            directory = scratch / "run"
            directory.mkdir()
            output = directory / "output"
            if tool.name != SENSOR:
                output.mkdir()
            cost = run(tool.line(capture, output, logs), directory, self._seconds)
            shutil.rmtree(directory)
            series.costs.append(cost)
            told = cost.failure or f"{cost.cpu:.2f} s of processor time, {cost.peak >> 20} MiB"
            self._say(f"{label}: {tool.name}: {told}")
            if not cost.failure:
                return
