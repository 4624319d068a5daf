"""Every log: its file name, framing and fields, and for each field its type and meaning.

A log is identified by its name, which is its file name without the extension. The types are
Zeek's, and they are also what the ``#types`` line of a Zeek header says.
"""

from __future__ import annotations

from typing import Final, final

FRAMING_ZEEK: Final = "zeek"
"""Eight header lines, TAB-separated rows, and a last line ``#close``."""
FRAMING_ONE_LINE: Final = "one-line"
"""One header line with the field names behind ``#``, then TAB-separated rows."""
FRAMING_BARE: Final = "bare"
"""TAB-separated rows and nothing else."""
FRAMING_EVE: Final = "eve"
"""One JSON object a line."""


@final
class Field:
    """One column of a log."""

    def __init__(self, name: str, type_name: str, meaning: str, recorded: bool = True) -> None:
        self.name: Final = name
        self.type_name: Final = type_name
        """Zeek's name of the type: ``time``, ``interval``, ``count``, ``vector[string]``, …"""
        self.meaning: Final = meaning
        self.recorded: Final = recorded
        """False for a column that the contract keeps but that always holds ``-``."""


@final
class Log:
    """One log: a file in every window directory."""

    def __init__(
        self, file_name: str, framing: str, subject: str, row: str, fields: list[Field]
    ) -> None:
        self.name: Final = file_name[: file_name.rindex(".")]
        self.file_name: Final = file_name
        self.framing: Final = framing
        self.subject: Final = subject
        """What the log is about, for people."""
        self.row: Final = row
        """What one row stands for, for people."""
        self.fields: Final = fields
        """The columns in order; empty for eve.json, whose objects Suricata documents."""

    def field_names(self) -> list[str]:
        """Names of the columns in order."""
        return [field.name for field in self.fields]

    def header_lines(self) -> int:
        """How many lines stand before the first row."""
        if self.framing == FRAMING_ZEEK:
            return 8
        if self.framing == FRAMING_ONE_LINE:
            return 1
        return 0


@final
class Dialect:
    """The set of logs that one generation of the receiving cloud expects."""

    def __init__(self, name: str, logs: list[Log]) -> None:
        self.name: Final = name
        self.logs: Final = logs
        self._by_name: dict[str, Log] = {}
        for log in logs:
            self._by_name[log.name] = log

    def names(self) -> list[str]:
        """Names of all logs in the order of the specification."""
        return [log.name for log in self.logs]

    def find(self, name: str) -> Log | None:
        """The log called ``name``, also accepted with its file extension."""
        log = self._by_name.get(name)
        if log is not None:
            return log
        for candidate in self.logs:
            if candidate.file_name == name:
                return candidate
        return None


def _connection_fields(ts_meaning: str) -> list[Field]:
    return [
        Field("ts", "time", ts_meaning),
        Field("uid", "string", "id of the connection, joins the logs"),
        Field("id.orig_h", "addr", "address of the client"),
        Field("id.orig_p", "port", "port of the client (ICMP: type)"),
        Field("id.resp_h", "addr", "address of the server"),
        Field("id.resp_p", "port", "port of the server (ICMP: code)"),
    ]


def _mac_fields() -> list[Field]:
    return [
        Field("orig_l2_addr", "string", "MAC address of the client"),
        Field("resp_l2_addr", "string", "MAC address of the server"),
    ]


def _source_fields(address_name: str) -> list[Field]:
    return [
        Field("ts", "time", "time of the packet"),
        Field(address_name, "addr", "source address of the packet"),
    ]


