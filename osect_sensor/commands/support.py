"""``osect-sensor support``: what others need to look into this sensor's troubles."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from osect_sensor.commands.options import config_option
from osect_sensor.errors import EXIT_OK, OsectError

_EPILOG = """\
\b
Examples:
  osect-sensor support
  osect-sensor support --upload
  osect-sensor support --send /var/lib/osect-sensor/support/sosreport-….tar.xz
\b
Exit codes:
    0  done
   69  there is no report (sos is missing or failed), or the cloud did not take it
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--upload", is_flag=True, help="Send the report to the cloud.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to put the report; default: support/ in the sensor's state directory.",
)
@click.option(
    "--send",
    "existing",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Send this report instead of making one.",
)
@click.option("--state", is_flag=True, help="Only print what the sensor itself knows, as JSON.")
def support(
    config_file: Path | None,
    upload: bool,
    output: Path | None,
    existing: Path | None,
    state: bool,
) -> int:
    """Make a support report with sos, and send it if asked.

    Beside sos' own it holds the sensor's configuration without secrets, its queue, its logs, and
    where Docker is present the logs of its host. It holds no packets and no private keys of the
    sensor.
    """
    from osect_sensor import config
    from osect_sensor.service import messages

    loaded = config.load(config_file)
    settings = loaded.config
    messages.install(settings.logging.level, config.secrets(settings))
    if state:
        from osect_sensor.support.state import sensor_state

        click.echo(json.dumps(sensor_state(loaded), indent=2, ensure_ascii=False))
        return EXIT_OK
    from osect_sensor.service.transport import Cloud
    from osect_sensor.support.report import SupportReport, send

    sending = upload or existing is not None
    if sending and not settings.upload.host:
        raise OsectError("upload.host is not set", f"name the cloud's host in {loaded.file}")
    report = existing
    if report is None:
        directory = output or Path(settings.sensor.state) / "support"
        report = SupportReport(loaded.file.resolve()).make(directory)
        click.echo(f"{report}")
    if sending:
        with Cloud(settings.upload, settings.sensor.label_id) as cloud:
            send(report, cloud, time.sleep)
    return EXIT_OK
