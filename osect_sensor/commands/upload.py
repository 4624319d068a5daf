"""``osect-sensor upload``: the queue of archives to the cloud."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import click

from osect_sensor.commands.options import config_option
from osect_sensor.errors import EXIT_OK, EXIT_UNAVAILABLE

_EPILOG = """\
\b
Exit codes of --once:
    0  the queue is empty
   69  something is left in the queue; it stays there for the next time
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--once", is_flag=True, help="Send what is queued now, and end.")
@click.option(
    "--retry-quarantined",
    is_flag=True,
    help="Put the archives of the quarantine back into the queue first.",
)
def upload(config_file: Path | None, once: bool, retry_quarantined: bool) -> int:
    """Send the archives of the queue to the cloud, oldest first, until stopped."""
    from osect_sensor import config
    from osect_sensor.service import messages
    from osect_sensor.service.files import alone, make_directory
    from osect_sensor.service.layout import Layout
    from osect_sensor.service.notify import ServiceManager
    from osect_sensor.service.transport import Cloud
    from osect_sensor.service.upload import Uploader, release_quarantined

    loaded = config.load(config_file)
    settings = loaded.config
    messages.install(settings.logging.level, config.secrets(settings))
    if not settings.upload.enabled:
        messages.info("upload.disabled", file=str(loaded.file))
        return EXIT_OK
    layout = Layout(settings)
    manager = ServiceManager()
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    make_directory(layout.queue)
    # Two uploaders would send everything twice.
    with alone(layout.state / "upload.lock", "osect-sensor upload"):
        if retry_quarantined:
            for name in release_quarantined(layout):
                messages.info("archive.released", archive=name)
        uploader = Uploader(
            settings.upload,
            layout,
            lambda: Cloud(settings.upload, settings.sensor.label_id, beat=manager.alive),
            beat=manager.alive,
        )
        if once:
            result = uploader.run_once()
            return EXIT_UNAVAILABLE if result.remaining else EXIT_OK
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        manager.ready(f"sending to {settings.upload.host}")
        uploader.run(stop.wait)
        manager.stopping()
    return EXIT_OK
