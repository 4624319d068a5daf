"""Packets for a connection table under test: a clock, two hosts and their conversation."""

from __future__ import annotations

import struct

from osect_sensor.flows.recording import RecordingContext
from osect_sensor.flows.table import ConnectionTable
from osect_sensor.flows.uid import UidSource
from osect_sensor.logs.rows import ConnRow
from osect_sensor.wire.decode import IP, IP_WHOLE, LINKTYPE_ETHERNET, LINKTYPE_RAW, Decoder
from osect_sensor.wire.packet import TCP, UDP, Encapsulation, Packet

CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
NOON = 1_700_000_000_000_000
SECOND = 1_000_000
MILLISECOND = 1_000

BITS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return head + source + destination + payload


def tcp_segment(
    source_port: int,
    destination_port: int,
    flags: str,
    seq: int,
    ack: int,
    payload: bytes = b"",
    *,
    window: int = 8192,
    words: int = 5,
) -> bytes:
    """A TCP segment; ``words`` is what its header says of the header's length."""
    bits = 0
    for flag in flags:
        bits |= BITS[flag]
    return (
        struct.pack(
            ">HHIIBBHHH",
            source_port,
            destination_port,
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            words << 4,
            bits,
            window,
            0,
            0,
        )
        + payload
    )


class Wire:
    """A connection table that is given packets of raw IP, at times told in seconds."""

    def __init__(
        self, *, report_interval: int = 0, watching: bool = False, limit: int = 1000
    ) -> None:
        self.context = RecordingContext(watching=watching)
        self.table = ConnectionTable(self.context, UidSource(1), report_interval, limit)
        self.decoder = Decoder()
        self.packet = Packet()
        self.now = NOON

    @property
    def rows(self) -> list[ConnRow]:
        """Rows so far."""
        return self.context.rows.conn_rows

    def put(
        self,
        network: bytes,
        at: float | None = None,
        *,
        cut: int = 0,
        macs: bytes = b"",
        tunnel: Encapsulation | None = None,
    ) -> None:
        """Deliver an IP packet whose last ``cut`` octets were not captured.

        ``macs`` are destination and source of the Ethernet frame around it, if there is one.
        """
        if at is not None:
            self.now = NOON + round(at * SECOND)
        packet = self.packet
        packet.timestamp = self.now
        frame = macs + b"\x08\0" + network if macs != b"" else network
        packet.data = frame
        packet.network = 0
        packet.captured_end = len(frame) - cut
        packet.encapsulation = tunnel
        self.context.now = self.now
        self.table.advance(self.now)
        assert self.decoder.link(packet, LINKTYPE_ETHERNET if macs != b"" else LINKTYPE_RAW) == IP
        assert self.decoder.ip(packet, len(frame)) == IP_WHOLE
        if packet.protocol == TCP:
            self.table.tcp(packet)
        elif packet.protocol == UDP:
            sender = self.table.udp(packet)
            if sender is not None:
                self.table.deliver(sender, packet)
        else:
            self.table.icmp(packet)
        self.table.packet_done(self.now)

    def udp(
        self,
        source_port: int,
        destination_port: int,
        payload: bytes = b"",
        at: float | None = None,
        *,
        reply: bool = False,
        length: int = -1,
        cut: int = 0,
        source: bytes = CLIENT,
        destination: bytes = SERVER,
    ) -> None:
        """A datagram; a reply goes from the server to the client."""
        size = 8 + len(payload) if length < 0 else length
        datagram = struct.pack(">HHHH", source_port, destination_port, size, 0) + payload
        if reply:
            source, destination = destination, source
        self.put(ipv4(source, destination, UDP, datagram), at, cut=cut)

    def finish(self) -> list[ConnRow]:
        """End everything; all rows."""
        self.table.finish()
        return self.rows


class Talk:
    """A TCP conversation written as words, one segment each, a millisecond apart.

    A word begins with its side, ``c`` or ``s``. Then: flags (an ACK is added except to a lone SYN;
    ``n`` keeps it off); ``+N`` for N octets of payload; ``^N`` moves the sequence number back by N
    first (a retransmission); ``~N`` lets N octets go by unseen, without a segment; ``=N`` makes the
    acknowledgement N octets higher than what was seen; ``w0`` is a zero window; ``|N`` cuts the
    last N octets off the capture. ``.N`` alone waits N seconds.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        client_port: int = 40_000,
        server_port: int = 9_600,
        client_isn: int = 1_000,
        server_isn: int = 5_000,
    ) -> None:
        self.wire = wire
        self.port = {"c": client_port, "s": server_port}
        self.address = {"c": CLIENT, "s": SERVER}
        self.isn = {"c": client_isn, "s": server_isn}
        self.next = {"c": client_isn, "s": server_isn}
        self.at = (wire.now - NOON) / SECOND
        self.alphabet = {"c": b"abcdefghij", "s": b"0123456789"}

    def say(self, words: str) -> Talk:
        """Send the segments."""
        for word in words.split():
            self._word(word)
        return self

    def octets(self, side: str, seq: int, length: int) -> bytes:
        """The payload that stands at ``seq`` of a side's stream, whenever it is asked for."""
        first = seq - self.isn[side] - 1
        letters = self.alphabet[side]
        return bytes(letters[(first + index) % 10] for index in range(length))

    def _word(self, word: str) -> None:
        if word[0] == ".":
            self.at += float(word[1:])
            return
        side = word[0]
        other = "s" if side == "c" else "c"
        flags = ""
        numbers = {"+": 0, "^": 0, "~": 0, "=": 0, "|": 0, "w": 8192}
        position = 1
        bare = False
        while position < len(word):
            letter = word[position]
            position += 1
            if letter in numbers:
                end = position
                while end < len(word) and word[end].isdigit():
                    end += 1
                numbers[letter] = int(word[position:end])
                position = end
            elif letter == "n":
                bare = True
            else:
                flags += letter
        if numbers["~"] > 0:
            self.next[side] += numbers["~"]
            return
        if not bare and "A" not in flags and flags != "S":
            flags += "A"
        seq = self.next[side] - numbers["^"]
        payload = self.octets(side, seq + ("S" in flags), numbers["+"])
        ack = self.next[other] + numbers["="] if "A" in flags else 0
        segment = tcp_segment(
            self.port[side], self.port[other], flags, seq, ack, payload, window=numbers["w"]
        )
        self.at += 0.001
        self.wire.put(
            ipv4(self.address[side], self.address[other], TCP, segment), self.at, cut=numbers["|"]
        )
        end = seq + len(payload) + ("S" in flags) + ("F" in flags)
        self.next[side] = max(self.next[side], end)
