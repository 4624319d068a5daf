"""How long each capture took: a JSON file that a replay or a benchmark leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osect_harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timing:
    """The work on one capture."""

    capture: str
    seconds: float
    packets: int
    octets: int

    @property
    def packets_per_second(self) -> float:
        """Throughput; zero when no time was measured."""
        return self.packets / self.seconds if self.seconds > 0 else 0.0


def load_timings(path: Path) -> list[Timing]:
    """Read ``{"captures": {NAME: {"seconds": S, "packets": N, "octets": N}}}``."""
    wanted = 'a JSON object {"captures": {NAME: {"seconds": …, "packets": …, "octets": …}}}'
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return [
            Timing(
                capture=name,
                seconds=float(one["seconds"]),
                packets=int(one["packets"]),
                octets=int(one.get("octets", 0)),
            )
            for name, one in data["captures"].items()
        ]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a timings file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} holds no timings: expected {wanted}") from error