def _conn() -> Log:
    return Log(
        "conn.log",
        FRAMING_ZEEK,
        "connections: TCP, UDP, ICMP and ICMPv6 over IPv4 and IPv6",
        "one connection, or its part since the previous row",
        [
            *_connection_fields("time of the first packet"),
            Field("proto", "enum", "transport protocol"),
            Field("service", "string", "application protocols confirmed by content"),
            Field("duration", "interval", "from the first packet to the last"),
            Field("orig_bytes", "count", "payload octets the client sent"),
            Field("resp_bytes", "count", "payload octets the server sent"),
            Field("conn_state", "string", "how the connection began and ended (S0, SF, REJ, …)"),
            Field("local_orig", "bool", "client is local", False),
            Field("local_resp", "bool", "server is local", False),
            Field("missed_bytes", "count", "payload octets that packet loss hid"),
            Field("history", "string", "events in order; capitals by the client"),
            Field("orig_pkts", "count", "packets the client sent"),
            Field("orig_ip_bytes", "count", "IP octets the client sent"),
            Field("resp_pkts", "count", "packets the server sent"),
            Field("resp_ip_bytes", "count", "IP octets the server sent"),
            Field("tunnel_parents", "set[string]", "uids of the tunnels around the connection"),
            *_mac_fields(),
        ],
    )


def _yaf_flow() -> Log:
    return Log(
        "yaf_flow.log",
        FRAMING_ONE_LINE,
        "bidirectional flows of every other IP protocol",
        "one flow",
        [
            Field("ts", "time", "start of the flow, milliseconds resolution"),
            Field("start-time", "string", "start of the flow, UTC date and time"),
            Field("end-time", "string", "end of the flow, UTC date and time"),
            Field("duration", "interval", "end minus start, milliseconds resolution"),
            Field("rtt", "interval", "first packet to first answer, milliseconds resolution"),
            Field("proto", "count", "IP protocol number"),
            Field("sip", "addr", "address of the client"),
            Field("sp", "port", "0: no ports outside TCP and UDP"),
            Field("dip", "addr", "address of the server"),
            Field("dp", "port", "0: no ports outside TCP and UDP"),
            Field("srcMacAddress", "string", "MAC address of the client"),
            Field("dstMacAddress", "string", "MAC address of the server"),
            Field("iflags", "string", "0: not a TCP flow"),
            Field("uflags", "string", "0: not a TCP flow"),
            Field("riflags", "string", "0: not a TCP flow"),
            Field("ruflags", "string", "0: not a TCP flow"),
            Field("isn", "string", "00000000: not a TCP flow"),
            Field("risn", "string", "00000000: not a TCP flow"),
            Field("tag", "string", "VLAN id of the client's first packet, three hex digits"),
            Field("rtag", "string", "VLAN id of the server's first packet, three hex digits"),
            Field("pkt", "count", "packets the client sent"),
            Field("oct", "count", "IP octets the client sent"),
            Field("rpkt", "count", "packets the server sent"),
            Field("roct", "count", "IP octets the server sent"),
            Field("end-reason", "string", "idle, active, eof, or empty"),
        ],
    )


def _arp() -> Log:
    return Log(
        "arp.log",
        FRAMING_ZEEK,
        "ARP requests and replies",
        "one frame",
        [
            Field("ts", "time", "time of the frame"),
            Field("orig_mac", "string", "MAC address of the station that asks"),
            Field("orig_ip", "addr", "address of the station that asks"),
            Field("resp_mac", "string", "MAC address of the station asked for (replies)"),
            Field("resp_ip", "addr", "address of the station asked for"),
            Field("unsolicited", "bool", "reply without request", False),
            Field("no_resp", "bool", "request without reply", False),
            Field("who_has", "addr", "address asked for (requests)"),
            Field("is_at", "string", "MAC address answered", False),
        ],
    )


def _ns() -> Log:
    return Log(
        "ns.log",
        FRAMING_ZEEK,
        "IPv6 Neighbor Solicitations and Advertisements",
        "one packet",
        [
            Field("ts", "time", "time of the packet"),
            Field("orig_mac", "string", "MAC address of the station that asks"),
            Field("orig_ip", "addr", "address of the station that asks"),
            Field("resp_mac", "string", "MAC address of the station asked for (advertisements)"),
            Field("resp_ip", "addr", "address of the station asked for"),
            Field("who_has", "addr", "address asked for (solicitations)"),
        ],
    )


