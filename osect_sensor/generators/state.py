"""The state of a native generator as octets, to go on from after a restart.

Kept is everything that lives longer than a few packets: connections with their counters, flows,
fingerprints, fragments, tunnels, expectations. Not kept are the analyzers of application
protocols. Whoever restores a state therefore reads the packets that came after it again: the
analyzers of connections that began since are then exactly where they were, and older connections
get fresh ones, for the services that were recognised on them.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from collections import OrderedDict
from typing import Any, Final

from osect_sensor import __version__
from osect_sensor.fingerprint import fingerprinter
from osect_sensor.fingerprint.exchange import Exchange
from osect_sensor.flows import other_ip
from osect_sensor.flows.analyzer import NO_ANALYZERS, NO_SERVICES, Analyzer
from osect_sensor.flows.endpoint import (
    Endpoint,
    FlowConnection,
    Reported,
    TcpEndpoint,
    TunnelState,
)
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.protocols import detection
from osect_sensor.wire import fragments
from osect_sensor.wire.packet import TCP, Encapsulation

MAGIC: Final = b"osect-state\n"

_CONTEXT: Final = "context"
_UIDS: Final = "uids"

_LEFT_OUT: Final = frozenset({"analyzers", "shared", "context", "_context", "_uids"})
"""Attributes of kept objects that are not kept: what belongs to the process or to analyzers."""

MAX_UNDETECTED: Final = 2048
"""Octets of a TCP connection up to which its protocol may still be found by content."""


class StateUnusable(Exception):
    """The octets are no state, or that of another version."""


def _make(kind: str, context: Any, uids: Any) -> Any:
    """A new object of a kept class, to be filled."""
    if kind == "connection":
        return FlowConnection(context, uids, TCP, b"", b"", 0, 0)
    if kind == "tcp endpoint":
        return TcpEndpoint(FlowConnection(context, uids, TCP, b"", b"", 0, 0), True, b"")
    if kind == "endpoint":
        return Endpoint(FlowConnection(context, uids, TCP, b"", b"", 0, 0), True, b"")
    if kind == "reported":
        return Reported()
    if kind == "tunnel state":
        return TunnelState()
    if kind == "encapsulation":
        return Encapsulation("", "", None)
    if kind == "other flow":
        return other_ip._Flow(b"", 0, b"", b"", 0, 0)
    if kind == "other fragments":
        return other_ip._Fragments(0)
    if kind == "fingerprint flow":
        return fingerprinter._Flow(b"", 0, b"", b"")
    if kind == "fingerprint host":
        return fingerprinter._Host()
    if kind == "exchange":
        return Exchange()
    if kind == "datagram":
        return fragments._Datagram(b"", 0)
    if kind == "expected":
        return detection._Expected(b"", "", 0)
    raise StateUnusable(f"an object of an unknown kind: {kind}")


_KINDS: Final[dict[type[Any], str]] = {
    FlowConnection: "connection",
    TcpEndpoint: "tcp endpoint",
    Endpoint: "endpoint",
    Reported: "reported",
    TunnelState: "tunnel state",
    Encapsulation: "encapsulation",
    other_ip._Flow: "other flow",
    other_ip._Fragments: "other fragments",
    fingerprinter._Flow: "fingerprint flow",
    fingerprinter._Host: "fingerprint host",
    Exchange: "exchange",
    fragments._Datagram: "datagram",
    detection._Expected: "expected",
}

_OWNERS: Final[dict[str, frozenset[str]]] = {
    "table": frozenset({"_context", "_tracker", "_uids", "report_interval"}),
    "other_ip": frozenset({"_context"}),
    "fingerprinter": frozenset({"_sink", "_database", "_counters", "_signature"}),
    "fragments": frozenset(),
    "context": frozenset({"sink", "field_basic", "counters"}),
    "counters": frozenset(),
}
"""Objects that every generator has one of, with those of their attributes that are not kept."""


def _attributes(value: Any) -> list[str]:
    """Names of an object's attributes, compiled or not."""
    compiled = getattr(type(value), "__mypyc_attrs__", None)
    if compiled is not None:
        return sorted(name for name in set(compiled) if name != "__dict__")
    names: set[str] = set(getattr(value, "__dict__", ()))
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        names.update((slots,) if isinstance(slots, str) else slots)
    return sorted(names)


