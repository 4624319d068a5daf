"""The mock cloud as a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click
from osect_harness.cloud.faults import parse_fault
from osect_harness.cloud.server import MockCloud
from osect_harness.errors import FAILED, OK, UsageError


def serve(
    directory: Path,
    host: str,
    port: int,
    control_port: int,
    names: Sequence[str],
    fault_texts: Sequence[str],
    *,
    strict: bool,
) -> int:
    """Run the cloud until a signal ends it; the exit code."""
    wanted = [parse_fault(text) for text in fault_texts]
    cloud = MockCloud(
        directory,
        host=host,
        port=port,
        control_port=control_port,
        names=[host, *names],
        strict=strict,
    )
    for fault in wanted:
        cloud.faults.add(fault)
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        cloud.start()
    except OSError as error:
        raise UsageError(f"cannot listen on {host}: {error.strerror or error}") from error
    certificates = cloud.certificates
    click.echo(f"cloud        {cloud.url}")
    click.echo(f"status page  {cloud.control_url}")
    click.echo(f"authority    {certificates.ca}")
    click.echo(f"client       {certificates.client}")
    click.echo(f"kept in      {cloud.directory}")
    ending.wait()
    cloud.stop()
    state = cloud.state()
    click.echo(
        f"{state['archives']} archives, {state['rows']} rows,"
        f" {state['violations']} violations of the contract"
    )
    return FAILED if state["violations"] else OK
