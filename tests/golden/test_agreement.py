"""The sensor against what the real Zeek, YAF and p0f wrote for several hundred real captures."""

import multiprocessing
from pathlib import Path

import pytest
from osect_harness import check, conformance, output
from osect_harness.adapters import golden_profile
from osect_harness.compare import Options, Tally
from osect_harness.explained import load_explained
from osect_harness.replaying import find

from osect_sensor.errors import OsectError
from osect_sensor.generators.replay import Replay
from osect_sensor.logs.catalog import OSECT_2023

LOGS = [name for name in OSECT_2023.names() if name != "eve"]

# What agreement is asked for, explained differences aside.
EACH_LOG = 0.995
ALL_FIELDS = 0.998
MEAN_OVER_CAPTURES = 0.99
EXACT_LOGS = {"yaf_flow": 0.999, "p0f-k": 0.999}


def replay(job: tuple[Path, Path]) -> str:
    """Replay one capture; the answer is what was wrong with the input, if anything."""
    capture, directory = job
    try:
        Replay([str(capture)], directory, LOGS).run()
    except OsectError as error:
        return f"{capture}: {error}"
    return ""


def replay_all(captures: list[Path], root: Path, outputs: Path) -> list[str]:
    jobs = [(capture, outputs / capture.relative_to(root)) for capture in captures]
    with multiprocessing.Pool() as pool:
        return [refused for refused in pool.imap(replay, jobs, chunksize=4) if refused]


@pytest.fixture(scope="module")
def replayed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("replayed")
    root = shared / "captures"
    assert replay_all(find(root), root, outputs) == []
    return outputs


@pytest.fixture(scope="module")
def report(shared: Path, replayed: Path) -> conformance.Report:
    options = Options(
        profile=golden_profile(),
        explained=load_explained(),
        unscored=frozenset({("p0f-k", "os")}),
    )
    jobs = conformance.plan(replayed, shared / "golden")
    return conformance.summarize(conformance.run(jobs, options), options)


def test_every_log_keeps_the_contract(replayed: Path) -> None:
    options = check.CheckOptions(without=frozenset({"eve"}), any_time=True)
    broken: list[str] = []
    for capture in conformance.find_captures(replayed):
        found = check.check(replayed / capture, options)
        if found.total:
            broken.extend(f"{capture}: {line}" for line in check.violation_lines(found, 3))
    assert broken == []


def test_no_capture_is_left_out(report: conformance.Report) -> None:
    assert report.absent == []


def test_each_log_agrees(report: conformance.Report) -> None:
    table = "\n".join(output.text(report, 30))
    for name, log in report.logs.items():
        assert log.tally.share_unexplained >= EXACT_LOGS.get(name, EACH_LOG), table


def test_all_fields_and_the_mean_over_captures_agree(report: conformance.Report) -> None:
    table = "\n".join(output.text(report, 30))
    assert report.total.share_unexplained >= ALL_FIELDS, table
    shares = []
    for capture in report.captures:
        tally = Tally()
        for log in capture.logs:
            tally.add(log.tally)
        if tally.total:
            shares.append(tally.share_unexplained)
    assert sum(shares) / len(shares) >= MEAN_OVER_CAPTURES, table


def test_every_explained_difference_still_occurs(report: conformance.Report) -> None:
    assert report.stale == []


def test_what_once_crashed_other_tools_goes_through(shared: Path, tmp_path: Path) -> None:
    root = shared / "fuzz"
    captures = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".md"]
    refused = replay_all(captures, root, tmp_path)
    # What is no capture, or has a link layer that nothing decodes, is refused in one line.
    assert len(refused) < len(captures)
    assert all("\n" not in line for line in refused)
