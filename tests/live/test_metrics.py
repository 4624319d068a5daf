"""Metrics over HTTP, by the real command."""

from __future__ import annotations

import signal
import socket
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sensor import Sensor, wait_for


def test_metrics_are_served_until_stopped(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sensor = Sensor(tmp_path, metrics__listen=f"127.0.0.1:{port}")
    process = sensor.start("status", "--serve")
    answer: list[str] = []

    def answered() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                answer.append(page.read().decode())
        except OSError:
            return False
        return True

    assert wait_for(answered), sensor.log.read_text()
    assert "osect_sensor_capture_running 0.0" in answer[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
