"""A window directory as one archive: the same rows make the same octets."""

from __future__ import annotations

import contextlib
import os
import tarfile
from pathlib import Path
from typing import IO, Final, cast

import zstandard

from osect_sensor.logs.text import window_name
from osect_sensor.service.files import partial_path, sync_directory
from osect_sensor.service.layout import ARCHIVE_PREFIX, ARCHIVE_SUFFIX

LEVEL: Final = 10

MICROSECONDS: Final = 1_000_000


def archive_name(start: int) -> str:
    """The name of the archive of the window that begins at ``start`` (microseconds)."""
    return f"{ARCHIVE_PREFIX}{window_name(start)}{ARCHIVE_SUFFIX}"


def write_archive(window: Path, archive: Path, start: int) -> int:
    """Pack the files of ``window``; nobody sees the archive before it is published.

    Its content is on the disk once this returns, its hidden entry once its directory is synced.
    Owners and times of the files are left out: the same logs make the same octets. Returns the
    archive's size.
    """
    partial = partial_path(archive)
    try:
        with partial.open("wb") as file:
            compressor = zstandard.ZstdCompressor(level=LEVEL)
            with (
                compressor.stream_writer(file, closefd=False) as compressed,
                tarfile.open(fileobj=cast(IO[bytes], compressed), mode="w|") as tar,
            ):
                for path in sorted(window.iterdir()):
                    member = tarfile.TarInfo(path.name)
                    member.size = path.stat().st_size
                    member.mtime = start // MICROSECONDS
                    member.mode = 0o644
                    with path.open("rb") as content:
                        tar.addfile(member, content)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return size


def publish_archives(archives: list[Path]) -> None:
    """Have archives that were written appear, in their order; those that did stay as they are."""
    directories = {archive.parent for archive in archives}
    for archive in archives:
        with contextlib.suppress(FileNotFoundError):
            os.rename(partial_path(archive), archive)
    for directory in directories:
        sync_directory(directory)


class WindowNames:
    """Which window starts have names already, so that no two windows share one.

    A window is named by its start. Where that name is taken, because the clock was set back or
    capture began anew within the period, the window is named by the next free second.
    """

    MAX_RANGES: Final = 1_000
    """Ranges remembered; each takes a clock set back, or a restart within a period, to make."""

    def __init__(self, period: int, ranges: list[list[int]] | None = None) -> None:
        """``period`` in microseconds; ``ranges`` as ``as_data`` gave them."""
        self._period: Final = period
        self._ranges: list[list[int]] = [list(one) for one in ranges or []]
        """First start, last start, step: each in seconds."""

    def as_data(self) -> list[list[int]]:
        """What to give to the next process."""
        return [list(one) for one in self._ranges]

    def _taken(self, second: int) -> bool:
        return any(
            first <= second <= last and (second - first) % step == 0
            for first, last, step in self._ranges
        )

    def claim(self, start: int) -> int:
        """The start to name the window by (microseconds); it is taken from then on."""
        second = start // MICROSECONDS
        while self._taken(second):
            second += 1
        step = max(self._period // MICROSECONDS, 1)
        for one in reversed(self._ranges):
            if one[2] == step and one[1] + step == second:
                one[1] = second
                break
        else:
            self._ranges.append([second, second, step])
            del self._ranges[: -self.MAX_RANGES]
        return second * MICROSECONDS
