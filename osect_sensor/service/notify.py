"""What the service manager is told: ready, alive, stopping (sd_notify(3))."""

from __future__ import annotations

import os
import time
from typing import Final

from sdnotify import SystemdNotifier  # type: ignore[import-untyped]


class ServiceManager:
    """The service manager, where one is listening."""

    def __init__(self) -> None:
        self._notifier: Final = SystemdNotifier() if "NOTIFY_SOCKET" in os.environ else None
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self._interval: Final = int(microseconds) / 4e6 if microseconds.isdigit() else 0.0
        self._next: float = 0.0
        self._ready: bool = False

    def ready(self, status: str) -> None:
        """Say, once, that the service does its work."""
        if not self._ready:
            self._ready = True
            self._notify(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """Say in a line what the service does."""
        self._notify(f"STATUS={status}")

    def alive(self) -> None:
        """Keep the watchdog quiet; call it as often as convenient."""
        if self._interval > 0 and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._interval
            self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service stops."""
        self._notify("STOPPING=1")

    def _notify(self, message: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(message)
