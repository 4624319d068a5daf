"""Walking over the records of a classic capture by their headers, without a look at the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.wire.octets import microseconds, u32, u32le
from osect_sensor.wire.reader import MAX_CAPTURED_LENGTH

if TYPE_CHECKING:
    from mypy_extensions import i64

RECORD_HEADER: Final = 16

INCOMPLETE: Final = 0
"""The octets end before the next record does."""
LATER: Final = 1
"""The next record's time is not before ``until``."""
EARLIER: Final = 2
"""The next record's time is before ``since``."""
DAMAGED: Final = 3
"""The next record claims more octets than a record can have."""


def walk(
    data: bytes,
    position: i64,
    little: bool,
    nanoseconds: bool,
    since: i64,
    until: i64,
) -> tuple[i64, i64, i64, i64]:
    """Pass over whole records from ``since`` to before ``until`` (microseconds).

    Returns where the walk stopped, how many records it passed, why it stopped, and the time of the
    record it stopped before (of the last one passed where it ran out of octets; -1 for none).
    """
    end = len(data)
    packets = 0
    last = -1
    while end - position >= RECORD_HEADER:
        if little:
            seconds = u32le(data, position)
            fraction = u32le(data, position + 4)
            captured = u32le(data, position + 8)
        else:
            seconds = u32(data, position)
            fraction = u32(data, position + 4)
            captured = u32(data, position + 8)
        if captured > MAX_CAPTURED_LENGTH:
            return position, packets, DAMAGED, last
        if end - position - RECORD_HEADER < captured:
            break
        timestamp = microseconds(seconds, fraction // 1000 if nanoseconds else fraction)
        if timestamp >= until:
            return position, packets, LATER, timestamp
        if timestamp < since:
            return position, packets, EARLIER, timestamp
        last = timestamp
        packets += 1
        position += RECORD_HEADER + captured
    return position, packets, INCOMPLETE, last
