"""Reassembly of IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from mypy_extensions import i64

FRAGMENT_TIMEOUT: Final = 300 * 1_000_000
"""Microseconds a datagram may wait for its missing fragments (Zeek's ``frag_timeout``)."""

MAX_DATAGRAMS: Final = 16_384
"""Incomplete datagrams kept at once. Linux keeps about 4 MiB of fragments per namespace; with this
bound and the next a flood of fragments costs us 64 MiB at most."""

MAX_OCTETS: Final = 64 * 1024 * 1024
"""Octets kept in incomplete datagrams."""

EVICTED_AT_ONCE: Final = MAX_DATAGRAMS // 64
"""How many make room when a limit is reached."""

MAX_DATAGRAM_LENGTH: Final = 65_535 + 8 * 8192
"""The largest end of a fragment: the biggest offset plus the biggest payload."""


@final
class _Datagram:
    __slots__ = ("blocks", "expires", "headers", "octets", "size")

    def __init__(self, headers: bytes, expires: i64) -> None:
        self.headers: bytes = headers
        """IP header (and extension headers) of the fragment that came first."""
        self.expires: i64 = expires
        self.size: i64 = 0
        """Length of the whole payload, 0 until the last fragment told it."""
        self.octets: i64 = 0
        self.blocks: list[tuple[int, bytes]] = []
        """Offset and content, sorted, without overlaps: what came first stays."""

    def insert(self, offset: i64, content: bytes) -> None:
        """Add what is new of ``content``."""
        index = 0
        while index < len(self.blocks) and len(content) > 0:
            start, block = self.blocks[index]
            end = start + len(block)
            if end <= offset:
                index += 1
                continue
            if offset < start:
                head = content if offset + len(content) <= start else content[: start - offset]
                self.blocks.insert(index, (offset, head))
                self.octets += len(head)
                index += 1
                if offset + len(content) <= start:
                    return
            if offset + len(content) <= end:
                return
            content = content[end - offset :]
            offset = end
            index += 1
        if len(content) > 0:
            self.blocks.append((offset, content))
            self.octets += len(content)

    def complete(self) -> bytes | None:
        """The whole datagram, or None while something is missing."""
        if self.size == 0 or len(self.blocks) == 0 or self.blocks[0][0] != 0:
            return None
        reached = 0
        parts: list[bytes] = [self.headers]
        stuck = False
        for start, block in self.blocks:
            if start != reached:
                stuck = True
                break
            parts.append(block)
            reached = start + len(block)
        if reached < self.size:
            return None
        if not stuck and reached > self.size:
            self.size = reached
        return b"".join(parts)


@final
class FragmentTable:
    """Datagrams that are waiting for fragments."""

    __slots__ = ("_datagrams", "_next_expiry", "_octets", "expired", "refused")

    def __init__(self) -> None:
        self._datagrams: dict[bytes, _Datagram] = {}
        self._octets: i64 = 0
        self._next_expiry: i64 = 0
        self.expired: i64 = 0
        """Datagrams given up because a fragment did not come in time."""
        self.refused: i64 = 0
        """Datagrams given up because a limit was reached."""

    def __len__(self) -> int:
        return len(self._datagrams)

    def add(
        self,
        key: bytes,
        now: i64,
        headers: bytes,
        content: bytes,
        offset: i64,
        more_fragments: bool,
    ) -> bytes | None:
        """Take one fragment; returns headers and payload of the datagram it completes.

        ``key`` is source, destination and identification; ``now`` is in microseconds.
        """
        if now >= self._next_expiry:
            self._expire(now)
        datagram = self._datagrams.get(key)
        if datagram is None:
            if len(self._datagrams) >= MAX_DATAGRAMS or self._octets > MAX_OCTETS:
                self._evict()
            datagram = _Datagram(headers, now + FRAGMENT_TIMEOUT)
            self._datagrams[key] = datagram
        before = datagram.octets
        end = offset + len(content)
        if not more_fragments or (datagram.size != 0 and end > datagram.size):
            datagram.size = max(datagram.size, end)
        if end <= MAX_DATAGRAM_LENGTH:
            datagram.insert(offset, content)
        self._octets += datagram.octets - before
        whole = datagram.complete()
        if whole is not None:
            self._octets -= datagram.octets
            del self._datagrams[key]
        return whole

    def _evict(self) -> None:
        """Give up the oldest datagrams, many at once: finding the oldest of a dict is a search."""
        oldest: list[bytes] = []
        for key in self._datagrams:
            if len(oldest) == EVICTED_AT_ONCE:
                break
            oldest.append(key)
        for key in oldest:
            self._octets -= self._datagrams[key].octets
            del self._datagrams[key]
        self.refused += len(oldest)

    def _expire(self, now: i64) -> None:
        """Give up what waits too long; looks again in a second."""
        self._next_expiry = now + 1_000_000
        late: list[bytes] = []
        for key, datagram in self._datagrams.items():
            if datagram.expires > now:
                break
            late.append(key)
        for key in late:
            self._octets -= self._datagrams[key].octets
            del self._datagrams[key]
            self.expired += 1
