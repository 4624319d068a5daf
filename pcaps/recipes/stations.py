"""What stations tell about themselves: DHCP, DHCPv6, NetBIOS names, browser, SSDP."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, SERVER, Host, Link, ethernet, tagged, udp
from pcaps.messages import (
    announcement,
    dhcp,
    dhcp_option,
    dhcpv6_option,
    dns_labels,
    dns_name,
    mailslot,
    registration,
)

UNNUMBERED = Host("02:00:00:00:00:50", "0.0.0.0")
EVERYBODY = Host("ff:ff:ff:ff:ff:ff", "255.255.255.255")
LEASED = Host("02:00:00:00:00:50", "192.168.10.50")
RELAY = Host("02:00:00:00:00:fe", "192.168.20.254")
SEGMENT = Host("ff:ff:ff:ff:ff:ff", "192.168.10.255")
UPNP = Host("01:00:5e:7f:ff:fa", "239.255.255.250")
UPNP6 = Host("33:33:00:00:00:0c", "ff02::c")
CLIENT6 = Host("02:00:00:00:00:50", "fe80::50")
SERVER6 = Host("02:00:00:00:00:04", "fe80::4")
ALL_DHCPV6 = Host("33:33:00:01:00:02", "ff02::1:2")

HARDWARE = bytes.fromhex("020000000050")


def build() -> list[Capture]:
    """The captures ``dhcp``, ``dhcpv6``, ``netbios_names``, ``browser`` and ``ssdp``."""
    return [dynamic(), dynamic6(), names(), browser(), discovery()]


class Sender:
    """Records datagrams."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def send(
        self, at: float, source: Host, destination: Host, ports: tuple[int, int], payload: bytes,
        *, link: Link = ethernet,
    ) -> None:  # fmt: skip
        """Record one."""
        packet = udp(source, destination, ports[0], ports[1], payload)
        self.recorder.add(at, link(packet, source.mac, destination.mac))


DISCOVER = dhcp(
    1, 0x11, HARDWARE,
    dhcp_option(53, b"\1") + dhcp_option(61, b"\1" + HARDWARE) + dhcp_option(12, b"PLC-LINE1")
    + dhcp_option(60, b"MSFT 5.0") + dhcp_option(55, bytes([1, 3, 6, 15, 119, 252])),
)  # fmt: skip
OFFER = dhcp(2, 0x11, HARDWARE, dhcp_option(53, b"\2"), yours=LEASED.address)
REQUEST = dhcp(
    1, 0x12, HARDWARE,
    dhcp_option(53, b"\3") + b"\0\0" + dhcp_option(12, b"HMI\x001\x7f") + dhcp_option(55, b"\1"),
    end=b"",
)  # fmt: skip
INFORM = dhcp(
    1, 0x13, HARDWARE, dhcp_option(53, b"\x08") + dhcp_option(60, b"udhcp 1.30.1"),
    client=LEASED.address,
)  # fmt: skip
RELAYED = dhcp(
    1, 0x14, bytes.fromhex("020000000077"), dhcp_option(53, b"\1") + dhcp_option(12, b"far-away")
)
BARE = dhcp(1, 0x15, HARDWARE, dhcp_option(53, b"\1"))
ACCENTED = dhcp(1, 0x16, HARDWARE, dhcp_option(53, b"\1") + dhcp_option(12, "café".encode()))
NO_PARAMETERS = dhcp(1, 0x17, HARDWARE, dhcp_option(53, b"\1") + dhcp_option(55, b""))
OVERLONG = dhcp(1, 0x18, HARDWARE, dhcp_option(53, b"\1"), end=b"\x0c\x20short")
BOOTP = DISCOVER[:236] + b"\0" * 64


