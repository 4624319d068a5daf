"""Connection ids of the shape that Zeek gives them: ``C`` and base 62."""

from __future__ import annotations

from typing import Final, final

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MASK: Final = (1 << 60) - 1
_GROUP: Final = 62 * 62 * 62


@final
class UidSource:
    """Draws ids that do not repeat: 17 base-62 digits, about 101 bits.

    Two 60-bit counters stepped by odd constants run through a mixing function; the seed makes runs
    reproducible, the always-on sensor seeds from the operating system.
    """

    __slots__ = ("_groups", "_high", "_low")

    def __init__(self, seed: int) -> None:
        self._high: int = (seed >> 60) & _MASK
        self._low: int = seed & _MASK
        self._groups: list[str] = []
        for first in _DIGITS:
            for second in _DIGITS:
                for third in _DIGITS:
                    self._groups.append(first + second + third)

    def next(self) -> str:
        """A fresh id."""
        self._high = (self._high + 0x9E3779B97F4A7C1) & _MASK
        self._low = (self._low + 0x632BE59BD9B4E01) & _MASK
        high = _mix(self._high)
        low = _mix(self._low ^ high)
        groups = self._groups
        text = "C" + groups[high % _GROUP]
        high //= _GROUP
        text += groups[high % _GROUP]
        high //= _GROUP
        text += groups[high % _GROUP]
        text += groups[low % _GROUP]
        low //= _GROUP
        text += groups[low % _GROUP]
        low //= _GROUP
        return text + _DIGITS[low % 62] + _DIGITS[low // 62 % 62]


def _mix(value: int) -> int:
    """Spread the bits of a counter (xorshift-multiply on 30-bit halves: no big integers)."""
    high = value >> 30
    low = value & 0x3FFFFFFF
    for _ in range(2):
        high = ((high ^ low >> 13) * 0x2C1B3C6D) & 0x3FFFFFFF
        low = ((low ^ high >> 11) * 0x297A2D39) & 0x3FFFFFFF
        high ^= low >> 15
    return high << 30 | low
