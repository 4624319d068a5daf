"""Whether eve.json holds what Suricata may write there."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from osect_harness.contract import EveContract
from osect_harness.values import packed_address

TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{4}"
)


@dataclass(frozen=True, slots=True)
class EveFinding:
    """What is wrong with an event."""

    kind: str
    key: str
    value: str
    expected: str


def timestamp(value: object) -> int | None:
    """Microseconds since the epoch of Suricata's time stamp."""
    if not isinstance(value, str) or not TIMESTAMP.fullmatch(value):
        return None
    try:
        moment = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None
    return math.floor(moment.timestamp()) * 1_000_000 + moment.microsecond


def check_event(contract: EveContract, line: str) -> Iterator[EveFinding]:
    """Look at one line of eve.json."""
    try:
        event = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        yield EveFinding("json", "", _short(line), f"one JSON object a line ({error})")
        return
    if not isinstance(event, dict):
        yield EveFinding("json", "", _short(line), "a JSON object")
        return
    wanted = dict(contract.keys)
    name = event.get("event_type")
    if isinstance(name, str):
        if name not in contract.events:
            yield EveFinding("value", "event_type", name, "one of " + ", ".join(contract.events))
        wanted.update(contract.events.get(name, {}))
    for key, kind in wanted.items():
        if key not in event:
            yield EveFinding("missing-key", key, "", f"{kind} {key!r} in every such event")
    for key, kind in (contract.known | wanted).items():
        if key in event and not _is(kind, event[key]):
            yield EveFinding("type", key, _short(json.dumps(event[key])), f"a {kind}")
    if isinstance(name, str):
        part = event.get(name)
        if isinstance(part, dict):
            for key, kind in contract.objects.get(name, {}).items():
                if key not in part:
                    yield EveFinding("missing-key", f"{name}.{key}", "", f"{kind} {key!r}")
                elif not _is(kind, part[key]):
                    value = _short(json.dumps(part[key]))
                    yield EveFinding("type", f"{name}.{key}", value, f"a {kind}")


def event_time(line: str) -> int | None:
    """Time of a line that was found to be well-formed."""
    event = json.loads(line)
    return timestamp(event.get("timestamp")) if isinstance(event, dict) else None


def _is(kind: str, value: object) -> bool:
    if kind == "timestamp":
        return timestamp(value) is not None
    if kind == "string":
        return isinstance(value, str)
    if kind == "object":
        return isinstance(value, dict)
    if kind == "address":
        return isinstance(value, str) and packed_address(value) is not None
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return number and (kind != "port" or (isinstance(value, int) and value <= 65535))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
