"""Checking a directory of logs against the contract, field by field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from osect_harness.cells import check_cell, parse_datetime
from osect_harness.contract import Log, Rule, file_names, load_eve, tabular
from osect_harness.errors import UsageError
from osect_harness.eve import check_event, event_time
from osect_harness.rules import broken
from osect_harness.values import canonical

SECOND: Final = 1_000_000
NEVER_SET: Final = 12 * 86_400 * SECOND
"""A clock that was never set counts from 1970. Twelve days is more than captures without a clock
last, and less than any time since 2003 makes when milliseconds are taken for seconds."""

EARLIEST: Final = 631_152_000 * SECOND
"""1990: the first year from which captures are known."""

LATEST: Final = (1 << 32) * SECOND
"""2106, where the seconds of a pcap record end. Milliseconds given as seconds lie far beyond."""

UID_SLACK: Final = SECOND
"""How much earlier than its connection a row may be: captures are not always in order."""

ZEEK_CLOSE: Final = re.compile(r"#close\t(.*)")
ZEEK_MOMENT: Final = "%Y-%m-%d-%H-%M-%S"

MAX_KEPT: Final = 20_000
"""Violations that are kept word for word; the others are only counted."""

_Ends = frozenset[tuple[str, str]]
"""Address and port of both ends, whichever is the client; empty when they cannot be read."""

_ADDRESSES: Final = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which the logs break the contract."""

    file: str
    line: int
    """Line of the file, zero for the file as a whole."""
    column: str
    kind: str
    value: str
    expected: str


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check, beyond what the contract fixes."""

    without: frozenset[str] = frozenset()
    """Logs that the sensor does not write."""
    since: int | None = None
    until: int | None = None
    """Microseconds: every time must lie between these, when given."""
    unfinished: bool = False
    """The sensor still runs: connections of the last two windows may not be reported yet."""
    any_time: bool = False
    """Leave the times' order of magnitude unchecked."""


@dataclass(slots=True)
class CheckReport:
    """Outcome of a check."""

    windows: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Logs looked for, with their window where there are several."""
    files: int = 0
    rows: int = 0
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of violations by (file, kind)."""

    @property
    def total(self) -> int:
        """Number of violations, kept or not."""
        return self.counts.total()

    def add(self, file: str, line: int, column: str, kind: str, value: str, expected: str) -> None:
        """Note a violation."""
        self.counts[file, kind] += 1
        if len(self.violations) < MAX_KEPT:
            self.violations.append(Violation(file, line, column, kind, value, expected))


@dataclass(slots=True)
class _Reference:
    """A row whose uid must join conn.log."""

    file: str
    line: int
    uid: str
    window: int
    time: int
    ends: _Ends


@dataclass(slots=True)
class _Connection:
    """What the joins need of a uid's rows in conn.log."""

    last_window: int
    start: int
    ends: _Ends


@dataclass(slots=True)
class _Moment:
    """A time that was read."""

    file: str
    line: int
    column: str
    text: str
    micros: int


@dataclass(slots=True)
class _State:
    """What is gathered over all windows."""

    report: CheckReport
    options: CheckOptions
    references: list[_Reference] = field(default_factory=list)
    connections: dict[str, _Connection] = field(default_factory=dict)
    moments: list[_Moment] = field(default_factory=list)
    ends: list[tuple[int, _Moment]] = field(default_factory=list)
    """Intervals that begin at a row's time: the beginning, and the end."""


