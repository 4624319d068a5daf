"""The command ``osect-harness``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from osect_harness import check, cluster, conformance, html, output, replaying
from osect_harness.adapters import Profile, golden_profile
from osect_harness.bench.command import bench, bench_live, workload
from osect_harness.compare import Options
from osect_harness.contract import LOG_NAMES
from osect_harness.errors import FAILED, OK, USAGE, UsageError
from osect_harness.explained import Explained, load_explained
from osect_harness.timings import load_timings

DIRECTORY = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
TABLES = [name for name in LOG_NAMES if name != "eve"]


CLOUD_EPILOG = """\
\b
Faults, each with times=N (1; 0 is for ever) and name=PATTERN of the files that it befalls:
  status              status=N (503), retry_after=SECONDS or a date
  slow                seconds=N for each kibibyte
  stall               octets=N, seconds=N: stops reading, then cuts the connection
  reset               octets=N: cuts the connection
  lost-response       keeps the archive, then cuts the connection
  late-response       seconds=N
  tls-expired, tls-wrong-ca, tls-wrong-name, tls-client-refused
\b
While it runs:
  curl -H 'Content-Type: application/json' -d '{"kind": "status", "status": 503, "times": 3}' \\
      http://127.0.0.1:8444/faults
  curl -X DELETE http://127.0.0.1:8444/faults
  curl http://127.0.0.1:8444/state.json
"""


class _Group(click.Group):
    """Turns what the harness cannot use into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            click.echo(f"osect-harness: {error}", err=True)
            sys.exit(USAGE)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Judge the logs of a sensor.

    Exit codes: 0 everything holds, 1 the logs break the contract or differ, 2 the harness was
    given something it cannot use.
    """


# ParamType takes a parameter since click 8.4 and none in the versions that Debian has.
class _Time(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Epoch seconds or an ISO 8601 time, UTC unless it says otherwise; as microseconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        try:
            if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
                return int(Decimal(value) * 1_000_000)
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither epoch seconds nor an ISO 8601 time", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000)


@cli.command("check")
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(LOG_NAMES),
    help="This log is not written; may be repeated.",
)
@click.option("--since", type=_Time(), help="No time is earlier (epoch seconds or ISO 8601).")
@click.option("--until", type=_Time(), help="No time is later.")
@click.option("--any-time", is_flag=True, help="Accept times of any order of magnitude.")
@click.option(
    "--unfinished",
    is_flag=True,
    help="The sensor still runs: connections seen in the last two windows need not be "
    "in conn.log yet.",
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Violations to print.",
)
@click.option("--junit", type=FILE, help="Write a JUnit file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def check_command(
    directory: Path,
    without: tuple[str, ...],
    since: int | None,
    until: int | None,
    any_time: bool,
    unfinished: bool,
    show: int,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Check the logs in DIRECTORY against the contract.

    DIRECTORY holds the logs, or one directory of logs for each window.
    """
    options = check.CheckOptions(
        without=frozenset(without),
        since=since,
        until=until,
        any_time=any_time,
        unfinished=unfinished,
    )
    report = check.check(directory, options)
    if junit:
        output.write_check_junit(report, junit)
    if as_json:
        _print([json.dumps(output.check_json(report, show), indent=2, sort_keys=True)])
    else:
        _print(check.violation_lines(report, show))
    sys.exit(FAILED if report.total else OK)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line.encode("utf-8", "backslashreplace").decode())


