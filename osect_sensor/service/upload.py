"""The queue of archives to the cloud: oldest first, until each is there or set aside."""

from __future__ import annotations

import json
import os
import random
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from osect_sensor.config import Upload
from osect_sensor.errors import OsectError
from osect_sensor.service import messages
from osect_sensor.service.certificate import certificate_expiry
from osect_sensor.service.files import make_directory, move, sync_directory, write_json, write_whole
from osect_sensor.service.layout import Layout, archive_names
from osect_sensor.service.link import modem_answers
from osect_sensor.service.transport import Answer, Cloud, Verdict

REASON_SUFFIX: Final = ".reason"

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


class Uploader:
    """Sends what lies in the queue."""

    def __init__(
        self,
        upload: Upload,
        layout: Layout,
        cloud: CloudFactory,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        link: Callable[[str, int], bool] = modem_answers,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """``jitter`` gives numbers from 0 to 1; ``beat`` is called while all is well."""
        self.upload: Final = upload
        self.layout: Final = layout
        self._cloud: Final = cloud
        self.clock: Final = clock
        self._jitter: Final = jitter
        self._link: Final = link
        self.beat: Final = beat
        self.troubles: dict[str, _Trouble] = {}
        self._fruitless = 0
        self.refusal_limit = REFUSALS_IN_A_ROW
        self._sent = 0
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
        self._write_status(result)
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
        return archive_names(self.layout.queue)

    def back_off(self, result: PassResult, answer: Answer) -> None:
        """Note why nothing can be sent, and for how long not to try."""
        self._fruitless = 1 if result.sent else self._fruitless + 1
        result.problem = answer.reason
        result.delay = self.delay(self._fruitless, self.upload.backoff_limit)
        if answer.retry_after >= 0:
            # Sensors that were told the same moment must not all come at it.
            spread = self._jitter() * self.upload.backoff
            result.delay = max(result.delay, answer.retry_after + spread)
        messages.warning(
            "upload.waits",
            reason=result.problem,
            seconds=result.delay,
            attempt=self._fruitless,
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
        path = self.layout.rules_report
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
            messages.error("report.dropped", reason=error)
            path.unlink(missing_ok=True)
            return
        answer = cloud.post_rule_status(*fields)
        if answer.verdict is Verdict.ACCEPTED:
            messages.info("report.sent", signature=fields[1], message=fields[2])
        elif answer.verdict is Verdict.REFUSED:
            messages.error("report.refused", reason=answer.reason)
        else:
            self.back_off(result, answer)
            return
        if _same_file(path, found):
            path.unlink(missing_ok=True)
            sync_directory(path.parent)

    def _write_status(self, result: PassResult) -> None:
        """Leave word for ``osect-sensor status``; after a crash the next pass writes it anew."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if result.sent:
            self._last_sent = result.sent[-1]
            self._last_sent_at = now
        status = {
            "updated": time.time(),
            "pid": os.getpid(),
            "queued": result.remaining,
            "quarantined": len(archive_names(self.layout.quarantine)),
            "sent": self._sent + len(result.sent),
            "last_sent": self._last_sent,
            "last_sent_at": self._last_sent_at,
            "problem": result.problem,
            "attempt": self._fruitless,
            "certificate_expires_at": self._expiry(),
        }
        self._sent += len(result.sent)
        try:
            make_directory(self.layout.runtime)
            write_json(self.layout.upload_status, status)
        except OSError as error:
            messages.warning("status.not_written", reason=error)

    def _expiry(self) -> str:
        """Until when the client certificate is valid; empty where that cannot be known."""
        try:
            return certificate_expiry(Path(self.upload.client_pem)).isoformat()
        except OsectError:
            return ""


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
        """Refused since an archive was last accepted: whose fault that is remains to be seen."""
        self._failed: list[str] = []
        """Passed over after many failures since an archive was last accepted."""
        self._last: Answer | None = None
        """The answer to the last one that was not accepted."""
        self._ended_early = False
        """Going on was pointless."""

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
                self._ended_early = True
                break
        self._finish()

    def _send(self, name: str) -> Answer | None:
        """Send one archive; nothing when retention was faster."""
        path = self._uploader.layout.queue / name
        start = self._uploader.clock()
        try:
            # Not blocking: whoever puts a pipe there must not stop the uploads.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror}"
            return Answer(Verdict.FAILED, reason, local=True)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            return Answer(Verdict.FAILED, "no regular file", local=True)
        with os.fdopen(descriptor, "rb") as file:
            answer = self._cloud.post_archive(name, file, found.st_size)
        if answer.verdict is not Verdict.ACCEPTED:
            return answer
        messages.info(
            "archive.sent",
            archive=name,
            octets=found.st_size,
            seconds=self._uploader.clock() - start,
        )
        return answer if self._put_away(path, found) else _NOT_PUT_AWAY

    def _put_away(self, path: Path, found: os.stat_result) -> bool:
        """Take what the cloud has out of the queue; a newer file of that name stays."""
        if not _same_file(path, found):
            return True
        uploaded = self._uploader.layout.uploaded
        try:
            make_directory(uploaded)
            move(path, uploaded / path.name)
        except OSError as error:
            messages.error("archive.not_put_away", archive=path.name, reason=error)
            return False
        return True

    def _go_on(self, name: str, answer: Answer) -> bool:
        """Take note of an answer; whether the next archive is worth trying."""
        if answer.verdict is Verdict.ACCEPTED:
            self._note_sent(name)
            return self._judge()
        self._note_failure(name, answer)
        if answer.verdict is Verdict.UNAVAILABLE:
            return False
        trouble = self._uploader.troubles[name]
        if answer.verdict is Verdict.REFUSED:
            self._refused.append(name)
            return len(self._refused) < self._uploader.refusal_limit
        if not answer.local:
            if answer.retry_after >= 0 or trouble.failures < FAILURES_BEFORE_OTHERS:
                return False
        self._failed.append(name)
        return True

    def _note_sent(self, name: str) -> None:
        self._result.sent.append(name)
        self._uploader.troubles.pop(name, None)
        self._uploader.accepted()

    def _note_failure(self, name: str, answer: Answer) -> None:
        self._last = answer
        messages.warning(
            "archive.not_sent", archive=name, verdict=answer.verdict.value, reason=answer.reason
        )
        if answer.verdict is not Verdict.UNAVAILABLE:
            trouble = self._uploader.troubles.setdefault(name, _Trouble())
            trouble.failures += 1
            trouble.reason = answer.reason

    def _judge(self) -> bool:
        """The cloud accepts others: what it did not is to blame itself. Whether to go on.

        What was refused is asked once more, for the cloud may have come to its senses since.
        """
        failed, self._failed = self._failed, []
        for name in failed:
            trouble = self._uploader.troubles[name]
            trouble.faults += 1
            if trouble.faults >= self._uploader.upload.attempts:
                self._quarantine(name)
            else:
                delay = self._uploader.delay(trouble.faults, LONGEST_FAULT_DELAY)
                trouble.not_before = self._uploader.clock() + delay
        refused, self._refused = self._refused, []
        for name in refused:
            answer = self._send(name)
            if answer is None:
                continue
            if answer.verdict is Verdict.ACCEPTED:
                self._note_sent(name)
                continue
            self._note_failure(name, answer)
            if answer.verdict is not Verdict.REFUSED:
                return False
            self._quarantine(name)
        return True

    def _finish(self) -> None:
        if self._last is None or not (self._ended_early or self._refused or self._failed):
            return
        if self._refused and not self._result.sent:
            self._uploader.widen()
        self._uploader.back_off(self._result, self._last)

    def _quarantine(self, name: str) -> None:
        layout = self._uploader.layout
        trouble = self._uploader.troubles.pop(name)
        text = (
            f"archive: {name}\n"
            f"reason: {trouble.reason}\n"
            f"attempts: {trouble.failures}\n"
            f"since: {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        )
        try:
            make_directory(layout.quarantine)
            # The reason first: no archive stands there without one.
            write_whole(layout.quarantine / (name + REASON_SUFFIX), text.encode())
            move(layout.queue / name, layout.quarantine / name)
        except OSError as error:
            messages.error("archive.not_quarantined", archive=name, reason=error)
            return
        self._result.quarantined.append(name)
        messages.error(
            "archive.quarantined", archive=name, reason=trouble.reason, attempts=trouble.failures
        )


_NOT_PUT_AWAY: Final = Answer(
    Verdict.UNAVAILABLE, "an archive that was sent cannot be taken out of the queue"
)


def release_quarantined(layout: Layout) -> list[str]:
    """Put the archives of the quarantine back into the queue; their names."""
    released = archive_names(layout.quarantine)
    for name in released:
        move(layout.quarantine / name, layout.queue / name)
        (layout.quarantine / (name + REASON_SUFFIX)).unlink(missing_ok=True)
    return released
