"""Captures to directories of logs: what ``osect-sensor replay`` does."""

from __future__ import annotations

import gc
import os
import shutil
import stat
import sys
import time
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from osect_sensor import __version__
from osect_sensor.errors import OsectError
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.generators.sharing import Helpers, append_rows
from osect_sensor.generators.suricata import (
    EVE_FILE,
    SuricataRun,
    WindowSplitter,
    find_suricata,
    readable_as_it_is,
    spool,
    suricata_version,
)
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.text import MICROSECONDS, date_time_text, window_name
from osect_sensor.logs.writer import TextSink
from osect_sensor.wire.capture import CaptureError, CaptureReader, link_type_name, open_capture
from osect_sensor.wire.decode import supports
from osect_sensor.wire.pcap import PcapReader

STDIN: Final = "-"
"""The capture that stands for standard input."""

MAX_SILENCE: Final = 3600
"""Seconds without a packet for which empty windows are written. No connection or flow lives longer
without packets (YAF's active time-out, half an hour, is the longest), so nothing is lost beyond;
and one damaged timestamp must not fill the disk with the empty minutes of decades."""

FINGERPRINTS: Final = Path("/etc/p0f/p0f.fp")
"""The database that Debian's package p0f installs."""

UNSUPPORTED_LINK_TYPE: Final = "unsupported link type"
"""The decoder's reason for frames of a link type that it does not know."""

EVE: Final = "eve"

_NEVER: Final = 1 << 60
"""A time, in microseconds, that no packet reaches."""

_GC_THRESHOLD: Final = 200_000
"""Objects made between two runs of the cycle collector. Connections are made and dropped in great
numbers and hold no cycles, so Python's default of 700 would look for none all the time."""


@dataclass
class CaptureSummary:
    """What was read of one capture."""

    name: str
    packets: int = 0
    truncated: str = ""
    """Why the capture ended before its time; empty when it did not."""
    skipped: dict[str, int] = field(default_factory=dict)
    """What of the file was passed over or put right, by reason."""


@dataclass
class SuricataSummary:
    """How eve.json came about."""

    state: str = "not selected"
    """``ok``, ``absent``, ``failed``, or ``not selected``."""
    version: str = ""
    message: str = ""
    rules_loaded: int = 0
    rules_failed: int = 0


@dataclass
class Summary:
    """What a replay did."""

    output: str = ""
    captures: list[CaptureSummary] = field(default_factory=list)
    packets: int = 0
    first: str = ""
    """Time of the first packet, UTC; empty where there is none."""
    last: str = ""
    undecodable: dict[str, int] = field(default_factory=dict)
    """Packets that could not be decoded, by reason."""
    limits: dict[str, int] = field(default_factory=dict)
    """Limits that were hit and other oddities, by name."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each selected log; events for eve.json."""
    windows: int = 0
    windows_skipped: int = 0
    """Empty windows not written because the silence lasted longer than ``MAX_SILENCE``."""
    seconds: float = 0.0
    """From the first packet to the last row, without what Suricata takes longer."""
    packets_per_second: int = 0
    suricata: SuricataSummary = field(default_factory=SuricataSummary)
    fingerprints: str = ""
    """The p0f database used; empty where there is none, and every system is ``???``."""
    version: str = __version__


class Progress:
    """Told how far a replay is; this base class keeps it to itself."""

    def read(self, octets: int) -> None:
        """``octets`` more of the captures were read."""

    def stage(self, name: str) -> None:
        """The replay now does ``name``."""

    def end(self) -> None:
        """The replay is over, well or not."""


class InputStream:
    """A capture file that reports what is read of it and can keep a copy.

    Its code is interpreted, also where the rest is compiled: here, once a block, is where Python
    notices signals.
    """

    def __init__(
        self, file: BufferedReader, progress: Progress, copy: IO[bytes] | None = None
    ) -> None:
        self._file: Final = file
        self._progress: Final = progress
        self._copy: Final = copy

    def read1(self, size: int) -> bytes:
        """The octets that are there, at most ``size``."""
        octets = self._file.read1(size)
        self._progress.read(len(octets))
        if self._copy is not None:
            try:
                self._copy.write(octets)
            except OSError as error:
                # As an OSError it would pass for one of the capture.
                raise OsectError(f"standard input cannot be kept: {error.strerror}") from error
        return octets

    read = read1


