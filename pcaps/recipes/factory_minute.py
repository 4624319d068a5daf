"""A minute of a production network: all fifteen logs, Modbus, EtherNet/IP, web traffic.

Everything happens between 0 and 60 s, so that the minute is one window. ``osect-harness workload``
repeats it for load tests: stations live in 192.168.10.0/24 and fd00::/64 only, multicast apart.
"""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import (
    HMI,
    HMI6,
    PLC,
    PLC6,
    SERVER,
    Host,
    Link,
    Talk,
    arp,
    echo,
    ethernet,
    exchange,
    frame,
    icmp,
    ipv4,
    tagged,
    udp,
)
from pcaps.messages import (
    POINTER,
    PTR,
    A,
    address,
    announcement,
    dns,
    mailslot,
    modbus,
    question,
    record,
    registration,
)
from pcaps.recipes import cclink, http, neighbors, signature, stations

ENGINEER = Host("02:00:00:00:00:03", "192.168.10.3")
PLC2 = Host("02:00:00:00:00:0b", "192.168.10.11")
ROBOT = Host("02:00:00:00:00:0c", "192.168.10.12")
CAMERA = Host("02:00:00:00:00:0d", "192.168.10.13")
SCANNER = Host("02:00:00:00:00:0e", "192.168.10.14")
EVERYBODY = Host("ff:ff:ff:ff:ff:ff", "192.168.10.255")
MDNS = Host("01:00:5e:00:00:fb", "224.0.0.251")
NTP_SERVER = Host("02:00:00:00:00:04", "192.168.10.4")

MODBUS_POLLS = 280
CIP_POLLS = 110
IO_CYCLES = 200
PINGS = 58
PAGES = 12
FIELD_BASIC_CYCLES = 55
FIELD_CYCLES = 110
ROUTING_HELLOS = 6
SCANNED_PORTS = 10

ENCAPSULATION = bytes.fromhex("70001200") + bytes.fromhex("01020304") + b"\0" * 16
"""Head of an EtherNet/IP SendUnitData message with 18 octets of data."""


def build() -> list[Capture]:
    """The capture ``factory_minute``."""
    film = Film()
    film.control()
    film.office()
    film.announcements()
    film.incidents()
    return [Capture("factory_minute", film.recorder)]


