from __future__ import annotations

from osect_sensor.protocols.radius import RadiusAnalyzer

HEADER = b"\x01\x07\x00\x1a" + bytes(16)


def test_a_message_with_whole_attributes_confirms(udp_connection) -> None:
    data = HEADER + b"\x01\x06name"
    RadiusAnalyzer(udp_connection).datagram(True, data, len(data))
    assert udp_connection.services == ["radius"]


def test_a_message_without_attributes_confirms(udp_connection) -> None:
    RadiusAnalyzer(udp_connection).datagram(True, HEADER, len(HEADER))
    assert udp_connection.services == ["radius"]


def test_attributes_that_are_cut_or_too_short_disown(udp_connection) -> None:
    for attribute in (b"\x01\x06nam", b"\x01\x01", b"\x01"):
        analyzer = RadiusAnalyzer(udp_connection)
        analyzer.datagram(True, HEADER, len(HEADER))
        analyzer.datagram(True, HEADER + attribute, 20 + len(attribute))
        assert udp_connection.services == []
        assert not analyzer.alive
