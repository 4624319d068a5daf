"""The classic capture format (draft-ietf-opsawg-pcap), with the variants that libpcap reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.wire.octets import microseconds, u16, u16le, u32, u32le
from osect_sensor.wire.reader import MAX_CAPTURED_LENGTH, CaptureReader
from osect_sensor.wire.source import CaptureError, OctetSource

if TYPE_CHECKING:
    from mypy_extensions import i64

MICROSECONDS: Final = 0xA1B2C3D4
NANOSECONDS: Final = 0xA1B23C4D
MODIFIED: Final = 0xA1B2CD34
"""Magic of the patched libpcap of some old Linux distributions: eight octets more a record."""

_FILE_HEADER: Final = 24
_RECORD_HEADER: Final = 16
_MODIFIED_RECORD_HEADER: Final = 24
_ETHERNET: Final = 1
_COOKED_SURPLUS: Final = 14
"""Octets that the patched libpcap's faked Ethernet header adds beyond the snapshot length."""

_LENGTHS_IN_ORDER: Final = 0
_LENGTHS_MAYBE_EXCHANGED: Final = 1
_LENGTHS_EXCHANGED: Final = 2


def is_pcap_magic(head: bytes) -> bool:
    """Whether ``head`` (four octets or more) starts a classic capture, in either byte order."""
    big = u32(head, 0)
    little = u32le(head, 0)
    return (
        big in (MICROSECONDS, NANOSECONDS, MODIFIED)
        or little in (MICROSECONDS, NANOSECONDS, MODIFIED)
    )  # fmt: skip


@final
class PcapReader(CaptureReader):
    """Reads classic captures; ``head`` starts with one of the magics."""

    def __init__(self, source: OctetSource, name: str, head: bytes) -> None:
        super().__init__(source, name, head)
        self._little: bool = False
        self._nanoseconds: bool = False
        self._header: i64 = _RECORD_HEADER
        self._lengths: i64 = _LENGTHS_IN_ORDER
        self._snapshot: i64 = MAX_CAPTURED_LENGTH
        if self.fill(_FILE_HEADER):
            self._read_file_header()
        else:
            self.end("the file header")

    def _read_file_header(self) -> None:
        data = self.data
        magic = u32(data, 0)
        self._little = magic not in (MICROSECONDS, NANOSECONDS, MODIFIED)
        if self._little:
            magic = u32le(data, 0)
            major = u16le(data, 4)
            minor = u16le(data, 6)
            snapshot = u32le(data, 16)
            link = u32le(data, 20)
        else:
            major = u16(data, 4)
            minor = u16(data, 6)
            snapshot = u32(data, 16)
            link = u32(data, 20)
        self._nanoseconds = magic == NANOSECONDS
        if magic == MODIFIED:
            self._header = _MODIFIED_RECORD_HEADER
        # 543.0 is what the tcpdump of DG/UX writes.
        if not ((major == 2 and minor <= 4) or (major == 543 and minor == 0)):
            raise CaptureError(
                f"{self.name}: a pcap file of version {major}.{minor}, which nothing is known about"
            )
        # The two lengths of a record changed places at version 2.3, though not in every writer.
        if major == 543 or minor < 3:
            self._lengths = _LENGTHS_EXCHANGED
        elif minor == 3:
            self._lengths = _LENGTHS_MAYBE_EXCHANGED
        if link & 0x03FF0000:
            raise CaptureError(
                f"{self.name}: a pcap file with reserved bits set in its link type ({link:#010x})"
            )
        self.link_type = link & 0xFFFF  # the upper bits tell the length of the FCS
        if 0 < snapshot <= 0x7FFFFFFF:
            if magic == MODIFIED and self.link_type == _ETHERNET:
                snapshot += _COOKED_SURPLUS
            self._snapshot = min(snapshot, MAX_CAPTURED_LENGTH)
        self.position = _FILE_HEADER

    def next(self) -> bool:
        """Go to the next record; False at the end, and from then on."""
        header = self._header
        position = self.position
        data = self.data
        if len(data) - position < header:
            if not self.fill(header):
                return self.end("a record header")
            position = self.position
            data = self.data
        if self._little:
            seconds = u32le(data, position)
            fraction = u32le(data, position + 4)
            captured = u32le(data, position + 8)
            length = u32le(data, position + 12)
        else:
            seconds = u32(data, position)
            fraction = u32(data, position + 4)
            captured = u32(data, position + 8)
            length = u32(data, position + 12)
        if self._lengths != _LENGTHS_IN_ORDER and (
            self._lengths == _LENGTHS_EXCHANGED or captured > length
        ):
            exchanged = captured
            captured = length
            length = exchanged
        if captured > MAX_CAPTURED_LENGTH:
            return self.stop(f"a record claims {captured} octets: damaged")
        if len(data) - position - header < captured:
            if not self.fill(header + captured):
                return self.end("a record")
            position = self.position
        if self._nanoseconds:
            fraction //= 1000
        self.timestamp = microseconds(seconds, fraction)
        self.offset = position + header
        self.position = position + header + captured
        self.wire_length = length
        if captured > self._snapshot:
            # As libpcap does: nobody downstream is handed more than the header promised.
            self.skip("record longer than the snapshot length, clipped")
            captured = self._snapshot
        self.captured = captured
        return True
