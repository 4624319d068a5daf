"""Which row of one log stands for which row of the other.

Rows that are equal pair first. What is left pairs by ever looser keys, within a key by the number
of equal fields and then by nearness in time, and never across more time than the log allows: a
row that was written late pairs and fails its ``ts``, one that is a different packet does not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from osect_harness.contract import Field, Log
from osect_harness.values import same

Row = Sequence[Hashable]

SECOND: Final = 1_000_000
ANY_TIME: Final = 1 << 62

MAX_NEIGHBOURS: Final = 48
"""Rows that are weighed against one row, nearest in time: more would make scans quadratic."""

MAX_OPTIMAL: Final = 40
"""Groups up to this size are assigned optimally, which is cubic; larger ones greedily."""

ENDPOINTS: Final = "endpoints"
"""Key that takes both (address, port) ends in either order."""

HOSTS: Final = "hosts"
"""Key that takes both addresses in either order."""

_TUPLE: Final = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")


@dataclass(frozen=True, slots=True)
class Level:
    """Rows may pair when these keys are equal and their times are within the window."""

    keys: tuple[str, ...]
    window: int


_PACKET: Final = 1000
"""Microseconds: one packet's time may be rounded, it does not move further."""

_AT_ONCE: Final = Level((), 1)
"""Rows of the same time stand for the same packet, whatever else differs."""


def _by_sender(address: str) -> tuple[Level, ...]:
    return (Level((address,), _PACKET), _AT_ONCE)


LEVELS: Final[dict[str, tuple[Level, ...]]] = {
    "conn": (
        Level(("proto", *_TUPLE), 3600 * SECOND),
        Level(("proto", ENDPOINTS), 3600 * SECOND),
        Level(("proto", HOSTS), 1),
    ),
    "yaf_flow": (
        Level(("proto", "sip", "dip", "tag"), 3600 * SECOND),
        Level(("sip", "dip"), 1000),
        Level(("proto", HOSTS), 1800 * SECOND),
        Level((HOSTS,), 1000),
    ),
    "arp": (Level(("orig_ip", "resp_ip"), _PACKET), _AT_ONCE),
    "ns": (Level(("orig_ip", "resp_ip"), _PACKET), _AT_ONCE),
    "dns": (
        Level((*_TUPLE, "trans_id", "query"), 60 * SECOND),
        Level((*_TUPLE, "trans_id"), 60 * SECOND),
        Level((ENDPOINTS, "trans_id"), 60 * SECOND),
        Level((ENDPOINTS,), 1),
    ),
    "p0f-k": (Level(("mod", "src_ip"), _PACKET), _AT_ONCE),
    "http": (
        Level((*_TUPLE, "trans_depth"), 600 * SECOND),
        Level((*_TUPLE, "method", "uri"), 600 * SECOND),
        Level((ENDPOINTS,), 1),
    ),
    "dhcp2": _by_sender("src_mac"),
    "netbios-ns": (Level(("src_iP", "name"), _PACKET), *_by_sender("src_iP")),
    "mswin-browser": _by_sender("src_iP"),
    "dhcpv6": _by_sender("src_iP"),
    "ssdp": _by_sender("src_ip"),
    "cclink-ief-basic": (
        Level((*_TUPLE, "pdu"), ANY_TIME),
        Level((ENDPOINTS, "pdu"), ANY_TIME),
    ),
    "cclink-ie": (
        Level(("src_mac", "dst_mac", "service", "pdu_type", "cmd"), ANY_TIME),
        Level(("src_mac", "dst_mac", "service", "pdu_type"), ANY_TIME),
    ),
}

