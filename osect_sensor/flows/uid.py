"""Connection ids of the shape that Zeek gives them: ``C`` and base 62."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.wire.octets import u32

if TYPE_CHECKING:
    from mypy_extensions import i64

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MASK: Final = (1 << 60) - 1
_BASE: Final = 62 * 62
_PAIRS: Final = [first + second for first in _DIGITS for second in _DIGITS]


@final
class UidSource:
    """Makes ids of 17 base-62 digits, about 101 bits, out of what a connection is.

    Addresses, ports and the time of the first packet go through a mixing function that starts from
    the seed. So whoever reads the same packets again, with the same seed, arrives at the same ids
    without remembering any; another sensor, with another seed, arrives at others.
    """

    __slots__ = ("_high", "_low")

    def __init__(self, seed: int) -> None:
        self._high: i64 = (seed >> 60) & _MASK
        self._low: i64 = seed & _MASK

    def uid(
        self,
        protocol: i64,
        address: bytes,
        port: i64,
        other_address: bytes,
        other_port: i64,
        start: i64,
        twin: i64,
    ) -> str:
        """The id of what began between two ends at ``start`` (microseconds).

        Which end is named first makes no difference. ``twin`` tells those apart that began
        between the same ends in the same microsecond.
        """
        if other_address < address or (other_address == address and other_port < port):
            address, other_address = other_address, address
            port, other_port = other_port, port
        high = _mix(self._high ^ start & _MASK)
        low = _mix(self._low ^ high)
        word = ((port << 36 | other_port << 20 | protocol << 12) + twin) & _MASK
        high = _mix(high ^ word)
        low = _mix(low ^ high)
        if len(address) == 4 and len(other_address) == 4:
            high = _mix(high ^ u32(address, 0) << 28 ^ u32(other_address, 0))
            low = _mix(low ^ high)
        else:
            for whole in (address, other_address):
                offset: i64 = 0
                while offset + 8 <= len(whole):
                    high = _mix(high ^ u32(whole, offset) << 28 ^ u32(whole, offset + 4))
                    low = _mix(low ^ high)
                    offset += 8
        return (
            f"C{_PAIRS[high % _BASE]}{_PAIRS[high // _BASE % _BASE]}"
            f"{_PAIRS[high // _BASE**2 % _BASE]}{_PAIRS[high // _BASE**3 % _BASE]}"
            f"{_PAIRS[low % _BASE]}{_PAIRS[low // _BASE % _BASE]}"
            f"{_PAIRS[low // _BASE**2 % _BASE]}{_PAIRS[low // _BASE**3 % _BASE]}"
            f"{_DIGITS[low // _BASE**4 % 62]}"
        )


def _mix(value: i64) -> i64:
    """Spread the bits of a word (xorshift-multiply on 30-bit halves: no big integers)."""
    high = value >> 30
    low = value & 0x3FFFFFFF
    for _ in range(2):
        high = ((high ^ low >> 13) * 0x2C1B3C6D) & 0x3FFFFFFF
        low = ((low ^ high >> 11) * 0x297A2D39) & 0x3FFFFFFF
        high ^= low >> 15
    return high << 30 | low
