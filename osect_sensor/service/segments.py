"""Capture files of one period each: their names, and how a stream of packets becomes them."""

from __future__ import annotations

import os
import queue
import re
import struct
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from osect_sensor.errors import OsectError
from osect_sensor.service import messages
from osect_sensor.service.files import (
    PARTIAL_SUFFIX,
    free_space,
    is_partial,
    move,
    partial_path,
    put,
    sync_directory,
)
from osect_sensor.wire.pcap import MICROSECONDS as MICROSECOND_MAGIC
from osect_sensor.wire.pcap import NANOSECONDS as NANOSECOND_MAGIC
from osect_sensor.wire.reader import MAX_TIMESTAMP
from osect_sensor.wire.records import DAMAGED, EARLIER, INCOMPLETE, walk

MICROSECONDS: Final = 1_000_000

FILE_HEADER: Final = 24
"""Octets before the first record of a classic capture."""

SUFFIXES: Final = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".pcap.zst", ".pcapng.zst")
"""What the names of captures in the spool end in."""

_NAME: Final = re.compile(r"(\d{12})_(\d{8}T\d{6})Z\.pcap")
_NUMBER: Final = re.compile(r"(\d{12})_")
_LARGEST_NUMBER: Final = 999_999_999_999

GRACE: Final = 2 * MICROSECONDS
"""How long a period's file stays open behind the period's end where no later packet comes: the
kernel hands blocks of packets over once a second, and the capturing tool once a second too."""

MAX_SILENCE: Final = 3600 * MICROSECONDS
"""Silence for which empty files are written. Beyond, the clock was set or the stream is of another
time; no connection or flow lives as long without packets."""

TOLERANCE: Final = 60 * MICROSECONDS
"""How much older than its file's period a packet may be. More, and the clock was set back."""

_BLOCK: Final = 1024 * 1024
"""Octets read of a file at once."""

_LOOK_AT_DISK: Final = 64 * 1024 * 1024
"""Octets written between two looks at the free space of the disk."""


@dataclass(frozen=True)
class Segment:
    """A complete capture file in the spool."""

    path: Path
    start: int
    """When its period begins, microseconds; -1 where the name does not say."""

    @property
    def name(self) -> str:
        """Its name, which also is its place in the order."""
        return self.path.name


