from __future__ import annotations

import pytest

from osect_sensor.protocols.dhcp import DhcpAnalyzer

COOKIE = b"\x63\x82\x53\x63"
DISCOVER = b"\x35\x01\x01"
END = b"\xff"


def message(options: bytes, cookie: bytes = COOKIE) -> bytes:
    return b"\x01\x01\x06\x00" + bytes(232) + cookie + options


def feed(analyzer: DhcpAnalyzer, data: bytes) -> None:
    analyzer.datagram(True, data, len(data))


def test_one_message_confirms(udp_connection) -> None:
    feed(DhcpAnalyzer(udp_connection), message(DISCOVER + END))
    assert udp_connection.services == ["dhcp"]


def test_the_end_option_may_be_missing_and_padding_may_follow(udp_connection) -> None:
    feed(DhcpAnalyzer(udp_connection), message(b"\0\0" + DISCOVER))
    assert udp_connection.services == ["dhcp"]
    feed(DhcpAnalyzer(udp_connection), message(DISCOVER + END + b"\x0c\xff"))
    assert udp_connection.services == ["dhcp"]


@pytest.mark.parametrize(
    "data",
    [
        message(END),
        message(b"\x0c\x02ab" + END),
        message(DISCOVER + END, cookie=b"\0\0\0\0"),
        message(DISCOVER + b"\x0c\x05abc"),
        message(DISCOVER + b"\x3d\x00" + END),
        message(DISCOVER + END)[:200],
    ],
)
def test_bootp_wrong_cookies_and_cut_options_confirm_nothing(udp_connection, data: bytes) -> None:
    analyzer = DhcpAnalyzer(udp_connection)
    feed(analyzer, data)
    assert udp_connection.services == []
    assert not analyzer.alive


def test_options_of_fixed_form_ignore_their_length(udp_connection) -> None:
    # A subnet mask of length 2: the parser takes four octets, here up to the message type.
    feed(DhcpAnalyzer(udp_connection), message(b"\x01\x02\xff\xff\xff\x00" + DISCOVER + END))
    assert udp_connection.services == ["dhcp"]


def test_relay_agent_suboptions_end_by_their_sum(udp_connection) -> None:
    relay = b"\x52\x08\x01\x02ab\x02\x02cd"
    analyzer = DhcpAnalyzer(udp_connection)
    feed(analyzer, message(DISCOVER + relay + END))
    assert udp_connection.services == ["dhcp"]
    # The sum runs on over the direction's life: the second message's suboptions find no end.
    feed(analyzer, message(DISCOVER + relay + END))
    assert udp_connection.services == []
