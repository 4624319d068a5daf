"""Signatures that recognise a protocol by the first octets of a connection, on any port.

Each predicate says whether some prefix of the octets seen so far belongs to the pattern; it looks
at a beginning of at most a few kilobytes (see ``ContentMatcher``). They are written out by hand
instead of as regular expressions so that traffic of no known protocol, the bulk in a plant, costs
a few comparisons, and so that no input makes them slow.
"""

from __future__ import annotations

from typing import Final

# One bit for each rule that attaches an analyzer; a rule does so once in a connection. The order
# is that in which rules satisfied by the same octets act.
DCE_RPC: Final = 1 << 0
DHCP: Final = 1 << 1
DNP3_TCP: Final = 1 << 2
DNP3_UDP: Final = 1 << 3
FTP: Final = 1 << 4
HTTP_REQUEST: Final = 1 << 5
HTTP_REPLY: Final = 1 << 6
IRC_USER_NICK: Final = 1 << 7
IRC_NICK_USER: Final = 1 << 8
IRC_SERVERS: Final = 1 << 9
KRB_REQUEST: Final = 1 << 10
KRB_REPLY: Final = 1 << 11
KRB_TCP_REQUEST: Final = 1 << 12
KRB_TCP_REPLY: Final = 1 << 13
LDAP_UDP: Final = 1 << 14
LDAP_TCP: Final = 1 << 15
MQTT: Final = 1 << 16
POP3: Final = 1 << 17
POSTGRESQL_SSL: Final = 1 << 18
POSTGRESQL_STARTUP: Final = 1 << 19
RDP: Final = 1 << 20
RDPEUDP: Final = 1 << 21
REDIS_CLIENT: Final = 1 << 22
REDIS_SERVER: Final = 1 << 23
RFB: Final = 1 << 24
SIP_REQUEST: Final = 1 << 25
SIP_REPLY: Final = 1 << 26
SMB: Final = 1 << 27
SMTP: Final = 1 << 28
SOCKS4: Final = 1 << 29
SOCKS4_REVERSE: Final = 1 << 30
SOCKS5: Final = 1 << 31
SSH: Final = 1 << 32
TLS_SERVER: Final = 1 << 33
TLS_CLIENT: Final = 1 << 34
DTLS_CLIENT: Final = 1 << 35
XMPP: Final = 1 << 36

RULE_SERVICES: Final = [
    "dce_rpc", "dhcp", "dnp3_tcp", "dnp3_udp", "ftp", "http", "http", "irc", "irc", "irc",
    "krb", "krb", "krb_tcp", "krb_tcp", "ldap_udp", "ldap_tcp", "mqtt", "pop3", "postgresql",
    "postgresql", "rdp", "rdpeudp", "redis", "redis", "rfb", "sip", "sip", "smb", "smtp", "socks",
    "socks", "socks", "ssh", "ssl", "ssl", "dtls", "xmpp",
]  # fmt: skip
"""The analyzer that each rule attaches, by the number of its bit."""

# Words that some signatures look for anywhere.
WORD_MCDN: Final = 1
WORD_NICK: Final = 2
WORD_USER: Final = 4
WORD_SERVER: Final = 8

_WORD_OVERLAP: Final = 6
"""One less than the longest word: so much of it may have come before."""

_SPACE: Final = 0x20
_CR: Final = 0x0D
_LF: Final = 0x0A
_COLON: Final = 0x3A

_REQUEST_METHODS: Final = (
    b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PROPFIND",
    b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"VERSION-CONTROL", b"REPORT",
    b"CHECKOUT", b"CHECKIN", b"UNCHECKOUT", b"MKWORKSPACE", b"UPDATE", b"LABEL", b"MERGE",
    b"BASELINE-CONTROL", b"MKACTIVITY", b"ORDERPATCH", b"ACL", b"PATCH", b"SEARCH", b"BCOPY",
    b"BDELETE", b"BMOVE", b"BPROPFIND", b"BPROPPATCH", b"NOTIFY", b"POLL", b"SUBSCRIBE",
    b"UNSUBSCRIBE", b"X-MS-ENUMATTS", b"RPC_OUT_DATA", b"RPC_IN_DATA",
)  # fmt: skip

