"""p0f's fingerprint database: the reader of its file format and the matcher of TCP signatures.

The format is section 5 of p0f's README. Only the ``[tcp:request]`` and ``[tcp:response]``
sections fingerprint SYN and SYN+ACK; the others are read for the spelling of system names.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.fingerprint.signature import (
    MAX_DISTANCE,
    MAX_OPTIONS,
    OPTION_END,
    OPTION_NAMES,
    QUIRK_DF,
    QUIRK_ECN,
    QUIRK_FLOW,
    QUIRK_NAMES,
    QUIRK_NONZERO_ID,
    QUIRK_RESERVED_BIT,
    QUIRK_ZERO_ID,
    Signature,
    window_multiple,
)

_ANY: Final = -1
"""A wildcard in a numeric part of a signature."""

_WINDOW_EXACT: Final = 0
_WINDOW_ANY: Final = 1
_WINDOW_MODULO: Final = 2
_WINDOW_MSS: Final = 3
_WINDOW_MTU: Final = 4

_IPV4_QUIRKS: Final = QUIRK_DF | QUIRK_NONZERO_ID | QUIRK_ZERO_ID

_SECTION_OTHER: Final = 0
_SECTION_MTU: Final = 1
_SECTION_REQUEST: Final = 2
_SECTION_RESPONSE: Final = 3


@final
class Record:
    """One ``sig`` line of the database with the label above it."""

    __slots__ = (
        "application",
        "end_padding",
        "generic",
        "ip_option_length",
        "label",
        "layout",
        "mss",
        "payload",
        "quirks",
        "random_ttl",
        "scale",
        "ttl",
        "version",
        "window",
        "window_kind",
    )

    def __init__(self) -> None:
        self.label: str = ""
        """Name, space and flavor as they appear in a log."""
        self.generic: bool = False
        """Matched only when no specific signature does (``g:`` labels)."""
        self.application: bool = False
        """A userland tool (class ``!``) and no operating system."""
        self.version: int = _ANY
        self.ttl: int = 0
        """Initial TTL."""
        self.random_ttl: bool = False
        """Any TTL up to ``ttl`` will do (``ttl-``)."""
        self.ip_option_length: int = 0
        self.mss: int = _ANY
        self.window: int = 0
        self.window_kind: int = _WINDOW_EXACT
        self.scale: int = _ANY
        self.layout: bytes = b""
        self.end_padding: int = 0
        self.quirks: int = 0
        self.payload: int = _ANY
        """0 for none, 1 for some."""


class Database:
    """The TCP signatures of a database file, in its order, and what was wrong with the file."""

    def __init__(self) -> None:
        self.requests: Final[dict[bytes, list[Record]]] = {}
        """Signatures of SYNs by option layout."""
        self.responses: Final[dict[bytes, list[Record]]] = {}
        """Signatures of SYN+ACKs by option layout."""
        self.problems: Final[list[str]] = []
        """What could not be understood, a ``line N: …`` text each; such lines are skipped."""

    def match(self, signature: Signature, from_client: bool, peer_mss: int) -> Record | None:
        """The record that p0f would name for a SYN (``from_client``) or SYN+ACK.

        A specific signature beats a generic one, which beats a near miss (TTL out of range,
        quirks that routers change); among equals the first in the file wins.
        """
        table = self.requests if from_client else self.responses
        records = table.get(signature.layout)
        if records is None:
            return None
        multiple, of_mtu = window_multiple(signature, peer_mss)
        generic: Record | None = None
        near: Record | None = None
        for record in records:
            exact = True
            quirks = record.quirks
            if record.version == _ANY:
                quirks &= ~QUIRK_FLOW if signature.version == 4 else ~_IPV4_QUIRKS
            if quirks != signature.quirks:
                missing = quirks & ~signature.quirks
                added = signature.quirks & ~quirks
                if (
                    near is not None
                    or missing & ~(QUIRK_DF | QUIRK_NONZERO_ID) != 0
                    or added & ~(QUIRK_ZERO_ID | QUIRK_ECN) != 0
                ):
                    continue
                exact = False
            if (
                record.end_padding != signature.end_padding
                or record.ip_option_length != signature.ip_option_length
            ):
                continue
            distance = record.ttl - signature.ttl
            if record.random_ttl:
                if distance < 0:
                    continue
            elif distance < 0 or distance > MAX_DISTANCE:
                exact = False
            if record.mss not in (_ANY, signature.mss):
                continue
            if record.scale not in (_ANY, signature.scale):
                continue
            if record.payload not in (_ANY, 1 if signature.payload_length > 0 else 0):
                continue
            if not _window_matches(record, signature.window, multiple, of_mtu):
                continue
            if not exact:
                if near is None:
                    near = record
            elif not record.generic:
                return record
            elif generic is None:
                generic = record
        if generic is not None:
            return generic
        if near is not None and near.application:
            return None
        return near


def _window_matches(record: Record, window: int, multiple: int, of_mtu: bool) -> bool:
    kind = record.window_kind
    if kind == _WINDOW_EXACT:
        return record.window == window
    if kind == _WINDOW_MODULO:
        return window % record.window == 0
    if kind == _WINDOW_MSS:
        return not of_mtu and record.window == multiple
    if kind == _WINDOW_MTU:
        return of_mtu and record.window == multiple
    return True


def read_database(text: str) -> Database:
    """Read a database file (Debian's ``/etc/p0f/p0f.fp``, p0f-k's ``p0f-k.fp``, …).

    Everything behind the name in a label is its flavor, so suffixes like p0f-k's
    ``[rule,specificity,vulnerability]`` become part of what is logged.
    """
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        problem = reader.line(line.rstrip("\r").lstrip(" \t"))
        if problem != "":
            reader.database.problems.append(f"line {number}: {problem}")
    return reader.database


@final
class _Reader:
    """The state between lines: section, current label, system names seen so far."""

    def __init__(self) -> None:
        self.database: Final = Database()
        self._section: int = _SECTION_OTHER
        self._names: Final[dict[str, str]] = {}
        """First spelling of every system name by its lower-case form: p0f logs that one."""
        self._label: str = ""
        self._generic: bool = False
        self._application: bool = False

    def line(self, line: str) -> str:
        """Read one line; answers what is wrong with it, or an empty string."""
        if line == "" or line[0] == ";":
            return ""
        if line[0] == "[":
            return self._section_line(line)
        equals = line.find("=")
        if equals < 0:
            return "neither a section nor a setting"
        key = line[:equals].rstrip(" \t")
        value = line[equals + 1 :].lstrip(" \t")
        if key == "label":
            return self._label_line(value)
        if key == "sys":
            self._systems_line(value)
            return ""
        if key == "sig":
            return self._signature_line(value)
        if key in ("classes", "ua_os"):
            return ""
        return f"unknown setting '{key}'"

    def _section_line(self, line: str) -> str:
        self._label = ""
        self._section = _SECTION_OTHER
        if line == "[mtu]":
            self._section = _SECTION_MTU
        elif line == "[tcp:request]":
            self._section = _SECTION_REQUEST
        elif line == "[tcp:response]":
            self._section = _SECTION_RESPONSE
        elif line not in ("[http:request]", "[http:response]"):
            return f"unknown section '{line}'"
        return ""

    def _label_line(self, value: str) -> str:
        if self._section == _SECTION_MTU:
            return ""
        self._label = ""
        parts = value.split(":", 3)
        if len(parts) != 4 or parts[0] not in ("s", "g") or parts[1] == "" or parts[2] == "":
            return "a label is s:class:name:flavor or g:class:name:flavor"
        self._generic = parts[0] == "g"
        self._application = parts[1] == "!"
        name = self._names.setdefault(parts[2].lower(), parts[2])
        self._label = f"{name} {parts[3]}" if parts[3] != "" else name
        return ""

    def _systems_line(self, value: str) -> None:
        for item in value.split(","):
            name = item.lstrip(" \t")
            if name != "" and name[0] != "@":
                self._names.setdefault(name.lower(), name)

    def _signature_line(self, value: str) -> str:
        if self._section not in (_SECTION_REQUEST, _SECTION_RESPONSE):
            return ""
        if self._label == "":
            return "a signature without a label"
        record = Record()
        record.label = self._label
        record.generic = self._generic
        record.application = self._application
        problem = _read_signature(value, record)
        if problem != "":
            return problem
        database = self.database
        table = database.requests if self._section == _SECTION_REQUEST else database.responses
        same_layout = table.get(record.layout)
        if same_layout is None:
            table[record.layout] = [record]
        else:
            same_layout.append(record)
        return ""


def _number(text: str, low: int, high: int) -> int:
    """The decimal number, or -1 unless it is one between ``low`` and ``high``."""
    if not text.isdecimal() or not text.isascii() or len(text) > 5:
        return -1
    value = int(text)
    return value if low <= value <= high else -1


def _read_signature(text: str, record: Record) -> str:
    """Fill ``record`` from p0f's notation; answers what is wrong with it, or an empty string."""
    parts = text.split(":")
    if len(parts) != 8:
        return "a signature has eight parts"
    if parts[0] == "*":
        record.version = _ANY
    elif parts[0] in ("4", "6"):
        record.version = int(parts[0])
    else:
        return f"no IP version: '{parts[0]}'"

    ttl = parts[1]
    if ttl.endswith("-"):
        record.random_ttl = True
        record.ttl = _number(ttl[:-1], 1, 255)
    else:
        plus = ttl.find("+")
        if plus < 0:
            record.ttl = _number(ttl, 1, 255)
        else:
            initial = _number(ttl[:plus], 1, 255)
            distance = _number(ttl[plus + 1 :], 0, 255)
            total = initial + distance
            record.ttl = total if initial > 0 and distance >= 0 and total <= 255 else -1
    if record.ttl < 0:
        return f"no initial TTL: '{ttl}'"

    record.ip_option_length = _number(parts[2], 0, 255)
    if record.ip_option_length < 0:
        return f"no length of IP options: '{parts[2]}'"

    record.mss = _ANY if parts[3] == "*" else _number(parts[3], 0, 65535)
    if record.mss < 0 and parts[3] != "*":
        return f"no MSS: '{parts[3]}'"

    comma = parts[4].find(",")
    if comma < 0:
        return f"no window and scale: '{parts[4]}'"
    window = parts[4][:comma]
    scale = parts[4][comma + 1 :]
    if window == "*":
        record.window_kind = _WINDOW_ANY
    elif window.startswith("%"):
        record.window_kind = _WINDOW_MODULO
        record.window = _number(window[1:], 2, 65535)
    elif window.startswith("mss*") or window.startswith("mtu*"):
        record.window_kind = _WINDOW_MSS if window[1] == "s" else _WINDOW_MTU
        record.window = _number(window[4:], 1, 1000)
    else:
        record.window = _number(window, 0, 65535)
    if record.window < 0:
        return f"no window: '{window}'"
    record.scale = _ANY if scale == "*" else _number(scale, 0, 255)
    if record.scale < 0 and scale != "*":
        return f"no window scale: '{scale}'"

    problem = _read_layout(parts[5], record)
    if problem != "":
        return problem
    problem = _read_quirks(parts[6], record)
    if problem != "":
        return problem

    if parts[7] == "*":
        record.payload = _ANY
    elif parts[7] == "0":
        record.payload = 0
    elif parts[7] == "+":
        record.payload = 1
    else:
        return f"no payload class: '{parts[7]}'"
    return ""


