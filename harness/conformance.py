"""Comparing two trees of logs, capture by capture, on every core."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osect_harness.compare import (
    CaptureResult,
    Difference,
    LogResult,
    Options,
    Tally,
    compare_capture,
)
from osect_harness.contract import LOG_NAMES, file_names
from osect_harness.errors import UsageError

MIN_PARALLEL: Final = 16
"""Captures below which starting processes costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Job:
    """One capture to compare."""

    name: str
    ours: Path
    expected: Path


@dataclass(slots=True)
class LogSummary:
    """One log over all captures."""

    log: str
    ours: int = 0
    expected: int = 0
    paired: int = 0
    captures: int = 0
    tally: Tally = field(default_factory=Tally)
    fields: dict[str, Tally] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)
    shares_unexplained: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean over the captures that have rows of this log."""
        return sum(self.shares) / len(self.shares) if self.shares else 1.0

    @property
    def mean_unexplained(self) -> float:
        """The same without the explained differences."""
        shares = self.shares_unexplained
        return sum(shares) / len(shares) if shares else 1.0


@dataclass(slots=True)
class Report:
    """Outcome of comparing two trees."""

    captures: list[CaptureResult]
    corpus: str = ""
    stale: list[str] = field(default_factory=list)
    """Explained differences that no longer occur on the corpus they are declared for."""
    logs: dict[str, LogSummary] = field(default_factory=dict)

    @property
    def differences(self) -> Iterator[Difference]:
        """Every difference, explained or not."""
        for capture in self.captures:
            for log in capture.logs:
                yield from log.differences

    @property
    def unexplained(self) -> int:
        """Number of differences without a reviewed reason."""
        return sum(1 for one in self.differences if not one.explained)

    @property
    def absent(self) -> list[str]:
        """Captures for which there is nothing of ours."""
        return [capture.capture for capture in self.captures if capture.absent]

    @property
    def total(self) -> Tally:
        """All logs together."""
        tally = Tally()
        for log in self.logs.values():
            tally.add(log.tally)
        return tally

    @property
    def passed(self) -> bool:
        """Whether nothing is left to explain."""
        return not self.unexplained and not self.stale


def find_captures(root: Path) -> list[str]:
    """Names of the capture directories below a tree of logs."""
    names = set(file_names()) | {"DONE"}
    found: list[str] = []
    for directory, folders, files in os.walk(root):
        folders.sort()
        if names.intersection(files):
            found.append(os.path.relpath(directory, root))
            folders.clear()
    return sorted(found)


def plan(ours: Path, expected: Path, pattern: str = "*") -> list[Job]:
    """List the captures of the expected tree that match the pattern."""
    for side in (ours, expected):
        if not side.is_dir():
            raise UsageError(f"{side} is no directory: name the directory that holds the logs")
    names = [name for name in find_captures(expected) if fnmatch.fnmatch(name, pattern)]
    if not names:
        what = "no logs" if pattern == "*" else f"no logs of a capture matching {pattern!r}"
        raise UsageError(f"{expected} holds {what}: expected CAPTURE/conn.log and so on below it")
    return [Job(name, ours / name, expected / name) for name in names]


def plan_union(old: Path, new: Path) -> list[Job]:
    """List the captures of either of two trees."""
    for side in (old, new):
        if not side.is_dir():
            raise UsageError(f"{side} is no directory: name the directory that holds the logs")
    names = sorted({*find_captures(old), *find_captures(new)})
    if not names:
        raise UsageError(f"neither {old} nor {new} holds logs such as conn.log")
    return [Job(name, new / name, old / name) for name in names]


def digest(names: Iterable[str]) -> str:
    """Identify a corpus by the names of its captures."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def run_chunk(jobs: list[Job], options: Options) -> list[CaptureResult]:
    """Compare several captures, one after the other."""
    return [compare_capture(job.name, job.ours, job.expected, options) for job in jobs]


def run(jobs: list[Job], options: Options, processes: int = 0) -> list[CaptureResult]:
    """Compare captures, on every core unless told how many processes to use."""
    count = processes or os.cpu_count() or 1
    if count == 1 or len(jobs) < MIN_PARALLEL:
        return run_chunk(jobs, options)
    # Neighbours in the list come from one source and cost alike: deal them out.
    chunks = [jobs[start :: count * 4] for start in range(count * 4)]
    with ProcessPoolExecutor(max_workers=count) as pool:
        futures = [pool.submit(run_chunk, chunk, options) for chunk in chunks if chunk]
        results = [result for future in futures for result in future.result()]
    return sorted(results, key=lambda result: result.capture)


def summarize(captures: list[CaptureResult], options: Options) -> Report:
    """Add the captures up, log by log and field by field."""
    report = Report(captures=captures)
    for capture in captures:
        for log in capture.logs:
            _add(report.logs.setdefault(log.log, LogSummary(log.log)), log)
    report.logs = {name: report.logs[name] for name in LOG_NAMES if name in report.logs}
    report.corpus = options.explained.corpus(digest(one.capture for one in captures))
    if report.corpus and not options.logs:
        occurred = {one.explained for one in report.differences}
        report.stale = [
            entry.id
            for entry in options.explained.entries
            if entry.corpus == report.corpus and entry.id not in occurred
        ]
    return report


def _add(summary: LogSummary, log: LogResult) -> None:
    summary.ours += log.ours
    summary.expected += log.expected
    summary.paired += log.paired
    summary.captures += 1
    summary.tally.add(log.tally)
    for name, tally in log.fields.items():
        summary.fields.setdefault(name, Tally()).add(tally)
    if log.tally.total:
        summary.shares.append(log.tally.share)
    if log.tally.total > log.tally.explained:
        summary.shares_unexplained.append(log.tally.share_unexplained)