_POP3_COMMANDS: Final = [b"user", b"apop", b"capa", b"auth", b"stls"]

_RDP_CHANNELS: Final = [b"rdpdr", b"rdpsnd", b"drdynvc", b"cliprdr"]

_MINIMUM_RDPEUDP_SYN: Final = 1132
_MAXIMUM_RDPEUDP_SYN: Final = 1232


def _is_space(octet: int) -> bool:
    return octet == _SPACE or 0x09 <= octet <= 0x0D


def _is_digit(octet: int) -> bool:
    return 0x30 <= octet <= 0x39


def _skip_spaces(data: bytes, offset: int) -> int:
    """The offset of the first octet at or behind ``offset`` that is not white space."""
    while offset < len(data) and _is_space(data[offset]):
        offset += 1
    return offset


def _line_break_before(data: bytes, offset: int) -> int:
    """Where the line ends before the word at ``offset`` (blanks between allowed).

    -1: the word begins the stream; -2: something else stands before it on its line.
    """
    offset -= 1
    while offset >= 0 and data[offset] == _SPACE:
        offset -= 1
    if offset < 0:
        return -1
    if data[offset] == _CR or data[offset] == _LF:
        return offset
    return -2


def _begins_line(data: bytes, offset: int) -> bool:
    """Whether only white space stands between a line's beginning and ``offset``."""
    offset -= 1
    while offset >= 0 and _is_space(data[offset]):
        if data[offset] == _CR or data[offset] == _LF:
            return True
        offset -= 1
    return offset < 0


def _line_break_behind(data: bytes, offset: int) -> bool:
    """Whether a carriage return or line feed stands at or behind ``offset``."""
    return data.find(b"\n", offset) >= 0 or data.find(b"\r", offset) >= 0


def is_ftp_client(lower: bytes) -> bool:
    """``USER`` and a blank at the beginning of a line; ``lower`` is the stream in lower case."""
    at = lower.find(b"user ")
    while at >= 0:
        if _line_break_before(lower, at) != -2:
            return True
        at = lower.find(b"user ", at + 1)
    return False


def is_ftp_server(data: bytes) -> bool:
    """A greeting (120 or 220) and later a line that asks for or accepts the login (331, 230)."""
    start = 0
    while start < len(data) and (data[start] == _LF or data[start] == _CR or data[start] == _SPACE):
        start += 1
    if len(data) < start + 4 or _is_digit(data[start + 3]):
        return False
    greeting = data[start : start + 3]
    if greeting != b"220" and greeting != b"120":
        return False
    at = start + 4
    while at + 3 < len(data):
        if data[at] == _LF or data[at] == _CR:
            code = at + 1
            while code < len(data) and data[code] == _SPACE:
                code += 1
            if code + 3 < len(data) and not _is_digit(data[code + 3]):
                reply = data[code : code + 3]
                if reply == b"331" or reply == b"230":
                    return True
        at += 1
    return False


def is_http_request(data: bytes) -> bool:
    """A request method, white space before it allowed."""
    start = _skip_spaces(data, 0)
    if start >= len(data) or not 0x41 <= data[start] <= 0x58:
        return False
    return data.startswith(_REQUEST_METHODS, start)


def is_http_reply(data: bytes) -> bool:
    """``HTTP/`` and a digit."""
    return len(data) > 5 and _is_digit(data[5]) and data[:5].lower() == b"http/"


