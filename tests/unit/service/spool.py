"""A sensor's directories for tests, a spool to begin with, and what comes out of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from osect_sensor import config
from osect_sensor.service.cycle import Cycle
from osect_sensor.service.segments import Splitter, next_number

BUILT = Path(__file__).parents[3] / "pcaps" / "built"
SEED = 4711


def settings(
    root: Path, period: int = 10, warm_up: int = 900, interval: int = 20, **sections: object
) -> config.Config:
    """A configuration whose directories are all below ``root``."""
    made = config.Config(
        sensor=config.Sensor(
            period=period,
            report_interval=period,
            state=str(root / "state"),
            runtime=str(root / "run"),
            fingerprints=str(root / "none.fp"),
        ),
        capture=config.Capture(spool=str(root / "spool"), minimum_free=0),
        suricata=config.Suricata(enabled=False),
        upload=config.Upload(enabled=False),
        recovery=config.Recovery(warm_up=warm_up, checkpoint_interval=interval),
        retention=config.Retention(minimum_free=0),
    )
    return config.Config(**(vars(made) | sections))  # type: ignore[arg-type]


def fill(root: Path, capture: Path, period: int = 10) -> None:
    """Cut ``capture`` into segments in the spool."""
    incoming = root / "spool" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    splitter = Splitter(incoming, next_number([incoming]), period * 1_000_000, 0)
    splitter.feed(capture.read_bytes())
    splitter.finish()


def begin_with_seed(root: Path, seed: int = SEED) -> None:
    """Have the uids repeatable."""
    directory = root / "state" / "checkpoints"
    directory.mkdir(parents=True)
    (directory / "checkpoint.json").write_text(
        json.dumps({"seed": seed, "format": 1, "states": []})
    )


def work(made: config.Config) -> None:
    """Make windows until no segment is left, in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        Cycle(made).run(until_idle=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def queue(root: Path) -> dict[str, bytes]:
    """The archives in the queue."""
    directory = root / "state" / "queue"
    return {path.name: path.read_bytes() for path in sorted(directory.glob("realtime-*"))}


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


def rows(logs: dict[str, str], name: str, without: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The rows of a log, but for some columns."""
    left: list[int] | None = None
    found: list[tuple[str, ...]] = []
    for line in logs[name].splitlines():
        if line.startswith(("#fields\t", "#ts\t")):
            names = line.removeprefix("#fields\t").removeprefix("#").split("\t")
            left = [at for at, column in enumerate(names) if column not in without]
        elif line and not line.startswith("#"):
            values = line.split("\t")
            found.append(tuple(values if left is None else [values[at] for at in left]))
    return sorted(found)


class Killed(BaseException):
    """The process is no more."""


class Disk:
    """What a disk holds after a power cut: what was synced, and nothing else.

    A file's content is that of its last fsync, a directory's entries are those of its last fsync;
    what was there when the model began counts as synced.
    """

    def __init__(self, root: Path, shadow: Path) -> None:
        self._root = root
        self._shadow = shadow
        self._contents: dict[int, bytes] = {}
        self._entries: dict[Path, dict[str, int]] = {}
        shadow.mkdir()
        for directory, _, files in os.walk(root):
            for name in files:
                path = Path(directory, name)
                self._contents[path.stat().st_ino] = path.read_bytes()
            self._sync_directory(Path(directory))

    def synced(self, descriptor: int) -> None:
        """Take note of an fsync."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._sync_directory(path)
        elif path.exists():
            self._contents[os.fstat(descriptor).st_ino] = path.read_bytes()

    def _sync_directory(self, directory: Path) -> None:
        entries: dict[str, int] = {}
        for path in directory.iterdir():
            if path.is_file():
                inode = path.stat().st_ino
                entries[path.name] = inode
                # Keeps the inode, and with it its number.
                if not (self._shadow / str(inode)).exists():
                    os.link(path, self._shadow / str(inode))
        self._entries[directory] = entries

    def cut(self) -> None:
        """The power fails."""
        for directory, _, files in os.walk(self._root):
            for name in files:
                Path(directory, name).unlink()
        for directory, entries in self._entries.items():
            if directory.is_dir():
                for name, inode in entries.items():
                    (directory / name).write_bytes(self._contents.get(inode, b""))
        shutil.rmtree(self._shadow)


@contextmanager
def dying(
    monkeypatch: pytest.MonkeyPatch, number: int, disk: Disk | None = None
) -> Iterator[list[str]]:
    """Die at the ``number``-th call that changes what is durable; yields the calls so far."""
    calls: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "rename", "unlink")}

    def counted(name: str) -> object:
        def call(*arguments: object, **keywords: object) -> object:
            if len(calls) + 1 == number:
                raise Killed
            calls.append(name)
            result = real[name](*arguments, **keywords)
            if name == "fsync" and disk is not None:
                disk.synced(arguments[0])  # type: ignore[arg-type]
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("fsync", "rename", "unlink"):
            patch.setattr(os, name, counted(name))
        yield calls
