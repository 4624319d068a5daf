"""ARP (RFC 826): requests and replies for IPv4 over Ethernet."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import ArpRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import ipv4_text, mac_text, u16
from osect_sensor.wire.packet import Packet

_ETHERNET: Final = 1
_IEEE_802: Final = 6
_IPV4: Final = 0x0800
_REQUEST: Final = 1
_REPLY: Final = 2

_SENDER_MAC: Final = 8
_SENDER_IP: Final = 14
_TARGET_MAC: Final = 18
_TARGET_IP: Final = 24
_LENGTH: Final = 28


def arp_frame(packet: Packet, sink: RowSink) -> None:
    """Emit the row of the ARP packet at ``packet.network``.

    No rows come from other hardware or protocol types, other operations, packets that are cut
    off, and packets whose sender claims another MAC address than the frame's source: Zeek, whose
    events are the field's record, calls all of these bad.
    """
    data = packet.data
    start = packet.network
    if packet.captured_end - start < _LENGTH:
        return
    hardware = u16(data, start)
    if hardware != _ETHERNET and hardware != _IEEE_802:
        return
    if u16(data, start + 2) != _IPV4 or data[start + 4] != 6 or data[start + 5] != 4:
        return
    if packet.source_mac >= 0:
        claimed = data[start + _SENDER_MAC : start + _SENDER_MAC + 6]
        if packet.link[packet.source_mac : packet.source_mac + 6] != claimed:
            return
    operation = u16(data, start + 6)
    row = ArpRow()
    row.ts = packet.timestamp
    if operation == _REQUEST:
        row.orig_mac = mac_text(data, start + _SENDER_MAC)
        row.orig_ip = ipv4_text(data, start + _SENDER_IP)
        row.resp_ip = ipv4_text(data, start + _TARGET_IP)
        row.who_has = row.resp_ip
    elif operation == _REPLY:
        row.orig_mac = mac_text(data, start + _TARGET_MAC)
        row.orig_ip = ipv4_text(data, start + _TARGET_IP)
        row.resp_mac = mac_text(data, start + _SENDER_MAC)
        row.resp_ip = ipv4_text(data, start + _SENDER_IP)
    else:
        return
    sink.arp(row)
