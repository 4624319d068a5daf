"""SSH (RFC 4253): the version exchange and the key exchange, up to encryption."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.wire.octets import u16, u32

INACTIVITY_TIMEOUT: Final = 3600 * 1_000_000
"""Microseconds of silence that a person at a shell is granted."""

MAX_PENDING: Final = 262_144
"""Octets of an incomplete line or packet kept in each direction (RFC 4253 section 6.1 asks for
35000)."""

MAX_PACKET: Final = 8 * 1024 * 1024
"""Length that a longer packet is taken to have."""

MAX_STRING: Final = 2 * 1024 * 1024
"""Length that a longer string is taken to have."""

_VERSION_EXCHANGE: Final = 0
_KEX_INIT: Final = 1
_KEX_DH: Final = 2
_KEX_DH_GEX: Final = 3
_KEX_ECC: Final = 4
_KEX_GSS: Final = 5
_KEX_RSA: Final = 6
_ENCRYPTED: Final = 7

_UNKNOWN: Final = 0
_SSH_1: Final = 1
_SSH_2: Final = 2
_SSH_1_99: Final = 3

_MSG_NEWKEYS: Final = 21
_SMSG_PUBLIC_KEY: Final = 2
_CMSG_SESSION_KEY: Final = 3

_BAD: Final = -1


@final
class SshAnalyzer(Analyzer):
    """SSH: confirmed when a side switches to the new keys."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "ssh")
        self._orig: bytes = b""
        self._resp: bytes = b""
        self._orig_state: int = _VERSION_EXCHANGE
        self._resp_state: int = _VERSION_EXCHANGE
        self._orig_version: int = _UNKNOWN
        self._resp_version: int = _UNKNOWN
        self._version: int = _UNKNOWN
        self._orig_after_return: bool = False
        """Whether the last line ended with CR, whose LF may follow."""
        self._resp_after_return: bool = False
        self._first_algorithms: bytes = b""
        self._first_from_orig: bool = False
        self._saw_algorithms: bool = False

    def confirm(self) -> None:
        """Declare the connection SSH: it may then be silent for longer."""
        if self.alive and not self.confirmed:
            self.connection.inactivity_timeout = INACTIVITY_TIMEOUT
        super().confirm()

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction."""
        if self.connection.partial:
            return
        if self._state(from_orig) == _ENCRYPTED:
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # Nothing that follows can change what the connection is.
            self.alive = False
            return
        pending = (self._orig if from_orig else self._resp) + data
        offset = 0
        while self.alive:
            state = self._state(from_orig)
            if state == _ENCRYPTED:
                offset = len(pending)
                break
            taken = 0
            if state == _VERSION_EXCHANGE:
                taken = self._line(from_orig, pending, offset)
            else:
                offset = self._skip_line_feed(from_orig, pending, offset)
                taken = self._packet(from_orig, pending, offset)
            if taken == _BAD:
                self.violation()
                offset = len(pending)
                break
            if taken == 0:
                break
            offset += taken
        if len(pending) - offset > MAX_PENDING:
            self.connection.context.counters.count("ssh_packet_too_long")
            self.alive = False
        rest = pending[offset:] if self.alive else b""
        if from_orig:
            self._orig = rest
        else:
            self._resp = rest
        if self._orig_state == _ENCRYPTED and self._resp_state == _ENCRYPTED:
            self.alive = False

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: packets cannot be found again behind a gap."""
        self.alive = False

    def flip(self) -> None:
        """Exchange the directions."""
        pending = self._orig
        self._orig = self._resp
        self._resp = pending
        state = self._orig_state
        self._orig_state = self._resp_state
        self._resp_state = state
        version = self._orig_version
        self._orig_version = self._resp_version
        self._resp_version = version
        after_return = self._orig_after_return
        self._orig_after_return = self._resp_after_return
        self._resp_after_return = after_return
        self._first_from_orig = not self._first_from_orig

    def _state(self, from_orig: bool) -> int:
        return self._orig_state if from_orig else self._resp_state

    def _set_state(self, from_orig: bool, state: int) -> None:
        if from_orig:
            self._orig_state = state
        else:
            self._resp_state = state

    def _skip_line_feed(self, from_orig: bool, data: bytes, offset: int) -> int:
        """Behind the LF of a line that ended with CR, once its next octet is there."""
        if offset >= len(data):
            return offset
        if from_orig:
            if not self._orig_after_return:
                return offset
            self._orig_after_return = False
        else:
            if not self._resp_after_return:
                return offset
            self._resp_after_return = False
        return offset + 1 if data[offset] == 0x0A else offset

    def _line(self, from_orig: bool, data: bytes, start: int) -> int:
        """Take a line of the version exchange; how many octets, 0 for want of more, or ``_BAD``."""
        offset = self._skip_line_feed(from_orig, data, start)
        end = data.find(b"\n", offset)
        carriage_return = data.find(b"\r", offset, end) if end >= 0 else data.find(b"\r", offset)
        if carriage_return >= 0:
            end = carriage_return
            if from_orig:
                self._orig_after_return = True
            else:
                self._resp_after_return = True
        if end < 0:
            return 0
        if data.startswith(b"SSH-", offset) and end - offset >= 4:
            self._set_state(from_orig, _KEX_INIT)
            self._set_version(from_orig, data, offset, end)
        elif from_orig:
            # Only servers may say something before (RFC 4253 section 4.2).
            return _BAD
        return end + 1 - start

    def _set_version(self, from_orig: bool, data: bytes, start: int, end: int) -> None:
        version = _UNKNOWN
        if end - start >= 5:
            if data[start + 4] == 0x32:
                version = _SSH_2
            elif data[start + 4] == 0x31:
                version = _SSH_1
                if end - start >= 8 and data[start + 6] == 0x39 and data[start + 7] == 0x39:
                    version = _SSH_1_99
        if version != _UNKNOWN:
            if from_orig:
                self._orig_version = version
            else:
                self._resp_version = version
        ours = self._orig_version
        theirs = self._resp_version
        if ours == theirs:
            self._version = _SSH_2 if ours == _SSH_1_99 else ours
        elif ours != _UNKNOWN and theirs != _UNKNOWN:
            if ours == _SSH_1_99:
                self._version = theirs
            elif theirs == _SSH_1_99:
                self._version = ours
            else:
                self._version = _UNKNOWN

    def _packet(self, from_orig: bool, data: bytes, offset: int) -> int:
        """Take a packet; how many octets, 0 for want of more, or ``_BAD``."""
        if len(data) - offset < 4:
            return 0
        length = min(u32(data, offset), MAX_PACKET)
        start = offset + 4
        if self._version == _SSH_1:
            size = length + 4 + 8 - length % 8
            if len(data) - offset < size:
                return 0
            return size if self._packet_1(from_orig, data, start, offset + size, length) else _BAD
        if self._version != _SSH_2:
            return _BAD
        if len(data) - start < length:
            return 0
        end = start + length
        if length < 2:
            return _BAD
        padding = data[start]
        kind = data[start + 1]
        if padding + 2 > length:
            return _BAD
        if kind == _MSG_NEWKEYS:
            self._set_state(from_orig, _ENCRYPTED)
            self.confirm()
        elif not self._message(from_orig, kind, data, start + 2, end - padding):
            return _BAD
        return 4 + length

    def _packet_1(self, from_orig: bool, data: bytes, start: int, end: int, length: int) -> bool:
        kind_at = start + 8 - length % 8
        if kind_at >= end or length < 5:
            return False
        kind = data[kind_at]
        offset = kind_at + 1
        last = offset + length - 5
        if last + 4 > end:
            return False
        if kind == _SMSG_PUBLIC_KEY:
            offset = _skip_mp_int(data, offset + 12, last)
            offset = _skip_mp_int(data, offset, last)
            if offset == _BAD:
                return False
            offset = _skip_mp_int(data, offset + 4, last)
            offset = _skip_mp_int(data, offset, last)
            if offset == _BAD or offset + 12 > last:
                return False
        elif kind == _CMSG_SESSION_KEY:
            offset = _skip_mp_int(data, offset + 9, last)
            if offset == _BAD or offset + 4 > last:
                return False
        else:
            return False
        self._set_state(from_orig, _ENCRYPTED)
        if kind == _CMSG_SESSION_KEY:
            self.confirm()
        return True

    def _message(self, from_orig: bool, kind: int, data: bytes, start: int, end: int) -> bool:
        """Whether a packet's payload is what the key exchange has there."""
        state = self._state(from_orig)
        if state == _KEX_INIT:
            return self._kex_init(from_orig, data, start, end)
        if state == _KEX_DH:
            if kind == 30:
                return _has_strings(data, start, end, 1)
            return kind != 31 or _has_strings(data, start, end, 3)
        if state == _KEX_DH_GEX:
            if kind == 30:
                return end - start >= 4
            if kind == 31:
                return _has_strings(data, start, end, 2)
            if kind == 32:
                return _has_strings(data, start, end, 1)
            if kind == 33:
                return _has_strings(data, start, end, 3)
            return kind != 34 or end - start >= 12
        if state == _KEX_ECC:
            if kind == 30:
                return _has_strings(data, start, end, 1)
            return kind == 31 and _has_strings(data, start, end, 3)
        if state == _KEX_RSA:
            if kind == 30:
                return _has_strings(data, start, end, 2)
            return (kind == 31 or kind == 32) and _has_strings(data, start, end, 1)
        if state == _KEX_GSS:
            return self._gss(kind, data, start, end)
        return True

    def _gss(self, kind: int, data: bytes, start: int, end: int) -> bool:
        if kind == 30 or kind == 41:
            return _has_strings(data, start, end, 2)
        if kind == 31 or kind == 33:
            return _has_strings(data, start, end, 1)
        if kind == 32:
            offset = _skip_string(data, start, end)
            offset = _skip_string(data, offset, end)
            if offset == _BAD or offset >= end:
                return False
            return data[offset] == 0 or _has_strings(data, offset + 1, end, 1)
        if kind == 34:
            return start + 8 <= end and _has_strings(data, start + 8, end, 2)
        return kind == 40 and end - start >= 12

    def _kex_init(self, from_orig: bool, data: bytes, start: int, end: int) -> bool:
        """Take the algorithms of one side; with both, choose the exchange (RFC 4253 section 7)."""
        offset = start + 16
        if offset + 4 > end:
            return False
        algorithms_end = _skip_string(data, offset, end)
        if not _has_strings(data, offset, end, 10):
            return False
        for _ in range(10):
            offset = _skip_string(data, offset, end)
        if offset + 5 > end:
            return False
        algorithms = data[start + 20 : algorithms_end]
        if not self._saw_algorithms:
            self._saw_algorithms = True
            self._first_algorithms = algorithms
            self._first_from_orig = from_orig
        elif self._first_from_orig != from_orig:
            client = algorithms if from_orig else self._first_algorithms
            server = self._first_algorithms if from_orig else algorithms
            state = _exchange_state(client, server)
            if state != _KEX_INIT:
                self._orig_state = state
                self._resp_state = state
        return True


