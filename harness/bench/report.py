"""A benchmark as JSON, as lines for a terminal, and as a page with a plot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from osect_harness.bench.benchmark import FEW, RATES, Result, WorkloadResult
from osect_harness.bench.measure import Series
from osect_harness.bench.tools import SENSOR, YARDSTICK
from osect_harness.bench.workloads import DESCRIPTIONS
from osect_harness.html import cells, html_table, page_end, page_start, text
from osect_harness.output import table, write

MEBI: Final = 1 << 20


def as_json(result: Result) -> dict[str, Any]:
    """The benchmark as plain data, with every single run."""
    start = result.start
    return {
        "machine": result.machine,
        "repeat": result.repeat,
        "yardstick": YARDSTICK,
        "tools": {
            one.name: {"version": one.version, "command": one.command} for one in result.tools
        },
        "missing": result.missing,
        "workloads": {
            one.name: {
                "description": DESCRIPTIONS[one.name],
                "packets": one.packets,
                "octets": one.octets,
                "seconds": round(one.seconds, 6),
                "tools": {name: _tool_json(one, series) for name, series in one.tools.items()},
                "linear": _linear_json(result, one),
            }
            for one in result.workloads
        },
        "logs": {
            "workload": result.logs_workload,
            "each": {name: _series_json(series) for name, series in result.logs.items()},
        },
        "start": {"packets": FEW, **_series_json(start)},
    }


def _series_json(series: Series) -> dict[str, Any]:
    data: dict[str, Any] = {"runs": [dataclasses.asdict(one) for one in series.costs]}
    if series.failure:
        return {"failure": series.failure, **data}
    return {"cpu": series.cpu, "wall": series.wall, "peak": series.peak, **data}


def _tool_json(workload: WorkloadResult, series: Series) -> dict[str, Any]:
    data = _series_json(series)
    if not series.failure:
        data["packets_per_second"] = round(workload.packets_per_second(series))
        data["megabits_per_second"] = round(workload.megabits_per_second(series), 3)
        data["seconds_for_a_minute"] = {
            str(rate): round(workload.minute(series, rate), 4) for rate in RATES
        }
        data["ratio"] = workload.ratio(series)
    return data


def _linear_json(result: Result, workload: WorkloadResult) -> dict[str, Any] | None:
    if not workload.shorter.costs:
        return None
    return {
        "packets": workload.shorter_packets,
        "times_the_packets": workload.packets / workload.shorter_packets,
        "times_the_cpu": result.linearity(workload),
        "more_memory": result.growth(workload),
        "shorter": _series_json(workload.shorter),
    }


HEADER: Final = (
    "tool", "CPU s", "wall s", "packets/s", "Mbit/s",
    *(f"min@{rate}" for rate in RATES), "MiB", f"x {YARDSTICK}",
)  # fmt: skip


def _tool_row(workload: WorkloadResult, name: str, series: Series) -> list[str]:
    if series.failure:
        return [name, *["-"] * (len(HEADER) - 1)]
    ratio = workload.ratio(series)
    return [
        name,
        f"{series.cpu:.2f}",
        f"{series.wall:.2f}",
        f"{workload.packets_per_second(series):,.0f}",
        f"{workload.megabits_per_second(series):,.0f}",
        *(f"{workload.minute(series, rate):.2f}" for rate in RATES),
        f"{series.peak / MEBI:.0f}",
        "-" if ratio is None else f"{ratio:.2f}",
    ]


LEGEND: Final = (
    "CPU s: processor time of the cheapest run; packets/s and Mbit/s: in a second of it; min@N: "
    f"seconds of it for a minute at N Mbit/s; x {YARDSTICK}: CPU s as a multiple of {YARDSTICK}'s"
)


LINEAR_HEADER: Final = ("workload", "times the packets", "times the CPU s", "more MiB")


def _linear_rows(result: Result) -> list[list[str]]:
    rows: list[list[str]] = []
    for one in result.workloads:
        times, growth = result.linearity(one), result.growth(one)
        if growth is not None:
            whole = one.packets / one.shorter_packets
            told = "too few to tell" if times is None else f"{times:.1f}"
            rows.append([one.name, f"{whole:.1f}", told, f"{growth / MEBI:+.1f}"])
    return rows


LOG_HEADER: Final = ("log alone", "CPU s", "of all together")


def _log_rows(result: Result) -> list[list[str]]:
    workload = next((one for one in result.workloads if one.name == result.logs_workload), None)
    whole = workload.good(SENSOR) if workload is not None else None
    rows: list[list[str]] = []
    for name, series in result.logs.items():
        if series.failure:
            rows.append([name, "-", "-"])
        else:
            share = f"{series.cpu / max(whole.cpu, 1e-6):.0%}" if whole is not None else "-"
            rows.append([name, f"{series.cpu:.2f}", share])
    return rows


def _start(result: Result) -> str:
    if result.start.failure:
        return ""
    return (
        f"start to the last row of {FEW} packets: {result.start.wall:.2f} s, "
        f"{result.start.peak / MEBI:.0f} MiB"
    )


def _machine(result: Result) -> str:
    one = result.machine
    return (
        f"{one['processor']}, {one['cores']} cores, {one['memory'] / MEBI:,.0f} MiB, "
        f"{one['system']}, Linux {one['kernel']}; load {one['load']} at the start; "
        f"best of {result.repeat}"
    )


def _failures(result: Result) -> list[str]:
    return [
        *result.missing.values(),
        *(
            f"{one.name}: {name}: {failure}"
            for one in result.workloads
            for name, series in one.tools.items()
            for failure in series.failures
        ),
        *(
            f"{name} alone: {failure}"
            for name, one in result.logs.items()
            for failure in one.failures
        ),
    ]


def lines(result: Result) -> Iterator[str]:
    """The benchmark for a terminal."""
    yield _machine(result)
    yield from (f"{one.name}: {one.version}" for one in result.tools)
    yield from _failures(result)
    yield LEGEND
    for one in result.workloads:
        yield ""
        yield f"{one.name}: {_described(one)}"
        rows = [_tool_row(one, name, series) for name, series in one.tools.items()]
        yield from table([list(HEADER), *rows])
    if linear := _linear_rows(result):
        yield ""
        yield from table([list(LINEAR_HEADER), *linear])
    if result.logs:
        yield ""
        yield f"each log alone, {result.logs_workload}:"
        yield from table([list(LOG_HEADER), *_log_rows(result)])
    if start := _start(result):
        yield ""
        yield start


def _described(one: WorkloadResult) -> str:
    return (
        f"{DESCRIPTIONS[one.name]}; {one.packets:,} packets, {one.octets / 1e6:,.1f} MB, "
        f"{one.seconds:,.1f} s of traffic"
    )


def write_page(result: Result, path: Path) -> None:
    """Write the benchmark as one HTML page."""
    write(path, "".join(_page(result)))


def _page(result: Result) -> Iterator[str]:
    yield from page_start("Benchmark")
    yield f"<p>{text(_machine(result))}</p>\n"
    yield from _plot(result)
    yield f"<p>{text(LEGEND)}.</p>\n"
    for line in _failures(result):
        yield f"<p class=some>{text(line)}</p>\n"
    for one in result.workloads:
        yield f"<h2>{text(one.name)}</h2>\n<p>{text(_described(one))}</p>\n"
        rows = [_tool_row(one, name, series) for name, series in one.tools.items()]
        yield from _table(HEADER, rows)
    if linear := _linear_rows(result):
        yield "<h2>Ten times the packets</h2>\n"
        yield from _table(LINEAR_HEADER, linear)
    if result.logs:
        yield f"<h2>Each log alone, {text(result.logs_workload)}</h2>\n"
        yield from _table(LOG_HEADER, _log_rows(result))
    if start := _start(result):
        yield f"<p>{text(start)}</p>\n"
    yield "<h2>Commands</h2>\n"
    yield from html_table(
        "tool|version|command",
        (
            f"<tr>{cells(one.name)}<td class=left>{text(one.version)}</td>"
            f"<td class=left><code>{text(one.command)}</code></td></tr>\n"
            for one in result.tools
        ),
    )
    yield from page_end()


def _table(header: tuple[str, ...], rows: list[list[str]]) -> Iterator[str]:
    yield from html_table("|".join(header), (f"<tr>{cells(*row)}</tr>\n" for row in rows))


WIDTH: Final = 860
LEFT: Final = 110
RIGHT: Final = 45
TOP: Final = 40
ROW: Final = 34
MARKS: Final = ("circle", "square", "diamond", "triangle", "cross", "bar", "ring")


def _plot(result: Result) -> Iterator[str]:
    """Packets in a second of processor time, a row a workload, a mark a tool, logarithmic."""
    points = [
        (row, name, one.packets_per_second(series))
        for row, one in enumerate(result.workloads)
        for name, series in one.tools.items()
        if not series.failure
    ]
    if not points:
        return
    low = math.floor(math.log10(min(rate for _, _, rate in points)))
    high = max(low + 1, math.ceil(math.log10(max(rate for _, _, rate in points))))
    bottom = TOP + ROW * len(result.workloads)

    def across(rate: float) -> float:
        return LEFT + (math.log10(rate) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    yield "<h2>Packets in a second of processor time</h2>\n"
    yield (
        f'<svg viewBox="0 0 {WIDTH} {bottom + 40}" width={WIDTH} role=img '
        'aria-label="packets in a second of processor time, by workload and tool">\n'
    )
    at = float(LEFT)
    for number, tool in enumerate(result.tools):
        yield _mark(number, at, 14.0, tool.name)
        yield f'<text x="{at + 10:.1f}" y="18">{text(tool.name)}</text>\n'
        at += 30 + 8 * len(tool.name)
    for power in range(low, high + 1):
        x = across(10.0**power)
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" '
            'stroke="currentColor" stroke-opacity=".2"/>'
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor=middle>{10.0**power:,.0f}</text>\n'
        )
    for row, one in enumerate(result.workloads):
        y = TOP + ROW * (row + 0.5)
        yield (
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor=end>{text(one.name)}</text>'
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="currentColor" stroke-opacity=".1"/>\n'
        )
    names = [tool.name for tool in result.tools]
    for row, name, rate in points:
        y = TOP + ROW * (row + 0.5)
        title = f"{result.workloads[row].name}, {name}: {rate:,.0f} packets a second"
        yield _mark(names.index(name), across(rate), y, title)
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{bottom + 34}" text-anchor=middle>'
    yield "packets/s</text>\n</svg>\n"


def _mark(number: int, x: float, y: float, title: str) -> str:
    """A mark of its own shape for each tool; the sensor's is filled."""
    shape = MARKS[number % len(MARKS)]
    drawn = {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6"',
        "square": f'<path d="M{x - 5:.1f} {y - 5:.1f}h10v10h-10z"',
        "diamond": f'<path d="M{x:.1f} {y - 7:.1f}l6 7l-6 7l-6 -7z"',
        "triangle": f'<path d="M{x:.1f} {y - 6:.1f}l6 11h-12z"',
        "cross": f'<path d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"',
        "bar": f'<path d="M{x:.1f} {y - 8:.1f}v16"',
        "ring": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"',
    }[shape]
    fill = "currentColor" if number == 0 else "none"
    return (
        f'{drawn} fill="{fill}" stroke="currentColor" stroke-width="1.6">'
        f"<title>{text(title)}</title></{drawn[1 : drawn.index(' ')]}>\n"
    )
