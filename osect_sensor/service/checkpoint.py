"""What a restart goes on from: which segments are done, and states of the native generator.

The captures are the write-ahead log. A segment is done once its windows are archived on the disk;
the checkpoint says up to which one. Besides there are states of the native generator, one every
few minutes. A restart takes the state from before the warm-up, reads the segments since then
again without writing their rows, and arrives where the sensor was.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from osect_sensor.service import messages
from osect_sensor.service.files import read_json, sync_directory, write_json, write_whole

CHECKPOINT_FILE: Final = "checkpoint.json"
_STATE_PREFIX: Final = "state-"

FORMAT: Final = 1

_SEED_OCTETS: Final = 15
"""120 bits: what uids start from."""


@dataclass
class StateFile:
    """A state of the native generator on the disk."""

    file: str
    segment: str
    """The last segment that is in it; empty for none."""
    clock: int
    """Where that segment's windows end, microseconds; -1 for none."""


@dataclass
class Checkpoint:
    """How far the sensor has come."""

    seed: int
    format: int = FORMAT
    done: str = ""
    """The last segment whose windows are archived; empty for none."""
    clock: int = -1
    """Where its windows end, microseconds."""
    publishing: list[str] = field(default_factory=list)
    """Archives of that segment: written, and to appear in the queue if they have not yet."""
    last_window: str = ""
    """The last archive."""
    windows: int = 0
    names: list[list[int]] = field(default_factory=list)
    """Names that windows have, as ``WindowNames`` gives them."""
    states: list[StateFile] = field(default_factory=list)
    """Oldest first."""


def done_segment(directory: Path) -> str:
    """The last segment whose windows are archived, as the checkpoint in ``directory`` has it."""
    data = read_json(directory / CHECKPOINT_FILE) or {}
    return str(data.get("done", ""))


class Checkpoints:
    """The checkpoint and the states in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory: Final = directory
        self.current: Checkpoint = self._load()

    def reload(self) -> None:
        """Go on from what a kill or a power cut from now on would leave.

        A process that was killed, or a disk that failed, may have left a checkpoint that is seen
        and not yet sure to stay.
        """
        sync_directory(self._directory)
        self.current = self._load()

    def _load(self) -> Checkpoint:
        path = self._directory / CHECKPOINT_FILE
        try:
            data = json.loads(path.read_bytes())
            if data["format"] == FORMAT:
                states = [StateFile(**one) for one in data.pop("states")]
                return Checkpoint(**data, states=states)
        except FileNotFoundError:
            # The very first start.
            return Checkpoint(int.from_bytes(os.urandom(_SEED_OCTETS), "big"))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        messages.error("checkpoint.unusable", file=str(path))
        return Checkpoint(int.from_bytes(os.urandom(_SEED_OCTETS), "big"))

    def advance(self, **changes: Any) -> None:
        """Change the checkpoint, and have it on the disk; where that fails it is as before."""
        ahead = replace(self.current, **changes)
        write_json(self._directory / CHECKPOINT_FILE, asdict(ahead), durable=True)
        self.current = ahead

    def add_state(self, octets: bytes, warm_up: int) -> None:
        """Keep a state as of the segment that was done last; drop those no longer needed.

        ``warm_up``: microseconds that the oldest state must lie back.
        """
        current = self.current
        name = f"{_STATE_PREFIX}{current.done or 'none'}"
        write_whole(self._directory / name, octets)
        states = [one for one in current.states if one.file != name]
        states.append(StateFile(name, current.done, current.clock))
        limit = current.clock - warm_up
        while len(states) > 1 and states[1].clock <= limit:
            del states[0]
        self.advance(states=states)
        self._remove_unknown()

    def forget_states(self) -> None:
        """Go on without the connections there were: no state leads to where they are."""
        self.advance(states=[])

    def _remove_unknown(self) -> None:
        known = {one.file for one in self.current.states}
        for path in self._directory.glob(f"{_STATE_PREFIX}*"):
            if path.name not in known:
                path.unlink(missing_ok=True)

    def read_state(self, state: StateFile) -> bytes | None:
        """The octets of a state, None where they are gone."""
        try:
            return (self._directory / state.file).read_bytes()
        except OSError as error:
            messages.error("checkpoint.state_gone", file=state.file, reason=error.strerror)
            return None
