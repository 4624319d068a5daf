"""What the packages say about the program agrees with the program."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import osect_sensor
from osect_sensor.cli import command_line

ROOT = Path(__file__).parents[3]
SERVICES = sorted((ROOT / "debian").glob("*.service")) if (ROOT / "debian").exists() else []

needs_source = pytest.mark.skipif(not SERVICES, reason="needs the source tree")


def settings(path: Path, key: str) -> list[str]:
    """The values of a key in a unit."""
    return re.findall(rf"^{key}=(.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@needs_source
def test_changelog_has_the_version_of_the_program() -> None:
    line = (ROOT / "debian" / "changelog").read_text(encoding="utf-8").splitlines()[0]
    # A build for a suite has a suffix, as 0.1.0~deb13u1.
    version = re.escape(osect_sensor.__version__)
    assert re.match(rf"osect-sensor \({version}([~+][^)]*)?\)", line)


@needs_source
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.name))
def test_services_call_commands_that_exist(path: Path) -> None:
    program, name, *arguments = shlex.split(settings(path, "ExecStart")[0])
    assert program == "/usr/bin/osect-sensor"
    context = click.Context(command_line, info_name="osect-sensor", obj={"debug": False})
    command: click.Command | None = command_line
    for word in (name, *arguments):
        if word.startswith("-"):
            assert command is not None
            assert any(word in parameter.opts for parameter in command.params)
        else:
            assert isinstance(command, click.Group)
            command = command.get_command(context, word)
            assert command is not None, word


@needs_source
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.name))
def test_only_the_capture_has_a_capability_and_only_the_reader_no_network(path: Path) -> None:
    capture = "capture" in path.name
    assert settings(path, "CapabilityBoundingSet") == ["CAP_NET_RAW" if capture else ""]
    assert settings(path, "AmbientCapabilities") == (["CAP_NET_RAW"] if capture else [])
    reader = path.name == "osect-sensor.service"
    assert settings(path, "PrivateNetwork") == (["yes"] if reader else [])
    (families,) = settings(path, "RestrictAddressFamilies")
    assert ("AF_INET" in families.split()) == (not capture and not reader)
    assert settings(path, "User") == ["osect-sensor"]


@needs_source
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.name))
def test_exposure_is_at_most_two(path: Path, tmp_path: Path) -> None:
    unit = shutil.copy(path, tmp_path / path.name.removeprefix("osect-sensor.osect-"))
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout.splitlines()[-1]


@needs_source
def test_every_command_has_a_manual_page_and_they_come_out_the_same(tmp_path: Path) -> None:
    for name in ("first", "second"):
        subprocess.run(
            [sys.executable, ROOT / "debian" / "manual.py", tmp_path / name],
            env={
                "PATH": "/usr/bin:/bin",
                "SOURCE_DATE_EPOCH": "1",
                "PYTHONPATH": ":".join(sys.path),
            },
            check=True,
        )
    pages = {path.name: path.read_text("utf-8") for path in (tmp_path / "first").glob("*.[15]")}
    assert pages == {
        path.name: path.read_text("utf-8") for path in (tmp_path / "second").glob("*.[15]")
    }
    context = click.Context(command_line, info_name="osect-sensor", obj={"debug": False})
    assert {f"osect-sensor-{name}.1" for name in command_line.list_commands(context)} <= set(pages)
    assert {"osect-sensor.1", "osect-harness.1", "osect-sensor.toml.5"} <= set(pages)
    for name, text in pages.items():
        assert re.search(r"^\.SH NAME\n\S+ \\- \S", text, flags=re.MULTILINE), name
        assert "\b" not in text, name
    for name in ("osect-sensor", "osect-harness"):
        script = (tmp_path / "first" / "completions" / name).read_text("utf-8")
        assert f"complete -o nosort -F _{name.replace('-', '_')}_completion {name}" in script


@needs_source
def test_apps_of_the_snap_have_the_plugs_that_they_need_and_no_more() -> None:
    yaml = pytest.importorskip("yaml")
    project = yaml.safe_load((ROOT / "snap" / "snapcraft.yaml").read_text(encoding="utf-8"))
    assert {name: app.get("plugs", []) for name, app in project["apps"].items()} == {
        "osect-sensor": ["home", "removable-media", "network"],
        "harness": ["home", "removable-media", "network", "network-bind"],
        "capture": ["network-control"],
        "run": [],
        "upload": ["network"],
        "rules": ["network"],
        "metrics": ["network-bind"],
    }
    for app in project["apps"].values():
        assert app.get("install-mode", "disable" if "daemon" not in app else "") == "disable"
