"""SSDP (UPnP Device Architecture section 1): notifications, searches and their responses."""

from __future__ import annotations

from typing import Final

from osect_sensor.logs.rows import SsdpRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.packet import Packet

PORT: Final = 1900

NOTIFY: Final = "NOTIFY"
SEARCH_REQUEST: Final = "M-SEARCH Request"
SEARCH_RESPONSE: Final = "M-SEARCH Response"


def ssdp_datagram(packet: Packet, start: int, end: int, to_port: bool, sink: RowSink) -> None:
    """Emit the row of the SSDP message ``packet.data[start:end]``.

    ``to_port`` says whether port 1900 is the destination: what comes from there is of interest
    only as a response. A message to it whose lines are whole but whose start line is none of
    SSDP's makes a row without a method.
    """
    message = packet.data[start:end] if start < end else b""
    first_end = message.find(b"\n")
    if first_end < 0:
        return
    method = _method(message[:first_end])
    if method == "" and not message.endswith(b"\r\n"):
        return
    if not to_port and method != SEARCH_RESPONSE:
        return
    row = SsdpRow()
    row.ts = packet.timestamp
    row.src_ip = packet.source_text()
    row.src_mac = packet.source_mac_text()
    row.method = method
    if method == SEARCH_REQUEST:
        row.server_or_user_agent = _header(message, b"USER-AGENT")
    elif method != "":
        row.server_or_user_agent = _header(message, b"SERVER")
    sink.ssdp(row)


def _method(start_line: bytes) -> str:
    """The name that the log gives to a start line, empty where it is none of SSDP's."""
    line = start_line.upper()
    if line.startswith(b"NOTIFY "):
        return NOTIFY
    if line.startswith(b"M-SEARCH "):
        return SEARCH_REQUEST
    if line.startswith(b"HTTP/"):
        return SEARCH_RESPONSE
    return ""


def _header(message: bytes, name: bytes) -> bytes | None:
    """The value of the last header ``name``, as sent but for one space behind the colon."""
    value: bytes | None = None
    for line in message.split(b"\n"):
        if line[: len(name) + 1].upper() != name + b":":
            continue
        text = line[len(name) + 1 :]
        if text.endswith(b"\r"):
            text = text[:-1]
        if text.startswith(b" "):
            value = text[1:]
        elif text != b"":
            value = text
    return value
