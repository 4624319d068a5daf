"""Campaigns: inputs are mutated, run, and kept where they reach something new.

Short by default, the same each time, and a part of the suite. ``OSECT_FUZZ_SECONDS`` gives each
campaign that much time instead: it then starts from another seed each time (``OSECT_FUZZ_SEED``
repeats one), and is guided by the lines of the program that an input reaches, as far as the program
is interpreted, beside what the target tells of it.

What a target raises fails its test. The input is made smaller and written to the directory
``OSECT_FUZZ_FINDINGS`` (or pytest's temporary one) as a Python literal; put into ``found/``, in the
directory named after the campaign, it is among the first that are run from then on.
"""

from __future__ import annotations

import ast
import faulthandler
import os
import random
import sys
import time
import zlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T", bytes, tuple[Any, ...])

SECONDS = float(os.environ.get("OSECT_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("OSECT_FUZZ_SEED", "0")) or (
    random.SystemRandom().getrandbits(32) if SECONDS else 1
)
FOUND = Path(__file__).parent / "found"

PROGRAM = ("osect_sensor", "harness", "osect_harness")
"""Packages whose lines count as reached."""

TOO_LONG = 30
"""Seconds that no input may take: by far more than the slowest does, interpreted and traced."""

MAX_KEPT = 2000
"""Inputs that a campaign keeps; of more, one at random gives way."""

TRACED = 1 if sys.version_info >= (3, 12) else 10
"""Of how many inputs one is watched: before Python 3.12 that makes a run ten times as slow."""

SHRINKING = 10.0
"""Seconds for making a finding smaller."""


class Coverage:
    """Counts lines of the program that are reached for the first time."""

    def __init__(self) -> None:
        self.lines = 0
        self._started = False
        self._program: dict[str, bool] = {}
        self._left: dict[CodeType, set[int]] = {}

    def _ours(self, code: CodeType) -> bool:
        name = code.co_filename
        ours = self._program.get(name)
        if ours is None:
            ours = self._program[name] = not set(PROGRAM).isdisjoint(Path(name).parts[-4:-1])
        return ours

    if sys.version_info >= (3, 12):

        def start(self) -> None:
            """Have new lines counted from now on."""
            monitoring = sys.monitoring
            if self._started:
                return
            self._started = True
            monitoring.use_tool_id(monitoring.COVERAGE_ID, "fuzzing")
            monitoring.register_callback(
                monitoring.COVERAGE_ID, monitoring.events.LINE, self._reached
            )
            monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)

        def _reached(self, code: CodeType, line: int) -> Any:
            if self._ours(code):
                self.lines += 1
            return sys.monitoring.DISABLE

        def stop(self) -> None:
            """No longer count."""
            if not self._started:
                return
            self._started = False
            sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, 0)
            sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)
            sys.monitoring.restart_events()

    else:

        def start(self) -> None:
            """Have new lines counted from now on."""
            sys.settrace(self._called)

        def _called(self, frame: FrameType, event: str, argument: object) -> Any:
            code = frame.f_code
            left = self._left.get(code)
            if left is None:
                left = set()
                if self._ours(code):
                    left = {line for _, _, line in code.co_lines() if line is not None}
                self._left[code] = left
            # Functions of which every line was seen run untraced.
            return self._line if left else None

        def _line(self, frame: FrameType, event: str, argument: object) -> Any:
            left = self._left[frame.f_code]
            if event == "line" and frame.f_lineno in left:
                left.discard(frame.f_lineno)
                self.lines += 1
            return self._line

        def stop(self) -> None:
            """No longer count."""
            sys.settrace(None)


