"""The capture process with a tool that only pretends, and with streams."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osect_sensor.config import Capture
from osect_sensor.errors import OsectError
from osect_sensor.service import capture as module
from osect_sensor.service.capture import CaptureProcess, command, find_tool
from osect_sensor.service.files import alone
from osect_sensor.service.segments import list_segments

sys.path.insert(0, str(Path(__file__).parent))
from spool import BUILT, settings, work

FACTORY = BUILT / "factory_minute.pcap"


@pytest.fixture(autouse=True)
def signals_as_they_were() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def status(root: Path) -> dict[str, object]:
    data = json.loads((root / "run" / "capture.json").read_text())
    assert isinstance(data, dict)
    return data


def tool(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "bin" / "tcpdump"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    return path


def test_stream_becomes_the_segments_of_its_own_time(tmp_path: Path) -> None:
    made = settings(tmp_path, period=10)
    assert CaptureProcess(made, "", str(FACTORY)).run() == 0
    segments = list_segments(tmp_path / "spool" / "incoming")
    assert [segment.start // 10**6 % 60 for segment in segments] == [0, 10, 20, 30, 40, 50]
    assert status(tmp_path)["packets"] == 1877
    assert status(tmp_path)["state"] == "stopped"


def test_standard_input_is_a_stream(tmp_path: Path) -> None:
    configuration = tmp_path / "c.toml"
    configuration.write_text(
        f'[sensor]\nperiod = 10\nstate = "{tmp_path}/state"\nruntime = "{tmp_path}/run"\n'
        f'[capture]\nspool = "{tmp_path}/spool"\n[upload]\nenabled = false\n'
    )
    line = [sys.executable, "-m", "osect_sensor", "capture", "--config", str(configuration)]
    with FACTORY.open("rb") as stream:
        subprocess.run([*line, "--read", "-"], stdin=stream, check=True, capture_output=True)
    assert len(list_segments(tmp_path / "spool" / "incoming")) == 6


def test_stream_that_is_no_capture_is_refused_in_words(tmp_path: Path) -> None:
    stream = tmp_path / "text"
    stream.write_text("no capture at all, but long enough")
    with pytest.raises(OsectError, match="does not begin as a pcap file"):
        CaptureProcess(settings(tmp_path), "", str(stream)).run()


def test_without_interface_or_stream_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(OsectError, match=r"set capture\.interface"):
        CaptureProcess(settings(tmp_path), "", "")


def test_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda *words, **more: None)
    with pytest.raises(OsectError, match="tcpdump nor dumpcap is installed"):
        find_tool("auto")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/usr/bin/tcpdump", "-i eth1 -n -U -s 128 -B 2048 -w - not port 22"),
        ("/usr/bin/dumpcap", "-i eth1 -q -P -s 128 -B 2 -w - -f not port 22"),
    ],
)
def test_each_tool_is_told_the_same(program: str, expected: str) -> None:
    chosen = Capture(snapshot_length=128, buffer=2 << 20, filter="not port 22")
    assert " ".join(command(program, chosen, "eth1")) == f"{program} {expected}"


def test_tool_that_ends_is_started_again_and_its_drops_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count = tmp_path / "count"
    path = tool(
        tmp_path,
        f"""
import os, signal, sys, time
runs = len(open({str(count)!r}, "a+").read()) if not open({str(count)!r}, "a").write("x") else 0
sys.stdout.buffer.write(open({str(FACTORY)!r}, "rb").read()[:24])
sys.stdout.flush()
print("tcpdump: listening on eth1", file=sys.stderr)
print("0 packets captured, 9 packets received by filter, 4 packets dropped by kernel",
      file=sys.stderr, flush=True)
if os.path.getsize({str(count)!r}) >= 2:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(30)
print("tcpdump: eth1: That device is not up", file=sys.stderr)
sys.exit(1)
""",
    )
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(module, "_DRAIN", 0.0)
    assert CaptureProcess(settings(tmp_path), "eth1", "").run() == 0
    told = [record.message for record in caplog.records]
    assert "capture.tool_ended" in told
    assert told.count("capture.dropped_by_kernel") == 2
    assert status(tmp_path)["restarts"] == 1
    assert status(tmp_path)["dropped_by_kernel"] == 8
    assert list_segments(tmp_path / "spool" / "incoming")


def test_second_capture_into_the_same_spool_is_refused_and_takes_nothing(tmp_path: Path) -> None:
    made = settings(tmp_path)
    incoming = tmp_path / "spool" / "incoming"
    incoming.mkdir(parents=True)
    growing = incoming / ".000000000001_20260101T000000Z.pcap.partial"
    growing.write_bytes(FACTORY.read_bytes())
    with alone(tmp_path / "spool" / "capture.lock", "osect-sensor capture"):
        with pytest.raises(OsectError, match="another osect-sensor capture is at work"):
            CaptureProcess(made, "", str(FACTORY)).run()
        assert list(incoming.iterdir()) == [growing]
    CaptureProcess(made, "", str(FACTORY)).run()
    assert len(list_segments(incoming)) == 7


def test_numbers_go_on_where_they_were_when_the_spool_was_lost(tmp_path: Path) -> None:
    made = settings(tmp_path, period=60)
    CaptureProcess(made, "", str(FACTORY)).run()
    work(made)
    shutil.rmtree(tmp_path / "spool")
    CaptureProcess(made, "", str(FACTORY)).run()
    (segment,) = list_segments(tmp_path / "spool" / "incoming")
    assert segment.name.startswith("000000000002_")
