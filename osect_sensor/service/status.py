"""How the sensor does: gathered from what its processes leave word of, and from the disk."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from osect_sensor import __version__
from osect_sensor.config import Config
from osect_sensor.errors import OsectError
from osect_sensor.service.certificate import certificate_expiry
from osect_sensor.service.files import read_json
from osect_sensor.service.layout import Layout, archive_names
from osect_sensor.service.rules import current_rules
from osect_sensor.service.segments import list_segments

STALE: Final = 30.0
"""Seconds without a word from a process after which it does not count as running."""

LAGGING_PERIODS: Final = 3
"""Periods that the last window may lie back before that is a problem."""

CERTIFICATE_WARNING: Final = 30.0
"""Days before a certificate's end from which on it is a problem."""

QUEUE_WARNING: Final = 60
"""Archives in the queue from which on the cloud counts as out of reach."""


@dataclass
class Disk:
    """A directory's file system."""

    path: str
    free: int
    total: int
    used_by_sensor: int


@dataclass
class Status:
    """What is known at one moment."""

    version: str = __version__
    time: float = field(default_factory=time.time)
    capture_running: bool = False
    capture: dict[str, Any] = field(default_factory=dict)
    cycle_running: bool = False
    cycle: dict[str, Any] = field(default_factory=dict)
    upload_running: bool = False
    upload: dict[str, Any] = field(default_factory=dict)
    waiting_segments: int = 0
    queued: int = 0
    oldest_queued: str = ""
    uploaded: int = 0
    quarantined: int = 0
    disks: list[Disk] = field(default_factory=list)
    rules_version: str = ""
    rules_installed_at: str = ""
    rules_problem: str = ""
    certificate_expires_at: str = ""
    certificate_days: float | None = None
    problems: list[str] = field(default_factory=list)
    """What needs somebody, a line each; empty where all is well."""


def _running(word: dict[str, Any]) -> bool:
    """Whether the process that left word lives, as far as that can be told."""
    if not word or word.get("state") == "stopped":
        return False
    return time.time() - float(word.get("updated", 0)) <= STALE and _lives(word)


def _lives(word: dict[str, Any]) -> bool:
    pid = word.get("pid")
    return not isinstance(pid, int) or Path("/proc", str(pid)).exists()


def _size(path: Path) -> int:
    """Octets on the disk below ``path``."""
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except OSError:
                # Files come and go.
                continue
    return total


def gather(config: Config) -> Status:
    """Look at everything."""
    layout = Layout(config)
    status = Status()
    status.capture = read_json(layout.capture_status) or {}
    status.capture_running = _running(status.capture)
    status.cycle = read_json(layout.cycle_status) or {}
    status.cycle_running = _running(status.cycle)
    status.upload = read_json(layout.upload_status) or {}
    # It leaves word after each pass, which can take as long as the network likes.
    status.upload_running = bool(status.upload) and _lives(status.upload)
    status.waiting_segments = len(list_segments(layout.incoming))
    queued = archive_names(layout.queue)
    status.queued = len(queued)
    status.oldest_queued = queued[0] if queued else ""
    status.uploaded = len(archive_names(layout.uploaded))
    status.quarantined = len(archive_names(layout.quarantine))
    for path in (layout.incoming.parent, layout.state):
        if path.is_dir():
            usage = shutil.disk_usage(path)
            status.disks.append(Disk(str(path), usage.free, usage.total, _size(path)))
    rules = current_rules(layout)
    if rules is not None:
        status.rules_version = rules.version
        status.rules_installed_at = rules.installed_at
    status.rules_problem = str((read_json(layout.rules_status) or {}).get("problem", ""))
    if config.upload.enabled:
        _look_at_certificate(config, status)
    _judge(config, status)
    return status


def _look_at_certificate(config: Config, status: Status) -> None:
    try:
        expiry = certificate_expiry(Path(config.upload.client_pem))
    except OsectError as error:
        status.problems.append(f"client certificate: {error}")
        return
    status.certificate_expires_at = expiry.isoformat()
    status.certificate_days = (expiry - datetime.now(UTC)).total_seconds() / 86_400


def _judge(config: Config, status: Status) -> None:
    problems = status.problems
    if not status.capture_running:
        problems.append("capture does not run")
    elif status.capture.get("problem"):
        problems.append(f"nothing is captured: {status.capture.get('problem', '')}")
    for key, words in (
        ("dropped_by_kernel", "dropped by the kernel"),
        ("dropped_by_interface", "dropped by the interface"),
        ("lost_packets", "lost for want of disk space"),
    ):
        number = status.capture.get(key, 0)
        if number:
            problems.append(f"{number} packets {words} since capture began")
    if not status.cycle_running:
        problems.append("run does not run: no windows are made")
    elif status.cycle.get("problem"):
        problems.append(f"windows: {status.cycle['problem']}")
    if status.waiting_segments > LAGGING_PERIODS:
        problems.append(f"{status.waiting_segments} captures wait to become windows")
    if status.cycle.get("set_aside"):
        problems.append(f"{status.cycle['set_aside']} captures set aside: see the log")
    suricata = status.cycle.get("suricata", {})
    if suricata.get("enabled") and suricata.get("failure"):
        problems.append(f"Suricata: {suricata['failure']}")
    if status.queued and config.upload.enabled and not status.upload_running:
        problems.append("upload does not run: archives stay in the queue")
    if status.queued > QUEUE_WARNING and config.upload.enabled:
        problems.append(f"{status.queued} archives wait for the cloud")
    if status.upload.get("problem") and config.upload.enabled:
        problems.append(f"upload: {status.upload['problem']}")
    if status.quarantined:
        problems.append(f"{status.quarantined} archives in quarantine")
    if status.rules_problem and config.rules.enabled:
        problems.append(f"rules: {status.rules_problem}")
    if status.certificate_days is not None and status.certificate_days < CERTIFICATE_WARNING:
        problems.append(
            "client certificate has expired"
            if status.certificate_days <= 0
            else f"client certificate expires in {status.certificate_days:.0f} days"
        )
    for disk in status.disks:
        if disk.free < config.retention.minimum_free:
            problems.append(f"{disk.path}: only {disk.free >> 20} MB free")
