"""Options that several subcommands have."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration; default: $OSECT_SENSOR_CONFIG or /etc/osect-sensor/config.toml.",
)
