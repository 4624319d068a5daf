"""The osect-sensor command: one line an error, exit codes, the schema, the summary."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osect_sensor import __version__, cli
from osect_sensor.commands.replay import summary_text
from osect_sensor.generators.replay import CaptureSummary, Summary, SuricataSummary
from osect_sensor.logs.catalog import OSECT_2023

ARP_REQUEST = bytes.fromhex(
    "ffffffffffff 001122334455 08060001 0800 06 04 0001 001122334455 0a000001 000000000000 0a000002"
)
PCAP = (
    struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    + struct.pack("<IIII", 1_300_475_168, 0, 42, 42)
    + ARP_REQUEST
)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "a.pcap"
    path.write_bytes(PCAP)
    return str(path)


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "osect_sensor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_version_says_whether_it_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    compiled = "yes" if cli.is_compiled() else "no"
    assert capsys.readouterr().out == f"osect-sensor {__version__} (compiled: {compiled})\n"


def test_help_lists_the_subcommands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.SUBCOMMANDS:
        assert f"\n  {name} " in text
    assert "  2  the command line, an input or the output is at fault" in text
    assert cli.run(["replay", "--help"]) == 0
    assert "Exit codes:" in capsys.readouterr().out


def test_every_subcommand_can_be_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.SUBCOMMANDS:
        assert cli.run([name, "--help"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Missing command"),
        (["reply"], "No such command 'reply'"),
        (["replay"], "Missing argument 'CAPTURE...'"),
        (["replay", "a.pcap"], "Missing option '-o' / '--output'"),
        (["replay", "a.pcap", "-o", "out"], "a.pcap: cannot be read: No such file or directory"),
        (["replay", "a.pcap", "-o", "out", "--window", "0"], "Invalid value for '--window'"),
        (["replay", "a.pcap", "-o", "out", "--logs", "foo"], "no log is called foo"),
        (["replay", "--frobnicate"], "No such option"),
        (["schema", "foo"], "no log is called foo"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("osect-sensor: ")
    assert expected in output.err
    assert os.listdir(tmp_path) == []


def test_a_defect_is_one_line_and_exit_code_70(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "SUBCOMMANDS", {"schema": ("osect_sensor.absent:nothing", "")})
    assert cli.run(["schema"]) == 70
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "internal error: ModuleNotFoundError" in error
    with pytest.raises(ModuleNotFoundError):
        cli.run(["--debug", "schema"])


def test_schema_as_json_is_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["dialect"] == "2023"
    assert [log["name"] for log in data["logs"]] == OSECT_2023.names()
    assert data["logs"][0]["fields"][0] == {
        "name": "ts",
        "type": "time",
        "meaning": "time of the first packet",
        "recorded": True,
    }
    assert [log["header_lines"] for log in data["logs"]].count(8) == 7


def test_schema_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "arp.log"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("arp.log — ARP requests and replies\n")
    assert "is_at        string  MAC address answered (not recorded)\n" in text
    assert "conn.log" not in text
    assert cli.run(["schema", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 15


def test_replay_tells_what_it_did(
    capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert cli.run(["replay", capture, "-o", out, "--logs", "arp, conn"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith("1 packet of 1 capture in ")
    assert "\n  arp              1\n" in output.out
    assert output.out.endswith(f"written to {out}\n")


def test_replay_tells_programs_what_it_did(
    capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["replay", capture, "-o", str(out), "--logs", "arp", "--window", "60", "--json"]
    assert cli.run(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["packets"] == 1
    assert data["rows"] == {"arp": 1}
    assert data["windows"] == 1
    assert data["captures"][0]["name"] == capture
    assert data["suricata"]["state"] == "not selected"
    assert data["compiled"] == cli.is_compiled()


def test_a_failing_suricata_is_exit_code_3(
    capture: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "bin" / "suricata"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    out = tmp_path / "out"
    assert cli.run(["replay", capture, "-o", str(out), "--logs", "arp,eve"]) == 3
    assert "Suricata failed, eve.json is empty: it ended with status 1" in capsys.readouterr().out
    assert sorted(os.listdir(out)) == ["arp.log", "eve.json"]


def test_summary_names_everything_unusual() -> None:
    summary = Summary(
        output="out",
        captures=[
            CaptureSummary("a.pcap", 3, "cut off inside a record", {"interface unknown": 1}),
            CaptureSummary("b.pcap", 4),
        ],
        packets=7,
        first="2011-03-18 19:06:08",
        last="2011-03-18 19:07:08",
        undecodable={"truncated IPv4 header": 1, "unknown link layer": 2},
        limits={"connections ended early: table full": 1000},
        rows={"conn": 1234567, "p0f-k": 0, "eve": 0},
        windows=2,
        windows_skipped=3,
        seconds=0.5,
        packets_per_second=14,
        suricata=SuricataSummary("failed", "7.0.10", "Suricata failed: why", 24720, 3),
    )
    assert summary_text(summary).splitlines() == [
        "7 packets of 2 captures in 0.50 s (14 packets/s)",
        "from 2011-03-18 19:06:08 to 2011-03-18 19:07:08 UTC",
        "2 windows, 3 more left out: an hour without packets",
        "",
        "  conn      1,234,567",
        "  p0f-k             0",
        "  eve               0",
        "",
        "not decoded: 3 packets: unknown link layer (2), truncated IPv4 header (1)",
        "limits: connections ended early: table full (1,000)",
        "a.pcap: incomplete: cut off inside a record",
        "a.pcap: passed over: interface unknown (1)",
        "no p0f database: every operating system is ??? (install p0f)",
        "Suricata failed: why",
        "Suricata 7.0.10: 24,720 rules loaded, 3 not understood",
        "",
        "written to out",
    ]


def test_the_module_runs_as_a_program(capture: str, tmp_path: Path) -> None:
    done = command("replay", capture, "-o", str(tmp_path / "out"), "--logs", "arp")
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path / "out") == ["arp.log"]
    failed = command("replay", capture, "-o", str(tmp_path / "out"), "--logs", "arp")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: int, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "osect_sensor", "replay", "-", "-o", str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(PCAP)
    process.stdin.flush()
    for _ in range(600):
        if os.listdir(tmp_path):
            break
        time.sleep(0.05)
    assert os.listdir(tmp_path) != ["out"]
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == status
    assert os.listdir(tmp_path) == []


def test_no_terminal_no_progress_bar(capture: str, tmp_path: Path) -> None:
    done = command("replay", capture, "-o", str(tmp_path / "out"), "--logs", "arp")
    assert "\x1b" not in done.stdout + done.stderr


def test_a_progress_bar_on_a_terminal(capture: str, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "osect_sensor", "replay", capture, "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=dict(os.environ, TERM="xterm", PATH=str(tmp_path)),
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert done.returncode == 0
    assert b"packets" in shown
    assert b"\x1b" not in done.stdout


def test_a_reader_that_goes_away_is_no_defect() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "osect_sensor", "schema"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert process.returncode == 1
    assert process.stderr == b""


def test_starting_imports_no_more_than_needed() -> None:
    code = (
        "import sys; from osect_sensor import cli; cli.run(['schema', '--list']);"
        "print([name for name in ('rich', 'subprocess', 'osect_sensor.generators.native',"
        " 'zstandard') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
