"""Minutes of plants' traffic, put into a spool one after the other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from osect_harness.bench.minutes import PERIOD, write_minutes
from osect_harness.bench.octets import BASE
from sensor import BUILT, Sensor, wait_for

from osect_sensor.service.segments import MICROSECONDS, segment_name

PACKETS = 1877
"""Packets of a plant in a minute."""

PATIENCE = 300.0
"""Seconds that a minute may take on a machine that is busy with other things."""


class _Enough(Exception):
    """No more minutes are wanted."""


class _Spool:
    """What minutes are written to."""

    def __init__(self, sensor: Sensor, enough: Callable[[int], bool]) -> None:
        self._sensor = sensor
        self._enough = enough
        self._header = b""
        self._minutes = 0

    def write(self, octets: bytes | bytearray) -> int:
        """Take the header of a capture, then the records of a minute each time."""
        if not self._header:
            self._header = bytes(octets)
            return len(octets)
        incoming = self._sensor.incoming
        done = wait_for(lambda: not list(incoming.glob("*.pcap")), PATIENCE)
        assert done, self._sensor.log.read_text()[-3000:]
        if self._enough(self._minutes):
            raise _Enough
        start = (BASE + self._minutes * PERIOD) * MICROSECONDS
        self._minutes += 1
        name = segment_name(self._minutes, start)
        hidden = incoming / f".{name}.new"
        hidden.write_bytes(self._header + octets)
        hidden.rename(incoming / name)
        return len(octets)


def feed(sensor: Sensor, enough: Callable[[int], bool], plants: int = 1) -> None:
    """Give ``run`` minute after minute, each with connections of its own.

    ``enough`` is asked before each, with the number of minutes so far; all of them are done then.
    """
    sensor.incoming.mkdir(parents=True, exist_ok=True)
    stored = (BUILT / "factory_minute.pcap").read_bytes()
    with contextlib.suppress(_Enough):
        write_minutes(_Spool(sensor, enough), stored, sys.maxsize, plants)  # type: ignore[arg-type]
