"""DHCP for IPv4 (RFC 2131, RFC 2132) for service detection: conn.log's ``dhcp``."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader

_FIXED_FIELDS: Final = 236
"""Octets before the magic cookie."""
_COOKIE: Final = 0x63825363

# Options (RFC 2132; the codes are IANA's) by the form that Zeek expects their value in, whatever
# their length octet says.
_PAD: Final = 0
_MESSAGE_TYPE: Final = 53
_CLIENT_IDENTIFIER: Final = 61
_CLIENT_FQDN: Final = 81
_RELAY_AGENT_INFORMATION: Final = 82
_END: Final = 255
_ONE_OCTET: Final = (19, 53, 116)
_TWO_OCTETS: Final = (57,)
_FOUR_OCTETS: Final = (1, 2, 28, 50, 51, 54, 58, 59)
_ADDRESS_LISTS: Final = (3, 4, 5, 6, 42, 44)


@final
class DhcpAnalyzer(Analyzer):
    """DHCP on one UDP connection, service ``dhcp``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "dhcp")
        self._orig_relayed: int = 0
        self._resp_relayed: int = 0

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Judge one message."""
        reader = FieldReader(data, 0, len(data))
        reader.skip(_FIXED_FIELDS)
        cookie = reader.u32()
        message_type = 0
        typed = False
        while reader.remaining() > 0:
            code = reader.u8()
            if code == _END:
                break
            if code == _PAD:
                continue
            size = reader.u8()
            if code == _MESSAGE_TYPE:
                value = reader.u8()
                if not typed:
                    typed = True
                    message_type = value
            elif code == _RELAY_AGENT_INFORMATION:
                self._relay_agent(reader, size, from_orig)
            else:
                _option(reader, code, size)
        if reader.failed or cookie != _COOKIE:
            self.violation()
            return
        if message_type == 0:
            self.violation()
        self.confirm()

    def _relay_agent(self, reader: FieldReader, size: int, from_orig: bool) -> None:
        """Relay agent suboptions (RFC 3046).

        Zeek ends them when their octets, summed over a direction's whole life in an octet, come
        to ``size``; a second such option therefore rarely ends where it should.
        """
        total = self._orig_relayed if from_orig else self._resp_relayed
        while reader.remaining() > 0:
            reader.skip(1)
            length = reader.u8()
            reader.skip(length)
            if reader.failed:
                break
            total = (total + length + 2) & 0xFF
            if total == size:
                break
        if from_orig:
            self._orig_relayed = total
        else:
            self._resp_relayed = total


def _option(reader: FieldReader, code: int, size: int) -> None:
    if code in _ONE_OCTET:
        reader.skip(1)
    elif code in _TWO_OCTETS:
        reader.skip(2)
    elif code in _FOUR_OCTETS:
        reader.skip(4)
    elif code in _ADDRESS_LISTS:
        reader.skip(size // 4 * 4)
    elif code == _CLIENT_IDENTIFIER:
        reader.skip(1)
        reader.skip(size - 1)
    elif code == _CLIENT_FQDN:
        reader.skip(3)
        reader.skip(size - 3)
    else:
        reader.skip(size)
