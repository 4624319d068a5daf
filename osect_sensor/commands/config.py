"""``osect-sensor config``: check, show, or start a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import click

from osect_sensor import config as configuration
from osect_sensor.commands.options import config_option


@click.group(name="config")
def config() -> None:
    """Check the configuration, show it, or print one to start from."""


@config.command()
@config_option
def check(config_file: Path | None) -> None:
    """Say whether the configuration is right; every problem is a line."""
    loaded = configuration.load(config_file)
    click.echo(f"{loaded.file}: ok")


@config.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config_file: Path | None, as_json: bool) -> None:
    """Show every setting with where its value comes from; secrets are masked."""
    loaded = configuration.load(config_file)
    rows = configuration.shown(loaded)
    if as_json:
        data = {
            key: {"value": value, "origin": origin.source, "where": origin.where}
            for key, value, origin in rows
        }
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    texts = [
        (key, json.dumps(value, ensure_ascii=False), origin.where or origin.source)
        for key, value, origin in rows
    ]
    width = max(len(key) for key, _, _ in texts)
    value_width = max(len(value) for _, value, _ in texts)
    for key, value, origin_text in texts:
        click.echo(f"{key:<{width}}  {value:<{value_width}}  {origin_text}")


@config.command()
def example() -> None:
    """Print a configuration with every key, its default, and what it means."""
    click.echo(configuration.example(), nl=False)
