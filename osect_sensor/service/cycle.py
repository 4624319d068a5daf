"""The minute cycle: segments become windows, windows become archives in the queue.

The order in which things become durable is what nothing is lost or doubled by:

1. the archives of a segment are written under hidden names (files and directory synced);
2. the checkpoint names the segment as done, and its archives as to be published;
3. the archives appear in the queue;
4. the segment moves from ``incoming`` to ``kept``;
5. now and then, the native generator's state is kept.

What a kill or a power cut interrupts before the second step is done again after the restart, and
nobody has seen what it had come to; what it interrupts behind it is completed. So no window is
ever made again that somebody may have taken already.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from osect_sensor import __version__
from osect_sensor.config import Config
from osect_sensor.errors import EXIT_OK, OsectError
from osect_sensor.generators import state
from osect_sensor.generators.resident import ResidentSuricata
from osect_sensor.generators.suricata import suricata_version
from osect_sensor.service import messages, metrics
from osect_sensor.service.archive import (
    WindowNames,
    archive_name,
    publish_archives,
    write_archive,
)
from osect_sensor.service.checkpoint import Checkpoints
from osect_sensor.service.files import (
    make_directory,
    move,
    read_json,
    remove_partials,
    sync_directory,
    write_json,
)
from osect_sensor.service.layout import Layout
from osect_sensor.service.notify import ServiceManager
from osect_sensor.service.retention import Retention
from osect_sensor.service.segments import (
    MICROSECONDS,
    Segment,
    list_segments,
    next_number,
    number_of,
    numbered,
)
from osect_sensor.service.window import Generators

_POLL: Final = 0.2
"""Seconds between looks for a new segment."""

_CLEANING: Final = 60.0
"""Seconds between runs of retention."""

_STATUS: Final = 5.0

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
"""Seconds to wait after a failure, doubling."""

SURICATA_WARM_UP: Final = 300 * MICROSECONDS
"""How much a restarted Suricata reads again: half its longest time-out of idle flows."""

MAX_ATTEMPTS: Final = 25
"""Starts that may end in the same segment before it is set aside. One that kills the process each
time must not stop all that come after it; a machine whose power fails often must not lose one."""

MAX_FAILURES: Final = 3
"""Failures in the same segment, within one process, before it is set aside."""

_GC_THRESHOLD: Final = 200_000
"""Objects made between two runs of the cycle collector: see the replay."""


@dataclass
class CycleStatus:
    """What ``cycle.json`` tells."""

    version: str = __version__
    pid: int = field(default_factory=os.getpid)
    state: str = "starting"
    """``starting``, ``recovering``, ``waiting``, ``working``, ``failing``, ``stopped``."""
    problem: str = ""
    since: float = field(default_factory=time.time)
    updated: float = 0.0
    last_window: str = ""
    last_window_end: float = 0.0
    """Epoch seconds."""
    last_archived: float = 0.0
    last_seconds: float = 0.0
    """What the last segment took."""
    lag: float = 0.0
    """Seconds from the end of the last window to its archive."""
    waiting_segments: int = 0
    windows: int = 0
    """Since this process began, as are the following."""
    packets: int = 0
    events: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    undecodable: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    damaged_segments: int = 0
    failures: int = 0
    set_aside: int = 0
    recovery_seconds: float = 0.0
    suricata: dict[str, object] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)


class Stopped(Exception):
    """The process is to end."""


class Cycle:
    """Everything behind capture and before upload."""

    def __init__(self, config: Config) -> None:
        self._config: Final = config
        self._layout: Final = Layout(config)
        self._stopping: Final = threading.Event()
        self._manager: Final = ServiceManager()
        self._status: Final = CycleStatus()
        self._period: Final = config.sensor.period * MICROSECONDS
        self._warm_up: Final = config.recovery.warm_up * MICROSECONDS
        self._interval: Final = config.recovery.checkpoint_interval * MICROSECONDS
        self._layout.make_cycle()
        self._attempts: Final = self._layout.checkpoints / "attempt.json"
        self._checkpoints: Final = Checkpoints(self._layout.checkpoints)
        self._names: WindowNames = WindowNames(self._period)
        self._retention: Final = Retention(config.retention, self._layout)
        self._suricata: ResidentSuricata | None = None
        if config.suricata.enabled:
            self._suricata = ResidentSuricata(
                config.suricata.program, self._layout.suricata, Path(config.suricata.rules)
            )
            self._suricata_version: str = suricata_version(config.suricata.program)
        self._generators: Generators | None = None
        self._next_status: float = 0.0
        self._next_cleaning: float = 0.0

    # Running

    def run(self, until_idle: bool = False) -> int:
        """Work until told to stop, or with ``until_idle`` until no segment is left."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        gc.set_threshold(_GC_THRESHOLD)
        # Captures may have to be read again for longer than a service manager waits for a start.
        self._manager.ready("reading captures again")
        wait = _FIRST_WAIT
        failures = 0
        failed = ""
        try:
            while not self._stopping.is_set():
                segment = None
                try:
                    if self._generators is None:
                        self._recover()
                    segment = self._next()
                    if segment is None:
                        if until_idle:
                            break
                        self._idle()
                        continue
                    self._do(segment)
                    wait = _FIRST_WAIT
                    failures = 0
                except Stopped:
                    break
                except OsectError:
                    # What only the operator can put right, such as a tool that is not installed.
                    raise
                except Exception as error:
                    # The boundary: whatever goes wrong with one segment, the next ones count.
                    name = segment.name if segment is not None else ""
                    failures = failures + 1 if name == failed else 1
                    failed = name
                    self._fail(error, name)
                    # A full disk is nobody's fault but the disk's: all waits for room.
                    if failures >= MAX_FAILURES and not isinstance(error, (OSError, MemoryError)):
                        failures = 0
                        self._give_up(segment, str(error))
                    self._wait(wait)
                    wait = min(wait * 2, _LONGEST_WAIT)
        finally:
            self._manager.stopping()
            if self._suricata is not None:
                self._suricata.stop()
            if self._generators is not None:
                self._generators.abandon()
            self._status.state = "stopped"
            self._report(force=True)
        messages.info("cycle.stopped", windows=self._status.windows)
        return EXIT_OK

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _give_up(self, segment: Segment | None, reason: str) -> None:
        """Do without what fails again and again, so that everything else goes on."""
        try:
            if segment is not None:
                self._put_aside(segment, reason)
            elif self._checkpoints.current.states:
                # It is the way back to the connections that fails.
                self._checkpoints.forget_states()
        except OSError as error:
            messages.error("cycle.cannot_give_up", reason=error.strerror)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        # Room on the disk may be what is missing.
        self._clean("")
        while not self._stopping.is_set() and time.monotonic() < end:
            self._manager.alive()
            self._report()
            self._stopping.wait(_POLL)

    def _idle(self) -> None:
        self._status.state = "waiting"
        self._clean("")
        self._manager.alive()
        self._report()
        self._stopping.wait(_POLL)

    def _fail(self, error: Exception, segment: str) -> None:
        """Give up what the generators have in memory; the next attempt recovers it."""
        reason = f"{type(error).__name__}: {error}"
        messages.error("cycle.failed", reason=reason, segment=segment)
        self._status.state = "failing"
        self._status.problem = reason
        self._status.failures += 1
        if isinstance(error, OSError):
            self._next_cleaning = 0.0
        if self._generators is not None:
            try:
                self._generators.abandon()
            except OSError:
                # What was failing fails here too; the directory is emptied at the next attempt.
                messages.debug("cycle.abandon_failed")
        self._generators = None

    # Segments

    def _next(self) -> Segment | None:
        """The next segment to do."""
        segments = list_segments(self._layout.incoming)
        self._status.waiting_segments = len(segments)
        done = self._checkpoints.current.done
        others: list[Segment] = []
        for segment in segments:
            if segment.name == done:
                # Archived, and killed before it was moved.
                self._keep(segment)
            elif number_of(segment.name) < 0 or segment.name < done:
                others.append(segment)
            else:
                return segment
        return self._in_order(others[0]) if others else None

    def _in_order(self, segment: Segment) -> Segment | None:
        """Give a number to a capture that has none, or that of one before the last.

        A restart tells by the names which captures are done and in which order they were.
        """
        kept = self._layout.kept / segment.name
        if kept.exists() and kept.samefile(segment.path):
            # After a power cut two directories can have it.
            segment.path.unlink()
            return None
        number = next_number(
            [self._layout.incoming, self._layout.kept, self._layout.failed],
            self._checkpoints.current.done,
        )
        named = numbered(segment, number)
        messages.info("segment.numbered", file=segment.name, segment=named.name)
        return named

    def _do(self, segment: Segment) -> None:
        """Make a segment's windows and archive them."""
        generators = self._generators
        assert generators is not None
        self._status.state = "working"
        begun = time.monotonic()
        if not self._attempt(segment):
            return
        if self._suricata is not None and self._suricata.refresh_rules():
            messages.info("suricata.rules_loaded_anew")
        outcome = generators.process(segment)
        archives: list[str] = []
        for window in outcome.windows:
            archive = self._name(window.start)
            size = write_archive(window.directory, self._layout.queue / archive, window.start)
            messages.info("archive.written", file=archive, size=size)
            archives.append(archive)
            self._manager.alive()
        sync_directory(self._layout.queue)
        before = self._checkpoints.current
        self._checkpoints.advance(
            done=segment.name,
            publishing=archives,
            last_window=archives[-1] if archives else before.last_window,
            clock=generators.clock,
            windows=before.windows + len(archives),
            names=self._names.as_data(),
        )
        self._publish()
        self._keep(segment)
        generators.clear(outcome)
        if outcome.damage:
            self._status.damaged_segments += 1
            messages.error("segment.damaged", segment=segment.name, reason=outcome.damage)
        current = self._checkpoints.current
        if not current.states or current.clock >= current.states[-1].clock + self._interval:
            self._save_state()
        self._count(segment, len(outcome.windows), outcome.packets, outcome.events, begun)
        self._clean("")

    def _name(self, start: int) -> str:
        """The name of a window's archive, which no other window has."""
        layout = self._layout
        named = self._names.claim(start)
        # What has that name although it is not known is from before a checkpoint that was lost.
        while any(
            (directory / archive_name(named)).exists()
            for directory in (layout.queue, layout.uploaded, layout.quarantine)
        ):
            named = self._names.claim(start)
        if named != start:
            messages.warning("window.renamed", window=archive_name(start), to=archive_name(named))
        return archive_name(named)

    def _publish(self) -> None:
        """Have the archives of the last segment appear in the queue."""
        names = self._checkpoints.current.publishing
        publish_archives([self._layout.queue / name for name in names])

    def _keep(self, segment: Segment) -> None:
        kept = self._layout.kept / segment.name
        if kept.exists():
            # After a power cut both directories can have it, and rename(2) does nothing where
            # two names are of one file.
            segment.path.unlink()
        else:
            move(segment.path, kept)
        with contextlib.suppress(OSError):
            # Suricata was shown another time of modification, see ``resident``.
            os.utime(kept)

    def _attempt(self, segment: Segment) -> bool:
        """Count the starts that reach a segment; False if there were too many."""
        before = read_json(self._attempts) or {}
        count = 1
        if before.get("segment") == segment.name:
            if before.get("pid") == self._status.pid and before.get("since") == self._status.since:
                return True
            count = int(before.get("count", 0)) + 1
        if count > MAX_ATTEMPTS:
            self._put_aside(segment, f"{MAX_ATTEMPTS} processes ended in it")
            return False
        status = self._status
        data = {
            "segment": segment.name, "count": count, "pid": status.pid, "since": status.since
        }  # fmt: skip
        write_json(self._attempts, data)
        return True

    def _put_aside(self, segment: Segment, reason: str) -> None:
        make_directory(self._layout.failed)
        move(segment.path, self._layout.failed / segment.name)
        self._status.set_aside += 1
        messages.error("segment.set_aside", segment=segment.name, reason=reason)

    # States

    def _save_state(self) -> None:
        assert self._generators is not None
        begun = time.monotonic()
        # Connections that ended refer to themselves. Left alone, the collector would let tens of
        # megabytes of them pile up, over a day or two at a quiet plant; here it costs a fraction
        # of what walking over all that lives on does.
        gc.collect()
        try:
            octets = state.save(self._generators.native)
            self._checkpoints.add_state(octets, self._warm_up)
        except (state.StateUnusable, OSError) as error:
            # A restart goes on from an earlier one; this is tried again after the next segment.
            messages.error("checkpoint.not_written", reason=str(error))
            return
        messages.info("checkpoint.written", octets=len(octets), seconds=time.monotonic() - begun)

    def _recover(self) -> None:
        """Bring the generators to where the checkpoint says that the sensor was."""
        self._status.state = "recovering"
        begun = time.monotonic()
        self._checkpoints.reload()
        self._publish()
        remove_partials(self._layout.queue)
        checkpoint = self._checkpoints.current
        self._names = WindowNames(self._period, checkpoint.names)
        if self._suricata is not None and not self._suricata.start():
            messages.error("suricata.failed", reason=self._suricata.failure)
        first_time = not checkpoint.states and not checkpoint.done
        generators = self._restored()
        self._generators = generators
        if not checkpoint.states:
            if not first_time:
                messages.error("checkpoint.connections_lost", done=checkpoint.done)
            generators.clock = checkpoint.clock
            self._save_state()
        chosen = self._choice()
        again = {
            segment.name: segment
            for segment in list_segments(self._layout.kept)
            if chosen < segment.name <= checkpoint.done
        }
        for segment in list_segments(self._layout.incoming)[:1]:
            if segment.name == checkpoint.done and chosen < segment.name:
                again.setdefault(segment.name, segment)
        for name in sorted(again):
            segment = again[name]
            if self._stopping.is_set():
                raise Stopped
            recent = segment.start < 0 or segment.start >= checkpoint.clock - SURICATA_WARM_UP
            try:
                generators.relive(segment, recent)
            except OSError as error:
                messages.error("recovery.capture_unreadable", segment=name, reason=error.strerror)
            self._manager.alive()
            self._report()
        generators.settle()
        generators.clock = checkpoint.clock
        self._status.recovery_seconds = time.monotonic() - begun
        self._status.problem = ""
        messages.info(
            "cycle.recovered",
            done=checkpoint.done,
            segments_read_again=len(again),
            seconds=self._status.recovery_seconds,
            connections=generators.native.connections(),
        )

    def _choice(self) -> str:
        """The segment of the state to go on from."""
        checkpoint = self._checkpoints.current
        chosen = ""
        for one in checkpoint.states:
            if one.clock <= checkpoint.clock - self._warm_up or one is checkpoint.states[0]:
                chosen = one.segment
        return chosen

    def _restored(self) -> Generators:
        """Generators in the chosen state; fresh ones where there is none that can be used."""
        checkpoint = self._checkpoints.current
        while checkpoint.states:
            chosen = self._choice()
            file = next(one for one in checkpoint.states if one.segment == chosen)
            if len(checkpoint.states) > 1 and self._gone_since(chosen):
                # A later state knows the connections better than this one and what is left.
                messages.error("checkpoint.captures_gone", file=file.file)
                checkpoint.states.remove(file)
                continue
            generators = self._fresh()
            octets = self._checkpoints.read_state(file)
            if octets is not None:
                try:
                    state.restore(generators.native, octets)
                except state.StateUnusable as error:
                    messages.error("checkpoint.state_unusable", file=file.file, reason=str(error))
                else:
                    generators.clock = file.clock
                    return generators
            checkpoint.states.remove(file)
        return self._fresh()

    def _gone_since(self, segment: str) -> bool:
        """Whether any capture is gone that was done after ``segment``."""
        first = number_of(segment) if segment else 0
        last = number_of(self._checkpoints.current.done)
        layout = self._layout
        there = {
            number_of(one.name)
            for directory in (layout.kept, layout.incoming, layout.failed)
            for one in list_segments(directory)
        }
        return not there.issuperset(range(first + 1, last + 1))

    def _fresh(self) -> Generators:
        return Generators(
            self._config,
            self._layout.windows,
            self._checkpoints.current.seed,
            self._suricata,
            self._manager.alive,
        )

    # Upkeep

    def _clean(self, current: str) -> None:
        now = time.monotonic()
        if now < self._next_cleaning:
            return
        self._next_cleaning = now + _CLEANING
        try:
            self._retention.run(self._needed_from(), current)
        except OSError as error:
            messages.error("retention.failed", reason=str(error))
        self._status.deleted = asdict(self._retention.counts)

    def _needed_from(self) -> str:
        """Kept segments behind this name would be read again by a restart."""
        chosen = self._choice()
        return chosen + "\0" if chosen else ""

    def _count(
        self, segment: Segment, windows: int, packets: int, events: int, begun: float
    ) -> None:
        generators = self._generators
        assert generators is not None
        status = self._status
        status.last_seconds = time.monotonic() - begun
        status.windows += windows
        status.packets += packets
        status.events += events
        status.rows = generators.row_counts()
        status.undecodable = generators.undecodable()
        status.limits = generators.limits()
        status.connections = generators.native.connections()
        status.last_archived = time.time()
        status.problem = ""
        clock = self._checkpoints.current.clock
        status.last_window = self._checkpoints.current.last_window
        status.last_window_end = clock / MICROSECONDS
        status.lag = max(status.last_archived - status.last_window_end, 0.0)
        messages.info(
            "segment.done",
            segment=segment.name,
            packets=packets,
            seconds=status.last_seconds,
            lag=status.lag,
        )
        self._manager.alive()
        self._manager.status(f"last window {status.last_window}, lag {status.lag:.0f} s")
        self._report(force=True)
        try:
            metrics.write_textfile(self._config)
        except OSError as error:
            messages.warning("metrics.not_written", reason=error.strerror)

    def _report(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now < self._next_status:
            return
        self._next_status = now + _STATUS
        status = self._status
        status.updated = time.time()
        suricata = self._suricata
        status.suricata = {"enabled": suricata is not None}
        if suricata is not None:
            status.suricata |= {
                "running": suricata.running,
                "version": self._suricata_version,
                "rules_loaded": suricata.rules_loaded,
                "rules_failed": suricata.rules_failed,
                "starts": suricata.starts,
                "failure": suricata.failure,
                "dropped_octets": suricata.dropped_octets,
            }
        try:
            write_json(self._layout.cycle_status, asdict(status))
        except OSError as error:
            messages.debug("cycle.status_not_written", reason=error.strerror)
