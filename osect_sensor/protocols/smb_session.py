"""What an SMB connection remembers across messages: pipes, and the protocols inside SMB."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Connection
from osect_sensor.protocols.dce_rpc import DceRpcAnalyzer
from osect_sensor.protocols.embedded import feed_embedded
from osect_sensor.protocols.fields import FieldReader
from osect_sensor.protocols.gssapi import GssapiAnalyzer
from osect_sensor.protocols.ntlm import NtlmAnalyzer

MAX_PENDING: Final = 1000
"""Messages, files or pipes remembered in each table before it is emptied (Zeek's
``SMB::max_pending_messages`` and ``max_dce_rpc_analyzers``)."""

MAX_TREES: Final = 65_536
"""Trees known to be pipes; SMB 1 numbers them with 16 bits."""

PIPE_NAMES: Final[set[bytes]] = {
    b"spoolss",
    b"winreg",
    b"samr",
    b"srvsvc",
    b"netdfs",
    b"lsarpc",
    b"wkssvc",
    b"MsFteWds",
}
"""Files that reveal a pipe when the tree's connection was not seen (Zeek's ``pipe_filenames``)."""


@final
class SmbSession:
    """State of one SMB connection, shared by both dialects."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._gssapi: GssapiAnalyzer | None = None
        self._ntlm: NtlmAnalyzer | None = None
        self._pipe_trees: Final[dict[int, bool]] = {}
        self._pipes: Final[dict[int, DceRpcAnalyzer]] = {}
        self.transactions: Final[dict[int, bool]] = {}
        """SMB 1: whether the transaction with this multiplex id goes to a pipe."""
        self.request_trees: Final[dict[int, int]] = {}
        """SMB 2: tree of the request with this message id, for the reply may not say it."""
        self.read_files: Final[dict[int, int]] = {}
        """SMB 2: file that the read with this message id reads."""
        self.control_files: Final[dict[int, int]] = {}
        """SMB 2: file that the IOCTL with this message id addresses."""

    def authenticate(self, token: bytes, from_orig: bool) -> None:
        """Hand a security blob on: SPNEGO, or NTLM bare."""
        if len(token) < 8:
            return
        if token.startswith(b"NTLMSSP"):
            ntlm = self._ntlm
            if ntlm is None:
                ntlm = NtlmAnalyzer(self._connection)
                self._ntlm = ntlm
            feed_embedded(ntlm, from_orig, token)
            return
        gssapi = self._gssapi
        if gssapi is None:
            gssapi = GssapiAnalyzer(self._connection)
            self._gssapi = gssapi
        feed_embedded(gssapi, from_orig, token)

    def is_pipe(self, tree: int) -> bool:
        """Whether ``tree`` is known to hold pipes."""
        return tree in self._pipe_trees

    def mark_pipe(self, tree: int) -> None:
        """Remember that ``tree`` holds pipes."""
        if len(self._pipe_trees) >= MAX_TREES:
            self._connection.context.counters.count("smb_trees_dropped")
            self._pipe_trees.clear()
        self._pipe_trees[tree] = True

    def forget_tree(self, tree: int) -> None:
        """Forget that ``tree`` holds pipes."""
        self._pipe_trees.pop(tree, None)

    def pipe_data(self, file: int, data: bytes, from_orig: bool) -> None:
        """Hand what was written to or read from a pipe to its DCE RPC analyzer."""
        analyzer = self._pipes.get(file)
        if analyzer is None:
            if len(self._pipes) >= MAX_PENDING:
                self._connection.context.counters.count("smb_pipes_dropped")
                self._pipes.clear()
            analyzer = DceRpcAnalyzer(self._connection)
            self._pipes[file] = analyzer
        feed_embedded(analyzer, from_orig, data)

    def close_pipe(self, file: int) -> None:
        """Forget the analyzer of a pipe that is closed."""
        self._pipes.pop(file, None)

    def make_room(self, table_size: int) -> bool:
        """Whether a table of that size is full and must be emptied first."""
        if table_size < MAX_PENDING:
            return False
        self._connection.context.counters.count("smb_pending_messages_dropped")
        return True

    def finish(self) -> None:
        """Drop everything."""
        self._gssapi = None
        self._ntlm = None
        self._pipe_trees.clear()
        self._pipes.clear()
        self.transactions.clear()
        self.request_trees.clear()
        self.read_files.clear()
        self.control_files.clear()


def skip_string(reader: FieldReader, unicode: bool, offset: int) -> None:
    """Step over an SMB string up to its terminator, or to the end where it has none.

    ``offset`` is what decides by its parity whether a pad octet aligns a UTF-16 string.
    """
    if unicode:
        reader.skip(offset & 1)
    if reader.failed:
        return
    data = reader.data
    start = reader.position
    if unicode:
        at = data.find(b"\x00\x00", start, reader.end)
        while at >= 0 and (at - start) & 1 != 0:
            at = data.find(b"\x00\x00", at + 1, reader.end)
        reader.position = reader.end if at < 0 else at + 2
    else:
        at = data.find(b"\x00", start, reader.end)
        reader.position = reader.end if at < 0 else at + 1


def is_pipe_name(name: bytes, unicode: bool) -> bool:
    """Whether a file name, as it stands in a message, is one of ``PIPE_NAMES``."""
    if len(name) > 64:
        return False
    if not unicode:
        return (name[:-1] if name.endswith(b"\x00") else name) in PIPE_NAMES
    characters: list[int] = []
    for index in range(0, len(name), 2):
        if index + 1 < len(name) and name[index + 1] != 0:
            return False
        if name[index] == 0:
            break
        characters.append(name[index])
    return bytes(characters) in PIPE_NAMES
