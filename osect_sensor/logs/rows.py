"""The typed rows that protocol modules emit; ``osect_sensor.logs.text`` turns them into lines.

Units: times and intervals are whole microseconds; ``UNSET`` marks a number and ``None`` a string
that is not recorded. Strings taken from the wire are ``bytes`` and are escaped by the writer;
``str`` is only for text we made ourselves (addresses, uids, names of a fixed set).
"""

from __future__ import annotations

from typing import Final, final

UNSET: Final = -(1 << 60)
"""A count, time or interval that is not recorded."""


@final
class ConnRow:
    """One connection (or its part since the previous row): conn.log."""

    __slots__ = (
        "conn_state", "duration", "history", "id_orig_h", "id_orig_p", "id_resp_h", "id_resp_p",
        "missed_bytes", "orig_bytes", "orig_ip_bytes", "orig_l2_addr", "orig_pkts", "proto",
        "resp_bytes", "resp_ip_bytes", "resp_l2_addr", "resp_pkts", "service", "ts",
        "tunnel_parents", "uid",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.uid: str = ""
        self.id_orig_h: str = ""
        self.id_orig_p: int = 0
        self.id_resp_h: str = ""
        self.id_resp_p: int = 0
        self.proto: str = ""
        self.service: str = ""
        """Comma-joined service names, empty for none."""
        self.duration: int = UNSET
        self.orig_bytes: int = UNSET
        self.resp_bytes: int = UNSET
        self.conn_state: str = ""
        self.missed_bytes: int = 0
        self.history: str = ""
        self.orig_pkts: int = 0
        self.orig_ip_bytes: int = 0
        self.resp_pkts: int = 0
        self.resp_ip_bytes: int = 0
        self.tunnel_parents: str = ""
        """Comma-joined uids, empty for none."""
        self.orig_l2_addr: str = ""
        self.resp_l2_addr: str = ""


@final
class FlowRow:
    """One bidirectional flow of an IP protocol that conn.log does not hold: yaf_flow.log."""

    __slots__ = (
        "destination",
        "destination_mac",
        "end",
        "end_reason",
        "octets",
        "packets",
        "protocol",
        "reverse_octets",
        "reverse_packets",
        "reverse_vlan",
        "rtt",
        "source",
        "source_mac",
        "start",
        "vlan",
    )  # fmt: skip

    def __init__(self) -> None:
        self.start: int = 0
        self.end: int = 0
        self.rtt: int = 0
        self.protocol: int = 0
        self.source: str = ""
        self.destination: str = ""
        self.source_mac: str = ""
        self.destination_mac: str = ""
        self.vlan: int = 0
        self.reverse_vlan: int = 0
        self.packets: int = 0
        self.octets: int = 0
        self.reverse_packets: int = 0
        self.reverse_octets: int = 0
        self.end_reason: str = ""
        """``idle``, ``active``, ``eof``, or empty when the flow ended otherwise."""


@final
class ArpRow:
    """One ARP request or reply: arp.log. Empty strings are not recorded."""

    __slots__ = ("orig_ip", "orig_mac", "resp_ip", "resp_mac", "ts", "who_has")

    def __init__(self) -> None:
        self.ts: int = 0
        self.orig_mac: str = ""
        self.orig_ip: str = ""
        self.resp_mac: str = ""
        self.resp_ip: str = ""
        self.who_has: str = ""


@final
class NeighborRow:
    """One Neighbor Solicitation or Advertisement: ns.log. Empty strings are not recorded."""

    __slots__ = ("orig_ip", "orig_mac", "resp_ip", "resp_mac", "ts", "who_has")

    def __init__(self) -> None:
        self.ts: int = 0
        self.orig_mac: str = ""
        self.orig_ip: str = ""
        self.resp_mac: str = ""
        self.resp_ip: str = ""
        self.who_has: str = ""


@final
class DnsRow:
    """One DNS query with its response, or either alone: dns.log."""

    __slots__ = (
        "aa", "answers", "id_orig_h", "id_orig_p", "id_resp_h", "id_resp_p", "proto", "qclass",
        "qclass_name", "qtype", "qtype_name", "query", "ra", "rcode", "rcode_name", "rd",
        "rejected", "rtt", "tc", "trans_id", "ts", "ttls", "uid", "z",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.uid: str = ""
        self.id_orig_h: str = ""
        self.id_orig_p: int = 0
        self.id_resp_h: str = ""
        self.id_resp_p: int = 0
        self.proto: str = ""
        self.trans_id: int = 0
        self.rtt: int = UNSET
        self.query: bytes | None = None
        self.qclass: int = UNSET
        self.qclass_name: str = ""
        self.qtype: int = UNSET
        self.qtype_name: str = ""
        self.rcode: int = UNSET
        self.rcode_name: str = ""
        self.aa: bool = False
        self.tc: bool = False
        self.rd: bool = False
        self.ra: bool = False
        self.z: int = 0
        self.answers: list[bytes] | None = None
        self.ttls: list[int] | None = None
        """Microseconds, one for each answer."""
        self.rejected: bool = False


@final
class FingerprintRow:
    """One SYN or SYN+ACK: p0f-k.log."""

    __slots__ = ("mod", "os", "raw_sig", "src_ip", "src_mac", "ts")

    def __init__(self) -> None:
        self.ts: int = 0
        self.mod: str = ""
        """``syn`` or ``syn+ack``."""
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.os: str = ""
        self.raw_sig: str = ""


@final
class HttpRow:
    """One HTTP request with its response, or either alone: http.log."""

    __slots__ = (
        "host", "id_orig_h", "id_orig_p", "id_resp_h", "id_resp_p", "info_code", "info_msg",
        "method", "orig_l2_addr", "origin", "proxied", "referrer", "request_body_len",
        "resp_l2_addr", "response_body_len", "status_code", "status_msg", "tags", "trans_depth",
        "ts", "uid", "uri", "user_agent", "username", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.uid: str = ""
        self.id_orig_h: str = ""
        self.id_orig_p: int = 0
        self.id_resp_h: str = ""
        self.id_resp_p: int = 0
        self.trans_depth: int = 0
        self.method: bytes | None = None
        self.host: bytes | None = None
        self.uri: bytes | None = None
        self.referrer: bytes | None = None
        self.version: bytes | None = None
        self.user_agent: bytes | None = None
        self.origin: bytes | None = None
        self.request_body_len: int = 0
        self.response_body_len: int = 0
        self.status_code: int = UNSET
        self.status_msg: bytes | None = None
        self.info_code: int = UNSET
        self.info_msg: bytes | None = None
        self.tags: list[str] = []
        self.username: bytes | None = None
        self.proxied: list[bytes] | None = None
        self.orig_l2_addr: str = ""
        self.resp_l2_addr: str = ""


@final
class DhcpRow:
    """One DHCPv4 request to port 67: dhcp2.log."""

    __slots__ = ("class_id", "hostname", "parameter_list", "src_ip", "src_mac", "ts")

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.hostname: bytes | None = None
        self.parameter_list: list[int] | None = None
        self.class_id: bytes | None = None


@final
class NetbiosRow:
    """One NetBIOS name registration: netbios-ns.log."""

    __slots__ = ("name", "service_type", "src_ip", "src_mac", "ts", "ttl")

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.name: bytes | None = None
        self.ttl: int = UNSET
        """Seconds, as on the wire."""
        self.service_type: str = ""


@final
class BrowserRow:
    """One CIFS browser announcement: mswin-browser.log."""

    __slots__ = (
        "browser_version", "host_comment", "os_version", "server_name", "server_type",
        "signature", "src_ip", "src_mac", "ts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.server_name: bytes | None = None
        self.os_version: str = ""
        self.server_type: str = ""
        self.browser_version: str = ""
        self.signature: str = ""
        self.host_comment: bytes | None = None


@final
class Dhcpv6Row:
    """One DHCPv6 request to port 547: dhcpv6.log."""

    __slots__ = (
        "enterprise_number", "finger_print", "hostname", "src_ip", "src_mac", "ts", "vendor_class",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.hostname: bytes | None = None
        self.finger_print: list[int] | None = None
        self.enterprise_number: int = UNSET
        self.vendor_class: bytes | None = None


@final
class SsdpRow:
    """One SSDP message: ssdp.log."""

    __slots__ = ("method", "server_or_user_agent", "src_ip", "src_mac", "ts")

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_ip: str = ""
        self.src_mac: str = ""
        self.method: str = ""
        """``NOTIFY``, ``M-SEARCH Request``, ``M-SEARCH Response``, or empty."""
        self.server_or_user_agent: bytes | None = None


@final
class FieldBasicRow:
    """The frames of one (connection, pdu, cmd) in a window: cclink-ief-basic.log."""

    __slots__ = (
        "cmd", "id_orig_h", "id_orig_p", "id_resp_h", "id_resp_p", "number", "pdu", "ts",
        "ts_end", "uid",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.uid: str = ""
        self.id_orig_h: str = ""
        self.id_orig_p: int = 0
        self.id_resp_h: str = ""
        self.id_resp_p: int = 0
        self.pdu: str = ""
        self.cmd: str = ""
        self.number: int = 0
        self.ts_end: int = 0


@final
class FieldControlRow:
    """The frames of one (MAC pair, service, frame contents) in a window: cclink-ie.log."""

    __slots__ = (
        "cmd", "connection_info", "dst_mac", "node_id", "node_type", "number", "pdu_type",
        "service", "src_mac", "src_node_number", "ts", "ts_end",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: int = 0
        self.src_mac: str = ""
        self.dst_mac: str = ""
        self.service: bytes = b""
        self.pdu_type: str = ""
        self.cmd: bytes | None = None
        self.node_type: bytes | None = None
        self.node_id: int = UNSET
        self.connection_info: str = ""
        self.src_node_number: str = ""
        self.number: int = 0
        self.ts_end: int = 0
