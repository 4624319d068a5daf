"""The benchmark measures what commands cost, and tells what it left out."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from osect_harness.bench.measure import Cost, Series, run
from osect_harness.bench.tools import NATIVE_LOGS, find_tools, sensor_tool
from osect_harness.cli import cli
from osect_harness.errors import UsageError

SENSOR = """\
import sys
if "--version" in sys.argv:
    print("fake 1.0")
    sys.exit()
capture, output, logs = sys.argv[1:]
octets = len(open(capture, "rb").read())
for _ in range(octets // 10):
    pass
open(output, "x").write(logs)
"""


@pytest.fixture
def sensor(tmp_path: Path) -> str:
    path = tmp_path / "sensor.py"
    path.write_text(SENSOR)
    return shlex.join([sys.executable, str(path)]) + " {capture} {output} {logs}"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["bench", "--quiet", *(str(one) for one in arguments)])


def test_the_cost_is_that_of_the_command_and_its_children(tmp_path: Path) -> None:
    burn = "import time; end = time.process_time() + .3\nwhile time.process_time() < end: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    cost = run(python(child), tmp_path, 60)
    assert not cost.failure
    assert 0.3 <= cost.cpu < 3
    assert cost.wall >= 0.3


def test_the_memory_is_that_of_the_command_and_not_of_the_harness(tmp_path: Path) -> None:
    ballast = bytearray(200 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert run(["true"], tmp_path, 60).peak < 64 << 20
    assert run(python("len(b'x' * (100 << 20))"), tmp_path, 60).peak > 100 << 20


def test_a_command_that_fails_or_does_not_end_has_no_figures(tmp_path: Path) -> None:
    failed = run(python("import sys; print('no such thing', file=sys.stderr); sys.exit(3)"),
                 tmp_path, 60)  # fmt: skip
    assert failed.failure == "exit code 3: no such thing"
    assert run(["sleep", "60"], tmp_path, 0.5).failure == "took more than 0.5 seconds"
    assert "no-such-program" in run(["no-such-program"], tmp_path, 60).failure
    assert Series([failed]).failure == failed.failure


def test_a_crash_now_and_then_does_not_spoil_the_figures() -> None:
    series = Series([Cost(failure="exit code -11: "), Cost(1, 1, 1)])
    assert (series.failure, series.failures) == ("", ["exit code -11: "])
    assert (series.cpu, series.wall, series.peak) == (1, 1, 1)


def test_the_figures_are_of_the_cheapest_run_and_the_largest_memory() -> None:
    series = Series([Cost(2, 5, 10), Cost(3, 4, 20)])
    assert (series.cpu, series.wall, series.peak, series.failure) == (2, 4, 20, "")
    assert Series().failure == "not run"


def test_a_sensor_must_name_its_capture_and_output_and_be_installed(sensor: str) -> None:
    assert sensor_tool(sensor).version == "fake 1.0"
    line = sensor_tool(sensor).line(Path("/c"), Path("/o"), ("conn", "arp"))
    assert line[2:] == ["/c", "/o", "conn,arp"]
    with pytest.raises(UsageError, match="must name"):
        sensor_tool("osect-sensor replay {capture}")
    with pytest.raises(UsageError, match="no-such-sensor is not installed"):
        sensor_tool("no-such-sensor {capture} {output}")


def test_tools_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osect_harness.bench.tools._MORE_PATH", "")
    monkeypatch.setenv("PATH", "")
    assert find_tools(("suricata",)) == ([], {"suricata": "suricata is not installed"})


def test_bench_tells_figures_as_text_json_and_html(sensor: str, tmp_path: Path) -> None:
    page, output = tmp_path / "page.html", tmp_path / "bench.json"
    result = bench(
        "--sensor", sensor, "--packets", 2000, "--workload", "syn-flood", "--workload", "small",
        "--repeat", 1, "--tool", "tcpdump", "--html", page, "--output", output,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = json.loads(output.read_text())
    flood = data["workloads"]["syn-flood"]
    assert (flood["packets"], flood["octets"]) == (2000, 2000 * 58)
    ours = flood["tools"]["sensor"]
    assert ours["packets_per_second"] == pytest.approx(2000 / ours["cpu"], rel=1e-3)
    minute = 60 * 10e6 / 8 / (2000 * 58) * ours["cpu"]
    assert ours["seconds_for_a_minute"]["10"] == pytest.approx(minute, rel=1e-3)
    assert ours["ratio"] is None
    assert flood["linear"] is None
    assert data["workloads"]["small"]["linear"]["packets"] == 200
    assert list(data["logs"]["each"]) == list(NATIVE_LOGS)
    assert data["machine"]["cores"] >= 1
    assert data["tools"]["sensor"]["version"] == "fake 1.0"
    assert "syn-flood: SYNs from random addresses" in result.output
    text = page.read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    plot = text[text.index("<svg") : text.index("</svg>") + 6]
    marks = plot.count("<title>")
    tools = sum("failure" not in one for one in flood["tools"].values())
    assert marks == len(data["tools"]) + 2 * tools
    quoted = plot.replace("role=img", 'role="img"').replace("width=860", 'width="860"')
    for anchor in ("middle", "end"):
        quoted = quoted.replace(f"text-anchor={anchor}", f'text-anchor="{anchor}"')
    ElementTree.fromstring(quoted)


def test_bench_gives_ratios_to_the_yardstick(
    sensor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "suricata"
    fake.write_text("#!/bin/sh\necho version 7.0\n")
    fake.chmod(0o755)
    monkeypatch.setattr("osect_harness.bench.tools.program", lambda name: (
        str(fake) if name == "suricata" else name
    ))  # fmt: skip
    result = bench(
        "--sensor", sensor, "--packets", 100, "--workload", "syn-flood", "--repeat", 1,
        "--tool", "suricata", "--no-per-log", "--json",
    )  # fmt: skip
    tools = json.loads(result.output)["workloads"]["syn-flood"]["tools"]
    assert tools["suricata"]["ratio"] == 1
    assert tools["sensor"]["ratio"] == pytest.approx(
        tools["sensor"]["cpu"] / tools["suricata"]["cpu"]
    )


def test_bench_goes_on_without_what_fails_or_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSECT_SHARED", str(tmp_path / "nowhere"))
    command = shlex.join(python("import sys; sys.exit('broken')")) + " {capture} {output}"
    result = bench(
        "--sensor", command, "--packets", 100, "--workload", "ot", "--workload", "small",
        "--tool", "yaf",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "workload ot is left out: there are no captures: give --captures" in result.output
    assert result.output.count("small: sensor: exit code 1: broken") == 2
    assert "the sensor's command does not name {logs}" in result.output


def test_workload_writes_a_capture_or_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "web.pcap"
    arguments = ["workload", "web", str(path), "--packets", "50"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert path.stat().st_size > 50 * 70
    arguments[2] = str(tmp_path / "no" / "such")
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "cannot write" in result.output