def dynamic() -> Capture:
    """DHCP for IPv4."""
    sender = Sender()
    sender.send(0.0, UNNUMBERED, EVERYBODY, (68, 67), DISCOVER)
    sender.send(0.01, SERVER, LEASED, (67, 68), OFFER)
    sender.send(0.02, UNNUMBERED, EVERYBODY, (68, 67), REQUEST)
    sender.send(1.0, LEASED, SERVER, (68, 67), INFORM)
    # A relay passes a request on to the server, and gets the reply to the same port.
    sender.send(2.0, RELAY, SERVER, (67, 67), RELAYED)
    sender.send(2.01, SERVER, RELAY, (67, 67), OFFER)
    # No options of interest; UTF-8; an empty parameter list; on a VLAN.
    sender.send(3.0, UNNUMBERED, EVERYBODY, (68, 67), BARE)
    sender.send(4.0, UNNUMBERED, EVERYBODY, (68, 67), ACCENTED)
    sender.send(5.0, UNNUMBERED, EVERYBODY, (68, 67), NO_PARAMETERS)
    sender.send(6.0, UNNUMBERED, EVERYBODY, (68, 67), BARE, link=tagged(10))
    # An option that is longer than the message; no DHCP options at all; a request to a client.
    other = Host("02:00:00:00:00:51", "192.168.10.51")
    sender.send(7.0, other, EVERYBODY, (68, 67), OVERLONG)
    another = Host("02:00:00:00:00:52", "192.168.10.52")
    sender.send(8.0, another, EVERYBODY, (68, 67), BOOTP)
    third = Host("02:00:00:00:00:53", "192.168.10.53")
    sender.send(9.0, third, EVERYBODY, (67, 68), BARE)
    return Capture("dhcp", sender.recorder)


CLIENT_IDENTIFIER = dhcpv6_option(1, b"\0\3\0\1" + HARDWARE)
CODES = dhcpv6_option(6, b"\0\x17\0\x18\0\x27")
VENDOR = dhcpv6_option(16, (311).to_bytes(4, "big") + b"\0\x08MSFT 5.0")
SOLICIT = (
    b"\1\0\0\1" + CLIENT_IDENTIFIER + CODES + VENDOR
    + dhcpv6_option(39, b"\0" + dns_name("plc.factory.example"))
)  # fmt: skip
INFORMATION = b"\x0b\0\0\2" + CLIENT_IDENTIFIER
PARTIAL = b"\3\0\0\3" + dhcpv6_option(39, b"\1" + dns_labels("plc7")) + CODES
REPLY = b"\7\0\0\1" + CLIENT_IDENTIFIER + dhcpv6_option(39, b"\0" + dns_name("plc.factory.example"))
FORWARDED = (
    b"\x0c\0" + bytes(16) + bytes.fromhex("fe800000000000000000000000000050")
    + dhcpv6_option(9, SOLICIT)
)  # fmt: skip
CUT = SOLICIT[:-5]


def dynamic6() -> Capture:
    """DHCPv6."""
    sender = Sender()
    sender.send(0.0, CLIENT6, ALL_DHCPV6, (546, 547), SOLICIT)
    sender.send(0.01, SERVER6, CLIENT6, (547, 546), REPLY)
    sender.send(1.0, CLIENT6, ALL_DHCPV6, (546, 547), INFORMATION)
    sender.send(2.0, CLIENT6, ALL_DHCPV6, (546, 547), PARTIAL, link=tagged(10))
    relay = Host("02:00:00:00:00:fe", "fd00::fe")
    server = Host("02:00:00:00:00:04", "fd00::4")
    sender.send(3.0, relay, server, (547, 547), FORWARDED)
    other = Host("02:00:00:00:00:51", "fe80::51")
    sender.send(4.0, other, ALL_DHCPV6, (546, 547), CUT)
    return Capture("dhcpv6", sender.recorder)


KINDS = (0x00, 0x01, 0x03, 0x06, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x21, 0xBE, 0xBF, 0x87)
"""Every type of name that has a service type, and one that has none."""


def names() -> Capture:
    """NetBIOS name registrations."""
    sender = Sender()

    def send(at: float, message: bytes, source: Host = HMI, destination: Host = SEGMENT) -> None:
        sender.send(at, source, destination, (137, 137), message)

    for number, kind in enumerate(KINDS):
        send(number / 10, registration(number, "LINE-1", kind, HMI.address))
    # A name with a space in it; fifteen characters; another time to live, to a name server.
    send(2.0, registration(100, "PRESS SHOP", 0, PLC.address), PLC)
    send(2.1, registration(101, "ABCDEFGHIJKLMNO", 0, PLC.address), PLC)
    send(2.2, registration(102, "PRESS", 0x20, PLC.address, flags=0x2900, ttl=1), PLC, SERVER)
    # A group's name; a refresh; a release; the answer to a registration.
    other = Host("02:00:00:00:00:06", "192.168.10.6")
    send(3.0, registration(103, "WORKGROUP", 0, other.address, name_flags=0x8000), other)
    send(3.1, registration(104, "PRESS", 0, other.address, flags=0x4010), other)
    send(3.2, registration(105, "PRESS", 0, other.address, flags=0x3010), other)
    send(3.3, registration(106, "PRESS", 0, other.address, flags=0xAD80), other)
    # Cut short.
    third = Host("02:00:00:00:00:07", "192.168.10.7")
    send(4.0, registration(107, "PRESS", 0, third.address)[:-10], third)
    return Capture("netbios_names", sender.recorder)


