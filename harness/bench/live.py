"""How fast packets may come before the capture loses one: tcpreplay over a pair of interfaces.

The interfaces are in network namespaces of their own, so that nothing else is heard and nothing of
the machine is touched. What was lost is what was sent and is not in the files afterwards: that is
the same for every program that captures, whatever it tells of itself.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osect_harness.bench.measure import Cost, Started
from osect_harness.bench.tools import program
from osect_harness.bench.workloads import Sources, measure, write_workload
from osect_harness.errors import UsageError

NEEDED: Final = ("ip", "tcpreplay", "tcpdump")

DEFAULT_SENSOR: Final = "osect-sensor capture --config {config} --interface {interface}"
TCPDUMP: Final = "tcpdump -n -Z root -B 65536 -i {interface} -w {output}/tcpdump.pcap"
"""With a buffer in the kernel that is as large as the sensor's."""

PRELOADED: Final = 50_000
"""Packets of the capture that is sent again and again, from memory."""

FIRST_RATE: Final = 10_000
HIGHEST_RATE: Final = 10_000_000
STEPS: Final = 4
"""How often the span between the last good rate and the first bad one is halved."""

KEEPS_PACE: Final = 0.95
"""The share of a wanted rate with which the sender still counts as sending at it."""

SETTLE: Final = 1.5
"""Seconds for what is on its way to arrive in the file."""

PATIENCE: Final = 30.0
"""Seconds for a capture to begin and for one to end."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Sending at one rate for a while."""

    wanted: float
    sent: int
    recorded: int
    seconds: float
    octets: int
    cost: Cost

    @property
    def lost(self) -> int:
        """Packets that were sent and not recorded."""
        return max(0, self.sent - self.recorded)

    @property
    def rate(self) -> float:
        """Packets a second that were sent in fact."""
        return self.sent / max(self.seconds, 1e-6)

    @property
    def kept_pace(self) -> bool:
        """Whether the sender reached the rate that was wanted."""
        return self.rate >= KEEPS_PACE * self.wanted

    @property
    def share(self) -> float:
        """Processor time of the capture for each second."""
        return self.cost.cpu / max(self.cost.wall, 1e-6)

    @property
    def megabits(self) -> float:
        """Mbit a second that were sent in fact."""
        return self.octets * 8 / 1e6 / max(self.seconds, 1e-6)


@dataclass(frozen=True, slots=True)
class Found:
    """The fastest that one program could record."""

    best: Trial | None
    """Without a loss; None where even the lowest rate lost packets."""
    limit: str
    """What ended the search: ``loss``, ``sender`` or ``range``."""


