"""XMPP (RFC 6120), as far as STARTTLS reaches."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    VIOLATIONS_COUNT_UP_TO,
    Analyzer,
    Connection,
    deliver_end_of_stream,
    deliver_gap,
    deliver_stream,
    finish_all,
)

_LESS: Final = 0x3C
_GREATER: Final = 0x3E


def _is_name(octet: int) -> bool:
    return 0x30 <= octet <= 0x3A or octet == 0x3F or 0x41 <= octet <= 0x5A or 0x61 <= octet <= 0x7A


@final
class XmppAnalyzer(Analyzer):
    """XMPP: confirmed by the client's stream tag. Each delivery is taken for whole tags."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "xmpp")
        self._asked_for_tls: bool = False
        self._secured: bool = False
        self._inner: list[Analyzer] = []

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction, or of the TLS stream that follows STARTTLS."""
        if self._secured:
            deliver_stream(self._inner, from_orig, data)
            if len(self._inner) == 0:
                self.alive = False
            return
        if self.connection.partial:
            return
        if self.confirmed and self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            # STARTTLS comes first or not at all.
            self.alive = False
            return
        offset = 0
        while offset < len(data) and self.alive:
            while offset < len(data) and data[offset] in b" \r\n":
                offset += 1
            name = offset + 1
            if offset >= len(data) or data[offset] != _LESS:
                self.violation()
                return
            end = name
            if end < len(data) and data[end] == 0x2F:
                end += 1
            first = end
            while end < len(data) and _is_name(data[end]):
                end += 1
            close = end
            while close < len(data) and data[close] != _LESS and data[close] != _GREATER:
                close += 1
            if end == first or close >= len(data) or data[close] != _GREATER:
                self.violation()
                return
            offset = close + 1
            while offset < len(data) and data[offset] != _LESS and data[offset] != _GREATER:
                offset += 1
            self._tag(from_orig, data[name:end])

    def gap(self, from_orig: bool, length: int) -> None:
        """Pass the gap on to TLS, or give up."""
        if self._secured:
            deliver_gap(self._inner, from_orig, length)
        else:
            self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Pass the end on to TLS."""
        if self._secured:
            deliver_end_of_stream(self._inner, from_orig)

    def flip(self) -> None:
        """Exchange the directions."""
        for analyzer in self._inner:
            analyzer.flip()

    def finish(self) -> None:
        """Finish the TLS stream."""
        finish_all(self._inner)

    def _tag(self, from_orig: bool, name: bytes) -> None:
        local = name
        colon = name.find(b":")
        if 0 <= colon < len(name) - 1:
            local = name[colon + 1 :]
        if from_orig and name == b"stream:stream":
            self.confirm()
        if name in (b"success", b"message", b"db:result", b"db:verify", b"presence"):
            # STARTTLS will not come any more.
            self.alive = False
            return
        if from_orig and local == b"starttls":
            self._asked_for_tls = True
        elif not from_orig and local == b"proceed" and self._asked_for_tls:
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")
