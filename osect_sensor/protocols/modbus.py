"""Modbus/TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b) for service detection.

Zeek takes a connection for Modbus once one whole PDU of either side made sense, and disowns it
when one does not: a protocol identifier other than zero, fields that the length has no room for,
or odd octet counts where registers are counted.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader, MessageBuffer
from osect_sensor.wire.octets import u16

_HEADER: Final = 8
"""MBAP header (7 octets) and function code."""

_MALFORMED: Final = 0
_GOOD: Final = 1
_ODD: Final = 2
"""Well-formed but for an odd octet count of 16-bit registers."""


@final
class ModbusAnalyzer(Analyzer):
    """Modbus/TCP on one connection, service ``modbus``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "modbus")
        self._orig: Final = MessageBuffer()
        self._resp: Final = MessageBuffer()

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction and judge the PDUs they complete."""
        buffer = self._orig if from_orig else self._resp
        data = buffer.gather(data)
        position = 0
        while len(data) - position >= _HEADER:
            length = u16(data, position + 4)
            if u16(data, position + 2) != 0 or length < 2:
                buffer.clear()
                self.violation()
                return
            end = position + 6 + length
            if end > len(data):
                buffer.keep(data, position, 6 + length)
                return
            reader = FieldReader(data, position + _HEADER, end)
            function = data[position + 7]
            if from_orig:
                verdict = _request(reader, function)
            else:
                verdict = _response(reader, function)
            if verdict == _MALFORMED:
                buffer.clear()
                self.violation()
                return
            if verdict == _ODD:
                self.violation()
            self.confirm()
            position = end
        buffer.keep(data, position, _HEADER)


def _request(reader: FieldReader, function: int) -> int:
    """Judge the body of a request (Modbus Application Protocol V1.1b3, section 6)."""
    odd = False
    if 1 <= function <= 6:
        reader.skip(4)
    elif function == 8:
        reader.skip(2)
    elif function == 15:
        reader.skip(4)
        reader.skip(reader.u8())
    elif function == 16:
        reader.skip(2)
        odd = _counted_registers(reader)
    elif function == 20:
        references = reader.part(reader.u8())
        while references.remaining() > 0:
            references.skip(7)
        reader.failed = reader.failed or references.failed
    elif function == 21:
        _records_with_data(reader)
    elif function == 22:
        reader.skip(6)
    elif function == 23:
        reader.skip(6)
        odd = _counted_registers(reader)
    elif function == 24:
        reader.skip(2)
    elif function == 43:
        reader.skip(1)
    return _verdict(reader, odd)


def _response(reader: FieldReader, function: int) -> int:
    """Judge the body of a response; bit 7 of the function marks an exception."""
    odd = False
    if function & 0x80 != 0:
        reader.skip(1)
    elif function == 1 or function == 2:
        reader.skip(reader.u8())
    elif function == 3 or function == 4 or function == 23:
        octets = reader.u8()
        reader.skip(octets)
        odd = octets % 2 != 0
    elif function == 5 or function == 6 or function == 15 or function == 16:
        reader.skip(4)
    elif function == 8:
        reader.skip(2)
    elif function == 20:
        records = reader.part(reader.u8())
        while records.remaining() > 0:
            length = records.u8()
            records.skip(1 + length)
        reader.failed = reader.failed or records.failed
    elif function == 21:
        _records_with_data(reader)
    elif function == 22:
        reader.skip(6)
    elif function == 24:
        odd = reader.u16() % 2 != 0
        reader.skip(2 * reader.u16())
    elif function == 43:
        reader.skip(1)
    return _verdict(reader, odd)


def _verdict(reader: FieldReader, odd: bool) -> int:
    if reader.failed:
        return _MALFORMED
    return _ODD if odd else _GOOD


def _counted_registers(reader: FieldReader) -> bool:
    """Quantity, octet count, registers: all must fit the count. True when the count is odd."""
    quantity = reader.u16()
    octets = reader.u8()
    if quantity > octets // 2:
        reader.failed = True
    reader.skip(octets)
    return octets % 2 != 0


def _records_with_data(reader: FieldReader) -> None:
    """File records with their data, as written and as echoed (function 21)."""
    records = reader.part(reader.u8())
    while records.remaining() > 0:
        records.skip(5)
        length = records.u16()
        records.skip(2 * length)
    reader.failed = reader.failed or records.failed
