"""Feeding an analyzer that runs inside another one's messages."""

from __future__ import annotations

from osect_sensor.flows.analyzer import Analyzer


def feed_embedded(analyzer: Analyzer, from_orig: bool, data: bytes) -> None:
    """Give ``data`` to an analyzer that another one owns, even after a violation.

    Zeek does not attach such analyzers to the connection. A violation of theirs withdraws the
    service, but finds nothing to disable: the next message is judged afresh.
    """
    analyzer.alive = True
    analyzer.stream(from_orig, data)
