"""``osect-sensor capture``: the mirror port to capture files, one a period."""

from __future__ import annotations

from pathlib import Path

import click

from osect_sensor.commands.options import config_option

_EPILOG = """\
\b
Examples:
  osect-sensor capture
  osect-sensor capture --interface eth1
  ssh tap tcpdump -i eth1 -U -w - | osect-sensor capture --read -
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--interface", default="", metavar="NAME", help="Capture there instead.")
@click.option(
    "--read",
    default="",
    metavar="FILE",
    help="Read this pcap stream (- is standard input) instead of an interface.",
)
def capture(config_file: Path | None, interface: str, read: str) -> int:
    """Write what passes the mirror port to the spool: a file for each period.

    It needs CAP_NET_RAW unless it reads a stream, and nothing else that is special.
    """
    from osect_sensor import config
    from osect_sensor.service import messages
    from osect_sensor.service.capture import CaptureProcess

    loaded = config.load(config_file)
    messages.install(loaded.config.logging.level, config.secrets(loaded.config))
    return CaptureProcess(loaded.config, interface, read).run()
