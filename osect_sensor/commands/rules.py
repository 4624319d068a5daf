"""``osect-sensor rules``: Suricata's rule set."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import threading
from pathlib import Path
from types import FrameType

import click

from osect_sensor.commands.options import config_option
from osect_sensor.errors import EXIT_OK, EXIT_UNAVAILABLE

_UPDATE_EPILOG = """\
\b
Examples:
  osect-sensor rules update
  osect-sensor rules update --url file:///media/usb/emerging.rules.tar.gz
\b
Exit codes:
    0  the newest rules are in use
   69  they are not: they cannot be had, or Suricata does not load them; the old ones stay
"""


@click.group()
def rules() -> None:
    """Keep Suricata's rules up to date, or say which are in use."""


@rules.command(epilog=_UPDATE_EPILOG)
@config_option
@click.option("--url", metavar="URL", help="Take this tarball (https: or file:) instead.")
@click.option("--force", is_flag=True, help="Fetch them even if their version is in use.")
@click.option(
    "--keep-running",
    is_flag=True,
    help="Update once per interval, with a random delay, until stopped.",
)
def update(config_file: Path | None, url: str | None, force: bool, keep_running: bool) -> int:
    """Fetch, verify and try the newest rules, and put them to use.

    The tarball must match its checksum, and Suricata must load the rules, before they replace the
    old ones.
    """
    from osect_sensor import config
    from osect_sensor.service import messages
    from osect_sensor.service.layout import Layout
    from osect_sensor.service.notify import ServiceManager
    from osect_sensor.service.rules import RulesUpdater

    settings = config.load(config_file).config
    messages.install(settings.logging.level, config.secrets(settings))
    if url is not None:
        settings = dataclasses.replace(
            settings, rules=dataclasses.replace(settings.rules, url=url, version_url="")
        )
    updater = RulesUpdater(settings.rules, settings.suricata.program, Layout(settings))
    if not keep_running:
        changed = updater.update(force)
        messages.info("rules.updated" if changed else "rules.are_latest")
        return EXIT_OK
    if not settings.rules.enabled:
        messages.info("rules.disabled")
        return EXIT_OK
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    manager = ServiceManager()
    manager.ready("keeping the rules up to date")
    updater.run(stop.wait, random.random)
    manager.stopping()
    return EXIT_OK


@rules.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(config_file: Path | None, as_json: bool) -> int:
    """Say which rules are in use, and how the last update went.

    The exit code is 69 where there are none, or the last update failed.
    """
    from osect_sensor import config
    from osect_sensor.service.files import read_json
    from osect_sensor.service.layout import Layout
    from osect_sensor.service.rules import current_rules

    layout = Layout(config.load(config_file).config)
    current = current_rules(layout)
    last = read_json(layout.rules_status) or {}
    problem = str(last.get("problem", ""))
    data = {
        "rules": dataclasses.asdict(current) if current else None,
        "checked_at": last.get("checked_at", ""),
        "updated_at": last.get("updated_at", ""),
        "problem": problem,
    }
    if as_json:
        click.echo(json.dumps(data, indent=2))
    elif current is None:
        click.echo("no rules are installed")
    else:
        click.echo(f"version     {current.version} (md5 {current.md5})")
        click.echo(f"from        {current.url}")
        click.echo(f"installed   {current.installed_at}")
        click.echo(
            f"rules       {current.loaded:,} loaded, {current.failed:,} not understood by"
            f" Suricata {current.suricata}"
        )
    if not as_json:
        if data["checked_at"]:
            click.echo(f"checked     {data['checked_at']}")
        if problem:
            click.echo(f"problem     {problem}")
    return EXIT_UNAVAILABLE if current is None or problem else EXIT_OK