BROWSE = "\\MAILSLOT\\BROWSE"


def browser() -> Capture:
    """Browser announcements."""
    sender = Sender()

    def send(at: float, message: bytes) -> None:
        sender.send(at, HMI, SEGMENT, (138, 138), message)

    def slot(data: bytes, name: str = BROWSE, padding: bytes = b"") -> bytes:
        return mailslot("HMI1", "FACTORY", name, data, HMI.address, padding=padding)

    send(0.0, slot(announcement(0x01, b"HMI1", b"\0")))
    send(1.0, slot(announcement(0x0F, b"HMI1", b"Line 1 panel\0", server_type=0x51003)))
    # The data begins behind a padding octet, not at the usual place.
    send(2.0, slot(announcement(0x01, b"HMI1", b"padded\0", os_version=(10, 0)), padding=b"\0"))
    # Small numbers keep no leading zeros in the type.
    send(3.0, slot(announcement(0x01, b"A", b"x\x01y\0", server_type=3, browser_version=(21, 4))))
    # Other commands, another mailslot, a datagram cut short.
    send(4.0, slot(announcement(0x0C, b"FACTORY", b"HMI1\0")))
    send(5.0, slot(announcement(0x01, b"HMI1", b"\0"), name="\\MAILSLOT\\NET\\NETLOGON"))
    send(6.0, slot(announcement(0x01, b"HMI1", b"\0"))[:-20])
    return Capture("browser", sender.recorder)


def upnp(first: str, *headers: str) -> bytes:
    """An SSDP message."""
    return "\r\n".join((first, *headers, "", "")).encode("ascii")


ALIVE = upnp("NOTIFY * HTTP/1.1", "HOST: 239.255.255.250:1900", "SERVER: RTOS/5 UPnP/1.1 Cam/2")
BYE = upnp("NOTIFY * HTTP/1.1", "HOST: 239.255.255.250:1900", "NTS: ssdp:byebye")
SEARCH = upnp(
    "M-SEARCH * HTTP/1.1", 'MAN: "ssdp:discover"', "ST: ssdp:all", "User-Agent: Panel/2 UPnP/1.1"
)
PLAIN_SEARCH = upnp("M-SEARCH * HTTP/1.1", 'MAN: "ssdp:discover"', "SERVER: not the agent")
FOUND = upnp("HTTP/1.1 200 OK", "ST: upnp:rootdevice", "Server: RTOS/5 UPnP/1.1 Cam/2")
ODD = upnp("NOTIFY * HTTP/1.0 ", "SERVER: odd")
OTHER = upnp("SUBSCRIBE /events HTTP/1.1", "SERVER: nobody")


def discovery() -> Capture:
    """SSDP."""
    sender = Sender()
    sender.send(0.0, PLC, UPNP, (1900, 1900), ALIVE)
    sender.send(1.0, PLC, UPNP, (1900, 1900), BYE)
    # A search and its response to the searcher's port.
    sender.send(2.0, HMI, UPNP, (50001, 1900), SEARCH)
    sender.send(2.1, PLC, HMI, (1900, 50001), FOUND)
    # A header that belongs to other messages.
    sender.send(3.0, HMI, UPNP, (50001, 1900), PLAIN_SEARCH)
    # Another version and a space at the end of the start line; a method that is none of SSDP's.
    sender.send(4.0, SERVER, UPNP, (1900, 1900), ODD)
    sender.send(5.0, SERVER, UPNP, (1900, 1900), OTHER)
    # IPv6, on a VLAN.
    sender.send(6.0, CLIENT6, UPNP6, (50002, 1900), SEARCH, link=tagged(10))
    # No text at all.
    sender.send(7.0, HMI, UPNP, (50003, 1900), bytes(range(0x80, 0xA0)))
    return Capture("ssdp", sender.recorder)
