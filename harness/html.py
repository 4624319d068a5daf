"""The report as one HTML page that needs no network: no script, no font, no picture elsewhere."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from osect_harness.compare import Difference, Tally
from osect_harness.conformance import Report
from osect_harness.contract import load
from osect_harness.explained import Explained
from osect_harness.output import percent, spread, write, xml_text
from osect_harness.timings import Timing

MAX_SHOWN: Final = 40
"""Differences shown of one log; the full list is a file of its own."""

MAX_SLOWEST: Final = 20

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --good: #2e7d32; --some: #b26a00; --bad: #c62828 }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; margin: .6rem 0 1.2rem }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right }
th:first-child, td:first-child, td.left { text-align: left }
thead th { position: sticky; top: 0; background: Canvas }
.good { color: var(--good) } .some { color: var(--some) } .bad { color: var(--bad) }
.bar { display: inline-block; width: 6rem; height: .6rem; background: var(--line) }
.bar i { display: block; height: 100%; background: currentColor }
code, .rows { font: 12.5px/1.5 ui-monospace, monospace }
.rows { overflow-x: auto; margin: .3rem 0 .9rem; border-left: 3px solid var(--line) }
.rows td, .rows th { white-space: pre; text-align: left }
.rows .differs { outline: 2px solid var(--bad); outline-offset: -2px }
details { margin: .4rem 0 } summary { cursor: pointer }
svg text { font: 11px system-ui, sans-serif; fill: currentColor }
"""


def page(
    report: Report, explained: Explained, timings: Sequence[Timing], title: str
) -> Iterator[str]:
    """The page, piece by piece."""
    yield from page_start(title)
    yield from _summary(report)
    yield from _logs(report)
    yield from _fields(report)
    yield from _explained(report, explained)
    yield from _differences(report)
    if timings:
        yield from _slowest(timings)
        yield from _throughput(timings)
    yield from page_end()


def page_start(title: str) -> Iterator[str]:
    """What every page begins with."""
    yield "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
    yield '<meta name=viewport content="width=device-width">\n'
    yield f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n<h1>{text(title)}</h1>\n"


def page_end() -> Iterator[str]:
    """What every page ends with."""
    yield "</html>\n"


def write_html(
    report: Report, explained: Explained, timings: Sequence[Timing], title: str, path: Path
) -> None:
    """Write the page to a file."""
    write(path, "".join(page(report, explained, timings, title)))


def text(value: str) -> str:
    """Text as HTML has it."""
    return escape(xml_text(value))


def _grade(share: float) -> str:
    return "good" if share >= 1 else "some" if share >= 0.99 else "bad"


def _share(share: float) -> str:
    width = f"{share * 100:.1f}"
    return (
        f"<td class={_grade(share)}>{percent(share)} "
        f'<span class=bar><i style="width:{width}%"></i></span></td>'
    )


def html_table(head: str, rows: Iterator[str]) -> Iterator[str]:
    """A table; the names of its columns are separated by bars."""
    names = "".join(f"<th>{text(name)}</th>" for name in head.split("|"))
    yield f"<table><thead><tr>{names}</tr></thead>\n<tbody>\n"
    yield from rows
    yield "</tbody></table>\n"


def cells(*values: object) -> str:
    """Cells of a row, with what they hold as text."""
    return "".join(f"<td>{text(str(value))}</td>" for value in values)


def _summary(report: Report) -> Iterator[str]:
    total = report.total
    verdict = "good" if report.passed else "bad"
    word = "Nothing is left to explain." if report.passed else "Differences are left to explain."
    yield f"<p class={verdict}><strong>{word}</strong></p>\n<p>"
    yield (
        f"{len(report.captures)} captures, {total.total} fields: {total.equal} equal "
        f"({percent(total.share)}), {total.explained} explained, "
        f"{total.total - total.equal - total.explained} left "
        f"({percent(total.share_unexplained)} of the rest equal).</p>\n"
    )
    if report.absent:
        yield f"<p class=bad>{len(report.absent)} captures have no logs of ours.</p>\n"
    if report.stale:
        names = ", ".join(report.stale)
        yield f"<p class=bad>Explained differences that no longer occur: {text(names)}</p>\n"


