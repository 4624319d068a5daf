"""Logs back from their files, whatever their framing."""

from __future__ import annotations

import json
from typing import Final, final

from osect_sensor.logs.catalog import FRAMING_EVE, FRAMING_ONE_LINE, FRAMING_ZEEK, Log

_HEX_DIGITS: Final = "0123456789abcdefABCDEF"


@final
class LogContents:
    """What a log's file holds; values stay text, as written."""

    def __init__(self) -> None:
        self.header: list[str] = []
        """The lines before the first row."""
        self.fields: list[str] = []
        """Names of the columns: the header's, or the catalog's for a log without a header."""
        self.rows: list[list[str]] = []
        self.events: list[dict[str, object]] = []
        """The objects of eve.json."""
        self.closed: str = ""
        """The ``#close`` line, empty where there is none."""

    def column(self, name: str) -> list[str]:
        """The values of the field ``name``, a row each."""
        index = self.fields.index(name)
        return [row[index] for row in self.rows]

    def records(self) -> list[dict[str, str]]:
        """The rows as mappings from field name to value."""
        return [dict(zip(self.fields, row, strict=True)) for row in self.rows]


def read_log(path: str, log: Log) -> LogContents:
    """Read the file ``path``, which is framed as ``log``.

    Raises ``ValueError``, naming the line, where the text is not in that framing.
    """
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        lines = file.read().split("\n")
    if lines[-1] != "":
        raise ValueError(f"{path}:{len(lines)}: the last line is cut off")
    lines.pop()
    contents = LogContents()
    if log.framing == FRAMING_EVE:
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except RecursionError as error:
                raise ValueError(f"{path}:{number}: JSON too deep") from error
            if not isinstance(event, dict):
                raise ValueError(f"{path}:{number}: not a JSON object")
            contents.events.append(event)
        return contents
    header_lines = log.header_lines()
    contents.header = lines[:header_lines]
    if len(contents.header) < header_lines:
        raise ValueError(f"{path}: the header is cut off")
    for number, line in enumerate(contents.header, 1):
        if not line.startswith("#"):
            raise ValueError(f"{path}:{number}: not a header line")
    last = len(lines)
    if log.framing == FRAMING_ZEEK:
        if last == header_lines or not lines[-1].startswith("#close"):
            raise ValueError(f"{path}: #close is missing")
        last -= 1
        contents.closed = lines[last]
    contents.fields = _field_names(path, log, contents.header)
    for number in range(header_lines, last):
        row = lines[number].split("\t")
        if len(row) != len(contents.fields):
            raise ValueError(
                f"{path}:{number + 1}: {len(row)} values for {len(contents.fields)} fields"
            )
        contents.rows.append(row)
    return contents


def _field_names(path: str, log: Log, header: list[str]) -> list[str]:
    if log.framing == FRAMING_ZEEK:
        for line in header:
            if line.startswith("#fields\t"):
                return line.split("\t")[1:]
        raise ValueError(f"{path}: the #fields line is missing")
    if log.framing == FRAMING_ONE_LINE:
        return header[0][1:].split("\t")
    return log.field_names()


def unescape(value: str) -> bytes:
    """The octets that ``string_text`` wrote as ``value``; what is no escape stands for itself."""
    octets = bytearray()
    index = 0
    while index < len(value):
        if value.startswith("\\\\", index):
            octets.append(0x5C)
            index += 2
        elif (
            value.startswith("\\x", index)
            and len(value) >= index + 4
            and value[index + 2] in _HEX_DIGITS
            and value[index + 3] in _HEX_DIGITS
        ):
            octets.append(int(value[index + 2 : index + 4], 16))
            index += 4
        else:
            octets.extend(value[index].encode("utf-8", "surrogateescape"))
            index += 1
    return bytes(octets)
