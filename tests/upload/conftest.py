"""A sensor's queue, its uploader, and the mock cloud at the other end of mutual TLS."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from osect_harness.cloud import MockCloud
from osect_harness.contract import file_names, tabular

from osect_sensor.config import Capture, Config, Sensor, Upload
from osect_sensor.service.layout import Layout
from osect_sensor.service.transport import Cloud
from osect_sensor.service.upload import Uploader

LABEL = "plant-3"


def window(minute: int) -> dict[str, bytes]:
    """The fifteen logs of a minute: an ARP request in each second, nothing else."""
    logs = dict.fromkeys(file_names(), b"")
    for log in tabular():
        names = "\t".join(log.field_names)
        if log.framing == "line":
            logs[log.file] = f"#{names}\n".encode()
        if log.framing != "zeek":
            continue
        rows = [
            f"{1714521600 + 60 * minute + second}.000000\t00:00:5e:00:53:01\t10.0.0.1\t-\t"
            "10.0.0.2\t-\t-\t10.0.0.2\t-"
            for second in (range(60) if log.name == "arp" else ())
        ]
        lines = [
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            f"#path\t{log.name}",
            "#open\t2024-05-01-00-00-00",
            f"#fields\t{names}",
            "#types\t" + "\t".join(field.zeek for field in log.fields),
            *rows,
            "#close\t2024-05-01-00-01-00",
        ]
        logs[log.file] = "".join(line + "\n" for line in lines).encode()
    return logs


def archive(members: dict[str, bytes]) -> bytes:
    """A tar.zst as the sensor writes it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return zstandard.ZstdCompressor(level=10).compress(plain.getvalue())


def archive_name(minute: int) -> str:
    """The name of a minute's archive."""
    return f"realtime-2024-05-01-{minute // 60:02}:{minute % 60:02}:00.tar.zst"


class Sender:
    """The sending half of a sensor, whose time passes at once."""

    def __init__(self, directory: Path, upload: Upload) -> None:
        self.config = Config(
            sensor=Sensor(
                label_id=LABEL, state=str(directory / "state"), runtime=str(directory / "run")
            ),
            capture=Capture(spool=str(directory / "spool")),
            upload=upload,
        )
        self.layout = Layout(self.config)
        self.layout.queue.mkdir(parents=True)
        self.waited: list[float] = []
        self.now = 0.0
        self.uploader = Uploader(
            upload, self.layout, lambda: Cloud(upload, LABEL), clock=lambda: self.now
        )

    def queue(self, minute: int, content: bytes | None = None) -> str:
        """Put a minute's archive into the queue."""
        name = archive_name(minute)
        data = archive(window(minute)) if content is None else content
        (self.layout.queue / name).write_bytes(data)
        return name

    def queued(self) -> list[str]:
        """Names in the queue."""
        return sorted(path.name for path in self.layout.queue.iterdir())

    def quarantined(self) -> list[str]:
        """Names in the quarantine, those of the reasons left out."""
        directory = self.layout.quarantine
        if not directory.exists():
            return []
        return sorted(path.name for path in directory.iterdir() if path.suffix == ".zst")

    def send_all(self, passes: int = 50) -> None:
        """Pass after pass until the queue is empty."""
        for _ in range(passes):
            result = self.uploader.run_once()
            self.waited.append(result.delay)
            self.now += result.delay
            if result.remaining == 0:
                return
        raise AssertionError(f"still queued after {passes} passes: {self.queued()}")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    """A running mock cloud."""
    with MockCloud(tmp_path / "cloud") as one:
        yield one


@pytest.fixture
def upload_to(cloud: MockCloud):
    """Settings that reach the mock cloud, unless told otherwise."""

    def settings(**changes: Any) -> Upload:
        values: dict[str, Any] = {
            "host": cloud.address,
            "ca": str(cloud.certificates.ca),
            "client_pem": str(cloud.certificates.client),
            "read_timeout": 1,
            "backoff": 1,
        }
        return Upload(**(values | changes))

    return settings


@pytest.fixture
def make_sender(tmp_path: Path, upload_to):
    """A sender with changed settings."""

    def make(**changes: Any) -> Sender:
        return Sender(tmp_path / "sensor", upload_to(**changes))

    return make


@pytest.fixture
def sender(make_sender) -> Sender:
    """A sender that reaches the mock cloud."""
    return make_sender()


@pytest.fixture
def contents():
    """What tests put into archives."""

    class Contents:
        window = staticmethod(window)
        archive = staticmethod(archive)
        name = staticmethod(archive_name)

    return Contents
