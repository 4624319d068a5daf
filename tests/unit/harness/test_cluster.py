"""A Dask cluster finds what one process finds."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner
from osect_harness.cli import cli


def run(*arguments: object):
    return CliRunner().invoke(cli, [str(one) for one in arguments])


@pytest.fixture
def trees(make_logs, tmp_path):
    """Twenty captures on both sides, each different in one value."""
    for number in range(20):
        make_logs(f"golden/many/{number}")
        make_logs(f"ours/many/{number}").change("conn", number % 4, "history", "S")
    return tmp_path / "ours", tmp_path / "golden"


@pytest.mark.filterwarnings("default")
def test_two_workers_find_what_one_process_finds(trees):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    arguments = ("conformance", *trees, "--json")
    alone = run(*arguments, "--jobs", 1)
    assert json.loads(alone.output)["unexplained"] == 20
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        together = run(*arguments, "--scheduler", cluster.scheduler_address)
    assert json.loads(together.output) == json.loads(alone.output)
    assert together.exit_code == alone.exit_code == 1


@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_does_not_answer_is_a_usage_error(trees, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr("osect_harness.cluster.CONNECT_SECONDS", 1)
    result = run("conformance", *trees, "--scheduler", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "no Dask scheduler answers" in result.output


def test_without_dask_the_option_says_what_to_install(trees, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run("conformance", *trees, "--scheduler", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "install osect-sensor[dask]" in result.output
