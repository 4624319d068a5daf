"""CC-Link IE Field and CC-Link IE Control: frames of EtherType 0x890F, counted by content.

Frame types and command names are those of the CC-Link family documents as NTT Com's parser
zeek-parser-CCLinkIENoIP spells them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.flows.analyzer import Counters
from osect_sensor.logs.rows import FieldControlRow
from osect_sensor.logs.sink import RowSink
from osect_sensor.wire.octets import u16
from osect_sensor.wire.packet import Packet

if TYPE_CHECKING:
    from mypy_extensions import i64

ETHERTYPE: Final = 0x890F

MAX_TUPLES: Final = 65536
"""Rows a window. A network has up to 254 nodes with some twenty kinds of frames each; a sender
of made-up addresses ends here."""

_CONTROL: Final = 0
_FIELD: Final = 1
_SERVICES: Final = (b"cclink_ie_control", b"cclink_ie_field")

_NODE_ID: Final = 2
_CONNECTION_INFO: Final = 4
_NODE_TYPE: Final = 5
_SOURCE_NODE: Final = 6
_VERSION: Final = 8
_HEADER: Final = 14
_MESSAGE_HEADER: Final = 16
"""Octets of the message header of a transient frame, behind the frame header."""
_COMMAND_TYPE: Final = 22
"""Offset of the command type in a transient frame's data."""

# Which parts of the header a kind of frame uses, by version.
_HAS_NODE_ID: Final = 1
_HAS_CONTROL_NODE_ID: Final = 2
_HAS_NODE_TYPE: Final = 4
_HAS_CONTROL_NODE_TYPE: Final = 8
_HAS_CONNECTION_INFO: Final = 16
_HAS_CONTROL_CONNECTION_INFO: Final = 32
_ONLY_KNOWN_VERSIONS: Final = 64
"""Other versions of this kind of frame belong to CC-Link IE TSN."""
_HAS_VERSION: Final = 128
"""Both networks use this kind of frame; all others are IE Control's own."""

_TRANSIENT1: Final = 0x22
_TRANSIENT2: Final = 0x25

_BOTH_NODE_IDS: Final = _HAS_VERSION | _HAS_NODE_ID | _HAS_CONTROL_NODE_ID
_TEST: Final = _HAS_VERSION | _HAS_NODE_TYPE | _HAS_CONTROL_NODE_TYPE | _ONLY_KNOWN_VERSIONS
_ADDRESSED: Final = _HAS_VERSION | _HAS_NODE_ID | _HAS_CONNECTION_INFO
_TRANSIENT: Final = _ADDRESSED | _HAS_CONTROL_NODE_ID | _HAS_CONTROL_CONNECTION_INFO

_FRAMES: Final[dict[int, tuple[str, int]]] = {
    0x00: ("connect", 0),
    0x01: ("connectAck", 0),
    0x02: ("scan", 0),
    0x03: ("collect", 0),
    0x04: ("select", 0),
    0x05: ("launch", 0),
    0x06: ("token", 0),
    0x10: ("persuasion", _HAS_VERSION | _HAS_NODE_TYPE | _HAS_CONTROL_NODE_TYPE),
    0x11: ("testData", _TEST),
    0x12: ("testDataAck", _TEST),
    0x13: ("setup", _BOTH_NODE_IDS),
    0x14: ("setupAck", _HAS_VERSION),
    0x15: ("tokenM", _BOTH_NODE_IDS),
    0x1C: ("timer", _HAS_VERSION),
    0x20: ("myStatus", _BOTH_NODE_IDS | _HAS_NODE_TYPE),
    _TRANSIENT1: ("transient1", _TRANSIENT),
    0x23: ("transientAck", _ADDRESSED),
    0x24: ("dummy", 0),
    _TRANSIENT2: ("transient2", _TRANSIENT),
    0x26: ("ipTransient", _ADDRESSED),
    0x28: ("paramCheck", _ADDRESSED),
    0x29: ("parameter", _ADDRESSED),
    0x2F: ("nTNTest", 0),
    0x40: ("measure", _HAS_VERSION | _HAS_NODE_ID),
    0x41: ("measureAck", _HAS_VERSION | _HAS_NODE_ID),
    0x42: ("offset", _HAS_VERSION | _HAS_NODE_ID),
    0x43: ("update", _HAS_VERSION | _HAS_NODE_ID),
    0x80: ("cyclicDataW", 0),
    0x81: ("cyclicDataB", 0),
    0x82: ("cyclicDataRWw", _HAS_VERSION | _HAS_NODE_ID),
    0x83: ("cyclicDataRY", _HAS_VERSION | _HAS_NODE_ID),
    0x84: ("cyclicDataRWr", _HAS_VERSION | _HAS_NODE_ID),
    0x85: ("cyclicDataRX", _HAS_VERSION | _HAS_NODE_ID),
    0x8C: ("cyclicDataOut1", 0),
    0x8D: ("cyclicDataOut2", 0),
    0x8E: ("cyclicDataIn1", 0),
    0x8F: ("cyclicDataIn2", 0),
}

