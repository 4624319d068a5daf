"""Execute the parts of snap/snapcraft.yaml with craft-parts and write what `snap pack` packs.

    python3 execute_parts.py PROJECT WORK

That is what `snapcraft pack --destructive-mode` does, by the same library, without the store's
side of it: WORK/prime is then the snap's tree, meta/snap.yaml and the hooks included. The machine
is taken for the base: its release's packages are staged, its Python is what the snap runs under.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import craft_parts
import yaml

COPIED = (
    "name", "title", "summary", "description", "license", "base", "confinement", "grade", "epoch",
    "environment", "layout", "plugs", "slots", "hooks", "apps",
)  # fmt: skip
"""Keys of snapcraft.yaml that stand in snap.yaml too."""

SEARCH_PATHS = {
    "LD_LIBRARY_PATH": "${SNAP_LIBRARY_PATH}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}",
    "PATH": "$SNAP/usr/sbin:$SNAP/usr/bin:$SNAP/sbin:$SNAP/bin:$PATH",
}
"""What snapcraft puts into the environment of every strictly confined snap."""

LIBRARIES = ("lib", "usr/lib", "lib/{triplet}", "usr/lib/{triplet}")
"""Directories that it adds to the former where the snap has them."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def prime(project: dict[str, Any], source: Path, work: Path) -> tuple[Path, str]:
    """Execute the parts; gives the tree and the version that they set."""
    manager = craft_parts.LifecycleManager(
        {"parts": project["parts"]},
        application_name="snapcraft",
        cache_dir=work / "cache",
        work_dir=work,
        base=project["base"],
        project_name=project["name"],
        parallel_build_count=os.cpu_count() or 1,
        project_vars_part_name=project["adopt-info"],
        project_vars={"version": "", "grade": project["grade"]},
        ignore_local_sources=["*.snap", ".git", "build"],
        confinement=project["confinement"],
    )
    os.chdir(source)
    with manager.action_executor() as executor:
        for action in manager.plan(craft_parts.Step.PRIME):
            print(f":: {action.part_name} {action.step.name} {action.action_type.name}", flush=True)
            executor.execute(action)
    version = manager.project_info.get_project_var("version")
    assert version, "no part has set the version"
    return work / "prime", version


def write_meta(project: dict[str, Any], source: Path, tree: Path, version: str) -> None:
    """Write meta/snap.yaml and the hooks, after checking that what they name is there."""
    machine = os.uname().machine
    meta = {key: project[key] for key in COPIED if key in project}
    meta["version"] = version
    meta["architectures"] = [ARCHITECTURES[machine]]
    paths = dict(SEARCH_PATHS)
    for directory in LIBRARIES:
        directory = directory.replace("{triplet}", f"{machine}-linux-gnu")
        if (tree / directory).is_dir():
            paths["LD_LIBRARY_PATH"] += f":$SNAP/{directory}"
    meta["environment"] = {**paths, **meta.get("environment", {})}
    for name, app in project["apps"].items():
        command = tree / app["command"].split()[0]
        assert command.stat().st_mode & stat.S_IXUSR, f"{name}: {command} cannot be executed"
        if "completer" in app:
            assert (tree / app["completer"]).is_file(), f"{name}: no {app['completer']}"
    hooks = tree / "meta" / "hooks"
    hooks.mkdir(parents=True)
    for hook in sorted((source / "snap" / "hooks").iterdir()):
        shutil.copy2(hook, hooks / hook.name)
    text = yaml.safe_dump(meta, sort_keys=False, allow_unicode=True)
    (tree / "meta" / "snap.yaml").write_text(text, encoding="utf-8")


def main(source: Path, work: Path) -> None:
    """Do both."""
    project = yaml.safe_load((source / "snap" / "snapcraft.yaml").read_text(encoding="utf-8"))
    tree, version = prime(project, source, work)
    write_meta(project, source, tree, version)
    print(f"version {version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
