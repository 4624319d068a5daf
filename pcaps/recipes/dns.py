"""DNS and what has its shape: mDNS, LLMNR, NetBIOS names; UDP and TCP."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, HMI6, PLC, PLC6, SERVER, Host, Talk, ethernet, udp
from pcaps.messages import (
    AAAA,
    CNAME,
    MX,
    NB,
    NBSTAT,
    NS,
    OPT,
    POINTER,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    address,
    dns,
    dns_name,
    netbios_name,
    question,
    record,
)

MDNS = Host("01:00:5e:00:00:fb", "224.0.0.251")
LLMNR = Host("01:00:5e:00:00:fc", "224.0.0.252")
BROADCAST = Host("ff:ff:ff:ff:ff:ff", "192.168.10.255")

QUERY = 0x0100
"""Recursion desired."""
ANSWER = 0x8180
"""Response, recursion desired and available."""
AUTHORITATIVE = 0x8400


class Asker:
    """Sends datagrams between named stations into one recorder."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def send(
        self, at: float, source: Host, destination: Host, ports: tuple[int, int], message: bytes
    ) -> None:
        """Record one datagram."""
        packet = udp(source, destination, ports[0], ports[1], message)
        self.recorder.add(at, ethernet(packet, source.mac, destination.mac))

    def pair(self, at: float, port: int, query: bytes, response: bytes) -> None:
        """A query of the HMI to the server's port 53 and the response two milliseconds later."""
        self.send(at, HMI, SERVER, (port, 53), query)
        self.send(at + 0.002, SERVER, HMI, (53, port), response)


def build() -> list[Capture]:
    """The captures ``dns``, ``dns_multicast``, ``dns_netbios``, ``dns_tcp``, ``dns_malformed``."""
    return [unicast(), multicast(), netbios(), over_tcp(), malformed()]


