"""Syslog over UDP (RFC 3164, RFC 5424)."""

from __future__ import annotations

from typing import final

from osect_sensor.flows.analyzer import Analyzer, Connection


@final
class SyslogAnalyzer(Analyzer):
    """Syslog: any text on its port is a message, with or without a priority."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "syslog")

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Take a message."""
        self.confirm()
        self.alive = False
