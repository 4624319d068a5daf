"""Segments to windows: the generators of one sensor, and the directories that they fill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osect_sensor.config import Config
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.generators.resident import ResidentSuricata
from osect_sensor.generators.suricata import EVE_FILE, WindowSplitter
from osect_sensor.logs.text import window_name
from osect_sensor.logs.writer import TextSink
from osect_sensor.service import messages
from osect_sensor.service.chosen import external_tools
from osect_sensor.service.segments import MAX_SILENCE, MICROSECONDS, TOLERANCE, Segment
from osect_sensor.wire.capture import CaptureError, CaptureReader, open_capture

NO_CLOCK: Final = -1

_BEAT: Final = MICROSECONDS
"""Capture time between two signs of life."""


@dataclass
class Window:
    """A directory of logs."""

    start: int
    """Microseconds."""
    directory: Path


@dataclass
class Outcome:
    """What became of one segment."""

    windows: list[Window] = field(default_factory=list)
    packets: int = 0
    damage: str = ""
    """Why the segment was not read to its end; empty where it was."""
    events: int = 0


class Generators:
    """Everything that makes rows, with the state that lives from segment to segment."""

    def __init__(
        self,
        config: Config,
        directory: Path,
        seed: int,
        suricata: ResidentSuricata | None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """``directory``: where windows are made. It is emptied.

        ``beat`` is called as the work goes on.
        """
        self.clock: int = NO_CLOCK
        """Where the last window ended, microseconds."""
        self._period: Final = config.sensor.period * MICROSECONDS
        self._directory: Final = directory
        self._sink: Final = TextSink()
        self._seed: Final = seed
        self._report_interval: Final = config.sensor.report_interval * MICROSECONDS
        self._fingerprints: Final = read_fingerprints(Path(config.sensor.fingerprints))
        self._suricata: Final = suricata
        self._patience: Final = float(config.suricata.patience)
        self._tools: Final = external_tools(config)
        self._beat: Final = beat
        self._counts_before: dict[str, int] = {}
        self._undecodable_before: dict[str, int] = {}
        self.native: NativeGenerator = self._fresh()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()

    def _fresh(self) -> NativeGenerator:
        return NativeGenerator(self._sink, self._report_interval, self._seed, self._fingerprints)

    # Figures

    def row_counts(self) -> dict[str, int]:
        """Rows so far, by log."""
        return self._sink.row_counts()

    def limits(self) -> dict[str, int]:
        """Limits hit so far, by name."""
        return _added(self._counts_before, self.native.limits())

    def undecodable(self) -> dict[str, int]:
        """Packets that could not be decoded so far, by reason."""
        return _added(self._undecodable_before, self.native.undecodable())

    # Segments

    def process(self, segment: Segment) -> Outcome:
        """Make the windows of ``segment``; they are complete when this returns."""
        suricata = self._suricata
        if suricata is not None:
            suricata.feed(segment.path)
        outcome = self._read(segment, muted=False)
        self._take_events(segment, outcome)
        for tool in self._tools if outcome.windows else []:
            # A segment of ours is one window; of a longer one all its rows are in the first.
            damaged = outcome.damage != ""
            tool.run(segment.path, outcome.windows[0].directory, damaged, self._beat)
            if tool.failure:
                messages.error("tool.failed", tool=tool.name, reason=tool.failure)
        return outcome

    def relive(self, segment: Segment, with_suricata: bool) -> None:
        """Read a segment again whose windows are archived: for the state, not for the rows."""
        if with_suricata and self._suricata is not None:
            self._suricata.feed(segment.path)
        self._read(segment, muted=True)

    def settle(self) -> None:
        """Wait until Suricata has read again what it was given, and drop those events."""
        if self._suricata is not None and self._suricata.running:
            self._suricata.wait(self._patience, self._beat)
            self._suricata.take_events()

    def _read(self, segment: Segment, muted: bool) -> Outcome:
        outcome = Outcome()
        with segment.path.open("rb") as file:
            reader: CaptureReader | None = None
            try:
                reader = open_capture(file, segment.name)
            except CaptureError as error:
                outcome.damage = str(error)
            before = self.native.packets
            self._windows(segment, reader, outcome, muted)
            outcome.packets = self.native.packets - before
            if reader is not None and reader.truncated:
                outcome.damage = reader.message
        return outcome

    def _windows(
        self, segment: Segment, reader: CaptureReader | None, outcome: Outcome, muted: bool
    ) -> None:
        """Fill windows with the rows of a segment's packets."""
        more = reader is not None and reader.next()
        start = segment.start
        if start < 0:
            if reader is None or not more:
                return
            start = reader.timestamp // self._period * self._period
        if self.clock != NO_CLOCK and start < self.clock - self._period - TOLERANCE:
            # Timers would sleep until the clock is where it was: end all connections instead.
            messages.warning("window.clock_set_back", segment=segment.name)
            before = self.native.packets
            self._counts_before = self.limits()
            self._undecodable_before = self.undecodable()
            ended = self.native
            self.native = self._fresh()
            self.native.packets = before
            self.clock = start
            self._open(start, outcome, muted)
            ended.finish()
        else:
            self._open(start, outcome, muted)
        end = start + self._period
        if reader is not None and more:
            while reader.timestamp >= end:
                end = self._next(end, reader.timestamp, outcome, muted)
            self._frame(reader)
            while self._read_to(reader, end):
                end = self._next(end, reader.timestamp, outcome, muted)
        self._close(end, muted)

    def _read_to(self, reader: CaptureReader, end: int) -> bool:
        """Process the packets before ``end``; whether there are any at or behind it."""
        while self.native.read(reader, min(end, reader.timestamp + _BEAT)):
            self._beat()
            if reader.timestamp >= end:
                return True
        return False

    def _frame(self, reader: CaptureReader) -> None:
        self.native.frame(
            reader.timestamp,
            reader.link_type,
            reader.data,
            reader.offset,
            reader.captured,
            reader.wire_length,
        )

    def _next(self, end: int, timestamp: int, outcome: Outcome, muted: bool) -> int:
        """Close the window that ends at ``end``; open the one behind it, or the packet's own."""
        self._close(end, muted)
        start = end
        if timestamp >= end + MAX_SILENCE:
            start = timestamp // self._period * self._period
        self._open(start, outcome, muted)
        return start + self._period

    def _open(self, start: int, outcome: Outcome, muted: bool) -> None:
        number = len(outcome.windows)
        directory = self._directory / f"{number:06d}-{window_name(start).replace(':', '')}"
        self._sink.open_window(str(directory), start)
        if not muted:
            outcome.windows.append(Window(start, directory))

    def _close(self, end: int, muted: bool) -> None:
        self.native.close_window(end)
        if muted:
            self._sink.abandon_window()
        else:
            self._sink.close_window(end)
        self.clock = max(self.clock, end)

    def _take_events(self, segment: Segment, outcome: Outcome) -> None:
        """Put Suricata's events beside the other logs."""
        suricata = self._suricata
        if suricata is None or not outcome.windows:
            return
        if not suricata.wait(self._patience, self._beat):
            messages.error("suricata.failed", reason=suricata.failure, segment=segment.name)
            # Once more from the start, without the flows; what it wrote goes with its directory.
            if suricata.start():
                suricata.feed(segment.path)
                if not suricata.wait(self._patience, self._beat):
                    messages.error(
                        "suricata.events_lost", reason=suricata.failure, segment=segment.name
                    )
                    suricata.stop()
                    return
            else:
                return
        events = suricata.take_events()
        if not events:
            return
        outcome.events = events.count(b"\n")
        if len(outcome.windows) == 1:
            (outcome.windows[0].directory / EVE_FILE).write_bytes(events)
            return
        starts = [window.start for window in outcome.windows]
        paths = [window.directory / EVE_FILE for window in outcome.windows]
        WindowSplitter(starts, paths).split(_lines(events))

    def clear(self, outcome: Outcome) -> None:
        """Remove the windows of a segment: they are archived."""
        for window in outcome.windows:
            shutil.rmtree(window.directory, ignore_errors=True)

    def abandon(self) -> None:
        """Give up a window that is being made."""
        self._sink.abandon_window()


def _lines(events: bytes) -> Iterator[str]:
    for line in events.splitlines(keepends=True):
        yield line.decode("utf-8", "replace")


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    total = dict(one)
    for name, number in other.items():
        total[name] = total.get(name, 0) + number
    return total


def read_fingerprints(path: Path) -> str:
    """The text of the p0f database, empty where there is none."""
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        messages.warning("fingerprints.missing", file=str(path), reason=error.strerror)
        return ""
