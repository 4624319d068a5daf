"""A native generator's state: whoever goes on from it makes the rows that would have come."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from osect_sensor.generators import state
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.logs import text
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.wire.capture import open_capture

BUILT = Path(__file__).parents[3] / "pcaps" / "built"
SECOND = 1_000_000
SEED = 12345

Frame = tuple[int, int, bytes, int]


def frames(name: str) -> list[Frame]:
    with (BUILT / name).open("rb") as file:
        reader = open_capture(file, name)
        found = []
        while reader.next():
            frame = reader.data[reader.offset : reader.offset + reader.captured]
            found.append((reader.timestamp, reader.link_type, frame, reader.wire_length))
    return found


def feed(generator: NativeGenerator, some: list[Frame]) -> None:
    for timestamp, link_type, frame, wire_length in some:
        generator.frame(timestamp, link_type, frame, 0, len(frame), wire_length)


def lines(sink: CollectingSink) -> Iterator[str]:
    # The logs that count frames begin anew with each window, and states are saved between two.
    for rows, line in (
        (sink.conn_rows, text.conn_line),
        (sink.flow_rows, text.flow_line),
        (sink.fingerprint_rows, text.fingerprint_line),
        (sink.arp_rows, text.arp_line),
        (sink.neighbor_rows, text.neighbor_line),
    ):
        for row in rows:
            yield line(row)  # type: ignore[operator]


def whole(some: list[Frame], interval: int) -> list[str]:
    sink = CollectingSink()
    generator = NativeGenerator(sink, interval, SEED)
    feed(generator, some)
    generator.finish()
    return list(lines(sink))


@pytest.mark.parametrize("interval", [0, SECOND])
@pytest.mark.parametrize(
    "name",
    [
        "factory_minute.pcap",
        "fragments.pcap",
        "fingerprints.pcap",
        "other_protocols.pcap",
        "other_protocols_times.pcap",
        "tcp_streams.pcap",
        "tcp_states.pcap",
        "tunnel_gre.pcap",
        "tunnel_teredo.pcap",
        "udp.pcap",
    ],
)
def test_generator_that_goes_on_from_a_state_makes_the_same_rows(name: str, interval: int) -> None:
    some = frames(name)
    expected = whole(some, interval)
    for cut in range(1, len(some), max(len(some) // 5, 1)):
        sink = CollectingSink()
        before = NativeGenerator(sink, interval, SEED)
        feed(before, some[:cut])
        octets = state.save(before)
        after = NativeGenerator(sink, interval, SEED)
        state.restore(after, octets)
        assert after.connections() == before.connections()
        assert after.packets == cut
        feed(after, some[cut:])
        after.finish()
        assert list(lines(sink)) == expected, f"cut at {cut}"


def test_saving_leaves_the_generator_as_it_was() -> None:
    some = frames("factory_minute.pcap")
    sink = CollectingSink()
    generator = NativeGenerator(sink, 0, SEED)
    for frame in some:
        feed(generator, [frame])
        if generator.packets % 400 == 0:
            state.save(generator)
    generator.finish()
    assert list(lines(sink)) == whole(some, 0)


def segment(
    second: int, from_client: bool, flags: int, seq: int, ack: int, payload: bytes
) -> Frame:
    client, server = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    source, destination = (client, server) if from_client else (server, client)
    ports = (40000, 8080) if from_client else (8080, 40000)
    tcp = struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 8192, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + source + destination
    frame = bytes(12) + b"\x08\0" + ip + tcp
    return (1_700_000_000 + second) * SECOND, 1, frame, len(frame)


def test_connection_older_than_the_state_still_has_its_protocol_followed() -> None:
    """A connection that is kept open for HTTP requests: those behind the restart make rows."""
    syn, ack, data = 0x02, 0x10, 0x18
    request = b"GET /value HTTP/1.1\r\nHost: plc\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n17"
    before = NativeGenerator(CollectingSink(), 0, SEED)
    client, server = 101, 201
    feed(
        before,
        [
            segment(0, True, syn, 100, 0, b""),
            segment(0, False, syn | ack, 200, client, b""),
            segment(0, True, ack, client, server, b""),
            segment(1, True, data, client, server, request),
            segment(1, False, data, server, client + len(request), answer),
        ],
    )
    client += len(request)
    server += len(answer)
    sink = CollectingSink()
    after = NativeGenerator(sink, 0, SEED)
    state.restore(after, state.save(before))
    feed(
        after,
        [
            segment(2, True, data, client, server, request),
            segment(2, False, data, server, client + len(request), answer),
        ],
    )
    after.finish()
    assert [(row.method, row.uri, row.status_code) for row in sink.http_rows] == [
        (b"GET", b"/value", 200)
    ]
    assert [(row.service, row.history, row.orig_pkts) for row in sink.conn_rows] == [
        ("http", "ShADd", 4)
    ]


@pytest.mark.parametrize("spoil", ["empty", "other version", "cut", "not ours"])
def test_octets_that_are_no_state_are_refused(spoil: str) -> None:
    generator = NativeGenerator(CollectingSink(), 0, SEED)
    feed(generator, frames("udp.pcap"))
    octets = state.save(generator)
    spoiled = {
        "empty": b"",
        "other version": octets.replace(state.layout().encode(), b"0" * 64),
        "cut": octets[:-20],
        "not ours": octets[: octets.index(b"\x80\x05")] + b"cos\nsystem\n(S'true'\ntR.",
    }[spoil]
    with pytest.raises(state.StateUnusable):
        state.restore(NativeGenerator(CollectingSink(), 0, SEED), spoiled)
