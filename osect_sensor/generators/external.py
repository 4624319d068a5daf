"""Real tools as generators of single logs, where they are installed.

A tool reads a segment by itself, so what it keeps of connections ends with the segment. Its rows
are put into the contract's columns and framing; where it fails, the log has no rows and says so
in the sensor's own log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from osect_sensor.errors import OsectError
from osect_sensor.generators.suricata import readable_as_it_is, spool
from osect_sensor.logs.catalog import FRAMING_ZEEK, OSECT_2023, Log
from osect_sensor.logs.writer import footer, header
from osect_sensor.wire.capture import CaptureError

_MAX_COMPLAINT: Final = 300
_BEAT: Final = 5.0


class ExternalTool:
    """A program that writes some of the logs."""

    name: str = ""
    programs: tuple[str, ...] = ()
    """What must be installed."""

    def __init__(self, logs: list[str], patience: float) -> None:
        """``logs``: the names of those it writes; ``patience``: seconds a segment may take."""
        self.logs: Final = [log for log in (OSECT_2023.find(name) for name in logs) if log]
        self.failure: str = ""
        """Why the last segment has no rows; empty where all went well."""
        self._patience: Final = patience
        self._beat: Callable[[], None] = lambda: None
        self._paths: Final = {program: _find(program, self.name, logs) for program in self.programs}

    def run(
        self,
        segment: Path,
        window: Path,
        damaged: bool = False,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Replace the tool's logs in the directory ``window`` by what it says of ``segment``.

        Of a ``damaged`` segment it is shown what can be read. ``beat`` is called all along.
        """
        self.failure = ""
        self._beat = beat
        rows: dict[str, list[list[str]]] = {}
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=window.parent) as scratch:
            try:
                for number, capture in enumerate(_captures(segment, Path(scratch), damaged)):
                    place = Path(scratch, str(number))
                    place.mkdir()
                    for name, found in self.read(capture.resolve(), place).items():
                        rows.setdefault(name, []).extend(found)
            except subprocess.TimeoutExpired:
                self.failure = f"not through with a segment after {self._patience:.0f} s"
            except OSError as error:
                self.failure = error.strerror or str(error)
        for log in self.logs:
            _write(window / log.file_name, log, rows.get(log.name, []))

    def read(self, segment: Path, scratch: Path) -> dict[str, list[list[str]]]:
        """The rows of each log, in the contract's columns."""
        raise NotImplementedError

    def call(self, scratch: Path, program: str, *arguments: str) -> bool:
        """Run a program in ``scratch``; False, and the reason kept, where it fails."""
        with subprocess.Popen(
            [self._paths[program], *arguments],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TZ="UTC", LC_ALL="C"),
        ) as process:
            try:
                output, complaint = self._wait(process)
            except BaseException:
                process.kill()
                raise
        if process.returncode == 0:
            return True
        said = (complaint or output).decode("utf-8", "replace").split()
        self.failure = f"{program} ended with status {process.returncode}"
        if said:
            self.failure += ": " + " ".join(said)[-_MAX_COMPLAINT:]
        return False

    def _wait(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        end = time.monotonic() + self._patience
        while True:
            self._beat()
            left = end - time.monotonic()
            try:
                return process.communicate(timeout=max(min(left, _BEAT), 0.0))
            except subprocess.TimeoutExpired:
                if left <= _BEAT:
                    raise


def _captures(segment: Path, scratch: Path, damaged: bool) -> list[Path]:
    """What all tools can read: the segment itself, or plain captures of its packets."""
    try:
        if readable_as_it_is(segment) and not damaged:
            return [segment]
        return spool([segment], scratch)
    except CaptureError:
        # It was said when the segment was read.
        return []


def _find(program: str, tool: str, logs: list[str]) -> str:
    path = shutil.which(program)
    if path is None:
        keys = ", ".join(f"generators.{log}" for log in logs)
        raise OsectError(
            f'{program} is not installed, but {keys} = "{tool}" needs it',
            'install it, or set them to "native"',
        )
    return path


def _write(path: Path, log: Log, rows: Iterable[list[str]]) -> None:
    """Write a log in its framing; the times of the window are those of the file it replaces."""
    opened, closed = "", ""
    if log.framing == FRAMING_ZEEK:
        for line in path.read_text("utf-8", "surrogateescape").splitlines():
            if line.startswith("#open\t"):
                opened = line
            elif line.startswith("#close\t"):
                closed = line
    head = header(log, 0).splitlines()
    head = [opened if line.startswith("#open\t") else line for line in head]
    tail = [closed for _ in footer(log, 0).splitlines()]
    lines = [*head, *("\t".join(row) for row in rows), *tail]
    text = "".join(line + "\n" for line in lines)
    path.write_text(text, "utf-8", "surrogateescape")


def zeek_rows(path: Path, log: Log) -> list[list[str]]:
    """Rows of an ASCII log of Zeek in the contract's columns; what it lacks is unset."""
    if not path.exists():
        # Zeek makes a file with the first row.
        return []
    columns: list[int] = []
    rows: list[list[str]] = []
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        if line.startswith("#fields\t"):
            present = line.split("\t")[1:]
            columns = [
                present.index(field.name) if field.name in present and field.recorded else -1
                for field in log.fields
            ]
        elif columns and not line.startswith("#"):
            values = line.split("\t")
            rows.append([values[at] if 0 <= at < len(values) else "-" for at in columns])
    return rows