def segment_name(number: int, start: int) -> str:
    """The name of our file number ``number``, whose period begins at ``start``."""
    moment = datetime.fromtimestamp(start // MICROSECONDS, UTC)
    return f"{number:012d}_{moment:%Y%m%dT%H%M%S}Z.pcap"


def segment_of(path: Path) -> Segment:
    """The segment in the file ``path``."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return Segment(path, -1)
    try:
        moment = datetime.strptime(match.group(2), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return Segment(path, -1)
    return Segment(path, int(moment.timestamp()) * MICROSECONDS)


def list_segments(directory: Path) -> list[Segment]:
    """Complete captures in ``directory``, in their order."""
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(directory)
            if entry.name.endswith(SUFFIXES) and not is_partial(entry.name) and _is_file(entry)
        )
    except FileNotFoundError:
        return []
    return [segment_of(directory / name) for name in names]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        # A link that leads back to itself.
        return False


def recover_partials(directory: Path) -> int:
    """Complete the files that a capture process was writing when it was killed.

    Whole records are kept, what follows is cut off. Returns how many files appeared.
    """
    recovered = 0
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        name = entry.name
        if not (name.startswith(".") and name.endswith(PARTIAL_SUFFIX) and entry.is_file()):
            continue
        path = directory / name[1 : -len(PARTIAL_SUFFIX)]
        end = _whole_records(Path(entry.path))
        if end < FILE_HEADER or path.exists():
            os.unlink(entry.path)
            continue
        with open(entry.path, "r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
        os.rename(entry.path, path)
        recovered += 1
    sync_directory(directory)
    return recovered


def _whole_records(path: Path) -> int:
    """Where the last whole record of a capture of ours ends; 0 where it is none."""
    with path.open("rb") as file:
        header = file.read(FILE_HEADER)
        kind = _stream_kind(header) if len(header) == FILE_HEADER else None
        if kind is None:
            return 0
        little, nanoseconds = kind
        end = FILE_HEADER
        data = b""
        while block := file.read(_BLOCK):
            data += block
            # After a power cut zeros can stand where nothing had reached the disk.
            stop, _, reason, _ = walk(data, 0, little, nanoseconds, 1, MAX_TIMESTAMP + 1)
            end += stop
            if reason != INCOMPLETE:
                break
            data = data[stop:]
    return end


def _stream_kind(header: bytes) -> tuple[bool, bool] | None:
    """Whether a file header is little-endian, and whether times are in nanoseconds."""
    for order in "<>":
        magic = struct.unpack(f"{order}I", header[:4])[0]
        if magic in (MICROSECOND_MAGIC, NANOSECOND_MAGIC):
            return order == "<", magic == NANOSECOND_MAGIC
    return None


def number_of(name: str) -> int:
    """The number that a capture's name begins with; -1 where somebody else named it."""
    match = _NUMBER.match(name)
    return -1 if match is None else int(match.group(1))


def next_number(directories: list[Path], done: str = "") -> int:
    """A number that sorts behind those of all captures there are, and of ``done``, which was."""
    numbers = [0, number_of(done)]
    for directory in directories:
        numbers += [number_of(segment.name) for segment in list_segments(directory)]
    return min(max(numbers) + 1, _LARGEST_NUMBER)


def numbered(segment: Segment, number: int) -> Segment:
    """The segment under a name with that number, which must be free, on the disk."""
    name = segment.name
    if number_of(name) >= 0:
        name = name.partition("_")[2]
    path = segment.path.with_name(f"{number:012d}_{name}")
    move(segment.path, path)
    return segment_of(path)


class Finisher(threading.Thread):
    """Makes closed files durable and lets them appear, in order, while packets come in."""

    RETRY: Final = 5.0
    """Seconds until a file that the disk did not take is tried again."""

    def __init__(self) -> None:
        super().__init__(name="finisher", daemon=True)
        self._files: queue.Queue[tuple[int, Path] | None] = queue.Queue()
        self._again: list[Path] = []
        """Files that the disk did not take, oldest first."""
        self._failures: Final = messages.Repeated(40, "capture.file_not_finished")

    def finish(self, descriptor: int, path: Path) -> None:
        """Take a file that grew at ``partial_path(path)``."""
        self._files.put((descriptor, path))

    def end(self) -> None:
        """Wait until all files have appeared."""
        self._files.put(None)
        self.join()

    def run(self) -> None:
        """Work until the end."""
        while True:
            try:
                item = self._files.get(timeout=self.RETRY if self._again else None)
            except queue.Empty:
                self._retry()
                continue
            if item is None:
                self._retry()
                return
            descriptor, path = item
            self._retry()
            try:
                # Behind one that waits: files appear in order.
                done = not self._again and self._appear(descriptor, path)
            finally:
                os.close(descriptor)
            if not done:
                self._again.append(path)

    def _appear(self, descriptor: int, path: Path) -> bool:
        try:
            os.fsync(descriptor)
            move(partial_path(path), path)
        except OSError as error:
            self._failures.happened(file=path.name, reason=error.strerror)
            # It may have its name, and only the directory's entry be in doubt.
            return path.exists()
        return True

    def _retry(self) -> None:
        while self._again:
            path = self._again[0]
            try:
                descriptor = os.open(partial_path(path), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                del self._again[0]
                continue
            except OSError as error:
                self._failures.happened(file=path.name, reason=error.strerror)
                return
            try:
                if not self._appear(descriptor, path):
                    return
            finally:
                os.close(descriptor)
            del self._again[0]


@dataclass
class SplitterCounts:
    """What has become of the packets."""

    packets: int = 0
    octets: int = 0
    segments: int = 0
    lost_packets: int = 0
    """Packets that the disk had no room for."""
    clock_set_back: int = 0
    damaged: int = 0
    """Streams given up because a record made no sense."""
    last_packet: int = 0
    """Time of the last packet, microseconds."""


class StreamDamaged(OsectError):
    """The stream is no capture, or no longer one."""


class Splitter:
    """Copies the records of capture streams into a file for each period.

    Nothing but record headers is looked at. A period ends with the first packet of a later one, or
    by the clock (``tick``); one without packets gets an empty file.
    """

    def __init__(self, directory: Path, first: int, period: int, minimum_free: int) -> None:
        """``first``: number of the first file; ``period`` in microseconds."""
        self.counts: Final = SplitterCounts()
        self.last_segment: str = ""
        self._directory: Final = directory
        self._number: int = first
        self._period: Final = period
        self._minimum_free: Final = minimum_free
        self._finisher: Final = Finisher()
        self._finisher.start()
        # Ethernet, until a stream says otherwise.
        self._header: bytes = struct.pack("<IHHiIII", MICROSECOND_MAGIC, 2, 4, 0, 0, 262_144, 1)
        self._pending: bytes = b""
        self._in_stream: bool = False
        self._little: bool = True
        self._nanoseconds: bool = False
        self._descriptor: int = -1
        self._path: Path = directory
        self._size: int = 0
        self._start: int = -1
        """When the current period begins; -1 before the first."""
        self._until_look: int = 0
        self._no_room: Final = messages.Repeated(40, "capture.disk_full")
        self._full: bool = False

    @property
    def started(self) -> bool:
        """Whether a period has begun."""
        return self._start >= 0

    def begin_stream(self) -> None:
        """Expect a file header: another stream follows."""
        self._pending = b""
        self._in_stream = False

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the stream; raises ``StreamDamaged`` where they make no sense."""
        data = self._pending + octets if self._pending else octets
        position = 0
        if not self._in_stream:
            if len(data) < FILE_HEADER:
                self._pending = data
                return
            self._take_header(data[:FILE_HEADER])
            position = FILE_HEADER
        while True:
            since = self._start - TOLERANCE if self._start >= 0 else 0
            until = self._start + self._period if self._start >= 0 else 0
            stop, packets, reason, moment = walk(
                data, position, self._little, self._nanoseconds, since, until
            )
            if packets > 0:
                self._write(data, position, stop, packets)
                if reason == INCOMPLETE:
                    self.counts.last_packet = moment
            position = stop
            if reason == INCOMPLETE:
                break
            if reason == DAMAGED:
                self.counts.damaged += 1
                self._pending = b""
                raise StreamDamaged("a record of the capture stream makes no sense")
            if reason == EARLIER:
                self.counts.clock_set_back += 1
                messages.warning("capture.clock_set_back", to=_time_text(moment))
            self._go_to(moment)
        self._pending = data[position:]

    def tick(self, now: int) -> None:
        """Learn that no packet from before ``now`` (microseconds) is under way any more.

        The caller keeps ``GRACE`` in mind. Also begins the first period.
        """
        if self._start < 0 or now >= self._start + self._period or now < self._start - TOLERANCE:
            self._go_to(now)

    def finish(self) -> None:
        """End the current period early and wait until its file is there."""
        self._close()
        self._finisher.end()

    def _take_header(self, header: bytes) -> None:
        kind = _stream_kind(header)
        if kind is None:
            raise StreamDamaged(
                "the capture stream does not begin as a pcap file does",
                "write classic pcap: tcpdump -w -, or dumpcap -P -w -",
            )
        self._little, self._nanoseconds = kind
        self._in_stream = True
        before, self._header = self._header, header
        if self._descriptor >= 0 and header != before:
            # Records of another kind do not go into the same file.
            if self._size == len(before):
                self._abandon(self._path)
                self._open()
            else:
                self._close()

    def _go_to(self, moment: int) -> None:
        """Make the period around ``moment`` the current one."""
        start = moment // self._period * self._period
        previous = self._start
        self._close()
        if previous >= 0 and previous < start <= previous + MAX_SILENCE:
            for empty in range(previous + self._period, start, self._period):
                self._start = empty
                self._open()
                self._close()
        self._start = start
        self._open()

    def _open(self) -> None:
        path = self._directory / segment_name(self._number, self._start)
        try:
            if self._is_full():
                return
            self._descriptor = os.open(
                partial_path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640
            )
            put(self._descriptor, self._header)
        except OSError as error:
            self._no_room.happened(file=path.name, reason=error.strerror)
            self._abandon(path)
            return
        self._path = path
        self._size = len(self._header)
        self._number += 1

    def _abandon(self, path: Path) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            partial_path(path).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor < 0:
            return
        self._finisher.finish(self._descriptor, self._path)
        self._descriptor = -1
        self.counts.segments += 1
        self.last_segment = self._path.name

    def _write(self, data: bytes, start: int, end: int, packets: int) -> None:
        """Copy whole records; those that find no room are counted and gone."""
        counts = self.counts
        if self._descriptor < 0:
            self._open()
        if self._descriptor < 0 or self._is_full():
            counts.lost_packets += packets
            return
        try:
            put(self._descriptor, memoryview(data)[start:end])
        except OSError as error:
            self._no_room.happened(file=self._path.name, reason=error.strerror)
            # What came through of the records may end inside one.
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            counts.lost_packets += packets
            self._until_look = 0
            return
        self._size += end - start
        self._until_look -= end - start
        counts.packets += packets
        counts.octets += end - start

    def _is_full(self) -> bool:
        """Whether the disk has less room than must stay free."""
        if self._until_look > 0:
            return False
        free = free_space(self._directory)
        full = free < self._minimum_free
        if full:
            self._no_room.happened(reason="less free than capture.minimum_free", free=free)
        else:
            self._until_look = min(_LOOK_AT_DISK, free - self._minimum_free + 1)
            if self._full:
                messages.info("capture.disk_has_room", free=free)
        self._full = full
        return full


def _time_text(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds // MICROSECONDS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