class OutputDirectory:
    """The directory that appears whole when the replay succeeds, or not at all.

    All work is done in a scratch directory on the same file system: beside the final directory, or
    inside it where it exists already and is empty.
    """

    def __init__(self, final: Path) -> None:
        self.final: Final = final
        self.scratch: Path = final
        self.logs: Path = final
        """Where the logs grow, inside ``scratch``."""

    def prepare(self) -> None:
        """Make the scratch directory; raises where the output cannot come into being."""
        final = self.final
        try:
            if os.path.lexists(final):
                if not final.is_dir():
                    raise OsectError(f"{final}: exists and is not a directory", "choose another")
                if any(final.iterdir()):
                    raise OsectError(
                        f"{final}: the output directory exists and is not empty",
                        "remove it or choose another",
                    )
            place = final
            while not place.exists():
                place = place.parent
            self.scratch = place / f".osect-replay-{os.getpid()}-{time.monotonic_ns()}"
            self.scratch.mkdir(mode=0o700)
        except OSError as error:
            raise OsectError(f"{final}: cannot write there: {error.strerror}") from error
        self.logs = self.scratch / "logs"

    def commit(self) -> None:
        """Put the logs in their final place."""
        if self.final.exists():
            for entry in sorted(self.logs.iterdir()):
                entry.rename(self.final / entry.name)
        else:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            self.logs.rename(self.final)
        self.discard()

    def discard(self) -> None:
        """Remove the scratch directory with everything in it."""
        if self.scratch != self.final:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _open_file(name: str) -> BufferedReader:
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise OsectError(f"{name}: is a directory", "name the capture files in it")
        return open(name, "rb")
    except OSError as error:
        raise OsectError(f"{name}: cannot be read: {error.strerror}") from error


def _open_capture(file: BinaryIO, name: str) -> CaptureReader:
    """Open the capture; raises where it is none or has frames that nobody here decodes."""
    try:
        reader = open_capture(file, name)
    except CaptureError as error:
        raise OsectError(
            str(error), "pcap or pcapng is needed, plain or in gzip or zstd"
        ) from error
    if isinstance(reader, PcapReader) and reader.link_type >= 0:
        _check_link_type(name, reader.link_type)
    return reader


def _check_link_type(name: str, link_type: int) -> None:
    if not supports(link_type):
        known_as = link_type_name(link_type)
        number = f"link type {link_type}"
        described = number if known_as == number else f"{number} ({known_as})"
        raise OsectError(
            f"{name}: {described} is not supported",
            "Ethernet, 802.11, FDDI, Linux cooked, NFLOG, PPP, loopback and raw IP are",
        )


def check_captures(captures: list[str]) -> None:
    """See that all captures can be read."""
    if captures.count(STDIN) > 1:
        raise OsectError("standard input can be read only once", "give - only once")
    for name in captures:
        if name == STDIN:
            if sys.stdin.isatty():
                raise OsectError("standard input is a terminal", "pipe a capture into it")
            continue
        with _open_file(name) as file:
            # A pipe gives its octets only once: it is judged when it is its turn.
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                _open_capture(file, name)


def total_size(captures: list[str]) -> int:
    """Octets of all captures together, 0 where that is not known."""
    total = 0
    for name in captures:
        if not os.path.isfile(name):
            return 0
        total += os.path.getsize(name)
    return total