class Campaign(Generic[T]):
    """One target under inputs made from others."""

    def __init__(
        self,
        name: str,
        findings: Path,
        seeds: Sequence[T],
        mutate: Callable[[random.Random, T, T], T],
        *,
        tries: int,
        share: float = 1.0,
    ) -> None:
        """``tries``: inputs of a short campaign; ``share``: of the time of a long one."""
        self.name = name
        kept = [ast.literal_eval(path.read_text()) for path in sorted(FOUND.glob(f"{name}/*"))]
        self._first: list[T] = kept + list(seeds)
        assert self._first, "nothing to start from"
        self._mutate = mutate
        self._tries = tries
        self._seconds = SECONDS * share
        self._chance = random.Random(f"{SEED} {name}")
        self._findings = Path(os.environ.get("OSECT_FUZZ_FINDINGS", findings))
        self._features: set[Hashable] = set()
        self._coverage = Coverage()
        self.corpus: list[T] = []
        self.runs = 0

    def run(self, target: Callable[[T], Iterable[Hashable]]) -> None:
        """Run inputs until the time or the number of tries is over; a finding is raised."""
        long = self._seconds > 0
        began = time.monotonic()
        try:
            chosen = self._first
            if not long and len(chosen) > self._tries // 2:
                chosen = self._chance.sample(chosen, self._tries // 2)
            for one in chosen:
                self._try(target, one)
                if long and time.monotonic() - began > self._seconds / 2:
                    break
            while time.monotonic() - began < self._seconds if long else self.runs < self._tries:
                pool = self.corpus if self.corpus and self._chance.random() < 0.8 else self._first
                one = self._chance.choice(pool)
                self._try(target, self._mutate(self._chance, one, self._chance.choice(self._first)))
        finally:
            self._coverage.stop()
            faulthandler.cancel_dump_traceback_later()
        print(
            f"{self.name}: seed {SEED}, {self.runs} inputs in {time.monotonic() - began:.1f} s,"
            f" {len(self._first)} to start from, {len(self.corpus)} kept,"
            f" {self._coverage.lines} lines and {len(self._features)} features reached"
        )

    def _try(self, target: Callable[[T], Iterable[Hashable]], one: T) -> None:
        self.runs += 1
        # An endless loop, compiled ones included, ends the whole run, and says where it was.
        faulthandler.dump_traceback_later(TOO_LONG, exit=True)
        if self._seconds > 0:
            self._write("running", one)
        lines = self._coverage.lines
        if self._seconds > 0 and self.runs % TRACED == 0:
            self._coverage.start()
        try:
            features = target(one)
        except Exception as error:
            self._coverage.stop()
            small = self._smaller(target, one, type(error))
            name = f"{type(error).__name__}-{zlib.crc32(repr(small).encode()):08x}"
            path = self._write(name, small)
            raise AssertionError(
                f"{self.name}: {type(error).__name__}: {error} (seed {SEED}, input in {path})"
            ) from error
        if TRACED > 1:
            self._coverage.stop()
        known = len(self._features)
        self._features.update(features)
        if len(self._features) > known or self._coverage.lines > lines:
            if len(self.corpus) < MAX_KEPT:
                self.corpus.append(one)
            else:
                self.corpus[self._chance.randrange(MAX_KEPT)] = one

    def _write(self, what: str, one: T) -> Path:
        directory = self._findings / self.name
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / what
        path.write_text(repr(one))
        return path

    def _smaller(
        self, target: Callable[[T], Iterable[Hashable]], one: T, kind: type[Exception]
    ) -> T:
        """The input without the pieces that the failure does not need."""
        end = time.monotonic() + SHRINKING
        size = len(one) // 2
        while size > 0 and time.monotonic() < end:
            start = 0
            while start < len(one) and time.monotonic() < end:
                less = one[:start] + one[start + size :]
                try:
                    target(less)
                except kind:
                    one = less
                except Exception:
                    start += size
                else:
                    start += size
            size //= 2
        return one


INTERESTING = (0, 1, 2, 4, 7, 8, 16, 31, 32, 63, 64, 127, 128, 192, 254, 255)
WORDS = (0, 1, 255, 256, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MAX_OCTETS = 1 << 17


def octets(
    chance: random.Random, data: bytes, other: bytes, dictionary: Sequence[bytes] = ()
) -> bytes:
    """``data`` with one to four changes; ``other`` lends pieces."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change(chance, changed, other, dictionary)
    return bytes(changed[:MAX_OCTETS])


def _change(
    chance: random.Random, data: bytearray, other: bytes, dictionary: Sequence[bytes]
) -> None:
    # Lengths and types stand at the beginning more often than elsewhere.
    limit = len(data) if chance.random() < 0.6 else min(len(data), 64)
    at = chance.randrange(limit) if limit else 0
    end = min(len(data), at + chance.choice((1, 2, 4, 8, 32, 200)))
    kind = chance.randrange(11)
    if kind == 0 and data:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and data:
        data[at] = chance.choice(INTERESTING)
    elif kind == 2 and data:
        data[at] = (data[at] + chance.randint(-4, 4)) & 0xFF
    elif kind == 3:
        size = chance.choice((2, 4))
        word = chance.choice(WORDS) & (1 << 8 * size) - 1
        data[at : at + size] = word.to_bytes(size, chance.choice(("little", "big")))
    elif kind == 4:
        del data[at:end]
    elif kind == 5:
        del data[at:]
    elif kind == 6:
        data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 16)))
    elif kind == 7:
        # Nesting, repetition and sheer length.
        times = chance.choice((2, 3, 8, 60, 2000))
        data[at:end] = bytes(data[at:end]) * min(times, 1 + MAX_OCTETS // max(1, end - at) // 4)
    elif kind == 8 and other:
        start = chance.randrange(len(other))
        data[at:end] = other[start : start + chance.choice((2, 8, 32, 300))]
    elif kind == 9 and dictionary:
        word_of = chance.choice(dictionary)
        data[at : at + chance.choice((0, len(word_of)))] = word_of
    elif kind == 10 and dictionary:
        data[at:at] = chance.choice(dictionary)


def of_octets(
    dictionary: Sequence[bytes] = (),
) -> Callable[[random.Random, bytes, bytes], bytes]:
    """``octets`` with a dictionary, as a campaign wants it."""

    def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
        return octets(chance, data, other, dictionary)

    return mutate


def sequence(
    chance: random.Random,
    items: tuple[Any, ...],
    other: tuple[Any, ...],
    change: Callable[[random.Random, Any, Any], Any],
    most: int,
) -> tuple[Any, ...]:
    """``items`` with some changed by ``change``, lost, doubled, moved, or taken from ``other``."""
    changed = list(items)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        if not changed:
            changed = list(other)
        at = chance.randrange(len(changed)) if changed else 0
        kind = chance.randrange(10)
        if kind < 5 and changed:
            lent = chance.choice(other) if other else changed[at]
            changed[at] = change(chance, changed[at], lent)
        elif kind == 5 and changed:
            del changed[at : at + chance.choice((1, 1, 3, 10))]
        elif kind == 6 and changed:
            changed[at:at] = changed[at : at + 1] * chance.choice((1, 2, 20))
        elif kind == 7 and changed:
            to = chance.randrange(len(changed))
            changed[at], changed[to] = changed[to], changed[at]
        elif kind == 8 and other:
            start = chance.randrange(len(other))
            changed[at:at] = other[start : start + chance.choice((1, 3, 10))]
        elif kind == 9:
            changed = changed[:at] or changed
    return tuple(changed[:most])
