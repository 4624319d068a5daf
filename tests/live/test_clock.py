"""The clock is set forward, and back: by the times of a stream, which are capture's clock then."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import FACTORY, assert_same_rows, count, sending_to, undisturbed
from figures import note
from mirror_port import stop
from sensor import Sensor, wait_for

SETTINGS: dict[str, object] = {"sensor__period": 10, "sensor__report_interval": 10}
JUMPS = {"set forward by ten minutes": 600, "set back by an hour": -3600}
PATIENCE = 120.0


def records(data: bytes, shift: int) -> bytes:
    """The records of a little-endian capture, all later by so many seconds."""
    moved = bytearray(data)
    at = 24
    while at < len(moved):
        second = int.from_bytes(moved[at : at + 4], "little") + shift
        moved[at : at + 4] = second.to_bytes(4, "little")
        at += 16 + int.from_bytes(moved[at + 8 : at + 12], "little")
    return bytes(moved[24:])


def test_each_packet_is_in_a_window_whatever_the_clock_does(tmp_path: Path) -> None:
    data = FACTORY.read_bytes()
    with MockCloud(tmp_path / "cloud") as cloud:
        sensor = Sensor(tmp_path / "sensor", **SETTINGS, **sending_to(cloud))
        sensor.seed()
        capture = sensor.start("capture", "--read", "-", stdin=subprocess.PIPE)
        others = [sensor.start(name) for name in ("run", "upload")]
        stream = capture.stdin
        assert stream is not None
        try:
            stream.write(data)
            stream.flush()
            assert cloud.wait_for(lambda one: len(one.kept()) >= 5, PATIENCE)
            shift = 60
            for title, jump in JUMPS.items():
                shift += jump
                begun = time.monotonic()
                before = len(cloud.kept())
                stream.write(records(data, shift))
                stream.flush()
                # Also those without packets in between; a minute of windows is behind the jump.
                between = max(jump, 0) // 10
                assert cloud.wait_for(
                    lambda one, wanted=before + between + 5: len(one.kept()) >= wanted, PATIENCE
                ), sensor.log.read_text()[-3000:]
                note(f"clock {title}", times=1, seconds=round(time.monotonic() - begun, 2))
                shift += 60
            stream.close()
            assert capture.wait(60) == 0
            assert wait_for(lambda: not list(sensor.incoming.glob("*.pcap")), PATIENCE)
            assert wait_for(lambda: not list(sensor.queue.glob("realtime-*")), PATIENCE)
        finally:
            for process in others:
                stop(process)
            if capture.poll() is None:
                capture.kill()
        kept = sum(count(path.read_bytes()) for path in sensor.kept.iterdir())
        assert kept == 3 * count(data)
        site = SimpleNamespace(sensor=sensor, cloud=cloud)
        expected = undisturbed(site, tmp_path / "undisturbed", **SETTINGS)  # type: ignore[arg-type]
        assert assert_same_rows(site, expected) > 0  # type: ignore[arg-type]