def find_windows(directory: Path) -> list[Path]:
    """Directories that hold logs: this one, or those directly below it in order of name."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is no directory: name the directory that holds the logs")
    names = set(file_names())
    if any((directory / name).exists() for name in names):
        return [directory]
    windows = [
        path
        for path in sorted(directory.iterdir())
        # A hidden directory is a window that is still being written.
        if path.is_dir()
        and not path.name.startswith(".")
        and any((path / name).exists() for name in names)
    ]
    if not windows:
        raise UsageError(
            f"{directory} holds no logs: name a directory with conn.log and so on in it, "
            "or one with a directory of logs for each window"
        )
    return windows


def check(directory: Path, options: CheckOptions | None = None) -> CheckReport:
    """Check the logs in a directory, or in a directory a window."""
    windows = find_windows(directory)
    report = CheckReport()
    state = _State(report, options or CheckOptions())
    single = windows == [directory]
    for number, window in enumerate(windows):
        prefix = "" if single else window.name + "/"
        report.windows.append(window.name)
        for log in tabular():
            if log.name not in state.options.without:
                _check_table(state, log, window / log.file, prefix + log.file, number)
        if "eve" not in state.options.without:
            _check_eve(state, window, prefix)
    _check_uids(state, len(windows))
    if not state.options.any_time:
        _check_times(state)
    report.violations.sort(key=lambda one: (one.file, one.line))
    return report


def _read(state: _State, path: Path, name: str) -> list[str] | None:
    """Lines of a log without their ends; nothing when there is no such file."""
    report = state.report
    report.names.append(name)
    if not path.is_file():
        report.add(name, 0, "", "missing-log", "", "the log, in every window, even without rows")
        return None
    report.files += 1
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        last = data.count(b"\n") + 1
        tail = data.rsplit(b"\n", 1)[-1][:80].decode("latin-1")
        report.add(name, last, "", "line", tail, "a line feed at the end of the last line")
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n") if text else []


def _check_table(state: _State, log: Log, path: Path, name: str, window: int) -> None:
    lines = _read(state, path, name)
    if lines is None:
        return
    headers = 0
    while headers < len(lines) and lines[headers].startswith("#"):
        if log.framing == "zeek" and lines[headers].startswith("#close"):
            break
        headers += 1
    order = _check_header(state.report, log, name, lines[:headers])
    end = len(lines)
    if log.framing == "zeek":
        end = _check_close(state.report, name, lines, headers)
    if order is not None:
        _check_rows(state, log, name, lines, (headers, end), order, window)


def _check_header(report: CheckReport, log: Log, name: str, header: list[str]) -> list[int] | None:
    """Check the header; give where each column stands, or nothing when columns are missing."""
    if len(header) != log.header_lines:
        report.add(
            name, 0, "", "header", f"{len(header)} header lines",
            f"exactly {log.header_lines} header lines: the cloud skips that many",
        )  # fmt: skip
    names = list(log.field_names)
    in_order = list(range(len(names)))
    if log.framing == "bare":
        return in_order
    if log.framing == "line":
        if not header:
            return in_order
        found = header[0].removeprefix("#").split("\t")
        return _check_columns(report, log, name, 1, found)
    order: list[int] | None = in_order
    wanted = _zeek_header(log)
    for number, (line, (keyword, content)) in enumerate(zip(header, wanted, strict=False), 1):
        if keyword == "#fields" and line.startswith("#fields"):
            order = _check_columns(report, log, name, number, line.split("\t")[1:])
        elif keyword == "#open":
            moment = line.partition("\t")[2]
            if not line.startswith("#open\t") or not _is_moment(moment):
                report.add(name, number, "", "header", line, "#open and YYYY-MM-DD-HH-MM-SS")
        elif line != content:
            report.add(name, number, "", "header", line, repr(content)[1:-1])
    return order


def _zeek_header(log: Log) -> list[tuple[str, str]]:
    types = "\t".join(one.zeek for one in log.fields)
    return [
        ("#separator", "#separator \\x09"),
        ("#set_separator", "#set_separator\t,"),
        ("#empty_field", "#empty_field\t(empty)"),
        ("#unset_field", "#unset_field\t-"),
        ("#path", f"#path\t{log.name}"),
        ("#open", "#open"),
        ("#fields", "#fields\t" + "\t".join(log.field_names)),
        ("#types", f"#types\t{types}"),
    ]


def _is_moment(text: str) -> bool:
    try:
        return datetime.strptime(text, ZEEK_MOMENT).strftime(ZEEK_MOMENT) == text
    except ValueError:
        return False


def _check_columns(
    report: CheckReport, log: Log, name: str, line: int, found: list[str]
) -> list[int] | None:
    wanted = list(log.field_names)
    if found == wanted:
        return list(range(len(wanted)))
    counts = Counter(found)
    for column, count in counts.items():
        if column not in wanted:
            report.add(name, line, column, "columns", column, "no such column")
        elif count > 1:
            report.add(name, line, column, "columns", f"{count} times", "the column once")
    missing = [column for column in wanted if column not in counts]
    for column in missing:
        report.add(name, line, column, "columns", "", f"the column {column}")
    known = [column for column in found if column in wanted]
    if not missing and list(dict.fromkeys(known)) != wanted:
        at = next(i for i, column in enumerate(dict.fromkeys(known)) if column != wanted[i])
        report.add(
            name, line, known[at], "columns", f"{known[at]!r} as column {at + 1}",
            f"{wanted[at]!r} there: " + " ".join(wanted),
        )  # fmt: skip
    if missing or len(found) != len(wanted):
        return None
    return [found.index(column) for column in wanted]


def _check_close(report: CheckReport, name: str, lines: list[str], start: int) -> int:
    """Check the last line; give where the rows end."""
    closes = [at for at in range(start, len(lines)) if lines[at].startswith("#close")]
    if not closes:
        report.add(name, len(lines), "", "close", "", "a last line '#close' and the time")
        return len(lines)
    end = closes[0]
    found = ZEEK_CLOSE.fullmatch(lines[end])
    if not found or not _is_moment(found[1]):
        report.add(name, end + 1, "", "close", lines[end], "#close, a TAB and YYYY-MM-DD-HH-MM-SS")
    for at in range(end + 1, len(lines)):
        report.add(name, at + 1, "", "trailing", lines[at], "nothing after the #close line")
    return end


def _check_rows(
    state: _State,
    log: Log,
    name: str,
    lines: list[str],
    span: tuple[int, int],
    order: list[int],
    window: int,
) -> None:
    report = state.report
    width = len(log.fields)
    judged: list[dict[str, bool]] = [{} for _ in log.fields]
    straight = order == list(range(width))
    for at in range(*span):
        line = lines[at]
        number = at + 1
        if line.startswith("#"):
            report.add(name, number, "", "trailing", line, "a row: headers stand at the top")
            continue
        values = line.split("\t")
        if len(values) != width:
            what = "a row" if line else "no empty line"
            report.add(
                name, number, "", "tabs", line, f"{what} of {width} columns, here {len(values)}"
            )
            continue
        if not straight:
            values = [values[column] for column in order]
        report.rows += 1
        bad: set[str] = set()
        for one, value, seen in zip(log.fields, values, judged, strict=True):
            good = seen.get(value)
            if good is None:
                good = check_cell(one, value) is None
                seen[value] = good
            if not good:
                bad.add(one.name)
                found = check_cell(one, value)
                if found:
                    report.add(name, number, one.name, found.kind, value, found.expected)
        row = dict(zip(log.field_names, values, strict=True))
        if not bad:
            _check_rules(report, log, name, number, row)
        _note(state, log, name, number, row, window, bad)


def _check_rules(
    report: CheckReport, log: Log, name: str, number: int, row: dict[str, str]
) -> None:
    for rule in log.rules:
        if broken(log, rule, row):
            columns = _columns_of(rule)
            value = " ".join(f"{column}={row[column]}" for column in columns)
            report.add(name, number, columns[-1], "rule", value, rule.text)


def _columns_of(rule: Rule) -> list[str]:
    return list(dict.fromkeys([*(column for column, _ in rule.when), *rule.fields]))


def _note(
    state: _State,
    log: Log,
    name: str,
    number: int,
    row: dict[str, str],
    window: int,
    bad: set[str],
) -> None:
    """Keep what can only be judged when all logs were read; values that are bad are left out."""
    first = -1
    for one in log.fields:
        if one.type not in ("time", "time_ms", "datetime_ms") or one.name in bad:
            continue
        text = row[one.name]
        value = parse_datetime(text) if one.type == "datetime_ms" else canonical(one, text)
        if isinstance(value, int):
            first = value if first < 0 else first
            state.moments.append(_Moment(name, number, one.name, text, value))
    for one in log.fields:
        if one.type == "interval" and first >= 0 and one.name not in bad:
            length = canonical(one, row[one.name])
            if isinstance(length, int):
                end = _Moment(name, number, one.name, row[one.name], first + length)
                state.ends.append((first, end))
    if not log.uid or "uid" in bad:
        return
    ends: _Ends = frozenset()
    if not bad.intersection(_ADDRESSES):
        ends = frozenset(
            [(row["id.orig_h"], row["id.orig_p"]), (row["id.resp_h"], row["id.resp_p"])]
        )
    uid = row["uid"]
    if log.uid == "refers":
        state.references.append(_Reference(name, number, uid, window, first, ends))
        return
    known = state.connections.setdefault(uid, _Connection(window, first, ends))
    if known.ends and ends and known.ends != ends:
        state.report.add(
            name, number, "uid", "uid", uid, "a uid of its own: this one is another connection's"
        )
    known.last_window = window
    known.start = min(known.start, first)


def _check_uids(state: _State, windows: int) -> None:
    if "conn" in state.options.without:
        return
    report = state.report
    for one in state.references:
        known = state.connections.get(one.uid)
        if known is None or known.last_window < one.window:
            if state.options.unfinished and one.window >= windows - 2:
                continue
            where = "conn.log" if windows == 1 else "conn.log of this window or a later one"
            report.add(one.file, one.line, "uid", "uid", one.uid, f"a uid of {where}")
        elif known.ends and one.ends and known.ends != one.ends:
            ends = " and ".join(":".join(end) for end in sorted(known.ends))
            report.add(one.file, one.line, "uid", "uid", one.uid, f"the connection of {ends}")
        elif 0 <= one.time < known.start - UID_SLACK:
            report.add(
                one.file, one.line, "ts", "time", _seconds(one.time),
                f"no earlier than its connection, {_seconds(known.start)}",
            )  # fmt: skip


def _seconds(micros: int) -> str:
    return f"{micros // SECOND}.{micros % SECOND:06d}"


def _check_times(state: _State) -> None:
    """Find times of another order of magnitude than the rest, or than any capture's."""
    since, until = state.options.since, state.options.until
    if since is not None or until is not None:
        for one in state.moments:
            if (since is not None and one.micros < since) or (
                until is not None and one.micros > until
            ):
                _add_moment(state.report, one, f"a time {_between(since, until)}")
    latest = LATEST if until is None else until
    for start, one in state.ends:
        if start <= latest < one.micros:
            _add_moment(
                state.report, one, f"an interval that ends no later than {_seconds(latest)}"
            )
    if since is not None or until is not None:
        return
    if not state.moments:
        return
    usual = median(one.micros for one in state.moments)
    for one in state.moments:
        # A packet block without a time stamp reads as the epoch itself, beside any others.
        unset = one.micros == 0 or (one.micros <= NEVER_SET and usual <= NEVER_SET)
        if not unset and not EARLIEST <= one.micros < LATEST:
            _add_moment(
                state.report, one,
                "seconds since 1970, from 1990 to 2106 (or all within the first twelve days of "
                "1970: a clock that was never set)",
            )  # fmt: skip


