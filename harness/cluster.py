"""Comparing captures on a Dask cluster; Dask is optional."""

from __future__ import annotations

import importlib
from typing import Any, Final

from osect_harness.compare import CaptureResult, Options
from osect_harness.conformance import Job, run_chunk
from osect_harness.errors import UsageError

CONNECT_SECONDS: Final = 10
"""How long a scheduler may take to answer."""

MAX_CHUNK: Final = 8
"""Captures of one task: few, so that workers finish together."""


def run_on(address: str, jobs: list[Job], options: Options) -> list[CaptureResult]:
    """Compare captures on the workers of the scheduler at an address.

    The workers read the logs themselves, under the same paths as here.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            "Dask is not installed: install osect-sensor[dask], or leave out --scheduler"
        ) from error
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address}: start one, or leave out --scheduler"
        ) from error
    with client:
        chunks = [jobs[at : at + MAX_CHUNK] for at in range(0, len(jobs), MAX_CHUNK)]
        futures = client.map(run_chunk, chunks, options=options, pure=False)
        results = [result for chunk in client.gather(futures) for result in chunk]
    return sorted(results, key=lambda result: result.capture)
