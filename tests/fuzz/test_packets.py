"""Whatever passes the mirror port, the generator goes on and its rows are as the contract says."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest
from corpus import FINGERPRINTS, MOST_FRAMES, Frame, frames, words
from fuzzing import Campaign, octets, sequence
from osect_harness.check import CheckOptions, check, violation_lines

from osect_sensor.generators import state
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.generators.replay import Replay
from osect_sensor.logs import text
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.decode import supports

SECOND = 1_000_000
LINK_TYPES = (0, 1, 9, 10, 12, 14, 50, 101, 105, 108, 113, 127, 228, 229, 239, 276)
JUMPS = (1, 1000, SECOND, 6 * SECOND, 61 * SECOND, 310 * SECOND, 3601 * SECOND, 1 << 40)

LINES: dict[str, tuple[str, Any]] = {
    "conn_rows": ("conn", text.conn_line),
    "flow_rows": ("yaf_flow", text.flow_line),
    "arp_rows": ("arp", text.arp_line),
    "neighbor_rows": ("ns", text.neighbor_line),
    "dns_rows": ("dns", text.dns_line),
    "fingerprint_rows": ("p0f-k", text.fingerprint_line),
    "http_rows": ("http", text.http_line),
    "dhcp_rows": ("dhcp2", text.dhcp_line),
    "netbios_rows": ("netbios-ns", text.netbios_line),
    "browser_rows": ("mswin-browser", text.browser_line),
    "dhcpv6_rows": ("dhcpv6", text.dhcpv6_line),
    "ssdp_rows": ("ssdp", text.ssdp_line),
    "field_basic_rows": ("cclink-ief-basic", text.field_basic_line),
    "field_control_rows": ("cclink-ie", text.field_control_line),
}


def with_payload(chance: random.Random, frame: bytes, other: bytes) -> bytes:
    """An IPv4 frame with a changed payload, and headers that say how long it has become."""
    if len(frame) < 42 or frame[12:14] != b"\x08\0" or frame[14] >> 4 != 4:
        return octets(chance, frame, other, words("protocols"))
    transport = 14 + (frame[14] & 15) * 4
    protocol = frame[23]
    if protocol == 6 and len(frame) > transport + 20:
        start = transport + (frame[transport + 12] >> 4) * 4
    elif protocol == 17:
        start = transport + 8
    else:
        return octets(chance, frame, other)
    payload = octets(chance, frame[start:], other[start:], words("protocols"))[:60_000]
    changed = bytearray(frame[:start] + payload)
    changed[16:18] = struct.pack(">H", (len(changed) - 14) & 0xFFFF)
    if protocol == 17 and len(changed) >= transport + 8:
        changed[transport + 4 : transport + 6] = struct.pack(">H", (8 + len(payload)) & 0xFFFF)
    return bytes(changed)


def change(chance: random.Random, frame: Frame, other: Frame) -> Frame:
    timestamp, link_type, data, wire_length = frame
    kind = chance.randrange(10)
    if kind < 4:
        data = with_payload(chance, data, other[2])
        wire_length = len(data)
    elif kind < 7:
        data = octets(chance, data, other[2], words("wire"))
        wire_length = max(0, len(data) + chance.choice((0, 0, 0, 5, -5, 1400)))
    elif kind == 7:
        timestamp += chance.choice((-1, 1)) * chance.choice(JUMPS)
        timestamp = min(max(timestamp, 0), 0xFFFFFFFF * SECOND)
    elif kind == 8:
        data = data[: chance.randrange(len(data) + 1)]
    else:
        link_type = chance.choice(LINK_TYPES)
    return timestamp, link_type, data, wire_length


def mutate(
    chance: random.Random, some: tuple[Frame, ...], other: tuple[Frame, ...]
) -> tuple[Frame, ...]:
    return sequence(chance, some, other, change, MOST_FRAMES * 2)


def feed(generator: NativeGenerator, some: Iterable[Frame]) -> None:
    for timestamp, link_type, data, wire_length in some:
        # Octets before and after a frame are other frames'.
        generator.frame(timestamp, link_type, b"\xee" + data + b"\xee", 1, len(data), wire_length)


def lines(sink: CollectingSink) -> list[str]:
    found = []
    for name, (log, line) in LINES.items():
        columns = len(OSECT_2023.find(log).fields)  # type: ignore[union-attr]
        for row in getattr(sink, name):
            shown = line(row)
            assert shown.count("\t") == columns - 1, shown
            assert shown.count("\n") <= 1, shown
            found.append(shown)
    return found


def features(generator: NativeGenerator, sink: CollectingSink) -> list[Hashable]:
    found: list[Hashable] = [*generator.undecodable(), *generator.limits()]
    found += [(name, len(getattr(sink, name)).bit_length()) for name in LINES]
    for row in sink.conn_rows:
        found += [row.service, (row.proto, row.conn_state), row.history[:8], row.missed_bytes > 0]
    for row in sink.dns_rows:
        found += [("dns", row.qtype_name, row.rcode_name)]
    return found


def run(interval: int, database: str, some: tuple[Frame, ...]) -> list[Hashable]:
    sink = CollectingSink()
    generator = NativeGenerator(sink, interval, 7, database)
    feed(generator, some)
    generator.finish()
    assert generator.packets == len(some)
    lines(sink)
    return features(generator, sink)


@pytest.mark.parametrize("interval", [0, 5 * SECOND])
def test_no_packets_stop_the_generator(tmp_path: Path, interval: int) -> None:
    database = FINGERPRINTS.read_text() if interval == 0 else ""
    campaign = Campaign(f"packets-{interval}", tmp_path, frames(), mutate, tries=400, share=3)
    campaign.run(lambda some: run(interval, database, some))


def test_a_state_kept_anywhere_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    # Analyzers begin anew, so what is compared is what does not depend on them.
    kept = ("conn_rows", "flow_rows", "arp_rows", "neighbor_rows", "fingerprint_rows")

    def rows(sinks: list[CollectingSink]) -> list[str]:
        found = []
        for name in kept:
            for sink in sinks:
                for row in getattr(sink, name):
                    if name == "conn_rows":
                        row.service = ""
                    found.append(LINES[name][1](row))
        return found

    def target(some: tuple[Frame, ...]) -> Iterable[Hashable]:
        whole = CollectingSink()
        generator = NativeGenerator(whole, 0, 7)
        cut = sum(len(data) for _, _, data, _ in some) % (len(some) + 1)
        feed(generator, some[:cut])
        octets_of_state = state.save(generator)
        feed(generator, some[cut:])
        generator.finish()
        first, second = CollectingSink(), CollectingSink()
        feed(NativeGenerator(first, 0, 7), some[:cut])
        going_on = NativeGenerator(second, 0, 7)
        state.restore(going_on, octets_of_state)
        feed(going_on, some[cut:])
        going_on.finish()
        assert [line.split("\t")[0] for line in rows([first, second])] == [
            line.split("\t")[0] for line in rows([whole])
        ]
        assert going_on.packets == generator.packets
        return features(generator, whole)

    Campaign("kept-states", tmp_path, frames(), mutate, tries=150).run(target)


def pcap(some: tuple[Frame, ...]) -> bytes:
    """The frames of the first one's link type, as a capture."""
    link_type = some[0][1] if some else 1
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type)]
    for timestamp, kind, data, wire_length in some:
        if kind == link_type:
            seconds, fraction = divmod(timestamp, SECOND)
            parts.append(struct.pack("<IIII", seconds, fraction, len(data), wire_length) + data)
    return b"".join(parts)


def test_logs_of_any_capture_keep_the_contract(tmp_path: Path) -> None:
    capture, logs = tmp_path / "input.pcap", tmp_path / "logs"
    selection = [name for name in OSECT_2023.names() if name != "eve"]
    options = CheckOptions(without=frozenset({"eve"}), any_time=True)

    def target(some: tuple[Frame, ...]) -> Iterable[Hashable]:
        if not some or not supports(some[0][1]):
            return []
        shutil.rmtree(logs, ignore_errors=True)
        capture.write_bytes(pcap(some))
        summary = Replay([str(capture)], logs, selection, fingerprints=FINGERPRINTS).run()
        report = check(logs, options)
        assert report.total == 0, "\n".join(violation_lines(report, 5))
        return [(name, rows.bit_length()) for name, rows in summary.rows.items()]

    Campaign("contract", tmp_path, frames(), mutate, tries=80, share=2).run(target)
