"""kill -9 of each process at random moments: what the cloud gets is what it would have got.

``OSECT_KILLS`` says how many times each; releases run it with 200.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sensor import BUILT, Sensor, wait_for

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
