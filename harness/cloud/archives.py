"""What the cloud does with an archive: keep it, unpack it safely, hold it to the contract."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import zstandard
from osect_harness.check import CheckOptions, check
from osect_harness.errors import UsageError

NAME: Final = re.compile(r"realtime-\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d\.tar\.zst")
SUFFIX: Final = ".tar.zst"

MAX_MEMBERS: Final = 64
"""Files in an archive; a window has fifteen logs, or some more in a later dialect."""

MAX_UNPACKED: Final = 4 << 30
"""Octets of all files of an archive: a minute at 100,000 packets/s makes a tenth of that."""

MAX_NAME: Final = 255
"""Octets of a file's name, on every file system of Linux."""

MAX_VIOLATIONS: Final = 20
MAX_OF_A_KIND: Final = 3
"""Violations of the contract that are kept of an archive, and of each kind in each log; the others
are counted."""

_CHUNK: Final = 1 << 20


class BadArchive(Exception):
    """An archive that cannot be used; the text says why."""


@dataclass(slots=True)
class Judgement:
    """What came of an archive."""

    rows: int = 0
    total: int = 0
    """Number of violations."""
    violations: list[str] = field(default_factory=list)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(file: IO[bytes], directory: Path) -> None:
    left = MAX_UNPACKED
    count = 0
    with zstandard.ZstdDecompressor().stream_reader(file) as plain:
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            for member in archive:
                count += 1
                if count > MAX_MEMBERS:
                    raise BadArchive(f"more than {MAX_MEMBERS} members")
                name = member.name.removeprefix("./")
                if member.isdir() and name in ("", "."):
                    continue
                if not member.isreg() or "/" in name or name in ("", ".", "..") or "\0" in name:
                    raise BadArchive(f"{member.name!r} is no plain file at the top level")
                if len(os.fsencode(name)) > MAX_NAME:
                    raise BadArchive("a file has too long a name")
                left -= member.size
                if left < 0:
                    raise BadArchive(f"more than {MAX_UNPACKED} octets")
                content = archive.extractfile(member)
                if content is None or (directory / name).exists():
                    raise BadArchive(f"{member.name!r} cannot be unpacked")
                with (directory / name).open("xb") as out:
                    shutil.copyfileobj(content, out, _CHUNK)
        # Beyond the end of the tar there is only padding, but a cut-off frame shows here.
        while plain.read(_CHUNK):
            pass
    if count == 0:
        raise BadArchive("empty")


def unpack(path: Path, directory: Path) -> None:
    """Unpack an archive into a new directory; a ``BadArchive`` leaves nothing behind."""
    temporary = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with path.open("rb") as file:
            _unpack(file, temporary)
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
        shutil.rmtree(temporary)
        raise BadArchive(f"no tar.zst: {error}") from error
    except BadArchive:
        shutil.rmtree(temporary)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    temporary.rename(directory)


def judge(directory: Path) -> Judgement:
    """Hold the logs of one window to the contract; the sensor may still be running."""
    try:
        report = check(directory, CheckOptions(unfinished=True))
    except UsageError as error:
        return Judgement(total=1, violations=[str(error)])
    seen: Counter[tuple[str, str]] = Counter()
    texts: list[str] = []
    for one in report.violations:
        seen[one.file, one.kind] += 1
        if seen[one.file, one.kind] <= MAX_OF_A_KIND and len(texts) < MAX_VIOLATIONS:
            texts.append(
                f"{one.file}:{one.line}: {one.column or '-'}: {one.kind}: {one.value!r}:"
                f" expected {one.expected}"
            )
    return Judgement(report.rows, report.total, texts)
