"""The uploader against a scripted cloud: order, back-off, blame, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from osect_sensor.config import Capture, Config, Sensor, Upload
from osect_sensor.errors import OsectError
from osect_sensor.service import upload as module
from osect_sensor.service.layout import Layout
from osect_sensor.service.transport import Answer, Verdict
from osect_sensor.service.upload import Uploader, release_quarantined

ACCEPTED = Answer(Verdict.ACCEPTED, "HTTP 200", 200)
BAD = Answer(Verdict.REFUSED, "HTTP 400: no tar.zst", 400)
ERROR = Answer(Verdict.FAILED, "HTTP 500", 500)
BUSY = Answer(Verdict.FAILED, "HTTP 503", 503, retry_after=120.0)
NO_TRUST = Answer(Verdict.UNAVAILABLE, "TLS: the cloud is not trusted: expired")


def name(minute: int) -> str:
    return f"realtime-2024-05-01-{minute // 60:02}:{minute % 60:02}:00.tar.zst"


class ScriptedCloud:
    """Answers by a function of the name, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answer: Callable[[str], Answer] = lambda name: ACCEPTED
        self.rules_answer = ACCEPTED
        self.asked: list[str] = []
        self.content: dict[str, bytes] = {}
        self.reports: list[tuple[str, str, str]] = []
        self.before: Callable[[str], None] = lambda name: None

    def __enter__(self) -> ScriptedCloud:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def post_archive(self, name: str, file, size: int) -> Answer:
        self.asked.append(name)
        self.before(name)
        answer = self.answer(name)
        if answer.verdict is Verdict.ACCEPTED:
            self.content[name] = file.read(size)
        return answer

    def post_rule_status(self, suricata: str, signature: str, message: str) -> Answer:
        self.reports.append((suricata, signature, message))
        return self.rules_answer


class Bench:
    """An uploader with a clock that stands until it is moved."""

    def __init__(self, tmp_path: Path, upload: Upload, **more: object) -> None:
        self.layout = Layout(
            Config(
                sensor=Sensor(state=str(tmp_path / "state"), runtime=str(tmp_path / "run")),
                capture=Capture(spool=str(tmp_path / "spool")),
            )
        )
        self.layout.queue.mkdir(parents=True)
        self.cloud = ScriptedCloud()
        self.now = 1000.0
        self.jitter = 1.0
        self.uploader = Uploader(
            upload,
            self.layout,
            lambda: self.cloud,
            clock=lambda: self.now,
            jitter=lambda: self.jitter,
            **more,
        )

    def queue(self, *minutes: int) -> None:
        for minute in minutes:
            (self.layout.queue / name(minute)).write_bytes(b"archive %d" % minute)

    def queued(self) -> list[str]:
        return sorted(path.name for path in self.layout.queue.iterdir())

    def uploaded(self) -> list[str]:
        if not self.layout.uploaded.exists():
            return []
        return sorted(path.name for path in self.layout.uploaded.iterdir())

    def quarantined(self) -> list[str]:
        if not self.layout.quarantine.exists():
            return []
        return sorted(path.name for path in self.layout.quarantine.iterdir())

    def passes(self, count: int) -> None:
        """So many passes, each when it is due."""
        for _ in range(count):
            self.now += self.uploader.run_once().delay


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Upload(backoff=2, backoff_limit=300, attempts=3))


def test_archives_go_oldest_first_and_leave_the_queue(bench: Bench) -> None:
    bench.queue(5, 3, 4)
    result = bench.uploader.run_once()
    assert bench.cloud.asked == [name(3), name(4), name(5)] == result.sent
    assert bench.queued() == []
    assert bench.uploaded() == [name(3), name(4), name(5)]
    assert bench.cloud.content[name(4)] == b"archive 4"


def test_other_files_in_the_queue_are_left_alone(bench: Bench) -> None:
    (bench.layout.queue / ".realtime-2024-05-01-00:00:00.tar.zst.partial").write_bytes(b"")
    (bench.layout.queue / "notes").write_bytes(b"")
    assert bench.uploader.run_once().sent == []
    assert len(bench.queued()) == 2


