"""From the mirror port to the cloud: capture, run and upload as real processes.

The cloud fails, the processes are killed, rules change: the rows that the cloud keeps are those of
a replay. ``OSECT_KILLS`` says how many processes are killed; releases run it with 200.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from minutes import feed
from mirror_port import MirrorPort, columns, listening, mirror_port, missing, stop
from sensor import BUILT, Sensor, members, wait_for

from osect_sensor.generators.suricata import EVE_FILE
from osect_sensor.service.segments import MICROSECONDS, list_segments, segment_name

FACTORY = BUILT / "factory_minute.pcap"
PACKETS = 1877
KILLS = int(os.environ.get("OSECT_KILLS", "6"))
PATIENCE = 120.0

REASON = missing()
needs_namespaces = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture
def port() -> Iterator[MirrorPort]:
    with mirror_port() as made:
        yield made


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with MockCloud(tmp_path / "cloud") as one:
        yield one


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
        settings |= sending_to(cloud) | {
            # Rows of connections come when these end: how often one is reported depends on time.
            "sensor__report_interval": 0,
            "capture__interface": "eth1",
        }
        self.sensor = Sensor(root, **settings)
        self.tap = Sensor(root, ("ip", "netns", "exec", port.sensor), **settings)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        sensor = self.tap if name == "capture" else self.sensor
        process = self.processes[name] = sensor.start(name)
        if name == "capture":
            assert wait_for(lambda: listening(sensor, process.pid), PATIENCE), self.tail()

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
        assert wait_for(lambda: self.waiting() == 0, PATIENCE), self.tail()
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


def count(capture: bytes) -> int:
    """Whole records of a little-endian capture."""
    packets = 0
    at = 24
    while at + 16 <= len(capture):
        at += 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
        packets += at <= len(capture)
    return packets


def replayed(directory: Path, rules: Path | None) -> dict[str, str]:
    line = [sys.executable, "-m", "osect_sensor", "replay", str(FACTORY)]
    (directory / "none.fp").touch()
    line += ["-o", str(directory / "logs"), "--fingerprints", str(directory / "none.fp")]
    if rules is not None:
        line += ["--rules", str(rules)]
    subprocess.run(line, check=True, capture_output=True)
    return {path.name: path.read_text() for path in (directory / "logs").iterdir()}


def kept_rows(cloud: MockCloud, name: str) -> list[tuple[str, ...]]:
    """A log's rows in all windows that the cloud has."""
    rows: list[tuple[str, ...]] = []
    for window in cloud.logs.iterdir():
        rows += columns({name: (window / name).read_text()}, name)
    return sorted(rows)


def events(text: str) -> list[str]:
    """Events of an eve.json without times, and what Suricata numbers as it goes."""
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        for key in ("timestamp", "flow_id", "pcap_cnt"):
            event.pop(key, None)
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


def assert_whole(site: Site, tmp_path: Path, rules: Path | None = None) -> None:
    """All archives are at the cloud once, keep the contract, and have the rows of a replay."""
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
    recorded = replayed(tmp_path, rules)
    kept_events = "".join((window / EVE_FILE).read_text() for window in cloud.logs.iterdir())
    if rules is not None:
        assert '"cyclic"' in kept_events
        assert events(kept_events) == events(recorded[EVE_FILE])
    del recorded[EVE_FILE]
    total = kept_events.count("\n")
    for name in sorted(recorded):
        got = kept_rows(cloud, name)
        total += len(got)
        assert comparable(name, got) == comparable(name, columns(recorded, name)), name
    assert cloud.state()["rows"] == total


@pytest.fixture
def make_site(tmp_path: Path, port: MirrorPort, cloud: MockCloud) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def make(**settings: object) -> Site:
            site = Site(tmp_path / "sensor", port, cloud, **settings)
            stack.callback(site.end)
            return site

        yield make


@needs_namespaces
def test_the_cloud_has_the_rows_of_a_replay_though_it_fails_in_between(
    tmp_path: Path, make_site: Callable[..., Site], cloud: MockCloud
) -> None:
    rules = None
    settings: dict[str, object] = {}
    if shutil.which("suricata") is not None:
        rules = tmp_path / "suricata.rules"
        rules.write_text('alert udp any any -> any 61450 (msg:"cyclic"; sid:1; rev:1;)\n')
        # It takes up to two seconds for a window.
        settings = {"suricata__enabled": True, "suricata__rules": str(rules), "sensor__period": 5}
    site = make_site(**settings)
    for name in ("capture", "run", "upload"):
        site.start(name)
    assert cloud.wait_for(lambda one: len(one.kept()) > 0, PATIENCE), site.tail()
    for _ in range(2):
        cloud.inject("status", status=503, retry_after="1")
        cloud.inject("reset", octets=1000)
        cloud.inject("lost-response")
    site.port.send(FACTORY, "--pps=400")
    assert wait_for(lambda: site.spooled(PACKETS), PATIENCE), site.tail()
    site.finish()
    assert cloud.faults.injected == {"status": 2, "reset": 2, "lost-response": 2}
    outcomes = [event.outcome for event in cloud.events("archive")]
    assert outcomes.count("status") == outcomes.count("reset") == outcomes.count("again") == 2
    assert_whole(site, tmp_path, rules)


