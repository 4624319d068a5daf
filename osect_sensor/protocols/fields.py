"""Reading protocol fields from a range of octets, and gathering a stream into whole messages.

A parser reads as if all were well and looks at ``failed`` where it matters: reading past the end
sets the flag and yields zeros, so malformed input costs neither an exception nor a check a field.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.wire.octets import u16, u16le, u24, u32, u32le

MAX_MESSAGE: Final = 8 * 1024 * 1024
"""Octets of one message that a stream may make us hold. Zeek's buffers give up between 5 and 10
MiB as well (they double until they would pass 10 MiB)."""


def signed32(value: int) -> int:
    """``value`` cut to 32 bits and read as a signed integer, as a C ``int`` takes it."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value >= 0x80000000 else value


@final
class FieldReader:
    """A cursor over ``data[position:end]``."""

    __slots__ = ("data", "end", "failed", "position", "start")

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data: Final = data
        self.start: Final = position
        """Where the record begins that relative offsets (padding, alignment) count from."""
        self.position: int = position
        self.end: int = end
        self.failed: bool = False
        """Whether a read went past the end, or the caller found the content impossible."""

    def remaining(self) -> int:
        """Octets left, zero after a failure."""
        if self.failed:
            return 0
        return self.end - self.position

    def intact(self) -> bool:
        """Whether all reads so far found their octets."""
        return not self.failed

    def offset(self) -> int:
        """Octets between the start of the record and the cursor."""
        return self.position - self.start

    def advance(self, length: int) -> int:
        """Step over ``length`` octets; answer where they begin, or -1 when they are not there."""
        if self.failed or length < 0 or length > self.end - self.position:
            self.failed = True
            return -1
        position = self.position
        self.position = position + length
        return position

    def skip(self, length: int) -> None:
        """Step over ``length`` octets."""
        self.advance(length)

    def pad_to(self, offset: int) -> None:
        """Step to ``offset`` from the record's start; an offset already passed is no error."""
        target = self.start + offset
        if target > self.position:
            self.advance(target - self.position)

    def align(self, size: int) -> None:
        """Step to the next multiple of ``size`` from the record's start."""
        excess = (self.position - self.start) % size
        if excess != 0:
            self.advance(size - excess)

    def u8(self) -> int:
        """Next unsigned octet."""
        position = self.advance(1)
        return 0 if position < 0 else self.data[position]

    def u16(self) -> int:
        """Next unsigned 16 bits, big-endian."""
        position = self.advance(2)
        return 0 if position < 0 else u16(self.data, position)

    def u24(self) -> int:
        """Next unsigned 24 bits, big-endian."""
        position = self.advance(3)
        return 0 if position < 0 else u24(self.data, position)

    def u32(self) -> int:
        """Next unsigned 32 bits, big-endian."""
        position = self.advance(4)
        return 0 if position < 0 else u32(self.data, position)

    def u16le(self) -> int:
        """Next unsigned 16 bits, little-endian."""
        position = self.advance(2)
        return 0 if position < 0 else u16le(self.data, position)

    def u32le(self) -> int:
        """Next unsigned 32 bits, little-endian."""
        position = self.advance(4)
        return 0 if position < 0 else u32le(self.data, position)

    def u64le(self) -> int:
        """Next unsigned 64 bits, little-endian."""
        low = self.u32le()
        return self.u32le() << 32 | low

    def take(self, length: int) -> bytes:
        """The next ``length`` octets, empty when they are not there."""
        position = self.advance(length)
        return b"" if position < 0 else self.data[position : position + length]

    def rest(self) -> bytes:
        """All octets left."""
        return self.take(self.remaining())

    def part(self, length: int) -> FieldReader:
        """A reader confined to the next ``length`` octets; this one steps over them."""
        position = self.advance(length)
        if position < 0:
            reader = FieldReader(self.data, self.end, self.end)
            reader.failed = True
            return reader
        return FieldReader(self.data, position, position + length)

    def record(self) -> FieldReader:
        """A reader of a record that begins here, with as much room; ``resume`` after it."""
        reader = FieldReader(self.data, self.position, self.end)
        reader.failed = self.failed
        return reader

    def resume(self, reader: FieldReader) -> None:
        """Continue where ``reader``, got from ``record``, has come to; take over its failure."""
        self.position = reader.position
        if reader.failed:
            self.failed = True


@final
class MessageBuffer:
    """One direction of a stream whose messages announce their length.

    ``gather`` new octets; it answers with all that is held once there is what ``keep`` asked for.
    Whatever is not consumed goes back with ``keep`` and the number of octets needed next.
    """

    __slots__ = ("held", "needed", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.held: int = 0
        self.needed: int = 0

    def gather(self, data: bytes) -> bytes:
        """Add ``data``; all octets held when there are enough of them, otherwise nothing."""
        if self.needed > MAX_MESSAGE:
            return b""
        if self.held == 0 and len(data) >= self.needed:
            return data
        self.pieces.append(data)
        self.held += len(data)
        if self.held < self.needed:
            return b""
        whole = b"".join(self.pieces)
        self.pieces = []
        self.held = 0
        return whole

    def keep(self, data: bytes, position: int, needed: int) -> None:
        """Hold ``data[position:]`` until ``needed`` octets are there.

        A message longer than ``MAX_MESSAGE`` is never complete: what follows is let pass.
        """
        self.needed = needed
        if position < len(data) and needed <= MAX_MESSAGE:
            rest = data[position:]
            self.pieces.append(rest)
            self.held = len(rest)

    def clear(self) -> None:
        """Forget what is held and what was asked for."""
        self.pieces = []
        self.held = 0
        self.needed = 0
