"""A sensor at a mirror port with a cloud, and whether the cloud has what it should have."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror_port import MirrorPort, columns, listening, stop
from osect_harness.bench.minutes import write_minutes
from osect_harness.cloud import MockCloud
from sensor import BUILT, ROOT, Sensor, members, wait_for

from osect_sensor.generators.suricata import EVE_FILE
from osect_sensor.service.segments import MICROSECONDS, list_segments, segment_name

FACTORY = BUILT / "factory_minute.pcap"
PACKETS = 1877
PATIENCE = 120.0
BACKLOG = 1200.0


def sending_to(cloud: MockCloud) -> dict[str, object]:
    """Settings of a sensor that knows the cloud and waits for nothing long."""
    return {
        "sensor__label_id": "plant-3",
        "upload__enabled": True,
        "upload__host": cloud.address,
        "upload__ca": str(cloud.certificates.ca),
        "upload__client_pem": str(cloud.certificates.client),
        "upload__read_timeout": 10,
        "upload__backoff": 1,
        "upload__backoff_limit": 1,
    }


class Site:
    """A sensor at a mirror port: three processes, of which one is in the port's namespace."""

    def __init__(self, root: Path, port: MirrorPort, cloud: MockCloud, **settings: object) -> None:
        self.port = port
        self.cloud = cloud
        # Rows of connections come when these end: how often one is reported depends on time.
        settings = {"sensor__report_interval": 0} | settings
        settings |= sending_to(cloud) | {"capture__interface": "eth1"}
        self.sensor = Sensor(root, **settings)
        self.tap = Sensor(root, ("ip", "netns", "exec", port.sensor), **settings)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, wait: bool = True) -> int:
        """Start a process, wait until capture listens; its id."""
        sensor = self.tap if name == "capture" else self.sensor
        process = self.processes[name] = sensor.start(name)
        if name == "capture" and wait:
            assert wait_for(lambda: listening(sensor, process.pid), PATIENCE), self.tail()
        return process.pid

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        assert process.wait() == -signal.SIGKILL

    def stop(self, name: str) -> None:
        stop(self.processes.pop(name))

    def end(self) -> None:
        """Leave no process behind, whatever has happened."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def tail(self) -> str:
        return self.sensor.log.read_text()[-5000:]

    def said(self, event: str) -> int:
        return self.sensor.said(event) if self.sensor.log.exists() else 0

    def listening(self, process: int) -> bool:
        return listening(self.sensor, process)

    def waiting(self) -> int:
        return len(list_segments(self.sensor.incoming))

    def spooled(self, packets: int) -> bool:
        """Whether so many packets are in the spool, files that still grow included."""
        found: dict[str, int] = {}
        for directory in (self.sensor.incoming, self.sensor.kept):
            for path in directory.iterdir():
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    # It moved on: counted next time.
                    return False
                name = path.name.removeprefix(".").partition(".")[0]
                found[name] = max(found.get(name, 0), count(data))
        return sum(found.values()) == packets

    def finish(self) -> None:
        """End capture, let an hour pass in which all connections end, and send the rest."""
        self.stop("capture")
        # Suricata takes two seconds for each window that kills have held up.
        assert wait_for(lambda: self.waiting() == 0, BACKLOG), self.tail()
        last = list_segments(self.sensor.kept)[-1]
        later = segment_name(int(last.name[:12]) + 1, last.start + 3600 * MICROSECONDS)
        hidden = self.sensor.incoming / ".later"
        hidden.write_bytes(FACTORY.read_bytes()[:24])
        hidden.rename(self.sensor.incoming / later)
        assert wait_for(lambda: self.waiting() == 0, PATIENCE), self.tail()
        queue = self.sensor.queue
        assert wait_for(lambda: not list(queue.glob("realtime-*")), PATIENCE), self.tail()
        self.stop("run")
        self.stop("upload")

    def written(self) -> list[str]:
        """Names of the archives that ``run`` told of, a killed one's second time left out."""
        lines = [
            line for line in self.sensor.log.read_text().splitlines() if "archive.written" in line
        ]
        names = [word for line in lines for word in line.split() if word.startswith("file=")]
        return sorted({name.removeprefix("file=").strip('"') for name in names})


RATE = 200
"""Packets a second of traffic that goes on."""


@contextmanager
def traffic(site: Site, directory: Path, seconds: int) -> Iterator[None]:
    """Plants' minutes one after the other, each with connections of its own."""
    endless = directory / "endless.pcap"
    with endless.open("wb") as file:
        write_minutes(file, FACTORY.read_bytes(), RATE * seconds, 1)
    process = site.port.begin(endless, f"--pps={RATE}")
    try:
        yield
        assert process.poll() is None, "the traffic ended before the test"
    finally:
        process.kill()
        process.wait()


def count(capture: bytes) -> int:
    """Whole records of a little-endian capture."""
    packets = 0
    at = 24
    while at + 16 <= len(capture):
        at += 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
        packets += at <= len(capture)
    return packets