def _between(since: int | None, until: int | None) -> str:
    parts = []
    if since is not None:
        parts.append(f"not before {_seconds(since)}")
    if until is not None:
        parts.append(f"not after {_seconds(until)}")
    return " and ".join(parts)


def _add_moment(report: CheckReport, one: _Moment, expected: str) -> None:
    report.add(one.file, one.line, one.column, "time", one.text, expected)


def _check_eve(state: _State, window: Path, prefix: str) -> None:
    contract = load_eve()
    name = prefix + contract.file
    lines = _read(state, window / contract.file, name)
    for number, line in enumerate(lines or [], 1):
        state.report.rows += 1
        findings = list(check_event(contract, line))
        for one in findings:
            state.report.add(name, number, one.key, one.kind, one.value, one.expected)
        if not findings:
            micros = event_time(line)
            if micros is not None:
                state.moments.append(_Moment(name, number, "timestamp", line[:60], micros))


def violation_line(one: Violation) -> str:
    """One violation for people."""
    place = f"{one.file}:{one.line}" if one.line else one.file
    column = f" {one.column}" if one.column else ""
    got = f"got {one.value!r}, " if one.value else ""
    return f"{place}{column}: {one.kind}: {got}expected {one.expected}"


def violation_lines(report: CheckReport, show: int) -> Iterator[str]:
    """The report as lines for a terminal."""
    yield from (violation_line(one) for one in report.violations[:show])
    if report.total > show:
        yield f"… and {report.total - min(show, len(report.violations))} more"
    if report.total:
        yield ""
        for (file, kind), count in sorted(report.counts.items()):
            yield f"{count:8d}  {file}  {kind}"
    where = f"{len(report.windows)} windows, " if len(report.windows) > 1 else ""
    yield (
        f"{where}{report.files} logs, {report.rows} rows: "
        + (f"{report.total} violations" if report.total else "all as the contract says")
    )
