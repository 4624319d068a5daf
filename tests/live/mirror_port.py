"""A mirror port of two network namespaces, and what a sensor makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensor import Sensor

TIMES = ("ts", "duration", "rtt", "ts_end", "start-time", "end-time", "uid", "tunnel_parents")
"""Columns that depend on when the packets came."""


def missing() -> str:
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for program in ("ip", "tcpdump", "tcpreplay"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = subprocess.run(
        ["ip", "netns", "add", "osect-probe"], capture_output=True, text=True, check=False
    )
    if probe.returncode != 0:
        return f"no network namespaces here: {probe.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", "osect-probe"], check=True)
    return ""


class MirrorPort:
    """Two namespaces and the wire between them."""

    def __init__(self, name: str) -> None:
        self.plant = f"{name}-plant"
        self.sensor = f"{name}-sensor"

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def up(self) -> None:
        for space in (self.plant, self.sensor):
            self.ip("netns", "add", space)
        self.ip(
            "link", "add", "mirror", "mtu", "9000", "netns", self.plant,
            "type", "veth", "peer", "name", "eth1", "mtu", "9000", "netns", self.sensor,
        )  # fmt: skip
        for space, link in ((self.plant, "mirror"), (self.sensor, "eth1")):
            # Nothing but the capture: no neighbor discovery of the kernel's own.
            self.ip("netns", "exec", space, "sysctl", "-qw", f"net.ipv6.conf.{link}.disable_ipv6=1")
            self.ip("-n", space, "link", "set", link, "up")

    def down(self) -> None:
        for space in (self.plant, self.sensor):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    def _line(self, capture: Path, *options: str) -> list[str]:
        line = ["ip", "netns", "exec", self.plant, "tcpreplay", "-q", "-i", "mirror"]
        return [*line, *options, str(capture)]

    def send(self, capture: Path, *options: str) -> float:
        """Send a capture; the packets a second that came about."""
        done = subprocess.run(self._line(capture, *options), check=True, capture_output=True)
        rate = re.search(rb"([\d.]+) pps", done.stdout + done.stderr)
        return 0.0 if rate is None else float(rate[1])

    def begin(self, capture: Path, *options: str) -> subprocess.Popen[bytes]:
        """Send while other things happen."""
        return subprocess.Popen(
            self._line(capture, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@contextmanager
def mirror_port() -> Iterator[MirrorPort]:
    """A port for as long as the context lasts."""
    made = MirrorPort(f"osect{os.getpid()}")
    made.down()
    made.up()
    try:
        yield made
    finally:
        made.down()


def columns(logs: dict[str, str], name: str) -> list[tuple[str, ...]]:
    left: list[int] = []
    found: list[tuple[str, ...]] = []
    for line in logs[name].splitlines():
        if line.startswith(("#fields\t", "#ts\t")):
            names = line.removeprefix("#fields\t").removeprefix("#").split("\t")
            left = [at for at, column in enumerate(names) if column not in TIMES]
        elif line and not line.startswith("#"):
            values = line.split("\t")
            found.append(tuple(values[at] for at in left) if left else tuple(values[1:]))
    return sorted(found)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def capture_status(sensor: Sensor) -> dict[str, object]:
    data = json.loads((sensor.runtime / "capture.json").read_text())
    assert isinstance(data, dict)
    return data


def captured(sensor: Sensor, packets: int) -> bool:
    stream = sensor.runtime / "capture.json"
    return stream.exists() and capture_status(sensor)["packets"] == packets


def listening(sensor: Sensor, process: int = 0) -> bool:
    """Whether packets would be captured now, by the process given if there were others before."""
    path = sensor.runtime / "capture.json"
    if not path.exists():
        return False
    status = capture_status(sensor)
    return status["state"] == "capturing" and process in (0, status["pid"])
