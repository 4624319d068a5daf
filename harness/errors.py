"""What the harness tells its caller when it cannot do what was asked."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Exit code: everything holds."""

FAILED: Final = 1
"""Exit code: the logs break the contract, or differ."""

USAGE: Final = 2
"""Exit code: the harness could not look, because of what it was given."""


class UsageError(Exception):
    """The harness was given something it cannot use; the text says what, and what to do."""
