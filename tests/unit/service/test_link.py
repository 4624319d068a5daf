from __future__ import annotations

import os
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from osect_sensor.errors import OsectError
from osect_sensor.service import link
from osect_sensor.service.link import modem_answers

pytest.importorskip("serial")


class Modem:
    """The other end of a serial line."""

    def __init__(self, reply: bytes) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.device = os.ttyname(slave)
        self._slave = slave
        self._reply = reply
        self.heard = b""
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        while not self.heard.endswith(b"\n"):
            try:
                self.heard += os.read(self.master, 100)
            except OSError:
                return
        os.write(self.master, self._reply)

    def close(self) -> None:
        if not self.heard:
            os.write(self._slave, b"\n")
        self._thread.join(5)
        os.close(self._slave)
        os.close(self.master)


@pytest.fixture
def modem(request: pytest.FixtureRequest, monkeypatch) -> Iterator[Modem]:
    monkeypatch.setattr(link, "REPLY_SECONDS", 0.3)
    one = Modem(request.param)
    yield one
    one.close()


@pytest.mark.parametrize(
    "modem", [b"OK\r\n", b"AT\r\r\nOK\r\n", b"\r\n+CREG: 1\r\n\r\nOK\r\n"], indirect=True
)
def test_a_modem_that_says_ok_answers(modem: Modem) -> None:
    assert modem_answers(modem.device, 115_200)
    assert modem.heard == b"AT\r\n"


@pytest.mark.parametrize(
    "modem", [b"", b"ERROR\r\n", b"NOT OK\r\n", b"OK", b"x" * 9000 + b"\r\n"], indirect=True
)
def test_any_other_answer_is_none(modem: Modem) -> None:
    # "OK" without an end of line is accepted once the time is over: modems may leave it out.
    assert modem_answers(modem.device, 115_200) == (modem._reply == b"OK")


def test_a_modem_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not modem_answers(str(tmp_path / "ttyUSB9"), 115_200)


def test_a_missing_library_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(OsectError, match="python3-serial"):
        modem_answers("/dev/ttyUSB1", 115_200)
