"""Levelling the form of another tool's logs before they are compared, as golden.toml says."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from osect_harness.contract import Log
from osect_harness.protocols import protocol_number


def escape_utf8(text: str) -> str:
    """Escape what is not ASCII byte by byte, as Zeek does when it does not write UTF-8."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte < 0x80 else f"\\x{byte:02x}" for byte in data)


ACTIONS: Final[dict[str, Callable[[str], str]]] = {
    "escape_utf8": escape_utf8,
    "protocol_number": protocol_number,
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a set of logs needs: nothing for our own form, golden.toml for the real tools'."""

    markers: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    """(marker files, logs): where all of these files are, those logs say nothing."""
    adapters: tuple[tuple[str, str, str], ...] = ()
    """(log, field, action) to apply to the expected side; ``*`` stands for every log or field."""
    folds: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(log, key) to fold on both sides."""

    def silent_logs(self, directory: Path) -> set[str]:
        """Logs about which the expected side says nothing for this capture."""
        return {
            log
            for files, logs in self.markers
            if all((directory / file).exists() for file in files)
            for log in logs
        }

    def adapt(self, log: Log, rows: list[list[str]]) -> None:
        """Bring the expected rows into the contract's form, in place."""
        for name, field, action in self.adapters:
            if name not in (log.name, "*"):
                continue
            names = log.field_names
            columns = range(len(names)) if field == "*" else [names.index(field)]
            convert = ACTIONS[action]
            for row in rows:
                for at in columns:
                    row[at] = convert(row[at])

    def fold(self, log: Log, rows: list[list[str]]) -> list[list[str]]:
        """Fold the rows of an aggregated log over the whole capture."""
        for name, key in self.folds:
            if name == log.name:
                return _fold(log, rows, key)
        return rows


@functools.cache
def golden_profile() -> Profile:
    """The profile of logs that the real tools wrote."""
    text = resources.files("osect_harness").joinpath("golden.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return Profile(
        markers=tuple((tuple(entry["files"]), tuple(entry["logs"])) for entry in data["marker"]),
        adapters=tuple(
            (entry["log"], entry["field"], entry["action"]) for entry in data["adapter"]
        ),
        folds=tuple((entry["log"], tuple(entry["key"])) for entry in data["fold"]),
    )


def _fold(log: Log, rows: list[list[str]], key: tuple[str, ...]) -> list[list[str]]:
    names = log.field_names
    columns = [names.index(name) for name in key]
    first, last, number = names.index("ts"), names.index("ts_end"), names.index("number")
    folded: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        identity = tuple(row[at] for at in columns)
        seen = folded.setdefault(identity, row)
        if seen is row:
            continue
        seen[first] = min(seen[first], row[first], key=_seconds)
        seen[last] = max(seen[last], row[last], key=_seconds)
        if seen[number].isdigit() and row[number].isdigit():
            seen[number] = str(int(seen[number]) + int(row[number]))
    return list(folded.values())


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
