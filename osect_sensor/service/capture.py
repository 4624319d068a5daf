"""The capture process: a well-kept tool captures, its stream is cut into files by the minute.

It is the only process that needs CAP_NET_RAW, and it looks at nothing but the headers of records.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final

from osect_sensor.config import Capture, Config
from osect_sensor.errors import EXIT_OK, OsectError
from osect_sensor.service import messages
from osect_sensor.service.checkpoint import done_segment
from osect_sensor.service.files import alone, write_json
from osect_sensor.service.layout import Layout
from osect_sensor.service.notify import ServiceManager
from osect_sensor.service.segments import (
    GRACE,
    MICROSECONDS,
    Splitter,
    StreamDamaged,
    next_number,
    recover_partials,
)

_READ: Final = 1024 * 1024
_PIPE: Final = 1024 * 1024
"""Octets that wait between the tool and us: the most that Linux lets everybody have."""

_F_SETPIPE_SZ: Final = 1031
_POLL: Final = 0.25
_ASK: Final = 1.0
"""Seconds between requests to the tool to tell its drops."""

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
"""Seconds between attempts to start the tool, doubling."""

_HEALTHY: Final = 30.0
"""Seconds that the tool must have run for the next wait to be the first one again."""

_DRAIN: Final = 1.5
"""Seconds from the order to stop until the tool is told: the kernel hands packets over in blocks,
at the latest once a second, and the tool drops the block that is not full when it is told."""

_STOP: Final = 5.0
_STATUS: Final = 5.0

_DOWN_STATES: Final = ("down", "lowerlayerdown", "notpresent")
"""Operational states in which nothing can come (Linux' Documentation/networking/operstates)."""

_TCPDUMP_DROPS: Final = re.compile(r"(\d+) packets? dropped by kernel")
_TCPDUMP_INTERFACE_DROPS: Final = re.compile(r"(\d+) packets? dropped by interface")
_DUMPCAP_DROPS: Final = re.compile(r"received/dropped on interface .*: \d+/(\d+)")
_CHATTER: Final = re.compile(
    r"listening on|Capturing on|packets? captured|received by filter|dropped by|^File:|^Packets|^$"
    r"|dropped privs|flushing"
)


def find_tool(wanted: str) -> str:
    """Path of the capturing program."""
    names = ("tcpdump", "dumpcap") if wanted == "auto" else (wanted,)
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is not None:
            return path
    raise OsectError(f"neither {' nor '.join(names)} is installed", "install tcpdump")


def command(tool: str, settings: Capture, interface: str) -> list[str]:
    """The command line of the capturing program; it writes a classic capture to its output."""
    length = str(settings.snapshot_length)
    if Path(tool).name == "tcpdump":
        # -U: each packet is handed over at once. SIGUSR2 would do so for all that is held, but
        # its handler writes from within (4.99): under load that damages the stream.
        line = [tool, "-i", interface, "-n", "-U", "-s", length]
        line += ["-B", str(settings.buffer >> 10), "-w", "-"]
        return [*line, settings.filter] if settings.filter else line
    line = [tool, "-i", interface, "-q", "-P", "-s", length, "-B", str(settings.buffer >> 20)]
    line += ["-w", "-"]
    return [*line, "-f", settings.filter] if settings.filter else line


def interface_state(name: str) -> str:
    """The operational state of an interface (RFC 2863, as Linux spells it), empty if unknown."""
    try:
        return Path("/sys/class/net", name, "operstate").read_text("ascii").strip()
    except OSError:
        return ""


@dataclass
class CaptureStatus:
    """What ``capture.json`` tells."""

    source: str = ""
    tool: str = ""
    state: str = "starting"
    """``starting``, ``capturing``, ``waiting`` (the tool cannot run), ``stopped``."""
    problem: str = ""
    since: float = field(default_factory=time.time)
    updated: float = 0.0
    pid: int = field(default_factory=os.getpid)
    restarts: int = 0
    dropped_by_kernel: int = 0
    dropped_by_interface: int = 0
    last_segment: str = ""
    packets: int = 0
    octets: int = 0
    segments: int = 0
    lost_packets: int = 0
    clock_set_back: int = 0
    damaged: int = 0
    last_packet: int = 0


class _Tool:
    """One run of the capturing program."""

    def __init__(self, line: list[str]) -> None:
        self.begun: Final = time.monotonic()
        self.kernel_drops: int = 0
        self.interface_drops: int = 0
        self.complaint: str = ""
        self._program: Final = line[0]
        self._listens: bool = False
        """Whether it is known to understand requests: before, the signal would end it."""
        self._rest: bytes = b""
        environment = dict(os.environ, LC_ALL="C", TZ="UTC")
        self.process: Final = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.output: Final[IO[bytes]] = self.process.stdout
        self.messages: Final[IO[bytes]] = self.process.stderr
        _enlarge_pipe(self.output.fileno())
        os.set_blocking(self.output.fileno(), False)
        os.set_blocking(self.messages.fileno(), False)

    def ask(self) -> None:
        """Have its drops told (tcpdump(8): SIGUSR1)."""
        if self._listens and self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)

    def listen(self) -> bool:
        """Read what it says; False once it says no more."""
        try:
            octets = os.read(self.messages.fileno(), _READ)
        except BlockingIOError:
            return True
        lines = (self._rest + octets).split(b"\n")
        self._rest = lines.pop()[-4096:]
        for octet_line in lines:
            self._take(octet_line.decode("utf-8", "replace").strip())
        if not octets and self._rest:
            self._take(self._rest.decode("utf-8", "replace").strip())
            self._rest = b""
        return len(octets) > 0

    def _take(self, line: str) -> None:
        drops = _TCPDUMP_DROPS.search(line) or _DUMPCAP_DROPS.search(line)
        if drops is not None:
            self.kernel_drops = int(drops.group(1))
        drops = _TCPDUMP_INTERFACE_DROPS.search(line)
        if drops is not None:
            self.interface_drops = int(drops.group(1))
        if "listening on" in line and Path(self._program).name == "tcpdump":
            self._listens = True
        if _CHATTER.search(line) is None:
            self.complaint = line
            messages.warning("capture.tool_says", text=line)

    def stop(self) -> None:
        """Ask it to end; it hands over what it holds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it for certain, and close the pipes."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()
        self.messages.close()


def _enlarge_pipe(descriptor: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE)
    except OSError:
        # Where the user's pipes are at their limit the usual 64 KiB must do.
        messages.debug("capture.pipe_small")


class CaptureProcess:
    """Supervises the tool, or reads a stream that somebody else captures."""

    def __init__(self, config: Config, interface: str, read: str) -> None:
        """``read``: ``-`` for standard input, a path, or empty to capture at ``interface``."""
        self._settings: Final = config.capture
        self._interface: Final = interface or config.capture.interface
        self._read: Final = read
        if not read and not self._interface:
            raise OsectError(
                "no interface to capture at", "set capture.interface, or give --interface"
            )
        self._layout: Final = Layout(config)
        self._period: Final = config.sensor.period * MICROSECONDS
        self._manager: Final = ServiceManager()
        self._status: Final = CaptureStatus(source=read or self._interface)
        self._stopping: Final = threading.Event()
        self._next_status: float = 0.0
        self._drops_before: tuple[int, int] = (0, 0)
        """Kernel's and interface's drops in the tool's earlier runs."""
        self._warned_drops: int = 0
        self._next_look: float = 0.0
        self._is_down: bool = False

    def run(self) -> int:
        """Capture until told to stop, or until the stream ends."""
        tool = "" if self._read else find_tool(self._settings.tool)
        self._status.tool = tool
        self._layout.make_capture()
        # Another one would take the files that this one writes for those of a killed one.
        with alone(self._layout.incoming.parent / "capture.lock", "osect-sensor capture"):
            return self._work(tool)

    def _work(self, tool: str) -> int:
        layout = self._layout
        recovered = recover_partials(layout.incoming)
        if recovered:
            messages.warning("capture.recovered", files=recovered)
        self._splitter = Splitter(
            layout.incoming,
            next_number(
                [layout.incoming, layout.kept, layout.failed], done_segment(layout.checkpoints)
            ),
            self._period,
            self._settings.minimum_free,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            if self._read:
                self._read_stream()
            else:
                self._supervise(tool)
        finally:
            self._manager.stopping()
            self._splitter.finish()
            self._status.state = "stopped"
            self._report(force=True)
        messages.info("capture.stopped", packets=self._splitter.counts.packets)
        return EXIT_OK

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    # A tool

    def _supervise(self, tool: str) -> None:
        line = command(tool, self._settings, self._interface)
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            try:
                run = _Tool(line)
            except OSError as error:
                raise OsectError(f"{tool}: cannot be started: {error.strerror}") from error
            messages.info("capture.started", tool=tool, interface=self._interface)
            self._splitter.begin_stream()
            try:
                self._follow(run)
            finally:
                run.kill()
            self._drops_before = (
                self._drops_before[0] + run.kernel_drops,
                self._drops_before[1] + run.interface_drops,
            )
            if self._stopping.is_set():
                return
            if time.monotonic() - run.begun >= _HEALTHY:
                wait = _FIRST_WAIT
            self._status.restarts += 1
            self._status.state = "waiting"
            self._status.problem = run.complaint or f"status {run.process.returncode}"
            messages.error(
                "capture.tool_ended",
                status=run.process.returncode,
                reason=run.complaint,
                retry_in=f"{wait:.0f}s",
            )
            self._wait(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _wait(self, seconds: float) -> None:
        """Wait for the next attempt; minutes go by all the same."""
        end = time.monotonic() + seconds
        while not self._stopping.is_set() and time.monotonic() < end:
            time.sleep(_POLL)
            self._pass_time(time.time_ns() // 1000)
            # Capturing at an interface that is down is not a reason to be restarted.
            self._manager.ready("waiting for the interface")
            self._manager.alive()
            self._report()

    def _follow(self, run: _Tool) -> None:
        """Copy what the tool captures until it ends."""
        with selectors.DefaultSelector() as selector:
            self._copy(run, selector)

    def _copy(self, run: _Tool, selector: selectors.BaseSelector) -> None:
        selector.register(run.output, selectors.EVENT_READ)
        selector.register(run.messages, selectors.EVENT_READ)
        open_pipes = 2
        next_ask = 0.0
        drain_by = 0.0
        stop_by = 0.0
        while open_pipes > 0:
            ready = selector.select(_POLL)
            quiet = True
            for key, _ in ready:
                if key.fileobj is run.output:
                    quiet = False
                    try:
                        octets = os.read(run.output.fileno(), _READ)
                    except BlockingIOError:
                        continue
                    if not octets:
                        selector.unregister(run.output)
                        open_pipes -= 1
                        continue
                    try:
                        self._splitter.feed(octets)
                    except StreamDamaged as error:
                        messages.error("capture.stream_damaged", reason=str(error))
                        return
                    self._status.state = "capturing"
                elif not run.listen():
                    selector.unregister(run.messages)
                    open_pipes -= 1
            now = time.monotonic()
            if now >= next_ask:
                next_ask = now + _ASK
                run.ask()
            if quiet and not self._stopping.is_set():
                self._pass_time(time.time_ns() // 1000)
            self._tell_drops(run)
            self._look_at_interface()
            if self._status.state == "capturing":
                self._manager.ready(f"capturing at {self._interface}")
            self._manager.alive()
            self._report()
            if self._stopping.is_set():
                if drain_by == 0.0:
                    drain_by = now + _DRAIN
                elif stop_by == 0.0 and now >= drain_by:
                    stop_by = now + _STOP
                    run.stop()
                elif 0.0 < stop_by < now:
                    return

    def _look_at_interface(self) -> None:
        """Tell an interface that is down from one where nothing happens."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _ASK
        state = interface_state(self._interface)
        down = state in _DOWN_STATES
        if down and not self._is_down:
            messages.error("capture.interface_down", interface=self._interface, state=state)
        elif self._is_down and not down:
            messages.info("capture.interface_up", interface=self._interface)
        self._is_down = down
        if self._status.state == "capturing":
            self._status.problem = f"the interface is {state}" if self._is_down else ""

    def _pass_time(self, now: int) -> None:
        # What is under way is from before now, by at most the grace.
        self._splitter.tick(now - GRACE if self._splitter.started else now)

    def _tell_drops(self, run: _Tool) -> None:
        status = self._status
        status.dropped_by_kernel = self._drops_before[0] + run.kernel_drops
        status.dropped_by_interface = self._drops_before[1] + run.interface_drops
        if status.dropped_by_kernel > self._warned_drops:
            messages.error(
                "capture.dropped_by_kernel",
                packets=status.dropped_by_kernel - self._warned_drops,
                total=status.dropped_by_kernel,
            )
            self._warned_drops = status.dropped_by_kernel

    # A stream

    def _read_stream(self) -> None:
        """Copy a stream; its own times are the clock."""
        if self._read == "-":
            descriptor = sys.stdin.fileno()
        else:
            try:
                descriptor = os.open(self._read, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise OsectError(f"{self._read}: cannot be read: {error.strerror}") from error
        selector = selectors.DefaultSelector()
        waits = True
        try:
            selector.register(descriptor, selectors.EVENT_READ)
        except PermissionError:
            # An ordinary file is always ready.
            waits = False
        self._manager.ready(f"reading {self._read}")
        self._status.state = "capturing"
        fed = time.monotonic()
        while not self._stopping.is_set():
            if not waits or selector.select(_POLL):
                octets = os.read(descriptor, _READ)
                if not octets:
                    return
                self._splitter.feed(octets)
                fed = time.monotonic()
            elif self._splitter.started:
                elapsed = int((time.monotonic() - fed) * MICROSECONDS)
                self._splitter.tick(self._splitter.counts.last_packet + elapsed - GRACE)
            self._manager.alive()
            self._report()

    def _report(self, force: bool = False) -> None:
        """Write the status file now and then."""
        now = time.monotonic()
        if not force and now < self._next_status:
            return
        self._next_status = now + _STATUS
        status = self._status
        for name, value in asdict(self._splitter.counts).items():
            setattr(status, name, value)
        status.last_segment = self._splitter.last_segment
        status.updated = time.time()
        try:
            write_json(self._layout.capture_status, asdict(status))
        except OSError as error:
            messages.debug("capture.status_not_written", reason=error.strerror)
