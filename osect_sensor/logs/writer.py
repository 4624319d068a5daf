"""Rows to files: one directory a window, in it every selected log in its framing."""

from __future__ import annotations

import os
import shutil
from typing import Final, final

from osect_sensor.logs import text
from osect_sensor.logs.catalog import (
    FRAMING_EVE,
    FRAMING_ONE_LINE,
    FRAMING_ZEEK,
    OSECT_2023,
    Dialect,
    Log,
)
from osect_sensor.logs.rows import (
    ArpRow,
    BrowserRow,
    ConnRow,
    DhcpRow,
    Dhcpv6Row,
    DnsRow,
    FieldBasicRow,
    FieldControlRow,
    FingerprintRow,
    FlowRow,
    HttpRow,
    NeighborRow,
    NetbiosRow,
    SsdpRow,
)
from osect_sensor.logs.sink import RowSink

MAX_BUFFERED_CHARACTERS: Final = 256 * 1024
"""Text kept for one log before it goes to the file: large enough that a flood's writes cost
nothing, small enough that fifteen logs stay within a few megabytes."""

_CLOSED: Final = -1
"""Descriptor of a file that is not open."""

_PARTIAL_PREFIX: Final = "."
_PARTIAL_SUFFIX: Final = ".partial"


def header(log: Log, opened: int) -> str:
    """What stands before the first row of ``log`` in a window that begins at ``opened``."""
    names = "\t".join(log.field_names())
    if log.framing == FRAMING_ZEEK:
        types = "\t".join([field.type_name for field in log.fields])
        return (
            "#separator \\x09\n"
            f"#set_separator\t{text.SET_SEPARATOR}\n"
            f"#empty_field\t{text.EMPTY_FIELD}\n"
            f"#unset_field\t{text.UNSET_FIELD}\n"
            f"#path\t{log.name}\n"
            f"#open\t{text.header_time_text(opened)}\n"
            f"#fields\t{names}\n"
            f"#types\t{types}\n"
        )
    if log.framing == FRAMING_ONE_LINE:
        return f"#{names}\n"
    return ""


def footer(log: Log, closed: int) -> str:
    """What stands behind the last row of ``log`` in a window that ends at ``closed``."""
    if log.framing == FRAMING_ZEEK:
        return f"#close\t{text.header_time_text(closed)}\n"
    return ""


def write_through(path: str) -> None:
    """Have the file or directory ``path`` on the disk before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@final
class LogBuffer:
    """The lines of one log on their way to its file in the current window."""

    def __init__(self, log: Log | None) -> None:
        self.selected: Final = log is not None
        self.log: Final = log
        self.rows: int = 0
        """Rows since the beginning, over all windows."""
        self._lines: list[str] = []
        self._characters: int = 0
        self._descriptor: int = _CLOSED

    def add(self, line: str) -> None:
        """Take a row's line."""
        self.rows += 1
        self._lines.append(line)
        self._characters += len(line)
        if self._characters >= MAX_BUFFERED_CHARACTERS:
            self.flush()

    def open(self, directory: str, opened: int) -> None:
        """Begin the log's file in ``directory``."""
        assert self.log is not None
        self._descriptor = os.open(
            os.path.join(directory, self.log.file_name),
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
            0o666,
        )
        self._lines.insert(0, header(self.log, opened))

    def flush(self) -> None:
        """Hand the buffered lines to the operating system (nothing while no window is open)."""
        if self._descriptor == _CLOSED:
            return
        # Labels of a fingerprint database are the only text that need not be ASCII.
        octets = "".join(self._lines).encode("utf-8", "surrogateescape")
        self._lines = []
        self._characters = 0
        while len(octets) > 0:
            written = os.write(self._descriptor, octets)
            octets = octets[written:]

    def close(self, closed: int, durable: bool) -> None:
        """End the log's file."""
        assert self.log is not None
        self._lines.append(footer(self.log, closed))
        self.flush()
        if self._descriptor == _CLOSED:
            return
        if durable:
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = _CLOSED

    def abandon(self) -> None:
        """Close the file as it is and forget what is buffered."""
        self._lines = []
        self._characters = 0
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


