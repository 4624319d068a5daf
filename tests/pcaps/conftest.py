"""Hands the comparer, which is no package's module, to the tests beside it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def compare() -> ModuleType:
    path = Path(__file__).with_name("compare.py")
    specification = importlib.util.spec_from_file_location("pcaps_compare", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
