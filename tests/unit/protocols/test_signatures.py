from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.protocols import signatures as s


def _tcp_rules(orig: bytes, resp: bytes, from_orig: bool) -> int:
    words = s.found_words(b"", orig), s.found_words(b"", resp)
    return s.tcp_rules(orig, resp, from_orig, *words)


def _is_rdp_server(data: bytes) -> bool:
    return s.is_rdp_server(data, s.found_words(b"", data))


# The patterns, as the definition of each predicate: a prefix of the octets matches.
PATTERNS = [
    (s.is_ftp_client, rb"(|.*[\n\r]) *user ", [b"user ", b"\nuser ", b"xuser ", b" user \r"]),
    (
        s.is_ftp_server,
        rb"[\n\r ]*(120|220)[^0-9].*[\n\r] *(230|331)[^0-9]",
        [b"220 hi\r\n331 x", b" 120-", b"\r331-", b"220", b"\n230 ", b"2205"],
    ),
    (s.is_http_reply, rb"[hH][tT][tT][pP]/[0-9]", [b"HTTP/1", b"http/", b"1", b"hTTp"]),
    (
        s.is_irc_user_nick,
        rb"(|.*[\r\n]) *user +.+[\n\r]+ *nick +.*[\r\n]",
        [b"user a b\r\n", b"nick c\n", b" nick ", b"user ", b"\n"],
    ),
    (
        s.is_irc_nick_user,
        rb"(|.*[\r\n]) *nick +.+[\r\n]+ *user +.+[\r\n]",
        [b"nick c\r\n", b"user a\n", b" user ", b"nick ", b"\n"],
    ),
    (
        s.is_irc_server_reply,
        rb"(|.*[\n\r])(:[^ \n\r]+ )?[0-9][0-9][0-9] ",
        [b":irc.example ", b"001 ", b"\r\n", b"PING", b"12"],
    ),
    (
        s.is_irc_server,
        rb"(|.*[\r\n]) *server +[^ ]+ +[0-9]+ +:.+[\r\n]",
        [b"server ", b"hub ", b"1 ", b":x", b"\r\n", b" "],
    ),
    (s.is_ldap_bind, rb"\x30.\x02\x01.\x60", [b"\x30\x0c\x02\x01\x01\x60", b"\x30", b"\x02\x01"]),
    (s.is_mqtt, rb".{4,7}MQ", [b"\x10\x0c\x00\x04", b"MQ", b"TT", b"xx"]),
    (
        s.is_pop3_client,
        rb"(|.*[\r\n])[ \t\n\v\f\r]*(user[ \t\n\v\f\r]|apop[ \t\n\v\f\r]|capa|auth|stls)",
        [b"user", b" ", b"capa", b"\r\n", b"x", b"apop"],
    ),
    (
        s.is_postgresql_startup,
        rb"....\x00\x03\x00.{0,256}user\x00",
        [b"\x00\x00\x00\x20\x00\x03\x00\x00", b"user\x00", b"x" * 250, b"abcdef"],
    ),
    (s.is_postgresql_reply, rb"[a-zA-Z0-9]\x00\x00..", [b"R\x00\x00", b"\x00\x08", b"N", b"!"]),
    (_is_rdp_server, rb"(.{5}\xd0|.*McDn)", [b"\x03\x00\x00\x13\x0e", b"\xd0", b"McDn", b"x"]),
    (
        s.is_rdp_client,
        rb".*(Cookie: mstshash=|Duca.*(rdpdr|rdpsnd|drdynvc|cliprdr))",
        [b"Cookie: mstshash=", b"Duca", b"rdpsnd", b"cliprdr", b"x"],
    ),
    (
        s.is_redis_server,
        rb"([-+_,].*\r\n|[:$*#(!=%`~>][+-]?[0-9]+(\.[0-9]*)?\r\n)",
        [b"+OK", b"\r\n", b"$5", b":-3", b".5", b"*", b"1"],
    ),
    (
        s.is_sip_request,
        rb".* SIP/[0-9]\.[0-9]\r\n",
        [b"REGISTER sip:a", b" SIP/2.0", b"\r\n", b" SIP/", b"2.0"],
    ),
    (
        s.is_sip_reply,
        rb" ?SIP/[0-9]\.[0-9](\r\n| [0-9][0-9][0-9] )",
        [b"SIP/2.0", b" 200 ", b"\r\n", b" ", b"SIP/"],
    ),
    (s.is_smtp_server, rb"[ \t\n\v\f\r]*220[ \t\n\v\f\r-]", [b"220", b"-", b" ", b"\r\n", b"5"]),
    (
        s.is_smtp_client,
        rb"(|.*[\n\r])[ \t\n\v\f\r]*(helo|ehlo)",
        [b"ehlo", b"helo", b"\r\n", b" ", b"x"],
    ),
    (
        s.is_socks4_request,
        rb"\x04[\x01\x02].{0,32}\x00",
        [b"\x04\x01", b"\x00", b"x" * 33, b"x" * 31, b"\x04\x03"],
    ),
    (s.is_socks4_reply, rb"\x00[\x5a\x5b\x5c\x5d]", [b"\x00", b"\x5a", b"\x5e"]),
    (s.is_socks5_request, rb"\x05.[\x00-\x03\x05-\x09]", [b"\x05\x01", b"\x00", b"\x04", b"\x09"]),
    (s.is_socks5_reply, rb"\x05[\x00-\x03\x05-\x09\xff]", [b"\x05", b"\x00", b"\x04", b"\xff"]),
    (s.is_ssh, rb"[sS][sS][hH]-[12]\.", [b"SSH-", b"ssh-", b"2.", b"1.", b"3."]),
    (
        s.is_tls_server_hello,
        rb"(\x15\x03[\x00-\x03]....)?\x16\x03[\x00-\x03]..\x02...((\x03[\x00-\x04])|(\x7f[\x00-\x50]))",
        [b"\x16\x03\x03\x00\x31\x02\x00\x00\x2d", b"\x03\x03", b"\x15\x03\x01\x00\x02\x01\x00"],
    ),
    (
        s.is_tls_client_hello,
        rb"\x16\x03[\x00-\x03]..\x01...\x03[\x00-\x03]",
        [b"\x16\x03\x01\x00\x31\x01\x00\x00\x2d", b"\x03\x03", b"\x16"],
    ),
    (
        s.is_xmpp,
        rb"(<\?xml[^?>]*\?>)?[\n\r ]*<stream:stream [^>]*xmlns='jabber:",
        [b"<?xml version='1.0'?>", b"<stream:stream ", b"xmlns='jabber:", b" ", b">", b"\n"],
    ),
]
ON_LOWER_CASE = (
    s.is_ftp_client,
    s.is_irc_user_nick,
    s.is_irc_nick_user,
    s.is_irc_server,
    s.is_pop3_client,
    s.is_smtp_client,
)
IDENTIFIERS = [predicate.__name__ for predicate, _, _ in PATTERNS]


