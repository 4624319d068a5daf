"""p0f-k, the p0f that knows MAC addresses, as the generator of p0f-k.log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from osect_sensor.generators.external import ExternalTool

_COLUMNS: Final = 6


class P0f(ExternalTool):
    """Runs p0f-k over a segment."""

    name = "p0f"
    programs = ("p0f-k",)

    def __init__(self, logs: list[str], database: Path, patience: float) -> None:
        super().__init__(logs, patience)
        self._database: Final = database

    def read(self, segment: Path, scratch: Path) -> dict[str, list[list[str]]]:
        """The rows of the SYNs and SYN+ACKs."""
        log = scratch / "p0f-k.log"
        arguments = ["-f", str(self._database), "-r", str(segment), "-O", str(log)]
        if not self.call(scratch, "p0f-k", *arguments) or not log.exists():
            return {}
        lines = log.read_text("utf-8", "surrogateescape").splitlines()
        return {
            "p0f-k": [row for row in (line.split("\t") for line in lines) if len(row) == _COLUMNS]
        }
