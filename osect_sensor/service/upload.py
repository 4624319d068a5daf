"""The queue of archives to the cloud: oldest first, until each is there or set aside."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from osect_sensor.config import Upload
from osect_sensor.errors import OsectError
from osect_sensor.service.link import modem_answers
from osect_sensor.service.transport import Answer, Cloud, Verdict

logger = logging.getLogger(__name__)

ARCHIVE_NAME: Final = re.compile(r"realtime-\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d\.tar\.zst")
REASON_SUFFIX: Final = ".reason"
RULE_STATUS_FILE: Final = "rule-status.json"

REFUSALS_IN_A_ROW: Final = 3
"""Different archives refused in a row before the cloud is suspected rather than the archives.
It doubles with each fruitless pass, so that bad archives cannot hide good ones for long."""

MAX_REFUSALS_IN_A_ROW: Final = 1024
"""Where the doubling ends: seventeen hours of minute archives."""

FAILURES_BEFORE_OTHERS: Final = 8
"""Failures of one archive before the next one is tried in the same pass: with back-off from one
second some four minutes, longer than a cloud's restart, so that the order is kept."""

POLL_SECONDS: Final = 5.0
"""Between two looks into the queue."""

LONGEST_FAULT_DELAY: Final = 3600.0
"""Seconds between two attempts at an archive that fails while others are accepted."""

BEAT_SECONDS: Final = 10.0
"""How often a waiting uploader shows that it lives."""


class CloudFactory(Protocol):
    """Opens a session with the cloud."""

    def __call__(self) -> Cloud:
        """Open it; an ``OsectError`` says why it cannot be."""


@dataclass(slots=True)
class _Trouble:
    """What is remembered of an archive that was not accepted."""

    failures: int = 0
    faults: int = 0
    """Failures while other archives were accepted: its own fault."""
    not_before: float = 0.0
    """Moment of the monotonic clock before which it is not tried again."""
    reason: str = ""


@dataclass(slots=True)
class PassResult:
    """What one pass over the queue did."""

    sent: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    remaining: int = 0
    """Archives still in the queue."""
    problem: str = ""
    """Why the pass did not send everything; empty when it did."""
    delay: float = 0.0
    """Seconds to wait before the next pass."""


