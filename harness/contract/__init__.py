"""The fifteen logs as the specification fixes them.

One TOML file a log holds the facts; this module only reads them. It is written from the
specification and shares nothing with the sensor's own catalog, so that a mistake in one shows.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

ZEEK_HEADER_LINES: Final = 8
"""Header lines of the Zeek framing; the receiving cloud skips exactly these."""

LOG_NAMES: Final = (
    "conn",
    "yaf_flow",
    "arp",
    "ns",
    "dns",
    "p0f-k",
    "http",
    "dhcp2",
    "netbios-ns",
    "mswin-browser",
    "dhcpv6",
    "ssdp",
    "cclink-ief-basic",
    "cclink-ie",
    "eve",
)
"""In the specification's order."""

FRAMINGS: Final = {"zeek": ZEEK_HEADER_LINES, "line": 1, "bare": 0, "eve": 0}
"""Header lines of each framing."""

TYPES: Final = {
    "time": "time",
    "time_ms": "time",
    "datetime_ms": "string",
    "interval": "interval",
    "interval_ms": "interval",
    "count": "count",
    "int": "int",
    "port": "port",
    "addr": "addr",
    "addr4": "addr",
    "addr6": "addr",
    "mac": "string",
    "uid": "string",
    "string": "string",
    "raw_signature": "string",
    "bool": "bool",
    "enum": "enum",
    "set": "set",
    "vector": "vector",
}
"""Value types of the contract, and how a Zeek header names each."""


class ContractError(Exception):
    """The contract's own data is wrong."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a log."""

    name: str
    type: str
    meaning: str
    zeek: str
    """Type as the ``#types`` line names it."""
    recorded: bool = True
    optional: bool = False
    element: str = "string"
    """Type of the members of a set or vector."""
    pattern: str = ""
    """Regular expression of the whole value (of a member, for sets and vectors)."""
    values: tuple[str, ...] = ()
    """The only values allowed, when any are listed."""
    padded: bool = False
    """Whether an IPv6 address may keep its zeros, as YAF and p0f write it."""
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition between the columns of one row."""

    kind: str
    fields: tuple[str, ...]
    text: str
    when: tuple[tuple[str, str], ...] = ()
    """Applies to rows whose fields match these expressions."""
    then: tuple[tuple[str, str], ...] = ()
    """For kind ``then``: what other fields must match."""


@dataclass(frozen=True, slots=True)
class Log:
    """One log of the contract."""

    name: str
    file: str
    framing: str
    section: str
    summary: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    uid: str = ""
    """``defines`` for conn.log, ``refers`` for logs whose uid must join it, else empty."""
    row: str = ""
    """What one row stands for: ``packet``, ``flow``, ``aggregate``; empty for a transaction."""

    @property
    def header_lines(self) -> int:
        """Lines before the first row."""
        return FRAMINGS[self.framing]

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True, slots=True)
class EveContract:
    """What eve.json may hold."""

    file: str
    section: str
    summary: str
    keys: dict[str, str]
    known: dict[str, str]
    events: dict[str, dict[str, str]]
    objects: dict[str, dict[str, str]]


RULE_KINDS: Final = (
    "set_together",
    "one_of",
    "at_most_one_of",
    "equal_when_set",
    "equal",
    "same_length",
    "same_instant",
    "difference",
    "not_after",
    "then",
)


def _data(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _field(log: str, entry: dict[str, Any]) -> Field:
    values = dict(entry)
    kind = values["type"]
    if kind not in TYPES:
        raise ContractError(f"{log}.{values['name']}: unknown type {kind!r}")
    zeek = TYPES[kind]
    if kind in ("set", "vector"):
        element = values.get("element", "string")
        zeek = f"{zeek}[{TYPES[element]}]"
    values.setdefault("zeek", zeek)
    values["values"] = tuple(values.get("values", ()))
    return Field(**values)


def _rule(log: str, entry: dict[str, Any], names: tuple[str, ...]) -> Rule:
    kinds = [kind for kind in RULE_KINDS if kind in entry]
    unknown = set(entry) - set(RULE_KINDS) - {"text", "when"}
    if len(kinds) != 1 or unknown:
        raise ContractError(f"{log}: a rule needs exactly one kind, got {sorted(entry)}")
    kind = kinds[0]
    then = tuple(entry["then"].items()) if kind == "then" else ()
    fields = tuple(entry[kind]) if kind != "then" else tuple(name for name, _ in then)
    when = tuple(entry.get("when", {}).items())
    for name in (*fields, *(name for name, _ in when)):
        if name not in names:
            raise ContractError(f"{log}: a rule names the unknown field {name!r}")
    return Rule(kind=kind, fields=fields, text=entry["text"], when=when, then=then)


@functools.cache
def load(name: str) -> Log:
    """Read the contract of one log other than ``eve``."""
    data = _data(name)
    entries = data.pop("field")
    rules = data.pop("rule", [])
    fields = tuple(_field(name, entry) for entry in entries)
    names = tuple(field.name for field in fields)
    return Log(
        name=name,
        fields=fields,
        rules=tuple(_rule(name, entry, names) for entry in rules),
        **data,
    )


@functools.cache
def load_eve() -> EveContract:
    """Read the contract of eve.json."""
    data = _data("eve")
    return EveContract(
        file=data["file"],
        section=data["section"],
        summary=data["summary"],
        keys=data["keys"],
        known=data["known"],
        events=data["events"],
        objects=data["objects"],
    )


@functools.cache
def tabular() -> tuple[Log, ...]:
    """The fourteen logs that are tables."""
    return tuple(load(name) for name in LOG_NAMES if name != "eve")


@functools.cache
def file_names() -> tuple[str, ...]:
    """File name of every log."""
    return (*(log.file for log in tabular()), load_eve().file)