def _comparison_options(command: Any) -> Any:
    for option in reversed(
        [
            click.option("--jobs", "-j", "jobs_count", type=click.IntRange(min=1), default=None,
                         help="Processes to use; all cores by default."),
            click.option("--log", "logs", multiple=True, type=click.Choice(TABLES),
                         help="Compare only this log; may be repeated."),
            click.option("--show", type=click.IntRange(min=0), default=25, show_default=True,
                         help="Differences to print."),
            click.option("--diff", "diff_file", type=FILE, help="Write every difference here."),
            click.option("--html", "html_file", type=FILE, help="Write a report as one HTML page."),
            click.option("--timings", "timings_file", type=FILE,
                         help="How long each capture took, for the HTML report (JSON)."),
            click.option("--junit", type=FILE, help="Write a JUnit file."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text."),
            click.option("--scheduler", metavar="ADDRESS",
                         help="Compare on the Dask cluster of this scheduler."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


@cli.command("conformance")
@click.argument("ours", type=DIRECTORY)
@click.argument("golden", type=DIRECTORY)
@click.option("--capture", default="*", help="Compare only captures whose name matches.")
@click.option(
    "--explained",
    "explained_file",
    type=FILE,
    help="List of explained differences instead of the reviewed one.",
)
@click.option("--no-explained", is_flag=True, help="Explain nothing.")
@click.option(
    "--p0f-os", is_flag=True, help="Score p0f's label too: both sides used the same database."
)
@_comparison_options
def conformance_command(
    ours: Path,
    golden: Path,
    capture: str,
    explained_file: Path | None,
    no_explained: bool,
    p0f_os: bool,
    **common: Any,
) -> None:
    """Compare OURS with what the real tools wrote, GOLDEN.

    Both hold one directory a capture, with the logs in it, at the same relative place.
    """  # fmt: skip
    if explained_file is not None and not explained_file.is_file():
        raise UsageError(f"{explained_file} does not exist: name a list of explained differences")
    explained = Explained() if no_explained else load_explained(explained_file)
    options = Options(
        profile=golden_profile(),
        explained=explained,
        logs=frozenset(common["logs"]),
        unscored=frozenset() if p0f_os else frozenset({("p0f-k", "os")}),
    )
    title = f"Conformance of {ours} with {golden}"
    _finish(title, conformance.plan(ours, golden, capture), options, **common)


@cli.command("replay")
@click.argument("captures", type=DIRECTORY)
@click.argument("outputs", type=DIRECTORY)
@click.option(
    "--sensor",
    default=replaying.DEFAULT_SENSOR,
    show_default=True,
    metavar="COMMAND",
    help="What to run for each capture.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(LOG_NAMES),
    help="This log is not written; may be repeated.",
)
@click.option("--no-check", is_flag=True, help="Do not check the logs against the contract.")
@click.option("--jobs", "-j", "jobs_count", type=click.IntRange(min=1), help="Captures at once.")
@click.option("--timings", "timings_file", type=FILE, help="Write how long each capture took.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def replay_command(
    captures: Path,
    outputs: Path,
    sensor: str,
    without: tuple[str, ...],
    no_check: bool,
    jobs_count: int | None,
    timings_file: Path | None,
    as_json: bool,
) -> None:
    """Run a sensor over every capture in CAPTURES and check its logs.

    They come to lie at the same relative place in OUTPUTS, as conformance wants them.
    """
    options = None if no_check else check.CheckOptions(without=frozenset(without), any_time=True)
    with _progress(len(replaying.find(captures))) as advance:
        outcomes = replaying.run(
            captures, outputs, sensor, options, jobs_count or 0, lambda _: advance()
        )
    if timings_file:
        output.write(timings_file, json.dumps(replaying.timings(outcomes), indent=1))
    bad = [one for one in outcomes if not one.good]
    if as_json:
        _print([json.dumps([asdict(one) for one in outcomes], indent=1)])
    else:
        _print(
            f"{one.capture}: {one.failure or f'{one.violations} violations of the contract'}"
            for one in bad
        )
        _print(
            [
                f"{len(outcomes)} captures, {sum(one.packets for one in outcomes)} packets, "
                f"slowest {max(one.seconds for one in outcomes):.2f} s: "
                + (f"{len(bad)} failed" if bad else "all as the contract says")
            ]
        )
    sys.exit(FAILED if bad else OK)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal, silence in a pipe."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=total, file=sys.stderr, label="replaying") as bar:
        yield lambda: bar.update(1)


@cli.command("diff")
@click.argument("old", type=DIRECTORY)
@click.argument("new", type=DIRECTORY)
@_comparison_options
def diff_command(old: Path, new: Path, **common: Any) -> None:
    """Compare the logs of two trees, or of two directories, record by record."""
    options = Options(profile=Profile(), logs=frozenset(common["logs"]))
    title = f"Differences from {old} to {new}"
    _finish(title, conformance.plan_union(old, new), options, **common)


def _finish(
    title: str,
    jobs: list[conformance.Job],
    options: Options,
    *,
    jobs_count: int | None,
    **common: Any,
) -> None:
    timings = load_timings(common["timings_file"]) if common["timings_file"] else []
    if common["scheduler"]:
        results = cluster.run_on(common["scheduler"], jobs, options)
    else:
        results = conformance.run(jobs, options, jobs_count or 0)
    report = conformance.summarize(results, options)
    if common["diff_file"]:
        output.write_differences(report, common["diff_file"])
    if common["junit"]:
        output.write_junit(report, common["junit"])
    if common["html_file"]:
        html.write_html(report, options.explained, timings, title, common["html_file"])
    if common["as_json"]:
        _print([json.dumps(output.as_json(report), indent=2, sort_keys=True)])
    else:
        _print(output.text(report, common["show"]))
    sys.exit(OK if report.passed else FAILED)


@cli.command("cloud", epilog=CLOUD_EPILOG)
@click.argument("directory", type=DIRECTORY)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8443,
    show_default=True,
    help="Port of the cloud; 0 is any free one.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65_535),
    default=8444,
    show_default=True,
    help="Port on loopback of the status page and the control endpoint.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Host or address that the certificate is for too; may be repeated.",
)
@click.option(
    "--fault",
    "fault_texts",
    multiple=True,
    metavar="KIND[:KEY=VALUE,...]",
    help="Misbehave; may be repeated. See below.",
)
@click.option("--strict", is_flag=True, help="Refuse logs that break the contract.")
def cloud_command(
    directory: Path,
    host: str,
    port: int,
    control_port: int,
    names: tuple[str, ...],
    fault_texts: tuple[str, ...],
    strict: bool,
) -> None:  # fmt: skip
    """Receive archives as the cloud does, keep and judge them in DIRECTORY.

    Only clients with a certificate of its authority are let in; certificates are made in
    DIRECTORY on first use. Ends on SIGINT or SIGTERM, with exit code 1 when logs that were
    accepted break the contract.
    """
    from osect_harness.cloud.command import serve

    sys.exit(serve(directory, host, port, control_port, names, fault_texts, strict=strict))


cli.add_command(bench)
cli.add_command(bench_live)
cli.add_command(workload)


def main() -> None:
    """Run the command."""
    cli(prog_name="osect-harness")
