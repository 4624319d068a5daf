"""Where rows go."""

from __future__ import annotations

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


class RowSink:
    """Takes the rows of fourteen logs; this base class drops them.

    A row belongs to the sink once it is handed over: the caller neither changes nor keeps it.
    """

    def conn(self, row: ConnRow) -> None:
        """Take a row of conn.log."""

    def flow(self, row: FlowRow) -> None:
        """Take a row of yaf_flow.log."""

    def arp(self, row: ArpRow) -> None:
        """Take a row of arp.log."""

    def neighbor(self, row: NeighborRow) -> None:
        """Take a row of ns.log."""

    def dns(self, row: DnsRow) -> None:
        """Take a row of dns.log."""

    def fingerprint(self, row: FingerprintRow) -> None:
        """Take a row of p0f-k.log."""

    def http(self, row: HttpRow) -> None:
        """Take a row of http.log."""

    def dhcp(self, row: DhcpRow) -> None:
        """Take a row of dhcp2.log."""

    def netbios(self, row: NetbiosRow) -> None:
        """Take a row of netbios-ns.log."""

    def browser(self, row: BrowserRow) -> None:
        """Take a row of mswin-browser.log."""

    def dhcpv6(self, row: Dhcpv6Row) -> None:
        """Take a row of dhcpv6.log."""

    def ssdp(self, row: SsdpRow) -> None:
        """Take a row of ssdp.log."""

    def field_basic(self, row: FieldBasicRow) -> None:
        """Take a row of cclink-ief-basic.log."""

    def field_control(self, row: FieldControlRow) -> None:
        """Take a row of cclink-ie.log."""


class CollectingSink(RowSink):
    """Keeps every row in memory, a list a log: for tests and for small tools."""

    def __init__(self) -> None:
        self.conn_rows: list[ConnRow] = []
        self.flow_rows: list[FlowRow] = []
        self.arp_rows: list[ArpRow] = []
        self.neighbor_rows: list[NeighborRow] = []
        self.dns_rows: list[DnsRow] = []
        self.fingerprint_rows: list[FingerprintRow] = []
        self.http_rows: list[HttpRow] = []
        self.dhcp_rows: list[DhcpRow] = []
        self.netbios_rows: list[NetbiosRow] = []
        self.browser_rows: list[BrowserRow] = []
        self.dhcpv6_rows: list[Dhcpv6Row] = []
        self.ssdp_rows: list[SsdpRow] = []
        self.field_basic_rows: list[FieldBasicRow] = []
        self.field_control_rows: list[FieldControlRow] = []

    def conn(self, row: ConnRow) -> None:
        """Keep the row."""
        self.conn_rows.append(row)

    def flow(self, row: FlowRow) -> None:
        """Keep the row."""
        self.flow_rows.append(row)

    def arp(self, row: ArpRow) -> None:
        """Keep the row."""
        self.arp_rows.append(row)

    def neighbor(self, row: NeighborRow) -> None:
        """Keep the row."""
        self.neighbor_rows.append(row)

    def dns(self, row: DnsRow) -> None:
        """Keep the row."""
        self.dns_rows.append(row)

    def fingerprint(self, row: FingerprintRow) -> None:
        """Keep the row."""
        self.fingerprint_rows.append(row)

    def http(self, row: HttpRow) -> None:
        """Keep the row."""
        self.http_rows.append(row)

    def dhcp(self, row: DhcpRow) -> None:
        """Keep the row."""
        self.dhcp_rows.append(row)

    def netbios(self, row: NetbiosRow) -> None:
        """Keep the row."""
        self.netbios_rows.append(row)

    def browser(self, row: BrowserRow) -> None:
        """Keep the row."""
        self.browser_rows.append(row)

    def dhcpv6(self, row: Dhcpv6Row) -> None:
        """Keep the row."""
        self.dhcpv6_rows.append(row)

    def ssdp(self, row: SsdpRow) -> None:
        """Keep the row."""
        self.ssdp_rows.append(row)

    def field_basic(self, row: FieldBasicRow) -> None:
        """Keep the row."""
        self.field_basic_rows.append(row)

    def field_control(self, row: FieldControlRow) -> None:
        """Keep the row."""
        self.field_control_rows.append(row)