def _logs(report: Report) -> Iterator[str]:
    def rows() -> Iterator[str]:
        for name, one in report.logs.items():
            tally = one.tally
            yield "<tr>" + cells(
                name, one.captures, one.expected, one.ours, one.expected - one.paired,
                one.ours - one.paired, f"{tally.equal}/{tally.total}",
            ) + _share(tally.share) + cells(tally.explained) + _share(
                tally.share_unexplained
            ) + _share(one.mean) + _share(one.mean_unexplained) + "</tr>\n"  # fmt: skip

    yield "<h2>Agreement by log</h2>\n"
    yield from html_table(
        "log|captures|expected rows|our rows|missing|extra|equal fields|share|explained|"
        "share of the rest|mean over captures|mean of the rest",
        rows(),
    )


def _fields(report: Report) -> Iterator[str]:
    def rows(fields: dict[str, Tally]) -> Iterator[str]:
        for column, tally in fields.items():
            yield (
                f"<tr>{cells(column, f'{tally.equal}/{tally.total}')}{_share(tally.share)}"
                f"{cells(tally.explained)}{_share(tally.share_unexplained)}</tr>\n"
            )

    yield "<h2>Agreement by field</h2>\n"
    for name, one in report.logs.items():
        grade = _grade(one.tally.share_unexplained)
        shown = " open" if one.tally.share_unexplained < 1 else ""
        yield f"<details{shown}><summary class={grade}>{text(name)}</summary>\n"
        yield from html_table("field|equal|share|explained|share of the rest", rows(one.fields))
        yield "</details>\n"


def _explained(report: Report, explained: Explained) -> Iterator[str]:
    counts: dict[str, int] = defaultdict(int)
    for one in report.differences:
        counts[one.explained] += 1

    def rows() -> Iterator[str]:
        for entry in explained.entries:
            if counts[entry.id]:
                yield (
                    f"<tr>{cells(entry.id, counts[entry.id])}"
                    f"<td class=left>{text(entry.log)} {text(entry.field or entry.kind)}</td>"
                    f"<td class=left>{text(entry.reason)}</td></tr>\n"
                )

    if any(counts[entry.id] for entry in explained.entries):
        yield "<h2>Explained differences</h2>\n"
        yield from html_table("entry|fields or rows|what|why", rows())


def _differences(report: Report) -> Iterator[str]:
    left: dict[str, list[Difference]] = defaultdict(list)
    for one in report.differences:
        if not one.explained:
            left[one.log].append(one)
    if not left:
        return
    yield "<h2>Differences</h2>\n"
    for name in report.logs:
        found = left.get(name)
        if not found:
            continue
        some = spread(found, MAX_SHOWN)
        note = f", {len(some)} of them here" if len(some) < len(found) else ""
        yield f"<details><summary>{text(name)}: {len(found)}{note}</summary>\n"
        for one in some:
            yield from _difference(one)
        yield "</details>\n"


def _difference(one: Difference) -> Iterator[str]:
    head = f"{one.capture} row {one.row}"
    if one.kind == "field":
        yield (
            f"<p>{text(head)}: <strong>{text(one.field)}</strong> ({text(one.type)}) expected "
            f"<code>{text(one.expected)}</code>, got <code>{text(one.got)}</code></p>\n"
        )
        yield from _rows(one.log, [("expected", one.expected_row), ("got", one.got_row)])
        return
    yield f"<p>{text(head)}: <strong>{text(one.kind)}</strong></p>\n"
    this, other = ("expected", "nearest of ours") if one.kind == "missing" else ("got", "nearest")
    yield from _rows(one.log, [(this, one.expected or one.got), (other, one.nearest)])


