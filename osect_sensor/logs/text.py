"""Rows as lines of text: one function a row type, and the value formats they share.

Values look as Zeek's ASCII writer prints them with ``LogAscii::enable_utf_8=F``: ``-`` is unset,
``(empty)`` is an empty string, set or vector, and every octet outside printable ASCII is escaped.
Every line ends in a newline. Times and intervals always have six decimals; Zeek's change to
exponents from 2³¹ seconds on is not imitated, because the contract says decimals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.logs.rows import (
    UNSET,
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

if TYPE_CHECKING:
    from mypy_extensions import i64

UNSET_FIELD: Final = "-"
EMPTY_FIELD: Final = "(empty)"
SET_SEPARATOR: Final = ","

MICROSECONDS: Final = 1_000_000
"""Microseconds in a second."""

_SECONDS_IN_DAY: Final = 86_400
_NO_MAC: Final = "00:00:00:00:00:00"
"""What YAF and p0f-k print where the link layer has no addresses."""


def _escape_table(separator: int) -> list[str]:
    """The text of each octet: itself, ``\\\\`` for the backslash, otherwise ``\\xNN``."""
    table: list[str] = []
    for octet in range(256):
        if octet == 0x5C:
            table.append("\\\\")
        elif 0x20 <= octet < 0x7F and octet != separator:
            table.append(chr(octet))
        else:
            table.append(f"\\x{octet:02x}")
    return table


_ESCAPES: Final = _escape_table(0x09)
_ESCAPES_IN_SET: Final = _escape_table(0x2C)
_HUNDRED: Final = [f"{number:02d}" for number in range(100)]
_THOUSANDS: Final = [f"{number:03d}" for number in range(1000)]
MAX_TEXTS: Final = 4096
"""Times kept as text: the seconds of an hour and some more."""

_SECOND_TEXTS: Final[dict[int, str]] = {}
_DATE_TEXTS: Final[dict[int, str]] = {}
_COUNTS: Final = [str(number) for number in range(1024)]
"""Small numbers, most of those that are written, as text."""


def _escape(value: bytes, in_set: bool) -> str:
    if len(value) == 0:
        return EMPTY_FIELD
    text = value.decode("latin-1")
    if text.isascii() and text.isprintable() and "\\" not in text and not (in_set and "," in text):
        # A value that looks like a marker has its first octet escaped, so that readers can tell.
        if text == UNSET_FIELD:
            return "\\x2d"
        if text == EMPTY_FIELD:
            return "\\x28empty)"
        return text
    parts: list[str] = []
    escapes = _ESCAPES_IN_SET if in_set else _ESCAPES
    for octet in value:
        parts.append(escapes[octet])
    return "".join(parts)


def string_text(value: bytes | None) -> str:
    """Octets from the wire as a string value; ``None`` is unset."""
    if value is None:
        return UNSET_FIELD
    return _escape(value, False)


def strings_text(values: list[bytes] | None) -> str:
    """Strings from the wire as a set or vector, in which the separator is escaped too."""
    if values is None:
        return UNSET_FIELD
    if len(values) == 0:
        return EMPTY_FIELD
    parts: list[str] = []
    for value in values:
        parts.append(_escape(value, True))
    return SET_SEPARATOR.join(parts)


def own_text(value: str) -> str:
    """Text that we made ourselves; the empty string is unset."""
    if value == "":
        return UNSET_FIELD
    return value


def count_text(value: int) -> str:
    """A number; ``UNSET`` is unset."""
    if 0 <= value < len(_COUNTS):
        return _COUNTS[value]
    if value == UNSET:
        return UNSET_FIELD
    return str(value)


def counts_text(values: list[int] | None) -> str:
    """Numbers as a vector."""
    if values is None:
        return UNSET_FIELD
    if len(values) == 0:
        return EMPTY_FIELD
    parts: list[str] = []
    for value in values:
        parts.append(count_text(value))
    return SET_SEPARATOR.join(parts)


def bool_text(value: bool) -> str:
    """``T`` or ``F``."""
    return "T" if value else "F"


def _second_text(seconds: i64) -> str:
    """A number of seconds: those of rows lie close together, so that few are told at a time."""
    text = _SECOND_TEXTS.get(seconds)
    if text is None:
        text = str(seconds)
        if len(_SECOND_TEXTS) >= MAX_TEXTS:
            _SECOND_TEXTS.clear()
        _SECOND_TEXTS[seconds] = text
    return text


def time_text(microseconds: i64) -> str:
    """A time or interval, in microseconds, as seconds with six decimals."""
    if microseconds == UNSET:
        return UNSET_FIELD
    if microseconds < 0:
        return "-" + time_text(-microseconds)
    seconds = microseconds // MICROSECONDS
    fraction = microseconds - seconds * MICROSECONDS
    return f"{_second_text(seconds)}.{_THOUSANDS[fraction // 1000]}{_THOUSANDS[fraction % 1000]}"


def intervals_text(values: list[int] | None) -> str:
    """Intervals, in microseconds, as a vector."""
    if values is None:
        return UNSET_FIELD
    if len(values) == 0:
        return EMPTY_FIELD
    parts: list[str] = []
    for value in values:
        parts.append(time_text(value))
    return SET_SEPARATOR.join(parts)


def _date_text(days: i64) -> str:
    """``YYYY-MM-DD``: the day that lies ``days`` after 1970-01-01, Gregorian throughout.

    Computed here because ``datetime`` raises beyond the year 9999, which a capture may claim.
    """
    # Count from 1 March of the year 0: leap days then end their year and the months are regular.
    shifted = days + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400
    if month <= 2:
        year += 1
    return f"{str(year).zfill(4)}-{_HUNDRED[month]}-{_HUNDRED[day]}"


def date_time_text(microseconds: i64, date_separator: str, clock_separator: str) -> str:
    """A time as ``YYYY-MM-DD``, ``date_separator``, ``HH MM SS`` with ``clock_separator``; UTC."""
    seconds = microseconds // MICROSECONDS
    days = seconds // _SECONDS_IN_DAY
    second_of_day = seconds - days * _SECONDS_IN_DAY
    clock = clock_separator.join(
        [
            _HUNDRED[second_of_day // 3600],
            _HUNDRED[second_of_day // 60 % 60],
            _HUNDRED[second_of_day % 60],
        ]
    )
    return f"{_date_text(days)}{date_separator}{clock}"


def header_time_text(microseconds: int) -> str:
    """A time as the ``#open`` and ``#close`` lines have it: ``2011-03-19-07-26-15``, UTC."""
    return date_time_text(microseconds, "-", "-")


