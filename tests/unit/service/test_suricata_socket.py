from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from osect_sensor.service.suricata_socket import SuricataError, reload_rules, suricata_command


class Suricata:
    """The other end of the socket: answers each message with the next piece of text."""

    def __init__(self, path: Path, *answers: bytes) -> None:
        self.path = path
        self.heard: list[object] = []
        self._answers = list(answers)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            for answer in self._answers:
                line = lines.readline()
                if not line:
                    return
                self.heard.append(json.loads(line))
                # In two pieces: an answer may come in any number of them.
                connection.sendall(answer[:3])
                connection.sendall(answer[3:])

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def suricata(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Suricata]:
    one = Suricata(tmp_path / "s", *request.param)
    yield one
    one.close()


OK = b'{"return": "OK"}\n'
DONE = b'{"message": "done", "return": "OK"}\n'


@pytest.mark.parametrize("suricata", [(OK, DONE)], indirect=True)
def test_rules_are_reloaded_in_the_sockets_protocol(suricata: Suricata) -> None:
    reload_rules(suricata.path)
    assert suricata.heard == [{"version": "0.2"}, {"command": "reload-rules"}]


@pytest.mark.parametrize("suricata", [(OK, DONE)], indirect=True)
def test_arguments_are_handed_over(suricata: Suricata) -> None:
    answer = suricata_command(suricata.path, "pcap-file", {"filename": "/x"})
    assert answer == "done"
    assert suricata.heard[1] == {"command": "pcap-file", "arguments": {"filename": "/x"}}


@pytest.mark.parametrize(
    ("suricata", "reason"),
    [
        ((OK, b'{"return": "NOK", "message": "reload already in progress"}\n'), "in progress"),
        ((b'{"return": "NOK", "message": "bad version"}\n',), "bad version"),
        ((OK, b"[]\n"), "says no"),
        ((OK,), "closed its socket"),
    ],
    indirect=["suricata"],
)
def test_a_refusal_is_told(suricata: Suricata, reason: str) -> None:
    with pytest.raises(SuricataError, match=reason):
        reload_rules(suricata.path)


def test_a_missing_suricata_is_told(tmp_path: Path) -> None:
    with pytest.raises(SuricataError, match="No such file"):
        reload_rules(tmp_path / "s")
