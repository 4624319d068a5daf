"""The status as metrics in Prometheus' text format."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from osect_sensor.config import Config
from osect_sensor.errors import OsectError
from osect_sensor.service.files import write_whole
from osect_sensor.service.notify import ServiceManager
from osect_sensor.service.status import Status, gather

_PREFIX: Final = "osect_sensor_"

_CAPTURE: Final = {
    "packets": "Packets written to the spool.",
    "octets": "Octets written to the spool.",
    "segments": "Capture files completed.",
    "dropped_by_kernel": "Packets that the kernel dropped.",
    "dropped_by_interface": "Packets that the interface dropped.",
    "lost_packets": "Packets lost for want of disk space.",
    "restarts": "Restarts of the capturing program.",
    "clock_set_back": "Times that the clock was set back.",
}
_CYCLE: Final = {
    "windows": "Windows archived.",
    "packets": "Packets processed.",
    "events": "Events of Suricata.",
    "failures": "Failures that were recovered from.",
    "damaged_segments": "Capture files that were damaged.",
    "set_aside": "Capture files that could not be processed.",
}
_DELETED: Final = {
    "captures": "Captures deleted whose windows were archived.",
    "captures_unprocessed": "Captures deleted without a window.",
    "captures_set_aside": "Captures deleted that could not be processed.",
    "archives": "Archives deleted.",
    "archives_not_uploaded": "Archives deleted that the cloud never got.",
}


def _counter(name: str, text: str, value: float) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, text)
    family.add_metric([], value)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text)
    family.add_metric([], value)
    return family


def _labelled(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def families(status: Status) -> Iterator[Metric]:
    """The metrics of a status."""
    info = InfoMetricFamily(_PREFIX + "build", "Version of the sensor.")
    info.add_metric([], {"version": status.version})
    yield info
    yield _gauge("problems", "Problems that need somebody.", len(status.problems))
    yield _gauge("capture_running", "Whether capture runs.", status.capture_running)
    for key, text in _CAPTURE.items():
        yield _counter(f"capture_{key}", text, status.capture.get(key, 0))
    yield _gauge(
        "capture_last_packet_time_seconds",
        "Time of the last packet.",
        status.capture.get("last_packet", 0) / 1e6,
    )
    cycle = status.cycle
    yield _gauge("run_running", "Whether windows are made.", status.cycle_running)
    for key, text in _CYCLE.items():
        yield _counter(f"run_{key}", text, cycle.get(key, 0))
    yield _labelled("rows", "Rows written, by log.", "log", cycle.get("rows", {}))
    yield _labelled("limits", "Limits hit, by name.", "limit", cycle.get("limits", {}))
    yield _labelled(
        "undecodable_packets", "Packets not decoded, by reason.", "reason",
        cycle.get("undecodable", {}),
    )  # fmt: skip
    yield _gauge("connections", "Open connections.", cycle.get("connections", 0))
    yield _gauge("lag_seconds", "From a window's end to its archive.", cycle.get("lag", 0))
    yield _gauge(
        "last_window_end_seconds", "End of the last window.", cycle.get("last_window_end", 0)
    )
    yield _gauge("segment_seconds", "What the last capture took.", cycle.get("last_seconds", 0))
    yield _gauge("waiting_segments", "Captures without a window.", status.waiting_segments)
    deleted = cycle.get("deleted", {})
    for key, text in _DELETED.items():
        yield _counter(f"deleted_{key}", text, deleted.get(key, 0))
    yield _gauge("upload_running", "Whether archives are sent.", status.upload_running)
    yield _gauge("queued_archives", "Archives to upload.", status.queued)
    yield _gauge("quarantined_archives", "Archives that the cloud refuses.", status.quarantined)
    yield _counter("uploaded_archives", "Archives uploaded.", status.upload.get("sent", 0))
    if status.certificate_days is not None:
        yield _gauge(
            "certificate_expires_in_seconds",
            "Until the client certificate ends.",
            status.certificate_days * 86_400,
        )
    free = GaugeMetricFamily(_PREFIX + "disk_free_bytes", "Free disk space.", labels=["path"])
    used = GaugeMetricFamily(_PREFIX + "disk_used_bytes", "Used by the sensor.", labels=["path"])
    for disk in status.disks:
        free.add_metric([disk.path], disk.free)
        used.add_metric([disk.path], disk.used_by_sensor)
    yield free
    yield used


class _StatusCollector(Collector):
    """Gathers the status whenever metrics are asked for."""

    def __init__(self, config: Config) -> None:
        self._config: Final = config

    def collect(self) -> Iterator[Metric]:
        """The metrics as of now."""
        yield from families(gather(self._config))


def _registry(config: Config) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatusCollector(config))
    return registry


def text(config: Config) -> str:
    """All metrics as text."""
    return generate_latest(_registry(config)).decode()


def write_textfile(config: Config) -> None:
    """Write the file for node_exporter, if one is configured."""
    if config.metrics.textfile:
        write_whole(Path(config.metrics.textfile), text(config).encode(), False, 0o644)


class _QuietHandler(WSGIRequestHandler):
    """Logs no request: there is one every few seconds."""

    def log_message(self, format: str, *args: object) -> None:
        """Do nothing."""


def serve(config: Config) -> None:
    """Answer at the configured address until the process is told to end."""
    if not config.metrics.listen:
        raise OsectError("no address to answer at", "set metrics.listen")
    host, _, port = config.metrics.listen.rpartition(":")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    manager = ServiceManager()
    try:
        server = make_server(
            host.strip("[]"), int(port), make_wsgi_app(_registry(config)),
            handler_class=_QuietHandler,
        )  # fmt: skip
    except OSError as error:
        raise OsectError(
            f"metrics.listen: cannot answer at {config.metrics.listen}: {error.strerror}"
        ) from error
    with server:
        server.timeout = 1.0
        manager.ready(f"metrics at {config.metrics.listen}")
        while not stopping.is_set():
            server.handle_request()
            manager.alive()
    manager.stopping()
