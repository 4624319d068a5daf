"""IMAP (RFC 9051), as far as STARTTLS reaches."""

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

_SPACE: Final = 0x20

_BEYOND_HANDSHAKE: Final = [
    b"authenticate", b"login", b"examine", b"create", b"list", b"fetch",
]  # fmt: skip


def _word_end(data: bytes, offset: int) -> int:
    while offset < len(data) and 0x21 <= data[offset] <= 0x7E:
        offset += 1
    return offset


def _blank_end(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == _SPACE:
        offset += 1
    return offset


@final
class ImapAnalyzer(Analyzer):
    """IMAP: confirmed by an untagged OK of the server or by the first steps of a client.

    Each delivery is taken for whole lines, as Zeek takes it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "imap")
        self._tls_tag: bytes = b""
        """Tag of the client's STARTTLS."""
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
            tag_end = _word_end(data, offset)
            word = _blank_end(data, tag_end)
            word_end = _word_end(data, word)
            if tag_end == offset or word == tag_end or word_end == word:
                self.violation()
                return
            end = _blank_end(data, word_end)
            tag = data[offset:tag_end]
            command = data[word:word_end]
            lower = command.lower()
            if not from_orig and lower == b"capability" and tag == b"*":
                end = self._capabilities_end(data, end)
            else:
                end = _line_end(data, end)
            if end < 0:
                self.violation()
                return
            self._line(from_orig, tag, command, lower)
            offset = end

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

    def _capabilities_end(self, data: bytes, offset: int) -> int:
        """Behind a line of capabilities and its end, or -1."""
        while True:
            end = _word_end(data, offset)
            if end == offset:
                return -1
            offset = _blank_end(data, end)
            end = offset
            while end < len(data) and (data[end] == 0x0D or data[end] == 0x0A):
                end += 1
            if end > offset:
                return end

    def _line(self, from_orig: bool, tag: bytes, command: bytes, lower: bytes) -> None:
        if not from_orig and tag == b"*" and lower == b"ok":
            self.confirm()
        if from_orig and (command == b"capability" or lower == b"starttls"):
            self.confirm()
        if command in _BEYOND_HANDSHAKE:
            # STARTTLS will not come any more.
            self.confirm()
            self.alive = False
            return
        if from_orig and lower == b"starttls":
            self._tls_tag = tag
        elif not from_orig and self._tls_tag != b"" and tag == self._tls_tag and lower == b"ok":
            self._secured = True
            self._inner = self.connection.context.stream_analyzers(self.connection, "ssl")


def _line_end(data: bytes, offset: int) -> int:
    """Behind the rest of a line and all line ends that follow, or -1 where there is none."""
    while offset < len(data) and data[offset] != 0x0D and data[offset] != 0x0A:
        offset += 1
    end = offset
    while end < len(data) and (data[end] == 0x0D or data[end] == 0x0A):
        end += 1
    return end if end > offset else -1
