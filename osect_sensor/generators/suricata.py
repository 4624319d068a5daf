"""eve.json: the distribution's Suricata over captures, with a configuration made here."""

from __future__ import annotations

import heapq
import os
import re
import shutil
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from osect_sensor.wire.capture import open_capture
from osect_sensor.wire.decode import (
    LINKTYPE_LINUX_SLL2,
    LINKTYPE_LOOP,
    LINKTYPE_RAW_OPENBSD,
)
from osect_sensor.wire.reader import MAX_CAPTURED_LENGTH

EVE_FILE: Final = "eve.json"

EVENT_TYPES: Final[dict[str, dict[str, object]]] = {
    "alert": {"metadata": True, "tagged-packets": True},
    "anomaly": {"enabled": True},
    "http": {"extended": True},
    "dns": {},
    "tls": {"extended": True},
    "drop": {"alerts": True, "flows": "all"},
    "smtp": {},
    "ftp": {},
    "rdp": {},
    "nfs": {},
    "smb": {},
    "tftp": {},
    "ike": {},
    "dcerpc": {},
    "krb5": {},
    "snmp": {},
    "rfb": {},
    "sip": {},
    "dhcp": {"enabled": True, "extended": False},
    "ssh": {},
    "mqtt": {},
    "http2": {},
}
"""What eve.json holds, with the options of each type. Statistics, flows and netflow are left out:
they are no detections and would outweigh the rest."""

PARSERS: Final[dict[str, dict[str, object]]] = {
    "tls": {"enabled": True, "detection-ports": {"dp": 443}, "ja3-fingerprints": "auto"},
    "dcerpc": {"enabled": True},
    "ftp": {"enabled": True},
    "ssh": {"enabled": True},
    "smtp": {"enabled": True},
    "imap": {"enabled": "detection-only"},
    "smb": {"enabled": True, "detection-ports": {"dp": "139, 445"}},
    "nfs": {"enabled": True},
    "dns": {
        "tcp": {"enabled": True, "detection-ports": {"dp": 53}},
        "udp": {"enabled": True, "detection-ports": {"dp": 53}},
    },
    "http": {
        "enabled": True,
        "libhtp": {
            "default-config": {
                "personality": "IDS",
                "request-body-limit": "100kb",
                "response-body-limit": "100kb",
            }
        },
    },
    "modbus": {"enabled": True, "detection-ports": {"dp": 502}, "stream-depth": 0},
    "dnp3": {"enabled": True, "detection-ports": {"dp": 20000}},
    "enip": {"enabled": True, "detection-ports": {"dp": 44818, "sp": 44818}},
    "tftp": {"enabled": True},
    "ike": {"enabled": True},
    "krb5": {"enabled": True},
    "dhcp": {"enabled": True},
    "snmp": {"enabled": True},
    "sip": {"enabled": True},
    "rfb": {
        "enabled": True,
        "detection-ports": {"dp": "5900, 5901, 5902, 5903, 5904, 5905, 5906, 5907, 5908, 5909"},
    },
    "mqtt": {"enabled": True},
    "rdp": {"enabled": True},
    "http2": {"enabled": True},
}
"""Application-protocol parsers: those of the events, and those that ET's OT rules need."""

_HOME_NET: Final = "[10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]"

_MAX_CONSOLE_OCTETS: Final = 64 * 1024 * 1024
"""How much of what Suricata says is searched for its messages. A rule set that it does not
understand makes it complain of each of some ten thousand rules in about 200 octets."""

_STOP_SECONDS: Final = 5
"""How long Suricata may take to stop when asked before it is killed."""

_RULES_LOADED: Final = re.compile(rb"(\d+) rules successfully loaded, (\d+) rules failed")
_ERROR_LINE: Final = re.compile(rb"^E: [a-z0-9-]+: (.+)$", re.MULTILINE)

_RAW_IP: Final = 101
_COOKED: Final = 113
_READ_AS_IT_IS: Final = frozenset({0, 1, 9, 12, _RAW_IP, _COOKED, 228, 229})
"""LINKTYPE_ values that Suricata 7 reads. With any other it waits a minute before it gives up."""