_CONTROL_NODE_TYPES: Final[dict[int, bytes]] = {
    0x00: b"management node",
    0x02: b"normal node",
    0x21: b"master node in the Node-to-node test",
}

_FIELD_NODE_TYPES: Final[dict[int, bytes]] = {
    0x30: b"master node",
    0x32: b"local node",
    0x33: b"intelligent device node",
    0x34: b"remote device node",
    0x35: b"remote I/O node",
}

_DATA_COMMON: Final = 0x05
_DATA_FIELD: Final = 0x07
_DATA_MOTION: Final = 0x08

_COMMON_COMMANDS: Final[dict[int, bytes]] = {
    0x30: b"slmpTransmitRequest",
    0xB0: b"slmpTransmitResponse",
}

_CONTROL_COMMANDS: Final[dict[int, bytes]] = {
    0x04: b"getMemoryAccessInfo",
    0x08: b"run",
    0x09: b"stop",
    0x10: b"readMemory",
    0x12: b"writeMemory",
}

_FIELD_COMMANDS: Final[dict[int, bytes]] = {
    0x04: b"getMemoryAccessInfo",
    0x08: b"run",
    0x09: b"stop",
    0x10: b"readMemory",
    0x12: b"writeMemory",
    0x20: b"messageTransfer",
}

_NODE_COMMANDS: Final[dict[int, bytes]] = {
    0x01: b"deliverNodeInformation",
    0x03: b"getStatisticalInformation",
    0x04: b"acquiresDetailedNodeInformation",
    0x0A: b"acquiresOptionalInformation",
}

_MOTION_COMMANDS: Final[dict[int, bytes]] = {
    0x01: b"communicationCycleSetting",
    0x02: b"objectRead",
    0x03: b"objectWrite",
}

_DIRECTIONS: Final[dict[int, bytes]] = {0x00: b"Request", 0x80: b"Response"}


@final
class FieldControlAggregator:
    """The frames of a window by content, in the order of their first appearance."""

    def __init__(self, counters: Counters) -> None:
        self._counters: Final = counters
        self._rows: dict[bytes, FieldControlRow] = {}
        self._by_octets: dict[bytes, FieldControlRow] = {}
        """Rows of this window by the octets that they were read from. A network repeats a few
        frames again and again; what is read once need not be read again."""

    def frame(self, packet: Packet) -> None:
        """Count the CC-Link IE frame at ``packet.network``.

        Frames of other kinds (CC-Link IE TSN's among them) and frames that are cut off make no
        row.
        """
        data = packet.data
        start = packet.network
        known: FieldControlRow | None = None
        # Of the two addresses 802.11 may have the sender's first, a cooked capture has no other.
        addresses = min(packet.source_mac, packet.destination_mac)
        if addresses < 0 or packet.captured_end - start < _HEADER:
            known = self._row(packet)
        else:
            octets = data[addresses : start + _VERSION + 1]
            known = self._by_octets.get(octets)
            if known is None:
                known = self._row(packet)
                # What is behind the header makes rows of transient frames differ.
                if known is not None and data[start] not in (_TRANSIENT1, _TRANSIENT2):
                    if len(self._by_octets) >= MAX_TUPLES:
                        self._by_octets.clear()
                    self._by_octets[octets] = known
        if known is not None:
            known.number += 1
            # A frame whose time lies before that of others does not make them the first.
            if packet.timestamp > known.ts_end:
                known.ts_end = packet.timestamp

    def _row(self, packet: Packet) -> FieldControlRow | None:
        """The row in which a frame counts, None where it makes none."""
        row = FieldControlRow()
        if not _read_frame(packet, row):
            return None
        key = f"{row.src_mac} {row.dst_mac} {row.pdu_type} {row.node_id} {row.connection_info}"
        identity = key.encode() + b"\0".join(
            (row.service, row.src_node_number.encode(), row.cmd or b"", row.node_type or b"")
        )
        known = self._rows.get(identity)
        if known is None:
            if len(self._rows) >= MAX_TUPLES:
                self._counters.count("cclink_ie_tuples_full")
                return None
            row.ts = packet.timestamp
            self._rows[identity] = row
            known = row
        return known

    def flush(self, sink: RowSink) -> None:
        """Emit the window's rows and begin the next window."""
        for row in self._rows.values():
            sink.field_control(row)
        self._rows = {}
        self._by_octets = {}


