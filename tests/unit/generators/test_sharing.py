"""However many processes share a replay, its rows are the same."""

from pathlib import Path

import pytest

from osect_sensor.errors import OsectError
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.generators.replay import Replay
from osect_sensor.generators.sharing import Helpers
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.reader import read_log
from osect_sensor.logs.writer import TextSink
from osect_sensor.wire.capture import open_capture

BUILT = Path(__file__).parents[3] / "pcaps" / "built"
CAPTURES = sorted(path for path in BUILT.iterdir() if path.name != "SHA256SUMS")
FACTORY_MINUTE = BUILT / "factory_minute.pcap"
LOGS = [log for log in OSECT_2023.logs if log.name != "eve"]


def rows(directory: Path) -> dict[str, list[list[str]]]:
    return {log.name: sorted(read_log(str(directory / log.file_name), log).rows) for log in LOGS}


def generate(capture: Path, directory: Path, share: int, shares: int) -> NativeGenerator:
    sink = TextSink([log.name for log in LOGS])
    sink.open_window(str(directory), 0)
    generator = NativeGenerator(sink, 0, 1)
    generator.take_share(share, shares)
    with capture.open("rb") as file:
        generator.read(open_capture(file, capture.name), 1 << 60)
    generator.finish()
    sink.close_window(0)
    return generator


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
@pytest.mark.parametrize("shares", [2, 3])
def test_the_shares_are_the_whole(capture: Path, shares: int, tmp_path: Path) -> None:
    alone = generate(capture, tmp_path / "alone", 0, 1)
    together = [generate(capture, tmp_path / str(share), share, shares) for share in range(shares)]
    whole = rows(tmp_path / "alone")
    parts = [rows(tmp_path / str(share)) for share in range(shares)]
    for name, expected in whole.items():
        assert sorted(row for part in parts for row in part[name]) == expected, name
    for counts in ("undecodable", "limits"):
        summed: dict[str, int] = {}
        for generator in together:
            for reason, count in getattr(generator, counts)().items():
                summed[reason] = summed.get(reason, 0) + count
        assert summed == getattr(alone, counts)()


def test_traffic_is_spread(tmp_path: Path) -> None:
    generate(FACTORY_MINUTE, tmp_path / "0", 0, 2)
    generate(FACTORY_MINUTE, tmp_path / "1", 1, 2)
    assert all(len(rows(tmp_path / share)["conn"]) > 10 for share in "01")


@pytest.mark.parametrize("window", [0, 10])
def test_a_replay_with_several_jobs_writes_the_same(window: int, tmp_path: Path) -> None:
    outputs = [tmp_path / "one", tmp_path / "three"]
    names = [log.name for log in LOGS]
    one = Replay([str(FACTORY_MINUTE)], outputs[0], names, window).run()
    three = Replay([str(FACTORY_MINUTE)], outputs[1], names, window, jobs=3).run()
    assert three.rows == one.rows
    assert (three.packets, three.undecodable) == (one.packets, one.undecodable)
    if window == 0:
        assert rows(outputs[1]) == rows(outputs[0])
        return
    windows = sorted(path.name for path in outputs[0].iterdir())
    assert sorted(path.name for path in outputs[1].iterdir()) == windows
    for name in windows:
        assert rows(outputs[1] / name) == rows(outputs[0] / name)


def test_a_capture_without_packets_is_shared_too(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(FACTORY_MINUTE.read_bytes()[:24])
    summary = Replay([str(empty)], tmp_path / "logs", None, jobs=2).run()
    assert summary.packets == 0
    assert (tmp_path / "logs" / "conn.log").is_file()


def test_standard_input_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(OsectError, match="several times"):
        Replay(["-"], tmp_path / "logs", jobs=2).run()
    assert list(tmp_path.iterdir()) == []


def fail() -> int:
    raise OsectError("no room", "make some")


def test_what_a_helper_fails_with_is_raised_here() -> None:
    helpers: Helpers[int] = Helpers()
    helpers.start(fail)
    with pytest.raises(OsectError, match=r"no room \(make some\)"):
        helpers.outcomes()