def window_name(microseconds: int) -> str:
    """The name of the window directory that starts then: ``2011-03-19-07:26:00``, UTC."""
    return date_time_text(microseconds, "-", ":")


def _millisecond_time_text(milliseconds: i64) -> str:
    seconds = milliseconds // 1000
    text = _DATE_TEXTS.get(seconds)
    if text is None:
        text = date_time_text(seconds * MICROSECONDS, " ", ":")
        if len(_DATE_TEXTS) >= MAX_TEXTS:
            _DATE_TEXTS.clear()
        _DATE_TEXTS[seconds] = text
    return f"{text}.{_THOUSANDS[milliseconds % 1000]}"


def _milliseconds_text(milliseconds: i64) -> str:
    """Milliseconds as seconds with three decimals."""
    if milliseconds < 0:
        return "-" + _milliseconds_text(-milliseconds)
    return f"{_second_text(milliseconds // 1000)}.{_THOUSANDS[milliseconds % 1000]}"


def _vlan_text(vlan: int) -> str:
    """A VLAN id as three hex digits, 000 where there is none."""
    return f"{vlan:03x}" if vlan > 0 else "000"


def conn_line(row: ConnRow) -> str:
    """A row of conn.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.uid,
            row.id_orig_h,
            count_text(row.id_orig_p),
            row.id_resp_h,
            count_text(row.id_resp_p),
            row.proto,
            own_text(row.service),
            time_text(row.duration),
            count_text(row.orig_bytes),
            count_text(row.resp_bytes),
            own_text(row.conn_state),
            "-",
            "-",
            count_text(row.missed_bytes),
            own_text(row.history),
            count_text(row.orig_pkts),
            count_text(row.orig_ip_bytes),
            count_text(row.resp_pkts),
            count_text(row.resp_ip_bytes),
            own_text(row.tunnel_parents),
            own_text(row.orig_l2_addr),
            f"{own_text(row.resp_l2_addr)}\n",
        ]
    )


def flow_line(row: FlowRow) -> str:
    """A row of yaf_flow.log; YAF keeps milliseconds, so differences are of whole milliseconds."""
    start = row.start // 1000
    end = row.end // 1000
    rtt = (row.start + row.rtt) // 1000 - start
    return "\t".join(
        [
            _milliseconds_text(start),
            _millisecond_time_text(start),
            _millisecond_time_text(end),
            _milliseconds_text(end - start),
            _milliseconds_text(rtt),
            count_text(row.protocol),
            row.source,
            "0",
            row.destination,
            "0",
            row.source_mac or _NO_MAC,
            row.destination_mac or _NO_MAC,
            "0",
            "0",
            "0",
            "0",
            "00000000",
            "00000000",
            _vlan_text(row.vlan),
            _vlan_text(row.reverse_vlan),
            count_text(row.packets),
            count_text(row.octets),
            count_text(row.reverse_packets),
            count_text(row.reverse_octets),
            f"{row.end_reason}\n",
        ]
    )


def arp_line(row: ArpRow) -> str:
    """A row of arp.log."""
    return "\t".join(
        [
            time_text(row.ts),
            own_text(row.orig_mac),
            own_text(row.orig_ip),
            own_text(row.resp_mac),
            own_text(row.resp_ip),
            "-",
            "-",
            own_text(row.who_has),
            "-\n",
        ]
    )


def neighbor_line(row: NeighborRow) -> str:
    """A row of ns.log."""
    return "\t".join(
        [
            time_text(row.ts),
            own_text(row.orig_mac),
            own_text(row.orig_ip),
            own_text(row.resp_mac),
            own_text(row.resp_ip),
            f"{own_text(row.who_has)}\n",
        ]
    )


def dns_line(row: DnsRow) -> str:
    """A row of dns.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.uid,
            row.id_orig_h,
            count_text(row.id_orig_p),
            row.id_resp_h,
            count_text(row.id_resp_p),
            row.proto,
            count_text(row.trans_id),
            time_text(row.rtt),
            string_text(row.query),
            count_text(row.qclass),
            own_text(row.qclass_name),
            count_text(row.qtype),
            own_text(row.qtype_name),
            count_text(row.rcode),
            own_text(row.rcode_name),
            bool_text(row.aa),
            bool_text(row.tc),
            bool_text(row.rd),
            bool_text(row.ra),
            count_text(row.z),
            strings_text(row.answers),
            intervals_text(row.ttls),
            f"{bool_text(row.rejected)}\n",
        ]
    )