class Film:
    """The minute, by subject."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def send(
        self, at: float, source: Host, destination: Host, ports: tuple[int, int], payload: bytes,
        *, link: Link = ethernet,
    ) -> None:  # fmt: skip
        """Record a datagram."""
        packet = udp(source, destination, ports[0], ports[1], payload)
        self.recorder.add(at, link(packet, source.mac, destination.mac))

    def control(self) -> None:
        """Cyclic traffic between controllers."""
        # Modbus: connected within the minute, polled five times a second, not closed.
        talk = Talk(self.recorder, HMI, PLC, 51001, 502)
        talk.open(0.5)
        for poll in range(MODBUS_POLLS):
            at = 1.0 + poll / 5
            talk.send(at, "c", "PA", modbus(poll, 1, b"\x03\0\0\0\2"))
            talk.send(at + 0.004, "s", "PA", modbus(poll, 1, b"\x03\4\0\1\0\2"))
        # EtherNet/IP: a connection from before the minute.
        talk = Talk(self.recorder, ENGINEER, ROBOT, 51002, 44818, client_isn=700000)
        talk.lose("c", 1)
        talk.lose("s", 1)
        for poll in range(CIP_POLLS):
            at = 0.3 + poll / 2
            talk.send(at, "c", "PA", ENCAPSULATION + b"\x0a" * 18)
            talk.send(at + 0.003, "s", "PA", ENCAPSULATION + b"\x8a" * 18)
        # EtherNet/IP: inputs and outputs, on the cell's VLAN.
        cell = tagged(10)
        for cycle in range(IO_CYCLES):
            at = 0.1 + cycle / 4
            self.send(at, PLC2, ROBOT, (2222, 2222), b"\2\0" + b"\x01" * 22, link=cell)
            self.send(at + 0.001, ROBOT, PLC2, (2222, 2222), b"\2\0" + b"\x02" * 14, link=cell)
        # CC-Link IE Field Basic, Field, Control.
        for cycle in range(FIELD_BASIC_CYCLES):
            at = 2.2 + cycle
            request = cclink.request(1, sequence=cycle)
            self.send(at, HMI, EVERYBODY, (61450, 61450), request)
            self.send(at + 0.002, CAMERA, HMI, (61450, 61450), cclink.response(sequence=cycle))
        for cycle in range(FIELD_CYCLES):
            at = 0.4 + cycle / 2
            token = cclink.pdu(0x15, node=3)
            self.recorder.add(at, frame(cclink.MASTER, cclink.GROUP, 0x890F, token))
            token = cclink.pdu(0x06, source=9, version=0)
            self.recorder.add(at + 0.01, frame(cclink.SLAVE, cclink.GROUP, 0x890F, token))
        # PROFINET frames and LLDP are nobody's rows.
        for cycle in range(20):
            payload = b"\x80\0" + b"\0" * 44
            self.recorder.add(0.7 + cycle, frame(PLC.mac, ROBOT.mac, 0x8892, payload))
        self.recorder.add(
            30.0, frame(PLC.mac, "01:80:c2:00:00:0e", 0x88CC, b"\x02\x07" + b"\0" * 44)
        )

    def office(self) -> None:
        """Name resolution, web pages, time, pings."""
        for page in range(PAGES):
            at = 3.0 + 4 * page
            ask = question("scada.example", A)
            answer = [record(POINTER, A, 60, address(SERVER.address))]
            self.send(at, HMI, SERVER, (52000 + page, 53), dns(page, 0x0100, [ask]))
            self.send(at + 0.003, SERVER, HMI, (53, 52000 + page), dns(page, 0x8180, [ask], answer))
            talk = Talk(self.recorder, HMI, SERVER, 53000 + page, 80)
            talk.open(at + 0.01)
            talk.ask(at + 0.02, http.GET, http.GOT)
            talk.ask(at + 0.03, http.POST, http.CREATED)
            talk.close(at + 0.04)
        for number in range(PINGS):
            body = echo(7, number, b"p" * 16)
            self.recorder.add(1.15 + number, ethernet(icmp(HMI, PLC, 8, 0, body), HMI.mac, PLC.mac))
            reply = icmp(PLC, HMI, 0, 0, body)
            self.recorder.add(1.152 + number, ethernet(reply, PLC.mac, HMI.mac))
        self.send(20.0, PLC, NTP_SERVER, (123, 123), b"\x23" + b"\0" * 47)
        self.send(20.002, NTP_SERVER, PLC, (123, 123), b"\x24\1" + b"\0" * 46)
        self.send(21.0, PLC, SERVER, (50514, 514), b"<13>Jul 14 02:40:21 plc1: run")
        exchange(self.recorder, ethernet, HMI6, PLC6, 54001, 22.0)

    def announcements(self) -> None:
        """What stations tell about themselves."""
        for count in range(5):
            at = 1.0 + 11 * count
            self.recorder.add(at, arp(1, HMI.mac, HMI.address, neighbors.ZERO, PLC.address))
            reply = arp(2, PLC.mac, PLC.address, HMI.mac, HMI.address, destination=HMI.mac)
            self.recorder.add(at + 0.001, reply)
        ask = neighbors.solicitation("fd00::1:1", HMI6.mac)
        group = Host("33:33:ff:01:00:01", "ff02::1:ff01:1")
        packet = icmp(HMI6, group, 135, 0, ask)
        self.recorder.add(21.9, ethernet(packet, HMI6.mac, group.mac))
        answer = neighbors.advertisement(0x60, "fd00::1:1", PLC6.mac)
        packet = icmp(PLC6, HMI6, 136, 0, answer)
        self.recorder.add(21.901, ethernet(packet, PLC6.mac, HMI6.mac))
        self.send(5.0, stations.UNNUMBERED, stations.EVERYBODY, (68, 67), stations.DISCOVER)
        self.send(5.01, SERVER, stations.LEASED, (67, 68), stations.OFFER)
        self.send(6.0, stations.CLIENT6, stations.ALL_DHCPV6, (546, 547), stations.SOLICIT)
        for number, kind in enumerate((0x00, 0x20)):
            message = registration(number, "LINE-1", kind, ENGINEER.address)
            self.send(7.0 + number / 10, ENGINEER, EVERYBODY, (137, 137), message)
        host = announcement(0x01, b"ENGINEER", b"Line 1\0")
        slot = mailslot("ENGINEER", "FACTORY", stations.BROWSE, host, ENGINEER.address)
        self.send(8.0, ENGINEER, EVERYBODY, (138, 138), slot)
        self.send(9.0, CAMERA, stations.UPNP, (1900, 1900), stations.ALIVE)
        self.send(10.0, ENGINEER, stations.UPNP, (50001, 1900), stations.SEARCH)
        self.send(10.1, CAMERA, ENGINEER, (1900, 50001), stations.FOUND)
        self.send(11.0, CAMERA, MDNS, (5353, 5353), dns(0, 0, [question("_rtsp._tcp.local", PTR)]))
        routers = Host("01:00:5e:00:00:05", "224.0.0.5")
        reports = Host("01:00:5e:00:00:16", "224.0.0.22")
        for hello in range(ROUTING_HELLOS):
            packet = ipv4(SERVER.address, routers.address, 89, b"\2" * 44, ttl=1)
            self.recorder.add(0.9 + 10 * hello, ethernet(packet, SERVER.mac, routers.mac))
        packet = ipv4(CAMERA.address, reports.address, 2, b"\x22" * 16, ttl=1)
        self.recorder.add(12.0, ethernet(packet, CAMERA.mac, reports.mac))

    def incidents(self) -> None:
        """A scan and a signature."""
        for number in range(SCANNED_PORTS):
            at = 40.0 + number / 10
            talk = Talk(self.recorder, SCANNER, ROBOT, 55000 + number, 9000 + number)
            talk.send(at, "c", "S")
            if number % 2 == 0:
                talk.send(at + 0.001, "s", "RA", seq=0)
        payload = b"before " + signature.MARK + b" after"
        self.send(45.0, SCANNER, ROBOT, (55100, 9700), payload)
