"""Commands to a resident Suricata over its unix socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

PROTOCOL_VERSION: Final = "0.2"
"""Of the socket's protocol: each message is a JSON object and a line feed."""

MAX_ANSWER_OCTETS: Final = 4 * 1024 * 1024
"""Longer than any answer: the list of all files that wait is the longest."""

RELOAD_SECONDS: Final = 300.0
"""How long the rules may take to load: ET Open's take 20 s on two cores."""


class SuricataError(Exception):
    """Suricata cannot be reached, or says no; the text says why."""


def suricata_command(
    path: Path, command: str, arguments: dict[str, Any] | None = None, timeout: float = 10.0
) -> Any:
    """Give a command; what Suricata answers, a text or an object."""
    message: dict[str, Any] = {"command": command}
    if arguments:
        message["arguments"] = arguments
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            _ask(connection, {"version": PROTOCOL_VERSION})
            return _ask(connection, message)
    except TimeoutError as error:
        raise SuricataError(f"no answer on {path} within {timeout:.0f} s") from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise SuricataError("Suricata closed its socket") from error
    except OSError as error:
        raise SuricataError(f"{path}: {error.strerror or error}") from error


def reload_rules(path: Path) -> None:
    """Have Suricata load its rules anew; it matches with the old ones until the new are ready.

    Suricata says no when it was started with ``-S``: the rules must stand in its configuration.
    """
    suricata_command(path, "reload-rules", timeout=RELOAD_SECONDS)


def _ask(connection: socket.socket, message: dict[str, Any]) -> Any:
    connection.sendall(json.dumps(message).encode() + b"\n")
    data = b""
    answer: Any = None
    while answer is None:
        piece = connection.recv(65_536)
        if not piece:
            raise SuricataError("Suricata closed its socket")
        data += piece
        if len(data) > MAX_ANSWER_OCTETS:
            raise SuricataError("the answer never ends")
        try:
            answer = json.loads(data)
        except ValueError:
            # It goes on in the next piece.
            continue
    if not isinstance(answer, dict) or answer.get("return") != "OK":
        said = answer.get("message", "") if isinstance(answer, dict) else answer
        raise SuricataError(f"Suricata says no: {said}")
    return answer.get("message", "")
