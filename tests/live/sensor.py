"""A sensor of real processes in a directory of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import IO

import zstandard

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "pcaps" / "built"
SEED = 815


class Sensor:
    """The directories, the configuration, and the commands on them."""

    def __init__(self, root: Path, prefix: tuple[str, ...] = (), **settings: object) -> None:
        """``settings``: ``section__key=value`` beyond what a test sensor has anyway."""
        self.root = root
        self.prefix = prefix
        self.incoming = root / "spool" / "incoming"
        self.kept = root / "spool" / "kept"
        self.queue = root / "state" / "queue"
        self.runtime = Path(str(settings.get("sensor__runtime", root / "run")))
        values: dict[str, object] = {
            "sensor.period": 1,
            "sensor.report_interval": 1,
            "sensor.state": str(root / "state"),
            "sensor.runtime": str(root / "run"),
            "sensor.fingerprints": str(root / "none.fp"),
            "capture.spool": str(root / "spool"),
            "capture.minimum_free": 0,
            "suricata.enabled": False,
            "upload.enabled": False,
            "rules.enabled": False,
            "retention.minimum_free": 0,
            "recovery.checkpoint_interval": 5,
        }
        values |= {key.replace("__", "."): value for key, value in settings.items()}
        root.mkdir(parents=True, exist_ok=True)
        (root / "none.fp").touch()
        self.config = root / "config.toml"
        sections: dict[str, list[str]] = {}
        for key, value in values.items():
            section, name = key.split(".")
            sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
        self.config.write_text(
            "".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
        )
        self.log = root / "log"

    def seed(self) -> None:
        """Have the uids repeatable."""
        directory = self.root / "state" / "checkpoints"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "checkpoint.json").write_text(
            json.dumps({"seed": SEED, "format": 1, "states": []})
        )

    def line(self, *words: str) -> list[str]:
        """The command line of a subcommand."""
        head = [*self.prefix, sys.executable, "-m", "osect_sensor"]
        return [*head, *words, "--config", str(self.config)]

    def start(self, *words: str, stdin: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start a subcommand; what it says goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.line(*words),
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stderr=log,
                cwd=ROOT,
            )

    def call(self, *words: str, stdin: IO[bytes] | None = None) -> None:
        """Run a subcommand to its end."""
        process = self.start(*words, stdin=stdin)
        assert process.wait(120) == 0, self.log.read_text()[-3000:]

    def archives(self) -> dict[str, bytes]:
        """What is in the queue."""
        return {path.name: path.read_bytes() for path in sorted(self.queue.glob("realtime-*"))}

    def said(self, event: str) -> int:
        """How often the sensor logged an event."""
        return self.log.read_text().count(f"event={event}")


def members(archive: bytes) -> dict[str, str]:
    """The logs in an archive."""
    data = zstandard.ZstdDecompressor().stream_reader(archive).read()
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read().decode("utf-8", "surrogateescape")
    return found


def wait_for(condition: object, seconds: float = 20.0) -> bool:
    """Wait until ``condition()`` holds."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