@dataclass(frozen=True, slots=True)
class QueuePaths:
    """Where archives lie."""

    queue: Path
    """Archives to send."""
    quarantine: Path
    """Archives that the cloud does not want, each with a file that gives the reason."""
    sent: Path | None = None
    """Archives that the cloud has; deleted when None."""
    reports: Path | None = None
    """Reports to send: at most one of the rules, the latest."""
    state: Path | None = None
    """Where the state is written, for ``osect-sensor status``."""


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory and those above it, durably."""
    missing = [one for one in (path, *path.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_directory(one.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def move_durably(path: Path, directory: Path) -> None:
    """Move a file that is itself durable into another directory of the file system."""
    make_directory(directory)
    path.replace(directory / path.name)
    # The new entry first: a crash between the two leaves two entries, not none.
    sync_directory(directory)
    sync_directory(path.parent)


class Uploader:
    """Sends what lies in the queue."""

    def __init__(
        self,
        upload: Upload,
        paths: QueuePaths,
        cloud: CloudFactory,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        link: Callable[[str, int], bool] = modem_answers,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """``jitter`` gives numbers from 0 to 1; ``beat`` is called while all is well."""
        self.upload: Final = upload
        self.paths: Final = paths
        self._cloud: Final = cloud
        self.clock: Final = clock
        self._jitter: Final = jitter
        self._link: Final = link
        self.beat: Final = beat
        self.troubles: dict[str, _Trouble] = {}
        self._fruitless = 0
        self.refusal_limit = REFUSALS_IN_A_ROW
        self._last_sent = ""
        self._last_sent_at = ""

    def run(self, wait: Callable[[float], bool]) -> None:
        """Send until ``wait``, which sleeps for the seconds given, says that it is time to stop."""
        stopping = False
        while not stopping:
            result = self.run_once(lambda: wait(0))
            left = result.delay
            while not stopping:
                self.beat()
                stopping = wait(min(left, BEAT_SECONDS))
                left -= BEAT_SECONDS
                if left <= 0:
                    break

    def run_once(self, stopping: Callable[[], bool] = lambda: False) -> PassResult:
        """One pass over the queue; ends early when ``stopping`` says so."""
        result = PassResult(delay=POLL_SECONDS)
        names = self._queued()
        self.troubles = {name: self.troubles[name] for name in names if name in self.troubles}
        report = self._pending_report()
        if names or report is not None:
            self._work(names, report, result, stopping)
        result.remaining = len(self._queued())
        self._write_state(result)
        return result

    def _work(
        self,
        names: list[str],
        report: Path | None,
        result: PassResult,
        stopping: Callable[[], bool],
    ) -> None:
        device = self.upload.modem
        try:
            if device and not self._link(device, self.upload.modem_speed):
                answer = Answer(Verdict.UNAVAILABLE, f"the modem on {device} does not answer")
                self.back_off(result, answer)
                return
            with self._cloud() as cloud:
                _Pass(self, cloud, result, stopping).archives(names)
                if report is not None and not result.problem:
                    self._send_report(cloud, report, result)
        except OsectError as error:
            self.back_off(result, Answer(Verdict.UNAVAILABLE, str(error)))

    def _queued(self) -> list[str]:
        """Names in the queue, oldest first: the names sort by time."""
        try:
            names = os.listdir(self.paths.queue)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if ARCHIVE_NAME.fullmatch(name))

    def back_off(self, result: PassResult, answer: Answer) -> None:
        """Note why nothing can be sent, and for how long not to try."""
        self._fruitless = 1 if result.sent else self._fruitless + 1
        result.problem = answer.reason
        result.delay = self.delay(self._fruitless, self.upload.backoff_limit)
        if answer.retry_after >= 0:
            # Sensors that were told the same moment must not all come at it.
            spread = self._jitter() * self.upload.backoff
            result.delay = max(result.delay, answer.retry_after + spread)
        logger.warning(
            "event=upload-waits reason=%s seconds=%.1f attempt=%d",
            json.dumps(result.problem),
            result.delay,
            self._fruitless,
        )

    def delay(self, attempt: int, longest: float) -> float:
        """Seconds before the attempt after ``attempt``: doubling, half of it by chance."""
        full = min(longest, self.upload.backoff * 2.0 ** min(attempt - 1, 32))
        return full * (0.5 + self._jitter() / 2)

    def accepted(self) -> None:
        """The cloud accepted something: it works."""
        self._fruitless = 0
        self.refusal_limit = REFUSALS_IN_A_ROW

    def widen(self) -> None:
        """Nothing but refusals: look further next time."""
        self.refusal_limit = min(self.refusal_limit * 2, MAX_REFUSALS_IN_A_ROW)

    def _pending_report(self) -> Path | None:
        if self.paths.reports is None:
            return None
        path = self.paths.reports / RULE_STATUS_FILE
        return path if path.is_file() else None

    def _send_report(self, cloud: Cloud, path: Path, result: PassResult) -> None:
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                report = json.loads(file.read())
            fields = [str(report[key]) for key in ("suricata", "signature", "message")]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.error("event=report-dropped reason=%s", json.dumps(str(error)))
            path.unlink(missing_ok=True)
            return
        answer = cloud.post_rule_status(*fields)
        if answer.verdict is Verdict.ACCEPTED:
            logger.info("event=report-sent kind=rules")
        elif answer.verdict is Verdict.REFUSED:
            logger.error("event=report-refused reason=%s", json.dumps(answer.reason))
        else:
            self.back_off(result, answer)
            return
        if _same_file(path, found):
            path.unlink(missing_ok=True)
            sync_directory(path.parent)

    def _write_state(self, result: PassResult) -> None:
        """Leave word for ``osect-sensor status``; after a crash the next pass writes it anew."""
        path = self.paths.state
        if path is None:
            return
        if result.sent:
            self._last_sent = result.sent[-1]
            self._last_sent_at = datetime.now(UTC).isoformat(timespec="seconds")
        state = {
            "queued": result.remaining,
            "last_sent": self._last_sent,
            "last_sent_at": self._last_sent_at,
            "problem": result.problem,
            "attempt": self._fruitless,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        temporary = path.with_name(f".{path.name}.new")
        try:
            temporary.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            logger.warning("event=state-not-written reason=%s", json.dumps(str(error)))


def _same_file(path: Path, found: os.stat_result) -> bool:
    """Whether ``path`` is still the file that ``found`` describes."""
    try:
        now = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_ino, now.st_dev, now.st_mtime_ns) == (
        found.st_ino,
        found.st_dev,
        found.st_mtime_ns,
    )


class _Pass:
    """One pass over the archives: who is to blame for what is not accepted shows as it goes."""

    def __init__(
        self,
        uploader: Uploader,
        cloud: Cloud,
        result: PassResult,
        stopping: Callable[[], bool],
    ) -> None:
        self._uploader: Final = uploader
        self._cloud: Final = cloud
        self._result: Final = result
        self._stopping: Final = stopping
        self._refused: list[str] = []
        """Refused since an archive was last accepted."""
        self._failed: list[str] = []
        """Passed over after many failures since an archive was last accepted."""
        self._last: Answer | None = None
        """The answer to the last one that was not accepted."""
        self._unjudged = False
        """The pass ended before it could show whose fault the last failures are."""

    def archives(self, names: list[str]) -> None:
        """Send ``names`` in their order."""
        uploader = self._uploader
        for name in names:
            if self._stopping():
                return
            uploader.beat()
            trouble = uploader.troubles.get(name)
            if trouble is not None and trouble.not_before > uploader.clock():
                continue
            answer = self._send(name)
            if answer is not None and not self._go_on(name, answer):
                self._unjudged = True
                break
        self._finish()

    def _send(self, name: str) -> Answer | None:
        """Send one archive; nothing when retention was faster."""
        path = self._uploader.paths.queue / name
        start = self._uploader.clock()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror}"
            return Answer(Verdict.FAILED, reason, local=True)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return Answer(Verdict.FAILED, "no regular file", local=True)
            answer = self._cloud.post_archive(name, file, found.st_size)
        if answer.verdict is not Verdict.ACCEPTED:
            return answer
        logger.info(
            "event=archive-sent archive=%s octets=%d seconds=%.2f",
            name,
            found.st_size,
            self._uploader.clock() - start,
        )
        return answer if self._put_away(path, found) else _NOT_PUT_AWAY

    def _put_away(self, path: Path, found: os.stat_result) -> bool:
        """Take what the cloud has out of the queue; a newer file of that name stays."""
        if not _same_file(path, found):
            return True
        try:
            if self._uploader.paths.sent is None:
                path.unlink(missing_ok=True)
                sync_directory(path.parent)
            else:
                move_durably(path, self._uploader.paths.sent)
        except OSError as error:
            logger.error(
                "event=archive-not-put-away archive=%s reason=%s",
                path.name,
                json.dumps(str(error)),
            )
            return False
        return True

    def _go_on(self, name: str, answer: Answer) -> bool:
        """Take note of an answer; whether the next archive is worth trying."""
        if answer.verdict is Verdict.ACCEPTED:
            self._result.sent.append(name)
            self._uploader.troubles.pop(name, None)
            self._uploader.accepted()
            self._judge()
            return True
        self._last = answer
        logger.warning(
            "event=archive-not-sent archive=%s verdict=%s reason=%s",
            name,
            answer.verdict.value,
            json.dumps(answer.reason),
        )
        if answer.verdict is Verdict.UNAVAILABLE:
            return False
        trouble = self._uploader.troubles.setdefault(name, _Trouble())
        trouble.failures += 1
        trouble.reason = answer.reason
        if answer.verdict is Verdict.REFUSED:
            self._refused.append(name)
            return len(self._refused) < self._uploader.refusal_limit
        if not answer.local:
            if answer.retry_after >= 0 or trouble.failures < FAILURES_BEFORE_OTHERS:
                return False
        self._failed.append(name)
        return True

    def _judge(self) -> None:
        """The cloud accepts others: what it did not is to blame itself."""
        for name in self._refused:
            self._quarantine(name)
        for name in self._failed:
            trouble = self._uploader.troubles[name]
            trouble.faults += 1
            if trouble.faults >= self._uploader.upload.attempts:
                self._quarantine(name)
            else:
                delay = self._uploader.delay(trouble.faults, LONGEST_FAULT_DELAY)
                trouble.not_before = self._uploader.clock() + delay
        self._refused = []
        self._failed = []

    def _finish(self) -> None:
        if not self._unjudged and self._result.sent:
            self._judge()
        if self._last is None or not (self._unjudged or self._refused or self._failed):
            return
        if self._refused:
            self._uploader.widen()
        self._uploader.back_off(self._result, self._last)

    def _quarantine(self, name: str) -> None:
        paths = self._uploader.paths
        trouble = self._uploader.troubles.pop(name)
        text = (
            f"archive: {name}\n"
            f"reason: {trouble.reason}\n"
            f"attempts: {trouble.failures}\n"
            f"since: {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        )
        try:
            make_directory(paths.quarantine)
            # The reason first: no archive stands there without one.
            write_durably(paths.quarantine / (name + REASON_SUFFIX), text.encode())
            move_durably(paths.queue / name, paths.quarantine)
        except OSError as error:
            logger.error(
                "event=archive-not-quarantined archive=%s reason=%s", name, json.dumps(str(error))
            )
            return
        self._result.quarantined.append(name)
        logger.error(
            "event=archive-quarantined archive=%s reason=%s attempts=%d",
            name,
            json.dumps(trouble.reason),
            trouble.failures,
        )


_NOT_PUT_AWAY: Final = Answer(
    Verdict.UNAVAILABLE, "an archive that was sent cannot be taken out of the queue"
)


def release_quarantined(paths: QueuePaths) -> list[str]:
    """Put the archives of the quarantine back into the queue; their names."""
    released: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(paths.quarantine.iterdir()):
            if ARCHIVE_NAME.fullmatch(path.name):
                move_durably(path, paths.queue)
                (paths.quarantine / (path.name + REASON_SUFFIX)).unlink(missing_ok=True)
                released.append(path.name)
    return released
