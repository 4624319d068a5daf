"""How the mock cloud misbehaves, and how often."""

from __future__ import annotations

import dataclasses
import fnmatch
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from osect_harness.errors import UsageError

STATUS: Final = "status"
SLOW: Final = "slow"
STALL: Final = "stall"
RESET: Final = "reset"
LOST_RESPONSE: Final = "lost-response"
LATE_RESPONSE: Final = "late-response"

HTTP_KINDS: Final[dict[str, str]] = {
    STATUS: "answers with an HTTP status, and Retry-After when given; keeps nothing",
    SLOW: "reads a kibibyte, waits for the seconds, and so on; then accepts",
    STALL: "stops reading after the octets, waits for the seconds, and cuts the connection",
    RESET: "cuts the connection by a reset after the octets",
    LOST_RESPONSE: "accepts, and cuts the connection instead of answering",
    LATE_RESPONSE: "accepts, and answers after the seconds",
}

TLS_KINDS: Final[dict[str, str]] = {
    "tls-expired": "shows a certificate that has expired",
    "tls-wrong-ca": "shows a certificate of an unknown authority",
    "tls-wrong-name": "shows a certificate of another host",
    "tls-client-refused": "trusts only clients of another authority",
}

KINDS: Final = HTTP_KINDS | TLS_KINDS


@dataclass(slots=True)
class Fault:
    """One way to misbehave."""

    kind: str
    times: int = 1
    """How often; zero until the faults are cleared."""
    status: int = 503
    retry_after: str = ""
    """Value of the header, seconds or a date."""
    seconds: float = 1.0
    octets: int = 0
    name: str = "*"
    """Pattern of the file names that it befalls."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no fault is called {self.kind}; there are {', '.join(KINDS)}")
        if not 200 <= self.status <= 599:
            raise UsageError(f"{self.status} is no status that a server answers with: 200 to 599")
        if self.times < 0 or self.octets < 0 or self.seconds < 0:
            raise UsageError("times, octets and seconds are not negative")


_FIELDS: Final = {field.name: field for field in dataclasses.fields(Fault)}


def fault_from(values: dict[str, Any]) -> Fault:
    """A fault from texts or numbers by name, as the control endpoint gets them."""
    unknown = sorted(set(values) - set(_FIELDS))
    if unknown:
        raise UsageError(f"a fault has no {unknown[0]}; it has {', '.join(_FIELDS)}")
    if "kind" not in values:
        raise UsageError(f"name the kind of fault: {', '.join(KINDS)}")
    converted: dict[str, Any] = {}
    for key, value in values.items():
        kind = {"int": int, "float": float, "str": str}[str(_FIELDS[key].type)]
        try:
            converted[key] = kind(value)
        except (TypeError, ValueError):
            raise UsageError(f"{value!r} is no value for {key} of a fault") from None
    return Fault(**converted)


def parse_fault(text: str) -> Fault:
    """A fault from ``KIND`` or ``KIND:KEY=VALUE,KEY=VALUE``."""
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {"kind": kind}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"{part!r} of a fault is not KEY=VALUE")
        values[key.strip()] = value.strip()
    return fault_from(values)


class Faults:
    """The faults that are still to come, in order; for use by several threads."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._waiting: list[Fault] = []
        self.injected: dict[str, int] = {}
        """How often each kind has happened."""

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        with self._lock:
            self._waiting.append(dataclasses.replace(fault))

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """What is still to come."""
        with self._lock:
            return [dataclasses.replace(fault) for fault in self._waiting]

    def take(self, kinds: Iterable[str], name: str = "") -> Fault | None:
        """The next fault of ``kinds`` that befalls the file ``name``, counted as happened."""
        with self._lock:
            for at, fault in enumerate(self._waiting):
                if fault.kind in kinds and fnmatch.fnmatchcase(name, fault.name):
                    self.injected[fault.kind] = self.injected.get(fault.kind, 0) + 1
                    if fault.times > 0:
                        fault.times -= 1
                        if fault.times == 0:
                            del self._waiting[at]
                    return dataclasses.replace(fault)
        return None