@pytest.mark.parametrize("answer", [ERROR, BUSY, NO_TRUST], ids=lambda answer: answer.reason)
def test_a_failure_ends_the_pass_and_keeps_everything(bench: Bench, answer: Answer) -> None:
    bench.queue(1, 2, 3)
    bench.cloud.answer = lambda name: answer
    result = bench.uploader.run_once()
    assert bench.cloud.asked == [name(1)]
    assert bench.queued() == [name(1), name(2), name(3)]
    assert result.problem == answer.reason
    assert result.remaining == 3


def test_what_failed_is_sent_again_under_its_name_and_before_the_others(bench: Bench) -> None:
    bench.queue(1, 2)
    answers = iter([ERROR, ERROR, ACCEPTED, ACCEPTED])
    bench.cloud.answer = lambda name: next(answers)
    bench.passes(3)
    assert bench.cloud.asked == [name(1), name(1), name(1), name(2)]


def test_the_delay_doubles_up_to_its_limit(bench: Bench) -> None:
    bench.queue(1)
    bench.cloud.answer = lambda name: NO_TRUST
    delays = [bench.uploader.run_once().delay for _ in range(10)]
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_half_of_the_delay_is_left_to_chance(bench: Bench) -> None:
    bench.queue(1)
    bench.cloud.answer = lambda name: NO_TRUST
    bench.jitter = 0.0
    assert bench.uploader.run_once().delay == 1.0


def test_success_begins_the_back_off_anew(bench: Bench) -> None:
    bench.queue(1, 2)
    answers = iter([ERROR, ERROR, ERROR, ACCEPTED, ERROR])
    bench.cloud.answer = lambda name: next(answers)
    bench.passes(3)
    result = bench.uploader.run_once()
    assert result.sent == [name(1)]
    assert result.delay == 2


def test_the_cloud_may_ask_for_a_longer_delay(bench: Bench) -> None:
    bench.queue(1)
    bench.cloud.answer = lambda name: BUSY
    assert bench.uploader.run_once().delay == 120 + 2


def test_a_refused_archive_goes_into_quarantine_with_the_reason(bench: Bench) -> None:
    bench.queue(1, 2, 3)
    bench.cloud.answer = lambda one: BAD if one == name(2) else ACCEPTED
    result = bench.uploader.run_once()
    assert result.sent == [name(1), name(3)]
    assert result.quarantined == [name(2)]
    assert bench.queued() == []
    assert bench.quarantined() == [name(2), name(2) + ".reason"]
    assert "HTTP 400: no tar.zst" in (bench.layout.quarantine / (name(2) + ".reason")).read_text()
    assert (bench.layout.quarantine / name(2)).read_bytes() == b"archive 2"


def test_a_refusal_is_the_clouds_fault_until_it_accepts_another(bench: Bench) -> None:
    bench.queue(1)
    bench.cloud.answer = lambda one: BAD if one == name(1) else ACCEPTED
    bench.passes(5)
    assert bench.queued() == [name(1)]
    bench.queue(2)
    bench.passes(1)
    assert bench.quarantined() == [name(1), name(1) + ".reason"]
    assert bench.uploaded() == [name(2)]


def test_a_cloud_that_refuses_everything_loses_nothing(bench: Bench) -> None:
    bench.queue(*range(20))
    bench.cloud.answer = lambda one: BAD
    bench.passes(8)
    assert bench.quarantined() == []
    bench.cloud.answer = lambda one: ACCEPTED
    bench.passes(1)
    assert bench.uploaded() == [name(minute) for minute in range(20)]


def test_a_cloud_that_begins_to_refuse_everything_loses_nothing(bench: Bench) -> None:
    bench.queue(*range(20))
    bench.cloud.answer = lambda one: BAD if one > name(4) else ACCEPTED
    bench.passes(8)
    assert bench.quarantined() == []
    assert len(bench.queued()) == 15


