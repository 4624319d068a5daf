"""The mock cloud's status page in a real browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def rendered(url: str, profile: Path) -> str:
    """The page as it stands after its script has run for some seconds of virtual time."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=4000", "--dump-dom", url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout


def text_of(page: str, identity: str) -> str:
    found = re.search(rf'<(\w+)[^>]*id="?{identity}"?[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found, identity
    return html.unescape(re.sub(r"<[^>]+>", "|", found[2]))


def test_the_page_shows_uploads_as_they_arrive(cloud, sender, tmp_path: Path) -> None:
    for minute in range(3):
        sender.queue(minute)
    cloud.inject("status", status=503)
    sender.send_all()
    page = rendered(cloud.control_url + "/", tmp_path / "profile")
    assert text_of(page, "archives") == "3"
    assert text_of(page, "rows") == "180"
    assert text_of(page, "violations") == "0"
    assert text_of(page, "injected") == "1"
    events = text_of(page, "events")
    assert events.count("|kept|") == 3
    assert events.count("HTTP 503") == 1
    assert events.index("00:02:00.tar.zst") < events.index("00:00:00.tar.zst")
    assert "plant-3" in events


def test_an_empty_page_says_so(cloud, tmp_path: Path) -> None:
    page = rendered(cloud.control_url + "/", tmp_path / "profile")
    assert "Nothing has arrived yet." in text_of(page, "events")
    assert text_of(page, "archives") == "0"


def test_what_sensors_send_is_shown_as_text(cloud, tmp_path: Path) -> None:
    fields = {
        "label_id": "<img src=x onerror=document.title='owned'>",
        "suricata": "7",
        "signature": "1",
        "message": "<script>document.title='owned'</script>",
    }
    requests.post(
        f"{cloud.url}/paper/api/v1/sensor_status/post",
        data=fields,
        cert=str(cloud.certificates.client),
        verify=str(cloud.certificates.ca),
        timeout=10,
    )
    page = rendered(cloud.control_url + "/", tmp_path / "profile")
    assert "<title>Mock cloud</title>" in page
    assert "&lt;script&gt;" in page


def test_the_page_needs_nothing_from_elsewhere(cloud) -> None:
    page = requests.get(cloud.control_url + "/", timeout=5).text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "@import" not in page
