"""The page shows agreement, differences and throughput, and needs no network."""

from __future__ import annotations

import html as html_module
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from osect_harness.cli import cli
from osect_harness.errors import UsageError
from osect_harness.timings import Timing, load_timings

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Outline(HTMLParser):
    """Collects the elements, and complains of those that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag != "meta":
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


@pytest.fixture
def page(make_logs, tmp_path):
    """A report on one capture with differences."""
    ours, golden = make_logs("ours/a/b"), make_logs("golden/a/b")
    ours.change("conn", 0, "history", "<script>alert(1)</script>"[:8])
    ours.change("dhcp2", 0, "hostname", "\\x00<b>&")
    ours.write("arp", ours.rows("arp")[:1])
    golden.change("p0f-k", 1, "src_mac", "00:00:5e:00:53:09")
    timings = {"captures": {"a/b": {"seconds": 0.25, "packets": 1000, "octets": 64000},
                            "a/c": {"seconds": 0.0, "packets": 0}}}  # fmt: skip
    (tmp_path / "timings.json").write_text(json.dumps(timings))
    arguments = ["conformance", str(tmp_path / "ours"), str(tmp_path / "golden"),
                 "--html", str(tmp_path / "report.html"),
                 "--timings", str(tmp_path / "timings.json")]  # fmt: skip
    assert CliRunner().invoke(cli, arguments).exit_code == 1
    return (tmp_path / "report.html").read_text()


def test_the_page_is_whole_and_refers_to_nothing_outside(page):
    outline = Outline()
    outline.feed(page)
    assert outline.stack == []
    assert outline.addresses == []
    assert "script" not in outline.seen
    assert not re.search(r"@import|url\(", page)


def test_the_page_shows_every_part(page):
    for heading in ("Agreement by log", "Agreement by field", "Explained differences",
                    "Differences", "Slowest captures", "Throughput"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page
    assert "<svg" in page
    assert "4,000 packets a second" in page
    assert "p0f-sender-of-syn-ack" in page


def test_values_from_the_wire_are_escaped(page):
    assert "\\x00&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_a_difference_shows_both_rows_with_the_differing_cell_marked(page):
    assert re.search(r"<th>expected</th>(<td.*</td>)+<td class=differs>plc</td>", page)


@pytest.mark.parametrize("text", ["", "[]", '{"captures": []}', '{"captures": {"a": {}}}'])
def test_a_file_without_timings_is_refused(tmp_path, text):
    path = tmp_path / "timings.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="holds no timings"):
        load_timings(path)
    with pytest.raises(UsageError, match="cannot read"):
        load_timings(tmp_path / "nowhere.json")


def test_throughput_is_packets_over_seconds():
    assert Timing("a", 0.5, 100, 0).packets_per_second == 200
    assert Timing("a", 0.0, 100, 0).packets_per_second == 0


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_without_network_shows_the_report(page, tmp_path):
    report = tmp_path / "report.html"
    report.write_text(page, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", report.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    words = html_module.unescape(re.sub(r"<[^>]+>", " ", shown))
    for expected in ("Agreement by log", "conn", "Slowest captures"):
        assert expected in words
    assert shown.count("<svg") == page.count("<svg") > 0
