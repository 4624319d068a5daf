"""The workloads by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from osect_harness.bench.floods import (
    write_connection_flood,
    write_small_packets,
    write_syn_flood,
)
from osect_harness.bench.minutes import write_minutes
from osect_harness.bench.mixture import find_captures, write_mixture
from osect_harness.bench.octets import FILE_START
from osect_harness.bench.web import web_minute
from osect_harness.errors import UsageError

PLANTS: Final = 10
"""Plants, or offices, at once: the number of live connections does not depend on the length."""

MINUTE: Final = Path("pcaps/built/factory_minute.pcap")

DESCRIPTIONS: Final = {
    "factory": "the factory minute in ten plants: cyclic UDP, Modbus, EtherNet/IP, ARP, NDP, …",
    "web": "ten offices: HTTP, TLS and DNS, mostly large segments, a quarter over IPv6",
    "small": "the smallest packets of a few long connections, TCP and UDP",
    "connections": "datagrams of which each begins a flow, ten thousand a second",
    "syn-flood": "SYNs from random addresses to one server, a hundred thousand a second",
    "ot": "captures of production networks, mixed",
    "everything": "all captures, mixed",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the workloads that are not made from nothing come from."""

    minute: Path | None = None
    captures: Path | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    packets: int
    octets: int
    """Octets of the frames on the wire, without preamble and checksum."""
    seconds: float
    """From the first packet to the last."""


def default_sources() -> Sources:
    """The checkout that this file is in, or the one that is worked in.

    The captures are those of the directory that OSECT_SHARED names, or of one that is called
    ``shared`` and lies beside the checkout.
    """
    roots = [Path(__file__).resolve().parents[2], Path.cwd()]
    minutes = [root / MINUTE for root in roots]
    named = os.environ.get("OSECT_SHARED")
    shared = [Path(named)] if named else [root.parent / "shared" for root in roots]
    captures = [one / "captures" for one in shared]
    return Sources(
        minute=next((one for one in minutes if one.is_file()), None),
        captures=next((one for one in captures if one.is_dir()), None),
    )


def missing(name: str, sources: Sources) -> str:
    """Why a workload cannot be made; empty when it can."""
    if name == "factory" and sources.minute is None:
        return f"{MINUTE} is not here: give --minute"
    if name in ("ot", "everything") and sources.captures is None:
        return "there are no captures: give --captures"
    return ""


def write_workload(output: BinaryIO, name: str, packets: int, sources: Sources) -> None:
    """Write ``packets`` packets of a workload that is not missing."""
    writers: dict[str, Callable[[BinaryIO, int], None]] = {
        "small": write_small_packets,
        "connections": write_connection_flood,
        "syn-flood": write_syn_flood,
    }
    if name in writers:
        writers[name](output, packets)
    elif name == "web":
        write_minutes(output, web_minute(), packets, PLANTS)
    elif name == "factory":
        assert sources.minute is not None
        write_minutes(output, _minute(sources.minute), packets, PLANTS)
    else:
        assert sources.captures is not None
        captures = find_captures(sources.captures, ot=name == "ot")
        write_mixture(output, captures, packets)


def _minute(path: Path) -> bytes:
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if not stored.startswith(FILE_START[:4]):
        raise UsageError(f"{path} is no little-endian capture with microseconds")
    return stored


def measure(path: Path) -> Written:
    """Count what a workload holds."""
    packets = octets = 0
    first = last = 0
    with path.open("rb") as file:
        file.seek(len(FILE_START))
        while len(head := file.read(16)) == 16:
            at = int.from_bytes(head[:4], "little") * 1_000_000
            last = at + int.from_bytes(head[4:8], "little")
            first = first or last
            packets += 1
            octets += int.from_bytes(head[12:16], "little")
            file.seek(int.from_bytes(head[8:12], "little"), 1)
    return Written(packets, octets, (last - first) / 1_000_000)
