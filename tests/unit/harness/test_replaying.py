import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from osect_harness import check, replaying
from osect_harness.cli import cli
from osect_harness.errors import UsageError


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    root = tmp_path / "captures"
    (root / "line").mkdir(parents=True)
    (root / "line" / "one.pcap").write_bytes(b"one")
    (root / "two.pcapng").write_bytes(b"three")
    (root / "README").write_text("not a capture")
    return root


def sensor(tmp_path: Path, body: str) -> str:
    script = tmp_path / "sensor"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{script} {{capture}} {{output}}"


def test_only_captures_are_found_at_any_depth(captures: Path) -> None:
    found = [str(path.relative_to(captures)) for path in replaying.find(captures)]
    assert found == ["line/one.pcap", "two.pcapng"]


def test_each_capture_is_replayed_to_the_same_place(captures: Path, tmp_path: Path) -> None:
    command = sensor(tmp_path, 'mkdir "$2"; cp "$1" "$2/copy"; echo \'{"packets": 7}\'')
    outcomes = replaying.run(captures, tmp_path / "out", command)
    assert [(one.capture, one.packets, one.octets, one.good) for one in outcomes] == [
        ("line/one.pcap", 7, 3, True),
        ("two.pcapng", 7, 5, True),
    ]
    assert (tmp_path / "out" / "line" / "one.pcap" / "copy").read_bytes() == b"one"
    assert set(replaying.timings(outcomes)["captures"]) == {"line/one.pcap", "two.pcapng"}


def test_a_sensor_that_fails_is_quoted(captures: Path, tmp_path: Path) -> None:
    command = sensor(tmp_path, "echo first >&2; echo last words >&2; exit 3")
    assert {one.failure for one in replaying.run(captures, tmp_path / "out", command)} == {
        "exit status 3: last words"
    }


def test_a_sensor_that_leaves_nothing_has_failed(captures: Path, tmp_path: Path) -> None:
    outcomes = replaying.run(captures, tmp_path / "out", sensor(tmp_path, "true"))
    assert all("left no directory" in one.failure for one in outcomes)


def test_logs_that_break_the_contract_are_counted(captures: Path, tmp_path: Path) -> None:
    command = sensor(tmp_path, 'mkdir "$2"; echo nonsense > "$2/conn.log"')
    outcomes = replaying.run(captures, tmp_path / "out", command, check.CheckOptions())
    assert all(one.violations > 0 and not one.good for one in outcomes)


def test_a_directory_without_logs_is_a_failure(captures: Path, tmp_path: Path) -> None:
    command = sensor(tmp_path, 'mkdir "$2"')
    outcomes = replaying.run(captures, tmp_path / "out", command, check.CheckOptions())
    assert all("holds no logs" in one.failure for one in outcomes)


@pytest.mark.parametrize("command", ["sensor", "sensor {capture}", "sensor {output}"])
def test_a_command_without_both_places_is_refused(captures: Path, command: str) -> None:
    with pytest.raises(UsageError, match="must name"):
        replaying.run(captures, captures.parent / "out", command)


def test_a_sensor_that_is_not_there_is_named_in_one_line(captures: Path) -> None:
    result = CliRunner().invoke(
        cli,
        ["replay", str(captures), str(captures) + ".out", "--sensor", "no-such {capture} {output}"],
    )
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert "no-such" in result.output


def test_the_command_exits_by_its_worst_capture(captures: Path, tmp_path: Path) -> None:
    command = sensor(tmp_path, 'mkdir "$2"; case "$1" in *two*) exit 70;; esac')
    arguments = [
        "replay", str(captures), str(tmp_path / "out"), "--no-check", "--sensor", command,
        "--timings", str(tmp_path / "timings.json"),
    ]  # fmt: skip
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "two.pcapng: exit status 70" in result.output
    assert "line/one.pcap" in json.loads((tmp_path / "timings.json").read_text())["captures"]


def test_no_capture_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no capture"):
        replaying.find(tmp_path)
