"""A progress bar on the terminal."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from osect_sensor.generators.replay import Progress


class TerminalProgress(Progress):
    """Shows how much of the captures has been read, on standard error."""

    def __init__(self, total: int) -> None:
        """``total`` octets are to be read; 0 where nobody knows."""
        self._bar: Final = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._task: Final = self._bar.add_task("packets", total=total or None)
        self._bar.start()

    def read(self, octets: int) -> None:
        """Move the bar."""
        self._bar.advance(self._task, octets)

    def stage(self, name: str) -> None:
        """Say what is being waited for."""
        self._bar.update(self._task, description=name, total=None)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()
