"""Tests with real processes; some need root, network namespaces and other programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from osect_harness.cloud import MockCloud

sys.path.insert(0, str(Path(__file__).parent))
from chain import Site
from mirror_port import MirrorPort, mirror_port, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/live/" in item.path.as_posix():
            item.add_marker(pytest.mark.live)


@pytest.fixture
def port() -> Iterator[MirrorPort]:
    if reason := missing():
        pytest.skip(reason)
    with mirror_port() as made:
        yield made


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with MockCloud(tmp_path / "cloud") as one:
        yield one


@pytest.fixture
def make_site(tmp_path: Path, port: MirrorPort, cloud: MockCloud) -> Iterator[Callable[..., Site]]:
    """Makes a sensor at the port; its processes end with the test."""
    with contextlib.ExitStack() as stack:

        def make(root: Path = tmp_path / "sensor", **settings: object) -> Site:
            site = Site(root, port, cloud, **settings)
            stack.callback(site.end)
            return site

        yield make
