from __future__ import annotations

import io
from pathlib import Path

import pytest

from osect_sensor.service.transport import Answer, Verdict
from osect_sensor.support import report as module
from osect_sensor.support.report import SupportError, SupportReport, extras, send

SOS = """#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in --tmp-dir) directory=$2 ;; esac
    shift
done
cp EXTRAS/* "$directory/sosreport-host.tar.xz"
echo checksum > "$directory/sosreport-host.tar.xz.sha256"
"""


class Machine:
    """A machine with sos, which makes a report of what it is told to collect."""

    def __init__(self, tmp_path: Path) -> None:
        self.sos = tmp_path / "sos"
        self.extras = tmp_path / "extras.d"
        self.docker = tmp_path / "docker"
        self.output = tmp_path / "state" / "support"
        self.program(SOS.replace("EXTRAS", str(self.extras)))

    def program(self, text: str) -> None:
        self.sos.write_text(text)

    def report(self) -> SupportReport:
        return SupportReport(
            Path("/etc/osect-sensor/config.toml"),
            sos=self.sos,
            python=Path("/bin/sh"),
            extras_directory=self.extras,
            docker=self.docker,
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch) -> Machine:
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    return Machine(tmp_path)


def test_the_report_holds_what_is_ours_and_is_for_root_alone(machine: Machine) -> None:
    made = machine.report().make(machine.output)
    assert made.parent == machine.output
    assert made.stat().st_mode & 0o777 == 0o600
    text = made.read_text()
    assert "support --state --config /etc/osect-sensor/config.toml" in text
    assert "docker" not in text
    assert [path.name for path in machine.output.iterdir()] == [made.name]


def test_sos_is_told_only_while_it_runs(machine: Machine) -> None:
    machine.report().make(machine.output)
    assert list(machine.extras.iterdir()) == []


def test_the_logs_of_a_docker_host_are_collected(machine: Machine) -> None:
    machine.docker.mkdir()
    text = machine.report().make(machine.output).read_text()
    assert "containers/*/*-json.log" in text
    assert ":/var/log " in text


def test_a_missing_sos_is_told(machine: Machine) -> None:
    machine.sos.unlink()
    with pytest.raises(SupportError, match="sos is not installed") as caught:
        machine.report().make(machine.output)
    assert "apt install sos" in caught.value.hint


def test_only_root_makes_reports(machine: Machine, monkeypatch) -> None:
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    with pytest.raises(SupportError, match="only root"):
        machine.report().make(machine.output)


@pytest.mark.parametrize("text", ["echo no space; exit 1", "exit 0", "echo no space"])
def test_a_failed_sos_is_told_and_leaves_nothing(machine: Machine, text: str) -> None:
    machine.program(text + "\n")
    with pytest.raises(SupportError, match=r"sos failed: (no space|it said nothing)"):
        machine.report().make(machine.output)
    assert list(machine.output.iterdir()) == []
    assert list(machine.extras.iterdir()) == []


def test_no_line_of_the_extras_reaches_the_key() -> None:
    for line in extras(Path("/etc/osect-sensor/config.toml"), docker=True).splitlines():
        assert not line.startswith(":/etc")


class FakeCloud:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, bytes]] = []

    def post_support_report(self, name: str, file: io.BufferedReader, size: int) -> Answer:
        self.sent.append((name, file.read(size)))
        return self.answers.pop(0)


ACCEPTED = Answer(Verdict.ACCEPTED, "HTTP 200", 200)
BUSY = Answer(Verdict.FAILED, "HTTP 503", 503, retry_after=30.0)
REFUSED = Answer(Verdict.REFUSED, "HTTP 404", 404)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "sosreport-host.tar.xz"
    path.write_bytes(b"report")
    return path


def test_a_report_is_sent_again_when_the_cloud_is_busy(report: Path) -> None:
    cloud = FakeCloud(BUSY, ACCEPTED)
    pauses: list[float] = []
    send(report, cloud, pauses.append)
    assert cloud.sent == [(report.name, b"report")] * 2
    assert pauses == [30.0]


@pytest.mark.parametrize("answers", [(BUSY, BUSY, BUSY), (REFUSED,)])
def test_a_report_that_is_not_taken_stays_with_word_how_to_send_it(
    report: Path, answers: tuple[Answer, ...]
) -> None:
    with pytest.raises(SupportError, match="does not take") as caught:
        send(report, FakeCloud(*answers), lambda seconds: None)
    assert f"--send {report}" in caught.value.hint
    assert report.exists()
