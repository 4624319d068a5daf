"""Replaying a tree of captures through a sensor's command, several at a time."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from osect_harness import check
from osect_harness.errors import UsageError

DEFAULT_SENSOR: Final = "osect-sensor replay {capture} -o {output} --json"
"""What is run for each capture; the braces stand for the two paths."""

SUFFIXES: Final = (".pcap", ".pcapng", ".cap", ".gz", ".zst")
"""File names that are taken for captures."""

COMMAND_SECONDS: Final = 600
"""After this a sensor that does not come to an end is ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one capture."""

    capture: str
    seconds: float
    packets: int
    octets: int
    failure: str
    """Empty, or what the command said last."""
    violations: int
    """Where the logs break the contract; 0 if they were not checked."""

    @property
    def good(self) -> bool:
        """Whether the sensor came to an end and its logs are as specified."""
        return not self.failure and self.violations == 0


def find(root: Path) -> list[Path]:
    """The captures below ``root``, or ``root`` itself if it is one."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UsageError(f"{root} is neither a capture nor a directory of captures")
    captures = sorted(
        path for path in root.rglob("*") if path.is_file() and path.name.endswith(SUFFIXES)
    )
    if not captures:
        raise UsageError(f"there is no capture ({', '.join(SUFFIXES)}) below {root}")
    return captures


def command_for(sensor: str, capture: Path, output: Path) -> list[str]:
    """The words of the sensor's command for one capture."""
    words = shlex.split(sensor)
    if not any("{capture}" in word for word in words) or "{output}" not in sensor:
        raise UsageError(
            f"the sensor's command {sensor!r} must name {{capture}} and {{output}}, "
            f"as in {DEFAULT_SENSOR!r}"
        )
    return [
        word.replace("{capture}", str(capture)).replace("{output}", str(output)) for word in words
    ]


def run_one(
    sensor: str, capture: Path, name: str, output: Path, options: check.CheckOptions | None
) -> Outcome:
    """Run the sensor over one capture and check its logs (not without ``options``)."""
    output.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    failure = ""
    packets = 0
    try:
        done = subprocess.run(
            command_for(sensor, capture, output),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError(f"the sensor's command cannot be run: {error.filename}") from error
    except subprocess.TimeoutExpired:
        failure = f"not done after {COMMAND_SECONDS} s"
    else:
        packets = _packets(done.stdout)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            failure = f"exit status {done.returncode}: {said[-1] if said else 'no message'}"
        elif not output.is_dir():
            failure = f"succeeded but left no directory {output}"
    seconds = time.monotonic() - begun
    violations = 0
    if not failure and options is not None:
        try:
            violations = check.check(output, options).total
        except UsageError as error:
            failure = str(error)
    return Outcome(name, seconds, packets, capture.stat().st_size, failure, violations)


def _packets(stdout: bytes) -> int:
    """``packets`` of a JSON summary on standard output, 0 where there is none."""
    try:
        summary: Any = json.loads(stdout)
        return int(summary["packets"])
    except (ValueError, KeyError, TypeError):
        return 0


def run(
    root: Path,
    outputs: Path,
    sensor: str = DEFAULT_SENSOR,
    options: check.CheckOptions | None = None,
    processes: int = 0,
    progress: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Replay every capture below ``root`` into the same place below ``outputs``."""
    captures = find(root)
    base = root if root.is_dir() else root.parent
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(processes or os.cpu_count() or 1) as pool:
        futures = [
            pool.submit(
                run_one,
                sensor,
                capture,
                str(capture.relative_to(base)),
                outputs / capture.relative_to(base),
                options,
            )
            for capture in captures
        ]
        for future in futures:
            outcome = future.result()
            outcomes.append(outcome)
            if progress is not None:
                progress(outcome)
    return outcomes


def timings(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What ``osect_harness.timings`` reads."""
    return {
        "captures": {
            one.capture: {
                "seconds": round(one.seconds, 4),
                "packets": one.packets,
                "octets": one.octets,
            }
            for one in outcomes
        }
    }
