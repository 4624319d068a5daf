"""Whether one value is what the contract allows in its column."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from osect_harness.contract import Field
from osect_harness.values import COUNT, EMPTY, INT, INTERVAL, TIME, TIME_MS, UNSET, packed_address

FOUND_TYPE: Final = "type"
FOUND_RANGE: Final = "range"
FOUND_VALUE: Final = "value"
FOUND_ESCAPE: Final = "escape"
FOUND_GRAMMAR: Final = "grammar"
FOUND_NOT_RECORDED: Final = "not-recorded"

MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
UID: Final = re.compile(r"C[0-9A-Za-z]+")
INTERVAL_MS: Final = re.compile(r"[0-9]+\.[0-9]{3}")
DATETIME_MS: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\.[0-9]{3}"
)
PRINTABLE: Final = re.compile(r"[ -~]*")

ESCAPED: Final = re.compile(
    r"""
    (?: [ -\[\]-~]                        # printable, but for the backslash
      | \\\\                              # a backslash
      | \\x(?: [01][0-9a-f] | 7f | [89a-f][0-9a-f]   # control bytes and those above ASCII
             | 2c | 2d | 28 | 23 | 5c )   # , - ( # \ where they would be misread
    )*
    """,
    re.VERBOSE,
)
"""Text as Zeek's ASCII writer escapes it when UTF-8 is not written as such."""

_OPTIONS: Final = r"(?:eol\+[0-9]+|nop|mss|ws|sok|sack|ts|\?[0-9]+)"
_QUIRKS: Final = (
    r"(?:ecn|df|id\+|id-|0\+|flow|seq-|ack\+|ack-|uptr\+|urgf\+|pushf\+|ts1-|ts2\+|opt\+|exws|bad)"
)
RAW_SIGNATURE: Final = re.compile(
    rf"""
    [46]                                  # IP version
    :[0-9]{{1,3}}\+(?:[0-9]{{1,2}}|\?)    # TTL seen and hops away
    :[0-9]{{1,3}}                         # length of IP options
    :(?:[0-9]{{1,5}}|\*)                  # MSS
    :(?:[0-9]{{1,5}}|(?:mss|mtu)\*[0-9]{{1,4}}),[0-9]{{1,3}}   # window and its scale
    :(?:{_OPTIONS}(?:,{_OPTIONS})*)?      # TCP options in order
    :(?:{_QUIRKS}(?:,{_QUIRKS})*)?        # quirks
    :[0+]                                 # payload
    """,
    re.VERBOSE,
)
"""p0f 3's raw signature, as its README gives the grammar."""

MAX_DISTANCE: Final = 35
"""Hops beyond which p0f prints a question mark instead of the distance."""