@pytest.mark.parametrize(("predicate", "pattern", "pieces"), PATTERNS, ids=IDENTIFIERS)
def test_predicate_agrees_with_its_pattern(predicate, pattern, pieces) -> None:
    compiled = re.compile(pattern, re.DOTALL)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from(pieces) | st.binary(max_size=3), max_size=6))
    def agree(parts: list[bytes]) -> None:
        data = b"".join(parts)
        if predicate in ON_LOWER_CASE:
            data = data.lower()
        assert predicate(data) == (compiled.match(data) is not None)

    agree()


@pytest.mark.parametrize(
    ("request_", "tag"), [(True, 0x6A), (True, 0x6C), (False, 0x6B), (False, 0x7E)]
)
def test_kerberos_lengths_have_one_to_four_octets(request_: bool, tag: int) -> None:
    first, second = (0xA1, 0xA2) if request_ else (0xA0, 0xA1)
    inner = bytes([first, 3, 2, 1, 5, second, 3, 2, 1, 10])
    check = s.is_krb_request if request_ else s.is_krb_reply
    for outer in range(6):
        for middle in range(6):
            data = bytes([tag]) + b"\x00" * outer + b"\x30" + b"\x00" * middle + inner
            assert check(data, 0) == (1 <= outer <= 4 and 1 <= middle <= 4)


@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"X-MS-ENUMATTS", b"RPC_IN_DATA"])
def test_request_methods_may_follow_white_space(method: bytes) -> None:
    assert s.is_http_request(b" \r\n" + method)
    assert not s.is_http_request(b"x" + method)
    assert not s.is_http_request(method[:-1] + b"?")


def test_dhcp_is_told_by_its_cookie() -> None:
    assert s.udp_rules(bytes(236) + b"\x63\x82\x53\x63") == s.DHCP
    assert s.udp_rules(bytes(235) + b"\x63\x82\x53\x63") == 0


@pytest.mark.parametrize(
    ("size", "is_syn"), [(1131, False), (1132, True), (1232, True), (1233, False)]
)
def test_rdp_over_udp_is_told_by_size_too(size: int, is_syn: bool) -> None:
    data = (b"\xff\xff\xff\xff\x00\x40\x10\x01" + bytes(size))[:size]
    assert (s.udp_rules(data) == s.RDPEUDP) == is_syn


def test_a_rule_needs_its_own_end() -> None:
    hello = b"\x05\x64\x05\xc0\x01\x00\x00\x04"
    assert _tcp_rules(b"", hello, False) & s.DNP3_TCP
    assert not _tcp_rules(hello, b"", True) & s.DNP3_TCP


def test_socks_4_may_run_backwards() -> None:
    request = b"\x04\x01\x00\x50\x01\x02\x03\x04\x00"
    reply = b"\x00\x5a\x00\x50\x01\x02\x03\x04"
    assert _tcp_rules(request, reply, False) & s.SOCKS4
    assert _tcp_rules(reply, request, True) & s.SOCKS4_REVERSE


def test_smb_is_told_by_its_magic() -> None:
    assert _tcp_rules(b"\x00\x00\x00\x40\xfeSMB", b"", True) == s.SMB
    assert _tcp_rules(b"", b"\x00\x00\x00\x40\xffSMB", False) == s.SMB
    assert _tcp_rules(b"\x00\x00\x00\x40\xfdSMB", b"", True) == 0


@given(
    st.lists(
        st.sampled_from([b"nick ", b"USER ", b"Server ", b"McDn", b"mcdn", b"us", b" ", b"x"])
    ),
    st.lists(st.integers(0, 40)),
)
def test_words_are_found_wherever_a_stream_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    words = 0
    start = 0
    for cut in [*sorted(cuts), len(stream)]:
        words |= s.found_words(stream[:start], stream[start:cut])
        start = max(start, min(cut, len(stream)))
    assert words == s.found_words(b"", stream)
    assert bool(words & s.WORD_MCDN) == (b"McDn" in stream)
    for bit, word in (
        (s.WORD_NICK, b"nick "),
        (s.WORD_USER, b"user "),
        (s.WORD_SERVER, b"server "),
    ):
        assert bool(words & bit) == (word in stream.lower())
