"""kill -9 of capture, run and upload at random moments, while packets come and archives go.

``OSECT_KILLS`` says how many there are; releases run it with 200.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import Site, assert_all_arrived, assert_same_rows, count, traffic, undisturbed
from figures import note, spread
from mirror_port import listening
from sensor import wait_for

from osect_sensor.service.files import read_json

KILLS = int(os.environ.get("OSECT_KILLS", "6"))
NAMES = ("capture", "run", "upload")


class Recovery:
    """How long a process that was killed takes until it does its work again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._waiting: dict[str, tuple[float, Callable[[], bool]]] = {}
        self.seconds: dict[str, list[float]] = {name: [] for name in NAMES}

    def begin(self, name: str, process: int) -> None:
        site = self._site
        if name == "capture":

            def works() -> bool:
                return listening(site.sensor, process)
        else:
            word = site.sensor.root / "run" / ("cycle.json" if name == "run" else "upload.json")

            def works() -> bool:
                told = read_json(word) or {}
                # The uploader leaves word after a pass.
                return told.get("pid") == process and told.get("state") not in (
                    "starting",
                    "recovering",
                )

        self._waiting[name] = (time.monotonic(), works)

    def forget(self, name: str) -> None:
        """It was killed once more before."""
        self._waiting.pop(name, None)

    def look(self) -> None:
        for name, (begun, works) in list(self._waiting.items()):
            if works():
                del self._waiting[name]
                self.seconds[name].append(time.monotonic() - begun)


def test_processes_killed_at_random_moments_lose_and_invent_no_row(
    tmp_path: Path, make_site: Callable[..., Site], cloud: MockCloud
) -> None:
    chance = random.Random(KILLS)
    # Silent connections end after five minutes: the warm-up covers them all, as it does by default.
    settings: dict[str, object] = {
        "sensor__period": 5, "sensor__report_interval": 5, "recovery__warm_up": 330
    }  # fmt: skip
    if shutil.which("suricata") is not None:
        rules = tmp_path / "suricata.rules"
        rules.write_text('alert udp any any -> any 61450 (msg:"cyclic"; sid:1; rev:1;)\n')
        settings |= {"suricata__enabled": True, "suricata__rules": str(rules)}
    site = make_site(**settings)
    site.sensor.seed()
    for name in NAMES:
        site.start(name)
    # Uploads take a while, so that kills find them under way.
    cloud.inject("slow", times=0, seconds=0.05)
    kills: Counter[str] = Counter()
    recovery = Recovery(site)
    with traffic(site, tmp_path, 10 * (KILLS + 20)):
        for _ in range(KILLS):
            end = time.monotonic() + chance.uniform(0.2, 6.0)
            while time.monotonic() < end:
                recovery.look()
                time.sleep(0.05)
            name = chance.choice(NAMES)
            kills[name] += 1
            site.kill(name)
            recovery.forget(name)
            recovery.begin(name, site.start(name, wait=False))
        assert wait_for(lambda: listening(site.sensor, site.processes["capture"].pid))
        time.sleep(1)
    cloud.faults.clear()
    site.finish()
    assert_all_arrived(site)
    expected = undisturbed(site, tmp_path / "undisturbed", **settings)
    rows = assert_same_rows(site, expected)
    outcomes = Counter(event.outcome for event in cloud.events("archive"))
    note(
        "kill -9 at random moments",
        kills=dict(kills),
        packets=sum(count(path.read_bytes()) for path in site.sensor.kept.iterdir()),
        archives=len(expected),
        rows=rows,
        archives_twice=outcomes["again"],
        made_again=site.sensor.log.read_text().count("archive.written") - len(expected),
        seconds={name: spread(seconds) for name, seconds in recovery.seconds.items()},
        suricata="suricata__enabled" in settings,
    )
    assert site.sensor.said("segment.set_aside") == 0
    assert sum(kills.values()) == KILLS
