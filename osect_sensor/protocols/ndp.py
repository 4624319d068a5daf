"""Neighbor Discovery (RFC 4861): Neighbor Solicitations and Advertisements."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import NeighborRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import ipv6_text
from osect_sensor.wire.packet import Packet

SOLICITATION: Final = 135
"""ICMPv6 type of a Neighbor Solicitation."""
ADVERTISEMENT: Final = 136
"""ICMPv6 type of a Neighbor Advertisement."""

_TARGET: Final = 8
_LENGTH: Final = 24
_MULTICAST: Final = 0xFF


def neighbor_packet(packet: Packet, sink: RowSink) -> None:
    """Emit the row of the ICMPv6 message at ``packet.transport``, if it is one of the two.

    Advertisements to a multicast address answer nobody and make no row.
    """
    data = packet.data
    start = packet.transport
    # A payload length of zero (jumbograms, offloaded segmentation) says nothing about the end.
    end = packet.captured_end
    if start < packet.payload_end < end:
        end = packet.payload_end
    if end - start < _LENGTH:
        return
    kind = data[start]
    row = NeighborRow()
    row.ts = packet.timestamp
    row.resp_ip = ipv6_text(data, start + _TARGET)
    if kind == SOLICITATION:
        row.orig_mac = packet.source_mac_text()
        row.orig_ip = packet.source_text()
        row.who_has = row.resp_ip
    elif kind == ADVERTISEMENT:
        if data[packet.destination] == _MULTICAST:
            return
        row.orig_mac = packet.destination_mac_text()
        row.orig_ip = packet.destination_text()
        row.resp_mac = packet.source_mac_text()
    else:
        return
    sink.neighbor(row)