def unicast() -> Capture:
    """Queries to port 53: record types, response codes, silence."""
    asker = Asker()

    def lookup(at: float, port: int, kind: int, name: str, flags: int, *answers: bytes) -> None:
        ask = question(name, kind)
        asker.pair(at, port, dns(port, QUERY, [ask]), dns(port, flags, [ask], list(answers)))

    # Type A; capitals in the name.
    lookup(
        0.0, 47001, A, "PLC1.Factory.example", ANSWER, record(POINTER, A, 300, address("10.1.1.1"))
    )
    # A chain: alias and address.
    lookup(
        1.0, 47002, AAAA, "www.factory.example", ANSWER,
        record(POINTER, CNAME, 60, dns_name("web.factory.example")),
        record(dns_name("web.factory.example"), AAAA, 120, address("2001:db8::10")),
    )  # fmt: skip
    lookup(
        2.0, 47003, MX, "factory.example", ANSWER | 0x0400,
        record(POINTER, MX, 3600, b"\0\x0a" + dns_name("mail.factory.example")),
    )  # fmt: skip
    lookup(
        3.0, 47004, TXT, "factory.example", ANSWER,
        record(POINTER, TXT, 60, b"\x0bv=spf1 -all\x03two"),
    )  # fmt: skip
    lookup(
        4.0, 47005, SRV, "_opc._tcp.factory.example", ANSWER,
        record(POINTER, SRV, 60, b"\0\0\0\x05\x12\xe8" + dns_name("opc.factory.example")),
    )  # fmt: skip
    lookup(
        5.0, 47006, PTR, "1.10.168.192.in-addr.arpa", ANSWER,
        record(POINTER, PTR, 60, dns_name("plc.factory.example")),
    )  # fmt: skip
    lookup(
        6.0, 47007, NS, "", ANSWER,
        record(dns_name(""), NS, 518400, dns_name("a.root-servers.net")),
    )  # fmt: skip
    # No such name: only the authority section has a record.
    ask = question("nowhere.factory.example", A)
    start = dns_name("ns.factory.example") + dns_name("admin.factory.example") + b"\0" * 20
    asker.pair(
        7.0, 47008, dns(47008, QUERY, [ask]),
        dns(47008, ANSWER | 3, [ask], [], [record(POINTER, SOA, 900, start)]),
    )  # fmt: skip
    # Refused, server failure, and no error without any record.
    lookup(8.0, 47009, A, "secret.factory.example", ANSWER | 5)
    lookup(9.0, 47010, A, "broken.factory.example", ANSWER | 2)
    lookup(10.0, 47011, AAAA, "plc1.factory.example", ANSWER)
    # Nobody answers; the question is repeated.
    query = dns(47012, QUERY, [question("silent.factory.example", A)])
    asker.send(11.0, HMI, SERVER, (47012, 53), query)
    asker.send(12.0, HMI, SERVER, (47012, 53), query)
    # Only the answer is seen.
    ask = question("late.factory.example", A)
    late = dns(47013, ANSWER, [ask], [record(POINTER, A, 300, address("10.1.1.9"))])
    asker.send(13.0, SERVER, HMI, (53, 47013), late)
    # Two questions from one port, answered in the other order.
    for at, name in ((14.0, "one.example"), (14.001, "two.example")):
        ident = 1 if name == "one.example" else 2
        asker.send(at, HMI, SERVER, (47014, 53), dns(ident, QUERY, [question(name, A)]))
    for at, name in ((14.01, "two.example"), (14.02, "one.example")):
        ident = 1 if name == "one.example" else 2
        answer = record(POINTER, A, 60, address(f"10.0.0.{ident}"))
        message = dns(ident, ANSWER, [question(name, A)], [answer])
        asker.send(at, SERVER, HMI, (53, 47014), message)
    # EDNS: the additional section is no answer.
    ask = question("edns.example", A)
    edns = record(b"\0", OPT, 0, b"\0\x0a\0\x02\x01\x02", category=4096)
    asker.pair(
        15.0, 47015, dns(47015, QUERY, [ask], additional=[edns]),
        dns(47015, ANSWER, [ask], [record(POINTER, A, 1, address("10.0.0.3"))], additional=[edns]),
    )  # fmt: skip
    # Octets beyond ASCII in a name: they are escaped.
    lookup(
        16.0, 47016, A, "caf\xc3\xa9.example", ANSWER, record(POINTER, A, 60, address("10.0.0.4"))
    )
    # IPv6 transport.
    ask = question("six.example", AAAA)
    response = dns(47017, ANSWER, [ask], [record(POINTER, AAAA, 60, address("fd00::6"))])
    asker.send(17.0, HMI6, PLC6, (47017, 53), dns(47017, QUERY, [ask]))
    asker.send(17.002, PLC6, HMI6, (53, 47017), response)
    return Capture("dns", asker.recorder)


def multicast() -> Capture:
    """mDNS and LLMNR."""
    asker = Asker()
    # A query and its answer, both to the group: two connections, two rows.
    asker.send(0.0, HMI, MDNS, (5353, 5353), dns(0, 0, [question("_http._tcp.local", PTR)]))
    answer = record(dns_name("_http._tcp.local"), PTR, 120, dns_name("line1._http._tcp.local"))
    asker.send(0.02, PLC, MDNS, (5353, 5353), dns(0, AUTHORITATIVE, [], [answer]))
    # The bit that asks for a unicast answer is part of the class.
    unicast_wanted = question("plc1.local", A, 0x8001)
    asker.send(1.0, SERVER, MDNS, (5353, 5353), dns(0, 0, [unicast_wanted]))
    # Two questions in one message: the last one is kept.
    two = [question("_ipp._tcp.local", PTR), question("_ssh._tcp.local", PTR)]
    asker.send(2.0, Host("02:00:00:00:00:05", "192.168.10.5"), MDNS, (5353, 5353), dns(0, 0, two))
    # LLMNR: asked by multicast, answered by unicast.
    ask = question("plc1", A)
    asker.send(3.0, HMI, LLMNR, (47101, 5355), dns(7, 0, [ask]))
    response = dns(7, 0x8000, [ask], [record(POINTER, A, 30, address(PLC.address))])
    asker.send(3.003, PLC, HMI, (5355, 47101), response)
    return Capture("dns_multicast", asker.recorder)


