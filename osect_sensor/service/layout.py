"""Where the sensor keeps things: every path below its directories, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from osect_sensor.config import Config
from osect_sensor.service.files import make_directory

ARCHIVE_PREFIX: Final = "realtime-"
ARCHIVE_SUFFIX: Final = ".tar.zst"


class Layout:
    """The paths of one configuration."""

    def __init__(self, config: Config) -> None:
        state = Path(config.sensor.state)
        spool = Path(config.capture.spool)
        runtime = Path(config.sensor.runtime)
        self.state: Final = state
        self.runtime: Final = runtime
        self.incoming: Final = spool / "incoming"
        """Captures whose windows are not archived yet: the write-ahead log."""
        self.kept: Final = spool / "kept"
        """Captures whose windows are archived, until retention deletes them."""
        self.failed: Final = spool / "failed"
        """Captures set aside because the generators fail on them, until retention deletes them."""
        self.queue: Final = state / "queue"
        """Archives to upload."""
        self.uploaded: Final = state / "uploaded"
        """Archives that the cloud has acknowledged, until retention deletes them."""
        self.quarantine: Final = state / "quarantine"
        """Archives that the cloud refuses for good, each with a .reason file."""
        self.windows: Final = state / "windows"
        """Windows being generated."""
        self.checkpoints: Final = state / "checkpoints"
        self.suricata: Final = state / "suricata"
        """Working directory of the resident Suricata."""
        self.rules: Final = state / "rules"
        self.rules_report: Final = state / "rules-report.json"
        """What the cloud is still to be told of the rules: the latest report only."""
        self.capture_status: Final = runtime / "capture.json"
        self.cycle_status: Final = runtime / "cycle.json"
        self.upload_status: Final = runtime / "upload.json"
        self.rules_status: Final = runtime / "rules.json"

    def make_capture(self) -> None:
        """Make what the capture process needs."""
        make_directory(self.incoming)
        make_directory(self.kept)
        make_directory(self.runtime)

    def make_cycle(self) -> None:
        """Make what the minute cycle needs."""
        self.make_capture()
        for path in (
            self.queue, self.uploaded, self.quarantine, self.windows, self.checkpoints,
            self.suricata,
        ):  # fmt: skip
            make_directory(path)


def archive_names(directory: Path) -> list[str]:
    """Names of the complete archives in ``directory``, oldest first."""
    try:
        return sorted(
            path.name
            for path in directory.iterdir()
            if path.name.startswith(ARCHIVE_PREFIX) and path.name.endswith(ARCHIVE_SUFFIX)
        )
    except FileNotFoundError:
        return []
