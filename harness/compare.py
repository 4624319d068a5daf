"""Comparing the logs of one capture, field by field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osect_harness.adapters import Profile
from osect_harness.contract import Log, load, tabular
from osect_harness.explained import Entry, Explained
from osect_harness.pairing import Row, equal_fields, pair, time_of
from osect_harness.tables import ABSENT, read_table
from osect_harness.values import EMPTY, UNSET, canonical, describe, same

MAX_CONTEXT: Final = 5
"""Differences of a field, in one capture, that keep their whole rows."""

MAX_NEAREST: Final = 200
"""Rows of the other side that are looked through for the one nearest to an unpaired row."""

MAX_NEAREST_SHOWN: Final = 50
"""Unpaired rows of a log that get their nearest row: the search costs more than it tells."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a comparison takes into account."""

    profile: Profile = field(default_factory=Profile)
    explained: Explained = field(default_factory=Explained)
    logs: frozenset[str] = frozenset()
    """Logs to compare; all when empty."""
    unscored: frozenset[tuple[str, str]] = frozenset()
    """(log, field) that do not count."""


@dataclass(slots=True)
class Tally:
    """How many fields were equal."""

    equal: int = 0
    total: int = 0
    explained: int = 0
    """Fields that differ for a reviewed reason; they are part of total and not of equal."""

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.equal += other.equal
        self.total += other.total
        self.explained += other.explained

    @property
    def share(self) -> float:
        """Equal fields of all."""
        return self.equal / self.total if self.total else 1.0

    @property
    def share_unexplained(self) -> float:
        """Equal fields of those that no reviewed reason takes out."""
        rest = self.total - self.explained
        return self.equal / rest if rest else 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, or one row that has no counterpart."""

    capture: str
    log: str
    kind: str
    """``field``, ``missing`` or ``extra``."""
    row: int
    """Number of the expected row, of ours for an extra one, from one."""
    field: str
    type: str
    expected: str
    got: str
    where: str
    """The row in short."""
    nearest: str = ""
    explained: str = ""
    """Entry that explains it."""
    expected_row: str = ""
    got_row: str = ""
    """Both rows of a field that differs, for the first of each field."""


@dataclass(slots=True)
class LogResult:
    """One log of one capture."""

    log: str
    ours: int = 0
    expected: int = 0
    paired: int = 0
    tally: Tally = field(default_factory=Tally)
    fields: dict[str, Tally] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Expected rows without a counterpart."""
        return self.expected - self.paired

    @property
    def extra(self) -> int:
        """Rows of ours without a counterpart."""
        return self.ours - self.paired


@dataclass(slots=True)
class CaptureResult:
    """All logs of one capture."""

    capture: str
    logs: list[LogResult] = field(default_factory=list)
    absent: bool = False
    """There is no directory of ours for this capture."""


class Uids:
    """Which uid of ours stands for which expected one: a bijection that conn.log induces."""

    def __init__(self) -> None:
        self.ours_of: dict[str, str] = {}
        self.expected_of: dict[str, str] = {}
        self.connections: set[str] = set()
        """Expected uids that conn.log holds."""
        self.our_connections: set[str] = set()

    def bind(self, ours: str, expected: str) -> bool:
        """Let two uids stand for each other unless one already stands for another."""
        known = self.ours_of.setdefault(expected, ours)
        back = self.expected_of.setdefault(ours, expected)
        return known == ours and back == expected

    def same(self, ours: str, expected: str) -> bool:
        """Whether a uid of ours stands for the expected one."""
        if UNSET in (ours, expected) or ABSENT in (ours, expected):
            return ours == expected
        if expected in self.connections and expected not in self.ours_of:
            return False
        return self.bind(ours, expected)

    def same_set(self, ours: str, expected: str) -> bool:
        """Whether comma-joined uids stand for each other as sets."""
        if ours == expected and ours in (UNSET, EMPTY):
            return True
        mapped = sorted(self.expected_of.get(uid, "?" + uid) for uid in ours.split(","))
        return mapped == sorted(expected.split(","))

    def bind_outside(self, ours: str, expected: str) -> None:
        """Bind uids of two equal-sized sets that no connection has: tunnels without a row."""
        mine = [
            uid
            for uid in ours.split(",")
            if uid not in self.our_connections and uid not in self.expected_of
        ]
        theirs = [
            uid
            for uid in expected.split(",")
            if uid not in self.connections and uid not in self.ours_of
        ]
        if len(mine) == len(theirs):
            for one, other in zip(mine, theirs, strict=True):
                self.bind(one, other)


@dataclass(slots=True)
class _Side:
    """One log of one side, as text and in canonical form."""

    text: list[list[str]]
    rows: list[Row]


