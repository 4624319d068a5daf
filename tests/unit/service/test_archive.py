"""Archives and the names of windows."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard

from osect_sensor.service.archive import (
    WindowNames,
    archive_name,
    publish_archives,
    write_archive,
)
from osect_sensor.service.layout import archive_names

START = 1_300_519_560_000_000
SECOND = 1_000_000


def window(tmp_path: Path) -> Path:
    directory = tmp_path / "window"
    directory.mkdir()
    (directory / "conn.log").write_text("#separator \\x09\n")
    (directory / "eve.json").write_text("")
    return directory


def test_archive_holds_the_files_at_its_top(tmp_path: Path) -> None:
    archive = tmp_path / archive_name(START)
    size = write_archive(window(tmp_path), archive, START)
    publish_archives([archive])
    assert archive.name == "realtime-2011-03-19-07:26:00.tar.zst"
    assert archive.stat().st_size == size
    data = zstandard.ZstdDecompressor().stream_reader(archive.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["conn.log", "eve.json"]
        member = tar.extractfile("conn.log")
        assert member is not None
        assert member.read() == b"#separator \\x09\n"


def test_same_rows_make_the_same_octets_whenever_they_are_written(tmp_path: Path) -> None:
    directory = window(tmp_path)
    write_archive(directory, tmp_path / "one", START)
    os.utime(directory / "conn.log", (1, 1))
    (directory / "conn.log").chmod(0o600)
    write_archive(directory, tmp_path / "other", START)
    publish_archives([tmp_path / "one", tmp_path / "other"])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_archive_is_hidden_until_it_is_published_and_then_left_alone(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    archive = queue / archive_name(START)
    write_archive(window(tmp_path), archive, START)
    assert archive_names(queue) == []
    publish_archives([archive])
    assert archive_names(queue) == [archive.name]
    archive.rename(tmp_path / "uploaded")
    publish_archives([archive])
    assert archive_names(queue) == []


def test_archive_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    directory = window(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_archive(directory, tmp_path / "archive", START)
    assert [path.name for path in tmp_path.iterdir()] == ["window"]


def test_each_window_has_a_name_of_its_own_also_when_the_clock_was_set_back() -> None:
    names = WindowNames(60 * SECOND)
    starts = [0, 60, 120, 60, 120, 180, 60, 0]
    claimed = [names.claim(start * SECOND) // SECOND for start in starts]
    assert claimed == [0, 60, 120, 61, 121, 180, 62, 1]


def test_names_are_remembered_by_the_next_process() -> None:
    names = WindowNames(60 * SECOND)
    for start in (0, 60, 120):
        names.claim(start * SECOND)
    again = WindowNames(60 * SECOND, names.as_data())
    assert again.claim(60 * SECOND) == 61 * SECOND
    assert len(names.as_data()) == 1
    assert names.claim(60 * SECOND) == 61 * SECOND


def test_memory_of_names_is_bounded() -> None:
    names = WindowNames(60 * SECOND)
    for number in range(3 * WindowNames.MAX_RANGES):
        names.claim(number * 3600 * SECOND)
    assert len(names.as_data()) == WindowNames.MAX_RANGES