def test_a_pass_stops_after_a_few_refusals_and_looks_further_next_time(bench: Bench) -> None:
    bench.queue(*range(20))
    bench.cloud.answer = lambda one: BAD
    counts = []
    for _ in range(4):
        bench.cloud.asked.clear()
        bench.passes(1)
        counts.append(len(bench.cloud.asked))
    assert counts == [3, 6, 12, 20]


def test_many_bad_archives_in_a_row_do_not_block_a_good_one(bench: Bench) -> None:
    bench.queue(*range(11))
    bench.cloud.answer = lambda one: ACCEPTED if one == name(10) else BAD
    bench.passes(3)
    assert bench.uploaded() == [name(10)]
    assert [one for one in bench.quarantined() if one.endswith(".zst")] == [
        name(minute) for minute in range(10)
    ]


def test_an_archive_that_always_fails_does_not_block_the_others(bench: Bench) -> None:
    bench.queue(1, 2, 3)
    bench.cloud.answer = lambda one: ERROR if one == name(1) else ACCEPTED
    bench.passes(module.FAILURES_BEFORE_OTHERS)
    assert bench.uploaded() == [name(2), name(3)]
    assert bench.queued() == [name(1)]


def test_an_archive_that_fails_while_others_are_accepted_ends_in_quarantine(bench: Bench) -> None:
    bench.queue(1)
    bench.cloud.answer = lambda one: ERROR if one == name(1) else ACCEPTED
    for minute in range(2, 60):
        bench.queue(minute)
        bench.passes(1)
        bench.now += 60
    assert bench.quarantined() == [name(1), name(1) + ".reason"]
    assert bench.uploaded() == [name(minute) for minute in range(2, 60)]


def test_an_outage_puts_nothing_into_quarantine_and_keeps_the_order(bench: Bench) -> None:
    bench.queue(1, 2, 3)
    bench.cloud.answer = lambda one: ERROR
    bench.passes(60)
    assert bench.quarantined() == []
    bench.cloud.answer = lambda one: ACCEPTED
    bench.cloud.asked.clear()
    bench.passes(1)
    assert bench.cloud.asked == [name(1), name(2), name(3)]


def test_a_file_that_cannot_be_read_does_not_block_the_others(bench: Bench) -> None:
    bench.queue(2)
    (bench.layout.queue / name(0)).mkdir()
    (bench.layout.queue / name(1)).symlink_to("/etc/shadow")
    result = bench.uploader.run_once()
    assert result.sent == [name(2)]
    assert bench.cloud.asked == [name(2)]


def test_what_retention_deletes_meanwhile_is_passed_over(bench: Bench) -> None:
    bench.queue(1, 2, 3)
    bench.cloud.before = lambda one: (bench.layout.queue / name(2)).unlink(missing_ok=True)
    assert bench.uploader.run_once().sent == [name(1), name(3)]


def test_what_is_replaced_while_it_is_sent_is_sent_again(bench: Bench) -> None:
    bench.queue(1)

    def replace(one: str) -> None:
        bench.cloud.before = lambda one: None
        new = bench.layout.queue / ".new"
        new.write_bytes(b"another")
        new.replace(bench.layout.queue / one)

    bench.cloud.before = replace
    bench.passes(2)
    assert bench.cloud.asked == [name(1), name(1)]
    assert bench.cloud.content[name(1)] == b"another"
    assert bench.queued() == []


def test_an_archive_that_cannot_be_put_away_ends_the_pass(bench: Bench, monkeypatch) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "move", fail)
    bench.queue(1, 2)
    result = bench.uploader.run_once()
    assert bench.cloud.asked == [name(1)]
    assert bench.queued() == [name(1), name(2)]
    assert "taken out of the queue" in result.problem


def test_a_cloud_that_cannot_be_opened_is_tried_again_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Upload(backoff=2))

    def fail() -> None:
        raise OsectError("the private key in /x can be read by others")

    bench.uploader._cloud = fail
    bench.queue(1)
    result = bench.uploader.run_once()
    assert result.problem == "the private key in /x can be read by others"
    assert result.delay == 2


