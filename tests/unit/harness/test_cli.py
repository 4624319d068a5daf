"""The command tells its outcome by its exit code, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from osect_harness.cli import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def test_check_passes_good_logs(logs):
    result = run("check", logs.path)
    assert result.exit_code == 0
    assert result.output == "15 logs, 22 rows: all as the contract says\n"


def test_check_names_file_line_column_value_and_expectation(logs):
    logs.change("conn", 1, "id.orig_p", "99999")
    result = run("check", logs.path)
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == (
        "conn.log:10 id.orig_p: type: got '99999', expected a port: 0 to 65535"
    )
    assert "1 violations" in result.output


def test_check_caps_what_it_prints_and_tells_the_total(logs):
    row = logs.rows("dhcp2")[0]
    logs.write("dhcp2", [["x", *row[1:]]] * 10)
    lines = run("check", logs.path, "--show", "3").output.splitlines()
    assert sum(line.startswith("dhcp2.log:") for line in lines) == 3
    assert "… and 7 more" in lines


def test_check_prints_json_and_writes_junit(logs, tmp_path):
    logs.change("conn", 1, "proto", "sctp")
    result = run("check", logs.path, "--json", "--junit", tmp_path / "junit.xml")
    data = json.loads(result.output)
    assert (result.exit_code, data["total"]) == (1, 1)
    assert data["violations"][0]["column"] == "proto"
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize(
    "since", ["1714521600", "2024-05-01T00:00:00", "2024-05-01T09:00:00+09:00"]
)
def test_check_takes_a_span_of_time(logs, since):
    assert run("check", logs.path, "--since", since).exit_code == 0
    assert run("check", logs.path, "--until", since).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "/nowhere"),
        ("conformance", "/nowhere", "/nowhere"),
        ("diff", "/nowhere", "/nowhere"),
    ],
)
def test_a_directory_that_does_not_exist_is_a_usage_error_of_one_line(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("osect-harness: /nowhere is no directory: ")
    assert len(result.output.splitlines()) == 1


def test_an_unknown_option_is_a_usage_error(logs):
    assert run("check", logs.path, "--nothing").exit_code == 2
    assert run("check", logs.path, "--since", "yesterday").exit_code == 2


def test_a_report_that_cannot_be_written_is_a_usage_error(logs):
    result = run("check", logs.path, "--junit", "/nowhere/junit.xml")
    assert result.exit_code == 2
    assert "cannot write /nowhere/junit.xml" in result.output


def test_conformance_passes_equal_trees_and_fails_others(make_logs, tmp_path):
    ours = make_logs("ours/a/b")
    make_logs("golden/a/b")
    arguments = ("conformance", tmp_path / "ours", tmp_path / "golden")
    assert run(*arguments).exit_code == 0
    ours.change("conn", 0, "history", "S")
    result = run(*arguments, "--diff", tmp_path / "diff.txt", "--junit", tmp_path / "junit.xml")
    assert result.exit_code == 1
    assert "conn.history" in result.output
    assert "history" in (tmp_path / "diff.txt").read_text()
    assert run(*arguments, "--log", "arp").exit_code == 0
    assert json.loads(run(*arguments, "--json").output)["unexplained"] == 1


def test_diff_tells_rows_of_both_sides(make_logs, tmp_path):
    make_logs("old").write("arp", [])
    make_logs("new").write("ns", [])
    result = run("diff", tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 1
    assert "arp row 1 extra" in result.output
    assert "ns row 1 missing" in result.output
    assert run("diff", tmp_path / "old", tmp_path / "old").exit_code == 0


def test_help_documents_the_exit_codes():
    assert "Exit codes: 0" in run("--help").output


def test_the_reviewed_list_is_used_unless_told_otherwise(make_logs, tmp_path):
    ours, golden = make_logs("ours/a/b"), make_logs("golden/a/b")
    golden.change("p0f-k", 1, "src_mac", "00:00:5e:00:53:09")
    arguments = ("conformance", tmp_path / "ours", tmp_path / "golden")
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--no-explained").exit_code == 1
    missing = tmp_path / "none.toml"
    assert run(*arguments, "--explained", missing).exit_code == 2
    assert isinstance(ours.path, Path)