def _exchange_state(client: bytes, server: bytes) -> int:
    """The state for the first of the client's algorithms that the server has too."""
    offered = server.split(b",")
    for name in client.split(b","):
        if len(name) == 0 or name not in offered:
            continue
        if name == b"rsa1024-sha1" or name == b"rsa2048-sha256":
            return _KEX_RSA
        if (
            name == b"diffie-hellman-group1-sha1"
            or name == b"diffie-hellman-group14-sha1"
            or name == b"diffie-hellman-group14-sha256"
            or name == b"diffie-hellman-group16-sha512"
        ):
            return _KEX_DH
        if name.startswith(b"diffie-hellman-group-exchange-sha"):
            if name.endswith(b"-sha1") or name.endswith(b"-sha256"):
                return _KEX_DH_GEX
            return _KEX_INIT
        if name.startswith(b"gss-"):
            return _KEX_GSS
        if (
            name.startswith(b"ecdh-sha2-")
            or name == b"ecmqv-sha2"
            or name.startswith(b"curve25519-sha256")
            or name.startswith(b"sntrup761x25519-sha512")
            or name.startswith(b"mlkem")
        ):
            return _KEX_ECC
        return _KEX_INIT
    return _KEX_INIT


def _skip_string(data: bytes, offset: int, end: int) -> int:
    """Behind the string at ``offset`` (RFC 4251 section 5), or ``_BAD``."""
    if offset == _BAD or offset + 4 > end:
        return _BAD
    offset += 4 + min(u32(data, offset), MAX_STRING)
    return offset if offset <= end else _BAD


def _has_strings(data: bytes, offset: int, end: int, count: int) -> bool:
    for _ in range(count):
        offset = _skip_string(data, offset, end)
    return offset != _BAD


def _skip_mp_int(data: bytes, offset: int, end: int) -> int:
    """Behind the multiple precision integer of SSH 1 at ``offset``, or ``_BAD``."""
    if offset == _BAD or offset + 2 > end:
        return _BAD
    offset += 2 + (u16(data, offset) + 7) // 8
    return offset if offset <= end else _BAD
