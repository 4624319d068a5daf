from __future__ import annotations

from osect_sensor.protocols.ntp import NtpAnalyzer


def packet(mode: int, length: int = 48) -> bytes:
    return bytes([0x20 | mode]) + bytes(length - 1)


def feed(analyzer: NtpAnalyzer, from_orig: bool, data: bytes) -> None:
    analyzer.datagram(from_orig, data, len(data))


def test_a_clients_packet_confirms(udp_connection) -> None:
    feed(NtpAnalyzer(udp_connection), True, packet(3))
    assert udp_connection.services == ["ntp"]
    assert udp_connection.flips == 0


def test_a_short_packet_disowns(udp_connection) -> None:
    analyzer = NtpAnalyzer(udp_connection)
    feed(analyzer, True, packet(3))
    feed(analyzer, False, packet(4, 47))
    assert udp_connection.services == []
    assert not analyzer.alive


def test_a_servers_packet_from_the_originator_exchanges_the_sides_once(udp_connection) -> None:
    analyzer = NtpAnalyzer(udp_connection)
    feed(analyzer, True, packet(4))
    feed(analyzer, True, packet(4))
    assert udp_connection.flips == 1
    feed(analyzer, False, packet(3))
    assert udp_connection.flips == 2


def test_authenticators_pass_whatever_their_length(udp_connection) -> None:
    for extra in (4, 20, 24):
        feed(NtpAnalyzer(udp_connection), True, packet(3) + bytes(extra))
        assert udp_connection.services == ["ntp"]


def extension(value: int, signature: int, length: int) -> bytes:
    head = b"\x00\x01" + length.to_bytes(2, "big") + bytes(10)
    body = value.to_bytes(4, "big") + bytes(value) + signature.to_bytes(4, "big")
    return (head + body + bytes(signature)).ljust(length, b"\0")


def test_extension_fields_must_fill_the_packet(udp_connection) -> None:
    feed(NtpAnalyzer(udp_connection), True, packet(3) + extension(4, 4, 32))
    assert udp_connection.services == ["ntp"]
    feed(NtpAnalyzer(udp_connection), True, packet(3) + extension(4, 4, 32) + b"\0")
    assert udp_connection.services == []


def test_extension_values_are_bounded_by_the_field(udp_connection) -> None:
    feed(NtpAnalyzer(udp_connection), True, packet(3) + extension(11, 0, 32) + bytes(8))
    assert udp_connection.services == []


def test_control_and_private_messages(udp_connection) -> None:
    control = b"\x16\x02" + bytes(8) + b"\x00\x03abc"
    feed(NtpAnalyzer(udp_connection), True, control)
    assert udp_connection.services == ["ntp"]
    feed(NtpAnalyzer(udp_connection), True, control[:-1])
    assert udp_connection.services == []
    private = b"\x17\x80\x03\x2a\x00\x02ab" + bytes(20)
    feed(NtpAnalyzer(udp_connection), True, private)
    assert udp_connection.services == ["ntp"]
    feed(NtpAnalyzer(udp_connection), True, private[:-1])
    assert udp_connection.services == []


def test_reserved_modes_confirm(udp_connection) -> None:
    feed(NtpAnalyzer(udp_connection), True, b"\x20")
    assert udp_connection.services == ["ntp"]
