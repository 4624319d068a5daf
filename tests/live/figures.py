"""What the tests measure, for the tables of the operator's guide."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path


def note(fault: str, **values: object) -> None:
    """Print what was measured; with ``OSECT_FIGURES`` it is added to that file, a line of JSON."""
    line = json.dumps({"fault": fault} | values)
    print(line)
    if path := os.environ.get("OSECT_FIGURES"):
        with Path(path).open("a") as file:
            file.write(line + "\n")


def spread(seconds: list[float]) -> dict[str, object]:
    """Least, median and greatest of measured seconds, with how many there are."""
    if not seconds:
        return {"measured": 0}
    return {
        "measured": len(seconds),
        "least": round(min(seconds), 2),
        "median": round(statistics.median(seconds), 2),
        "greatest": round(max(seconds), 2),
    }