def _values(value: Any, left_out: frozenset[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in _attributes(value) if name not in left_out}


def _fill(value: Any, state: dict[str, Any]) -> None:
    for name, content in state.items():
        setattr(value, name, content)


def _owners(generator: NativeGenerator) -> dict[str, Any]:
    return {
        "table": generator._table,
        "other_ip": generator._other_ip,
        "fingerprinter": generator._fingerprinter,
        "fragments": generator._decoder.fragments,
        "context": generator._context,
        "counters": generator._context.counters,
    }


class _Writer(pickle.Pickler):
    """Knows the kept classes, and no others."""

    def __init__(self, file: io.BytesIO, generator: NativeGenerator) -> None:
        super().__init__(file, protocol=5)
        self._context: Final = generator._context
        self._uids: Final = generator._uids

    def persistent_id(self, obj: Any) -> str | None:
        """Name what every generator has one of."""
        if obj is self._context:
            return _CONTEXT
        if obj is self._uids:
            return _UIDS
        return None

    def reducer_override(self, obj: Any) -> Any:
        """How an object of a kept class is made again."""
        kind = _KINDS.get(type(obj))
        if kind is not None:
            arguments = (kind, self._context, self._uids)
            return _make, arguments, _values(obj, _LEFT_OUT), None, None, _fill
        if obj is _make or obj is _fill:
            return NotImplemented
        if isinstance(obj, (bool, int, str, bytes, bytearray, OrderedDict)) or obj is None:
            return NotImplemented
        if obj is OrderedDict:
            return NotImplemented
        raise StateUnusable(f"an object that is not kept: {type(obj).__name__}")


class _Reader(pickle.Unpickler):
    """Makes objects of kept classes, and no others."""

    def __init__(self, file: io.BytesIO, generator: NativeGenerator) -> None:
        super().__init__(file)
        self._generator: Final = generator

    def persistent_load(self, pid: Any) -> Any:
        """What the generator has one of."""
        return self._generator._context if pid == _CONTEXT else self._generator._uids

    def find_class(self, module: str, name: str) -> Any:
        """The two functions that states are made with."""
        if module == __name__ and name == "_make":
            return _make
        if module == __name__ and name == "_fill":
            return _fill
        if module == "builtins" and name == "bytearray":
            return bytearray
        if module == "collections" and name == "OrderedDict":
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a state")


@functools.cache
def layout() -> str:
    """Tells states of another version, or of classes that look different, by."""
    text = __version__
    scratch = NativeGenerator(_no_rows(), 0, 0)
    for name, owner in _owners(scratch).items():
        text += f"\n{name} {_attributes(owner)}"
    for kept, kind in _KINDS.items():
        example = _make(kind, scratch._context, scratch._uids)
        text += f"\n{kept.__name__} {_attributes(example)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _no_rows() -> Any:
    from osect_sensor.logs.sink import RowSink

    return RowSink()


def save(generator: NativeGenerator) -> bytes:
    """The state of ``generator`` behind a window's end, where no frames are being counted."""
    owners = {name: _values(owner, _OWNERS[name]) for name, owner in _owners(generator).items()}
    wheel = generator._table._wheel
    owners["table"]["_wheel"] = {
        second: [connection for connection in connections if connection.live]
        for second, connections in wheel.items()
    }
    data = {
        "owners": owners,
        "tunnels": generator._ip_tunnels,
        "packets": generator.packets,
        "reasons": generator._decoder.reasons,
        "undecodable": generator._decoder.undecodable,
    }
    file = io.BytesIO()
    _Writer(file, generator).dump(data)
    return MAGIC + layout().encode() + b"\n" + file.getvalue()


def restore(generator: NativeGenerator, octets: bytes) -> None:
    """Bring a fresh ``generator`` into the state; raises ``StateUnusable``, and it is spoiled."""
    head = MAGIC + layout().encode() + b"\n"
    if not octets.startswith(head):
        raise StateUnusable("a state of another version")
    try:
        data = _Reader(io.BytesIO(octets[len(head) :]), generator).load()
        for name, owner in _owners(generator).items():
            _refill(owner, data["owners"][name])
        generator._ip_tunnels.update(data["tunnels"])
        generator.packets = data["packets"]
        generator._decoder.reasons.update(data["reasons"])
        generator._decoder.undecodable = data["undecodable"]
    except StateUnusable:
        raise
    except Exception as error:
        # A damaged pickle can raise anything.
        raise StateUnusable(f"{type(error).__name__}: {error}") from error
    for connection in generator._table._connections:
        _attach(generator, connection)


def _refill(owner: Any, state: dict[str, Any]) -> None:
    """Give the attributes their contents; containers stay, because others may know them."""
    for name, content in state.items():
        present = getattr(owner, name)
        if isinstance(present, dict):
            present.clear()
            present.update(content)
        elif isinstance(present, list):
            present[:] = content
        else:
            setattr(owner, name, content)


def _attach(generator: NativeGenerator, connection: FlowConnection) -> None:
    """Give a connection the analyzers that it would have by now."""
    if len(connection.services) == 0:
        # Connections without services share a list, which is known by its identity.
        connection.services = NO_SERVICES
    if not connection.attached:
        connection.analyzers = NO_ANALYZERS
        return
    analyzers: list[Analyzer] = []
    connection.analyzers = analyzers
    context = generator._context
    if connection.protocol != TCP:
        context.attach(connection)
        return
    if len(connection.services) == 0:
        if connection.payload_size() <= MAX_UNDETECTED:
            context.attach(connection)
        return
    # What these analyzers see begins in the middle of a stream.
    connection.had_gap = True
    for service in list(connection.services):
        analyzers.extend(context.stream_analyzers(connection, service))
