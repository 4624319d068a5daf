"""The status: what the processes left word of, what needs somebody, and the metrics."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from osect_sensor import config
from osect_sensor.cli import run
from osect_sensor.service import metrics
from osect_sensor.service.layout import Layout
from osect_sensor.service.status import gather

sys.path.insert(0, str(Path(__file__).parent))
from spool import BUILT, fill, settings, work


def word(path: Path, **values: object) -> None:
    path.write_text(json.dumps({"pid": os.getpid(), "updated": time.time()} | values))


def sensor(tmp_path: Path) -> tuple[config.Config, Layout]:
    made = settings(tmp_path)
    layout = Layout(made)
    layout.make_cycle()
    word(layout.capture_status, state="capturing", source="eth1", packets=5)
    word(layout.cycle_status, state="waiting", last_window="realtime-x", lag=1.5)
    return made, layout


def test_sensor_that_does_well_has_no_problems(tmp_path: Path) -> None:
    made, _ = sensor(tmp_path)
    now = gather(made)
    assert now.problems == []
    assert now.capture_running
    assert now.cycle_running


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"state": "waiting", "problem": "no such device"}, "nothing is captured: no such device"),
        ({"dropped_by_kernel": 7}, "7 packets dropped by the kernel since capture began"),
        ({"lost_packets": 7}, "7 packets lost for want of disk space since capture began"),
        ({"updated": 0}, "capture does not run"),
        ({"pid": 2**22 + 1}, "capture does not run"),
        ({"state": "stopped"}, "capture does not run"),
    ],
)
def test_trouble_with_capture_is_a_problem(
    tmp_path: Path, values: dict[str, object], problem: str
) -> None:
    made, layout = sensor(tmp_path)
    word(layout.capture_status, **({"state": "capturing"} | values))
    assert gather(made).problems == [problem]


def test_trouble_behind_capture_is_a_problem(tmp_path: Path) -> None:
    made, layout = sensor(tmp_path)
    made = dataclasses.replace(made, upload=config.Upload(enabled=True, client_pem="/none.pem"))
    word(
        layout.cycle_status,
        state="failing",
        problem="OSError: No space left on device",
        set_aside=2,
        suricata={"enabled": True, "failure": "suricata is not installed"},
    )
    for number in range(5):
        (layout.incoming / f"{number}.pcap").touch()
    (layout.quarantine / "realtime-2026-01-01-00:00:00.tar.zst").touch()
    layout.upload_status.write_text(json.dumps({"problem": "certificate expired"}))
    problems = gather(made).problems
    for expected in (
        "client certificate: ",
        "windows: OSError: No space left on device",
        "5 captures wait to become windows",
        "2 captures set aside: see the log",
        "Suricata: suricata is not installed",
        "upload: certificate expired",
        "1 archives in quarantine",
    ):
        assert any(one.startswith(expected) for one in problems), expected


def test_uploader_that_does_not_run_is_a_problem_while_archives_wait(tmp_path: Path) -> None:
    made, layout = sensor(tmp_path)
    made = dataclasses.replace(made, upload=config.Upload(enabled=True, client_pem="/none.pem"))
    problem = "upload does not run: archives stay in the queue"
    assert problem not in gather(made).problems
    (layout.queue / "realtime-2026-01-01-00:00:00.tar.zst").touch()
    assert problem in gather(made).problems
    word(layout.upload_status, updated=0)
    assert problem not in gather(made).problems
    assert gather(made).upload_running
    word(layout.upload_status, pid=2**22 + 1)
    assert problem in gather(made).problems


def test_damaged_word_counts_as_none(tmp_path: Path) -> None:
    made, layout = sensor(tmp_path)
    layout.capture_status.write_text("{half")
    assert gather(made).problems == ["capture does not run"]


def configuration_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[sensor]\nstate = "{tmp_path}/state"\nruntime = "{tmp_path}/run"\n'
        f'[capture]\nspool = "{tmp_path}/spool"\n[upload]\nenabled = false\n'
        "[retention]\nminimum_free = 0\n"
    )
    return path


def test_status_is_shown_to_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor(tmp_path)
    path = str(configuration_file(tmp_path))
    assert run(["status", "--config", path]) == 0
    shown = capsys.readouterr().out
    assert "capturing eth1" in shown
    assert shown.endswith("all is well\n")
    assert run(["status", "--config", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["capture"]["packets"] == 5


def test_check_says_by_its_exit_code_that_something_needs_attention(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, layout = sensor(tmp_path)
    path = str(configuration_file(tmp_path))
    assert run(["status", "--config", path, "--check"]) == 0
    layout.capture_status.unlink()
    assert run(["status", "--config", path, "--check"]) == 1
    assert "! capture does not run" in capsys.readouterr().out


def test_metrics_are_what_prometheus_reads(tmp_path: Path) -> None:
    fill(tmp_path, BUILT / "factory_minute.pcap")
    textfile = tmp_path / "sensor.prom"
    made = settings(tmp_path, metrics=config.Metrics(textfile=str(textfile)))
    work(made)
    for text in (metrics.text(made), textfile.read_text()):
        found = {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert found["osect_sensor_run_packets_total", ()] == 1877
        assert found["osect_sensor_rows_total", ("arp",)] == 10
        assert found["osect_sensor_queued_archives", ()] == 6
