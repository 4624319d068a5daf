"""What the sensor knows about itself, without secrets and without packets."""

from __future__ import annotations

import importlib.metadata
import platform
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from osect_sensor import __version__
from osect_sensor.config import Loaded, mask, shown
from osect_sensor.errors import OsectError
from osect_sensor.generators.suricata import suricata_version
from osect_sensor.service.certificate import certificate_expiry
from osect_sensor.service.files import read_json
from osect_sensor.service.layout import Layout, archive_names
from osect_sensor.service.rules import current_rules
from osect_sensor.service.upload import REASON_SUFFIX

LIBRARIES: Final = ("click", "requests", "rich", "urllib3", "zstandard")

MAX_FILES: Final = 1000
"""Files listed of a directory; of more, as many of the oldest, and the number of all."""

MAX_REASON_OCTETS: Final = 4096


def sensor_state(loaded: Loaded) -> dict[str, Any]:
    """Versions, configuration, rules, queue and the last words of every process."""
    config = loaded.config
    layout = Layout(config)
    rules = current_rules(layout)
    return {
        "versions": _versions(config.suricata.program),
        "configuration": {
            "file": str(loaded.file),
            "values": {
                key: {"value": value, "origin": origin.where or origin.source}
                for key, value, origin in shown(loaded)
            },
        },
        "rules": asdict(rules) if rules else None,
        "certificate": _certificate(Path(config.upload.client_pem)),
        "processes": {
            path.stem: read_json(path)
            for path in (
                layout.capture_status,
                layout.cycle_status,
                layout.upload_status,
                layout.rules_status,
            )
        },
        "queue": _listing(layout.queue),
        "uploaded": {"count": len(archive_names(layout.uploaded))},
        "quarantine": {**_listing(layout.quarantine), "reasons": _reasons(layout.quarantine)},
        "captures": {"incoming": _listing(layout.incoming), "kept": _listing(layout.kept)},
    }


def _versions(program: str) -> dict[str, str]:
    versions = {
        "osect-sensor": __version__,
        "python": sys.version.split()[0],
        "suricata": suricata_version(program),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def _certificate(path: Path) -> dict[str, str]:
    """About the client's certificate: never anything out of the file but its date."""
    facts = {"file": str(path)}
    try:
        facts["mode"] = f"{stat.S_IMODE(path.stat().st_mode):04o}"
        facts["expires_at"] = certificate_expiry(path).isoformat()
    except OSError as error:
        facts["problem"] = error.strerror or str(error)
    except OsectError as error:
        facts["problem"] = error.message
    return facts


def _listing(directory: Path) -> dict[str, Any]:
    """Names and sizes in a directory, the oldest first."""
    files: list[dict[str, Any]] = []
    count = octets = 0
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        return {"problem": error.strerror or str(error)}
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            # Gone since the names were read.
            continue
        count += 1
        octets += found.st_size
        if len(files) < MAX_FILES:
            files.append(
                {"name": path.name, "octets": found.st_size, "modified": int(found.st_mtime)}
            )
    return {"count": count, "octets": octets, "files": files}


def _reasons(directory: Path) -> dict[str, str]:
    """Why archives are in the quarantine."""
    reasons: dict[str, str] = {}
    for path in sorted(directory.glob(f"*{REASON_SUFFIX}"))[:MAX_FILES]:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                reasons[path.name.removesuffix(REASON_SUFFIX)] = mask(file.read(MAX_REASON_OCTETS))
        except OSError:
            continue
    return reasons
