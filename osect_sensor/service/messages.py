"""The sensor's own log: one line an event, key=value, on standard error; secrets masked.

``logging`` does the work. A message is an event's name, such as ``archive.written``, and what is
known about it goes into ``extra``-like keywords of ``event``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from typing import Final

_PLAIN: Final = re.compile(r"[^\s\"=\\]+")
_FIELDS: Final = "osect_fields"
_MASK: Final = "***"

_PRIORITIES: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""syslog's priorities, which journald takes from the head of a line (sd-daemon(3))."""

LOGGER: Final = logging.getLogger("osect_sensor")

MAX_VALUE: Final = 1024
"""Characters of a value; what other programs say can be long."""


class SecretFilter(logging.Filter):
    """Takes known secrets out of every record, also out of those of libraries."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: list[str] = []

    def add(self, secret: str) -> None:
        """Never show ``secret`` again."""
        if secret and secret not in self._secrets:
            self._secrets.append(secret)
            self._secrets.sort(key=len, reverse=True)

    def clean(self, text: str) -> str:
        """``text`` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record."""
        record.msg = self.clean(record.getMessage())
        record.args = ()
        fields = record.__dict__.get(_FIELDS)
        if fields:
            record.__dict__[_FIELDS] = {
                key: self.clean(value) if isinstance(value, str) else value
                for key, value in fields.items()
            }
        return True


SECRETS: Final = SecretFilter()


def value_text(value: object) -> str:
    """A value of a key: as it is where it is one plain word, else quoted."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if len(text) > MAX_VALUE:
        text = text[: MAX_VALUE - 1] + "…"
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


class KeyValueFormatter(logging.Formatter):
    """``time=… level=… event=… key=value …``; journald stamps the time itself."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal: Final = journal

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        pairs: list[tuple[str, object]] = []
        if not self._journal:
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            pairs.append(("time", f"{moment}.{int(record.msecs):03d}Z"))
        pairs.append(("level", record.levelname.lower()))
        pairs.append(("event", record.getMessage()))
        if record.name != LOGGER.name:
            pairs.append(("logger", record.name))
        pairs += record.__dict__.get(_FIELDS, {}).items()
        if record.exc_info:
            pairs.append(("traceback", SECRETS.clean(self.formatException(record.exc_info))))
        line = " ".join(f"{key}={value_text(value)}" for key, value in pairs)
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>{line}"
        return line


def install(level: str, secrets: list[str]) -> None:
    """Send all records to standard error from now on; the secrets are masked first."""
    for secret in secrets:
        SECRETS.add(secret)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(SECRETS)
    handler.setFormatter(KeyValueFormatter("JOURNAL_STREAM" in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def event(level: int, name: str, **fields: object) -> None:
    """Log the event ``name`` with what is known about it."""
    LOGGER.log(level, name, extra={_FIELDS: fields})


def info(name: str, **fields: object) -> None:
    """Log something that goes as it should."""
    event(logging.INFO, name, **fields)


def debug(name: str, **fields: object) -> None:
    """Log a detail."""
    event(logging.DEBUG, name, **fields)


def warning(name: str, **fields: object) -> None:
    """Log something that the sensor gets over by itself."""
    event(logging.WARNING, name, **fields)


def error(name: str, **fields: object) -> None:
    """Log something that costs data or needs the operator."""
    event(logging.ERROR, name, **fields)


class Repeated:
    """Logs the first of a kind of event, then at most one a minute with how many there were."""

    INTERVAL: Final = 60.0

    def __init__(self, level: int, name: str) -> None:
        self._level: Final = level
        self._name: Final = name
        self._next: float = 0.0
        self._suppressed: int = 0

    def happened(self, **fields: object) -> None:
        """Log it unless one was logged a moment ago."""
        now = time.monotonic()
        if now < self._next:
            self._suppressed += 1
            return
        self._next = now + self.INTERVAL
        if self._suppressed:
            fields["suppressed"] = self._suppressed
        self._suppressed = 0
        event(self._level, self._name, **fields)
