"""NTP (RFC 5905, RFC 1119 control messages, ntpd's private mode 7) for service detection."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader

_CLIENT: Final = 3
_SERVER: Final = 4
_BROADCAST: Final = 5
_CONTROL: Final = 6
_PRIVATE: Final = 7

_LARGEST_MAC: Final = 24
"""Octets of the longest authenticator; more than that behind the header are extensions."""


@final
class NtpAnalyzer(Analyzer):
    """NTP on one UDP connection, service ``ntp``.

    A server's packet from the originator, or a client's from the responder, shows that the
    first packet misled, and exchanges the two.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "ntp")
        self._orig_flipped: bool = False
        self._resp_flipped: bool = False

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Judge one packet."""
        reader = FieldReader(data, 0, len(data))
        first = reader.u8()
        mode = first & 7
        if 1 <= mode <= _BROADCAST:
            _standard(reader)
        elif mode == _CONTROL:
            reader.skip(9)
            reader.skip(reader.u16())
        elif mode == _PRIVATE:
            authenticated = reader.u8() & 0x80 != 0
            reader.skip(2)
            reader.skip(reader.u16() & 0x0FFF)
            if authenticated:
                reader.skip(20)
        if reader.failed:
            self.violation()
            return
        self.confirm()
        flipped = self._orig_flipped if from_orig else self._resp_flipped
        if mode == (_SERVER if from_orig else _CLIENT) and not flipped:
            if from_orig:
                self._orig_flipped = True
            else:
                self._resp_flipped = True
            self.connection.flip()


def _standard(reader: FieldReader) -> None:
    """A time packet; extension fields (RFC 5906 section 10) must fill it to the end."""
    reader.skip(47)
    if reader.remaining() <= _LARGEST_MAC:
        return
    while reader.remaining() > 0:
        extension = reader.record()
        extension.skip(2)
        length = extension.u16()
        extension.skip(10)
        value = extension.u32()
        extension.skip(value)
        signature = extension.u32()
        extension.skip(signature)
        extension.pad_to(length)
        # Zeek bounds the value, not the signature, by what the field's length leaves.
        if length < 22 or value > length - 22:
            extension.failed = True
        reader.resume(extension)