def _is_irc_registration(lower: bytes, first: bytes, second: bytes, argument: int) -> bool:
    """Two commands on lines of their own, the second with ``argument`` octets and its line end."""
    at = lower.find(first)
    while at >= 0:
        end = at + 4
        if end < len(lower) and lower[end] == _SPACE and _line_break_before(lower, at) != -2:
            break
        at = lower.find(first, at + 1)
    if at < 0:
        return False
    end = at + 4
    other = lower.find(second, end + 3)
    while other >= 0:
        after = other + 4
        if (
            after < len(lower)
            and lower[after] == _SPACE
            and _line_break_before(lower, other) >= end + 2
            and _line_break_behind(lower, after + 1 + argument)
        ):
            return True
        other = lower.find(second, other + 1)
    return False


def is_irc_user_nick(lower: bytes) -> bool:
    """``USER …`` and then ``NICK …``."""
    return _is_irc_registration(lower, b"user", b"nick", 0)


def is_irc_nick_user(lower: bytes) -> bool:
    """``NICK …`` and then ``USER …``."""
    return _is_irc_registration(lower, b"nick", b"user", 1)


def is_irc_server_reply(data: bytes) -> bool:
    """A line with a three-digit code, perhaps behind ``:prefix``."""
    start = 0
    while True:
        at = start
        if at < len(data) and data[at] == _COLON:
            at += 1
            word = at
            while at < len(data) and data[at] != _SPACE and data[at] != _LF and data[at] != _CR:
                at += 1
            if at == word or at >= len(data) or data[at] != _SPACE:
                at = len(data)
            else:
                at += 1
        if (
            at + 3 < len(data)
            and _is_digit(data[at])
            and _is_digit(data[at + 1])
            and _is_digit(data[at + 2])
            and data[at + 3] == _SPACE
        ):
            return True
        line_feed = data.find(b"\n", start)
        carriage_return = data.find(b"\r", start)
        if line_feed < 0 and carriage_return < 0:
            return False
        if line_feed < 0:
            start = carriage_return + 1
        elif carriage_return < 0:
            start = line_feed + 1
        else:
            start = min(line_feed, carriage_return) + 1


def is_irc_server(lower: bytes) -> bool:
    """``SERVER name number :text`` on a line."""
    at = lower.find(b"server ")
    while at >= 0:
        if _line_break_before(lower, at) != -2:
            offset = at + 6
            offset = _skip_blanks(lower, offset)
            word = offset
            while offset < len(lower) and lower[offset] != _SPACE:
                offset += 1
            if offset > word and offset < len(lower):
                offset = _skip_blanks(lower, offset)
                digits = offset
                while offset < len(lower) and _is_digit(lower[offset]):
                    offset += 1
                if offset > digits and offset < len(lower) and lower[offset] == _SPACE:
                    offset = _skip_blanks(lower, offset)
                    if (
                        offset < len(lower)
                        and lower[offset] == _COLON
                        and _line_break_behind(lower, offset + 2)
                    ):
                        return True
        at = lower.find(b"server ", at + 1)
    return False


