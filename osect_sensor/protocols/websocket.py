"""WebSocket (RFC 6455), to which HTTP connections are switched."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection, deliver_stream, finish_all
from osect_sensor.wire.octets import u16, u64

CHUNK: Final = 8192
"""Payload octets that are passed on at a time (Zeek's ``WebSocket::payload_chunk_size``)."""

_CONTINUATION: Final = 0
_TEXT: Final = 1
_BINARY: Final = 2


@final
class _Direction:
    """Where the reader is in the frames of one direction."""

    def __init__(self) -> None:
        self.held: bytes = b""
        """An unfinished frame header, at most fourteen octets, or an unfinished chunk."""
        self.in_payload: bool = False
        self.in_message: bool = False
        """Whether a message's first frame has begun and its last one has not ended."""
        self.final: bool = False
        self.opcode: int = 0
        """Opcode of the message's first frame."""
        self.left: int = 0
        """Payload octets of the current frame that were not passed on yet."""
        self.mask: bytes = b""
        """Masking key, empty for an unmasked frame."""
        self.mask_index: int = 0

    def restart(self) -> None:
        """Expect the beginning of a message."""
        self.held = b""
        self.in_payload = False
        self.in_message = False


def _header_length(data: bytes, position: int) -> int:
    """Length of the frame header at ``position``, of which two octets are there."""
    length = data[position + 1] & 0x7F
    extended = 0 if length < 126 else 2 if length == 126 else 8
    return 2 + extended + (4 if data[position + 1] & 0x80 != 0 else 0)


@final
class WebsocketAnalyzer(Analyzer):
    """Reads frames and passes on what is inside the messages."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "websocket")
        self._orig: _Direction = _Direction()
        self._resp: _Direction = _Direction()
        self._gap: bool = False
        self._inner: list[Analyzer] = connection.context.stream_analyzers(connection, "")

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Read frames."""
        if self._gap:
            return
        direction = self._orig if from_orig else self._resp
        if direction.held != b"":
            data = direction.held + data
            direction.held = b""
        position = 0
        while position < len(data):
            if direction.in_payload:
                wanted = min(direction.left, CHUNK)
            elif len(data) - position < 2:
                break
            else:
                wanted = _header_length(data, position)
            if len(data) - position < wanted:
                break
            if direction.in_payload:
                self._payload(from_orig, direction, data[position : position + wanted])
            elif not self._frame(direction, data, position):
                self.violation()
                direction.restart()
                return
            position += wanted
        direction.held = data[position:]

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: where the next frame begins is not known."""
        self._gap = True

    def flip(self) -> None:
        """Exchange the directions."""
        orig = self._orig
        self._orig = self._resp
        self._resp = orig

    def finish(self) -> None:
        """End the analyzers of what is inside."""
        finish_all(self._inner)

    def _frame(self, direction: _Direction, data: bytes, position: int) -> bool:
        """Read a frame header (section 5.2); False for one that may not stand here."""
        opcode = data[position] & 0x0F
        if (opcode == _CONTINUATION) != direction.in_message:
            return False
        if not direction.in_message:
            direction.in_message = True
            direction.opcode = opcode
        direction.final = data[position] & 0x80 != 0
        length = data[position + 1] & 0x7F
        after = position + 2
        if length == 126:
            length = u16(data, after)
            after += 2
        elif length == 127:
            length = u64(data, after)
            after += 8
        masked = data[position + 1] & 0x80 != 0
        direction.mask = data[after : after + 4] if masked else b""
        direction.mask_index = 0
        direction.left = length
        if length > 0:
            direction.in_payload = True
        else:
            self._frame_end(direction)
        return True

    def _payload(self, from_orig: bool, direction: _Direction, chunk: bytes) -> None:
        if len(self._inner) > 0 and (direction.opcode == _TEXT or direction.opcode == _BINARY):
            deliver_stream(self._inner, from_orig, _unmasked(direction, chunk))
        direction.mask_index += len(chunk)
        direction.left -= len(chunk)
        if direction.left == 0:
            direction.in_payload = False
            self._frame_end(direction)

    def _frame_end(self, direction: _Direction) -> None:
        if direction.final:
            direction.in_message = False
            self.confirm()


def _unmasked(direction: _Direction, chunk: bytes) -> bytes:
    """Undo the masking of a chunk (section 5.3)."""
    mask = direction.mask
    if mask == b"":
        return chunk
    index = direction.mask_index
    octets: list[int] = []
    for octet in chunk:
        octets.append(octet ^ mask[index & 3])
        index += 1
    return bytes(octets)