def _read_frame(packet: Packet, row: FieldControlRow) -> bool:
    """Fill ``row`` with what the frame says; answers whether it is one that makes a row."""
    data = packet.data
    start = packet.network
    end = packet.captured_end
    if end - start < _HEADER:
        return False
    kind = _FRAMES.get(data[start])
    if kind is None:
        return False
    row.pdu_type, parts = kind
    version = data[start + _VERSION] if parts & _HAS_VERSION != 0 else _CONTROL
    if version > _FIELD and parts & _ONLY_KNOWN_VERSIONS != 0:
        return False
    command: bytes | None = None
    if data[start] == _TRANSIENT1 or data[start] == _TRANSIENT2:
        command = _command(data, start, end, version)
        if command is None:
            return False
    row.src_mac = packet.source_mac_text()
    row.dst_mac = packet.destination_mac_text()
    if version > _FIELD:
        row.service = b"unknownserviceVerType" + data[start + _VERSION : start + _VERSION + 1]
        return True
    row.service = _SERVICES[version]
    row.src_node_number = f"0x{u16(data, start + _SOURCE_NODE):04x}"
    if command is not None and len(command) > 0:
        row.cmd = command
    control = version == _CONTROL
    if parts & (_HAS_CONTROL_NODE_ID if control else _HAS_NODE_ID) != 0:
        row.node_id = u16(data, start + _NODE_ID)
    if parts & (_HAS_CONTROL_CONNECTION_INFO if control else _HAS_CONNECTION_INFO) != 0:
        row.connection_info = f"0x{data[start + _CONNECTION_INFO]:02x}"
    if parts & (_HAS_CONTROL_NODE_TYPE if control else _HAS_NODE_TYPE) != 0:
        names = _CONTROL_NODE_TYPES if control else _FIELD_NODE_TYPES
        node_type = data[start + _NODE_TYPE]
        row.node_type = names.get(node_type, b"unknownNodetype" + bytes((node_type,)))
    return True


def _command(data: bytes, start: i64, end: i64, version: i64) -> bytes | None:
    """The command of a transient frame, empty where none is logged, None where it is cut off."""
    body = start + _HEADER
    if data[start] == _TRANSIENT2:
        if end - body <= _COMMAND_TYPE:
            return None
        names = _CONTROL_COMMANDS if version == _CONTROL else _FIELD_COMMANDS
        return _named(names, data[body + _COMMAND_TYPE])
    body += _MESSAGE_HEADER
    data_type = data[start + 1]
    if data_type == _DATA_COMMON:
        if end - body <= _COMMAND_TYPE:
            return None
        name = _named(_COMMON_COMMANDS, data[body + _COMMAND_TYPE])
    elif data_type in (_DATA_FIELD, _DATA_MOTION):
        if end - body < 2:
            return None
        names = _NODE_COMMANDS if data_type == _DATA_FIELD else _MOTION_COMMANDS
        command = names.get(data[body])
        direction = _DIRECTIONS.get(data[body + 1])
        if command is None or direction is None:
            name = b"unknownCmd" + data[body : body + 2]
        else:
            name = command + direction
    else:
        return None
    return b"" if version == _CONTROL else name


def _named(names: dict[int, bytes], code: i64) -> bytes:
    return names.get(code, b"unknownCt" + bytes((code,)))
