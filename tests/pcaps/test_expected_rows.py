"""The sensor's rows for each reference capture are those that are written down for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from osect_sensor.generators.replay import Replay

ROOT = Path(__file__).resolve().parents[2]
PCAPS = ROOT / "pcaps"
BUILT = {path.name.split(".")[0]: path for path in sorted((PCAPS / "built").iterdir())}
WITH_ALERTS = sorted(path.parent.name for path in (PCAPS / "expected").glob("*/eve.json"))


def replay(capture: Path, output: Path, selection: list[str]) -> None:
    Replay(
        [str(capture)],
        output,
        selection=selection,
        report_interval=0,
        rules=PCAPS / "rules" / "reference.rules",
        fingerprints=PCAPS / "p0f" / "reference.fp",
    ).run()


@pytest.mark.parametrize("name", sorted(BUILT))
def test_rows_are_the_expected_ones(name: str, tmp_path: Path, compare: ModuleType) -> None:
    replay(BUILT[name], tmp_path / "logs", list(compare.LOGS))
    differences = compare.compare(PCAPS / "expected" / name, tmp_path / "logs")
    assert not differences, "\n".join([f"{name}:", *differences])


def test_every_capture_has_expectations_and_every_expectation_a_capture() -> None:
    assert sorted(path.name for path in (PCAPS / "expected").iterdir()) == sorted(BUILT)


def _contains(event: dict[str, Any], wanted: dict[str, Any]) -> bool:
    for key, value in wanted.items():
        if isinstance(value, dict):
            if not isinstance(event.get(key), dict) or not _contains(event[key], value):
                return False
        elif event.get(key) != value:
            return False
    return True


@pytest.mark.skipif(shutil.which("suricata") is None, reason="Suricata is not installed")
@pytest.mark.parametrize("name", WITH_ALERTS)
def test_alerts_are_the_expected_ones(name: str, tmp_path: Path) -> None:
    replay(BUILT[name], tmp_path / "logs", ["eve"])
    text = (tmp_path / "logs" / "eve.json").read_text(encoding="utf-8")
    alerts = [
        event for event in map(json.loads, text.splitlines()) if event["event_type"] == "alert"
    ]
    expected = (PCAPS / "expected" / name / "eve.json").read_text(encoding="utf-8")
    for wanted in map(json.loads, expected.splitlines()):
        found = [alert for alert in alerts if _contains(alert, wanted)]
        assert len(found) == 1, f"{wanted} among {alerts}"
        alerts.remove(found[0])
    assert not alerts
