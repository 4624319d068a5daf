"""What can go wrong for the operator: one line that says what, one that says what to do."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_ATTENTION: Final = 1
"""``status --check``: something needs somebody's attention."""
EXIT_USAGE: Final = 2
"""The command line, an input or the output is at fault; nothing was written."""
EXIT_SURICATA: Final = 3
"""Suricata failed: eve.json is empty, every other log is complete."""
EXIT_UNAVAILABLE: Final = 69
"""The cloud or the source of rules did not play its part (sysexits.h: EX_UNAVAILABLE); what was
there before is still there."""
EXIT_INTERNAL: Final = 70
"""A defect of the sensor (sysexits.h: EX_SOFTWARE); nothing was written."""
EXIT_CONFIGURATION: Final = 78
"""The configuration has problems (sysexits.h: EX_CONFIG); nothing was begun."""
EXIT_INTERRUPTED: Final = 130
"""Stopped by the keyboard (128 + SIGINT); nothing was written."""
EXIT_TERMINATED: Final = 143
"""Stopped by a signal (128 + SIGTERM); nothing was written."""


class OsectError(Exception):
    """A failure to be told to the operator, without a traceback."""

    def __init__(self, message: str, hint: str = "", exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.message: Final = message
        """What is wrong, in one line, without a full stop."""
        self.hint: Final = hint
        """What to do about it; empty where that is plain."""
        self.exit_code: Final = exit_code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message
