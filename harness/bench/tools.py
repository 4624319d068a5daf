"""The sensor and the tools that it is compared with: which are installed, how they are run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osect_harness.contract import LOG_NAMES
from osect_harness.errors import UsageError

SENSOR: Final = "sensor"
YARDSTICK: Final = "suricata"
"""The tool by whose cost the others' are divided: it is in every distribution."""

NATIVE_LOGS: Final = tuple(name for name in LOG_NAMES if name != "eve")
"""The logs that the sensor makes itself."""

DEFAULT_SENSOR: Final = "osect-sensor replay {capture} -o {output} --logs {logs}"

COMMANDS: Final = {
    "suricata": "suricata -r {capture} -S /dev/null -l {output} --runmode single",
    "tshark": "tshark -n -r {capture}",
    "p0f": "p0f -r {capture} -o {output}/p0f.log",
    "tcpdump": "tcpdump -r {capture} -w /dev/null",
    "zeek": "zeek -C -r {capture}",
    "yaf": "yaf --in {capture} --out {output}/flows.yaf --mac",
}
"""How each is run; the braces stand for the paths. Their configuration is that of the machine,
Suricata has no rules. Each may write into the directory in which it runs."""

_VERSION: Final = {
    "suricata": "-V",
    "tshark": "--version",
    "p0f": "-h",
    "tcpdump": "--version",
    "zeek": "--version",
    "yaf": "--version",
}

_MORE_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/opt/zeek/bin:/usr/local/zeek/bin"
"""Where some are installed without being in everybody's path."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that reads captures."""

    name: str
    version: str
    command: str
    """With ``{capture}``, ``{output}`` and, for the sensor, ``{logs}``."""

    def line(self, capture: Path, output: Path, logs: tuple[str, ...] = NATIVE_LOGS) -> list[str]:
        """The words of the command for a capture."""
        values = {"{capture}": str(capture), "{output}": str(output), "{logs}": ",".join(logs)}
        words = shlex.split(self.command)
        for key, value in values.items():
            words = [word.replace(key, value) for word in words]
        return words


def sensor_tool(command: str) -> Tool:
    """The sensor that a command stands for."""
    words = shlex.split(command)
    if "{capture}" not in command or "{output}" not in command or not words:
        raise UsageError(
            f"the sensor's command {command!r} must name {{capture}} and {{output}}, and "
            f"{{logs}} for the cost of each log, as in {DEFAULT_SENSOR!r}"
        )
    path = program(words[0])
    if not path:
        raise UsageError(f"{words[0]} is not installed: give --sensor")
    line = shlex.join([path, *words[1:]])
    return Tool(SENSOR, _first_line([path, *_module(words), "--version"]), line)


def _module(words: list[str]) -> list[str]:
    """What an interpreter runs, where the sensor is run by one."""
    if not Path(words[0]).name.startswith("python"):
        return []
    return words[1:3] if words[1:2] == ["-m"] else words[1:2]


def find_tools(wanted: tuple[str, ...]) -> tuple[list[Tool], dict[str, str]]:
    """The tools that are installed, and a line about each that is not."""
    tools: list[Tool] = []
    missing: dict[str, str] = {}
    for name in wanted:
        path = program(name)
        if path:
            command = shlex.join([path, *shlex.split(COMMANDS[name])[1:]])
            tools.append(Tool(name, _first_line([path, _VERSION[name]]), command))
        else:
            missing[name] = f"{name} is not installed"
    return tools, missing


def program(name: str) -> str:
    """Path of a program: beside this interpreter first, where a virtual environment has it."""
    if "/" in name:
        return name if Path(name).is_file() else ""
    beside = str(Path(sys.executable).parent)
    return (
        shutil.which(name, path=beside)
        or shutil.which(name)
        or shutil.which(name, path=_MORE_PATH)
        or ""
    )


def _first_line(command: list[str]) -> str:
    """The first line with a version number that a command says, wherever it says it."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    return next((line.strip(" -") for line in lines if re.search(r"\d+\.\d", line)), "unknown")