class TextSink(RowSink):
    """Writes rows as text, a window directory at a time.

    Between ``open_window`` and ``close_window`` the files grow in a hidden directory beside the
    final one, which appears whole, by a rename, or not at all. eve.json is Suricata's: here it
    only comes into being empty, so that every selected log exists in every window.
    """

    def __init__(
        self,
        selection: list[str] | None = None,
        durable: bool = False,
        dialect: Dialect = OSECT_2023,
    ) -> None:
        """``selection`` names the logs to write (all when None); unknown names are an error.

        ``durable`` makes a window survive a power cut once ``close_window`` has returned.
        """
        self._durable: Final = durable
        self._directory: str = ""
        self._partial: str = ""
        self._buffers: dict[str, LogBuffer] = {}
        chosen: list[str] = dialect.names() if selection is None else selection
        for name in chosen:
            log = dialect.find(name)
            if log is None:
                raise ValueError(f"no log is called {name}")
            self._buffers[log.name] = LogBuffer(log)
        self._conn: Final = self._buffer("conn")
        self._flow: Final = self._buffer("yaf_flow")
        self._arp: Final = self._buffer("arp")
        self._neighbor: Final = self._buffer("ns")
        self._dns: Final = self._buffer("dns")
        self._fingerprint: Final = self._buffer("p0f-k")
        self._http: Final = self._buffer("http")
        self._dhcp: Final = self._buffer("dhcp2")
        self._netbios: Final = self._buffer("netbios-ns")
        self._browser: Final = self._buffer("mswin-browser")
        self._dhcpv6: Final = self._buffer("dhcpv6")
        self._ssdp: Final = self._buffer("ssdp")
        self._field_basic: Final = self._buffer("cclink-ief-basic")
        self._field_control: Final = self._buffer("cclink-ie")

    def _buffer(self, name: str) -> LogBuffer:
        buffer = self._buffers.get(name)
        return LogBuffer(None) if buffer is None else buffer

    def row_counts(self) -> dict[str, int]:
        """Rows so far of each selected log that has rows of ours, by name."""
        counts: dict[str, int] = {}
        for name, buffer in self._buffers.items():
            if buffer.log is not None and buffer.log.framing != FRAMING_EVE:
                counts[name] = buffer.rows
        return counts

    def is_open(self) -> bool:
        """Whether a window is open."""
        return self._partial != ""

    def open_window(self, directory: str, opened: int) -> None:
        """Begin the window ``directory``, whose time begins at ``opened`` (microseconds)."""
        parent, name = os.path.split(directory)
        partial = os.path.join(parent, _PARTIAL_PREFIX + name + _PARTIAL_SUFFIX)
        if os.path.isdir(partial):
            # Left by a process that was killed; its rows will be generated again.
            shutil.rmtree(partial)
        os.mkdir(partial)
        self._directory = directory
        self._partial = partial
        for buffer in self._buffers.values():
            buffer.open(partial, opened)

    def close_window(self, closed: int) -> None:
        """End the window, whose time ends at ``closed``: its directory appears."""
        for buffer in self._buffers.values():
            buffer.close(closed, self._durable)
        if self._durable:
            write_through(self._partial)
        os.rename(self._partial, self._directory)
        if self._durable:
            write_through(os.path.dirname(self._directory) or ".")
        self._partial = ""

    def flush(self) -> None:
        """Hand all buffered rows to the operating system."""
        for buffer in self._buffers.values():
            buffer.flush()

    def abandon_window(self) -> None:
        """Remove the open window, if there is one, with everything in it."""
        for buffer in self._buffers.values():
            buffer.abandon()
        if self._partial != "":
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial = ""

    def conn(self, row: ConnRow) -> None:
        """Write the row."""
        if self._conn.selected:
            self._conn.add(text.conn_line(row))

    def flow(self, row: FlowRow) -> None:
        """Write the row."""
        if self._flow.selected:
            self._flow.add(text.flow_line(row))

    def arp(self, row: ArpRow) -> None:
        """Write the row."""
        if self._arp.selected:
            self._arp.add(text.arp_line(row))

    def neighbor(self, row: NeighborRow) -> None:
        """Write the row."""
        if self._neighbor.selected:
            self._neighbor.add(text.neighbor_line(row))

    def dns(self, row: DnsRow) -> None:
        """Write the row."""
        if self._dns.selected:
            self._dns.add(text.dns_line(row))

    def fingerprint(self, row: FingerprintRow) -> None:
        """Write the row."""
        if self._fingerprint.selected:
            self._fingerprint.add(text.fingerprint_line(row))

    def http(self, row: HttpRow) -> None:
        """Write the row."""
        if self._http.selected:
            self._http.add(text.http_line(row))

    def dhcp(self, row: DhcpRow) -> None:
        """Write the row."""
        if self._dhcp.selected:
            self._dhcp.add(text.dhcp_line(row))

    def netbios(self, row: NetbiosRow) -> None:
        """Write the row."""
        if self._netbios.selected:
            self._netbios.add(text.netbios_line(row))

    def browser(self, row: BrowserRow) -> None:
        """Write the row."""
        if self._browser.selected:
            self._browser.add(text.browser_line(row))

    def dhcpv6(self, row: Dhcpv6Row) -> None:
        """Write the row."""
        if self._dhcpv6.selected:
            self._dhcpv6.add(text.dhcpv6_line(row))

    def ssdp(self, row: SsdpRow) -> None:
        """Write the row."""
        if self._ssdp.selected:
            self._ssdp.add(text.ssdp_line(row))

    def field_basic(self, row: FieldBasicRow) -> None:
        """Write the row."""
        if self._field_basic.selected:
            self._field_basic.add(text.field_basic_line(row))

    def field_control(self, row: FieldControlRow) -> None:
        """Write the row."""
        if self._field_control.selected:
            self._field_control.add(text.field_control_line(row))
