"""CC-Link IE Field Basic: cyclic data over UDP port 61450, counted by connection.

PDU layouts as in CLPA's specification BAP-C2010 (CC-Link IE Field Network Basic) and NTT Com's
parser zeek-parser-CCLinkFieldBasic.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection, Counters
from osect_sensor.logs.rows import FieldBasicRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import u16, u16le

PORT: Final = 61450
SERVICE: Final = "cclink_ie_field_basic"

MAX_TUPLES: Final = 65536
"""Rows a window. One segment has a master and up to 64 slaves; this is room for hundreds."""

_REQUEST: Final = 0x5000
_RESPONSE: Final = 0xD000
_CYCLIC: Final = 0x0E70

_LENGTH: Final = 7
_COMMAND: Final = 11
_STATIONS: Final = 61
_REQUEST_FIXED: Final = 67
_REQUEST_STATION: Final = 76
"""Octets a station occupies in a request: its number, 32 words of RWw, 64 bits of RY."""
_RESPONSE_FIXED: Final = 59
_RESPONSE_DATA_FIXED: Final = 50
"""Part of a response's data length that is not cyclic data."""
_RESPONSE_STATION: Final = 72
"""Octets a station occupies in a response: 32 words of RWr, 64 bits of RX."""


@final
class FieldBasicAggregator:
    """The frames of a window by (connection, pdu, cmd), in the order of their first appearance."""

    def __init__(self, counters: Counters) -> None:
        self._counters: Final = counters
        self._rows: dict[str, FieldBasicRow] = {}

    def frame(self, connection: Connection, pdu: str, cmd: str) -> None:
        """Count a frame at the connection's current time."""
        now = connection.context.now
        key = f"{connection.uid} {pdu} {cmd}"
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= MAX_TUPLES:
                self._counters.count("field_basic_tuples_full")
                return
            row = FieldBasicRow()
            row.ts = now
            row.uid = connection.uid
            row.id_orig_h = connection.orig_text()
            row.id_orig_p = connection.orig_port
            row.id_resp_h = connection.resp_text()
            row.id_resp_p = connection.resp_port
            row.pdu = pdu
            row.cmd = cmd
            self._rows[key] = row
        row.number += 1
        row.ts_end = now

    def flush(self, sink: RowSink) -> None:
        """Emit the window's rows and begin the next window."""
        for row in self._rows.values():
            sink.field_basic(row)
        self._rows = {}


@final
class FieldBasicAnalyzer(Analyzer):
    """Recognises the protocol's PDUs on one connection and hands them to the aggregator."""

    def __init__(self, connection: Connection, aggregator: FieldBasicAggregator) -> None:
        super().__init__(connection, SERVICE)
        self._aggregator: Final = aggregator

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take one PDU. Other PDUs than the two of the cyclic exchange are let pass."""
        if len(data) < length:
            return
        kind = u16(data, 0) if len(data) >= 2 else -1
        if kind == _REQUEST:
            if not _is_request(data):
                self._malformed()
                return
            self.confirm()
            cmd = "cyclic" if u16le(data, _COMMAND) == _CYCLIC else ""
            self._aggregator.frame(self.connection, "cyclicDataReq", cmd)
        elif kind == _RESPONSE:
            if not _is_response(data):
                self._malformed()
                return
            self.confirm()
            self._aggregator.frame(self.connection, "cyclicDataRes", "")
        elif kind < 0:
            self._malformed()

    def _malformed(self) -> None:
        # One bad PDU does not make a connection that has spoken the protocol another one.
        if not self.confirmed:
            self.violation()


def _is_request(data: bytes) -> bool:
    if len(data) < _REQUEST_FIXED:
        return False
    return len(data) >= _REQUEST_FIXED + u16le(data, _STATIONS) * _REQUEST_STATION


def _is_response(data: bytes) -> bool:
    if len(data) < _RESPONSE_FIXED:
        return False
    cyclic = u16le(data, _LENGTH) - _RESPONSE_DATA_FIXED
    if cyclic < 0:
        return False
    stations = cyclic // _RESPONSE_STATION
    return len(data) >= _RESPONSE_FIXED + stations * _RESPONSE_STATION
