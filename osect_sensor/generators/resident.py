"""Suricata as a companion that stays: rules are loaded once, flows live from segment to segment.

It watches a directory (``--pcap-file-continuous``), reads what is linked there in the order of
modification times, and removes each file when it is through with it, which is how we know.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from osect_sensor.generators.suricata import (
    EVE_FILE,
    configuration,
    readable_as_it_is,
    spool,
    yaml_text,
)
from osect_sensor.wire.capture import CaptureError

_POLL: Final = 0.05

_FIRST_TIME: Final = 1_000_000_000
"""Modification time given to the first file. Suricata wants each later than the one before, and
none of the last second: so they count up from a moment in 2001."""

_STOP: Final = 10.0

_LOADED: Final = re.compile(r"(\d+) rules successfully loaded, (\d+) rules failed")
_ERROR: Final = re.compile(r"^E: (.+)$")

MAX_EVENTS: Final = 256 * 1024 * 1024
"""Octets of events taken of one segment. A rule that matches each packet can write more than the
packets have; beyond this the rest of a segment's events is dropped, and counted."""


class ResidentSuricata:
    """One running Suricata, or none while it cannot run."""

    def __init__(self, program: str, directory: Path, rules: Path) -> None:
        """``directory`` is for nobody else; ``rules`` need not exist."""
        self.failure: str = ""
        """Why it does not run, in its words where it said any."""
        self.rules_loaded: int = 0
        self.rules_failed: int = 0
        self.starts: int = 0
        self.dropped_octets: int = 0
        """Octets of events beyond ``MAX_EVENTS``."""
        self._program: Final = program
        self._directory: Final = directory
        # A run's directories have names of their own: one that was left behind by a killed
        # process ends when it finds its input gone, and must not find ours in its place.
        self._input: Path = directory
        self._logs: Path = directory
        self._scratch: Path = directory
        self._rules: Final = rules
        self._rules_seen: tuple[int, int, int] = (0, 0, 0)
        self._process: subprocess.Popen[bytes] | None = None
        self._fed: int = 0
        self._waiting: list[Path] = []
        self._said_error: str = ""
        self._reading: Final = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> bool:
        """Start it afresh, without any flows; answers whether that went well so far."""
        self.stop()
        program = shutil.which(self._program)
        if program is None:
            self.failure = f"{self._program} is not installed"
            return False
        shutil.rmtree(self._directory, ignore_errors=True)
        place = self._directory / f"{time.time_ns():x}"
        self._input = place / "input"
        self._logs = place / "logs"
        self._scratch = place / "scratch"
        for path in (self._input, self._logs, self._scratch):
            path.mkdir(parents=True)
        settings = place / "suricata.yaml"
        settings.write_text(self._configuration(), encoding="utf-8")
        line = [program, "-c", str(settings), "-l", str(self._logs), "-k", "none"]
        # One thread for all packets: when a file is through so are the events of its packets.
        line += ["--runmode", "single", "-r", str(self._input)]
        line += ["--pcap-file-continuous", "--pcap-file-delete"]
        self._said_error = ""
        self.failure = ""
        self.starts += 1
        self._reading.clear()
        self._rules_seen = self._rules_now()
        try:
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(os.environ, TZ="UTC", LC_ALL="C"),
                start_new_session=True,
            )
        except OSError as error:
            self.failure = f"{program} cannot be started: {error.strerror}"
            return False
        assert self._process.stdout is not None
        threading.Thread(
            target=self._listen, args=(self._process.stdout,), name="suricata", daemon=True
        ).start()
        return True

    def _configuration(self) -> str:
        text = configuration(self._logs)
        # One second is the least that Suricata takes for either.
        text = text.replace("pcap-file:\n", "pcap-file:\n  delay: 1\n  poll-interval: 1\n", 1)
        # Rules named here, and not on the command line, can be loaded anew.
        return text + yaml_text(
            {"default-rule-path": str(self._rules.parent), "rule-files": [self._rules.name]}
            if self._rules.is_file()
            else {"rule-files": []}
        )

    def _rules_now(self) -> tuple[int, int, int]:
        try:
            status = self._rules.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def _listen(self, output: IO[bytes]) -> None:
        """Read what it says, for as long as it says something."""
        for octets in output:
            line = octets.decode("utf-8", "replace").strip()
            loaded = _LOADED.search(line)
            if loaded is not None:
                self.rules_loaded = int(loaded.group(1))
                self.rules_failed = int(loaded.group(2))
            error = _ERROR.match(line)
            # Complaints about single rules are many, and stop nothing.
            if error is not None and "rule" not in line and "signature" not in line:
                self._said_error = error.group(1)
            if "Processing pcaps directory" in line:
                self._reading.set()
        output.close()

    def refresh_rules(self) -> bool:
        """Have the rules loaded anew where their file has changed; flows live on."""
        now = self._rules_now()
        if now == self._rules_seen or not self.running:
            return False
        if not self._reading.is_set():
            # While it starts it takes the signal for an order to end: asked again next time.
            return False
        had_rules = self._rules_seen != (0, 0, 0)
        self._rules_seen = now
        assert self._process is not None
        if not had_rules:
            # Its configuration names no rules yet.
            self.start()
            return True
        self._process.send_signal(signal.SIGUSR2)
        return True

    def feed(self, segment: Path) -> None:
        """Have a capture read after those before it."""
        if not self.running:
            self._note_end()
            return
        try:
            captures = [segment] if readable_as_it_is(segment) else self._rewritten(segment)
        except (CaptureError, OSError):
            # An empty or damaged capture has nothing to match.
            return
        for capture in captures:
            self._fed += 1
            place = self._input / f"{self._fed:012d}.pcap"
            hidden = self._scratch / place.name
            try:
                os.link(capture, hidden)
                os.utime(hidden, (_FIRST_TIME + self._fed,) * 2)
            except OSError:
                # Another file system, or somebody else's file.
                hidden.unlink(missing_ok=True)
                shutil.copyfile(capture, hidden)
                os.utime(hidden, (_FIRST_TIME + self._fed,) * 2)
            os.rename(hidden, place)
            self._waiting.append(place)

    def _rewritten(self, segment: Path) -> list[Path]:
        for path in self._scratch.iterdir():
            path.unlink()
        return spool([segment], self._scratch)

    def wait(self, patience: float, beat: Callable[[], None] = lambda: None) -> bool:
        """Wait until all that was fed is read; False where it ended or took too long.

        ``beat`` is called all along.
        """
        end = time.monotonic() + patience
        while self._waiting:
            if not self._waiting[0].exists():
                self._waiting.pop(0)
                continue
            if not self.running:
                self._note_end()
                return False
            if time.monotonic() >= end:
                self.failure = f"it was not through with a segment after {patience:.0f} s"
                return False
            beat()
            time.sleep(_POLL)
        return self.running or not self.failure

    def take_events(self) -> bytes:
        """The events since the last time, whole lines; call it when nothing is being read."""
        path = self._logs / EVE_FILE
        try:
            with path.open("r+b") as file:
                events = file.read(MAX_EVENTS)
                surplus = os.fstat(file.fileno()).st_size - len(events)
                file.truncate(0)
        except FileNotFoundError:
            return b""
        if surplus > 0:
            self.dropped_octets += surplus
            events = events[: events.rfind(b"\n") + 1]
        return events

    def _note_end(self) -> None:
        if self._process is not None and not self.failure:
            status = self._process.poll()
            self.failure = f"it ended with status {status}"
            if self._said_error:
                self.failure += f": {self._said_error}"

    def stop(self) -> None:
        """End it."""
        process = self._process
        self._process = None
        self._waiting.clear()
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
