"""Compares a directory of logs with the rows that a reference capture must yield.

Expected rows lie in ``pcaps/expected/<capture>/<log>.rows``: a ``#fields`` line, comments that
begin ``# ``, rows as the log has them. Their uids are symbols (C1, T1, …): each stands for one uid
of the logs, the same in all of them, and no two symbols for one. Nothing else is left open, except
that the order of rows does not count, nor that of the elements of ``tunnel_parents`` (a set), nor
how yaf_flow.log spells an IPv6 address. A log without expected rows must have none.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

LOGS = (
    "conn", "yaf_flow", "arp", "ns", "dns", "p0f-k", "http", "dhcp2", "netbios-ns",
    "mswin-browser", "dhcpv6", "ssdp", "cclink-ief-basic", "cclink-ie",
)  # fmt: skip
"""The logs compared here; eve.json is Suricata's and has its own test."""

Row = tuple[str, ...]


class Expectation:
    """The rows expected of one log."""

    def __init__(self, fields: list[str], rows: list[Row]) -> None:
        self.fields = fields
        self.rows = rows


def read_expectation(path: Path) -> Expectation:
    """Read a ``.rows`` file."""
    fields: list[str] = []
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#fields\t"):
            fields = line.split("\t")[1:]
        elif line.startswith("# "):
            continue
        else:
            row = tuple(line.split("\t"))
            if len(row) != len(fields):
                raise ValueError(f"{path}:{number}: {len(row)} values for {len(fields)} fields")
            rows.append(row)
    return Expectation(fields, rows)


def read_expectations(directory: Path) -> dict[str, Expectation]:
    """Read every ``.rows`` file of a capture."""
    found: dict[str, Expectation] = {}
    for path in sorted(directory.glob("*.rows")):
        if path.stem not in LOGS:
            raise ValueError(f"{path}: no log of that name")
        found[path.stem] = read_expectation(path)
    return found


def read_log(path: Path) -> list[Row]:
    """The rows of a log in any of its framings, without header and trailer."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def read_logs(directory: Path) -> dict[str, list[Row]]:
    """The rows of every log of a window."""
    return {log: read_log(directory / f"{log}.log") for log in LOGS}


class Comparison:
    """One capture's logs against its expectations."""

    def __init__(self, expected: dict[str, Expectation], actual: dict[str, list[Row]]) -> None:
        self._expected = expected
        self._actual = actual
        self._symbols: dict[str, str] = {}
        """uid of the logs → symbol."""
        self.differences: list[str] = []

    def run(self) -> list[str]:
        """The differences, one a line; empty when all rows are as expected."""
        self._learn_uids()
        for log in LOGS:
            expectation = self._expected.get(log)
            if expectation is None:
                for row in self._actual[log]:
                    self.differences.append(f"{log}: not expected: {' '.join(row)}")
            else:
                self._compare(log, expectation)
        return self.differences

    def _learn_uids(self) -> None:
        """Pair rows of conn.log by all but their uids, then by what identifies them alone."""
        expectation = self._expected.get("conn")
        if expectation is None:
            return
        fields = expectation.fields
        open_fields = {fields.index("uid"), fields.index("tunnel_parents")}
        key_fields = [
            fields.index(name)
            for name in ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")
        ]
        remaining = [row for row in self._actual["conn"] if len(row) == len(fields)]
        missing: list[Row] = []
        for row in expectation.rows:
            self._pair(
                row,
                remaining,
                [i for i in range(len(fields)) if i not in open_fields],
                missing,
                fields,
            )
        for row in missing:
            self._pair(row, remaining, key_fields, [], fields)

    def _pair(
        self, row: Row, remaining: list[Row], by: list[int], missing: list[Row], fields: list[str]
    ) -> None:
        for candidate in remaining:
            if all(row[i] == candidate[i] for i in by):
                remaining.remove(candidate)
                self._learn(row[fields.index("uid")], candidate[fields.index("uid")])
                parents = fields.index("tunnel_parents")
                if "," not in row[parents] and row[parents].startswith("T"):
                    self._learn(row[parents], candidate[parents])
                return
        missing.append(row)

    def _learn(self, symbol: str, uid: str) -> None:
        """Let ``symbol`` stand for ``uid``, unless either has its counterpart already."""
        if uid not in self._symbols and symbol not in self._symbols.values():
            self._symbols[uid] = symbol

    def _canonical(self, log: str, fields: list[str], row: Row) -> Row:
        """The row with symbols for uids, sets sorted, addresses spelled one way."""
        values = list(row)
        for i, name in enumerate(fields):
            if name == "uid":
                values[i] = self._symbols.get(values[i], values[i])
            elif name == "tunnel_parents" and values[i] != "-":
                parents = [self._symbols.get(uid, uid) for uid in values[i].split(",")]
                values[i] = ",".join(sorted(parents))
            elif log == "yaf_flow" and name in ("sip", "dip"):
                values[i] = str(ipaddress.ip_address(values[i]))
        return tuple(values)

    def _compare(self, log: str, expectation: Expectation) -> None:
        fields = expectation.fields
        actual: list[Row] = []
        for row in self._actual[log]:
            if len(row) != len(fields):
                self.differences.append(
                    f"{log}: {len(row)} values for {len(fields)} fields: {' '.join(row)}"
                )
            else:
                actual.append(self._canonical(log, fields, row))
        missing: list[Row] = []
        for row in expectation.rows:
            if row in actual:
                actual.remove(row)
            else:
                missing.append(row)
        for row in missing:
            nearest = max(actual, key=lambda other: _alike(row, other), default=None)
            if nearest is None or _alike(row, nearest) * 2 < len(fields):
                self.differences.append(f"{log}: missing: {' '.join(row)}")
                continue
            actual.remove(nearest)
            parts = [
                f"{name}: expected {wanted!r}, got {got!r}"
                for name, wanted, got in zip(fields, row, nearest, strict=True)
                if wanted != got
            ]
            self.differences.append(f"{log}: {' '.join(row[:7])}: {'; '.join(parts)}")
        for row in actual:
            self.differences.append(f"{log}: not expected: {' '.join(row)}")


def _alike(one: Row, other: Row) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))


def compare(expected: Path, logs: Path) -> list[str]:
    """Where the logs in ``logs`` differ from the expectations in ``expected``."""
    return Comparison(read_expectations(expected), read_logs(logs)).run()