def _dns() -> Log:
    return Log(
        "dns.log",
        FRAMING_ZEEK,
        "name resolution: DNS, NetBIOS name service, mDNS, LLMNR",
        "one query with its response, or either alone",
        [
            *_connection_fields("time of the earliest message of the pair"),
            Field("proto", "enum", "transport protocol"),
            Field("trans_id", "count", "transaction id"),
            Field("rtt", "interval", "from the query to the response"),
            Field("query", "string", "name asked for"),
            Field("qclass", "count", "class of the query"),
            Field("qclass_name", "string", "class of the query by name"),
            Field("qtype", "count", "type of the query"),
            Field("qtype_name", "string", "type of the query by name"),
            Field("rcode", "count", "response code"),
            Field("rcode_name", "string", "response code by name"),
            Field("AA", "bool", "authoritative answer"),
            Field("TC", "bool", "truncated"),
            Field("RD", "bool", "recursion desired"),
            Field("RA", "bool", "recursion available"),
            Field("Z", "count", "reserved bits"),
            Field("answers", "vector[string]", "resource records of the answer"),
            Field("TTLs", "vector[interval]", "how long each answer may be cached"),
            Field("rejected", "bool", "the server refused the query"),
        ],
    )


def _p0f() -> Log:
    return Log(
        "p0f-k.log",
        FRAMING_BARE,
        "operating systems by their TCP handshakes",
        "one SYN or SYN+ACK",
        [
            Field("ts", "time", "time of the packet"),
            Field("mod", "string", "syn or syn+ack"),
            Field("src_ip", "addr", "source address"),
            Field("src_mac", "string", "source MAC address"),
            Field("os", "string", "label of the matching signature, ??? when none does"),
            Field("raw_sig", "string", "the handshake as a p0f signature"),
        ],
    )


def _http() -> Log:
    return Log(
        "http.log",
        FRAMING_ZEEK,
        "HTTP requests, by content on any port",
        "one request with its response, or either alone",
        [
            *_connection_fields("time of the request"),
            Field("trans_depth", "count", "number of the transaction in its connection, from 1"),
            Field("method", "string", "method of the request"),
            Field("host", "string", "Host header"),
            Field("uri", "string", "URI of the request"),
            Field("referrer", "string", "Referer header"),
            Field("version", "string", "HTTP version"),
            Field("user_agent", "string", "User-Agent header"),
            Field("origin", "string", "Origin header"),
            Field("request_body_len", "count", "body octets the client sent, decoded"),
            Field("response_body_len", "count", "body octets the server sent, decoded"),
            Field("status_code", "count", "status code of the response"),
            Field("status_msg", "string", "status message of the response"),
            Field("info_code", "count", "last 1xx status code"),
            Field("info_msg", "string", "last 1xx status message"),
            Field("tags", "set[enum]", "indicators found in the transaction"),
            Field("username", "string", "user of Basic authentication"),
            Field("password", "string", "password of Basic authentication", False),
            Field("proxied", "set[string]", "headers that show a proxy"),
            *_mac_fields(),
        ],
    )


def _dhcp2() -> Log:
    return Log(
        "dhcp2.log",
        FRAMING_ONE_LINE,
        "DHCP requests, to port 67/udp",
        "one packet",
        [
            *_source_fields("src_iP"),
            Field("src_mac", "string", "client hardware address"),
            Field("hostname", "string", "option 12"),
            Field("parameter_list", "vector[count]", "option 55"),
            Field("class_id", "string", "option 60"),
        ],
    )


def _netbios_ns() -> Log:
    return Log(
        "netbios-ns.log",
        FRAMING_ONE_LINE,
        "NetBIOS name registrations, to port 137/udp",
        "one packet",
        [
            *_source_fields("src_iP"),
            Field("src_mac", "string", "source MAC address"),
            Field("name", "string", "name registered, without its type octet"),
            Field("ttl", "count", "time to live of the registration, seconds"),
            Field("service_type", "string", "service that the type octet names"),
        ],
    )