def compare_capture(name: str, ours: Path, expected: Path, options: Options) -> CaptureResult:
    """Compare all logs of one capture."""
    result = CaptureResult(capture=name, absent=not ours.is_dir())
    silent = options.profile.silent_logs(expected)
    wanted = [
        log
        for log in tabular()
        if log.name not in silent and (not options.logs or log.name in options.logs)
    ]
    uids = Uids()
    sides: dict[str, tuple[_Side, _Side]] = {}
    conn = load("conn")
    for log in wanted if conn in wanted else [conn, *wanted]:
        mine = options.profile.fold(log, read_table(ours, log).rows)
        theirs = read_table(expected, log).rows
        options.profile.adapt(log, theirs)
        theirs = options.profile.fold(log, theirs)
        if mine or theirs:
            sides[log.name] = (_side(log, mine), _side(log, theirs))
    if "conn" in sides:
        mark_connections(uids, sides)
    for log in wanted:
        if log.name in sides:
            result.logs.append(_compare(name, log, *sides[log.name], uids, options))
    return result


def _side(log: Log, text: list[list[str]]) -> _Side:
    columns = [
        [canonical(field, value) for value in values]
        for field, values in zip(log.fields, zip(*text, strict=True), strict=bool(text))
    ]
    return _Side(text=text, rows=list(zip(*columns, strict=True)))


def _uid_columns(log: Log) -> list[int]:
    return [at for at, one in enumerate(log.fields) if one.type == "uid" or one.element == "uid"]


def _plain_columns(log: Log, options: Options) -> list[int]:
    uid_columns = set(_uid_columns(log))
    return [
        at
        for at, one in enumerate(log.fields)
        if at not in uid_columns and (log.name, one.name) not in options.unscored
    ]


def mark_connections(uids: Uids, sides: dict[str, tuple[_Side, _Side]]) -> None:
    """Bind the uids of the connections of both sides that stand for each other."""
    log = load("conn")
    ours, expected = sides["conn"]
    at = log.field_names.index("uid")
    uids.connections.update(row[at] for row in expected.text)
    uids.our_connections.update(row[at] for row in ours.text)
    marks = (_children(sides, 0), _children(sides, 1))

    def prefer(side: str, row: int) -> Hashable:
        which = 0 if side == "ours" else 1
        return marks[which].get((ours, expected)[which].text[row][at], ())

    found = pair(log, _plain_columns(log, Options()), ours.rows, expected.rows, prefer)
    for i, j in found.pairs:
        uids.bind(ours.text[i][at], expected.text[j][at])
    parents = log.field_names.index("tunnel_parents")
    sets = [(ours.text[i][parents], expected.text[j][parents]) for i, j in found.pairs]
    # One parent leaves no choice of what stands for it; more may be settled by then.
    for mine, theirs in sorted(sets, key=lambda both: both[1].count(",")):
        if UNSET not in (mine, theirs) and ABSENT not in (mine, theirs):
            uids.bind_outside(mine, theirs)


