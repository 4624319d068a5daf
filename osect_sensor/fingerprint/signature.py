"""What one SYN or SYN+ACK gives away about its sender, and p0f 3's notation for it.

The notation is described in section 5 of p0f's README:
``ver:ttl+dist:olen:mss:win,scale:layout:quirks:payload``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.logs.text import count_text
from osect_sensor.wire.octets import u16, u32

if TYPE_CHECKING:
    from mypy_extensions import i64

SYN: Final = 0x02
FIN: Final = 0x01
RST: Final = 0x04
ACK: Final = 0x10
_PUSH: Final = 0x08
_URGENT: Final = 0x20
_ECE_OR_CWR: Final = 0xC0

QUIRK_ECN: Final = 1 << 0
QUIRK_DF: Final = 1 << 1
QUIRK_NONZERO_ID: Final = 1 << 2
QUIRK_ZERO_ID: Final = 1 << 3
QUIRK_RESERVED_BIT: Final = 1 << 4
QUIRK_FLOW: Final = 1 << 5
_QUIRK_ZERO_SEQUENCE: Final = 1 << 6
_QUIRK_NONZERO_ACK: Final = 1 << 7
_QUIRK_ZERO_ACK: Final = 1 << 8
_QUIRK_NONZERO_URGENT: Final = 1 << 9
_QUIRK_URGENT: Final = 1 << 10
_QUIRK_PUSH: Final = 1 << 11
_QUIRK_ZERO_TIMESTAMP: Final = 1 << 12
_QUIRK_NONZERO_ECHO: Final = 1 << 13
_QUIRK_TRAILING_OPTIONS: Final = 1 << 14
_QUIRK_EXCESSIVE_SCALE: Final = 1 << 15
_QUIRK_BAD_OPTIONS: Final = 1 << 16

QUIRK_NAMES: Final[list[tuple[int, str]]] = [
    (QUIRK_DF, "df"),
    (QUIRK_NONZERO_ID, "id+"),
    (QUIRK_ZERO_ID, "id-"),
    (QUIRK_ECN, "ecn"),
    (QUIRK_RESERVED_BIT, "0+"),
    (QUIRK_FLOW, "flow"),
    (_QUIRK_ZERO_SEQUENCE, "seq-"),
    (_QUIRK_NONZERO_ACK, "ack+"),
    (_QUIRK_ZERO_ACK, "ack-"),
    (_QUIRK_NONZERO_URGENT, "uptr+"),
    (_QUIRK_URGENT, "urgf+"),
    (_QUIRK_PUSH, "pushf+"),
    (_QUIRK_ZERO_TIMESTAMP, "ts1-"),
    (_QUIRK_NONZERO_ECHO, "ts2+"),
    (_QUIRK_TRAILING_OPTIONS, "opt+"),
    (_QUIRK_EXCESSIVE_SCALE, "exws"),
    (_QUIRK_BAD_OPTIONS, "bad"),
]
"""Every quirk with its name, in the order in which p0f writes them."""

OPTION_END: Final = 0
_OPTION_NOP: Final = 1
_OPTION_MSS: Final = 2
_OPTION_SCALE: Final = 3
_OPTION_SACK_PERMITTED: Final = 4
_OPTION_SACK: Final = 5
_OPTION_TIMESTAMP: Final = 8

OPTION_NAMES: Final[dict[int, str]] = {
    _OPTION_NOP: "nop",
    _OPTION_MSS: "mss",
    _OPTION_SCALE: "ws",
    _OPTION_SACK_PERMITTED: "sok",
    _OPTION_SACK: "sack",
    _OPTION_TIMESTAMP: "ts",
}
"""Names of TCP option kinds in a layout; ``eol+N`` and ``?N`` carry numbers and are not here."""

MAX_OPTIONS: Final = 24
"""Options looked at in one header: p0f's limit, so that a longer layout is ``bad`` here too."""

