"""RADIUS (RFC 2865) for service detection: every well-formed message confirms."""

from __future__ import annotations

from typing import final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader


@final
class RadiusAnalyzer(Analyzer):
    """RADIUS on one UDP connection, service ``radius``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "radius")

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Walk the attributes to the end of the datagram, whatever the header's length says."""
        reader = FieldReader(data, 0, len(data))
        reader.skip(20)
        while reader.remaining() > 0:
            reader.skip(1)
            reader.skip(reader.u8() - 2)
        if reader.failed:
            self.violation()
        else:
            self.confirm()