def _rows(log: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    split = [(label, row.split("\t")) for label, row in rows if row]
    if not split:
        return
    differs = [len(set(cells)) > 1 for cells in zip(*(row for _, row in split), strict=False)]
    yield "<div class=rows><table><tr><th></th>"
    yield "".join(f"<th>{text(name)}</th>" for name in load(log).field_names)
    yield "</tr>\n"
    for label, row in split:
        yield f"<tr><th>{label}</th>"
        for at, value in enumerate(row):
            mark = " class=differs" if at < len(differs) and differs[at] else ""
            yield f"<td{mark}>{text(value)}</td>"
        yield "</tr>\n"
    yield "</table></div>\n"


def _slowest(timings: Sequence[Timing]) -> Iterator[str]:
    slowest = sorted(timings, key=lambda one: one.seconds, reverse=True)[:MAX_SLOWEST]

    def rows() -> Iterator[str]:
        for one in slowest:
            yield "<tr>" + cells(
                one.capture, f"{one.seconds:.3f}", one.packets, one.octets,
                f"{one.packets_per_second:,.0f}",
            ) + "</tr>\n"  # fmt: skip

    yield "<h2>Slowest captures</h2>\n"
    yield from html_table("capture|seconds|packets|octets|packets a second", rows())


def _throughput(timings: Sequence[Timing]) -> Iterator[str]:
    """Packets a second over packets, a dot a capture, both axes logarithmic."""
    points = [
        (one, math.log10(one.packets), math.log10(one.packets_per_second))
        for one in timings
        if one.packets > 0 and one.seconds > 0
    ]
    if not points:
        return
    width, height, margin = 860, 360, 60
    left, right = 0, max(1, math.ceil(max(x for _, x, _ in points)))
    bottom = math.floor(min(y for _, _, y in points))
    top = max(bottom + 1, math.ceil(max(y for _, _, y in points)))

    def across(value: float) -> float:
        return margin + (value - left) / (right - left) * (width - margin - 20)

    def down(value: float) -> float:
        return height - 40 - (value - bottom) / (top - bottom) * (height - 60)

    packets = sum(one.packets for one, _, _ in points)
    seconds = sum(one.seconds for one, _, _ in points)
    yield "<h2>Throughput</h2>\n"
    yield (
        f"<p>{packets} packets in {seconds:.1f} seconds of work: "
        f"{packets / seconds:,.0f} packets a second.</p>\n"
    )
    yield (
        f'<svg viewBox="0 0 {width} {height}" width={width} role=img '
        'aria-label="packets a second over packets in the capture">\n'
    )
    for power in range(left, right + 1):
        x = across(power)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{down(top):.1f}" y2="{down(bottom):.1f}" '
        yield 'stroke="currentColor" stroke-opacity=".2"/>'
        yield f'<text x="{x:.1f}" y="{height - 22}" text-anchor=middle>{10**power:,}</text>\n'
    for power in range(bottom, top + 1):
        y = down(power)
        yield f'<line x1="{across(left):.1f}" x2="{across(right):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
        yield 'stroke="currentColor" stroke-opacity=".2"/>'
        label = f"{10.0**power:,.0f}" if power >= 0 else f"{10.0**power:g}"
        yield f'<text x="{margin - 6}" y="{y + 4:.1f}" text-anchor=end>{label}</text>\n'
    for one, x, y in points:
        yield (
            f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r=3 fill="currentColor" '
            f"fill-opacity=.55><title>{text(one.capture)}: {one.packets} packets, "
            f"{one.packets_per_second:,.0f} a second</title></circle>\n"
        )
    yield f'<text x="{width / 2:.0f}" y="{height - 4}" text-anchor=middle>packets</text>\n'
    yield f'<text x="{margin - 50}" y="12">packets a second</text>\n</svg>\n'
