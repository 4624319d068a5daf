"""kill -9 of the uploader while it sends: nothing is lost, and what comes twice is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

BACKLOG = 12
KILLS = 8


def test_an_uploader_that_is_killed_again_and_again_loses_nothing(
    cloud, sender, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
[sensor]
label_id = "plant-3"
state = "{sender.layout.state}"
runtime = "{sender.layout.runtime}"
[upload]
host = "{cloud.address}"
ca = "{cloud.certificates.ca}"
client_pem = "{cloud.certificates.client}"
"""
    )
    names = [sender.queue(minute) for minute in range(BACKLOG)]
    # Each archive takes a moment, so that kills hit uploads, not only the pauses between them.
    cloud.inject("slow", times=0, seconds=0.02)
    command = [sys.executable, "-m", "osect_sensor", "upload", "--config", str(config)]
    for _ in range(KILLS):
        seen = len(cloud.events())
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        # As soon as something has arrived: before its answer, or before it is put away.
        arrived = cloud.wait_for(
            lambda one, seen=seen: len(one.events()) > seen or len(one.kept()) == BACKLOG, 30
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert arrived
    sender.send_all()
    assert sorted(cloud.kept()) == names
    assert sender.queued() == []
    assert sorted(path.name for path in sender.layout.uploaded.iterdir()) == names
    outcomes = {event.outcome for event in cloud.events("archive")}
    assert outcomes <= {"kept", "again"}
