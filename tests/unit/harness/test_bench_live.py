"""The search for the fastest rate without a loss, and one over a wire of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from osect_harness.bench.live import HIGHEST_RATE, STEPS, Trial, obstacle, search
from osect_harness.bench.measure import Cost
from osect_harness.cli import cli

HERE = obstacle()


def tries(loses_above: float, sends_at_most: float = 1e9) -> tuple[list[float], object]:
    asked: list[float] = []

    def trial(rate: float) -> Trial:
        asked.append(rate)
        sent = int(min(rate, sends_at_most))
        recorded = sent if sent <= loses_above else int(loses_above)
        return Trial(rate, sent, recorded, 1.0, sent * 100, Cost(cpu=0.5, wall=2.0))

    return asked, trial


def test_the_rate_found_is_close_below_the_first_loss() -> None:
    asked, trial = tries(70_000)
    found = search(trial, 10_000)
    assert found.best is not None
    assert found.limit == "loss"
    assert 70_000 - 40_000 / 2**STEPS <= found.best.rate <= 70_000
    assert asked[:5] == [10_000, 20_000, 40_000, 80_000, 60_000]
    assert found.best.share == 0.25
    assert found.best.megabits == pytest.approx(found.best.rate * 100 * 8 / 1e6)


def test_a_program_that_always_loses_has_no_rate() -> None:
    _, trial = tries(5)
    assert search(trial, 10_000).best is None


def test_a_sender_that_cannot_is_asked_twice_and_named() -> None:
    asked, trial = tries(1e9, sends_at_most=50_000)
    found = search(trial, 10_000)
    assert found.limit == "sender"
    assert found.best is not None
    assert found.best.rate == 50_000
    assert asked == [10_000, 20_000, 40_000, 80_000, 80_000]


def test_the_search_has_an_end() -> None:
    asked, trial = tries(1e12)
    assert search(trial, 10_000).limit == "range"
    assert max(asked) <= HIGHEST_RATE


def test_without_root_the_command_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(cli, ["bench-live"])
    assert result.exit_code == 2
    assert "network namespaces need root" in result.output


@pytest.mark.skipif(bool(HERE), reason=HERE or "-")
def test_a_slow_sender_loses_nothing_over_the_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osect_harness.bench.live.HIGHEST_RATE", 3_000)
    monkeypatch.setattr("osect_harness.bench.live.PRELOADED", 1_000)
    command = "tcpdump -n -Z root -i {interface} -w {output}/ours.pcap"
    result = CliRunner().invoke(
        cli,
        ["bench-live", "--sensor", command, "--workload", "small", "--first", "2000",
         "--seconds", "0.5", "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = json.loads(result.output[result.output.index("{\n") :])
    assert data["programs"]["sensor"]["packets_per_second"] > 0
    assert data["programs"]["tcpdump"]["limit"] in ("range", "sender")
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert "osect-send" not in names.stdout


@pytest.mark.skipif(bool(HERE), reason=HERE or "-")
def test_a_command_that_does_not_capture_is_told_with_its_reason() -> None:
    command = "sh -c 'echo no such thing >&2; exit 5' {interface}"
    result = CliRunner().invoke(cli, ["bench-live", "--sensor", command])
    assert result.exit_code == 2
    assert "exit code 5: no such thing" in result.output