def netbios() -> Capture:
    """Name service: query by broadcast, node status, registration."""
    asker = Asker()
    # Query and its positive response, which comes by unicast.
    ask = question(netbios_name("LINE1", 0x20), NB)
    asker.send(0.0, HMI, BROADCAST, (137, 137), dns(100, 0x0110, [ask]))
    found = record(
        dns_name(netbios_name("LINE1", 0x20)), NB, 300000, b"\0\0" + address(PLC.address)
    )
    asker.send(0.01, PLC, HMI, (137, 137), dns(100, 0x8500, [], [found]))
    # Node status of "*".
    star = question(netbios_name("*", 0, padding="\0"), NBSTAT)
    asker.send(1.0, SERVER, PLC, (137, 137), dns(101, 0, [star]))
    names = b"\x01" + b"PLC1".ljust(15) + b"\0\x04\0" + b"\0" * 46
    name = dns_name(netbios_name("*", 0, padding="\0"))
    status = dns(101, 0x8400, [], [record(name, NBSTAT, 0, names)])
    asker.send(1.004, PLC, SERVER, (137, 137), status)
    return Capture("dns_netbios", asker.recorder)


def over_tcp() -> Capture:
    """Two queries in one segment, the responses in the other order, one of them in two segments."""
    recorder = Recorder()
    talk = Talk(recorder, HMI, SERVER, 47201, 53)
    talk.open(0.0)

    def framed(message: bytes) -> bytes:
        return len(message).to_bytes(2, "big") + message

    first, second = question("first.example", A), question("second.example", A)
    queries = framed(dns(1, QUERY, [first])) + framed(dns(2, QUERY, [second]))
    talk.send(0.01, "c", "PA", queries)
    to_second = framed(dns(2, ANSWER, [second], [record(POINTER, A, 60, address("10.0.0.2"))]))
    to_first = framed(dns(1, ANSWER, [first], [record(POINTER, A, 60, address("10.0.0.1"))]))
    talk.send(0.02, "s", "PA", to_second)
    talk.send(0.03, "s", "A", to_first[:20])
    talk.send(0.04, "s", "PA", to_first[20:])
    talk.send(0.041, "c", "A")
    talk.close(0.05)
    return Capture("dns_tcp", recorder)


def malformed() -> Capture:
    """Messages that are cut short, lie about their counts or are no DNS."""
    asker = Asker()

    def send(at: float, port: int, message: bytes) -> None:
        asker.send(at, HMI, SERVER, (port, 53), message)

    # Shorter than the header.
    send(0.0, 47301, b"\0\x01\x01\0\0\x01\0\0")
    # A question is announced and cut short.
    send(1.0, 47302, dns(2, QUERY, [question("cut.example", A)])[:-4])
    # More questions announced than Zeek believes in.
    send(2.0, 47303, b"\0\x03\x01\0\0\x40\0\0\0\0\0\0" + b"\xff" * 30)
    # An operation other than a query.
    send(3.0, 47304, dns(4, 0x2800, [question("update.example", SOA)]))
    # A pointer to itself.
    send(4.0, 47305, dns(5, QUERY, [b"\xc0\x0c\0\x01\0\x01"]))
    # No question at all.
    send(5.0, 47306, dns(6, QUERY, []))
    # An answer shorter than it says.
    ask = question("short.example", A)
    send(6.0, 47307, dns(7, QUERY, [ask]))
    cut = dns(7, ANSWER, [ask], [record(POINTER, A, 60, address("10.0.0.7"))])[:-2]
    asker.send(6.002, SERVER, HMI, (53, 47307), cut)
    return Capture("dns_malformed", asker.recorder)
