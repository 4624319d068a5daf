"""``osect-sensor schema``: the catalog of logs for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from osect_sensor.errors import OsectError
from osect_sensor.logs.catalog import FRAMING_BARE, FRAMING_ONE_LINE, OSECT_2023, Log

_FRAMINGS = {
    "zeek": "Zeek: 8 header lines, TAB-separated rows, #close",
    FRAMING_ONE_LINE: "1 header line, TAB-separated rows",
    FRAMING_BARE: "TAB-separated rows without a header",
    "eve": "one JSON object a line",
}


def _as_data(log: Log) -> dict[str, object]:
    return {
        "name": log.name,
        "file": log.file_name,
        "framing": log.framing,
        "header_lines": log.header_lines(),
        "subject": log.subject,
        "row": log.row,
        "fields": [
            {
                "name": field.name,
                "type": field.type_name,
                "meaning": field.meaning,
                "recorded": field.recorded,
            }
            for field in log.fields
        ],
    }


def _table(rows: Sequence[tuple[str, ...]], indent: str) -> str:
    """``rows`` with their columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join(
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in rows
    )


def _as_text(log: Log) -> str:
    text = f"{log.file_name} — {log.subject}\n"
    text += f"  one row: {log.row}\n  framing: {_FRAMINGS[log.framing]}\n"
    if not log.fields:
        return text
    rows = [
        (field.name, field.type_name, field.meaning + ("" if field.recorded else " (not recorded)"))
        for field in log.fields
    ]
    return text + _table(rows, "    ")


@click.command()
@click.argument("logs", nargs=-1, metavar="[LOG]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--list", "names_only", is_flag=True, help="Print one line a log, no fields.")
def schema(logs: tuple[str, ...], as_json: bool, names_only: bool) -> None:
    """Show the logs (all, or those named) and their fields.

    Of each field: its name, its Zeek type, and its meaning.
    """
    chosen: list[Log] = []
    for name in logs or OSECT_2023.names():
        log = OSECT_2023.find(name)
        if log is None:
            raise OsectError(
                f"no log is called {name}", "the logs are " + ", ".join(OSECT_2023.names())
            )
        chosen.append(log)
    if as_json:
        data = {"dialect": OSECT_2023.name, "logs": [_as_data(log) for log in chosen]}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif names_only:
        rows = [(log.name, log.file_name, log.framing, log.subject) for log in chosen]
        click.echo(_table(rows, ""), nl=False)
    else:
        click.echo("\n".join(_as_text(log) for log in chosen), nl=False)
