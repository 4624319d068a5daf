"""Text, JSON, JUnit and the full list of differences of a comparison."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from osect_harness.check import CheckReport, violation_line
from osect_harness.compare import Difference, Tally
from osect_harness.conformance import LogSummary, Report
from osect_harness.errors import UsageError

MAX_JUNIT_DIFFERENCES: Final = 20
"""Differences in one JUnit failure; the full list is a file of its own."""


def table(rows: list[list[str]]) -> Iterator[str]:
    """Lay out rows in aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def percent(share: float) -> str:
    """A share for people; never rounded up to a hundred."""
    value = int(share * 100_000) / 1000
    return f"{value:.3f}%"


def _log_row(name: str, one: LogSummary) -> list[str]:
    tally = one.tally
    return [
        name,
        str(one.captures),
        str(one.expected),
        str(one.ours),
        str(one.expected - one.paired),
        str(one.ours - one.paired),
        f"{tally.equal}/{tally.total}",
        percent(tally.share),
        str(tally.explained),
        percent(tally.share_unexplained),
        percent(one.mean),
        percent(one.mean_unexplained),
    ]


def text(report: Report, show: int, *, with_fields: bool = True) -> Iterator[str]:
    """The report as lines for a terminal."""
    header = (
        "log captures expected ours missing extra fields equal explained "
        "of-the-rest mean mean-of-the-rest"
    )
    rows = [header.split()]
    rows.extend(_log_row(name, one) for name, one in report.logs.items())
    total = report.total
    means = [one.mean for one in report.logs.values()]
    rests = [one.mean_unexplained for one in report.logs.values()]
    rows.append(
        [
            "all",
            str(len(report.captures)),
            *(
                str(sum(numbers))
                for numbers in zip(
                    *(
                        (
                            one.expected,
                            one.ours,
                            one.expected - one.paired,
                            one.ours - one.paired,
                        )
                        for one in report.logs.values()
                    ),
                    strict=True,
                )
            ),
            f"{total.equal}/{total.total}",
            percent(total.share),
            str(total.explained),
            percent(total.share_unexplained),
            percent(sum(means) / len(means)) if means else "-",
            percent(sum(rests) / len(rests)) if rests else "-",
        ]
        if report.logs
        else ["all", str(len(report.captures)), *["0"] * 4, "0/0", *["-"] * 5]
    )
    yield from table(rows)
    if with_fields:
        yield from _field_lines(report)
    if report.absent:
        yield ""
        yield f"captures without any logs of ours: {len(report.absent)}"
        yield from (f"  {name}" for name in report.absent[:10])
    yield from _explained_lines(report)
    yield from _difference_lines(report, show)


def _field_lines(report: Report) -> Iterator[str]:
    rows = [["field", "equal", "share", "explained"]]
    for name, one in report.logs.items():
        rows.extend(
            [f"{name}.{column}", f"{tally.equal}/{tally.total}", percent(tally.share),
             str(tally.explained)]
            for column, tally in one.fields.items()
            if tally.equal < tally.total
        )  # fmt: skip
    if len(rows) > 1:
        yield ""
        yield "fields that differ anywhere:"
        yield from table(rows)


def _explained_lines(report: Report) -> Iterator[str]:
    counts: dict[str, int] = defaultdict(int)
    for one in report.differences:
        if one.explained:
            counts[one.explained] += 1
    if counts:
        yield ""
        yield "explained differences (fields or rows):"
        yield from table([[name, str(count)] for name, count in sorted(counts.items())])
    if report.stale:
        yield ""
        yield "explained differences that no longer occur; remove them from the list:"
        yield from (f"  {name}" for name in report.stale)


def _difference_lines(report: Report, show: int) -> Iterator[str]:
    left = report.unexplained
    if not left:
        return
    yield ""
    yield f"differences: {left}" + (f", the first {show}:" if show < left else ":")
    for one in spread((one for one in report.differences if not one.explained), show):
        yield from difference_lines(one)


def spread(differences: Iterable[Difference], count: int) -> list[Difference]:
    """Take some differences, from every (log, field) in turn rather than all of the first."""
    groups: dict[tuple[str, str, str], list[Difference]] = defaultdict(list)
    for one in differences:
        groups[one.log, one.kind, one.field].append(one)
    chosen: list[Difference] = []
    depth = 0
    while len(chosen) < count and any(len(group) > depth for group in groups.values()):
        chosen.extend(group[depth] for group in groups.values() if len(group) > depth)
        depth += 1
    chosen = chosen[:count]
    chosen.sort(key=lambda one: (one.capture, one.log, one.row))
    return chosen


