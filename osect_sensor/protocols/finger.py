"""Finger (RFC 1288)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection

MAX_LINE: Final = 1024
"""Octets of a request or of a line of the reply."""

MINIMUM_LINE: Final = 11
"""Octets of a line that make a reply worth believing."""


@final
class FingerAnalyzer(Analyzer):
    """Finger: confirmed by a request that names somebody, or by a line of the reply."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "finger")
        self._request: bytes = b""
        self._asked: bool = False
        self._reply: bytes = b""

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of the request or of the reply."""
        if from_orig:
            if not self._asked:
                self._request += data
                self._take_request(False)
        else:
            self._take_reply(self._reply + data)

    def gap(self, from_orig: bool, length: int) -> None:
        """Give up: lines cannot be told apart any more."""
        self.alive = False

    def end_of_stream(self, from_orig: bool) -> None:
        """Take a request without an end; a reply has to end with its line."""
        if from_orig:
            if not self._asked:
                self._take_request(True)
        elif len(self._reply) > 0:
            self._give_up()

    def flip(self) -> None:
        """Exchange the directions."""
        octets = self._request
        self._request = self._reply
        self._reply = octets

    def _give_up(self) -> None:
        self.violation()
        self.alive = False

    def _take_request(self, ended: bool) -> None:
        data = self._request
        end = 0
        while end < len(data) and data[end] != 0x0D and data[end] != 0x0A:
            end += 1
        if end > MAX_LINE:
            self._give_up()
            return
        if end == len(data) and not ended:
            return
        self._asked = True
        self._request = b""
        line = data[:end].lstrip(b" \t")
        whois = line.startswith(b"/W")
        if whois:
            line = line[2:]
        if whois or not (line.strip() == b"" or line.strip().startswith(b"@")):
            self.confirm()

    def _take_reply(self, data: bytes) -> None:
        start = 0
        while True:
            end = start
            while end < len(data) and data[end] != 0x0D and data[end] != 0x0A:
                end += 1
            if end - start > MAX_LINE:
                self._give_up()
                return
            after = end
            if after < len(data) and data[after] == 0x0D:
                after += 1
            if after >= len(data):
                break
            if data[after] != 0x0A:
                self._give_up()
                return
            if end - start >= MINIMUM_LINE:
                self.confirm()
            start = after + 1
        self._reply = data[start:]
