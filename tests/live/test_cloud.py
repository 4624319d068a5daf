"""From the mirror port to the cloud: capture, run and upload as real processes.

The cloud fails, the processes are killed, rules change: the rows that the cloud keeps are those of
a replay. ``OSECT_KILLS`` says how many processes are killed; releases run it with 200.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import FACTORY, PACKETS, PATIENCE, Site, assert_whole, count, sending_to
from figures import note
from minutes import feed
from mirror_port import capture_status, stop
from sensor import ROOT, Sensor, members, wait_for

SHARED = Path(os.environ.get("OSECT_SHARED", ROOT.parent / "shared"))
PLANT = SHARED / "captures" / "gopacket__gopacket" / "layers__testdata__cip.pcap"
KILLS = int(os.environ.get("OSECT_KILLS", "6"))


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


def with_times(capture: Path, path: Path, rate: int) -> Path:
    """A capture with packets at an even rate instead of when they were recorded."""
    moved = bytearray(capture.read_bytes())
    at, number = 24, 0
    while at < len(moved):
        second, fraction = divmod(number * 1_000_000 // rate, 1_000_000)
        moved[at : at + 4] = (1_700_000_000 + second).to_bytes(4, "little")
        moved[at + 4 : at + 8] = fraction.to_bytes(4, "little")
        at += 16 + int.from_bytes(moved[at + 8 : at + 12], "little")
        number += 1
    path.write_bytes(moved)
    return path


@pytest.mark.skipif(not PLANT.is_file(), reason=f"{PLANT} is not there")
@pytest.mark.parametrize("rate", [100_000, 0], ids=["100,000 packets/s", "as recorded"])
def test_the_cloud_has_the_rows_of_a_replay_of_a_real_plant(
    tmp_path: Path, make_site: Callable[..., Site], rate: int
) -> None:
    """CIP and Modbus devices, engineering stations and SMB: 26,068 packets in three minutes."""
    if rate == 0 and "OSECT_LONG_TESTS" not in os.environ:
        pytest.skip("takes three minutes: set OSECT_LONG_TESTS")
    site = make_site(sensor__period=10)
    for name in ("capture", "run", "upload"):
        site.start(name)
    site.port.send(PLANT, *([f"--pps={rate}", "--preload-pcap"] if rate else []))
    assert wait_for(lambda: site.spooled(count(PLANT.read_bytes())), PATIENCE), site.tail()
    status = capture_status(site.sensor)
    assert status["dropped_by_kernel"] == 0
    site.finish()
    if rate:
        sent = with_times(PLANT, tmp_path / "sent.pcap", rate)
        assert_whole(site, tmp_path, captures=(sent,))
    else:
        # tcpreplay is not exact over minutes: when flows end is compared by what was captured.
        captured = sorted(path for path in site.sensor.kept.iterdir() if path.stat().st_size > 24)
        assert_whole(site, tmp_path, captures=tuple(captured))
        assert_whole(site, tmp_path, captures=(PLANT,), without=("conn.log", "yaf_flow.log"))
    packets = sum(count(path.read_bytes()) for path in site.sensor.kept.iterdir())
    note("a real plant", rate=rate, packets=packets, rows=site.cloud.state()["rows"])


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