def _read_layout(text: str, record: Record) -> str:
    kinds: list[int] = []
    if text != "":
        for name in text.split(","):
            if len(kinds) > 0 and kinds[len(kinds) - 1] == OPTION_END:
                return "eol is not the last option"
            if name.startswith("eol+"):
                record.end_padding = _number(name[4:], 0, 255)
                if record.end_padding < 0:
                    return f"no option: '{name}'"
                kinds.append(OPTION_END)
                continue
            kind = _number(name[1:], 0, 255) if name.startswith("?") else -1
            if kind < 0:
                for candidate, candidate_name in OPTION_NAMES.items():
                    if candidate_name == name:
                        kind = candidate
            if kind < 0:
                return f"no option: '{name}'"
            kinds.append(kind)
    if len(kinds) > MAX_OPTIONS:
        return f"more than {MAX_OPTIONS} options"
    record.layout = bytes(kinds)
    return ""


def _read_quirks(text: str, record: Record) -> str:
    if text != "":
        for name in text.split(","):
            quirk = 0
            for bit, bit_name in QUIRK_NAMES:
                if bit_name == name:
                    quirk = bit
            if quirk == 0:
                return f"no quirk: '{name}'"
            record.quirks |= quirk
    if record.version == 6 and record.quirks & (_IPV4_QUIRKS | QUIRK_RESERVED_BIT) != 0:
        return "a quirk of IPv4 in a signature of IPv6"
    if record.version == 4 and record.quirks & QUIRK_FLOW != 0:
        return "a quirk of IPv6 in a signature of IPv4"
    return ""