MAX_TEXTS: Final = 4096
"""Texts kept of layouts, and of quirks."""

MAX_DISTANCE: Final = 35
"""Hops beyond which p0f does not believe a guessed distance."""

PROBE_MSS: Final = 1331
PROBE_WINDOW: Final = 1337
"""MSS and window of the packets that p0f's own tool p0f-sendsyn sends."""

_MIN_TCP_IPV4: Final = 40
_MIN_TCP_IPV6: Final = 60


@final
class Signature:
    """The observed features of one SYN or SYN+ACK."""

    __slots__ = (
        "_layout_texts",
        "_quirk_texts",
        "end_padding",
        "flags",
        "header_length",
        "ip_option_length",
        "layout",
        "mss",
        "payload_length",
        "quirks",
        "scale",
        "timestamp",
        "ttl",
        "version",
        "window",
    )

    def __init__(self) -> None:
        self.version: i64 = 0
        """IP version, 4 or 6."""
        self.ttl: i64 = 0
        self.ip_option_length: i64 = 0
        """Octets of IPv4 options."""
        self.header_length: i64 = 0
        """Octets of the IP and TCP headers together."""
        self.flags: i64 = 0
        """Which of SYN, ACK, FIN and RST are set."""
        self.mss: i64 = 0
        """Maximum segment size option, 0 when absent."""
        self.window: i64 = 0
        self.scale: i64 = 0
        """Window scale option, 0 when absent."""
        self.timestamp: i64 = 0
        """Sender's own timestamp (TSval), 0 when absent."""
        self.layout: bytes = b""
        """Option kinds in the order of their appearance, one octet each."""
        self.end_padding: i64 = 0
        """Octets behind an end-of-options option."""
        self.quirks: i64 = 0
        self.payload_length: i64 = 0
        self._layout_texts: dict[bytes, str] = {}
        self._quirk_texts: dict[int, str] = {}
        """Layouts and quirks as text; a network has a few dozen of them."""

    def read_ipv4(self, data: bytes, ip: i64) -> None:
        """Take what an IPv4 header at ``ip`` tells (its length was checked)."""
        self.version = 4
        self.ttl = data[ip + 8]
        header_length = (data[ip] & 0x0F) * 4
        self.ip_option_length = header_length - 20
        self.header_length = header_length
        quirks = 0
        if data[ip + 1] & 0x03 != 0:
            quirks |= QUIRK_ECN
        flags = data[ip + 6]
        identification = u16(data, ip + 4)
        if flags & 0x80 != 0:
            quirks |= QUIRK_RESERVED_BIT
        if flags & 0x40 != 0:
            quirks |= QUIRK_DF
            if identification != 0:
                quirks |= QUIRK_NONZERO_ID
        elif identification == 0:
            quirks |= QUIRK_ZERO_ID
        self.quirks = quirks

    def read_ipv6(self, data: bytes, ip: i64) -> None:
        """Take what an IPv6 header at ``ip`` tells."""
        self.version = 6
        self.ttl = data[ip + 7]
        self.ip_option_length = 0
        self.header_length = 40
        quirks = 0
        class_and_label = u32(data, ip)
        if class_and_label & 0xFFFFF != 0:
            quirks |= QUIRK_FLOW
        if class_and_label & 0x300000 != 0:
            quirks |= QUIRK_ECN
        self.quirks = quirks

    def read_tcp(self, data: bytes, tcp: i64, payload_length: i64) -> None:
        """Take what a TCP header at ``tcp`` tells, behind ``read_ipv4`` or ``read_ipv6``."""
        header_length = (data[tcp + 12] >> 4) * 4
        self.header_length += header_length
        self.payload_length = payload_length
        flags = data[tcp + 13]
        self.flags = flags & (SYN | ACK | FIN | RST)
        self.window = u16(data, tcp + 14)
        if flags & _ECE_OR_CWR != 0 or data[tcp + 12] & 0x01 != 0:
            self.quirks |= QUIRK_ECN
        if u32(data, tcp + 4) == 0:
            self.quirks |= _QUIRK_ZERO_SEQUENCE
        if flags & ACK != 0:
            if u32(data, tcp + 8) == 0:
                self.quirks |= _QUIRK_ZERO_ACK
        elif data[tcp + 8] & 0x01 != 0:
            # p0f means "not zero" but, by a slip of its C operators on little-endian machines,
            # looks at this one bit; its signatures are compared as it writes them.
            self.quirks |= _QUIRK_NONZERO_ACK
        if flags & _URGENT != 0:
            self.quirks |= _QUIRK_URGENT
        elif u16(data, tcp + 18) != 0:
            self.quirks |= _QUIRK_NONZERO_URGENT
        if flags & _PUSH != 0:
            self.quirks |= _QUIRK_PUSH
        self._read_options(data, tcp + 20, tcp + header_length)

    def _read_options(self, data: bytes, offset: i64, end: i64) -> None:
        """Read TCP options the way p0f does: odd lengths are quirks, not ends, where it can."""
        self.mss = 0
        self.scale = 0
        self.timestamp = 0
        self.end_padding = 0
        kinds: list[int] = []
        whole = True
        while offset < end and len(kinds) < MAX_OPTIONS:
            kind = data[offset]
            kinds.append(kind)
            offset += 1
            if kind == OPTION_END:
                self.end_padding = end - offset
                # The last octet is not looked at: p0f has stepped past the end by then.
                while offset < end:
                    offset += 1
                    if data[offset - 1] != 0:
                        break
                if offset != end:
                    self.quirks |= _QUIRK_TRAILING_OPTIONS
                    offset = end
            elif kind == _OPTION_NOP:
                pass
            elif kind == _OPTION_MSS:
                if offset + 3 > end:
                    whole = False
                    break
                if data[offset] != 4:
                    self.quirks |= _QUIRK_BAD_OPTIONS
                self.mss = u16(data, offset + 1)
                offset += 3
            elif kind == _OPTION_SCALE:
                if offset + 2 > end:
                    whole = False
                    break
                if data[offset] != 3:
                    self.quirks |= _QUIRK_BAD_OPTIONS
                self.scale = data[offset + 1]
                if self.scale > 14:
                    self.quirks |= _QUIRK_EXCESSIVE_SCALE
                offset += 2
            elif kind == _OPTION_SACK_PERMITTED:
                if offset + 1 > end:
                    whole = False
                    break
                if data[offset] != 2:
                    self.quirks |= _QUIRK_BAD_OPTIONS
                offset += 1
            elif kind == _OPTION_TIMESTAMP:
                if offset + 9 > end:
                    whole = False
                    break
                if data[offset] != 10:
                    self.quirks |= _QUIRK_BAD_OPTIONS
                self.timestamp = u32(data, offset + 1)
                if self.timestamp == 0:
                    self.quirks |= _QUIRK_ZERO_TIMESTAMP
                if self.flags == SYN and u32(data, offset + 5) != 0:
                    self.quirks |= _QUIRK_NONZERO_ECHO
                offset += 9
            else:
                if offset == end:
                    whole = False
                    break
                length = data[offset]
                low = 10 if kind == _OPTION_SACK else 2
                high = 34 if kind == _OPTION_SACK else 40
                if length < low or length > high or offset - 1 + length > end:
                    whole = False
                    break
                offset += length - 1
        if not whole or offset != end:
            self.quirks |= _QUIRK_BAD_OPTIONS
        self.layout = bytes(kinds)

    def text(self, peer_mss: i64) -> str:
        """The raw signature; ``peer_mss`` is the MSS of the SYN that a SYN+ACK answers, or 0."""
        distance = guessed_distance(self.ttl)
        hops = "?" if distance > MAX_DISTANCE else count_text(distance)
        # A SYN+ACK that echoes p0f-sendsyn's MSS says nothing about its own.
        mss = "*" if self.mss == PROBE_MSS and self.flags == SYN | ACK else count_text(self.mss)
        multiple, of_mtu = window_multiple(self, peer_mss)
        if multiple > 0:
            window = ("mtu*" if of_mtu else "mss*") + count_text(multiple)
        else:
            window = count_text(self.window)
        options = self._layout_texts.get(self.layout)
        if options is None:
            options = self._layout_text()
        quirks = self._quirk_texts.get(self.quirks)
        if quirks is None:
            quirks = self._quirk_text()
        payload = "+" if self.payload_length > 0 else "0"
        version = "4" if self.version == 4 else "6"
        return ":".join(
            [
                version,
                f"{count_text(self.ttl)}+{hops}",
                count_text(self.ip_option_length),
                mss,
                f"{window},{count_text(self.scale)}",
                options,
                quirks,
                payload,
            ]
        )

    def _layout_text(self) -> str:
        names: list[str] = []
        for kind in self.layout:
            if kind == OPTION_END:
                names.append(f"eol+{self.end_padding}")
            else:
                names.append(OPTION_NAMES.get(kind, f"?{kind}"))
        text = ",".join(names)
        # What pads the end is not in the layout.
        if OPTION_END not in self.layout and len(self._layout_texts) < MAX_TEXTS:
            self._layout_texts[self.layout] = text
        return text

    def _quirk_text(self) -> str:
        names: list[str] = []
        for bit, name in QUIRK_NAMES:
            if self.quirks & bit != 0:
                names.append(name)
        text = ",".join(names)
        if len(self._quirk_texts) < MAX_TEXTS:
            self._quirk_texts[self.quirks] = text
        return text