@needs_namespaces
def test_processes_killed_in_turn_lose_and_invent_no_row(
    tmp_path: Path, make_site: Callable[..., Site], cloud: MockCloud
) -> None:
    site = make_site()
    names = ("capture", "run", "upload")
    for name in names:
        site.start(name)
    edges = [PACKETS * part // (KILLS + 1) for part in range(KILLS + 2)]
    parts = [cut(tmp_path, begin, end) for begin, end in itertools.pairwise(edges)]
    site.port.send(parts[0], "--pps=1000")
    for number, part in enumerate(parts[1:]):
        # Capture has all of it in hand; what comes while it is dead nobody sees.
        assert wait_for(lambda sent=edges[number + 1]: site.spooled(sent), PATIENCE), site.tail()
        name = names[number % len(names)]
        if name == "run":
            assert wait_for(lambda: site.waiting() > 0, PATIENCE), site.tail()
        elif name == "upload":
            seen = len(cloud.events())
            assert cloud.wait_for(lambda one, seen=seen: len(one.events()) > seen, PATIENCE)
        site.kill(name)
        site.start(name)
        site.port.send(part, "--pps=1000")
    assert wait_for(lambda: site.spooled(PACKETS), PATIENCE), site.tail()
    site.finish()
    assert_whole(site, tmp_path)


def cut(directory: Path, begin: int, end: int) -> Path:
    """The packets from ``begin`` to before ``end`` as a capture."""
    data = FACTORY.read_bytes()
    edges = [24]
    while edges[-1] < len(data):
        edges.append(
            edges[-1] + 16 + int.from_bytes(data[edges[-1] + 8 : edges[-1] + 12], "little")
        )
    path = directory / f"{begin}.pcap"
    path.write_bytes(data[:24] + data[edges[begin] : edges[end]])
    return path


needs_suricata = pytest.mark.skipif(
    shutil.which("suricata") is None or shutil.which("suricata-update") is None,
    reason="needs suricata and suricata-update",
)


def publish(directory: Path, version: str, *signatures: str) -> str:
    """Put a tarball of rules and its version there; its URL."""
    text = "".join(
        f'alert tcp any any -> any any (msg:"{signature}"; flags:S; sid:{number}; rev:1;)\n'
        for number, signature in enumerate(signatures, 1)
    ).encode()
    directory.mkdir(exist_ok=True)
    path = directory / "plant.rules.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("rules/plant.rules")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    (directory / "version.txt").write_text(version + "\n")
    return path.as_uri()


@needs_suricata
def test_new_rules_match_in_a_later_window_and_the_cloud_is_told(
    tmp_path: Path, cloud: MockCloud
) -> None:
    root = tmp_path / "sensor"
    settings = sending_to(cloud) | {
        "sensor__period": 60,
        "sensor__report_interval": 60,
        "suricata__enabled": True,
        "suricata__rules": str(root / "state" / "rules" / "current" / "suricata.rules"),
    }
    sensor = Sensor(root, **settings)
    url = publish(tmp_path / "rules", "1", "old")
    sensor.call("rules", "update", "--url", url)
    run = sensor.start("run")
    alerts: list[set[str]] = []

    def enough(minutes: int) -> bool:
        archives = list(sensor.archives().values())
        assert len(archives) == minutes
        if archives:
            alerts.append(signatures(members(archives[-1])["eve.json"]))
        if minutes == 2:
            publish(tmp_path / "rules", "2", "old", "new")
            sensor.call("rules", "update", "--url", url)
        # Loading takes some moments, in which windows go on with the old rules.
        return minutes == 60 or (minutes > 2 and "new" in alerts[-1])

    try:
        feed(sensor, enough)
    finally:
        stop(run)
    assert alerts[:2] == [{"old"}, {"old"}]
    assert alerts[-1] == {"old", "new"}
    assert all("old" in found for found in alerts)
    assert sensor.said("suricata.rules_loaded_anew") == 1
    status = json.loads((root / "run" / "cycle.json").read_text())["suricata"]
    assert (status["starts"], status["rules_loaded"], status["rules_failed"]) == (1, 2, 0)
    sensor.call("upload", "--once")
    (event,) = cloud.events("rule-status")
    assert (event.fields["signature"], event.fields["message"]) == ("2", "success")


def signatures(events: str) -> set[str]:
    """What the alerts of an eve.json are called."""
    found = [json.loads(line) for line in events.splitlines()]
    return {event["alert"]["signature"] for event in found if event["event_type"] == "alert"}
