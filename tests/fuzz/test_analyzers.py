"""Whatever an application protocol's two ends say, its analyzer goes on."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest
from corpus import conversations, words
from fuzzing import Campaign, octets, sequence

from osect_sensor.flows.analyzer import (
    Analyzer,
    deliver_datagram,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
    finish_all,
)
from osect_sensor.flows.recording import RecordingConnection
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.detection import DetectionContext
from osect_sensor.protocols.ports import TCP_PORT_SERVICES, UDP_PORT_SERVICES
from osect_sensor.protocols.registry import new_analyzer
from osect_sensor.protocols.signatures import RULE_SERVICES
from osect_sensor.wire.packet import TCP, UDP

SERVICES = sorted(
    {*RULE_SERVICES, "gssapi", "ntlm", "websocket"}.union(
        *TCP_PORT_SERVICES.values(), *UDP_PORT_SERVICES.values()
    )
)
MOST_TURNS = 60

Talk = tuple[Any, ...]
"""Protocol and port, as the first item; then turns, or (direction, number) for what is no payload:
octets missing where positive, the end of the stream at 0, time that passes where negative."""


def change(chance: random.Random, item: Any, other: Any) -> Any:
    if not isinstance(item[1], bytes):
        return chance.random() < 0.5, chance.choice((0, 1, 3000, -1, -60_000_000))
    lent = other[1] if isinstance(other[1], bytes) else b""
    kind = chance.randrange(12)
    if kind == 0:
        return not item[0], item[1]
    if kind == 1:
        return chance.random() < 0.5, chance.choice((0, 1, 3000, -1, -60_000_000))
    if kind == 2:
        return item[0], item[1] + lent
    return item[0], octets(chance, item[1], lent, words("protocols"))


def mutate(chance: random.Random, talk: Talk, other: Talk) -> Talk:
    turns = sequence(chance, talk[1:], other[1:], change, MOST_TURNS)
    # Streams come in pieces of any size.
    if chance.random() < 0.3 and turns:
        at = chance.randrange(len(turns))
        from_orig, said = turns[at]
        if isinstance(said, bytes) and len(said) > 1:
            cut = chance.randrange(1, len(said))
            turns = (
                *turns[:at],
                (from_orig, said[:cut]),
                (from_orig, said[cut:]),
                *turns[at + 1 :],
            )
    return (talk[0], *turns)


class Line:
    """One connection and its analyzers."""

    def __init__(self, protocol: int, port: int) -> None:
        self.sink = CollectingSink()
        self.context = DetectionContext(self.sink)
        self.context.now = 1_700_000_000_000_000
        self.connection = RecordingConnection(
            self.context, protocol, b"\x0a\0\0\x01", b"\x0a\0\0\x02", 40_000, port
        )
        self.connection.start = self.context.now
        self.analyzers: list[Analyzer] = []
        self.connection.analyzers = self.analyzers

    def say(self, turns: Iterable[Any]) -> list[Hashable]:
        for from_orig, said in turns:
            if isinstance(said, bytes):
                self.connection.size += len(said)
                if self.connection.protocol == TCP:
                    deliver_stream(self.analyzers, from_orig, said)
                else:
                    deliver_datagram(self.analyzers, from_orig, said, len(said))
            elif said < 0:
                self.context.now -= said
            elif self.connection.protocol == TCP:
                if said:
                    self.connection.had_gap = True
                    deliver_gap(self.analyzers, from_orig, said)
                else:
                    deliver_end_of_stream(self.analyzers, from_orig)
        finish_all(self.analyzers)
        found: list[Hashable] = list(self.context.counters.values)
        found += self.connection.services
        found.append((len(self.sink.dns_rows), len(self.sink.http_rows)))
        found.append((self.connection.unknown > 0, self.connection.flips))
        return found


def talks() -> list[Talk]:
    return [((protocol, port), *turns) for protocol, port, turns in conversations()]


@functools.cache
def talks_of(service: str) -> tuple[Talk, ...]:
    """What is said on the protocol's ports, and what its analyzer confirms; else anything."""
    chosen = []
    for talk in talks():
        protocol, port = talk[0]
        ports = TCP_PORT_SERVICES if protocol == TCP else UDP_PORT_SERVICES
        line = Line(protocol, port)
        analyzer = new_analyzer(line.connection, service)
        assert analyzer is not None
        line.analyzers.append(analyzer)
        line.say(talk[1:])
        if line.connection.services or service in ports.get(port, []):
            chosen.append(talk)
    # What no capture holds begins with what its sources look for.
    begun = tuple(
        ((protocol, 1), (True, word), (False, word))
        for protocol in (TCP, UDP)
        for word in words("protocols")
        if len(word) > 3
    )
    return tuple(chosen) or begun


def of_service(service: str) -> Callable[[Talk], Iterable[Hashable]]:
    def target(talk: Talk) -> Iterable[Hashable]:
        line = Line(*talk[0])
        analyzer = new_analyzer(line.connection, service)
        assert analyzer is not None
        line.analyzers.append(analyzer)
        return line.say(talk[1:])

    return target


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_said_stops_the_analyzer(tmp_path: Path, service: str) -> None:
    campaign = Campaign(f"analyzer-{service}", tmp_path, talks_of(service), mutate, tries=150)
    campaign.run(of_service(service))


def test_nothing_said_stops_the_detection(tmp_path: Path) -> None:
    def target(talk: Talk) -> Iterable[Hashable]:
        line = Line(*talk[0])
        line.context.attach(line.connection)
        line.analyzers = line.connection.analyzers
        return line.say(talk[1:])

    def with_ports(chance: random.Random, talk: Talk, other: Talk) -> Talk:
        changed = mutate(chance, talk, other)
        if chance.random() < 0.2:
            return ((chance.choice((TCP, UDP)), other[0][1]), *changed[1:])
        return changed

    Campaign("detection", tmp_path, talks(), with_ports, tries=400, share=2).run(target)
