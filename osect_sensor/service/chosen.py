"""The real tools that the configuration asks for."""

from __future__ import annotations

from pathlib import Path

from osect_sensor.config import Config
from osect_sensor.generators.external import ExternalTool
from osect_sensor.generators.p0f import P0f
from osect_sensor.generators.yaf import Yaf
from osect_sensor.generators.zeek import Zeek


def external_tools(config: Config) -> list[ExternalTool]:
    """The tools that write logs; raises where one is not installed."""
    logs: dict[str, list[str]] = {}
    for log, tool in config.generators.chosen().items():
        logs.setdefault(tool, []).append(log)
    patience = float(config.generators.patience)
    tools: list[ExternalTool] = []
    if "zeek" in logs:
        tools.append(Zeek(logs["zeek"], config.generators.zeek_scripts, patience))
    if "yaf" in logs:
        tools.append(Yaf(logs["yaf"], patience))
    if "p0f" in logs:
        tools.append(P0f(logs["p0f"], Path(config.sensor.fingerprints), patience))
    return tools