_PLAIN_MAGICS: Final = frozenset({b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1"})


def find_suricata() -> str:
    """Path of the suricata program, empty where it is not installed."""
    return shutil.which("suricata") or ""


def suricata_version(program: str) -> str:
    """Version of ``program``, such as ``7.0.10``; empty where it does not say."""
    try:
        answer = subprocess.run(
            [program, "-V"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"version (\S+)", answer.stdout)
    return match.group(1) if match else ""


def _scalar(value: object) -> str:
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def yaml_text(node: dict[str, object] | list[object], indent: int = 0) -> str:
    """``node`` as the block style of YAML that Suricata reads: mappings, lists, scalars."""
    pad = " " * indent
    lines = ""
    if isinstance(node, list):
        for item in node:
            if isinstance(item, dict):
                lines += pad + "- " + yaml_text(item, indent + 2).lstrip(" ")
            else:
                lines += f"{pad}- {_scalar(item)}\n"
        return lines
    for key, value in node.items():
        if isinstance(value, (dict, list)) and value:
            lines += f"{pad}{key}:\n{yaml_text(value, indent + 2)}"
        elif isinstance(value, (dict, list)):
            lines += f"{pad}{key}:\n"
        else:
            lines += f"{pad}{key}: {_scalar(value)}\n"
    return lines


def configuration(log_directory: Path) -> str:
    """The text of a suricata.yaml that writes ``EVE_FILE`` into ``log_directory``."""
    event_types: list[object] = [{name: options} for name, options in EVENT_TYPES.items()]
    settings: dict[str, object] = {
        "suricata-version": "7.0",
        "vars": {
            "address-groups": {
                "HOME_NET": _HOME_NET,
                "EXTERNAL_NET": "!$HOME_NET",
                "HTTP_SERVERS": "$HOME_NET",
                "SMTP_SERVERS": "$HOME_NET",
                "SQL_SERVERS": "$HOME_NET",
                "DNS_SERVERS": "$HOME_NET",
                "TELNET_SERVERS": "$HOME_NET",
                "AIM_SERVERS": "$EXTERNAL_NET",
                "DC_SERVERS": "$HOME_NET",
                "DNP3_SERVER": "$HOME_NET",
                "DNP3_CLIENT": "$HOME_NET",
                "MODBUS_CLIENT": "$HOME_NET",
                "MODBUS_SERVER": "$HOME_NET",
                "ENIP_CLIENT": "$HOME_NET",
                "ENIP_SERVER": "$HOME_NET",
            },
            "port-groups": {
                "HTTP_PORTS": "80",
                "SHELLCODE_PORTS": "!80",
                "ORACLE_PORTS": "1521",
                "SSH_PORTS": "22",
                "DNP3_PORTS": "20000",
                "MODBUS_PORTS": "502",
                "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]",
                "FTP_PORTS": "21",
                "GENEVE_PORTS": "6081",
                "VXLAN_PORTS": "4789",
                "TEREDO_PORTS": "3544",
            },
        },
        "default-log-dir": str(log_directory),
        "stats": {"enabled": False},
        "outputs": [
            {"fast": {"enabled": False}},
            {
                "eve-log": {
                    "enabled": True,
                    "filetype": "regular",
                    "filename": EVE_FILE,
                    "append": True,
                    "pcap-file": False,
                    "community-id": False,
                    "types": event_types,
                }
            },
            {"stats": {"enabled": False}},
        ],
        "logging": {
            "default-log-level": "notice",
            "outputs": [{"console": {"enabled": True, "level": "info"}}],
        },
        # Checksums are not verified anywhere in the sensor: a mirror port shows what offloading
        # network cards have yet to fill in.
        "pcap-file": {"checksum-checks": False},
        "stream": {"checksum-validation": False, "memcap": "64mb"},
        "app-layer": {"protocols": PARSERS},
        "unix-command": {"enabled": False},
        "classification-file": "/etc/suricata/classification.config",
        "reference-config-file": "/etc/suricata/reference.config",
    }
    return "%YAML 1.1\n---\n" + yaml_text(settings)


def readable_as_it_is(capture: Path) -> bool:
    """Whether Suricata itself can read ``capture``: plain pcap, packets of a known link type."""
    with capture.open("rb") as file:
        if file.read(4) not in _PLAIN_MAGICS:
            return False
        file.seek(0)
        reader = open_capture(file, str(capture))
        return reader.next() and reader.link_type in _READ_AS_IT_IS


def _for_suricata(link_type: int, frame: bytes) -> tuple[int, bytes]:
    """The frame under a link type that Suricata reads."""
    if link_type == LINKTYPE_RAW_OPENBSD:
        return _RAW_IP, frame
    if link_type == LINKTYPE_LOOP:
        return _RAW_IP, frame[4:]
    if link_type == LINKTYPE_LINUX_SLL2 and len(frame) >= 20:
        # protocol, reserved, interface, ARPHRD, packet type, address length, address
        # → packet type, ARPHRD, address length, address, protocol
        header = b"\0" + frame[10:11] + frame[8:10] + b"\0" + frame[11:20] + frame[0:2]
        return _COOKED, header + frame[20:]
    return link_type, frame


def spool(captures: list[Path], directory: Path) -> list[Path]:
    """Rewrite ``captures`` as one plain pcap in ``directory`` for each link type they have.

    That makes of compressed, pcapng, cut-off and several captures what Suricata reads as one
    sequence of packets. Frames of link types that it does not know are left out.
    """
    written: dict[int, Path] = {}
    files: dict[int, IO[bytes]] = {}
    with ExitStack() as stack:
        for capture in captures:
            reader = open_capture(stack.enter_context(capture.open("rb")), str(capture))
            while reader.next():
                frame = reader.data[reader.offset : reader.offset + reader.captured]
                surplus = reader.wire_length - reader.captured
                link_type, frame = _for_suricata(reader.link_type, frame)
                if link_type not in _READ_AS_IT_IS:
                    continue
                file = files.get(link_type)
                if file is None:
                    path = directory / f"link-type-{link_type}.pcap"
                    file = files[link_type] = stack.enter_context(path.open("wb"))
                    written[link_type] = path
                    file.write(
                        struct.pack(
                            "<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, MAX_CAPTURED_LENGTH, link_type
                        )
                    )
                seconds, microseconds = divmod(reader.timestamp, 1_000_000)
                length = len(frame)
                file.write(
                    struct.pack("<IIII", seconds, microseconds, length, length + max(surplus, 0))
                )
                file.write(frame)
    return list(written.values())


class SuricataRun:
    """Suricata over capture files, one process after the other, in a directory of its own."""

    def __init__(self, program: str, directory: Path, rules: Path | None) -> None:
        self.rules_loaded: int = 0
        self.rules_failed: int = 0
        self.failure: str = ""
        """Why a run failed, in Suricata's words; empty while none has."""
        self._program: Final = program
        self._directory: Final = directory
        self._rules: Final = rules
        self._process: subprocess.Popen[bytes] | None = None
        self._runs: int = 0

    def start(self, capture: Path) -> None:
        """Begin to read ``capture``; ``wait`` must have been called for the one before."""
        self._runs += 1
        logs = self._current()
        logs.mkdir(parents=True)
        settings = logs / "suricata.yaml"
        settings.write_text(configuration(logs), encoding="utf-8")
        command = [self._program, "-c", str(settings), "-l", str(logs), "-k", "none"]
        # One thread for all packets: the events come in the order of the packets, every time.
        command += ["--runmode", "single", "-r", str(capture.resolve())]
        command += ["-S", str(self._rules.resolve()) if self._rules else os.devnull]
        environment = dict(os.environ, TZ="UTC", LC_ALL="C")
        with (logs / "console").open("wb") as console:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            except OSError as error:
                self.failure = f"{self._program} cannot be started: {error.strerror}"

    @property
    def started(self) -> bool:
        """Whether any run was begun."""
        return self._runs > 0

    def wait(self) -> None:
        """Wait for the end of the capture and look at how it went."""
        if self._process is None:
            return
        status = self._process.wait()
        self._process = None
        with (self._current() / "console").open("rb") as console:
            said = console.read(_MAX_CONSOLE_OCTETS)
        loaded = _RULES_LOADED.search(said)
        if loaded is not None:
            self.rules_loaded = int(loaded.group(1))
            self.rules_failed = int(loaded.group(2))
        if status == 0:
            return
        self.failure = f"it ended with status {status}"
        if status < 0:
            self.failure = f"it was ended by signal {-status}"
        errors = _ERROR_LINE.findall(said)
        if errors:
            # The first error that stops it causes the others; complaints about rules come before.
            fatal = [error for error in errors if b"parsing signature" not in error] or errors
            self.failure += f": {fatal[0].decode('utf-8', 'replace').strip()}"

    def stop(self) -> None:
        """End Suricata if it still runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def events(self) -> Iterator[str]:
        """The lines of eve.json of all runs, in the order of time."""
        with ExitStack() as stack:
            files = []
            for run in range(1, self._runs + 1):
                path = self._directory / str(run) / EVE_FILE
                if path.exists():
                    files.append(stack.enter_context(path.open(encoding="utf-8")))
            if len(files) == 1:
                yield from files[0]
            else:
                yield from heapq.merge(*files, key=event_second)

    def _current(self) -> Path:
        return self._directory / str(self._runs)


_TIMESTAMP: Final = '{"timestamp":"'
_TIMESTAMP_DIGITS: Final = len("2017-09-19T13:46:10.536473")


def event_second(line: str) -> str:
    """When an event of eve.json happened, as text that sorts: Suricata starts each with it."""
    if not line.startswith(_TIMESTAMP):
        return ""
    return line[len(_TIMESTAMP) : len(_TIMESTAMP) + _TIMESTAMP_DIGITS]


class WindowSplitter:
    """Deals the events of eve.json out to the windows that they happened in."""

    def __init__(self, starts: list[int], paths: list[Path]) -> None:
        """``starts``: when each window begins, microseconds, ascending; ``paths``: its eve.json."""
        self._starts: Final = starts
        self._paths: Final = paths
        self._second: str = ""
        self._index: int = 0

    def split(self, events: Iterator[str]) -> int:
        """Write all events; returns how many there were."""
        for path in self._paths:
            path.touch()
        count = 0
        current = -1
        file: IO[str] | None = None
        try:
            for line in events:
                index = self._window(line)
                if index != current or file is None:
                    if file is not None:
                        file.close()
                    file = self._paths[index].open("a", encoding="utf-8")
                    current = index
                file.write(line)
                count += 1
        finally:
            if file is not None:
                file.close()
        return count

    def _window(self, line: str) -> int:
        """Index of the window of an event; one without a sensible time stays with its neighbour."""
        second = event_second(line)[:19]
        if second == self._second:
            return self._index
        self._second = second
        try:
            moment = datetime.fromisoformat(second).replace(tzinfo=UTC)
        except ValueError:
            return self._index
        microseconds = int(moment.timestamp()) * 1_000_000
        self._index = max(0, bisect_right(self._starts, microseconds) - 1)
        return self._index
