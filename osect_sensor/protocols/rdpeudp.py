"""RDP over UDP ([MS-RDPEUDP], [MS-RDPEUDP2])."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.wire.octets import u16, u32

_ACK_OF_ACKS: Final = 0x0100
_DATA: Final = 0x0008
_CORRELATION_ID: Final = 0x0800
_SYN_EXTENSION: Final = 0x1000

_VERSION_3: Final = 0x0101

_NEED_SYN: Final = 0
_NEED_SYN_ACK: Final = 1
_ESTABLISHED: Final = 2

_BAD: Final = -1


def _version(data: bytes) -> int:
    """The version in the extension of a SYN or SYN+ACK, or ``_BAD``."""
    if len(data) < 16:
        return _BAD
    flags = u16(data, 6)
    offset = 16
    if flags & _CORRELATION_ID != 0:
        offset += 32
    if flags & _SYN_EXTENSION == 0 or offset + 4 > len(data):
        return _BAD
    version = u16(data, offset + 2)
    if version == _VERSION_3 and offset + 36 > len(data):
        return _BAD
    return version


@final
class RdpeudpAnalyzer(Analyzer):
    """RDP over UDP: confirmed by the server's SYN+ACK."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "rdpeudp")
        self._state: int = _NEED_SYN
        self._orig_version: int = 1
        self._resp_version: int = 1

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take one datagram."""
        if self._state == _ESTABLISHED:
            if self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
                # Nothing that follows can change what the connection is.
                self.alive = False
            elif not self._is_data(data):
                self.violation()
            return
        version = _version(data)
        if version == _BAD:
            self.violation()
            return
        flags = u16(data, 6)
        if self._state == _NEED_SYN:
            if from_orig and flags & 0x01 != 0 and u32(data, 0) == 0xFFFFFFFF:
                self._orig_version = version
                self._state = _NEED_SYN_ACK
        elif not from_orig and flags & 0x05 != 0:
            self.confirm()
            self._resp_version = version
            self._state = _ESTABLISHED

    def flip(self) -> None:
        """Exchange the directions."""
        version = self._orig_version
        self._orig_version = self._resp_version
        self._resp_version = version

    def _is_data(self, data: bytes) -> bool:
        if self._orig_version == _VERSION_3 and self._resp_version == _VERSION_3:
            return len(data) >= 3
        if len(data) < 10:
            return False
        flags = u16(data, 6)
        # The vector of acknowledgements is padded to four octets.
        offset = 8 + (2 + u16(data, 8) + 3) // 4 * 4
        if flags & _ACK_OF_ACKS != 0:
            offset += 4
        if flags & _DATA != 0:
            offset += 8
        return offset <= len(data)
