"""SSDP messages become rows by their method word."""

from __future__ import annotations

import pytest

from osect_sensor.logs.rows import SsdpRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.ssdp import ssdp_datagram
from osect_sensor.wire.packet import Packet


def rows(payload: bytes, to_port: bool = True) -> list[SsdpRow]:
    packet = Packet()
    packet.timestamp = 7
    packet.ip_version = 4
    packet.data = b"\x0a\0\0\1" + payload + b"\xff" * 20
    packet.link = b"\xff" * 6 + bytes.fromhex("020000000001")
    packet.source_mac = 6
    sink = CollectingSink()
    ssdp_datagram(packet, 4, 4 + len(payload), to_port, sink)
    return sink.ssdp_rows


@pytest.mark.parametrize(
    ("start", "method", "value"),
    [
        (b"NOTIFY * HTTP/1.1", "NOTIFY", b"os/1 UPnP/1.0"),
        (b"NOTIFY * HTTP/1.1 ", "NOTIFY", b"os/1 UPnP/1.0"),
        (b"NOTIFY * HTTP/1.0", "NOTIFY", b"os/1 UPnP/1.0"),
        (b"M-SEARCH * HTTP/1.1", "M-SEARCH Request", b"agent/2"),
        (b"HTTP/1.1 200 OK", "M-SEARCH Response", b"os/1 UPnP/1.0"),
        (b"GET / HTTP/1.1", "", None),
    ],
)
def test_method_chooses_the_header(start, method, value):
    (row,) = rows(start + b"\r\nServer: os/1 UPnP/1.0\r\nuser-agent: agent/2\r\n\r\n")
    assert (row.ts, row.src_ip, row.src_mac) == (7, "10.0.0.1", "02:00:00:00:00:01")
    assert (row.method, row.server_or_user_agent) == (method, value)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"SERVER: a \r\n", b"a "),
        (b"SERVER:  a\r\n", b" a"),
        (b"SERVER:a\r\n", b"a"),
        (b"SERVER: \r\n", b""),
        (b"SERVER:\r\n", None),
        (b"SERVER: a\r\nSERVER: b\r\n", b"b"),
        (b"SERVERS: a\r\n", None),
        (b"X-SERVER: a\r\n", None),
        (b"SERVER: a", b"a"),
        (b"SERVER: a\n", b"a"),
    ],
)
def test_value_is_logged_as_sent(header, value):
    assert rows(b"NOTIFY * HTTP/1.1\r\n" + header)[0].server_or_user_agent == value


def test_from_the_port_only_responses_count():
    assert len(rows(b"HTTP/1.1 200 OK\r\n\r\n", to_port=False)) == 1
    assert rows(b"NOTIFY * HTTP/1.1\r\n\r\n", to_port=False) == []
    assert rows(b"hello\r\n", to_port=False) == []


@pytest.mark.parametrize("payload", [b"", b"\x00\x01\x02", b"NOTIFY", b"hello\r\nworld", b"\n"])
def test_what_has_no_whole_lines_makes_no_row(payload):
    assert rows(payload) == []