EXPECTATIONS: Final = {
    "time": "a time: epoch seconds with six decimals",
    "time_ms": "a time: epoch seconds with three decimals",
    "datetime_ms": "a time: YYYY-MM-DD HH:MM:SS.mmm",
    "interval": "an interval: seconds with six decimals",
    "interval_ms": "an interval: seconds with three decimals",
    "count": "a count: decimal digits",
    "int": "a whole number",
    "port": "a port: 0 to 65535",
    "addr": "an IP address",
    "addr4": "an IPv4 address",
    "addr6": "an IPv6 address",
    "mac": "a MAC address: six lower-case hex pairs joined by colons",
    "uid": "a connection's uid: C and letters or digits",
    "string": "text",
    "raw_signature": "a raw signature of p0f 3",
    "bool": "T or F",
    "enum": "a name",
    "set": "a set",
    "vector": "a vector",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a value."""

    kind: str
    expected: str


def check_cell(field: Field, value: str) -> Finding | None:
    """Look at one value; nothing is wrong when there is no finding."""
    if not field.recorded:
        if value == UNSET:
            return None
        return Finding(FOUND_NOT_RECORDED, "'-': this column is not recorded")
    if value == UNSET:
        if field.optional:
            return None
        return Finding(FOUND_VALUE, f"{expectation(field)}; '-' is not allowed here")
    if field.type in ("set", "vector"):
        return _check_members(field, value)
    if value == EMPTY and field.type == "string" and not field.pattern and not field.values:
        return None
    return _check_scalar(field, field.type, value)


def expectation(field: Field) -> str:
    """What the contract wants in this column, for people."""
    if field.values:
        return "one of " + ", ".join(repr(value) for value in field.values)
    if field.type in ("set", "vector"):
        text = f"{EXPECTATIONS[field.type]} of {field.element} joined by commas"
    else:
        text = EXPECTATIONS[field.type]
    if field.pattern:
        text += f" matching {field.pattern}"
    if field.minimum is not None:
        text += f", at least {field.minimum}"
    if field.maximum is not None:
        text += f", at most {field.maximum}"
    return text


def _check_members(field: Field, value: str) -> Finding | None:
    if value == EMPTY:
        return None
    members = value.split(",")
    for member in members:
        if member == EMPTY:
            continue
        if not member:
            return Finding(FOUND_TYPE, f"{expectation(field)}; a member is empty")
        found = _check_scalar(field, field.element, member)
        if found:
            return found
    if field.type == "set" and len(set(members)) != len(members):
        return Finding(FOUND_VALUE, f"{expectation(field)}, each member once")
    return None


def _check_scalar(field: Field, kind: str, value: str) -> Finding | None:
    """Look at a value, or at one member of a set or vector."""
    if kind == "string":
        if not ESCAPED.fullmatch(value):
            return Finding(FOUND_ESCAPE, r"printable text, \\ or \xNN in lower case for the rest")
    elif kind == "raw_signature":
        if not RAW_SIGNATURE.fullmatch(value) or not _signature_numbers(value):
            return Finding(FOUND_GRAMMAR, expectation(field))
    elif not _FORMS[kind](value):
        return Finding(FOUND_VALUE if field.values else FOUND_TYPE, expectation(field))
    if field.values and value not in field.values:
        return Finding(FOUND_VALUE, expectation(field))
    if kind.startswith("addr") and not field.padded and not _plain_address(value):
        return Finding(FOUND_TYPE, f"{expectation(field)} in its shortest form")
    if field.pattern and not re.fullmatch(field.pattern, value):
        return Finding(FOUND_VALUE, expectation(field))
    if field.minimum is not None or field.maximum is not None:
        number = int(value)
        low = field.minimum if field.minimum is not None else number
        high = field.maximum if field.maximum is not None else number
        if not low <= number <= high:
            return Finding(FOUND_RANGE, expectation(field))
    return None


def _plain_address(value: str) -> bool:
    """Whether an address is written as inet_ntop(3) or as Zeek writes it."""
    packed = packed_address(value)
    if packed is None:
        return False
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed) == value
    return value in (socket.inet_ntop(socket.AF_INET6, packed), _colon_hex(packed))


def _colon_hex(packed: bytes) -> str:
    """An IPv6 address in hexadecimal throughout; the first longest run of zeros is left out."""
    groups = [f"{packed[at] << 8 | packed[at + 1]:x}" for at in range(0, 16, 2)]
    best, length = 0, 0
    for start in range(8):
        end = start
        while end < 8 and groups[end] == "0":
            end += 1
        if end - start > length:
            best, length = start, end - start
    if length < 2:
        return ":".join(groups)
    return ":".join(groups[:best]) + "::" + ":".join(groups[best + length :])


def _signature_numbers(value: str) -> bool:
    version, ttl, options, mss, window = value.split(":")[:5]
    seen, _, distance = ttl.partition("+")
    if not 0 <= int(seen) <= 255 or int(options) > 255 or version not in "46":
        return False
    if distance != "?" and int(distance) > MAX_DISTANCE:
        return False
    if mss != "*" and int(mss) > 65535:
        return False
    size, _, scale = window.partition(",")
    return int(scale) <= 255 and (not size.isdigit() or int(size) <= 65535)


def _is_port(value: str) -> bool:
    return bool(COUNT.fullmatch(value)) and len(value) <= 5 and int(value) <= 65535


def _is_count(value: str) -> bool:
    return bool(COUNT.fullmatch(value)) and len(value) <= 20


def _is_address(value: str) -> bool:
    return packed_address(value) is not None


def _is_address4(value: str) -> bool:
    return ":" not in value and packed_address(value) is not None


def _is_address6(value: str) -> bool:
    return ":" in value and packed_address(value) is not None


def _is_datetime(value: str) -> bool:
    return parse_datetime(value) is not None


def parse_datetime(value: str) -> int | None:
    """Microseconds since the epoch of ``YYYY-MM-DD HH:MM:SS.mmm`` UTC."""
    found = DATETIME_MS.fullmatch(value)
    if not found:
        return None
    try:
        moment = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000 + int(value[-3:]) * 1000


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    def matches(value: str) -> bool:
        return pattern.fullmatch(value) is not None

    return matches


_FORMS: Final[dict[str, Callable[[str], bool]]] = {
    "time": _matches(TIME),
    "time_ms": _matches(TIME_MS),
    "datetime_ms": _is_datetime,
    "interval": _matches(INTERVAL),
    "interval_ms": _matches(INTERVAL_MS),
    "count": _is_count,
    "int": _matches(INT),
    "port": _is_port,
    "addr": _is_address,
    "addr4": _is_address4,
    "addr6": _is_address6,
    "mac": _matches(MAC),
    "uid": _matches(UID),
    "bool": _matches(re.compile(r"[TF]")),
    "enum": _matches(PRINTABLE),
}
