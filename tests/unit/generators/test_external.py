"""Real tools as generators: programs that pretend to be them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from osect_sensor.errors import OsectError
from osect_sensor.generators import external
from osect_sensor.generators.external import ExternalTool
from osect_sensor.generators.p0f import P0f
from osect_sensor.generators.yaf import Yaf
from osect_sensor.generators.zeek import Zeek
from osect_sensor.logs.writer import TextSink

START = 1_700_000_040_000_000
FACTORY = Path(__file__).parents[3] / "pcaps" / "built" / "factory_minute.pcap"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(tool: ExternalTool, tmp_path: Path) -> Path:
    window = tmp_path / "windows" / "one"
    window.parent.mkdir()
    sink = TextSink()
    sink.open_window(str(window), START)
    sink.close_window(START + 60_000_000)
    segment = tmp_path / "segment.pcap"
    segment.write_bytes(FACTORY.read_bytes())
    tool.run(segment, window)
    assert [path.name for path in window.parent.iterdir()] == ["one"]
    return window


def test_zeeks_columns_are_put_into_the_contracts(programs: Path, tmp_path: Path) -> None:
    program(
        programs,
        "zeek",
        "printf '#separator \\\\x09\\n' > conn.log\n"
        "printf '#fields\\tuid\\tts\\tproto\\tlocal_orig\\tnew\\n' >> conn.log\n"
        "printf 'C1\\t1.000000\\ttcp\\tT\\tx\\n#close\\t2023\\n' >> conn.log\n",
    )
    tool = Zeek(["conn", "dns"], ("local",), 10)
    window = run(tool, tmp_path)
    assert tool.failure == ""
    lines = (window / "conn.log").read_text().splitlines()
    assert len(lines) == 10
    assert lines[5] == "#open\t2023-11-14-22-14-00"
    assert lines[8].split("\t")[:8] == ["1.000000", "C1", "-", "-", "-", "-", "tcp", "-"]
    assert lines[8].split("\t")[12] == "-"
    assert lines[9] == "#close\t2023-11-14-22-15-00"
    assert len((window / "dns.log").read_text().splitlines()) == 9


def test_yafs_table_without_the_flows_of_conn_log(programs: Path, tmp_path: Path) -> None:
    row = (
        "2011-03-19 07:26:00.123|2011-03-19 07:26:01.000|   0.877|   0.000|{}|10.0.0.1|    0|"
        "10.0.0.2|    0|02:00:00:00:00:01|02:00:00:00:00:02|0|0|0|0|00000000|00000000|000|000|"
        "   1|   60|   0|   0|idle "
    )
    program(programs, "yaf", 'while [ "$1" != --out ]; do shift; done; touch "$2"')
    lines = ["start-time|end-time", row.format(" 89"), row.format("  6"), row.format("  1")]
    text = "\\n".join(lines)
    program(
        programs,
        "yafscii",
        f'while [ "$1" != --out ]; do shift; done; printf \'{text}\\n\' > "$2"',
    )
    window = run(Yaf(["yaf_flow"], 10), tmp_path)
    lines = (window / "yaf_flow.log").read_text().splitlines()
    assert len(lines) == 2
    values = lines[1].split("\t")
    assert len(values) == 25
    assert values[0] == "1300519560.123"
    assert values[5:7] == ["89", "10.0.0.1"]
    assert values[-1] == "idle"


def test_p0fs_rows_are_taken_as_they_are(programs: Path, tmp_path: Path) -> None:
    program(
        programs,
        "p0f-k",
        'while [ "$1" != -O ]; do shift; done\n'
        "printf '1.0\\tsyn\\t10.0.0.1\\t02:00:00:00:00:01\\t???\\t4:64\\n"
        'broken\\n\' > "$2"',
    )
    window = run(P0f(["p0f-k"], tmp_path / "p0f.fp", 10), tmp_path)
    assert (window / "p0f-k.log").read_text() == (
        "1.0\tsyn\t10.0.0.1\t02:00:00:00:00:01\t???\t4:64\n"
    )


def test_tool_that_fails_leaves_a_log_without_rows_and_its_reason(
    programs: Path, tmp_path: Path
) -> None:
    program(programs, "zeek", "echo 'fatal error: no such script' >&2; exit 3")
    tool = Zeek(["conn"], (), 10)
    window = run(tool, tmp_path)
    assert tool.failure == "zeek ended with status 3: fatal error: no such script"
    assert len((window / "conn.log").read_text().splitlines()) == 9


def test_tool_that_takes_its_time_does_not_look_dead(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "_BEAT", 0.05)
    program(programs, "zeek", "sleep 0.5; printf '#fields\\tuid\\nC1\\n' > conn.log")
    tool = Zeek(["conn"], (), 10)
    window = run(tool, tmp_path)
    beats: list[int] = []
    tool.run(FACTORY, window, beat=lambda: beats.append(1))
    assert tool.failure == ""
    assert len(beats) > 3
    assert len((window / "conn.log").read_text().splitlines()) == 10


def test_tool_that_takes_too_long_is_given_up(programs: Path, tmp_path: Path) -> None:
    program(programs, "zeek", "exec sleep 20")
    tool = Zeek(["conn"], (), 0.2)
    run(tool, tmp_path)
    assert tool.failure == "not through with a segment after 0 s"


def test_tool_that_is_not_installed_is_named_with_the_settings_that_want_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OsectError) as caught:
        Zeek(["conn", "dns"], (), 10)
    assert str(caught.value) == (
        'zeek is not installed, but generators.conn, generators.dns = "zeek" needs it'
        ' (install it, or set them to "native")'
    )
