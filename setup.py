"""Build hook: compiles the packet path with mypyc when OSECT_COMPILE=1 (releases, deb, snap).

Without it the package is pure Python and needs no compiler. One compilation unit, because calls
across units cost forty times as much.
"""

import os
import sys
from pathlib import Path

from setuptools import setup

BUILDING = frozenset({"bdist_wheel", "build", "build_ext", "editable_wheel", "install"})
"""Commands of setuptools that build extension modules."""

COMPILER_ARGUMENTS = [
    # For this warning gcc reads the source again from its start, for each of its statements:
    # minutes for a file of fourteen megabytes that nobody indented.
    "-Wno-misleading-indentation",
    # Of Python 3.12 and later an assertion forbids how mypyc before 1.16 takes the size of an
    # integer, which it gets right. Debian's Python leaves assertions on.
    "-DNDEBUG",
    # Nobody but Python itself calls into the module, so its functions may be inlined and called
    # directly: 3 % of a replay.
    "-fvisibility=hidden",
    "-fno-semantic-interposition",
    "-fno-plt",
]

ROOMS = ["wire", "flows", "protocols", "fingerprint", "logs"]


def compiled_modules() -> list[str]:
    """The modules of the packet path, in a fixed order so that builds are reproducible."""
    package = Path("osect_sensor")
    modules = [
        path
        for room in ROOMS
        for path in sorted((package / room).glob("*.py"))
        if path.name != "__init__.py"
    ]
    modules.append(package / "generators" / "native.py")
    return [str(path) for path in modules]


def extensions() -> list[object]:
    """The extension modules: none unless asked, and only for commands that build."""
    if os.environ.get("OSECT_COMPILE") != "1" or BUILDING.isdisjoint(sys.argv):
        return []
    from mypyc.build import mypycify

    # An isolated build has none of our requirements.
    options = ["--config-file=pyproject.toml", "--ignore-missing-imports", *compiled_modules()]
    units = mypycify(
        options,
        opt_level=os.environ.get("OSECT_COMPILE_OPT_LEVEL", "3"),
        debug_level=os.environ.get("OSECT_COMPILE_DEBUG_LEVEL", "0"),
        separate=False,
    )
    for unit in units:
        unit.extra_compile_args = [*unit.extra_compile_args, *COMPILER_ARGUMENTS]
    return list(units)


setup(ext_modules=extensions())