def test_nothing_is_sent_while_the_modem_is_silent(tmp_path: Path) -> None:
    answers = iter([False, True])
    asked: list[tuple[str, int]] = []

    def link(device: str, speed: int) -> bool:
        asked.append((device, speed))
        return next(answers)

    bench = Bench(tmp_path, Upload(modem="/dev/ttyUSB1", modem_speed=9600), link=link)
    bench.queue(1)
    assert "modem on /dev/ttyUSB1" in bench.uploader.run_once().problem
    assert bench.cloud.asked == []
    assert bench.uploader.run_once().sent == [name(1)]
    assert asked == [("/dev/ttyUSB1", 9600)] * 2


def test_the_modem_is_not_asked_when_there_is_nothing_to_send(tmp_path: Path) -> None:
    def link(device: str, speed: int) -> bool:
        raise AssertionError

    assert Bench(tmp_path, Upload(modem="/dev/x"), link=link).uploader.run_once().problem == ""


def report(bench: Bench, message: str = "success") -> Path:
    path = bench.layout.rules_report
    path.write_text(json.dumps({"suricata": "7.0.10", "signature": "10", "message": message}))
    return path


def test_a_rules_report_is_sent_once(bench: Bench) -> None:
    path = report(bench)
    bench.passes(2)
    assert bench.cloud.reports == [("7.0.10", "10", "success")]
    assert not path.exists()


def test_a_rules_report_waits_until_the_cloud_takes_it(bench: Bench) -> None:
    path = report(bench)
    bench.cloud.rules_answer = ERROR
    assert bench.uploader.run_once().problem == "HTTP 500"
    assert path.exists()
    bench.cloud.rules_answer = ACCEPTED
    bench.passes(1)
    assert not path.exists()


def test_a_refused_rules_report_does_not_stay(bench: Bench) -> None:
    path = report(bench)
    bench.cloud.rules_answer = BAD
    bench.passes(1)
    assert not path.exists()


def test_a_damaged_rules_report_does_not_stay(bench: Bench) -> None:
    bench.layout.rules_report.write_text("{")
    bench.queue(1)
    assert bench.uploader.run_once().sent == [name(1)]
    assert not bench.layout.rules_report.exists()


def test_the_status_tells_what_is_queued_and_why(bench: Bench) -> None:
    bench.queue(1, 2)
    answers = iter([ACCEPTED, NO_TRUST])
    bench.cloud.answer = lambda name: next(answers)
    bench.passes(1)
    status = json.loads(bench.layout.upload_status.read_text())
    assert status["queued"] == 1
    assert status["last_sent"] == name(1)
    assert status["problem"] == NO_TRUST.reason


def test_stopping_ends_a_pass_between_two_archives(bench: Bench) -> None:
    bench.queue(1, 2, 3)
    result = bench.uploader.run_once(lambda: len(bench.cloud.asked) == 2)
    assert result.sent == [name(1), name(2)]


def test_the_loop_waits_in_steps_shows_life_and_ends(tmp_path: Path) -> None:
    beats: list[float] = []
    bench = Bench(tmp_path, Upload(backoff=25), beat=lambda: beats.append(1))
    bench.cloud.answer = lambda name: NO_TRUST
    bench.queue(1)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        if seconds:
            waits.append(seconds)
        return len(waits) == 5

    bench.uploader.run(wait)
    assert waits == [10, 10, 5, 10, 10]
    assert len(bench.cloud.asked) == 2
    assert len(beats) == 7


def test_the_quarantine_can_be_released(bench: Bench) -> None:
    bench.queue(1, 2)
    bench.cloud.answer = lambda one: BAD if one == name(1) else ACCEPTED
    bench.passes(1)
    assert release_quarantined(bench.layout) == [name(1)]
    assert bench.quarantined() == []
    bench.cloud.answer = lambda one: ACCEPTED
    bench.passes(1)
    assert bench.uploaded() == [name(1), name(2)]
