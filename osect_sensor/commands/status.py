"""``osect-sensor status``: how the sensor does."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osect_sensor.commands.options import config_option
from osect_sensor.errors import EXIT_ATTENTION, EXIT_OK

if TYPE_CHECKING:
    from osect_sensor.service.status import Status


def _ago(moment: float) -> str:
    return "never" if not moment else f"{max(time.time() - moment, 0):,.0f} s ago"


def _text(status: Status) -> str:
    capture = status.capture
    cycle = status.cycle
    rows: list[tuple[str, str]] = []
    state = str(capture.get("state", "")) if status.capture_running else "not running"
    rows.append(("capture", f"{state} {capture.get('source', '')}".strip()))
    rows.append(("last packet", _ago(capture.get("last_packet", 0) / 1e6)))
    rows.append(
        (
            "packets",
            f"{capture.get('packets', 0):,} captured,"
            f" {capture.get('dropped_by_kernel', 0):,} dropped by the kernel,"
            f" {capture.get('dropped_by_interface', 0):,} by the interface,"
            f" {capture.get('lost_packets', 0):,} lost to a full disk",
        )
    )
    rows.append(("windows", str(cycle.get("state", "")) if status.cycle_running else "not running"))
    rows.append(("last window", str(cycle.get("last_window") or "none")))
    rows.append(("lag", f"{cycle.get('lag', 0):.1f} s; {status.waiting_segments} captures waiting"))
    suricata = cycle.get("suricata", {})
    if suricata.get("enabled"):
        running = "running" if suricata.get("running") else "not running"
        rows.append(
            (
                "Suricata",
                f"{suricata.get('version') or 'absent'}, {running},"
                f" {suricata.get('rules_loaded', 0):,} rules",
            )
        )
    rows.append(("rules", f"{status.rules_version or 'none'} {status.rules_installed_at}".strip()))
    rows.append(
        (
            "archives",
            f"{status.queued} to upload, {status.uploaded} uploaded,"
            f" {status.quarantined} in quarantine",
        )
    )
    if status.certificate_days is not None:
        rows.append(
            (
                "certificate",
                f"until {status.certificate_expires_at[:10]} ({status.certificate_days:.0f} days)",
            )
        )
    for disk in status.disks:
        rows.append(
            (
                "disk",
                f"{disk.path}: {disk.used_by_sensor / 2**30:.1f} GB used by the sensor,"
                f" {disk.free / 2**30:.1f} of {disk.total / 2**30:.1f} GB free",
            )
        )
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines.append("")
    lines += [f"! {problem}" for problem in status.problems] or ["all is well"]
    return "\n".join(lines)


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--prometheus", is_flag=True, help="Print metrics in Prometheus' text format.")
@click.option("--check", is_flag=True, help="Exit with 1 if something needs attention.")
@click.option("--serve", is_flag=True, help="Answer at metrics.listen with them, until stopped.")
def status(
    config_file: Path | None, as_json: bool, prometheus: bool, check: bool, serve: bool
) -> int:
    """Show the last window, the lag, queue, drops, disk, rules and certificate."""
    from osect_sensor import config
    from osect_sensor.service.status import gather

    loaded = config.load(config_file)
    if serve:
        from osect_sensor.service import metrics

        metrics.serve(loaded.config)
        return EXIT_OK
    now = gather(loaded.config)
    if prometheus:
        from osect_sensor.service import metrics

        click.echo(metrics.text(loaded.config), nl=False)
    elif as_json:
        click.echo(json.dumps(dataclasses.asdict(now), indent=2))
    else:
        click.echo(_text(now))
    return EXIT_ATTENTION if check and now.problems else EXIT_OK
