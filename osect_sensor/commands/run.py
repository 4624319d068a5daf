"""``osect-sensor run``: captures in the spool to archives in the queue."""

from __future__ import annotations

from pathlib import Path

import click

from osect_sensor.commands.options import config_option


@click.command()
@config_option
@click.option(
    "--until-idle", is_flag=True, help="End when no capture is left, instead of waiting for more."
)
def run(config_file: Path | None, until_idle: bool) -> int:
    """Make a window of each capture in the spool, and an archive of each window.

    It needs no privileges and no network.
    """
    from osect_sensor import config
    from osect_sensor.service import messages
    from osect_sensor.service.cycle import Cycle
    from osect_sensor.service.files import alone
    from osect_sensor.service.layout import Layout

    loaded = config.load(config_file)
    messages.install(loaded.config.logging.level, config.secrets(loaded.config))
    layout = Layout(loaded.config)
    layout.make_cycle()
    with alone(layout.state / "run.lock", "osect-sensor run"):
        return Cycle(loaded.config).run(until_idle)