def _skip_blanks(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == _SPACE:
        offset += 1
    return offset


def _is_krb(data: bytes, start: int, request: bool) -> bool:
    """The outer tags of a Kerberos message at ``start``: application, sequence, version 5, type.

    Between them stand lengths of one to four octets.
    """
    if len(data) < start + 13:
        return False
    tag = data[start]
    if request:
        if tag != 0x6A and tag != 0x6C:
            return False
        inner = b"\xa1\x03\x02\x01\x05\xa2\x03\x02\x01"
    else:
        if tag != 0x6B and tag != 0x6D and tag != 0x7E:
            return False
        inner = b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01"
    for outer_length in range(1, 5):
        sequence = start + 1 + outer_length
        if sequence < len(data) and data[sequence] == 0x30:
            for inner_length in range(1, 5):
                if data.startswith(inner, sequence + 1 + inner_length):
                    return True
    return False


def is_krb_request(data: bytes, start: int) -> bool:
    """An AS-REQ or TGS-REQ at ``start`` (RFC 4120 section 5.4.1)."""
    return _is_krb(data, start, True)


def is_krb_reply(data: bytes, start: int) -> bool:
    """An AS-REP, TGS-REP or KRB-ERROR at ``start`` (RFC 4120 section 5.4.2)."""
    return _is_krb(data, start, False)


def is_ldap_bind(data: bytes) -> bool:
    """A bind request with a short message id (RFC 4511 section 4.2)."""
    return (
        len(data) > 5
        and data[0] == 0x30
        and data[2] == 0x02
        and data[3] == 0x01
        and data[5] == 0x60
    )


def is_mqtt(data: bytes) -> bool:
    """The protocol name of a CONNECT packet, which begins with ``MQ`` in every version."""
    last = min(len(data) - 2, 7)
    at = 4
    while at <= last:
        if data[at] == 0x4D and data[at + 1] == 0x51:
            return True
        at += 1
    return False


def is_pop3_client(lower: bytes) -> bool:
    """A command that begins a session, at the beginning of a line."""
    for command in _POP3_COMMANDS:
        at = lower.find(command)
        while at >= 0:
            if _begins_line(lower, at):
                if command != b"user" and command != b"apop":
                    return True
                if at + 4 < len(lower) and _is_space(lower[at + 4]):
                    return True
            at = lower.find(command, at + 1)
    return False


def is_postgresql_ssl_request(data: bytes) -> bool:
    """An SSLRequest: length 8, code 1234 5679."""
    return data.startswith(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")


def is_postgresql_startup(data: bytes) -> bool:
    """A StartupMessage of version 3 whose parameters name the user early."""
    if not data.startswith(b"\x00\x03\x00", 4):
        return False
    return data.find(b"user\x00", 7, 7 + 256 + 5) >= 0


def is_postgresql_reply(data: bytes) -> bool:
    """A server message shorter than 65536 octets."""
    if len(data) < 5 or data[1] != 0 or data[2] != 0:
        return False
    octet = data[0]
    return _is_digit(octet) or 0x41 <= octet <= 0x5A or 0x61 <= octet <= 0x7A


def is_rdp_server(data: bytes, words: int) -> bool:
    """An X.224 connection confirm, or the server's half of the T.125 exchange."""
    return (len(data) > 5 and data[5] == 0xD0) or words & WORD_MCDN != 0


def is_rdp_client(data: bytes) -> bool:
    """The cookie of a connection request, or virtual channels in the client's T.125 data."""
    if data.find(b"Cookie: mstshash=") >= 0:
        return True
    at = data.find(b"Duca")
    if at >= 0:
        for channel in _RDP_CHANNELS:
            if data.find(channel, at + 4) >= 0:
                return True
    return False


def is_redis_server(data: bytes) -> bool:
    """A serialized reply of RESP version 2 or 3."""
    if len(data) < 3:
        return False
    kind = data[0]
    if kind == 0x2D or kind == 0x2B or kind == 0x5F or kind == 0x2C:  # - + _ ,
        return data.find(b"\r\n", 1) >= 0
    if kind not in b":$*#(!=%`~>":
        return False
    at = 1
    if data[at] == 0x2B or data[at] == 0x2D:
        at += 1
    digits = at
    while at < len(data) and _is_digit(data[at]):
        at += 1
    if at == digits:
        return False
    if at < len(data) and data[at] == 0x2E:
        at += 1
        while at < len(data) and _is_digit(data[at]):
            at += 1
    return data.startswith(b"\r\n", at)


def is_sip_request(data: bytes) -> bool:
    """`` SIP/d.d`` at the end of a line."""
    if _SPACE not in data:
        return False
    at = data.find(b" SIP/")
    while at >= 0:
        if (
            at + 9 < len(data)
            and _is_digit(data[at + 5])
            and data[at + 6] == 0x2E
            and _is_digit(data[at + 7])
            and data[at + 8] == _CR
            and data[at + 9] == _LF
        ):
            return True
        at = data.find(b" SIP/", at + 1)
    return False


def is_sip_reply(data: bytes) -> bool:
    """``SIP/d.d`` and a status code, or only the version on the line."""
    start = 0
    if len(data) > 0 and data[0] == _SPACE:
        start = 1
    if not data.startswith(b"SIP/", start) or len(data) < start + 9:
        return False
    if not _is_digit(data[start + 4]) or data[start + 5] != 0x2E or not _is_digit(data[start + 6]):
        return False
    if data[start + 7] == _CR:
        return data[start + 8] == _LF
    return (
        data[start + 7] == _SPACE
        and len(data) > start + 11
        and _is_digit(data[start + 8])
        and _is_digit(data[start + 9])
        and _is_digit(data[start + 10])
        and data[start + 11] == _SPACE
    )


def is_smtp_server(data: bytes) -> bool:
    """A 220 greeting."""
    start = _skip_spaces(data, 0)
    if not data.startswith(b"220", start) or len(data) < start + 4:
        return False
    octet = data[start + 3]
    return octet == 0x2D or _is_space(octet)


def is_smtp_client(lower: bytes) -> bool:
    """HELO or EHLO at the beginning of a line."""
    for command in (b"helo", b"ehlo"):
        at = lower.find(command)
        while at >= 0:
            if _begins_line(lower, at):
                return True
            at = lower.find(command, at + 1)
    return False


def is_socks4_request(data: bytes) -> bool:
    """Version 4, connect or bind, and a zero octet within a plausible user name."""
    return (
        len(data) > 2
        and data[0] == 4
        and (data[1] == 1 or data[1] == 2)
        and data.find(b"\x00", 2, 2 + 33) >= 0
    )


def is_socks4_reply(data: bytes) -> bool:
    """A zero octet and a status of 90 to 93."""
    return len(data) > 1 and data[0] == 0 and 0x5A <= data[1] <= 0x5D


def _is_socks5_method(octet: int) -> bool:
    return octet <= 3 or 5 <= octet <= 9


def is_socks5_request(data: bytes) -> bool:
    """Version 5 and a first authentication method that is in use."""
    return len(data) > 2 and data[0] == 5 and _is_socks5_method(data[2])


def is_socks5_reply(data: bytes) -> bool:
    """Version 5 and the method that the server chose."""
    return len(data) > 1 and data[0] == 5 and (_is_socks5_method(data[1]) or data[1] == 0xFF)


def is_ssh(data: bytes) -> bool:
    """``SSH-1.`` or ``SSH-2.`` (RFC 4253 section 4.2)."""
    return (
        len(data) > 5
        and (data[4] == 0x31 or data[4] == 0x32)
        and data[5] == 0x2E
        and data[:4].lower() == b"ssh-"
    )


def is_tls_server_hello(data: bytes) -> bool:
    """A ServerHello record of SSL 3 to TLS 1.3 or a draft of it, perhaps behind an alert."""
    start = 0
    if len(data) > 6 and data[0] == 0x15 and data[1] == 3 and data[2] <= 3:
        start = 7
    if len(data) < start + 11 or data[start] != 0x16:
        return False
    if data[start + 1] != 3 or data[start + 2] > 3 or data[start + 5] != 2:
        return False
    if data[start + 9] == 3:
        return data[start + 10] <= 4
    return data[start + 9] == 0x7F and data[start + 10] <= 0x50


def is_tls_client_hello(data: bytes) -> bool:
    """A ClientHello record of SSL 3 to TLS 1.3."""
    return (
        len(data) > 10
        and data[0] == 0x16
        and data[1] == 3
        and data[2] <= 3
        and data[5] == 1
        and data[9] == 3
        and data[10] <= 3
    )


def is_dtls_client_hello(data: bytes) -> bool:
    """A first ClientHello record of DTLS 1.0 or 1.2."""
    if len(data) < 27 or data[0] != 0x16 or data[1] != 0xFE:
        return False
    if data[2] != 0xFF and data[2] != 0xFD:
        return False
    if data[3:10] != b"\x00\x00\x00\x00\x00\x00\x00" or data[13] != 1:
        return False
    return data[25] == 0xFE and (data[26] == 0xFF or data[26] == 0xFD)


def is_xmpp(data: bytes) -> bool:
    """An opening stream tag in a jabber namespace, perhaps behind an XML declaration."""
    start = 0
    if data.startswith(b"<?xml"):
        start = 5
        while start < len(data) and data[start] != 0x3F and data[start] != 0x3E:
            start += 1
        if start < len(data) and data[start] == 0x3F:
            start += 1
        if start >= len(data) or data[start] != 0x3E:
            return False
        start += 1
    while start < len(data) and (data[start] == _LF or data[start] == _CR or data[start] == _SPACE):
        start += 1
    if not data.startswith(b"<stream:stream ", start):
        return False
    end = data.find(b">", start)
    if end < 0:
        end = len(data)
    return data.find(b"xmlns='jabber:", start + 15, end) >= 0


def is_rdpeudp_syn(data: bytes) -> bool:
    """A SYN datagram: all ones, flags SYN, padded to the size of a full packet."""
    return (
        _MINIMUM_RDPEUDP_SYN <= len(data) <= _MAXIMUM_RDPEUDP_SYN
        and data[0] == 0xFF
        and data[7] == 0x01
        and data.startswith(b"\xff\xff\xff\xff")
    )


def found_words(before: bytes, data: bytes) -> int:
    """Which words that signatures look for anywhere are in ``data``, which follows ``before``.

    They are looked for once in all octets, and the signatures only where their words are.
    """
    text = before[-_WORD_OVERLAP:] + data if len(before) > 0 else data
    words = 0
    if text.find(b"McDn") >= 0:
        words |= WORD_MCDN
    # An octet as a number: to look for octets as ``bytes`` takes Python a caught exception.
    if _SPACE in text:
        lower = text.lower()
        if lower.find(b"nick ") >= 0:
            words |= WORD_NICK
        if lower.find(b"user ") >= 0:
            words |= WORD_USER
        if lower.find(b"server ") >= 0:
            words |= WORD_SERVER
    return words


def tcp_rules(orig: bytes, resp: bytes, from_orig: bool, orig_words: int, resp_words: int) -> int:
    """The rules that the two directions' beginnings satisfy, after octets of one came in.

    The words are those that ``found_words`` found in each.
    """
    rules = 0
    if from_orig:
        rules = _originator_rules(orig)
    else:
        rules = _responder_rules(resp)
    if len(orig) > 0 and len(resp) > 0:
        rules |= _pair_rules(orig, resp, orig_words, resp_words)
        rules |= _either_way_rules(orig, resp, resp_words)
        rules |= _either_way_rules(resp, orig, orig_words)
    return rules


def _undirected_rules(data: bytes) -> int:
    """Rules about one direction that hold for both ends."""
    rules = 0
    first = data[0]
    if first == 5 and len(data) > 2 and data[1] <= 1 and data[2] <= 0x13:
        rules |= DCE_RPC
    if len(data) > 7 and data[5] == 0x53 and data[6] == 0x4D and data[7] == 0x42:
        if data[4] == 0xFE or data[4] == 0xFF:
            rules |= SMB
    if len(data) > 5 and is_mqtt(data):
        rules |= MQTT
    if len(data) > 16:
        if is_krb_request(data, 4):
            rules |= KRB_TCP_REQUEST
        elif is_krb_reply(data, 4):
            rules |= KRB_TCP_REPLY
    if first == 0x3C or _is_space(first):
        if is_xmpp(data):
            rules |= XMPP
    return rules


def _originator_rules(data: bytes) -> int:
    """Rules about the originator's octets alone."""
    if len(data) == 0:
        return 0
    rules = _undirected_rules(data)
    if data[0] == 0x16 and is_tls_client_hello(data):
        rules |= TLS_CLIENT
    if is_http_request(data):
        rules |= HTTP_REQUEST
    return rules


def _responder_rules(data: bytes) -> int:
    """Rules about the responder's octets alone."""
    if len(data) == 0:
        return 0
    rules = _undirected_rules(data)
    first = data[0]
    if first == 0x16 or first == 0x15:
        if is_tls_server_hello(data):
            rules |= TLS_SERVER
    elif first == 5:
        if len(data) > 1 and data[1] == 0x64:
            rules |= DNP3_TCP
    elif first == 0x48 or first == 0x68:
        if is_http_reply(data):
            rules |= HTTP_REPLY
    elif is_redis_server(data):
        rules |= REDIS_SERVER
    return rules


def _pair_rules(orig: bytes, resp: bytes, orig_words: int, resp_words: int) -> int:
    """Rules that need the one end to be the client and the other the server."""
    rules = 0
    first = resp[0]
    if _is_space(first) or first == 0x31 or first == 0x32:
        if is_ftp_server(resp) and is_ftp_client(orig.lower()):
            rules |= FTP
        if is_smtp_server(resp) and is_smtp_client(orig.lower()):
            rules |= SMTP
    elif first == 0x2B:
        if resp.startswith(b"+OK") and is_pop3_client(orig.lower()):
            rules |= POP3
    elif first == 0x52:
        if resp.startswith(b"RFB") and orig.startswith(b"RFB"):
            rules |= RFB
    elif first == 0x53 or first == 0x73:
        if is_ssh(resp) and is_ssh(orig):
            rules |= SSH
    elif first == 0:
        if is_socks4_reply(resp) and is_socks4_request(orig):
            rules |= SOCKS4
    elif first == 4:
        if is_socks4_reply(orig) and is_socks4_request(resp):
            rules |= SOCKS4_REVERSE
    elif first == 5:
        if is_socks5_reply(resp) and is_socks5_request(orig):
            rules |= SOCKS5
    if is_redis_server(resp) and orig.find(b"\r\n") >= 0:
        rules |= REDIS_CLIENT
    if orig_words & WORD_NICK != 0 and orig_words & WORD_USER != 0:
        lower = orig.lower()
        if is_irc_user_nick(lower) and is_irc_server_reply(resp):
            rules |= IRC_USER_NICK
        if is_irc_nick_user(lower) and is_irc_server_reply(resp):
            rules |= IRC_NICK_USER
    if orig_words & resp_words & WORD_SERVER != 0:
        if is_irc_server(orig.lower()) and is_irc_server(resp.lower()):
            rules |= IRC_SERVERS
    return rules


def _either_way_rules(client: bytes, server: bytes, server_words: int) -> int:
    """Rules about a client and a server, whichever end originated the connection."""
    rules = 0
    if server[0] == 0x30:
        if is_ldap_bind(client):
            rules |= LDAP_TCP
    elif server[0] == 0x53 or server[0] == 0x4E:
        if is_postgresql_ssl_request(client):
            rules |= POSTGRESQL_SSL
    if is_postgresql_reply(server) and is_postgresql_startup(client):
        rules |= POSTGRESQL_STARTUP
    if is_rdp_server(server, server_words) and is_rdp_client(client):
        rules |= RDP
    return rules


def udp_rules(data: bytes) -> int:
    """The rules that one datagram satisfies by itself."""
    if len(data) == 0:
        return 0
    rules = 0
    first = data[0]
    if first == 5:
        if len(data) > 1 and data[1] == 0x64:
            rules |= DNP3_UDP
    elif first == 0x16:
        if is_dtls_client_hello(data):
            rules |= DTLS_CLIENT
    elif first == 0xFF:
        if is_rdpeudp_syn(data):
            rules |= RDPEUDP
    elif first == 0x53 or first == _SPACE:
        if is_sip_reply(data):
            rules |= SIP_REPLY
    elif first == 0x6A or first == 0x6C:
        if is_krb_request(data, 0):
            rules |= KRB_REQUEST
    elif first == 0x6B or first == 0x6D or first == 0x7E:
        if is_krb_reply(data, 0):
            rules |= KRB_REPLY
    if len(data) >= 240 and data.startswith(b"\x63\x82\x53\x63", 236):
        rules |= DHCP
    if is_sip_request(data):
        rules |= SIP_REQUEST
    return rules
