"""What is deleted when: oldest first, what the cloud has not got last, and never silently."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osect_sensor.config import Retention as Settings
from osect_sensor.service import messages
from osect_sensor.service.files import free_space
from osect_sensor.service.layout import ARCHIVE_SUFFIX, Layout
from osect_sensor.service.segments import SUFFIXES

REASON_SUFFIX: Final = ".reason"


@dataclass(frozen=True)
class _File:
    path: Path
    size: int
    changed: float
    """When it came to be where it is (its status last changed)."""


@dataclass
class RetentionCounts:
    """What was deleted so far."""

    captures: int = 0
    captures_unprocessed: int = 0
    """Captures deleted although no window was made of them."""
    captures_set_aside: int = 0
    """Captures deleted that the generators had failed on."""
    archives: int = 0
    archives_not_uploaded: int = 0


def _files(directory: Path, suffixes: tuple[str, ...]) -> list[_File]:
    """Complete files in ``directory``, oldest first."""
    found: list[_File] = []
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    for entry in entries:
        if entry.name.startswith(".") or not entry.name.endswith(suffixes):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            # The uploader moves archives at any time.
            continue
        found.append(_File(Path(entry.path), status.st_blocks * 512, status.st_ctime))
    return found


class Retention:
    """Deletes captures and archives that are too old or too many."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self.counts: Final = RetentionCounts()
        self._settings: Final = settings
        self._layout: Final = layout

    def run(self, needed_from: str, current: str = "") -> None:
        """Delete what has to go.

        ``needed_from``: the first kept capture that a restart would read again; it and its
        successors go only for want of space. ``current``: a capture in use, which stays.
        """
        self._captures(needed_from, current)
        self._archives()
        self._space(needed_from, current)

    # Captures

    def _captures(self, needed_from: str, current: str) -> None:
        settings = self._settings
        kept = _files(self._layout.kept, SUFFIXES)
        failed = _files(self._layout.failed, SUFFIXES)
        if settings.capture_age:
            limit = time.time() - settings.capture_age
            for file in list(kept):
                if file.changed < limit and file.path.name < needed_from:
                    self._delete_kept(file)
                    kept.remove(file)
        if not settings.capture_size:
            return
        waiting = _files(self._layout.incoming, SUFFIXES)
        total = sum(file.size for group in (failed, kept, waiting) for file in group)
        for file in failed:
            if total <= settings.capture_size:
                return
            self._delete_failed(file)
            total -= file.size
        for file in kept:
            if total <= settings.capture_size:
                return
            self._delete_kept(file)
            total -= file.size
        for file in waiting:
            if total <= settings.capture_size:
                return
            if file.path.name != current:
                self._delete_waiting(file, "retention.capture_size")
                total -= file.size

    def _delete_kept(self, file: _File) -> None:
        if self._delete(file):
            self.counts.captures += 1

    def _delete_failed(self, file: _File) -> None:
        """Give up a capture that was set aside, which was an error in the log at that time."""
        if self._delete(file):
            self.counts.captures_set_aside += 1
            messages.warning("retention.set_aside_deleted", file=file.path.name, size=file.size)

    def _delete_waiting(self, file: _File, limit: str) -> None:
        """Give up a capture that no window was made of: its packets are lost."""
        if self._delete(file):
            self.counts.captures_unprocessed += 1
            messages.error(
                "retention.capture_lost", file=file.path.name, size=file.size, limit=limit
            )

    # Archives

    def _archives(self) -> None:
        settings = self._settings
        suffixes = (ARCHIVE_SUFFIX,)
        uploaded = _files(self._layout.uploaded, suffixes)
        refused = _files(self._layout.quarantine, suffixes)
        queued = _files(self._layout.queue, suffixes)
        if settings.archive_age:
            limit = time.time() - settings.archive_age
            for group in (uploaded, refused):
                for file in list(group):
                    if file.changed < limit:
                        self._delete_archive(file, group is refused, "retention.archive_age")
                        group.remove(file)
        if not settings.archive_size:
            return
        total = sum(file.size for group in (uploaded, refused, queued) for file in group)
        for group in (uploaded, refused, queued):
            for file in group:
                if total <= settings.archive_size:
                    return
                self._delete_archive(file, group is not uploaded, "retention.archive_size")
                total -= file.size

    def _delete_archive(self, file: _File, lost: bool, limit: str) -> None:
        if not self._delete(file):
            return
        reason = file.path.with_name(file.path.name + REASON_SUFFIX)
        reason.unlink(missing_ok=True)
        self.counts.archives += 1
        if lost:
            self.counts.archives_not_uploaded += 1
            messages.error(
                "retention.archive_lost", file=file.path.name, size=file.size, limit=limit
            )

    # Space

    def _space(self, needed_from: str, current: str) -> None:
        """Make room while the disk has less than must be free."""
        minimum = self._settings.minimum_free
        suffixes = (ARCHIVE_SUFFIX,)

        def lacking(directory: Path) -> bool:
            try:
                return minimum > 0 and free_space(directory) < minimum
            except FileNotFoundError:
                return False

        for file in _files(self._layout.failed, SUFFIXES):
            if not lacking(self._layout.failed):
                break
            self._delete_failed(file)
        if lacking(self._layout.kept):
            for file in _files(self._layout.kept, SUFFIXES):
                if not lacking(self._layout.kept):
                    break
                self._delete_kept(file)
        for file in _files(self._layout.uploaded, suffixes):
            if not lacking(self._layout.uploaded):
                break
            self._delete_archive(file, False, "retention.minimum_free")
        if lacking(self._layout.incoming):
            # All but the newest: capture keeps the disk from filling up altogether.
            for file in _files(self._layout.incoming, SUFFIXES)[:-1]:
                if not lacking(self._layout.incoming):
                    break
                if file.path.name != current:
                    self._delete_waiting(file, "retention.minimum_free")
        # What the cloud has not got goes last.
        for file in _files(self._layout.quarantine, suffixes):
            if not lacking(self._layout.quarantine):
                break
            self._delete_archive(file, True, "retention.minimum_free")
        if lacking(self._layout.queue):
            for file in _files(self._layout.queue, suffixes)[:-1]:
                if not lacking(self._layout.queue):
                    break
                self._delete_archive(file, True, "retention.minimum_free")

    @staticmethod
    def _delete(file: _File) -> bool:
        try:
            file.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            messages.error(
                "retention.not_deleted", file=str(file.path), reason=error.strerror or str(error)
            )
            return False
        return True
