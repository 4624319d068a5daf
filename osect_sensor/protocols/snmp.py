"""SNMP versions 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412) for service detection.

A responder's message confirms as soon as its header has parsed; tags that a message must not have
and integers of more than nine octets are violations.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.asn1 import (
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    number_of,
    read_length,
    skip_value,
)
from osect_sensor.protocols.fields import FieldReader

_IP_ADDRESS: Final = 0x40
_TIME_TICKS: Final = 0x43

_MAX_INTEGER: Final = 9
"""Octets of the longest integer: 64 bits and a sign."""

_VERSION_1: Final = 0
_VERSION_2: Final = 1
_VERSION_3: Final = 3

_GET_REQUEST: Final = 0xA0
_TRAP_1: Final = 0xA4
_REPORT: Final = 0xA8


@final
class SnmpAnalyzer(Analyzer):
    """SNMP on one UDP connection, service ``snmp``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "snmp")

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Judge one message."""
        reader = FieldReader(data, 0, len(data))
        _header(reader, SEQUENCE)
        version = _integer(reader)
        if not reader.intact():
            self.violation()
            return
        plain = True
        if version in (_VERSION_1, _VERSION_2):
            _value(reader, OCTET_STRING)
        elif version == _VERSION_3:
            _header(reader, SEQUENCE)
            _integer(reader)
            _integer(reader)
            flags = _value(reader, OCTET_STRING)
            _integer(reader)
            if reader.intact() and flags != 1:
                self.violation()
            _value(reader, OCTET_STRING)
            tag = reader.u8()
            read_length(reader)
            plain = tag == SEQUENCE
            if plain:
                _value(reader, OCTET_STRING)
                _value(reader, OCTET_STRING)
        else:
            plain = False
        if reader.intact():
            if not from_orig:
                self.confirm()
            if plain:
                _pdu(reader)
        if not reader.intact():
            self.violation()


def _header(reader: FieldReader, tag: int) -> int:
    """A tag that must be ``tag``, and its length."""
    if reader.u8() != tag:
        reader.failed = True
    return read_length(reader)


def _value(reader: FieldReader, tag: int) -> int:
    """A whole value whose tag must be ``tag``; answers the length of its content."""
    length = _header(reader, tag)
    reader.skip(length)
    return length


def _integer(reader: FieldReader) -> int:
    length = _header(reader, INTEGER)
    if length > _MAX_INTEGER:
        reader.failed = True
    return number_of(reader, length)


def _pdu(reader: FieldReader) -> None:
    """A PDU (RFC 1157 section 4.1, RFC 3416 section 3); unknown ones pass."""
    kind = reader.u8()
    read_length(reader)
    if kind < _GET_REQUEST or kind > _REPORT:
        return
    if kind == _TRAP_1:
        _value(reader, OBJECT_IDENTIFIER)
        _value(reader, _IP_ADDRESS)
        _integer(reader)
        _integer(reader)
        _value(reader, _TIME_TICKS)
    else:
        _integer(reader)
        _integer(reader)
        _integer(reader)
    _header(reader, SEQUENCE)
    while reader.remaining() > 0:
        _header(reader, SEQUENCE)
        _value(reader, OBJECT_IDENTIFIER)
        skip_value(reader)
