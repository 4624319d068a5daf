"""The block-structured capture format (draft-ietf-opsawg-pcapng).

Where libpcap gives up on a whole file that it cannot represent (sections of different byte order,
interfaces of different link types), this reader goes on; where a block makes no sense it stops as
libpcap does, because nothing after it can be trusted.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.wire.octets import u16, u16le, u32, u32le, u64, u64le
from osect_sensor.wire.reader import MAX_CAPTURED_LENGTH, MAX_TIMESTAMP, CaptureReader
from osect_sensor.wire.source import CaptureError, OctetSource

SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE_DESCRIPTION: Final = 1
_PACKET: Final = 2  # obsolete
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6

_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_OPTION_TSRESOL: Final = 9
_OPTION_TSOFFSET: Final = 14

MAX_BLOCK_LENGTH: Final = 16 * 1024 * 1024
"""Longest block that is believed. libpcap's INITIAL_MAX_BLOCKSIZE."""

MAX_INTERFACES: Final = 65536
"""Interfaces of one section: an obsolete packet block cannot name more, and each costs memory."""

_BLOCK_NAMES: Final = {
    4: "name resolution block",
    5: "interface statistics block",
    9: "systemd journal export block",
    10: "decryption secrets block",
    0x00000BAD: "custom block",
    0x40000BAD: "custom block",
}


@final
class _Interface:
    """One interface description."""

    def __init__(self, link_type: int, snapshot: int) -> None:
        self.link_type: int = link_type
        self.snapshot: int = snapshot
        self.units_per_second: int = 1_000_000
        self.offset: int = 0
        """Seconds to add to each timestamp."""


def is_pcapng_magic(head: bytes) -> bool:
    """Whether ``head`` (four octets or more) may start a section header block."""
    return u32(head, 0) == SECTION_HEADER


