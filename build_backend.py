"""setuptools' backend, which asks for mypyc where a wheel is to be compiled (OSECT_COMPILE=1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def get_requires_for_build_wheel(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """What building the wheel needs; a compiler in C besides, where it is to be compiled."""
    needed: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    if os.environ.get("OSECT_COMPILE") == "1":
        # This version: each is stricter than the one before, and what it finds ends the build. What
        # it compiles is half as fast again as what 1.15, Debian 13's, does.
        needed.append("mypy==2.4.*")
    return needed
