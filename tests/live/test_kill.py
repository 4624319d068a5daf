"""kill -9 of each process at random moments: what the cloud gets is what it would have got.

``OSECT_KILLS`` says how many times each; releases run it with 200.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from figures import note
from sensor import BUILT, Sensor, members, wait_for

KILLS = int(os.environ.get("OSECT_KILLS", "6"))
FACTORY = BUILT / "factory_minute.pcap"


class Cloud:
    """Takes archives out of the queue; the same name must come with the same content."""

    def __init__(self, chance: random.Random) -> None:
        self.got: dict[str, bytes] = {}
        self.doubled = 0
        self._chance = chance

    def take(self, sensor: Sensor, share: float) -> None:
        for name, data in sensor.archives().items():
            if self._chance.random() > share:
                continue
            if name in self.got:
                self.doubled += 1
                assert self.got[name] == data, f"{name} came again with another content"
            self.got[name] = data
            (sensor.queue / name).unlink(missing_ok=True)


def test_run_killed_at_random_moments_loses_and_doubles_no_row(tmp_path: Path) -> None:
    chance = random.Random(0)
    whole = Sensor(tmp_path / "whole")
    whole.seed()
    whole.call("capture", "--read", str(FACTORY))
    sensor = Sensor(tmp_path / "killed")
    sensor.seed()
    shutil.copytree(whole.root / "spool", sensor.root / "spool")
    whole.call("run", "--until-idle")
    segments = sorted(sensor.incoming.iterdir())
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    for segment in segments:
        segment.rename(waiting / segment.name)
    cloud = Cloud(chance)
    kills = 0
    rest = sorted(waiting.iterdir())
    for turn in range(KILLS):
        # A share of the segments for each turn, so that the last kill still finds some.
        share = len(rest) * (turn + 1) // KILLS
        for segment in rest[:share]:
            if segment.exists():
                segment.rename(sensor.incoming / segment.name)
        said = sensor.said("cycle.recovered") if sensor.log.exists() else 0
        process = sensor.start("run")
        if chance.random() < 0.8:
            assert wait_for(
                lambda said=said: sensor.log.exists() and sensor.said("cycle.recovered") > said
            )
            time.sleep(chance.random() * 0.3)
        else:
            time.sleep(chance.random())
        process.kill()
        process.wait()
        kills += 1
        cloud.take(sensor, 0.5)
    sensor.call("run", "--until-idle")
    cloud.take(sensor, 1.0)
    assert cloud.got == whole.archives()
    assert kills == KILLS


def test_capture_killed_at_random_moments_leaves_whole_captures(tmp_path: Path) -> None:
    """What reached the spool is in a window exactly once; nothing is cut inside a packet."""
    chance = random.Random(1)
    sensor = Sensor(tmp_path / "killed")
    sensor.seed()
    data = FACTORY.read_bytes()
    header, records = data[:24], data[24:]
    at = 0
    run = sensor.start("run")
    for _ in range(KILLS):
        process = sensor.start("capture", "--read", "-", stdin=subprocess.PIPE)
        assert process.stdin is not None
        begun = time.monotonic()
        life = chance.random() * 2
        try:
            process.stdin.write(header)
            while time.monotonic() - begun < life and at < len(records):
                length = 16 + int.from_bytes(records[at + 8 : at + 12], "little")
                process.stdin.write(records[at : at + length])
                process.stdin.flush()
                at += length
                time.sleep(0.001)
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    # One more life, and an orderly end.
    rest = tmp_path / "rest.pcap"
    rest.write_bytes(header + records[at:])
    sensor.call("capture", "--read", str(rest))
    assert wait_for(lambda: not list(sensor.incoming.glob("*.pcap")), 60)
    run.terminate()
    assert run.wait(30) == 0
    assert sensor.said("segment.damaged") == 0
    again = Sensor(tmp_path / "again")
    again.seed()
    again.incoming.mkdir(parents=True)
    for segment in sensor.kept.iterdir():
        shutil.copy(segment, again.incoming / segment.name)
    again.call("run", "--until-idle")
    assert sensor.archives() == again.archives()


@pytest.mark.skipif(shutil.which("suricata") is None, reason="Suricata is not installed")
def test_suricata_killed_is_given_its_segment_again(tmp_path: Path) -> None:
    rules = tmp_path / "suricata.rules"
    rules.write_text('alert udp any any -> any 61450 (msg:"cyclic"; dsize:>1; sid:1; rev:1;)\n')
    sensor = Sensor(
        tmp_path / "sensor",
        sensor__period=10,
        suricata__enabled=True,
        suricata__rules=str(rules),
    )
    sensor.call("capture", "--read", str(FACTORY))
    segments = sorted(sensor.incoming.iterdir())
    waiting = [segment.rename(tmp_path / segment.name) for segment in segments]
    run = sensor.start("run")
    try:
        for number, segment in enumerate(waiting):
            begun = time.monotonic()
            if number == 3:
                (child,) = [
                    int(pid)
                    for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
                    if b"suricata" in Path(f"/proc/{pid}/cmdline").read_bytes()
                ]
                os.kill(child, signal.SIGKILL)
            segment.rename(sensor.incoming / segment.name)
            assert wait_for(lambda number=number: len(sensor.archives()) == number + 1, 60)
            if number == 3:
                note("Suricata killed", times=1, seconds=round(time.monotonic() - begun, 2))
    finally:
        run.terminate()
        assert run.wait(30) == 0
    assert sensor.said("suricata.failed") == 1
    assert sensor.said("suricata.events_lost") == 0
    alerts = [members(data)["eve.json"].count('"cyclic"') for data in sensor.archives().values()]
    assert all(alerts), alerts