@final
class PcapngReader(CaptureReader):
    """Reads pcapng captures; ``head`` starts with a section header's block type."""

    def __init__(self, source: OctetSource, name: str, head: bytes) -> None:
        super().__init__(source, name, head)
        self._little: bool = False
        self._interfaces: list[_Interface] = []
        # The block type alone could be an empty line or two of some text.
        if self.fill(12) and _BYTE_ORDER_MAGIC not in (u32(self.data, 8), u32le(self.data, 8)):
            raise CaptureError(f"{name}: not a capture")

    def next(self) -> bool:
        """Go to the next packet block; False at the end, and from then on."""
        while True:
            if len(self.data) - self.position < 12 and not self.fill(12):
                return self.end("a block header")
            data = self.data
            position = self.position
            kind = u32(data, position)
            if kind == SECTION_HEADER:  # the same in both byte orders
                magic = u32(data, position + 8)
                if magic == _BYTE_ORDER_MAGIC:
                    self._little = False
                elif u32le(data, position + 8) == _BYTE_ORDER_MAGIC:
                    self._little = True
                else:
                    return self.stop("a section header without the byte-order magic: damaged")
            if self._little:
                kind = u32le(data, position)
                length = u32le(data, position + 4)
            else:
                length = u32(data, position + 4)
            if length < 12 or length & 3 or length > MAX_BLOCK_LENGTH:
                return self.stop(f"a block claims {length} octets: damaged")
            if len(data) - position < length:
                if not self.fill(length):
                    return self.end("a block")
                data = self.data
                position = self.position
            if self._u32(position + length - 4) != length:
                return self.stop("a block's two lengths differ: damaged")
            self.position = position + length
            body = position + 8
            end = position + length - 4
            if kind == _ENHANCED_PACKET:
                if self._packet(body, end):
                    return True
            elif kind == _SIMPLE_PACKET:
                if self._simple_packet(body, end):
                    return True
            elif kind == _PACKET:
                if self._obsolete_packet(body, end):
                    return True
            elif kind == _INTERFACE_DESCRIPTION:
                self._describe_interface(body, end)
            elif kind == SECTION_HEADER:
                if end - body < 16:
                    return self.stop("a section header that is too short: damaged")
                major = self._u16(body + 4)
                if major != 1:
                    return self.stop(f"a section of pcapng version {major}, which is not known")
                self._interfaces.clear()
            else:
                self.skip(_BLOCK_NAMES.get(kind, "block of an unknown type"))

    def _u16(self, offset: int) -> int:
        if self._little:
            return u16le(self.data, offset)
        return u16(self.data, offset)

    def _u32(self, offset: int) -> int:
        if self._little:
            return u32le(self.data, offset)
        return u32(self.data, offset)

    def _packet(self, body: int, end: int) -> bool:
        """Take an enhanced packet block (section 4.3)."""
        if end - body < 20:
            self.skip("packet block that is too short")
            return False
        data = self.data
        if self._little:
            interface = u32le(data, body)
            high: int = u32le(data, body + 4)
            low: int = u32le(data, body + 8)
            captured = u32le(data, body + 12)
            length = u32le(data, body + 16)
        else:
            interface = u32(data, body)
            high = u32(data, body + 4)
            low = u32(data, body + 8)
            captured = u32(data, body + 12)
            length = u32(data, body + 16)
        return self._record(interface, high << 32 | low, body + 20, end, captured, length)

    def _obsolete_packet(self, body: int, end: int) -> bool:
        """Take an obsolete packet block (appendix A)."""
        if end - body < 20:
            self.skip("packet block that is too short")
            return False
        interface = self._u16(body)
        ticks = self._u32(body + 4) << 32 | self._u32(body + 8)
        return self._record(
            interface, ticks, body + 20, end, self._u32(body + 12), self._u32(body + 16)
        )

    def _simple_packet(self, body: int, end: int) -> bool:
        """Take a simple packet block (section 4.4): interface 0, no time."""
        if end - body < 4:
            self.skip("packet block that is too short")
            return False
        length = self._u32(body)
        captured = length
        if len(self._interfaces) > 0:
            captured = min(captured, self._interfaces[0].snapshot)
        return self._record(0, 0, body + 4, end, captured, length)

    def _record(
        self, number: int, ticks: int, start: int, end: int, captured: int, length: int
    ) -> bool:
        if number >= len(self._interfaces):
            self.skip("packet of an interface that was not described")
            return False
        if captured > end - start or captured > MAX_CAPTURED_LENGTH:
            self.skip("packet block shorter than the packet it claims")
            return False
        interface = self._interfaces[number]
        units = interface.units_per_second
        if units == 1_000_000:
            timestamp = ticks
        elif units == 1_000_000_000:
            timestamp = ticks // 1000
        else:
            timestamp = ticks // units * 1_000_000 + ticks % units * 1_000_000 // units
        if interface.offset != 0:
            timestamp += interface.offset * 1_000_000
        if timestamp < 0 or timestamp > MAX_TIMESTAMP:
            self.skip("time outside of what can be told, clamped")
            timestamp = 0 if timestamp < 0 else MAX_TIMESTAMP
        self.timestamp = timestamp
        self.offset = start
        self.captured = captured
        self.wire_length = length
        self.link_type = interface.link_type
        self.interface = number
        return True

    def _describe_interface(self, body: int, end: int) -> None:
        """Take an interface description block (section 4.2)."""
        if len(self._interfaces) >= MAX_INTERFACES:
            self.skip("interface beyond the limit")
            return
        if end - body < 8:
            # It still counts as an interface, or the numbers of all later ones would be off.
            self.skip("interface description that is too short")
            self._interfaces.append(_Interface(-1, MAX_CAPTURED_LENGTH))
            return
        snapshot = self._u32(body + 4)
        if snapshot == 0 or snapshot > MAX_CAPTURED_LENGTH:
            snapshot = MAX_CAPTURED_LENGTH
        interface = _Interface(self._u16(body), snapshot)
        self._interfaces.append(interface)
        if self.link_type < 0:
            self.link_type = interface.link_type
        option = body + 8
        while end - option >= 4:
            code = self._u16(option)
            length = self._u16(option + 2)
            value = option + 4
            if code == 0:
                break
            if end - value < length:
                self.skip("interface option that is cut off")
                break
            if code == _OPTION_TSRESOL and length == 1:
                self._set_resolution(interface, self.data[value])
            elif code == _OPTION_TSOFFSET and length == 8:
                interface.offset = self._s64(value)
            option = value + (length + 3 & ~3)

    def _set_resolution(self, interface: _Interface, resolution: int) -> None:
        exponent = resolution & 0x7F
        # What does not fit 64 bits leaves every timestamp at zero seconds: nobody means it.
        if resolution & 0x80 and exponent <= 63:
            interface.units_per_second = 1 << exponent
        elif resolution <= 19:
            units = 1
            for _ in range(exponent):
                units *= 10
            interface.units_per_second = units
        else:
            self.skip("timestamp resolution too fine, taken as microseconds")

    def _s64(self, offset: int) -> int:
        if self._little:
            value = u64le(self.data, offset)
        else:
            value = u64(self.data, offset)
        if value >= 1 << 63:
            value -= 1 << 64
        return value
