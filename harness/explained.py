"""Differences that were looked at and are meant: explained.toml, condition and reason each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from osect_harness.contract import LOG_NAMES, load
from osect_harness.errors import UsageError

KINDS: Final = ("field", "missing", "extra")
_KEYS: Final = frozenset(
    {
        "id", "corpus", "log", "kind", "field", "where", "expected", "got", "expected_is",
        "ignoring", "capture", "reason",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One explained difference."""

    id: str
    log: str
    kind: str
    reason: str
    corpus: str = ""
    """Corpus on which it must occur, if any."""
    field: str = ""
    where: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """Columns of the row (the expected one, if there is one) and what they must match."""
    expected: re.Pattern[str] | None = None
    got: re.Pattern[str] | None = None
    expected_is: str = ""
    """What the expected value must be, with ``{got}`` and ``{column}`` of our row put in."""
    ignoring: str = ""
    """Characters that are left out of both before ``expected_is`` is compared."""
    capture: re.Pattern[str] | None = None

    def covers_row(self, capture: str, kind: str, row: Mapping[str, str]) -> bool:
        """Whether this entry explains a missing or an extra row."""
        return kind == self.kind and self._applies(capture, row)

    def covers_field(
        self,
        capture: str,
        field: str,
        expected: Mapping[str, str],
        ours: Mapping[str, str],
    ) -> bool:
        """Whether this entry explains a field that differs."""
        if self.kind != "field" or field != self.field or not self._applies(capture, expected):
            return False
        if self.expected is not None and not self.expected.fullmatch(expected[field]):
            return False
        if self.got is not None and not self.got.fullmatch(ours[field]):
            return False
        if self.expected_is:
            wanted = re.sub(
                r"\{([^{}]+)\}",
                lambda match: ours[field if match[1] == "got" else match[1]],
                self.expected_is,
            )
            return self._bare(wanted) == self._bare(expected[field])
        return True

    def _applies(self, capture: str, row: Mapping[str, str]) -> bool:
        if self.capture is not None and not self.capture.fullmatch(capture):
            return False
        return all(pattern.fullmatch(row[name]) for name, pattern in self.where)

    def _bare(self, text: str) -> str:
        return "".join(char for char in text if char not in self.ignoring)


@dataclass(frozen=True, slots=True)
class Explained:
    """The reviewed list, and the corpora for which its entries are declared."""

    entries: tuple[Entry, ...] = ()
    corpora: tuple[tuple[str, str], ...] = ()
    """(name, digest of the capture names)"""

    def corpus(self, digest: str) -> str:
        """Name of the corpus with this digest, empty when it is not a declared one."""
        return next((name for name, known in self.corpora if known == digest), "")

    def of_log(self, log: str) -> tuple[Entry, ...]:
        """Entries about one log."""
        return tuple(entry for entry in self.entries if entry.log == log)


def load_explained(path: Path | None = None) -> Explained:
    """Read a list of explained differences, the reviewed one of the harness by default."""
    if path is None:
        resource = resources.files("osect_harness").joinpath("explained.toml")
        text = resource.read_text(encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
    name = str(path or "explained.toml")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}") from error
    entries = tuple(_entry(name, raw) for raw in data.get("explained", []))
    names = [entry.id for entry in entries]
    for one in names:
        if names.count(one) > 1:
            raise UsageError(f"{name}: two entries have the id {one!r}: rename one")
    return Explained(entries=entries, corpora=tuple(data.get("corpora", {}).items()))


def _entry(name: str, raw: dict[str, Any]) -> Entry:
    where = f"{name}: entry {raw.get('id', '?')!r}"
    unknown = sorted(set(raw) - _KEYS)
    if unknown:
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}: remove it")
    for key in ("id", "log", "kind", "reason"):
        if not raw.get(key):
            raise UsageError(f"{where} has no {key}: add it")
    if raw["kind"] not in KINDS:
        raise UsageError(f"{where} is of kind {raw['kind']!r}: use one of {', '.join(KINDS)}")
    if raw["log"] not in LOG_NAMES or raw["log"] == "eve":
        raise UsageError(f"{where} names the unknown log {raw['log']!r}")
    columns = load(raw["log"]).field_names
    for column in (*raw.get("where", {}), *([raw["field"]] if "field" in raw else [])):
        if column not in columns:
            raise UsageError(f"{where} names {column!r}, which is no column of {raw['log']}")
    if (raw["kind"] == "field") != ("field" in raw):
        raise UsageError(f"{where}: kind field needs a field, the other kinds have none")
    values = dict(raw)
    for key in ("expected", "got", "capture"):
        if key in values:
            values[key] = re.compile(values[key])
    values["where"] = tuple(
        (column, re.compile(pattern)) for column, pattern in raw.get("where", {}).items()
    )
    return Entry(**values)
