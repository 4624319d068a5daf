"""Where a capture's octets come from: a stream as it is, or one compressed with gzip or zstd."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP_MAGIC: Final = b"\x1f\x8b"
"""First octets of a gzip member (RFC 1952 section 2.3.1)."""

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""First octets of a zstd frame (RFC 8878 section 3.1.1)."""

_COMPRESSED_READ: Final = 64 * 1024
"""Compressed octets asked of the stream at once."""

_PIECE: Final = 1024
"""Compressed octets decoded at once.

It bounds what a crafted file can blow up to in one step: gzip makes at most 1032 times as much of
them (1 MiB), zstd 128 KiB of every four (32 MiB). It is also all that damage in the middle costs.
"""


class CaptureError(Exception):
    """The input is not a capture that can be read."""


class OctetSource:
    """Octets in order, delivered as soon as some are there (a pipe may trickle)."""

    def __init__(self) -> None:
        self.bytes_read: int = 0
        """Octets taken from the stream so far, compressed where it is."""
        self.message: str = ""
        """Why the octets ended before their time; empty for an orderly end."""

    def read(self, size: int) -> bytes:
        """At least one octet, about ``size`` at most; empty at the end, and from then on."""
        return b""


class StreamSource(OctetSource):
    """A binary stream as it is."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        # read() of a buffered stream waits for all it was asked for; read1() takes what is there.
        self._read: Callable[[int], bytes | None] = getattr(stream, "read1", stream.read)
        self._pushed_back: bytes = b""
        self._ended: bool = False

    def push_back(self, octets: bytes) -> None:
        """Deliver ``octets`` again, before the rest of the stream."""
        self._pushed_back = octets + self._pushed_back

    def read(self, size: int) -> bytes:
        """What was pushed back, or the next octets of the stream."""
        if self._pushed_back:
            octets = self._pushed_back
            self._pushed_back = b""
            return octets
        if self._ended:
            return b""
        try:
            taken = self._read(size)
        except OSError as error:
            self.message = f"reading failed: {error.strerror or error}"
            taken = b""
        if taken is None or len(taken) == 0:
            self._ended = True
            return b""
        self.bytes_read += len(taken)
        return taken


class CompressedSource(OctetSource):
    """The octets inside a compressed stream: members (frames) one after the other."""

    def __init__(self, inner: StreamSource, kind: str) -> None:
        super().__init__()
        self.kind: Final = kind
        self._inner: Final = inner
        self._input: bytes = b""
        self._in_member: bool = False
        self._members: int = 0
        self._ended: bool = False

    def start_member(self) -> None:
        """Get ready to decode a member from its first octet."""
        raise NotImplementedError

    def decode(self, piece: bytes) -> bytes | None:
        """The octets that ``piece`` decodes to, or None where it makes no sense."""
        raise NotImplementedError

    def member_ended(self) -> bool:
        """Whether the last piece held the end of its member."""
        raise NotImplementedError

    def after_member(self) -> bytes:
        """The octets of the last piece that follow the end of its member."""
        raise NotImplementedError

    def read(self, size: int) -> bytes:
        """The next decoded octets."""
        decoded: list[bytes] = []
        total = 0
        while not self._ended and total < size:
            if len(self._input) == 0:
                if total > 0:
                    break
                self._input = self._inner.read(_COMPRESSED_READ)
                self.bytes_read = self._inner.bytes_read
                if len(self._input) == 0:
                    self._ended = True
                    self.message = self._inner.message
                    if self._in_member and self.message == "":
                        self.message = f"the {self.kind} stream is cut off"
                    break
            octets = self._decode_some()
            total += len(octets)
            decoded.append(octets)
        return b"".join(decoded)

    def _decode_some(self) -> bytes:
        """Decode the input up to the end of a member, or some of it."""
        if not self._in_member:
            # Files padded to a block size carry zeros behind the last member.
            self._input = self._input.lstrip(b"\0")
            if len(self._input) == 0:
                return b""
            self.start_member()
            self._in_member = True
        decoded: list[bytes] = []
        total = 0
        taken = 0
        while taken < len(self._input) and total < _COMPRESSED_READ:
            octets = self.decode(self._input[taken : taken + _PIECE])
            taken += _PIECE
            if octets is None:
                self._ended = True
                # What follows a whole member and is no member is not ours to judge.
                if self._members == 0 or total > 0:
                    self.message = f"the {self.kind} stream is damaged"
                break
            total += len(octets)
            decoded.append(octets)
            if self.member_ended():
                self._in_member = False
                self._members += 1
                self._input = self.after_member() + self._input[taken:]
                return b"".join(decoded)
        self._input = self._input[taken:]
        return b"".join(decoded)


class GzipSource(CompressedSource):
    """The octets inside gzip members."""

    def __init__(self, inner: StreamSource) -> None:
        super().__init__(inner, "gzip")
        self._decoder: Any = None

    def start_member(self) -> None:
        """Expect a gzip header."""
        self._decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def decode(self, piece: bytes) -> bytes | None:
        """Inflate ``piece``."""
        try:
            octets: bytes = self._decoder.decompress(piece)
        except zlib.error:
            return None
        return octets

    def member_ended(self) -> bool:
        """Whether the trailer was seen."""
        ended: bool = self._decoder.eof
        return ended

    def after_member(self) -> bytes:
        """What follows the trailer."""
        rest: bytes = self._decoder.unused_data
        return rest


class ZstdSource(CompressedSource):
    """The octets inside zstd frames."""

    def __init__(self, inner: StreamSource) -> None:
        # Only those who read compressed captures need the library.
        import zstandard

        super().__init__(inner, "zstd")
        self._factory: Any = zstandard.ZstdDecompressor()
        self._error: Any = zstandard.ZstdError
        self._decoder: Any = None

    def start_member(self) -> None:
        """Expect a frame header."""
        self._decoder = self._factory.decompressobj()

    def decode(self, piece: bytes) -> bytes | None:
        """Decode ``piece``."""
        try:
            octets: bytes = self._decoder.decompress(piece)
        except self._error:
            return None
        return octets

    def member_ended(self) -> bool:
        """Whether the frame's last block was seen."""
        ended: bool = self._decoder.eof
        return ended

    def after_member(self) -> bytes:
        """What follows the frame."""
        rest: bytes = self._decoder.unused_data
        return rest