_HOST_COLUMNS: Final = {"yaf_flow": ("sip", "dip")}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Outcome of pairing: indexes into the two lists of rows."""

    pairs: list[tuple[int, int]]
    extra: list[int]
    """Ours that stand for nothing."""
    missing: list[int]
    """Expected rows that nothing stands for."""


def pair(
    log: Log,
    columns: Sequence[int],
    ours: Sequence[Row],
    expected: Sequence[Row],
    prefer: Callable[[str, int], Hashable] | None = None,
) -> Pairs:
    """Pair the rows of two tables in canonical form.

    ``columns`` are those that count. ``prefer`` gives, for a side (``ours`` or ``expected``) and
    a row, what tells rows apart that are equal in every column that counts.
    """
    pairs, left, right = _equal_rows(columns, ours, expected, prefer)
    fields = log.fields
    for level in LEVELS[log.name]:
        if not left or not right:
            break
        key = _key(log, level)
        groups: dict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for at in left:
            groups[key(ours[at])][0].append(at)
        for at in right:
            groups[key(expected[at])][1].append(at)
        for some, others in groups.values():
            if some and others:
                found = _assign(fields, columns, ours, expected, some, others, level.window)
                pairs.extend(found)
        taken_left = {i for i, _ in pairs}
        taken_right = {j for _, j in pairs}
        left = [at for at in left if at not in taken_left]
        right = [at for at in right if at not in taken_right]
    pairs.sort(key=lambda found: found[1])
    return Pairs(pairs=pairs, extra=left, missing=right)


def equal_fields(fields: Sequence[Field], columns: Sequence[int], left: Row, right: Row) -> int:
    """How many of the columns are equal."""
    return sum(
        1 for at in columns if left[at] == right[at] or same(fields[at], left[at], right[at])
    )


def time_of(row: Row) -> int:
    """Time of a row in microseconds; rows without a readable one count as time zero."""
    value = row[0]
    return value if isinstance(value, int) else 0


def _equal_rows(
    columns: Sequence[int],
    ours: Sequence[Row],
    expected: Sequence[Row],
    prefer: Callable[[str, int], Hashable] | None,
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for at, row in enumerate(ours):
        waiting[tuple(row[column] for column in columns)].append(at)
    wanted: dict[Hashable, list[int]] = defaultdict(list)
    for at, row in enumerate(expected):
        wanted[tuple(row[column] for column in columns)].append(at)
    pairs: list[tuple[int, int]] = []
    right: list[int] = []
    for identity, those in wanted.items():
        these = waiting.pop(identity, [])
        if prefer is not None and (len(these) > 1 or len(those) > 1):
            these, those = _preferred_first(these, those, prefer, pairs)
        count = min(len(these), len(those))
        pairs.extend(zip(these[:count], those[:count], strict=True))
        right.extend(those[count:])
        if len(these) > count:
            waiting[identity] = these[count:]
    left = sorted(at for rest in waiting.values() for at in rest)
    return pairs, left, sorted(right)


def _preferred_first(
    these: list[int],
    those: list[int],
    prefer: Callable[[str, int], Hashable],
    pairs: list[tuple[int, int]],
) -> tuple[list[int], list[int]]:
    """Pair the rows whose preference agrees; give back the others."""
    marks: dict[Hashable, list[int]] = defaultdict(list)
    for at in these:
        marks[prefer("ours", at)].append(at)
    others: list[int] = []
    for at in those:
        found = marks.get(prefer("expected", at))
        if found:
            pairs.append((found.pop(0), at))
        else:
            others.append(at)
    return sorted(at for rest in marks.values() for at in rest), others


def _key(log: Log, level: Level) -> Callable[[Row], Hashable]:
    names = log.field_names
    hosts = _HOST_COLUMNS.get(log.name, ("id.orig_h", "id.resp_h"))
    plain = [names.index(name) for name in level.keys if name not in (ENDPOINTS, HOSTS)]
    both: list[tuple[list[int], list[int]]] = []
    if ENDPOINTS in level.keys:
        ends = [names.index(name) for name in _TUPLE]
        both.append((ends[:2], ends[2:]))
    if HOSTS in level.keys:
        both.append(([names.index(hosts[0])], [names.index(hosts[1])]))

    def key(row: Row) -> Hashable:
        parts: list[Hashable] = [row[at] for at in plain]
        for some, others in both:
            sides = [tuple(row[at] for at in some), tuple(row[at] for at in others)]
            parts.extend(sorted(sides, key=repr))
        return tuple(parts)

    return key


def _assign(
    fields: Sequence[Field],
    columns: Sequence[int],
    ours: Sequence[Row],
    expected: Sequence[Row],
    left: list[int],
    right: list[int],
    window: int,
) -> list[tuple[int, int]]:
    """Pair rows of one key, as many as the window allows, the most alike together."""
    candidates = _candidates(fields, columns, ours, expected, left, right, window)
    if len(left) == 1 or len(right) == 1 or max(len(left), len(right)) > MAX_OPTIMAL:
        return _greedy(candidates)
    return _optimal(candidates, left, right, len(columns))


Candidate = tuple[int, int, int, int]
"""(fields that differ, microseconds apart, row of ours, expected row)"""


def _candidates(
    fields: Sequence[Field],
    columns: Sequence[int],
    ours: Sequence[Row],
    expected: Sequence[Row],
    left: list[int],
    right: list[int],
    window: int,
) -> list[Candidate]:
    right = sorted(right, key=lambda at: time_of(expected[at]))
    times = [time_of(expected[at]) for at in right]
    found: list[Candidate] = []
    for i in left:
        now = time_of(ours[i])
        middle = bisect_left(times, now)
        start = max(0, middle - MAX_NEIGHBOURS // 2)
        for at in range(start, min(len(right), middle + MAX_NEIGHBOURS // 2)):
            gap = abs(times[at] - now)
            if gap <= window:
                j = right[at]
                alike = equal_fields(fields, columns, ours[i], expected[j])
                found.append((len(columns) - alike, gap, i, j))
    return found


def _greedy(candidates: list[Candidate]) -> list[tuple[int, int]]:
    taken_left: set[int] = set()
    taken_right: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for _, _, i, j in sorted(candidates):
        if i not in taken_left and j not in taken_right:
            taken_left.add(i)
            taken_right.add(j)
            pairs.append((i, j))
    return pairs


def _optimal(
    candidates: list[Candidate], left: list[int], right: list[int], width: int
) -> list[tuple[int, int]]:
    """Assign so that the fewest fields differ in all (Hungarian method)."""
    turned = len(left) > len(right)
    rows, others = (right, left) if turned else (left, right)
    row_at = {at: index + 1 for index, at in enumerate(rows)}
    other_at = {at: index + 1 for index, at in enumerate(others)}
    nearness = 3600 * SECOND
    # A pair that is no candidate costs more than any number of differing fields.
    never = float(1000 * (width + 1))
    cost = [[never] * (len(others) + 1) for _ in range(len(rows) + 1)]
    for differing, gap, i, j in candidates:
        row, other = (j, i) if turned else (i, j)
        cost[row_at[row]][other_at[other]] = differing + min(gap, nearness) / (nearness * 2.0)
    chosen = _hungarian(cost, len(rows), len(others))
    pairs: list[tuple[int, int]] = []
    for row, other in chosen:
        if cost[row][other] < never:
            one, two = rows[row - 1], others[other - 1]
            pairs.append((two, one) if turned else (one, two))
    return pairs


def _hungarian(cost: list[list[float]], rows: int, others: int) -> list[tuple[int, int]]:
    """Cheapest assignment of every row (1-based, rows <= others) by shortest augmenting paths."""
    row_price = [0.0] * (rows + 1)
    other_price = [0.0] * (others + 1)
    owner = [0] * (others + 1)
    for row in range(1, rows + 1):
        owner[0] = row
        at = 0
        slack = [float("inf")] * (others + 1)
        came_from = [0] * (others + 1)
        used = [False] * (others + 1)
        while owner[at] != 0:
            used[at] = True
            current = owner[at]
            best = float("inf")
            step = 0
            for other in range(1, others + 1):
                if used[other]:
                    continue
                reduced = cost[current][other] - row_price[current] - other_price[other]
                if reduced < slack[other]:
                    slack[other] = reduced
                    came_from[other] = at
                if slack[other] < best:
                    best = slack[other]
                    step = other
            for other in range(others + 1):
                if used[other]:
                    row_price[owner[other]] += best
                    other_price[other] -= best
                else:
                    slack[other] -= best
            at = step
        while at:
            previous = came_from[at]
            owner[at] = owner[previous]
            at = previous
    return [(owner[other], other) for other in range(1, others + 1) if owner[other]]
