"""The comparer finds what differs, and leaves nothing open but what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Row = tuple[str, ...]
Compare = Callable[..., list[str]]

FIELDS = [
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "history",
    "tunnel_parents",
]  # fmt: skip


def row(ts: str, uid: str, port: str, history: str = "D", parents: str = "-") -> Row:
    return (ts, uid, "10.0.0.1", port, "10.0.0.2", "53", "udp", history, parents)


@pytest.fixture
def differences(compare: ModuleType) -> Compare:
    """Compares rows of conn.log, and of other logs given as (fields, expected, actual)."""

    def run(expected: list[Row], actual: list[Row], **others: Any) -> list[str]:
        logs: dict[str, list[Row]] = {log: [] for log in compare.LOGS}
        logs["conn"] = actual
        expectations = {"conn": compare.Expectation(FIELDS, expected)}
        for log, (fields, wanted, got) in others.items():
            expectations[log] = compare.Expectation(fields, wanted)
            logs[log] = got
        found: list[str] = compare.Comparison(expectations, logs).run()
        return found

    return run


def test_order_and_uids_are_left_open(differences: Compare) -> None:
    expected = [row("1", "C1", "1"), row("2", "C2", "2")]
    actual = [row("2", "Cabc", "2"), row("1", "Cxyz", "1")]
    assert differences(expected, actual) == []


def test_a_value_that_differs_is_named_with_both_values(differences: Compare) -> None:
    found = differences([row("1", "C1", "1", "Dd")], [row("1", "Cx", "1", "D")])
    assert found == ["conn: 1 C1 10.0.0.1 1 10.0.0.2 53 udp: history: expected 'Dd', got 'D'"]


def test_missing_and_surplus_rows_are_told(differences: Compare) -> None:
    found = differences([row("1", "C1", "1")], [])
    assert found == ["conn: missing: 1 C1 10.0.0.1 1 10.0.0.2 53 udp D -"]
    found = differences([], [row("1", "Cx", "1")])
    assert found == ["conn: not expected: 1 Cx 10.0.0.1 1 10.0.0.2 53 udp D -"]


def test_rows_of_a_log_without_expectations_are_surplus(compare: ModuleType) -> None:
    logs: dict[str, list[Row]] = {log: [] for log in compare.LOGS}
    logs["arp"] = [("1", "2")]
    assert compare.Comparison({}, logs).run() == ["arp: not expected: 1 2"]


def test_a_symbol_stands_for_one_uid_in_all_logs(differences: Compare) -> None:
    dns_fields = ["ts", "uid", "query"]
    conns = [row("1", "C1", "1"), row("2", "C2", "2")]
    got = [row("1", "Cx", "1"), row("2", "Cy", "2")]
    same = (dns_fields, [("1", "C1", "q")], [("1", "Cx", "q")])
    assert differences(conns, got, dns=same) == []
    other = (dns_fields, [("1", "C1", "q")], [("1", "Cy", "q")])
    assert differences(conns, got, dns=other) == ["dns: 1 C1 q: uid: expected 'C1', got 'C2'"]


def test_parents_are_a_set_of_symbols(differences: Compare) -> None:
    expected = [row("1", "C1", "1"), row("2", "C2", "2"), row("3", "C3", "3", parents="C1,C2")]
    actual = [row("1", "Cx", "1"), row("2", "Ca", "2"), row("3", "Cz", "3", parents="Ca,Cx")]
    assert differences(expected, actual) == []
    actual[2] = row("3", "Cz", "3", parents="Ca")
    assert len(differences(expected, actual)) == 1


def test_a_tunnel_without_a_row_has_one_uid_too(differences: Compare) -> None:
    expected = [row("1", "C1", "1", parents="T1"), row("2", "C2", "2", parents="T1")]
    one = [row("1", "Cx", "1", parents="Ct"), row("2", "Cy", "2", parents="Ct")]
    assert differences(expected, one) == []
    two = [row("1", "Cx", "1", parents="Ct"), row("2", "Cy", "2", parents="Cu")]
    assert len(differences(expected, two)) == 1


def test_two_equal_rows_are_not_one(differences: Compare) -> None:
    found = differences([row("1", "C1", "1")], [row("1", "Cx", "1"), row("1", "Cx", "1")])
    assert len(found) == 1


def test_an_expectation_with_too_few_values_is_an_error(
    tmp_path: Path, compare: ModuleType
) -> None:
    (tmp_path / "arp.rows").write_text("#fields\tts\torig_mac\n1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="1 values for 2 fields"):
        compare.read_expectations(tmp_path)


def test_an_expectation_of_an_unknown_log_is_an_error(tmp_path: Path, compare: ModuleType) -> None:
    (tmp_path / "weird.rows").write_text("#fields\tts\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no log of that name"):
        compare.read_expectations(tmp_path)
