"""Each fault of the cloud, and how long the real uploader takes to be through once it is over.

It waits as it does by default: two seconds after the first failure, doubling. ``OSECT_FAULTS`` says
how often each occurs in a row.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import sending_to
from figures import note, spread
from mirror_port import stop
from sensor import Sensor, wait_for

TIMES = int(os.environ.get("OSECT_FAULTS", "1"))
PATIENCE = 120.0


def of_upload(name: str) -> ModuleType:
    """A module of the tests of the uploader."""
    path = Path(__file__).parents[1] / "upload" / name
    spec = importlib.util.spec_from_file_location(f"upload_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = of_upload("conftest.py")
FAULTS: dict[str, dict[str, Any]] = {
    name: dict(fault) for name, fault in of_upload("test_fault_matrix.py").FAULTS.items()
}
for fault in FAULTS.values():
    if fault.get("retry_after"):
        # What the cloud asks for is waited for, by the seconds: shown elsewhere.
        fault["retry_after"] = "2"
    if fault["kind"] in ("stall", "late-response"):
        fault["seconds"] = 4


def put(sensor: Sensor, minute: int) -> str:
    """Put a minute's archive into the queue, as ``run`` does."""
    name: str = MADE.archive_name(minute)
    hidden = sensor.queue / f".{name}"
    hidden.write_bytes(MADE.archive(MADE.window(minute)))
    hidden.rename(sensor.queue / name)
    return name


def test_uploader_is_through_soon_after_each_fault(tmp_path: Path) -> None:
    with MockCloud(tmp_path / "cloud") as cloud:
        settings = sending_to(cloud)
        settings |= {"upload__read_timeout": 2, "upload__backoff": 2, "upload__backoff_limit": 300}
        sensor = Sensor(tmp_path / "sensor", **settings)
        sensor.queue.mkdir(parents=True)
        process = sensor.start("upload")
        minute = 0
        names: list[str] = []
        try:
            for title, values in FAULTS.items():
                kind = values["kind"]
                anywhere = kind == "slow" or kind.startswith("tls-")
                before = cloud.faults.injected.get(kind, 0)
                befallen = MADE.archive_name(minute + 1)
                cloud.inject(times=TIMES, name="*" if anywhere else befallen, **values)
                batch = [put(sensor, minute + number) for number in range(3)]
                minute += 3
                names += batch

                def over(kind: str = kind, wanted: int = before + TIMES) -> bool:
                    return cloud.faults.injected.get(kind, 0) == wanted

                assert wait_for(over, PATIENCE), f"{title}: {cloud.faults.injected}"
                begun = time.monotonic()
                assert cloud.wait_for(
                    lambda one, batch=batch: set(batch) <= set(one.kept()), PATIENCE
                ), title
                arrived = time.monotonic() - begun
                assert wait_for(lambda: not list(sensor.queue.glob("realtime-*")), PATIENCE)
                note(f"cloud: {title}", times=TIMES, seconds=round(arrived, 2))
            # The cloud is gone for a while, and archives pile up.
            cloud.stop()
            batch = [put(sensor, minute + number) for number in range(20)]
            names += batch
            time.sleep(5 * TIMES)
            cloud.start()
            begun = time.monotonic()
            assert cloud.wait_for(lambda one: set(batch) <= set(one.kept()), PATIENCE)
            note("cloud: gone", times=1, seconds=round(time.monotonic() - begun, 2))
            # The uploader is killed; the time is that of its start.
            seconds = []
            for number in range(3):
                process.kill()
                process.wait()
                begun = time.monotonic()
                process = sensor.start("upload")
                names.append(put(sensor, minute + 20 + number))
                assert cloud.wait_for(lambda one: names[-1] in one.kept(), PATIENCE)
                seconds.append(time.monotonic() - begun)
            note("upload killed", times=3, seconds=spread(seconds))
            assert wait_for(lambda: not list(sensor.queue.glob("realtime-*")), PATIENCE)
        finally:
            stop(process)
        assert sorted(cloud.kept()) == names
        assert sorted(path.name for path in (tmp_path / "sensor/state/uploaded").iterdir()) == names
        assert not (tmp_path / "sensor/state/quarantine").exists()
        outcomes = {event.outcome for event in cloud.events("archive")}
        assert "conflict" not in outcomes
        assert cloud.state()["rows"] == 60 * len(names)
        assert [event.total for event in cloud.events("archive") if event.total] == []