def guessed_distance(ttl: i64) -> i64:
    """Hops since the sender, were its initial TTL the next of 32, 64, 128 and 255."""
    if ttl <= 32:
        return 32 - ttl
    if ttl <= 64:
        return 64 - ttl
    if ttl <= 128:
        return 128 - ttl
    return 255 - ttl


def window_multiple(signature: Signature, peer_mss: i64) -> tuple[i64, bool]:
    """How many MSS (or, second, MTU) the window is, -1 when it is no whole number of either.

    The divisors and their order are p0f's: stacks compute the window from their own MSS, from
    that less the timestamp option, from Ethernet's usual values, from the MTU, or from the peer's.
    """
    window = signature.window
    mss = signature.mss
    if window == 0 or mss < 100:
        return -1, False
    if window % mss == 0:
        return window // mss, False
    if signature.timestamp != 0 and window % (mss - 12) == 0:
        return window // (mss - 12), False
    usual = 1500 - _MIN_TCP_IPV4
    if window % usual == 0:
        return window // usual, False
    if window % (usual - 12) == 0:
        return window // (usual - 12), False
    if signature.version == 6:
        usual = 1500 - _MIN_TCP_IPV6
        if window % usual == 0:
            return window // usual, False
        if window % (usual - 12) == 0:
            return window // (usual - 12), False
    if window % (mss + _MIN_TCP_IPV4) == 0:
        return window // (mss + _MIN_TCP_IPV4), True
    if window % (mss + signature.header_length) == 0:
        return window // (mss + signature.header_length), True
    if signature.version == 6 and window % (mss + _MIN_TCP_IPV6) == 0:
        return window // (mss + _MIN_TCP_IPV6), True
    if window % 1500 == 0:
        return window // 1500, True
    if peer_mss != 0:
        for divisor in (peer_mss, peer_mss - 12):
            if divisor != 0 and window % divisor == 0:
                multiple = window // divisor
                # p0f keeps the multiple in a signed 16-bit integer and takes negative for none.
                return (multiple if 0 < multiple < 0x8000 else -1), False
    return -1, False
