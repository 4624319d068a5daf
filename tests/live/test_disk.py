"""The power fails, or the disk is full: on a file system of its own, with real processes.

``OSECT_POWER_CUTS`` says how often the power fails.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import (
    PATIENCE,
    Site,
    assert_all_arrived,
    assert_same_rows,
    count,
    traffic,
    undisturbed,
)
from figures import note, spread
from mirror_port import capture_status
from sensor import wait_for
from small_disk import SmallDisk, missing, small_disk

CUTS = int(os.environ.get("OSECT_POWER_CUTS", "2"))
NAMES = ("capture", "run", "upload")
SETTINGS: dict[str, object] = {
    "sensor__period": 2, "sensor__report_interval": 2, "recovery__warm_up": 30
}  # fmt: skip

REASON = missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path, 32) as one:
        yield one


def place(site: Site, tmp_path: Path) -> None:
    """What the site says outlives its disk."""
    site.sensor.log = site.tap.log = tmp_path / "log"


def packets(site: Site) -> int:
    return sum(count(path.read_bytes()) for path in site.sensor.kept.iterdir())


def test_power_that_fails_at_random_moments_costs_no_row_of_what_was_on_the_disk(
    tmp_path: Path, make_site: Callable[..., Site], cloud: MockCloud, disk: SmallDisk
) -> None:
    chance = random.Random(CUTS)
    runtime = tmp_path / "run"
    site = make_site(disk.place / "sensor", sensor__runtime=str(runtime), **SETTINGS)
    place(site, tmp_path)
    site.sensor.seed()
    os.sync()
    seconds: list[float] = []
    with traffic(site, tmp_path, 20 * (CUTS + 3)):
        for number in range(CUTS + 1):
            begun = time.monotonic()
            recovered = site.said("cycle.recovered")
            for name in NAMES:
                site.start(name, wait=False)
            capture = site.processes["capture"].pid
            assert wait_for(lambda capture=capture: site.listening(capture), PATIENCE), site.tail()
            assert wait_for(
                lambda recovered=recovered: site.said("cycle.recovered") > recovered, PATIENCE
            ), site.tail()
            if number:
                seconds.append(time.monotonic() - begun)
            time.sleep(chance.uniform(1.0, 8.0))
            if number == CUTS:
                break
            disk.fail()
            site.end()
            disk.again()
            shutil.rmtree(runtime)
    site.finish()
    assert_all_arrived(site)
    expected = undisturbed(site, tmp_path / "undisturbed", **SETTINGS)
    rows = assert_same_rows(site, expected)
    assert site.said("segment.set_aside") == site.said("checkpoint.unusable") == 0
    outcomes = [event.outcome for event in cloud.events("archive")]
    note(
        "power cut",
        times=CUTS,
        archives=len(expected),
        rows=rows,
        packets=packets(site),
        archives_twice=outcomes.count("again"),
        seconds=spread(seconds),
    )


def test_full_disk_is_survived_and_windows_go_on_once_there_is_room(
    tmp_path: Path, make_site: Callable[..., Site], cloud: MockCloud, disk: SmallDisk
) -> None:
    site = make_site(disk.place / "sensor", **SETTINGS)
    place(site, tmp_path)
    site.sensor.seed()
    for name in NAMES:
        site.start(name)
    runtime = site.sensor.root / "run"
    with traffic(site, tmp_path, 60):
        assert cloud.wait_for(lambda one: len(one.kept()) > 1, PATIENCE), site.tail()
        filler = disk.fill()
        # Capture has no room for packets, and windows none for logs.
        assert wait_for(lambda: site.said("capture.disk_full") > 0, PATIENCE), site.tail()
        assert wait_for(lambda: site.said("cycle.failed") > 2, PATIENCE), site.tail()
        time.sleep(3)
        before = capture_status(site.sensor)["packets"]
        windows = len(cloud.kept())
        begun = time.monotonic()
        filler.unlink()
        assert wait_for(lambda: int(str(capture_status(site.sensor)["packets"])) > int(str(before)))
        captures_after = time.monotonic() - begun
        assert cloud.wait_for(lambda one: len(one.kept()) > windows, PATIENCE), site.tail()
        windows_after = time.monotonic() - begun
        assert all(site.processes[name].poll() is None for name in NAMES)
    site.finish()
    assert_all_arrived(site)
    status = json.loads((runtime / "capture.json").read_text())
    # Each packet that was captured is in a window, and each that was not is counted.
    assert status["packets"] == packets(site)
    assert status["lost_packets"] > 0
    expected = undisturbed(site, tmp_path / "undisturbed", **SETTINGS)
    rows = assert_same_rows(site, expected)
    note(
        "disk full",
        times=1,
        archives=len(expected),
        rows=rows,
        packets=status["packets"],
        packets_counted_as_lost=status["lost_packets"],
        seconds={
            "capture": round(captures_after, 2),
            "window at the cloud": round(windows_after, 2),
        },
    )