def _mswin_browser() -> Log:
    return Log(
        "mswin-browser.log",
        FRAMING_ONE_LINE,
        "CIFS browser announcements, to port 138/udp",
        "one packet",
        [
            *_source_fields("src_iP"),
            Field("src_mac", "string", "source MAC address"),
            Field("server_name", "string", "name of the announcing host"),
            Field("os_version", "string", "major.minor"),
            Field("server_type", "string", "type bits, hexadecimal"),
            Field("browser_version", "string", "major.minor"),
            Field("signature", "string", "signature, hexadecimal"),
            Field("host_comment", "string", "comment of the announcing host"),
        ],
    )


def _dhcpv6() -> Log:
    return Log(
        "dhcpv6.log",
        FRAMING_ONE_LINE,
        "DHCPv6 requests, to port 547/udp",
        "one packet",
        [
            *_source_fields("src_iP"),
            Field("src_mac", "string", "source MAC address"),
            Field("hostname", "string", "option 39: client FQDN"),
            Field("finger_print", "vector[count]", "option 6: requested options"),
            Field("enterprise_number", "count", "option 16: enterprise number"),
            Field("vendor_class", "string", "option 16: vendor class data"),
        ],
    )


def _ssdp() -> Log:
    return Log(
        "ssdp.log",
        FRAMING_ONE_LINE,
        "SSDP messages, to port 1900/udp and the responses",
        "one packet",
        [
            *_source_fields("src_ip"),
            Field("src_mac", "string", "source MAC address"),
            Field("method", "string", "NOTIFY, M-SEARCH Request or M-SEARCH Response"),
            Field("server_or_user_agent", "string", "SERVER or USER-AGENT header"),
        ],
    )


def _cclink_ief_basic() -> Log:
    return Log(
        "cclink-ief-basic.log",
        FRAMING_ZEEK,
        "CC-Link IE Field Basic, 61450/udp",
        "the frames of one connection with the same pdu and cmd in a window",
        [
            *_connection_fields("time of the first frame"),
            Field("pdu", "string", "cyclicDataReq or cyclicDataRes"),
            Field("cmd", "string", "cyclic, or unset"),
            Field("number", "int", "number of frames"),
            Field("ts_end", "time", "time of the last frame"),
        ],
    )


def _cclink_ie() -> Log:
    return Log(
        "cclink-ie.log",
        FRAMING_ZEEK,
        "CC-Link IE Field and CC-Link IE Control, EtherType 0x890f",
        "the frames with the same contents of these columns in a window",
        [
            Field("ts", "time", "time of the first frame"),
            Field("src_mac", "string", "source MAC address"),
            Field("dst_mac", "string", "destination MAC address"),
            Field("service", "string", "cclink_ie_field or cclink_ie_control"),
            Field("pdu_type", "string", "frame type"),
            Field("cmd", "string", "command of transient frames"),
            Field("node_type", "string", "kind of node"),
            Field("node_id", "int", "id of the node"),
            Field("connection_info", "string", "identifier of transient data"),
            Field("src_node_number", "string", "number of the sending node"),
            Field("number", "int", "number of frames"),
            Field("ts_end", "time", "time of the last frame"),
        ],
    )


def _eve() -> Log:
    return Log("eve.json", FRAMING_EVE, "signature matches, by Suricata", "one event", [])


OSECT_2023: Final = Dialect(
    "2023",
    [
        _conn(),
        _yaf_flow(),
        _arp(),
        _ns(),
        _dns(),
        _p0f(),
        _http(),
        _dhcp2(),
        _netbios_ns(),
        _mswin_browser(),
        _dhcpv6(),
        _ssdp(),
        _cclink_ief_basic(),
        _cclink_ie(),
        _eve(),
    ],
)
"""The logs of OsecT's specification of August 2023."""
