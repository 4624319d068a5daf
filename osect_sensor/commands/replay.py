"""``osect-sensor replay``: captures to logs."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from osect_sensor.errors import EXIT_OK, EXIT_SURICATA, EXIT_TERMINATED

if TYPE_CHECKING:
    from osect_sensor.generators.replay import Summary

_EPILOG = """\
\b
Examples:
  osect-sensor replay line3.pcap -o logs
  osect-sensor replay monday.pcap.gz tuesday.pcap.gz -o logs --window 60
  tcpdump -i eth1 -c 10000 -w - | osect-sensor replay - -o logs --logs conn,arp
\b
Exit codes:
    0  the logs were written
    2  the command line, a capture or the output is at fault; nothing was written
    3  Suricata failed: eve.json is empty, the other logs are complete
   70  a defect of osect-sensor; nothing was written
  130  interrupted (143: terminated); nothing was written
"""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # Unwinds through the cleaning up, which the signal's default would not.
    sys.exit(EXIT_TERMINATED)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _reasons(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({number:,})" for name, number in ordered)


def summary_text(summary: Summary) -> str:
    """The summary for people."""
    lines = [
        f"{_counted(summary.packets, 'packet')} of {_counted(len(summary.captures), 'capture')}"
        f" in {summary.seconds:.2f} s ({summary.packets_per_second:,} packets/s)"
    ]
    if summary.packets > 0:
        lines.append(f"from {summary.first} to {summary.last} UTC")
    if summary.windows > 0 or summary.windows_skipped > 0:
        line = f"{_counted(summary.windows, 'window')}"
        if summary.windows_skipped > 0:
            line += f", {summary.windows_skipped:,} more left out: an hour without packets"
        lines.append(line)
    lines.append("")
    width = max(len(name) for name in summary.rows) if summary.rows else 0
    for name, rows in summary.rows.items():
        lines.append(f"  {name:<{width}}  {rows:>12,}")
    notes: list[str] = []
    if summary.undecodable:
        total = sum(summary.undecodable.values())
        notes.append(f"not decoded: {_counted(total, 'packet')}: {_reasons(summary.undecodable)}")
    if summary.limits:
        notes.append(f"limits: {_reasons(summary.limits)}")
    for capture in summary.captures:
        if capture.truncated:
            notes.append(f"{capture.name}: incomplete: {capture.truncated}")
        if capture.skipped:
            notes.append(f"{capture.name}: passed over: {_reasons(capture.skipped)}")
    if "p0f-k" in summary.rows and not summary.fingerprints:
        notes.append("no p0f database: every operating system is ??? (install p0f)")
    suricata = summary.suricata
    if suricata.message:
        notes.append(suricata.message)
    if suricata.rules_loaded or suricata.rules_failed:
        notes.append(
            f"Suricata {suricata.version}: {_counted(suricata.rules_loaded, 'rule')} loaded,"
            f" {suricata.rules_failed:,} not understood"
        )
    if notes:
        lines += ["", *notes]
    lines += ["", f"written to {summary.output}"]
    return "\n".join(lines)


@click.command(epilog=_EPILOG)
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory to write; it must not exist, or be empty.",
)
@click.option(
    "--window",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Write a directory for each window of this length, as the service does with 60;"
    " default: one window, its logs directly in DIR.",
)
@click.option(
    "--report-interval",
    type=click.IntRange(0, 86_400),
    metavar="SECONDS",
    help="How often a connection that stays open is reported, 0 for never;"
    " default: the length of the window, never without --window.",
)
@click.option("--logs", metavar="NAME,...", help="The logs to write; default: all.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Suricata rules to match; default: none.",
)
@click.option(
    "--fingerprints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="p0f database; default: that of the distribution's package p0f.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Processes that share the traffic; the rows are the same, in another order.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(
    captures: tuple[str, ...],
    output: Path,
    window: int | None,
    report_interval: int | None,
    logs: str | None,
    rules: Path | None,
    fingerprints: Path | None,
    jobs: int,
    as_json: bool,
) -> int:
    """Write the logs of captures, which count as one sequence of packets.

    A CAPTURE is pcap or pcapng, plain or compressed with gzip or zstd; - is standard input.
    The logs appear whole or not at all.
    """
    from osect_sensor.cli import is_compiled
    from osect_sensor.generators.replay import Progress, Replay, total_size

    signal.signal(signal.SIGTERM, _terminate)
    progress = Progress()
    if sys.stderr.isatty():
        from osect_sensor.commands.progress import TerminalProgress

        progress = TerminalProgress(total_size(list(captures)))
    run = Replay(
        list(captures),
        output,
        selection=None if logs is None else [name.strip() for name in logs.split(",")],
        window=window or 0,
        report_interval=-1 if report_interval is None else report_interval,
        rules=rules,
        fingerprints=fingerprints,
        progress=progress,
        jobs=jobs,
    )
    try:
        summary = run.run()
    finally:
        progress.end()
    if as_json:
        data: dict[str, Any] = dataclasses.asdict(summary)
        data["compiled"] = is_compiled()
        click.echo(json.dumps(data, indent=2))
    else:
        click.echo(summary_text(summary))
    return EXIT_SURICATA if summary.suricata.state == "failed" else EXIT_OK
