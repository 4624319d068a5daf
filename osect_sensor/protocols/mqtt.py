"""MQTT (OASIS MQTT Version 3.1.1)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.wire.octets import u16

_CONNECT: Final = 1
_CONNACK: Final = 2
_PUBLISH: Final = 3
_PUBACK: Final = 4
_PUBCOMP: Final = 7
_SUBSCRIBE: Final = 8
_SUBACK: Final = 9
_UNSUBSCRIBE: Final = 10
_UNSUBACK: Final = 11

_BAD: Final = -1


def _skip_string(data: bytes, offset: int, end: int) -> int:
    """Behind the string at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset + 2 > end:
        return _BAD
    offset += 2 + u16(data, offset)
    return offset if offset <= end else _BAD


@final
class MqttAnalyzer(Analyzer):
    """MQTT: confirmed by CONNECT or PUBLISH.

    As in Zeek, each delivery is taken for one control packet, what follows it is not looked at.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "mqtt")

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the control packet that begins a delivery."""
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        if not self._packet(data):
            self.violation()

    def _packet(self, data: bytes) -> bool:
        length = 0
        offset = 1
        while True:
            if offset >= len(data):
                return False
            octet = data[offset]
            length |= (octet & 0x7F) << 7 * (offset - 1)
            offset += 1
            if octet & 0x80 == 0:
                break
            if offset > 4:
                # Zeek accepts lengths of up to three octets.
                return False
        end = offset + length
        if offset > 4 or end > len(data):
            return False
        kind = data[0] >> 4
        if kind == _CONNECT:
            return self._connect(data, offset, end)
        if kind == _PUBLISH:
            offset = _skip_string(data, offset, end)
            if offset == _BAD or (data[0] & 0x06 != 0 and offset + 2 > end):
                return False
            self.confirm()
            return True
        if kind == _SUBACK:
            return length >= 3
        if kind in (_CONNACK, _UNSUBACK) or _PUBACK <= kind <= _PUBCOMP:
            return length >= 2
        if kind in (_SUBSCRIBE, _UNSUBSCRIBE):
            if length < 2:
                return False
            offset += 2
            while offset != _BAD and offset < end:
                offset = _skip_string(data, offset, end)
                if kind == _SUBSCRIBE and offset != _BAD:
                    offset += 1
            return offset == end
        return True

    def _connect(self, data: bytes, offset: int, end: int) -> bool:
        offset = _skip_string(data, offset, end)
        if offset == _BAD or offset + 4 > end:
            return False
        flags = data[offset + 1]
        offset = _skip_string(data, offset + 4, end)
        if flags & 0x04 != 0:
            offset = _skip_string(data, offset, end)
            offset = _skip_string(data, offset, end)
        if flags & 0x80 != 0:
            offset = _skip_string(data, offset, end)
        if flags & 0x40 != 0:
            offset = _skip_string(data, offset, end)
        if offset == _BAD:
            return False
        self.confirm()
        return True
