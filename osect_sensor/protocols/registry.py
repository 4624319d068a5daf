"""From a protocol's name to a fresh analyzer."""

from __future__ import annotations

from osect_sensor.flows.analyzer import Analyzer, Connection


def new_analyzer(connection: Connection, service: str) -> Analyzer | None:
    """A fresh analyzer of ``service`` for ``connection``, or None where there is none."""
    return None
