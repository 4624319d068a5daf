"""YAF as the generator of yaf_flow.log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from osect_sensor.generators.external import ExternalTool

_COLUMNS: Final = 24
"""Columns of yafscii's table with MAC addresses: those of the log, without its first."""

_PROTOCOL: Final = 4
_IN_CONN_LOG: Final = frozenset({"1", "6", "17", "58"})


class Yaf(ExternalTool):
    """Runs YAF and yafscii over a segment."""

    name = "yaf"
    programs = ("yaf", "yafscii")

    def read(self, segment: Path, scratch: Path) -> dict[str, list[list[str]]]:
        """The rows of the flows that conn.log does not hold."""
        flows = str(scratch / "flows.yaf")
        table = scratch / "flows.txt"
        done = self.call(
            scratch, "yaf", "--mac", "--in", str(segment), "--out", flows
        ) and self.call(
            scratch, "yafscii", "--tabular", "--mac", "--in", flows, "--out", str(table)
        )
        if not done:
            return {}
        rows: list[list[str]] = []
        for line in table.read_text("utf-8", "replace").splitlines():
            values = [value.strip() for value in line.split("|")]
            if len(values) != _COLUMNS or values[_PROTOCOL] in _IN_CONN_LOG:
                continue
            start = _epoch(values[0])
            if start:
                rows.append([start, *values])
        return {"yaf_flow": rows}


def _epoch(text: str) -> str:
    """``2011-03-19 07:26:00.123``, UTC, as seconds since the epoch; empty for a header."""
    seconds, point, milliseconds = text.partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return f"{int(moment.timestamp())}.{milliseconds if point else '000'}"
