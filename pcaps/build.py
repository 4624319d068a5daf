"""``python -m pcaps.build``: build the reference captures, or check that recipes still yield them.

``--check`` builds in memory and compares with the stored files and with SHA256SUMS; without it the
stored files and the sums are written. Names restrict either to those captures.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import pkgutil
import sys
from pathlib import Path

from pcaps import recipes
from pcaps.capture import Capture

HERE = Path(__file__).resolve().parent
BUILT = HERE / "built"
SUMS = HERE / "SHA256SUMS"


@functools.cache
def all_captures() -> dict[str, Capture]:
    """Every recipe's captures by name, in order of name."""
    captures: dict[str, Capture] = {}
    for module in sorted(pkgutil.iter_modules(recipes.__path__), key=lambda found: found.name):
        for capture in importlib.import_module(f"{recipes.__name__}.{module.name}").build():
            if capture.name in captures:
                raise ValueError(f"two recipes build {capture.name}")
            captures[capture.name] = capture
    return dict(sorted(captures.items()))


def stored_sums() -> dict[str, str]:
    """SHA256SUMS: file name → hexadecimal digest."""
    sums: dict[str, str] = {}
    if SUMS.exists():
        for line in SUMS.read_text(encoding="ascii").splitlines():
            digest, _, name = line.partition("  ")
            sums[name.removeprefix("built/")] = digest
    return sums


def problems(captures: dict[str, Capture]) -> list[str]:
    """Where the stored files or sums differ from what the recipes build."""
    found: list[str] = []
    sums = stored_sums()
    for capture in captures.values():
        octets = capture.octets()
        path = BUILT / capture.file_name
        if not path.exists():
            found.append(f"{capture.file_name}: not stored")
            continue
        stored = path.read_bytes()
        if stored != octets:
            at = next(
                (i for i, (a, b) in enumerate(zip(stored, octets, strict=False)) if a != b),
                min(len(stored), len(octets)),
            )
            found.append(
                f"{capture.file_name}: stored {len(stored)} octets, built {len(octets)}, "
                f"first difference at octet {at}"
            )
        if sums.get(capture.file_name) != hashlib.sha256(octets).hexdigest():
            found.append(f"{capture.file_name}: differs from SHA256SUMS")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 done or equal, 1 different, 64 no such capture."""
    parser = argparse.ArgumentParser(prog="python -m pcaps.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help="captures (default: all)")
    options = parser.parse_args(arguments)
    every = all_captures()
    unknown = sorted(set(options.names) - set(every))
    if unknown:
        print(f"no such capture: {', '.join(unknown)}", file=sys.stderr)
        return 64
    chosen = {name: every[name] for name in options.names} if options.names else every
    if options.check:
        found = problems(chosen)
        if not options.names:
            files = {capture.file_name for capture in every.values()}
            for path in sorted(BUILT.iterdir()):
                if path.name not in files:
                    found.append(f"{path.name}: no recipe builds it")
        for line in found:
            print(line)
        return 1 if found else 0
    BUILT.mkdir(exist_ok=True)
    sums = stored_sums()
    for capture in chosen.values():
        octets = capture.octets()
        (BUILT / capture.file_name).write_bytes(octets)
        sums[capture.file_name] = hashlib.sha256(octets).hexdigest()
    known = {capture.file_name for capture in every.values()}
    SUMS.write_text(
        "".join(f"{sums[name]}  built/{name}\n" for name in sorted(sums) if name in known),
        encoding="ascii",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