class Replay:
    """One run over captures, which count as one sequence of packets."""

    def __init__(
        self,
        captures: list[str],
        output: Path,
        selection: list[str] | None = None,
        window: int = 0,
        report_interval: int = -1,
        rules: Path | None = None,
        fingerprints: Path | None = None,
        progress: Progress | None = None,
        jobs: int = 1,
        share: int = 0,
    ) -> None:
        """``window`` and ``report_interval`` in seconds; a window of 0 is the whole replay.

        A negative ``report_interval`` is the length of the window. Without ``fingerprints`` the
        distribution's p0f database is used. ``jobs`` processes share the traffic; this run is
        number ``share`` of them, of which 0 starts the others and puts the rows together.
        """
        self._jobs: Final = jobs
        self._share: Final = share
        self._helpers: Final[Helpers[Summary]] = Helpers()
        self._captures: Final = captures
        self._selection: Final = _log_names(selection)
        self._window: Final = window * MICROSECONDS
        self._report_interval: Final = (
            self._window if report_interval < 0 else report_interval * MICROSECONDS
        )
        self._rules: Final = rules
        self._fingerprint_file: Final = fingerprints
        self._fingerprints: str = ""
        self._progress: Final = progress or Progress()
        self._output: Final = OutputDirectory(output)
        self._summary: Final = Summary(output=str(output))
        self._sink: Final = TextSink(self._selection)
        self._generator: NativeGenerator | None = None
        self._window_end: int = _NEVER
        self._window_starts: list[int] = []
        self._unsupported: int = 0
        """Packets so far whose link type has no decoder."""
        self._first: int = 0
        self._last: int = 0
        self._suricata: SuricataRun | None = None
        self._inputs: list[Path] = []
        """The captures as files, for Suricata."""

    def run(self) -> Summary:
        """Write the logs; whatever goes wrong, nothing half-written stays behind."""
        check_captures(self._captures)
        if self._jobs > 1 and not all(os.path.isfile(name) for name in self._captures):
            raise OsectError(
                "several jobs need captures that can be read several times",
                "use one job for standard input and pipes",
            )
        if self._rules is not None:
            _open_file(str(self._rules)).close()
        self._read_fingerprints()
        self._output.prepare()
        thresholds = gc.get_threshold()
        gc.set_threshold(_GC_THRESHOLD)
        try:
            if self._window > 0:
                self._output.logs.mkdir()
            begun = time.monotonic()
            if self._share == 0:
                self._start_helpers()
            self._start_suricata()
            self._read_captures()
            self._finish_windows()
            self._gather()
            self._summary.seconds = round(time.monotonic() - begun, 6)
            self._finish_suricata()
            self._output.commit()
        except OSError as error:
            raise OsectError(
                f"{self._output.final}: cannot write there: {error.strerror}"
            ) from error
        finally:
            gc.set_threshold(*thresholds)
            self._helpers.stop()
            if self._suricata is not None:
                self._suricata.stop()
            self._sink.abandon_window()
            self._output.discard()
        summary = self._summary
        summary.packets_per_second = round(summary.packets / max(summary.seconds, 1e-6))
        return summary

    def _start_helpers(self) -> None:
        """Have other processes take their shares of the traffic."""
        selection = [name for name in self._selection if name != EVE]
        for share in range(1, self._jobs):
            helper = Replay(
                self._captures,
                self._part(share),
                selection,
                self._window // MICROSECONDS,
                self._report_interval // MICROSECONDS,
                fingerprints=self._fingerprint_file,
                jobs=self._jobs,
                share=share,
            )
            self._helpers.start(helper.run)

    def _part(self, share: int) -> Path:
        """Where the logs of a share are written."""
        return self._output.scratch / f"share-{share}"

    def _gather(self) -> None:
        """Put the rows of all shares together."""
        summary = self._summary
        directories = [window_name(start) for start in self._window_starts]
        if self._window == 0:
            directories = [""]
        logs = [log for log in OSECT_2023.logs if log.name in self._selection]
        for share, part in enumerate(self._helpers.outcomes(), 1):
            for directory in directories:
                for log in logs:
                    append_rows(
                        log,
                        self._output.logs / directory / log.file_name,
                        self._part(share) / directory / log.file_name,
                    )
            for name, rows in part.rows.items():
                summary.rows[name] += rows
            for counts, more in (
                (summary.undecodable, part.undecodable),
                (summary.limits, part.limits),
            ):
                for name, count in more.items():
                    counts[name] = counts.get(name, 0) + count

    def _read_fingerprints(self) -> None:
        """Read the p0f database, of which only the distribution's own may be missing."""
        path = self._fingerprint_file
        if path is None:
            if not FINGERPRINTS.is_file():
                return
            path = FINGERPRINTS
        with _open_file(str(path)) as file:
            self._fingerprints = file.read().decode("utf-8", "surrogateescape")
        self._summary.fingerprints = str(path)

    def _read_captures(self) -> None:
        for name in self._captures:
            if name == STDIN:
                stream = cast(BufferedReader, sys.stdin.buffer)
                self._read_stream(stream, "standard input", once=True)
                continue
            with _open_file(name) as file:
                regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                self._read_stream(file, name, once=not regular)

    def _read_stream(self, file: BufferedReader, name: str, once: bool) -> None:
        """Process one capture; one that can be read only ``once`` is kept for Suricata."""
        if self._suricata is None or not once:
            self._inputs.append(Path(name))
            self._read_capture(cast(BinaryIO, InputStream(file, self._progress)), name)
            return
        copy = self._output.scratch / f"input-{len(self._inputs)}"
        self._inputs.append(copy)
        with copy.open("wb") as copied:
            self._read_capture(cast(BinaryIO, InputStream(file, self._progress, copied)), name)

    def _read_capture(self, stream: BinaryIO, name: str) -> None:
        reader = _open_capture(stream, name)
        summary = CaptureSummary(name)
        self._summary.captures.append(summary)
        generator = self._generator
        if generator is None and reader.next():
            generator = self._begin(reader.timestamp)
            generator.frame(
                reader.timestamp,
                reader.link_type,
                reader.data,
                reader.offset,
                reader.captured,
                reader.wire_length,
            )
        if generator is not None:
            unsupported = self._unsupported
            while generator.read(reader, self._window_end):
                self._advance(generator, reader.timestamp)
            summary.packets = generator.packets - self._summary.packets
            self._summary.packets = generator.packets
            self._unsupported = generator.undecodable().get(UNSUPPORTED_LINK_TYPE, 0)
            if 0 < summary.packets == self._unsupported - unsupported:
                _check_link_type(name, reader.link_type)
            self._last = max(self._last, reader.timestamp)
        summary.truncated = reader.message
        summary.skipped = dict(reader.skipped)

    def _begin(self, timestamp: int) -> NativeGenerator:
        """Start with the time of the first packet, which also makes the uids repeatable."""
        self._first = timestamp
        self._generator = NativeGenerator(
            self._sink, self._report_interval, timestamp, self._fingerprints
        )
        self._generator.take_share(self._share, self._jobs)
        if self._window > 0:
            self._open_window(timestamp // self._window * self._window)
        else:
            self._sink.open_window(str(self._output.logs), timestamp)
        return self._generator

    def _open_window(self, start: int) -> None:
        self._window_starts.append(start)
        self._window_end = start + self._window
        self._sink.open_window(str(self._output.logs / window_name(start)), start)

    def _advance(self, generator: NativeGenerator, timestamp: int) -> None:
        """Close windows and open the following ones up to that of the packet at ``timestamp``."""
        silence_ends = self._window_end + MAX_SILENCE * MICROSECONDS
        while timestamp >= self._window_end:
            end = self._window_end
            generator.close_window(end)
            self._sink.close_window(end)
            start = end
            if end >= silence_ends:
                start = timestamp // self._window * self._window
                self._summary.windows_skipped += (start - end) // self._window
            self._open_window(start)

    def _finish_windows(self) -> None:
        summary = self._summary
        generator = self._generator
        if generator is not None:
            generator.finish()
            summary.undecodable = generator.undecodable()
            summary.limits = generator.limits()
            summary.first = date_time_text(self._first, " ", ":")
            summary.last = date_time_text(self._last, " ", ":")
        if self._window > 0:
            if generator is not None:
                self._sink.close_window(self._window_end)
        else:
            if generator is None:
                # No packets: the logs exist all the same, and there is no time to put in them.
                self._sink.open_window(str(self._output.logs), 0)
            self._sink.close_window(self._last)
        summary.windows = len(self._window_starts)
        summary.rows = self._sink.row_counts()

    def _start_suricata(self) -> None:
        """Have Suricata read along where it can read the capture as it is."""
        if EVE not in self._selection:
            return
        outcome = self._summary.suricata
        program = find_suricata()
        if program == "":
            outcome.state = "absent"
            outcome.message = "Suricata is not installed: eve.json is empty"
            return
        outcome.version = suricata_version(program)
        self._suricata = SuricataRun(program, self._output.scratch / "suricata", self._rules)
        if len(self._captures) == 1 and os.path.isfile(self._captures[0]):
            capture = Path(self._captures[0])
            if readable_as_it_is(capture):
                self._suricata.start(capture)

    def _finish_suricata(self) -> None:
        if EVE not in self._selection:
            return
        outcome = self._summary.suricata
        run = self._suricata
        if run is not None:
            self._progress.stage("Suricata")
            if run.started:
                run.wait()
            else:
                self._run_suricata(run)
            outcome.rules_loaded = run.rules_loaded
            outcome.rules_failed = run.rules_failed
            outcome.state = "ok"
            if run.failure != "":
                outcome.state = "failed"
                outcome.message = f"Suricata failed, eve.json is empty: {run.failure}"
        self._summary.rows[EVE] = 0
        if run is not None and run.failure == "":
            self._summary.rows[EVE] = self._deal_events(run)

    def _run_suricata(self, run: SuricataRun) -> None:
        """Bring the captures into a form that Suricata reads, and have it read them."""
        inputs = self._inputs
        if len(inputs) != 1 or not readable_as_it_is(inputs[0]):
            directory = self._output.scratch / "spool"
            directory.mkdir()
            inputs = spool(inputs, directory)
        for capture in inputs:
            if run.failure == "":
                run.start(capture)
                run.wait()

    def _deal_events(self, run: SuricataRun) -> int:
        """Put the events into the windows; returns how many there are."""
        logs = self._output.logs
        if self._window == 0:
            return WindowSplitter([0], [logs / EVE_FILE]).split(run.events())
        paths = [logs / window_name(start) / EVE_FILE for start in self._window_starts]
        return WindowSplitter(self._window_starts, paths).split(run.events()) if paths else 0


def _log_names(selection: list[str] | None) -> list[str]:
    """The names of the selected logs, all of them for None."""
    if selection is None:
        return OSECT_2023.names()
    names: list[str] = []
    for name in selection:
        log = OSECT_2023.find(name)
        if log is None:
            raise OsectError(
                f"no log is called {name or 'nothing at all'}",
                "the logs are " + ", ".join(OSECT_2023.names()),
            )
        if log.name not in names:
            names.append(log.name)
    return names
