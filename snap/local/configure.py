"""The snap's configure hook: puts the options of ``snap set`` into config.toml.

The file is the one truth: an option is written into it and then forgotten by snapd, so that what an
administrator edits by hand is not overruled later. A wrong value is refused, with the words of
``osect-sensor config check``, and the file stays as it was.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osect_sensor import config

KEY = re.compile(r"(?:# )?([\w-]+) = ")
"""A key of the configuration, also where its default is shown in a comment."""


def snapctl(*arguments: str) -> str:
    """What snapctl answers."""
    return subprocess.run(
        ["snapctl", *arguments], check=True, capture_output=True, text=True
    ).stdout


def options(tree: dict[str, Any]) -> Iterator[tuple[str, str, object]]:
    """(section, key, value) of each option that snapd has."""
    for section, values in tree.items():
        if not isinstance(values, dict):
            sys.exit(f"{section}: no such option; options are SECTION.KEY, as capture.interface")
        for key, value in values.items():
            yield section.replace("-", "_"), key.replace("-", "_"), value


def with_option(text: str, section: str, key: str, value: object) -> str:
    """The configuration ``text`` with one key set, in its place, comments kept."""
    shown = json.dumps(value, ensure_ascii=False)
    lines = text.splitlines()
    try:
        start = lines.index(f"[{section}]") + 1
    except ValueError:
        return "\n".join([*lines, "", f"[{section}]", f"{key} = {shown}"]) + "\n"
    end = next((i for i in range(start, len(lines)) if lines[i].startswith("[")), len(lines))
    place, key_there = -1, key
    for number in range(start, end):
        match = KEY.match(lines[number])
        if match is not None and match[1].replace("-", "_") == key:
            # The last one: where both a comment and a value are there, the value follows. Its
            # spelling is the configuration's, which has hyphens in the names of logs.
            place, key_there = number, match[1]
    if place >= 0:
        lines[place] = f"{key_there} = {shown}"
    else:
        lines.insert(start, f"{key} = {shown}")
    return "\n".join(lines) + "\n"


def check(path: Path) -> None:
    """Refuse what is wrong; what is merely missing may come with the next option."""
    environment = {**os.environ, f"{config.ENVIRONMENT_PREFIX}UPLOAD_ENABLED": "false"}
    try:
        config.load(path, environment)
    except config.ConfigError as error:
        path.unlink()
        sys.exit("\n".join(problem.partition(": ")[2] for problem in error.problems))


def restart_running() -> None:
    """Have the services that run read the new configuration."""
    for line in snapctl("services").splitlines()[1:]:
        name, _, state = line.split()[:3]
        if state == "active":
            snapctl("restart", name)


def main() -> None:
    """Run the hook."""
    path = Path(os.environ[config.CONFIG_VARIABLE])
    names = [section.replace("_", "-") for section in config.SECTIONS]
    given = list(options(json.loads(snapctl("get", "-d", *names) or "{}")))
    if path.exists() and not given:
        return
    text = path.read_text(encoding="utf-8") if path.exists() else config.example()
    for section, key, value in given:
        text = with_option(text, section, key, value)
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    check(new)
    new.replace(path)
    for name in sorted({section.replace("_", "-") for section, _, _ in given}):
        snapctl("unset", name)
    if given:
        restart_running()


if __name__ == "__main__":
    main()
