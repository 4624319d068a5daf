"""Values of the logs: what text says, and when two of them are the same.

A value compares in a canonical form: times and intervals as whole microseconds, numbers as
integers, addresses as their bytes, sets sorted. Text that does not have the form its type asks
for stays text, and so never equals a well-formed value: ``80.0`` is not the count ``80``.
"""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Callable, Hashable
from typing import Final

from osect_harness.contract import Field

UNSET: Final = "-"
EMPTY: Final = "(empty)"

TOLERANCE: Final = 1
"""Microseconds by which equal times may differ: binary fractions printed by another tool."""

TIME: Final = re.compile(r"[0-9]+\.[0-9]{6}")
INTERVAL: Final = re.compile(r"-?[0-9]+\.[0-9]{6}")
TIME_MS: Final = re.compile(r"[0-9]+\.[0-9]{3}")
COUNT: Final = re.compile(r"0|[1-9][0-9]*")
INT: Final = re.compile(r"0|-?[1-9][0-9]*")
UNITS: Final = frozenset({"time", "interval", "time_ms", "interval_ms"})
"""Types whose canonical form is a number of microseconds."""

Canonical = Callable[[str], Hashable]


def _micros(text: str) -> Hashable:
    if INTERVAL.fullmatch(text):
        whole, _, fraction = text.lstrip("-").partition(".")
        value = int(whole) * 1_000_000 + int(fraction)
        return -value if text[0] == "-" else value
    return text


def _millis(text: str) -> Hashable:
    if TIME_MS.fullmatch(text):
        return int(text.replace(".", "")) * 1000
    return text


def _integer(text: str) -> Hashable:
    return int(text) if INT.fullmatch(text) else text


@functools.lru_cache(maxsize=65536)
def packed_address(text: str) -> bytes | None:
    """Bytes of an address, or nothing when the text is no address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        return None


def _address(text: str) -> Hashable:
    return packed_address(text) or text


def _text(text: str) -> Hashable:
    return text


_SCALARS: Final[dict[str, Canonical]] = {
    "time": _micros,
    "interval": _micros,
    "time_ms": _millis,
    "interval_ms": _millis,
    "count": _integer,
    "int": _integer,
    "port": _integer,
    "addr": _address,
    "addr4": _address,
    "addr6": _address,
}


def canonical(field: Field, text: str) -> Hashable:
    """The form in which values of this field compare."""
    if field.type in ("set", "vector"):
        if text in (UNSET, EMPTY):
            return text
        convert = _SCALARS.get(field.element, _text)
        members = [convert(member) for member in text.split(",")]
        return tuple(members if field.type == "vector" else sorted(members, key=repr))
    return _SCALARS.get(field.type, _text)(text)


def same(field: Field, left: Hashable, right: Hashable) -> bool:
    """Whether two canonical values are equal within the type's tolerance."""
    if left == right:
        return True
    if field.type in UNITS:
        return _near(left, right)
    if field.type == "vector" and field.element in UNITS:
        if isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
            return all(a == b or _near(a, b) for a, b in zip(left, right, strict=True))
    return False


def _near(left: Hashable, right: Hashable) -> bool:
    return isinstance(left, int) and isinstance(right, int) and abs(left - right) <= TOLERANCE


def describe(field: Field) -> str:
    """The field's type for people: ``interval``, ``set of string``."""
    if field.type in ("set", "vector"):
        return f"{field.type} of {field.element}"
    return field.type
