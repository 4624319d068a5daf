"""Ports that make an endpoint a likely responder where the first packet does not tell.

These are the ports that stock Zeek registers as ``likely_server_ports``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

_TCP_PORTS: Final = [
    21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636,
    989, 990, 992, 993, 995, 1080, 1883, 2811, 3128, 3268, 3389, 5222, 5223, 5269, 5432, 6379, 6666,
    6667, 6668, 6669, 8000, 8080, 8888, 20000,
]  # fmt: skip
_UDP_PORTS: Final = [
    53, 67, 88, 123, 137, 161, 162, 389, 443, 514, 1812, 2123, 2152, 3389, 3544, 4789, 5060, 5072,
    5353, 5355, 6081, 20000,
]  # fmt: skip


def _flags(ports: list[int]) -> bytes:
    table = bytearray(65536)
    for port in ports:
        table[port] = 1
    return bytes(table)


_TCP: Final = _flags(_TCP_PORTS)
_UDP: Final = _flags(_UDP_PORTS)


def is_likely_tcp_server(port: i64) -> bool:
    """Whether stock Zeek takes this TCP port for a server's."""
    return _TCP[port] != 0


def is_likely_udp_server(port: i64) -> bool:
    """Whether stock Zeek takes this UDP port for a server's."""
    return _UDP[port] != 0
