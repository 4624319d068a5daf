"""The snap's configure hook, with a stand-in for snapctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from osect_sensor import config

HOOK = Path(__file__).parents[3] / "snap" / "local" / "configure.py"

SNAPCTL = """\
#!/bin/sh
echo "$@" >>"$SNAPCTL_CALLS"
case $1 in
    get) cat "$SNAPCTL_OPTIONS" ;;
    services) printf 'Service Startup Current Notes\\nosect-sensor.capture enabled active -\\n'
        printf 'osect-sensor.run disabled inactive -\\n' ;;
esac
"""


class Snap:
    """The hook's surroundings."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config.toml"
        self._calls = directory / "calls"
        self._options = directory / "options"
        program = directory / "bin" / "snapctl"
        program.parent.mkdir()
        program.write_text(SNAPCTL, encoding="utf-8")
        program.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "OSECT_SENSOR_CONFIG": str(self.config),
            "SNAPCTL_CALLS": str(self._calls),
            "SNAPCTL_OPTIONS": str(self._options),
        }

    def configure(self, options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run the hook with these options."""
        self._options.write_text(json.dumps(options), encoding="utf-8")
        self._calls.write_text("", encoding="utf-8")
        return subprocess.run(
            [sys.executable, HOOK], env=self._environment, capture_output=True, text=True
        )

    def settings(self) -> dict[str, Any]:
        """What the file says."""
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def calls(self) -> list[str]:
        """What snapctl was asked."""
        return self._calls.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def snap(tmp_path: Path) -> Snap:
    return Snap(tmp_path)


def test_installation_begins_with_the_example(snap: Snap) -> None:
    assert snap.configure({}).returncode == 0
    assert snap.config.read_text(encoding="utf-8") == config.example()
    assert snap.config.stat().st_mode & 0o777 == 0o600


def test_options_stand_in_the_file_at_their_place_and_are_forgotten_by_snapd(snap: Snap) -> None:
    snap.configure({})
    answer = snap.configure(
        {
            "capture": {"interface": "eth1", "snapshot-length": 512},
            "sensor": {"label-id": "plant-3"},
            "rules": {"enabled": False},
        }
    )
    assert answer.returncode == 0, answer.stderr
    assert snap.settings() == {
        **{name: {} for name in config.SECTIONS},
        "capture": {"interface": "eth1", "snapshot_length": 512},
        "sensor": {"label_id": "plant-3"},
        "rules": {"enabled": False},
    }
    assert {"unset capture", "unset sensor", "unset rules"} <= set(snap.calls())
    # Every explanation is still there.
    assert snap.config.read_text(encoding="utf-8").count("#") == config.example().count("#") - 4


def test_names_of_logs_keep_their_hyphens(snap: Snap) -> None:
    assert snap.configure({"generators": {"p0f-k": "p0f", "yaf-flow": "yaf"}}).returncode == 0
    assert snap.settings()["generators"] == {"p0f-k": "p0f", "yaf_flow": "yaf"}


def test_a_later_option_replaces_the_former_value(snap: Snap) -> None:
    snap.configure({"capture": {"interface": "eth1"}})
    snap.configure({"capture": {"interface": "eth2"}})
    assert snap.settings()["capture"] == {"interface": "eth2"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"capture": {"interfase": "eth1"}}, "did you mean"),
        ({"capture": {"snapshot-length": 3}}, "capture.snapshot_length"),
        ({"capture": "eth1"}, "SECTION.KEY"),
    ],
)
def test_a_wrong_option_is_refused_and_changes_nothing(
    snap: Snap, options: dict[str, Any], words: str
) -> None:
    snap.configure({"capture": {"interface": "eth1"}})
    before = snap.config.read_text(encoding="utf-8")
    answer = snap.configure(options)
    assert answer.returncode != 0
    assert words in answer.stderr
    assert snap.config.read_text(encoding="utf-8") == before
    assert not any(call.startswith(("unset", "restart")) for call in snap.calls())
    assert sorted(path.suffix for path in snap.config.parent.glob("*config*")) == [".toml"]


def test_every_section_of_the_configuration_is_asked_for(snap: Snap) -> None:
    # Without names snapctl gives nothing.
    snap.configure({})
    assert snap.calls()[0].split() == ["get", "-d", *config.SECTIONS]


def test_only_services_that_run_are_restarted(snap: Snap) -> None:
    snap.configure({"capture": {"interface": "eth1"}})
    assert [call for call in snap.calls() if call.startswith("restart")] == [
        "restart osect-sensor.capture"
    ]
