"""``osect-harness bench``, ``bench-live`` and ``workload``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from osect_harness.bench import live
from osect_harness.bench.benchmark import Benchmark, machine
from osect_harness.bench.report import as_json, lines, write_page
from osect_harness.bench.tools import COMMANDS, DEFAULT_SENSOR, find_tools, sensor_tool
from osect_harness.bench.workloads import (
    DESCRIPTIONS,
    Sources,
    default_sources,
    missing,
    write_workload,
)
from osect_harness.errors import UsageError
from osect_harness.output import write

_PATH = click.Path(path_type=Path)

_EPILOG = "\b\nWorkloads:\n" + "".join(
    f"  {name:<12} {description}\n" for name, description in DESCRIPTIONS.items()
)

_minute = click.option(
    "--minute", type=_PATH, metavar="FILE",
    help="The factory minute; default: pcaps/built/factory_minute.pcap of the checkout.",
)  # fmt: skip
_captures = click.option(
    "--captures", type=_PATH, metavar="DIR",
    help="Captures of your own; default: those of the directory that OSECT_SHARED names, or of "
    "../shared beside the checkout.",
)  # fmt: skip


def _sources(minute: Path | None, captures: Path | None) -> Sources:
    sources = default_sources()
    if minute is not None:
        sources = dataclasses.replace(sources, minute=minute)
    if captures is not None:
        if not captures.is_dir():
            raise UsageError(f"{captures} is no directory of captures")
        sources = dataclasses.replace(sources, captures=captures)
    return sources


@click.command("bench", epilog=_EPILOG)
@click.option("--packets", type=click.IntRange(min=1), default=1_000_000, show_default=True,
              help="Packets of each workload.")  # fmt: skip
@click.option("--workload", "workloads", multiple=True, type=click.Choice(list(DESCRIPTIONS)),
              help="Only this workload; may be repeated.")  # fmt: skip
@click.option("--sensor", metavar="COMMAND", default=DEFAULT_SENSOR, show_default=True,
              help="The sensor's command; braces stand for the paths.")  # fmt: skip
@click.option("--tool", "tools", multiple=True, type=click.Choice(list(COMMANDS)),
              help="Compare only with this tool; may be repeated.")  # fmt: skip
@click.option("--repeat", type=click.IntRange(min=1), default=3, show_default=True,
              help="Runs of each, in turn; the figures are of the cheapest.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=1), default=600, show_default=True,
              help="End a run after so long.")  # fmt: skip
@click.option("--per-log/--no-per-log", default=True, show_default=True,
              help="Also make each log alone, of the first workload.")  # fmt: skip
@click.option("--linear/--no-linear", default=True, show_default=True,
              help="Also run over a tenth of the workloads.")  # fmt: skip
@_minute
@_captures
@click.option("--html", "html_file", type=_PATH, help="Write a report as one HTML page.")
@click.option("--output", "output_file", type=_PATH, help="Write the JSON to a file.")
@click.option("--json", "print_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--quiet", is_flag=True, help="Do not tell what is being run.")
def bench(
    packets: int,
    workloads: tuple[str, ...],
    sensor: str,
    tools: tuple[str, ...],
    repeat: int,
    seconds: float,
    per_log: bool,
    linear: bool,
    minute: Path | None,
    captures: Path | None,
    html_file: Path | None,
    output_file: Path | None,
    print_json: bool,
    quiet: bool,
) -> None:
    """Measure the sensor and the tools that it replaces on the same packets.

    Each reads the same capture in the same run; what counts is the processor time of its
    processes. Tools that are not installed are named and left out.
    """
    found, left_out = find_tools(tools or tuple(COMMANDS))
    benchmark = Benchmark(
        sensor_tool(sensor),
        found,
        left_out,
        _sources(minute, captures),
        packets=packets,
        repeat=repeat,
        seconds=seconds,
        say=(lambda line: None) if quiet else (lambda line: click.echo(line, err=True)),
    )
    result = benchmark.run(
        list(dict.fromkeys(workloads or DESCRIPTIONS)), per_log=per_log, linear=linear
    )
    data = json.dumps(as_json(result), indent=2) + "\n"
    if output_file is not None:
        write(output_file, data)
    if html_file is not None:
        write_page(result, html_file)
    if print_json:
        click.echo(data, nl=False)
    else:
        for line in lines(result):
            click.echo(line)


@click.command("workload", epilog=_EPILOG)
@click.argument("name", type=click.Choice(list(DESCRIPTIONS)), metavar="NAME")
@click.argument("file", type=_PATH, metavar="FILE")
@click.option("--packets", type=click.IntRange(min=1), default=1_000_000, show_default=True,
              help="Packets to write.")  # fmt: skip
@_minute
@_captures
def workload(
    name: str, file: Path, packets: int, minute: Path | None, captures: Path | None
) -> None:
    """Write a workload of the benchmark to a capture FILE.

    The same octets for the same arguments.
    """
    sources = _sources(minute, captures)
    why = missing(name, sources)
    if why:
        raise UsageError(why)
    try:
        with file.open("wb") as output:
            write_workload(output, name, packets, sources)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}; name another file") from error


_ENDED = {
    "loss": "faster loses packets",
    "sender": "the sender cannot send faster",
    "range": "faster was not tried",
}


@click.command("bench-live")
@click.option("--sensor", metavar="COMMAND", default=live.DEFAULT_SENSOR, show_default=True,
              help="The command that captures; braces stand for what it is given.")  # fmt: skip
@click.option("--workload", "name", type=click.Choice(list(DESCRIPTIONS)), default="factory",
              show_default=True, help="What is sent.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10, show_default=True,
              help="How long each rate is sent.")  # fmt: skip
@click.option("--first", type=click.IntRange(min=1), default=live.FIRST_RATE, show_default=True,
              help="Packets a second to begin with.")  # fmt: skip
@_minute
@_captures
@click.option("--json", "print_json", is_flag=True, help="Print JSON instead of text.")
def bench_live(
    sensor: str,
    name: str,
    seconds: float,
    first: int,
    minute: Path | None,
    captures: Path | None,
    print_json: bool,
) -> None:
    """Find the rate up to which the capture loses no packet, and that of tcpdump.

    Needs root: tcpreplay sends over a pair of interfaces in network namespaces of their own. What
    was sent and is not in the files was lost.
    """
    sources = _sources(minute, captures)
    why = live.obstacle() or missing(name, sources)
    if why:
        raise UsageError(why)
    found = live.compare(
        {"sensor": sensor, "tcpdump": live.TCPDUMP},
        name,
        sources,
        seconds=seconds,
        first=first,
        say=lambda line: click.echo(line, err=True),
    )
    if print_json:
        data = {
            "machine": machine(),
            "workload": name,
            "programs": {
                one: {
                    "packets_per_second": round(result.best.rate) if result.best else 0,
                    "megabits_per_second": round(result.best.megabits, 3) if result.best else 0,
                    "share_of_a_core": round(result.best.share, 4) if result.best else None,
                    "limit": result.limit,
                }
                for one, result in found.items()
            },
        }
        click.echo(json.dumps(data, indent=2))
        return
    for one, result in found.items():
        best = result.best
        click.echo(
            f"{one}: {best.rate:,.0f} packets/s, {best.megabits:,.1f} Mbit/s without a loss, "
            f"{best.share:.0%} of a core; {_ENDED[result.limit]}"
            if best
            else f"{one}: loses packets at {first:,} packets/s"
        )
