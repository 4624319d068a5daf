"""Zeek as the generator of single logs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from osect_sensor.generators.external import ExternalTool, zeek_rows


class Zeek(ExternalTool):
    """Runs Zeek over a segment. Logs that are not stock Zeek's need the scripts that make them."""

    name = "zeek"
    programs = ("zeek",)

    def __init__(self, logs: list[str], scripts: tuple[str, ...], patience: float) -> None:
        super().__init__(logs, patience)
        self._scripts: Final = scripts

    def read(self, segment: Path, scratch: Path) -> dict[str, list[list[str]]]:
        """The rows of the logs that Zeek wrote."""
        self.call(
            scratch, "zeek", "-C", "-r", str(segment), "policy/protocols/conn/mac-logging",
            *self._scripts, "LogAscii::use_json=F", "LogAscii::enable_utf_8=F",
        )  # fmt: skip
        return {log.name: zeek_rows(scratch / f"{log.name}.log", log) for log in self.logs}
