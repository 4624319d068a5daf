"""One replay over several processes: each takes a share of the traffic.

Every process reads all packets, so that all have the same clock, and processes those of its share
(``NativeGenerator.take_share``). Put together, the rows are those of one process; only their order
differs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from osect_sensor.errors import OsectError
from osect_sensor.logs.catalog import FRAMING_EVE, FRAMING_ZEEK, Log

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.process import BaseProcess

Outcome = TypeVar("Outcome")

_HEADER_MARK: Final = b"#"


class Helpers(Generic[Outcome]):
    """Processes that work beside this one."""

    def __init__(self) -> None:
        self._running: Final[list[tuple[BaseProcess, Pipe]]] = []

    def start(self, work: Callable[[], Outcome]) -> None:
        """Have another process do ``work``."""
        # Here because most replays have no helpers and should begin at once.
        import multiprocessing

        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(work, theirs), daemon=True)
        process.start()
        theirs.close()
        self._running.append((process, ours))

    def outcomes(self) -> list[Outcome]:
        """Wait for all of them; raises what the first that failed raised."""
        found: list[Outcome] = []
        while self._running:
            process, pipe = self._running.pop(0)
            try:
                outcome = pipe.recv()
            except EOFError:
                outcome = OsectError("a helper process was ended from outside", "try again")
            process.join()
            if isinstance(outcome, BaseException):
                self.stop()
                raise outcome
            found.append(outcome)
        return found

    def stop(self) -> None:
        """End those that still run."""
        for process, pipe in self._running:
            process.terminate()
            process.join()
            pipe.close()
        self._running.clear()


def _work(work: Callable[[], Outcome], pipe: Pipe) -> None:
    try:
        pipe.send(work())
    except BaseException as error:
        pipe.send(error)


def append_rows(log: Log, whole: Path, part: Path) -> None:
    """Put the rows of ``part`` behind those of ``whole``, both files of one log and window."""
    if log.framing == FRAMING_EVE:
        return
    content = part.read_bytes()
    start = 0
    while content.startswith(_HEADER_MARK, start):
        end = content.find(b"\n", start) + 1
        if content.startswith(b"#close", start):
            return
        start = end
    end = len(content)
    if log.framing == FRAMING_ZEEK:
        end = content.rfind(b"#close", start)
    if end <= start:
        return
    with whole.open("r+b") as file:
        place = file.seek(0, 2)
        footer = b""
        if log.framing == FRAMING_ZEEK:
            place = file.seek(max(0, place - 64))
            tail = file.read()
            cut = tail.rfind(b"#close")
            footer = tail[cut:]
            place += cut
        file.seek(place)
        file.write(content[start:end])
        file.write(footer)
