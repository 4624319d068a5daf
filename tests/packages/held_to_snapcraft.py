"""Hold what execute_parts.py made to snapcraft's own code: schema, model, snap.yaml and linters.

    python3 held_to_snapcraft.py SNAPCRAFT PROJECT PRIME

SNAPCRAFT is a checkout of snapcraft's repository, whose requirements are installed. Prints what its
linters say; fails where snapcraft would refuse the project or write another snap.yaml.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import craft_cli
import jsonschema
import yaml


def compared(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two trees differ. What is empty or absent is the same."""
    if not ours and not theirs:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            line
            for key in sorted(ours.keys() | theirs.keys())
            for line in compared(ours.get(key), theirs.get(key), f"{path}/{key}")
        ]
    return [] if ours == theirs else [f"{path}: {ours!r}, snapcraft's: {theirs!r}"]


def main(snapcraft: Path, source: Path, prime: Path) -> int:
    """Compare; the exit code says whether all is as it should be."""
    text = (source / "snap" / "snapcraft.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    schema = json.loads((snapcraft / "schema" / "snapcraft.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    print("snapcraft.yaml is valid by snapcraft's schema")

    sys.path.insert(0, str(snapcraft))
    from snapcraft import linters
    from snapcraft.meta import snap_yaml
    from snapcraft.models import Project

    project = Project.unmarshal(data)
    print("snapcraft.yaml is valid by snapcraft's model")

    written = yaml.safe_load((prime / "meta" / "snap.yaml").read_text(encoding="utf-8"))
    project.version = written["version"]
    (architecture,) = written["architectures"]
    metadata = snap_yaml.get_metadata_from_project(project, prime, arch=architecture)
    differences = compared(written, yaml.safe_load(metadata.to_yaml_string()))
    for line in differences:
        print(f"snap.yaml{line}")
    if not differences:
        print("snap.yaml is what snapcraft writes")

    craft_cli.emit.init(craft_cli.EmitterMode.QUIET, "snapcraft", "")
    before = os.getcwd()
    issues = linters.run_linters(prime, lint=project.lint, build_base="core24")
    os.chdir(before)
    craft_cli.emit.ended_ok()
    # Libraries that come with the base are missing where the base is.
    of_base = [one for one in issues if "missing dependency" in one.text]
    for issue in issues:
        if issue not in of_base:
            print(f"linter {issue.name}: {issue.result.value}: {issue.text}")
    errors = [one for one in issues if one.result.value in ("error", "fatal")]
    print(
        f"snapcraft's linters: {len(errors)} errors, {len(issues) - len(errors)} remarks,"
        f" {len(of_base)} of them on libraries of the base, which is not here"
    )
    return 1 if differences or errors else 0


if __name__ == "__main__":
    sys.exit(main(*(Path(one).resolve() for one in sys.argv[1:4])))
