"""Conditions between the columns of one row."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from osect_harness.cells import parse_datetime
from osect_harness.contract import Log, Rule
from osect_harness.values import EMPTY, UNSET, canonical

Row = dict[str, str]


def broken(log: Log, rule: Rule, row: Row) -> bool:
    """Whether a row, whose values all have the right type, breaks a rule."""
    if any(not re.fullmatch(pattern, row[name]) for name, pattern in rule.when):
        return False
    if rule.kind == "then":
        return any(not re.fullmatch(pattern, row[name]) for name, pattern in rule.then)
    return not _HOLDS[rule.kind](log, rule, row)


def _is_set(value: str) -> bool:
    return value != UNSET


def _set_together(log: Log, rule: Rule, row: Row) -> bool:
    return len({_is_set(row[name]) for name in rule.fields}) == 1


def _one_of(log: Log, rule: Rule, row: Row) -> bool:
    return sum(_is_set(row[name]) for name in rule.fields) == 1


def _at_most_one_of(log: Log, rule: Rule, row: Row) -> bool:
    return sum(_is_set(row[name]) for name in rule.fields) <= 1


def _equal(log: Log, rule: Rule, row: Row) -> bool:
    return len({row[name] for name in rule.fields}) == 1


def _equal_when_set(log: Log, rule: Rule, row: Row) -> bool:
    return not _is_set(row[rule.fields[0]]) or _equal(log, rule, row)


def _same_length(log: Log, rule: Rule, row: Row) -> bool:
    return len({_length(row[name]) for name in rule.fields}) == 1


def _length(value: str) -> int:
    return -1 if value == UNSET else 0 if value == EMPTY else value.count(",") + 1


def _same_instant(log: Log, rule: Rule, row: Row) -> bool:
    return len({_micros(log, name, row) for name in rule.fields}) == 1


def _difference(log: Log, rule: Rule, row: Row) -> bool:
    end, start, length = (_micros(log, name, row) for name in rule.fields)
    return end - start == length


def _not_after(log: Log, rule: Rule, row: Row) -> bool:
    first, last = (_micros(log, name, row) for name in rule.fields)
    return first <= last


def _micros(log: Log, name: str, row: Row) -> int:
    field = log.fields[log.field_names.index(name)]
    value = (
        parse_datetime(row[name]) if field.type == "datetime_ms" else canonical(field, row[name])
    )
    return value if isinstance(value, int) else 0


_HOLDS: Final[dict[str, Callable[[Log, Rule, Row], bool]]] = {
    "set_together": _set_together,
    "one_of": _one_of,
    "at_most_one_of": _at_most_one_of,
    "equal": _equal,
    "equal_when_set": _equal_when_set,
    "same_length": _same_length,
    "same_instant": _same_instant,
    "difference": _difference,
    "not_after": _not_after,
}
