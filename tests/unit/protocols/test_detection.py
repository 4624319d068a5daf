from __future__ import annotations

import pytest
from detected import (
    CLIENT,
    ORIG,
    RESP,
    SECOND,
    SERVER,
    START,
    UNUSUAL,
    Detected,
    services_of,
)

from osect_sensor.flows.recording import RecordingAnalyzer
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.detection import (
    MAX_EXPECTED,
    MAX_MATCHED_CHUNKS,
    MAX_MATCHED_OCTETS,
    ContentMatcher,
    DetectionContext,
)
from osect_sensor.protocols.ports import TCP_PORT_SERVICES, UDP_PORT_SERVICES
from osect_sensor.protocols.registry import new_analyzer
from osect_sensor.protocols.signatures import RULE_SERVICES
from osect_sensor.wire.packet import ICMP, TCP, UDP

GREETING = b"SSH-2.0-x\r\n"


def test_every_registered_port_and_rule_has_an_analyzer() -> None:
    connection = Detected().connection
    for services in [*TCP_PORT_SERVICES.values(), *UDP_PORT_SERVICES.values(), RULE_SERVICES]:
        for service in services:
            analyzer = new_analyzer(connection, service)
            assert analyzer is not None
            assert analyzer.service == service


def test_no_analyzer_has_an_unknown_name() -> None:
    assert new_analyzer(Detected().connection, "nonsense") is None


def test_port_analyzers_come_before_content_matching() -> None:
    assert Detected(port=22).attached == ["ssh", ""]
    assert Detected(port=22, protocol=UDP).attached == [""]


def test_an_unusual_port_has_content_matching_alone() -> None:
    assert Detected().attached == [""]


def test_icmp_has_no_analyzers() -> None:
    assert Detected(protocol=ICMP).attached == []


def test_matching_ends_with_its_octets() -> None:
    detected = Detected()
    detected.send(ORIG, b"x" * MAX_MATCHED_OCTETS)
    assert detected.attached == [""]
    detected.send(RESP, b"x")
    assert detected.attached == []


def test_matching_ends_with_its_deliveries() -> None:
    detected = Detected(protocol=UDP)
    for _ in range(MAX_MATCHED_CHUNKS):
        detected.send(ORIG, b"x")
    assert detected.attached == [""]
    detected.send(ORIG, b"x")
    assert detected.attached == []


def test_a_signature_attaches_and_replays_what_came_before() -> None:
    detected = Detected()
    detected.send(RESP, GREETING)
    assert detected.attached == [""]
    detected.send(ORIG, GREETING)
    assert detected.attached == ["", "ssh"]


def test_a_protocol_on_its_port_is_not_attached_twice() -> None:
    detected = Detected(port=22)
    detected.send(RESP, GREETING).send(ORIG, GREETING)
    assert detected.attached == ["ssh", ""]


def test_a_protocol_that_failed_on_its_port_is_tried_again_by_content() -> None:
    detected = Detected(port=22)
    detected.send(ORIG, b"\r\n")
    assert detected.attached == [""]
    detected.send(RESP, GREETING)
    assert detected.attached == [""]


def test_what_is_attached_by_content_hears_the_same_octets_once() -> None:
    detected = Detected()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    detected.send(ORIG, request)
    detected.send(ORIG, request)
    detected.send(RESP, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2)
    detected.close()
    assert detected.services == ["http"]
    sink = detected.context.sink
    assert isinstance(sink, CollectingSink)
    assert [row.trans_depth for row in sink.http_rows] == [1, 2]


def test_gaps_before_any_octet_are_not_replayed() -> None:
    detected = Detected()
    matcher = detected.connection.analyzers[0]
    assert isinstance(matcher, ContentMatcher)
    probe = RecordingAnalyzer(detected.connection, "probe")
    matcher.gap(ORIG, 7)
    matcher.stream(ORIG, b"ab")
    matcher.gap(RESP, 9)
    matcher._replay(probe, True)
    assert (probe.orig, probe.resp, probe.gaps) == (b"ab", b"", [(False, 9)])


def test_flipping_turns_what_was_kept() -> None:
    detected = Detected()
    detected.send(ORIG, GREETING)
    detected.context.flipped(detected.connection)
    detected.send(ORIG, GREETING)
    assert detected.attached == ["", "ssh"]


def test_udp_datagrams_are_matched_one_by_one() -> None:
    bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
    answer = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
    detected = Detected(protocol=UDP)
    detected.send(ORIG, bind).send(ORIG, bind)
    assert detected.attached == [""]
    detected.send(RESP, answer)
    assert detected.attached == ["", "ldap_udp"]


def test_an_analyzer_that_gives_up_on_the_replay_is_not_kept() -> None:
    bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
    detected = Detected(protocol=UDP)
    detected.send(ORIG, b"noise").send(ORIG, bind).send(RESP, b"\x30")
    assert detected.attached == [""]


@pytest.fixture
def context() -> DetectionContext:
    context = DetectionContext(CollectingSink())
    context.now = START
    return context


def expect(context: DetectionContext, service: str, port: int = 5000, orig: bytes = CLIENT) -> None:
    context.expect_connection(orig, SERVER, port, TCP, service, 60 * SECOND)


def test_an_announced_service_replaces_the_port(context: DetectionContext) -> None:
    expect(context, "modbus", 22)
    assert context.expecting
    assert Detected(context=context, port=22).attached == ["modbus", ""]
    assert Detected(context=context, port=23).attached == [""]


def test_an_announcement_names_the_originator_or_anybody(context: DetectionContext) -> None:
    expect(context, "modbus")
    assert Detected(context=context, port=5000, orig=SERVER).attached == [""]
    expect(context, "modbus", orig=b"")
    assert Detected(context=context, port=5000, orig=SERVER).attached == ["modbus", ""]


def test_an_announcement_expires(context: DetectionContext) -> None:
    expect(context, "modbus")
    context.now += 60 * SECOND
    assert Detected(context=context, port=5000).attached == [""]
    expect(context, "modbus", 5001)
    context.now += 60 * SECOND
    expect(context, "modbus", 5002)
    context.now += 60 * SECOND
    context._expire()
    assert not context.expecting


def test_a_transfer_is_recognised_once(context: DetectionContext) -> None:
    expect(context, "ftp-data")
    first = Detected(context=context, port=5000)
    second = Detected(context=context, port=5000)
    assert first.services == ["ftp-data"]
    assert second.services == []


def test_announcements_are_bounded(context: DetectionContext) -> None:
    for number in range(MAX_EXPECTED + 1):
        expect(context, "ftp-data", number)
    assert context.counters.values == {"expected_connections_dropped": 1}
    assert Detected(context=context, port=MAX_EXPECTED).services == []


def test_streams_inside_streams_are_detected_or_named(context: DetectionContext) -> None:
    connection = Detected(context=context).connection
    assert [one.service for one in context.stream_analyzers(connection, "ssl")] == ["ssl"]
    assert context.stream_analyzers(connection, "nonsense") == []
    inner = context.stream_analyzers(connection, "")
    assert isinstance(inner[0], ContentMatcher)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_noise_is_nothing(protocol: int) -> None:
    noise = bytes(range(7, 107))
    turns = [(ORIG, noise), (RESP, noise[::-1]), (ORIG, noise)]
    assert services_of(turns, protocol=protocol, port=UNUSUAL) == []
