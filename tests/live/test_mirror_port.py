"""A mirror port of two network namespaces: what tcpreplay sends arrives as the rows of a replay."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from osect_harness.bench.minutes import write_minutes

sys.path.insert(0, str(Path(__file__).parent))
from chain import count
from figures import note
from mirror_port import (
    MirrorPort,
    capture_status,
    captured,
    columns,
    listening,
    stop,
)
from sensor import BUILT, Sensor, members, wait_for

FACTORY = BUILT / "factory_minute.pcap"

TIMED_OUT = ("yaf_flow.log",)

RATES = [int(rate) for rate in os.environ.get("OSECT_RATES", "100000").split(",")]
SECONDS = 5


def test_rows_of_a_capture_over_the_wire_are_those_of_its_replay(
    tmp_path: Path, port: MirrorPort
) -> None:
    """Sent faster than recorded, so the window is one and connections end by nothing but FIN."""
    # One window that holds all: a period long enough that the minute does not end in between.
    sensor = Sensor(
        tmp_path / "sensor",
        ("ip", "netns", "exec", port.sensor),
        sensor__period=3600,
        sensor__report_interval=0,
        capture__interface="eth1",
    )
    capture = sensor.start("capture")
    assert wait_for(lambda: listening(sensor)), sensor.log.read_text()
    port.send(FACTORY, "--topspeed")
    assert wait_for(lambda: captured(sensor, 1877), 30), capture_status(sensor)
    stop(capture)
    assert capture_status(sensor)["dropped_by_kernel"] == 0
    (segment,) = sensor.incoming.iterdir()
    copy = tmp_path / "copy.pcap"
    shutil.copy(segment, copy)
    sensor.call("run", "--until-idle")
    (live,) = [members(data) for data in sensor.archives().values()]
    replayed = tmp_path / "replayed"
    line = [sys.executable, "-m", "osect_sensor", "replay", str(copy), "-o", str(replayed)]
    line += ["--window", "3600", "--report-interval", "0"]
    line += ["--fingerprints", str(sensor.root / "none.fp")]
    subprocess.run(line, check=True, capture_output=True)
    (directory,) = replayed.iterdir()
    recorded = {path.name: path.read_text() for path in directory.iterdir()}
    original = tmp_path / "original"
    line = [sys.executable, "-m", "osect_sensor", "replay", str(FACTORY), "-o", str(original)]
    line += ["--fingerprints", str(sensor.root / "none.fp")]
    subprocess.run(line, check=True, capture_output=True)
    of_capture = {path.name: path.read_text() for path in original.iterdir()}
    for name in recorded:
        if name in ("eve.json", "conn.log", *TIMED_OUT):
            # A sensor goes on where a replay ends all connections.
            continue
        assert columns(live, name) == columns(recorded, name), name
        assert columns(live, name) == columns(of_capture, name), name
    # What has ended is reported in the same words.
    assert set(columns(live, "conn.log")) <= set(columns(recorded, "conn.log"))
    assert columns(recorded, "conn.log") == columns(of_capture, "conn.log")


def test_every_period_has_a_window_also_when_nothing_comes(
    tmp_path: Path, port: MirrorPort
) -> None:
    sensor = Sensor(
        tmp_path / "sensor", ("ip", "netns", "exec", port.sensor), capture__interface="eth1"
    )
    capture = sensor.start("capture")
    run = sensor.start("run")
    assert wait_for(lambda: listening(sensor)), sensor.log.read_text()
    port.send(FACTORY, "--pps=1000")
    assert wait_for(lambda: len(sensor.archives()) >= 7, 30), sensor.log.read_text()
    stop(capture)
    assert wait_for(lambda: not list(sensor.incoming.glob("*.pcap")))
    stop(run)
    starts = [
        time.mktime(time.strptime(name[9:28], "%Y-%m-%d-%H:%M:%S")) for name in sensor.archives()
    ]
    assert starts == [starts[0] + number for number in range(len(starts))]
    packets = json.loads((sensor.root / "run" / "cycle.json").read_text())["packets"]
    assert packets == 1877


def test_capture_comes_back_when_the_interface_does(tmp_path: Path, port: MirrorPort) -> None:
    sensor = Sensor(
        tmp_path / "sensor", ("ip", "netns", "exec", port.sensor), capture__interface="eth1"
    )
    capture = sensor.start("capture")
    assert wait_for(lambda: listening(sensor)), sensor.log.read_text()
    port.send(FACTORY, "--topspeed", "--limit=100")
    assert wait_for(lambda: captured(sensor, 100), 30), capture_status(sensor)
    port.ip("-n", port.sensor, "link", "set", "eth1", "down")
    assert wait_for(lambda: sensor.said("capture.interface_down") == 1), sensor.log.read_text()
    quiet = len(list(sensor.incoming.glob("*.pcap")))
    # The minutes go on while nothing is captured.
    assert wait_for(lambda: len(list(sensor.incoming.glob("*.pcap"))) > quiet + 1)
    port.ip("-n", port.sensor, "link", "set", "eth1", "up")
    begun = time.monotonic()
    while not captured_more(sensor, 100):
        assert time.monotonic() < begun + 30
        port.send(FACTORY, "--pps=100", "--limit=10")
    note("interface down and up", times=1, seconds=round(time.monotonic() - begun, 2))
    assert sensor.said("capture.interface_up") == 1
    stop(capture)


def test_capture_comes_back_when_its_tool_is_killed(tmp_path: Path, port: MirrorPort) -> None:
    sensor = Sensor(
        tmp_path / "sensor", ("ip", "netns", "exec", port.sensor), capture__interface="eth1"
    )
    capture = sensor.start("capture")
    assert wait_for(lambda: listening(sensor)), sensor.log.read_text()
    children = Path(f"/proc/{capture.pid}/task/{capture.pid}/children").read_text().split()
    (tool,) = [child for child in children if b"tcpdump" in command_line(child)]
    os.kill(int(tool), signal.SIGKILL)
    begun = time.monotonic()
    while not captured_more(sensor, 0):
        assert time.monotonic() < begun + 30
        port.send(FACTORY, "--pps=100", "--limit=10")
    note("tcpdump killed", times=1, seconds=round(time.monotonic() - begun, 2))
    assert sensor.said("capture.tool_ended") == 1
    assert sensor.said("capture.started") == 2
    stop(capture)


def captured_more(sensor: Sensor, packets: int) -> bool:
    """Whether more than so many packets are in the files, those that still grow included."""
    return sum(count(path.read_bytes()) for path in sensor.incoming.iterdir()) > packets


@pytest.mark.parametrize("rate", RATES)
def test_no_packet_is_dropped_at_a_high_rate(tmp_path: Path, port: MirrorPort, rate: int) -> None:
    sensor = Sensor(
        tmp_path / "sensor",
        ("ip", "netns", "exec", port.sensor),
        sensor__period=60,
        capture__interface="eth1",
    )
    packets = rate * SECONDS
    many = tmp_path / "many.pcap"
    with many.open("wb") as file:
        write_minutes(file, FACTORY.read_bytes(), packets, 100)
    capture = sensor.start("capture")
    assert wait_for(lambda: listening(sensor)), sensor.log.read_text()
    sent = round(port.send(many, f"--pps={rate}", "--preload-pcap"))
    stop(capture)
    status = capture_status(sensor)
    dropped = int(str(status["dropped_by_kernel"]))
    taken = status["packets"]
    note(f"{rate} packets/s", sent=sent, packets=packets, captured=taken, dropped=dropped)
    if rate <= 100_000:
        assert (taken, dropped) == (packets, 0)


def command_line(process: str) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()
