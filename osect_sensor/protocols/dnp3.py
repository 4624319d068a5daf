"""DNP3 (IEEE 1815) over TCP and UDP for service detection.

A link frame with a good header checksum confirms. Bad magic or a bad checksum in the data only
makes the analyzer rest; a bad header checksum, or an application fragment that does not parse,
disowns the connection. The originator's fragments are taken for requests, the responder's for
responses.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.dnp3_objects import skip_objects
from osect_sensor.protocols.fields import FieldReader

_LINK_HEADER: Final = 8
"""Octets of the link header before its checksum."""
_HEADER: Final = 11
"""Link header, checksum and transport octet: what Zeek gathers before it looks."""
_TRANSPORT: Final = 10
"""Offset of the transport octet, the first of the checksummed data."""
_BLOCK: Final = 16
"""Octets of data that share a checksum."""

_LENGTH_OF_LINK_ONLY: Final = 5
"""Length field of a frame that has no data."""

_FIRST: Final = 0x40
_FINAL: Final = 0x80
"""Bits of the transport octet."""

MAX_FRAGMENT: Final = 65_536
"""Octets of one application fragment; IEEE 1815 has stations send no more than 2048."""


def _crc_table() -> list[int]:
    table: list[int] = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ 0xA6BC if crc & 1 else crc >> 1
        table.append(crc)
    return table


_CRC: Final = _crc_table()

# Function codes (IEEE 1815 section 4.3).
_CONFIRM: Final = 0x00
_WITHOUT_OBJECTS: Final = (_CONFIRM, 0x0D, 0x0E, 0x0F, 0x13, 0x17, 0x18)
_LAST_REQUEST: Final = 0x21
_RESPONSE: Final = 0x81
_AUTHENTICATE_RESPONSE: Final = 0x83


@final
class _Side:
    """One direction: the frame being gathered and the fragment being put together."""

    __slots__ = ("fragment", "fragment_length", "frame", "frames", "in_header", "started")

    def __init__(self) -> None:
        self.frame: bytes = b""
        self.in_header: bool = True
        self.frames: int = 0
        """Frames of the current fragment."""
        self.started: bool = False
        """Whether the fragment's first frame was seen."""
        self.fragment: list[bytes] = []
        self.fragment_length: int = 0

    def reset(self) -> None:
        """Begin a new fragment."""
        self.frame = b""
        self.in_header = True
        self.frames = 0
        self.started = False
        self.fragment = []
        self.fragment_length = 0

    def add(self, data: bytes) -> None:
        """Add octets to the fragment."""
        self.fragment.append(data)
        self.fragment_length += len(data)


@final
class Dnp3Analyzer(Analyzer):
    """DNP3 on one connection, service ``dnp3_tcp`` or ``dnp3_udp``."""

    def __init__(self, connection: Connection, over_tcp: bool) -> None:
        super().__init__(connection, "dnp3_tcp" if over_tcp else "dnp3_udp")
        self._orig: Final = _Side()
        self._resp: Final = _Side()

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction."""
        self._process(from_orig, data)

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take one datagram; frames may run on from one to the next."""
        self._process(from_orig, data)

    def finish(self) -> None:
        """Drop what is held."""
        self._orig.reset()
        self._resp.reset()

    def _process(self, from_orig: bool, data: bytes) -> None:
        side = self._orig if from_orig else self._resp
        position = 0
        while position < len(data):
            wanted = _HEADER
            if not side.in_header:
                wanted = _frame_size(side.frame[2])
            if wanted > len(side.frame):
                taken = min(len(data) - position, wanted - len(side.frame))
                side.frame += data[position : position + taken]
                position += taken
                if len(side.frame) < wanted:
                    return
            if side.in_header:
                if not self._header(side):
                    return
            elif not self._frame(side, from_orig):
                self.alive = False
                return

    def _header(self, side: _Side) -> bool:
        """Judge a frame's header; false when nothing more is to be taken from this delivery."""
        frame = side.frame
        if frame[0] != 0x05 or frame[1] != 0x64:
            self.alive = False
            return False
        if not _checksum_good(frame, 0, _LINK_HEADER):
            self.violation()
            self.alive = False
            return False
        self.confirm()
        if frame[2] == _LENGTH_OF_LINK_ONLY:
            # Zeek has by now eaten an octet of what follows, and drops the rest of it, too.
            side.reset()
            return False
        side.in_header = False
        side.frames += 1
        if side.frames == 1:
            side.add(frame[:_LINK_HEADER])
        if frame[2] == 0 or _frame_size(frame[2]) < _HEADER:
            self.alive = False
            return False
        return True

    def _frame(self, side: _Side, from_orig: bool) -> bool:
        """Take the data of a whole frame; false when the analyzer is to rest."""
        frame = side.frame
        transport = frame[_TRANSPORT]
        position = _TRANSPORT
        left = frame[2] - 5
        while left > 0:
            size = min(left, _BLOCK)
            if not _checksum_good(frame, position, size):
                return False
            start = position + 1 if position == _TRANSPORT else position
            side.add(frame[start : position + size])
            position += size + 2
            left -= size
        if side.fragment_length > MAX_FRAGMENT:
            self.connection.context.counters.count("dnp3_fragments_dropped")
            return False
        if transport & _FIRST != 0:
            side.started = True
        if not side.started:
            return False
        if transport & _FINAL != 0:
            fragment = b"".join(side.fragment)
            side.reset()
            if not _fragment_good(fragment, from_orig):
                self.violation()
                return False
            return True
        side.frame = b""
        side.in_header = True
        return True


def _frame_size(length: int) -> int:
    """Octets of a frame by its length field: 5 of header and the data, checksums not counted."""
    data = length - 5
    if data < 0:
        return _TRANSPORT + data + 2
    blocks = (data + _BLOCK - 1) // _BLOCK
    return _TRANSPORT + data + 2 * blocks


def _checksum_good(frame: bytes, start: int, length: int) -> bool:
    """Whether the octets are followed by their checksum (IEEE 1815 section 9.2.4.3)."""
    end = start + length
    if end + 2 > len(frame):
        return False
    crc = 0
    for index in range(start, end):
        crc = _CRC[(crc ^ frame[index]) & 0xFF] ^ crc >> 8
    crc = ~crc & 0xFFFF
    return frame[end] == crc & 0xFF and frame[end + 1] == crc >> 8


def _fragment_good(fragment: bytes, is_request: bool) -> bool:
    """Whether an application fragment, its first frame's header before it, parses."""
    reader = FieldReader(fragment, _LINK_HEADER, len(fragment))
    reader.skip(1)
    function = reader.u8()
    if is_request:
        has_objects = function <= _LAST_REQUEST and function not in _WITHOUT_OBJECTS
    else:
        reader.skip(2)
        has_objects = _RESPONSE <= function <= _AUTHENTICATE_RESPONSE
    if has_objects:
        while reader.remaining() > 0:
            skip_objects(reader, is_request, function)
    return not reader.failed