def undisturbed(site: Site, root: Path, **settings: object) -> dict[str, bytes]:
    """The archives that one process makes of the captures that a site's sensor has kept."""
    sensor = Sensor(root, **settings)
    sensor.seed()
    sensor.incoming.mkdir(parents=True)
    for segment in site.sensor.kept.iterdir():
        shutil.copy(segment, sensor.incoming / segment.name)
    process = sensor.start("run", "--until-idle")
    assert process.wait(3600) == 0, sensor.log.read_text()[-3000:]
    return sensor.archives()


def assert_same_rows(site: Site, expected: dict[str, bytes]) -> int:
    """The cloud has these windows and no others, with these rows; how many they are."""
    cloud = site.cloud
    assert sorted(path.name for path in cloud.archives.iterdir()) == sorted(expected)
    for name, archive in expected.items():
        kept, made = members((cloud.archives / name).read_bytes()), members(archive)
        assert events(kept.pop(EVE_FILE), FLOWS) == events(made.pop(EVE_FILE), FLOWS), name
        assert kept == made, name
    return int(cloud.state()["rows"])


def replayed(directory: Path, rules: Path | None, *captures: Path) -> dict[str, str]:
    line = [sys.executable, "-m", "osect_sensor", "replay", *map(str, captures)]
    (directory / "none.fp").touch()
    output = directory / f"logs-{len(captures)}-{captures[0].name}"
    line += ["-o", str(output), "--fingerprints", str(directory / "none.fp")]
    if rules is not None:
        line += ["--rules", str(rules)]
    subprocess.run(line, check=True, capture_output=True, cwd=ROOT)
    return {path.name: path.read_text() for path in output.iterdir()}


def kept_rows(cloud: MockCloud, name: str) -> list[tuple[str, ...]]:
    """A log's rows in all windows that the cloud has."""
    rows: list[tuple[str, ...]] = []
    for window in cloud.logs.iterdir():
        rows += columns({name: (window / name).read_text()}, name)
    return sorted(rows)


FLOWS = ("flow_id", "pcap_cnt")
"""What Suricata numbers as it goes: another run has other numbers."""


def events(text: str, without: tuple[str, ...] = ("timestamp", *FLOWS)) -> list[str]:
    """Events of an eve.json but for some of their values."""
    found = [json.loads(line) for line in text.splitlines()]
    # When Suricata gives up a flow whose end nobody saw depends on a clock of its own.
    found = [event for event in found if event.get("pkt_src") != "stream (flow timeout)"]
    for event in found:
        for key in without:
            event.pop(key, None)
        if "timestamp" in without:
            event.get("flow", {}).pop("start", None)
    return sorted(json.dumps(event, sort_keys=True) for event in found)


def comparable(name: str, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows as they would be whatever the windows, and whenever the capture had ended."""
    if name == "yaf_flow.log":
        # Why a flow ended: a replay's end is the capture's, a sensor waits.
        return sorted(row[:-1] for row in rows)
    if name.startswith("cclink-"):
        # A window's row counts the frames of a kind.
        counts: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            counts[row[:-1]] += int(row[-1])
        return sorted((*row, str(number)) for row, number in counts.items())
    return rows


def assert_all_arrived(site: Site) -> None:
    """All archives are at the cloud once, and keep the contract."""
    cloud = site.cloud
    written = site.written()
    assert sorted(cloud.kept()) == written
    assert sorted(path.name for path in cloud.archives.iterdir()) == written
    uploaded = site.sensor.root / "state" / "uploaded"
    assert sorted(path.name for path in uploaded.iterdir()) == written
    requests = cloud.events("archive")
    taken = [event for event in requests if event.outcome in ("kept", "again")]
    assert {(event.label_id, event.client) for event in taken} == {("plant-3", "sensor")}
    assert [event for event in requests if event.outcome in ("conflict", "refused")] == []
    assert [event.violations for event in requests if event.total] == []


def assert_whole(
    site: Site,
    tmp_path: Path,
    rules: Path | None = None,
    captures: tuple[Path, ...] = (FACTORY,),
    without: tuple[str, ...] = (),
) -> None:
    """All archives are at the cloud once, keep the contract, and have the rows of a replay.

    ``without`` names logs that are not compared.
    """
    assert_all_arrived(site)
    cloud = site.cloud
    recorded = replayed(tmp_path, rules, *captures)
    kept_events = "".join((window / EVE_FILE).read_text() for window in cloud.logs.iterdir())
    if rules is not None:
        assert '"cyclic"' in kept_events
        assert events(kept_events) == events(recorded[EVE_FILE])
    del recorded[EVE_FILE]
    total = kept_events.count("\n")
    for name in sorted(recorded):
        got = kept_rows(cloud, name)
        total += len(got)
        if name not in without:
            assert comparable(name, got) == comparable(name, columns(recorded, name)), name
    assert cloud.state()["rows"] == total