def obstacle() -> str:
    """Why this cannot be done here; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in NEEDED if not program(name)]
    if missing:
        return f"{', '.join(missing)}: not installed"
    name = f"osect-probe-{os.getpid()}"
    made = subprocess.run(
        [program("ip"), "netns", "add", name], capture_output=True, text=True, check=False
    )
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    subprocess.run([program("ip"), "netns", "del", name], check=False)
    return ""


def search(trial: Callable[[float], Trial], first: float = FIRST_RATE) -> Found:
    """Double the rate until packets are lost or the sender cannot, then halve the span."""
    best: Trial | None = None
    good, bad = 0.0, 0.0
    rate = first
    while rate <= HIGHEST_RATE:
        one = _undisturbed(trial, rate)
        if one.lost:
            bad = rate
            break
        best, good = one, rate
        if not one.kept_pace:
            return Found(best, "sender")
        rate *= 2
    if not bad:
        return Found(best, "range")
    if best is None:
        return Found(None, "loss")
    for _ in range(STEPS):
        rate = (good + bad) / 2
        one = _undisturbed(trial, rate)
        if one.lost:
            bad = rate
        else:
            best, good = one, rate
    return Found(best, "loss")


def _undisturbed(trial: Callable[[float], Trial], rate: float) -> Trial:
    """A trial; once more where the sender was too slow, which something else may have caused."""
    one = trial(rate)
    return one if one.lost or one.kept_pace else trial(rate)


class Wire:
    """Two namespaces and the pair of interfaces between them."""

    def __init__(self) -> None:
        number = os.getpid()
        self.sender: Final = f"osect-send-{number}"
        self.receiver: Final = f"osect-recv-{number}"
        self.interface: Final = "mirror0"
        self._other: Final = "tap0"

    def make(self) -> None:
        """Make them; remove them again whatever becomes of it."""
        for name in (self.sender, self.receiver):
            self._ip("netns", "add", name)
            # The kernel would send neighbour discovery of its own.
            self._run(name, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
        self._ip(
            "link", "add", self._other, "netns", self.sender,
            "type", "veth", "peer", "name", self.interface, "netns", self.receiver,
        )  # fmt: skip
        for name, interface in ((self.sender, self._other), (self.receiver, self.interface)):
            self._ip("-n", name, "link", "set", interface, "mtu", "9000", "arp", "off", "up")

    def remove(self) -> None:
        """Remove the namespaces, and with them the interfaces."""
        for name in (self.sender, self.receiver):
            subprocess.run(
                [program("ip"), "netns", "del", name], stderr=subprocess.DEVNULL, check=False
            )

    def inside(self, name: str, words: list[str]) -> list[str]:
        """A command within a namespace."""
        return [program("ip"), "netns", "exec", name, *words]

    def listened_to(self) -> bool:
        """Whether somebody captures in the receiver's namespace."""
        done = subprocess.run(
            self.inside(self.receiver, ["cat", "/proc/net/packet"]),
            capture_output=True,
            check=True,
        )
        return len(done.stdout.splitlines()) > 1

    def send(self, capture: Path, rate: float, loops: int) -> tuple[int, float]:
        """Send a capture; returns packets and seconds."""
        done = subprocess.run(
            self.inside(self.sender, [
                program("tcpreplay"), "-i", self._other, f"--pps={rate:.0f}", "--preload-pcap",
                f"--loop={loops}", str(capture),
            ]),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        sent = re.search(r"Successful packets:\s+(\d+)", done.stdout)
        seconds = re.search(r"sent in ([\d.]+) seconds", done.stdout)
        if done.returncode or sent is None or seconds is None:
            said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
            raise UsageError(f"tcpreplay failed: {said}")
        return int(sent.group(1)), float(seconds.group(1))

    def _ip(self, *words: str) -> None:
        done = subprocess.run([program("ip"), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def _run(self, name: str, *words: str) -> None:
        subprocess.run(self.inside(name, list(words)), stderr=subprocess.DEVNULL, check=False)


@contextmanager
def wire() -> Iterator[Wire]:
    """A wire for the time being."""
    one = Wire()
    try:
        one.make()
        yield one
    finally:
        one.remove()


class Recorder:
    """Tries rates with one program that captures."""

    def __init__(
        self, link: Wire, command: str, capture: Path, scratch: Path, seconds: float
    ) -> None:
        self._link: Final = link
        self._command: Final = command
        self._capture: Final = capture
        self._scratch: Final = scratch
        self._seconds: Final = seconds
        made = measure(capture)
        self._packets: Final = made.packets
        self._octets: Final = made.octets

    def trial(self, rate: float) -> Trial:
        """Send at a rate while the program captures, and count what is in its files."""
        directory = self._scratch / "live"
        output = directory / "output"
        output.mkdir(parents=True)
        try:
            started = Started(self._line(directory, output), directory)
            sent, seconds = 0, 0.0
            try:
                ready = self._wait(started)
                if ready:
                    loops = max(1, round(rate * self._seconds / self._packets))
                    sent, seconds = self._link.send(self._capture, rate, loops)
                    time.sleep(SETTLE)
            finally:
                started.interrupt()
                cost = started.finish(PATIENCE)
            if cost.failure or not ready:
                why = cost.failure or "does not begin to capture"
                raise UsageError(f"{self._command}: {why}")
            recorded = sum(measure(path).packets for path in output.rglob("*.pcap"))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        octets = self._octets * sent // self._packets
        return Trial(rate, sent, recorded, seconds, octets, cost)

    def _line(self, directory: Path, output: Path) -> list[str]:
        config = directory / "config.toml"
        config.write_text(
            f'[sensor]\nstate = "{output}/state"\nruntime = "{output}/runtime"\n'
            f'[capture]\nspool = "{output}/spool"\ninterface = "{self._link.interface}"\n'
            "[upload]\nenabled = false\n",
            encoding="utf-8",
        )
        values = {
            "{interface}": self._link.interface, "{output}": str(output), "{config}": str(config)
        }  # fmt: skip
        words = shlex.split(self._command)
        for key, value in values.items():
            words = [word.replace(key, value) for word in words]
        path = program(words[0])
        if not path:
            raise UsageError(f"{words[0]} is not installed: give --sensor")
        return self._link.inside(self._link.receiver, [path, *words[1:]])

    def _wait(self, started: Started) -> bool:
        """Wait until the program listens; False where it does not."""
        end = time.monotonic() + PATIENCE
        while not self._link.listened_to():
            if started.ended or time.monotonic() > end:
                return False
            time.sleep(0.05)
        # Its filter and its buffer are set up after its socket.
        time.sleep(0.5)
        return True


def compare(
    commands: dict[str, str], workload: str, sources: Sources, *, seconds: float,
    first: float, say: Callable[[str], None],
) -> dict[str, Found]:  # fmt: skip
    """Search for the fastest rate of each program."""
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(prefix="osect-live-") as name, wire() as link:
        scratch = Path(name)
        capture = scratch / f"{workload}.pcap"
        with capture.open("wb") as output:
            write_workload(output, workload, PRELOADED, sources)
        for program_name, command in commands.items():
            recorder = Recorder(link, command, capture, scratch, seconds)

            def tried(
                rate: float, name: str = program_name, recorder: Recorder = recorder
            ) -> Trial:
                one = recorder.trial(rate)
                say(
                    f"{name}: {one.rate:,.0f} packets/s: {one.sent:,} sent, {one.lost:,} lost, "
                    f"{one.share:.0%} of a core"
                )
                return one

            found[program_name] = search(tried, first)
    return found