def _children(sides: dict[str, tuple[_Side, _Side]], which: int) -> dict[str, Hashable]:
    """What refers to each uid: tells connections apart that are equal in every field."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, both in sides.items():
        log = load(name)
        if log.uid != "refers":
            continue
        uid = log.field_names.index("uid")
        for row in both[which].text:
            found[row[uid]].append("\t".join(row[:uid] + row[uid + 1 :]))
    return {uid: tuple(sorted(rows)) for uid, rows in found.items()}


def _compare(
    capture: str, log: Log, ours: _Side, expected: _Side, uids: Uids, options: Options
) -> LogResult:
    plain = _plain_columns(log, options)
    uid_columns = [
        at for at in _uid_columns(log) if (log.name, log.fields[at].name) not in options.unscored
    ]
    at = log.field_names.index("uid") if log.uid else -1

    def prefer(side: str, row: int) -> Hashable:
        if side == "ours":
            uid = ours.text[row][at]
            return uids.expected_of.get(uid, uid)
        return expected.text[row][at]

    found = pair(log, plain, ours.rows, expected.rows, prefer if at >= 0 else None)
    result = LogResult(
        log=log.name, ours=len(ours.rows), expected=len(expected.rows), paired=len(found.pairs)
    )
    scored = sorted(plain + uid_columns)
    result.fields = {log.fields[column].name: Tally() for column in scored}
    writer = _Writer(capture, log, ours, expected, options.explained.of_log(log.name), result)
    equal = dict.fromkeys(scored, 0)
    for i, j in found.pairs:
        mine, theirs = ours.rows[i], expected.rows[j]
        for column in plain:
            if mine[column] == theirs[column] or same(
                log.fields[column], mine[column], theirs[column]
            ):
                equal[column] += 1
            else:
                writer.field(i, j, column)
        for column in uid_columns:
            one, other = ours.text[i][column], expected.text[j][column]
            if log.fields[column].type == "uid":
                alike = uids.same(one, other)
            else:
                alike = uids.same_set(one, other)
            if alike:
                equal[column] += 1
            else:
                writer.field(i, j, column)
    rows = len(found.pairs) + len(found.missing) + len(found.extra)
    for column in scored:
        tally = result.fields[log.fields[column].name]
        tally.equal += equal[column]
        tally.total += rows
    writer.unpaired("missing", found.missing, scored, plain)
    writer.unpaired("extra", found.extra, scored, plain)
    for tally in result.fields.values():
        result.tally.add(tally)
    return result


class _Writer:
    """Notes the differences of one log, and which of them are explained."""

    def __init__(
        self,
        capture: str,
        log: Log,
        ours: _Side,
        expected: _Side,
        entries: tuple[Entry, ...],
        result: LogResult,
    ) -> None:
        self.capture = capture
        self.log = log
        self.ours = ours
        self.expected = expected
        self.entries = entries
        self.result = result
        self.shown: dict[int, int] = defaultdict(int)

    def field(self, i: int, j: int, column: int) -> None:
        """Note a field that differs."""
        one = self.log.fields[column]
        mine, theirs = self.ours.text[i], self.expected.text[j]
        reason = ""
        for entry in self.entries:
            if entry.covers_field(self.capture, one.name, self._named(theirs), self._named(mine)):
                reason = entry.id
                self.result.fields[one.name].explained += 1
                break
        self.shown[column] += 1
        with_rows = self.shown[column] <= MAX_CONTEXT
        self.result.differences.append(
            Difference(
                capture=self.capture,
                log=self.log.name,
                kind="field",
                row=j + 1,
                field=one.name,
                type=describe(one),
                expected=theirs[column],
                got=mine[column],
                where=summary(self.log, theirs),
                explained=reason,
                expected_row="\t".join(theirs) if with_rows else "",
                got_row="\t".join(mine) if with_rows else "",
            )
        )

    def unpaired(
        self, kind: str, indexes: list[int], scored: Sequence[int], plain: Sequence[int]
    ) -> None:
        """Note rows without a counterpart."""
        here, there = (
            (self.expected, self.ours) if kind == "missing" else (self.ours, self.expected)
        )
        for number, at in enumerate(indexes):
            text = here.text[at]
            reason = ""
            for entry in self.entries:
                if entry.covers_row(self.capture, kind, self._named(text)):
                    reason = entry.id
                    for column in scored:
                        self.result.fields[self.log.fields[column].name].explained += 1
                    break
            nearest = ""
            if number < MAX_NEAREST_SHOWN:
                nearest = _nearest(self.log, plain, here.rows[at], there)
            joined = "\t".join(text)
            self.result.differences.append(
                Difference(
                    capture=self.capture,
                    log=self.log.name,
                    kind=kind,
                    row=at + 1,
                    field="",
                    type="row",
                    expected=joined if kind == "missing" else "",
                    got=joined if kind == "extra" else "",
                    where=summary(self.log, text),
                    nearest=nearest,
                    explained=reason,
                )
            )

    def _named(self, row: list[str]) -> dict[str, str]:
        return dict(zip(self.log.field_names, row, strict=True))


def _nearest(log: Log, plain: Sequence[int], row: Row, there: _Side) -> str:
    """The row of the other side that has most in common with an unpaired one."""
    now = time_of(row)
    order = sorted(range(len(there.rows)), key=lambda at: abs(time_of(there.rows[at]) - now))
    best = -1
    most = 0
    for at in order[:MAX_NEAREST]:
        alike = equal_fields(log.fields, plain, row, there.rows[at])
        if alike > most:
            most = alike
            best = at
    return "\t".join(there.text[best]) if best >= 0 else ""


def summary(log: Log, row: list[str]) -> str:
    """A row in short: its time and what identifies it."""
    names = log.field_names
    shown = dict(zip(names, row, strict=True))
    if "id.orig_h" in shown:
        ends = (
            f"{shown['id.orig_h']}:{shown['id.orig_p']} > {shown['id.resp_h']}:{shown['id.resp_p']}"
        )
        return f"{shown['ts']} {shown.get('proto', '')} {ends}".replace("  ", " ")
    if "sip" in shown:
        return f"{shown['ts']} {shown['proto']} {shown['sip']} > {shown['dip']}"
    return " ".join(value for value in row[:4] if value != UNSET)
