"""What every capture format gives: records, as offsets into a block of octets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.wire.source import OctetSource

if TYPE_CHECKING:
    from mypy_extensions import i64

BLOCK_SIZE: Final = 1024 * 1024
"""Octets asked of the source at once: few enough to stay in a cache, many enough that asking does
not count."""

MAX_CAPTURED_LENGTH: Final = 262144
"""Most octets a record may hold. libpcap's MAXIMUM_SNAPLEN: no reader or writer built on it goes
beyond, and a longer record is a damaged length field (it would have us buffer gigabytes)."""

MAX_TIMESTAMP: Final = 0xFFFFFFFF * 1_000_000 + 999_999
"""Latest time, microseconds since the epoch: what the 32-bit seconds of a pcap record can say."""


class CaptureReader:
    """One record at a time: ``while reader.next(): …`` and read the attributes.

    ``data`` is shared by many records and replaced by a new object now and then, so slices of it
    (and ``data`` itself) are safe to keep. Nothing in a capture makes ``next`` raise: where the
    octets stop making sense the capture ends, and ``truncated`` and ``message`` tell.
    """

    def __init__(self, source: OctetSource, name: str, head: bytes) -> None:
        self.name: Final = name
        self.data: bytes = head
        """The block that holds the record."""
        self.offset: i64 = 0
        """Where the record's frame starts in ``data``."""
        self.captured: i64 = 0
        """Octets of the frame in ``data``."""
        self.wire_length: i64 = 0
        """Octets of the frame on the wire."""
        self.timestamp: i64 = 0
        """Microseconds since the epoch; finer resolutions are truncated, as libpcap does."""
        self.link_type: i64 = -1
        """LINKTYPE_ value of the record's interface, -1 before one is known."""
        self.interface: i64 = 0
        """Number of the record's interface in its section."""
        self.truncated: bool = False
        """Whether the capture ended before its time: cut off, or damaged."""
        self.message: str = ""
        """Why ``truncated``; empty otherwise."""
        self.skipped: dict[str, int] = {}
        """What was passed over or put right, by reason."""
        self.position: i64 = 0
        """Where the next record starts in ``data``."""
        self._source: Final = source
        self._block: bytes = b""
        """The latest block, of which ``_block_used`` octets are in ``data`` already."""
        self._block_used: i64 = 0

    @property
    def bytes_read(self) -> i64:
        """Octets taken from the file so far (compressed where it is), for progress."""
        return self._source.bytes_read

    def next(self) -> bool:
        """Go to the next record; False at the end, and from then on."""
        return False

    def skip(self, reason: str) -> None:
        """Count something passed over."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def stop(self, message: str) -> bool:
        """End the capture here, before its time."""
        self.truncated = True
        self.message = message
        self.data = b""
        self.position = 0
        return False

    def fill(self, needed: i64) -> bool:
        """Have ``needed`` octets at ``position`` (both may move); False where the source ends.

        Waits for no more than that, so that a record is delivered as soon as it is complete. A
        record that straddles two blocks is put together by itself: no block is copied for it.
        """
        have = len(self.data) - self.position
        if have >= needed:
            return True
        if self.truncated:
            return False
        pieces: list[bytes] = []
        if have > 0:
            pieces.append(self.data[self.position :])
        while have < needed:
            if self._block_used == len(self._block):
                self._block = self._source.read(BLOCK_SIZE)
                self._block_used = 0
                if len(self._block) == 0:
                    break
            here = len(self._block) - self._block_used
            if have == 0 and here >= needed:
                self.data = self._block
                self.position = self._block_used
                self._block = b""
                self._block_used = 0
                return True
            taken = min(needed - have, here)
            pieces.append(self._block[self._block_used : self._block_used + taken])
            self._block_used += taken
            have += taken
        self.data = b"".join(pieces)
        self.position = 0
        return have >= needed

    def end(self, what: str) -> bool:
        """Conclude that the source has ended where ``what`` was due; always False."""
        if self._source.message != "":
            return self.stop(self._source.message)
        if len(self.data) > self.position:
            return self.stop(f"cut off inside {what}")
        return False
