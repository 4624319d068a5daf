"""Decompression of HTTP bodies (RFC 1950, RFC 1951, RFC 1952) in small pieces."""

from __future__ import annotations

import zlib
from typing import Final, final

PIECE: Final = 4096
"""Octets decompressed at a time: a few input octets may stand for gigabytes."""

_ANY_HEADER: Final = zlib.MAX_WBITS + 32
_NO_HEADER: Final = -zlib.MAX_WBITS


@final
class Inflater:
    """One compressed stream. ``feed`` octets, then pull with ``next`` until it says False."""

    def __init__(self) -> None:
        self.piece: bytes = b""
        """What ``next`` decompressed."""
        self._stream = zlib.decompressobj(_ANY_HEADER)
        self._input: bytes = b""
        self._fed: bytes = b""
        """What to restart from while the current octets have not yielded anything."""
        self._over: bool = False

    def feed(self, data: bytes) -> None:
        """Add octets; only when the previous ones have been pulled."""
        if self._over:
            return
        self._input = data
        self._fed = data

    def next(self) -> bool:
        """Decompress the next piece; False when more octets are needed or nothing more comes."""
        while not self._over and len(self._input) > 0:
            try:
                piece = self._stream.decompress(self._input, PIECE)
            except zlib.error as error:
                if self._fed == b"" or not str(error).startswith("Error -3 "):
                    self._end()
                    return False
                # Some servers leave the zlib header out.
                self._stream = zlib.decompressobj(_NO_HEADER)
                self._input = self._fed
                self._fed = b""
                continue
            self._fed = b""
            self._input = self._stream.unconsumed_tail
            if self._stream.eof:
                self._end()
            if len(piece) > 0:
                self.piece = piece
                return True
        return False

    def _end(self) -> None:
        self._over = True
        self._input = b""
        self._fed = b""