def difference_lines(one: Difference) -> Iterator[str]:
    """One difference for people."""
    note = f"  [{one.explained}]" if one.explained else ""
    if one.kind == "field":
        yield (
            f"{one.capture} {one.log} row {one.row} {one.field} ({one.type}): "
            f"expected {one.expected!r}, got {one.got!r}  ({one.where}){note}"
        )
        return
    content = one.expected or one.got
    yield f"{one.capture} {one.log} row {one.row} {one.kind}: {content}{note}"
    if one.nearest:
        yield f"    nearest: {one.nearest}"


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain data."""

    def tally(one: Tally) -> dict[str, Any]:
        return {
            "equal": one.equal,
            "total": one.total,
            "explained": one.explained,
            "share": round(one.share, 9),
            "share_of_the_rest": round(one.share_unexplained, 9),
        }

    return {
        "passed": report.passed,
        "corpus": report.corpus,
        "captures": len(report.captures),
        "absent": report.absent,
        "stale": report.stale,
        "unexplained": report.unexplained,
        "total": tally(report.total),
        "logs": {
            name: {
                **tally(one.tally),
                "mean": round(one.mean, 9),
                "mean_of_the_rest": round(one.mean_unexplained, 9),
                "captures": one.captures,
                "rows": {
                    "expected": one.expected,
                    "ours": one.ours,
                    "missing": one.expected - one.paired,
                    "extra": one.ours - one.paired,
                },
                "fields": {column: tally(values) for column, values in one.fields.items()},
            }
            for name, one in report.logs.items()
        },
    }


def write_json(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    write(path, json.dumps(as_json(report), indent=2, sort_keys=True) + "\n")


def write_differences(report: Report, path: Path) -> None:
    """Write every difference, explained or not, as text."""
    lines = [line for one in report.differences for line in difference_lines(one)]
    write(path, "".join(line + "\n" for line in lines))


def write_junit(report: Report, path: Path) -> None:
    """Write a JUnit file: a suite a log, a case a capture."""
    root = ElementTree.Element("testsuites", name="osect-harness")
    suites: dict[str, list[ElementTree.Element]] = defaultdict(list)
    for capture in report.captures:
        for log in capture.logs:
            case = ElementTree.Element("testcase", classname=log.log, name=capture.capture)
            open_ones = [one for one in log.differences if not one.explained]
            if open_ones:
                failure = ElementTree.SubElement(
                    case,
                    "failure",
                    message=f"{len(open_ones)} differences, {log.missing} rows missing, "
                    f"{log.extra} extra",
                )
                lines = [
                    line
                    for one in open_ones[:MAX_JUNIT_DIFFERENCES]
                    for line in difference_lines(one)
                ]
                failure.text = xml_text("\n".join(lines))
            suites[log.log].append(case)
    if report.stale:
        for name in report.stale:
            case = ElementTree.Element("testcase", classname="explained", name=name)
            ElementTree.SubElement(case, "failure", message="no longer occurs; remove it")
            suites["explained"].append(case)
    write_suites(root, suites, path)


def check_json(report: CheckReport, show: int) -> dict[str, Any]:
    """The outcome of a check as plain data."""
    return {
        "passed": not report.total,
        "windows": report.windows,
        "logs": report.files,
        "rows": report.rows,
        "total": report.total,
        "counts": [
            {"file": file, "kind": kind, "count": count}
            for (file, kind), count in sorted(report.counts.items())
        ],
        "violations": [
            {
                "file": one.file,
                "line": one.line,
                "column": one.column,
                "kind": one.kind,
                "value": one.value,
                "expected": one.expected,
            }
            for one in report.violations[:show]
        ],
    }


def write_check_junit(report: CheckReport, path: Path) -> None:
    """Write a JUnit file of a check: a case a log."""
    root = ElementTree.Element("testsuites", name="osect-harness")
    suites: dict[str, list[ElementTree.Element]] = defaultdict(list)
    for name in report.names:
        window, _, file = name.rpartition("/")
        case = ElementTree.Element("testcase", classname=window or "logs", name=file)
        count = sum(number for (one, _), number in report.counts.items() if one == name)
        if count:
            failure = ElementTree.SubElement(case, "failure", message=f"{count} violations")
            found = [one for one in report.violations if one.file == name]
            lines = [violation_line(one) for one in found[:MAX_JUNIT_DIFFERENCES]]
            failure.text = xml_text("\n".join(lines))
        suites[window or "logs"].append(case)
    write_suites(root, suites, path)


def write_suites(
    root: ElementTree.Element, suites: dict[str, list[ElementTree.Element]], path: Path
) -> None:
    """Finish and write a JUnit document."""
    for name, cases in suites.items():
        failures = sum(1 for case in cases if case.find("failure") is not None)
        suite = ElementTree.SubElement(
            root, "testsuite", name=name, tests=str(len(cases)), failures=str(failures)
        )
        suite.extend(cases)
    ElementTree.indent(root)
    write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def xml_text(value: str) -> str:
    """Text that XML 1.0 can hold."""
    return "".join(
        char if char in "\t\n" or (char >= " " and not 0xD800 <= ord(char) <= 0xDFFF) else "\ufffd"
        for char in value
    )


def write(path: Path, content: str) -> None:
    """Write a text file, and say what to do when that is impossible."""
    try:
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file") from error