def fingerprint_line(row: FingerprintRow) -> str:
    """A row of p0f-k.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.mod,
            row.src_ip,
            row.src_mac or _NO_MAC,
            row.os,
            f"{row.raw_sig}\n",
        ]
    )


def _tags_text(tags: list[str]) -> str:
    if len(tags) == 0:
        return EMPTY_FIELD
    return SET_SEPARATOR.join(tags)


def http_line(row: HttpRow) -> str:
    """A row of http.log; the password is never written."""
    return "\t".join(
        [
            time_text(row.ts),
            row.uid,
            row.id_orig_h,
            count_text(row.id_orig_p),
            row.id_resp_h,
            count_text(row.id_resp_p),
            count_text(row.trans_depth),
            string_text(row.method),
            string_text(row.host),
            string_text(row.uri),
            string_text(row.referrer),
            string_text(row.version),
            string_text(row.user_agent),
            string_text(row.origin),
            count_text(row.request_body_len),
            count_text(row.response_body_len),
            count_text(row.status_code),
            string_text(row.status_msg),
            count_text(row.info_code),
            string_text(row.info_msg),
            _tags_text(row.tags),
            string_text(row.username),
            "-",
            strings_text(row.proxied),
            own_text(row.orig_l2_addr),
            f"{own_text(row.resp_l2_addr)}\n",
        ]
    )


def dhcp_line(row: DhcpRow) -> str:
    """A row of dhcp2.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.src_ip,
            own_text(row.src_mac),
            string_text(row.hostname),
            counts_text(row.parameter_list),
            f"{string_text(row.class_id)}\n",
        ]
    )


def netbios_line(row: NetbiosRow) -> str:
    """A row of netbios-ns.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.src_ip,
            own_text(row.src_mac),
            string_text(row.name),
            count_text(row.ttl),
            f"{own_text(row.service_type)}\n",
        ]
    )


def browser_line(row: BrowserRow) -> str:
    """A row of mswin-browser.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.src_ip,
            own_text(row.src_mac),
            string_text(row.server_name),
            own_text(row.os_version),
            own_text(row.server_type),
            own_text(row.browser_version),
            own_text(row.signature),
            f"{string_text(row.host_comment)}\n",
        ]
    )


def dhcpv6_line(row: Dhcpv6Row) -> str:
    """A row of dhcpv6.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.src_ip,
            own_text(row.src_mac),
            string_text(row.hostname),
            counts_text(row.finger_print),
            count_text(row.enterprise_number),
            f"{string_text(row.vendor_class)}\n",
        ]
    )


def ssdp_line(row: SsdpRow) -> str:
    """A row of ssdp.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.src_ip,
            own_text(row.src_mac),
            own_text(row.method),
            f"{string_text(row.server_or_user_agent)}\n",
        ]
    )


def field_basic_line(row: FieldBasicRow) -> str:
    """A row of cclink-ief-basic.log."""
    return "\t".join(
        [
            time_text(row.ts),
            row.uid,
            row.id_orig_h,
            count_text(row.id_orig_p),
            row.id_resp_h,
            count_text(row.id_resp_p),
            own_text(row.pdu),
            own_text(row.cmd),
            count_text(row.number),
            f"{time_text(row.ts_end)}\n",
        ]
    )


def field_control_line(row: FieldControlRow) -> str:
    """A row of cclink-ie.log."""
    return "\t".join(
        [
            time_text(row.ts),
            own_text(row.src_mac),
            own_text(row.dst_mac),
            string_text(row.service),
            own_text(row.pdu_type),
            string_text(row.cmd),
            string_text(row.node_type),
            count_text(row.node_id),
            own_text(row.connection_info),
            own_text(row.src_node_number),
            count_text(row.number),
            f"{time_text(row.ts_end)}\n",
        ]
    )
