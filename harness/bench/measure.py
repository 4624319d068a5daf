"""What a command costs: processor time of its processes, time by the clock, memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LAUNCHER: Final = Path(__file__).with_name("launcher.py")

MAX_COMPLAINT: Final = 300
"""Characters of a failed command's last line that are kept."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run of a command."""

    cpu: float = 0.0
    """Seconds of user and system time of the process and those that it waited for."""
    wall: float = 0.0
    peak: int = 0
    """Octets resident at most, in the largest of its processes."""
    failure: str = ""
    """Why the figures mean nothing; empty when they do."""


@dataclass(slots=True)
class Series:
    """Several runs of one command."""

    costs: list[Cost] = field(default_factory=list)

    @property
    def good(self) -> list[Cost]:
        """The runs that came to their end."""
        return [one for one in self.costs if not one.failure]

    @property
    def failure(self) -> str:
        """Why there are no figures; empty when there are, be it of some of the runs only."""
        if self.good:
            return ""
        return self.costs[0].failure if self.costs else "not run"

    @property
    def failures(self) -> list[str]:
        """Why runs came to no end, each."""
        return [one.failure for one in self.costs if one.failure]

    @property
    def cpu(self) -> float:
        """Processor time of the run that was disturbed least."""
        return min(one.cpu for one in self.good)

    @property
    def wall(self) -> float:
        """Time by the clock of the run that was disturbed least."""
        return min(one.wall for one in self.good)

    @property
    def peak(self) -> int:
        """The most memory of any run."""
        return max(one.peak for one in self.good)


class Started:
    """A command that runs; it must be finished."""

    def __init__(self, command: list[str], directory: Path) -> None:
        """Start a command in a directory."""
        self._complaints: Final = directory / "complaints"
        self._reader, writer = os.pipe()
        try:
            with self._complaints.open("wb") as errors:
                self._process: Final = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(LAUNCHER), str(writer), *command],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)

    @property
    def ended(self) -> bool:
        """Whether the command came to an end by itself."""
        return self._process.poll() is not None

    def interrupt(self) -> None:
        """Ask the command to end, as Ctrl-C does."""
        if not self.ended:
            os.killpg(self._process.pid, signal.SIGINT)

    def finish(self, seconds: float) -> Cost:
        """Wait for its end for at most so many seconds, then end it."""
        try:
            self._process.wait(seconds)
            figures = os.read(self._reader, 65_536)
        except subprocess.TimeoutExpired:
            return Cost(failure=f"took more than {seconds:g} seconds")
        finally:
            if not self.ended:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            os.close(self._reader)
        said = _last_line(self._complaints)
        if not figures:
            return Cost(failure=said or "could not be started")
        data = json.loads(figures)
        failure = f"exit code {data['status']}: {said}" if data["status"] else ""
        return Cost(data["user"] + data["system"], data["wall"], data["peak"], failure)


def run(command: list[str], directory: Path, seconds: float) -> Cost:
    """Run a command in a directory for at most so many seconds."""
    return Started(command, directory).finish(seconds)


def _last_line(path: Path) -> str:
    lines = path.read_bytes()[-65_536:].decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:MAX_COMPLAINT]
