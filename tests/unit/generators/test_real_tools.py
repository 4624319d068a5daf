"""The real p0f-k, p0f and YAF, where they are installed, say what the native generator says."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from osect_sensor.generators.external import ExternalTool
from osect_sensor.generators.p0f import P0f
from osect_sensor.generators.replay import Replay
from osect_sensor.generators.yaf import Yaf

ROOT = Path(__file__).parents[3]
FACTORY = ROOT / "pcaps" / "built" / "factory_minute.pcap"
REFERENCE = ROOT / "pcaps" / "p0f" / "reference.fp"
DATABASE = Path("/etc/p0f/p0f.fp")


def needs(*programs: str) -> pytest.MarkDecorator:
    absent = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def replayed(tmp_path: Path, capture: Path, fingerprints: Path = REFERENCE) -> Path:
    directory = tmp_path / "native"
    Replay([str(capture)], directory, fingerprints=fingerprints).run()
    return directory


def told(tool: ExternalTool, capture: Path, native: Path, log: str) -> tuple[list[str], list[str]]:
    """The rows of the native generator and of the tool."""
    window = native.with_name(f"window-{capture.name}")
    shutil.copytree(native, window)
    tool.run(capture, window)
    assert tool.failure == ""
    both = [path.joinpath(log).read_text().splitlines() for path in (native, window)]
    return sorted(both[0]), sorted(both[1])


def in_other_forms(tmp_path: Path) -> list[Path]:
    """The factory's minute as captures that not every tool can read."""
    packed = tmp_path / "minute.pcap.gz"
    packed.write_bytes(gzip.compress(FACTORY.read_bytes()))
    return [FACTORY, packed]


@needs("p0f-k")
def test_p0f_k_has_the_rows_of_the_native_generator(tmp_path: Path) -> None:
    native = replayed(tmp_path, FACTORY)
    for capture in in_other_forms(tmp_path):
        ours, its = told(P0f(["p0f-k"], REFERENCE, 60), capture, native, "p0f-k.log")
        assert len(ours) > 10
        assert ours == its


@needs("yaf", "yafscii")
def test_yaf_has_the_flows_of_the_native_generator(tmp_path: Path) -> None:
    native = replayed(tmp_path, FACTORY)
    for capture in in_other_forms(tmp_path):
        ours, its = told(Yaf(["yaf_flow"], 60), capture, native, "yaf_flow.log")
        assert len(ours) > 1
        # A header, and rows: the native generator and YAF both end all flows with the capture.
        assert ours == its


@needs("yaf", "yafscii")
def test_yaf_has_the_flows_of_what_can_be_read_of_a_damaged_capture(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(FACTORY.read_bytes()[:-100])
    native = replayed(tmp_path, FACTORY)
    window = tmp_path / "window"
    shutil.copytree(native, window)
    tool = Yaf(["yaf_flow"], 60)
    tool.run(cut, window, damaged=True)
    assert tool.failure == ""
    assert len((window / "yaf_flow.log").read_text().splitlines()) > 1


@needs("p0f-k", "yaf", "yafscii")
def test_real_tools_have_nothing_to_say_of_nothing(tmp_path: Path) -> None:
    native = replayed(tmp_path, FACTORY)
    for number, content in enumerate((b"", FACTORY.read_bytes()[:24], b"no capture at all")):
        capture = tmp_path / f"{number}.pcap"
        capture.write_bytes(content)
        assert told(P0f(["p0f-k"], REFERENCE, 60), capture, native, "p0f-k.log")[1] == []
        window = tmp_path / f"yaf-{number}"
        shutil.copytree(native, window)
        Yaf(["yaf_flow"], 60).run(capture, window)
        assert len((window / "yaf_flow.log").read_text().splitlines()) == 1


@needs("p0f")
@pytest.mark.skipif(not DATABASE.is_file(), reason="no database of p0f's package")
def test_the_distributions_p0f_judges_each_packet_as_the_native_generator_does(
    tmp_path: Path,
) -> None:
    """Its rows have no MAC addresses and whole seconds: it cannot write the log, but check it."""
    native = replayed(tmp_path, FACTORY, DATABASE)
    log = tmp_path / "p0f.log"
    line = ["p0f", "-f", str(DATABASE), "-r", str(FACTORY), "-o", str(log)]
    subprocess.run(line, check=True, capture_output=True, timeout=60)
    its = []
    for text in log.read_text().splitlines():
        found = re.search(
            r"mod=(syn(?:\+ack)?)\|cli=(\S+?)/\d+\|srv=(\S+?)/\d+\|subj=(\w+)\|os=", text
        )
        if found is not None:
            sender = found[2] if found[4] == "cli" else found[3]
            rest = text[found.end() :]
            its.append((found[1], sender, rest.partition("|")[0], rest.rpartition("raw_sig=")[2]))
    rows = [row.split("\t") for row in (native / "p0f-k.log").read_text().splitlines()]
    assert len(rows) > 10
    assert sorted((row[1], row[2], row[4], row[5]) for row in rows) == sorted(its)
