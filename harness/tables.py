"""Reading logs for comparison, whatever tool's framing they have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osect_harness.contract import Log

ABSENT = "\0absent"
"""Stands for a column that the file does not have: equals nothing a log can hold."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one log, columns in the contract's order."""

    rows: list[list[str]]
    exists: bool = True


def read_table(directory: Path, log: Log) -> Table:
    """Read one log of a capture: directly in the directory, or in its window directories."""
    path = directory / log.file
    if path.is_file():
        return Table(rows=_rows(path, log))
    parts = sorted(directory.glob(f"*/{log.file}")) if directory.is_dir() else []
    rows = [row for part in parts for row in _rows(part, log)]
    return Table(rows=rows, exists=bool(parts))


def _rows(path: Path, log: Log) -> list[list[str]]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    names = list(log.field_names)
    order: list[int] | None = None
    width = len(names)
    rows: list[list[str]] = []
    for line in text.split("\n"):
        if line.startswith("#"):
            if line.startswith("#fields\t"):
                order = _order(names, line.split("\t")[1:])
            continue
        if not line:
            continue
        row = line.split("\t")
        if order is not None:
            row = [row[at] if 0 <= at < len(row) else ABSENT for at in order]
        elif len(row) != width:
            row = (row + [ABSENT] * width)[:width]
        rows.append(row)
    return rows


def _order(names: list[str], found: list[str]) -> list[int] | None:
    """Where each of the contract's columns stands; nothing when they stand as they should."""
    if found == names:
        return None
    return [found.index(name) if name in found else -1 for name in names]
