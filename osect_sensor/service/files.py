"""Files that appear whole, and are on the disk before anybody relies on them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from osect_sensor.errors import OsectError

PARTIAL_SUFFIX: Final = ".partial"
"""End of the name of a file that is still being written; its name also begins with a dot."""


def partial_path(path: Path) -> Path:
    """Where ``path`` grows until it is complete."""
    return path.with_name(f".{path.name}{PARTIAL_SUFFIX}")


def is_partial(name: str) -> bool:
    """Whether a name in a directory is that of a file that is not complete."""
    return name.startswith(".") or name.endswith(PARTIAL_SUFFIX)


def sync_directory(path: Path) -> None:
    """Have the entries of the directory on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_on_disk: Final[set[Path]] = set()
"""Directories whose entries this process has seen to."""


def make_directory(path: Path, mode: int = 0o750) -> None:
    """Make the directory and its missing ancestors, each on the disk before its child."""
    exists = path.is_dir()
    if exists and path in _on_disk:
        return
    if path.parent != path:
        make_directory(path.parent, mode)
    if exists:
        # A process that was killed may have made it, and not come to have its entry on the disk.
        with contextlib.suppress(OSError):
            # Where that is not ours to do, neither was it ours to make.
            sync_directory(path.parent)
    else:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode)
        sync_directory(path.parent)
    _on_disk.add(path)


def put(descriptor: int, octets: bytes | memoryview) -> None:
    """Write all ``octets``, however many calls that takes."""
    view = memoryview(octets)
    while len(view) > 0:
        view = view[os.write(descriptor, view) :]


def move(source: Path, target: Path, durable: bool = True) -> None:
    """Rename within a file system; with ``durable`` both directories are on the disk after it."""
    os.rename(source, target)
    if durable:
        sync_directory(target.parent)
        if source.parent != target.parent:
            sync_directory(source.parent)


def write_whole(path: Path, octets: bytes, durable: bool = True, mode: int = 0o640) -> None:
    """Write a file that appears, or replaces the one before, whole or not at all."""
    partial = partial_path(path)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        put(descriptor, octets)
        if durable:
            os.fsync(descriptor)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    move(partial, path, durable)


def write_json(path: Path, data: Any, durable: bool = False) -> None:
    """Write ``data`` as JSON, whole or not at all."""
    write_whole(path, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode(), durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """What ``write_json`` wrote; None where the file is missing or is no JSON object."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def free_space(path: Path) -> int:
    """Octets that may still be written on the file system of ``path``."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path``; raises where another process does, which is told as ``what``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OsectError(
                f"{path.parent}: another {what} is at work there", "stop it first"
            ) from error
        yield
    finally:
        os.close(descriptor)


def remove_partials(directory: Path) -> None:
    """Remove what writers that were killed have left unfinished."""
    for entry in os.scandir(directory):
        if entry.name.startswith(".") and entry.name.endswith(PARTIAL_SUFFIX) and entry.is_file():
            os.unlink(entry.path)
