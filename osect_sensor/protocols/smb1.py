"""SMB 1 messages (MS-CIFS 2.2.4) as far as service detection needs them.

Messages of unknown commands pass; those of known ones must have room for all their fields. A
message may chain further ones (AndX); what they carry counts once the whole chain has parsed.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.protocols.fields import FieldReader
from osect_sensor.protocols.smb_session import SmbSession, is_pipe_name, skip_string
from osect_sensor.wire.octets import u16le

_HEADER: Final = 32
"""Octets of the SMB header, the protocol identifier included."""
_EMPTY_MESSAGE: Final = 35
"""Length of a message that has neither parameters nor data: an error, mostly."""

_UNICODE: Final = 0x8000
"""Bit of the header's second flags: strings are UTF-16."""
_EXTENDED_SECURITY: Final = 0x80000000
"""Capability: the negotiation carries a security blob."""

# Commands (MS-CIFS 2.2.2.1).
_CLOSE: Final = 0x04
_QUERY_INFORMATION: Final = 0x08
_CHECK_DIRECTORY: Final = 0x10
_LOCKING_ANDX: Final = 0x24
_TRANSACTION: Final = 0x25
_TRANSACTION_SECONDARY: Final = 0x26
_ECHO: Final = 0x2B
_READ_ANDX: Final = 0x2E
_WRITE_ANDX: Final = 0x2F
_TRANSACTION2: Final = 0x32
_TRANSACTION2_SECONDARY: Final = 0x33
_TREE_DISCONNECT: Final = 0x71
_NEGOTIATE: Final = 0x72
_SESSION_SETUP_ANDX: Final = 0x73
_LOGOFF_ANDX: Final = 0x74
_TREE_CONNECT_ANDX: Final = 0x75
_NT_TRANSACT: Final = 0xA0
_NT_CREATE_ANDX: Final = 0xA2
_NT_CANCEL: Final = 0xA4
_NO_COMMAND: Final = 0xFF

# Subcommands of TRANSACTION2 (MS-CIFS 2.2.2.2).
_FIND_FIRST2: Final = 0x01
_QUERY_PATH_INFORMATION: Final = 0x05
_QUERY_FILE_INFORMATION: Final = 0x07
_GET_DFS_REFERRAL: Final = 0x10

# What to do once a chain has parsed.
_AUTHENTICATE: Final = 0
_PIPE_DATA: Final = 1
_MARK_PIPE: Final = 2


@final
class _Action:
    """A consequence of a message, held back until the chain it heads has parsed."""

    __slots__ = ("data", "from_orig", "kind")

    def __init__(self, kind: int, data: bytes, from_orig: bool) -> None:
        self.kind: Final = kind
        self.data: Final = data
        self.from_orig: Final = from_orig


@final
class _Chain:
    """A message and those chained to it, while they are parsed."""

    __slots__ = ("actions", "command", "multiplex", "request", "session", "tree", "unicode")

    def __init__(self, session: SmbSession, reader: FieldReader, from_orig: bool) -> None:
        position = reader.advance(_HEADER - 4)
        flags = 0 if position < 0 else u16le(reader.data, position + 6)
        self.session: Final = session
        self.unicode: Final = flags & _UNICODE != 0
        self.tree: Final = 0 if position < 0 else u16le(reader.data, position + 20)
        self.multiplex: Final = 0 if position < 0 else u16le(reader.data, position + 26)
        self.command: int = _NO_COMMAND if position < 0 else reader.data[position]
        """Command of the message to be parsed next."""
        self.request: bool = from_orig
        """Whether that message is a request; Zeek takes some replies' followers for requests."""
        self.actions: Final[list[_Action]] = []


def parse_smb1(
    session: SmbSession, reader: FieldReader, message_length: int, from_orig: bool
) -> None:
    """Parse one message after its protocol identifier; ``reader.failed`` tells if it is none."""
    start = reader.position - 4
    chain = _Chain(session, reader, from_orig)
    if message_length == _EMPTY_MESSAGE:
        reader.skip(3)
        return
    while chain.command != _NO_COMMAND and not reader.failed:
        record = reader.record()
        offset = record.position - start
        if chain.request:
            _request(chain, record, offset)
        else:
            _response(chain, record, offset)
        reader.resume(record)
    if reader.failed:
        return
    for action in reversed(chain.actions):
        if action.kind == _AUTHENTICATE:
            session.authenticate(action.data, action.from_orig)
        elif action.kind == _PIPE_DATA:
            session.pipe_data(0, action.data, action.from_orig)
        else:
            session.mark_pipe(chain.tree)


def _request(chain: _Chain, reader: FieldReader, offset: int) -> None:
    command = chain.command
    chain.command = _NO_COMMAND
    if command == _SESSION_SETUP_ANDX:
        _session_setup_request(chain, reader, offset)
    elif command == _TREE_CONNECT_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(2)
        password = reader.u16le()
        reader.skip(2)
        reader.skip(password)
        skip_string(reader, chain.unicode, reader.offset())
        skip_string(reader, False, 0)
        _follow(chain, reader, offset, True)
    elif command == _NT_CREATE_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(46)
        start = reader.position + (1 if chain.unicode else 0)
        skip_string(reader, chain.unicode, reader.offset())
        if not reader.failed and not chain.session.is_pipe(chain.tree):
            if is_pipe_name(reader.data[start : reader.position], chain.unicode):
                chain.actions.append(_Action(_MARK_PIPE, b"", True))
        _follow(chain, reader, offset, True)
    elif command == _READ_ANDX:
        words = reader.u8()
        _andx(chain, reader)
        reader.skip(22 if words == 0x0C else 18)
        _follow(chain, reader, offset, True)
    elif command == _WRITE_ANDX:
        words = reader.u8()
        _andx(chain, reader)
        reader.skip(14)
        high = reader.u16le()
        low = reader.u16le()
        data_offset = reader.u16le()
        reader.skip(6 if words == 0x0E else 2)
        reader.pad_to(data_offset - _HEADER)
        data = reader.take(high << 16 | low)
        if chain.session.is_pipe(chain.tree):
            chain.actions.append(_Action(_PIPE_DATA, data, True))
        _follow(chain, reader, offset, True)
    elif command == _LOCKING_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(8)
        unlocks = reader.u16le()
        locks = reader.u16le()
        reader.skip(2)
        reader.skip(20 * (unlocks + locks))
        _follow(chain, reader, offset, True)
    elif command == _LOGOFF_ANDX:
        _logoff(chain, reader, offset)
    elif command == _TRANSACTION:
        _transaction_request(chain, reader)
    elif command == _TRANSACTION_SECONDARY:
        _secondary(reader, 4)
    elif command == _TRANSACTION2:
        _transaction2_request(chain, reader)
    elif command == _TRANSACTION2_SECONDARY:
        reader.skip(_secondary(reader, 6))
    elif command == _NEGOTIATE:
        reader.skip(1)
        dialects = reader.part(reader.u16le())
        while dialects.remaining() > 0:
            dialects.skip(1)
            skip_string(dialects, False, 0)
        if dialects.failed:
            reader.failed = True
    elif command == _CLOSE:
        reader.skip(9)
    elif command in (_QUERY_INFORMATION, _CHECK_DIRECTORY):
        reader.skip(4)
        skip_string(reader, chain.unicode, reader.offset())
    elif command == _ECHO:
        reader.skip(3)
        reader.skip(reader.u16le())
    elif command in (_TREE_DISCONNECT, _NT_CANCEL):
        reader.skip(3)
    elif command == _NT_TRANSACT:
        reader.skip(1)
    else:
        reader.skip(reader.remaining())


def _response(chain: _Chain, reader: FieldReader, offset: int) -> None:
    command = chain.command
    chain.command = _NO_COMMAND
    if command == _SESSION_SETUP_ANDX:
        _session_setup_response(chain, reader, offset)
    elif command == _TREE_CONNECT_ANDX:
        words = reader.u8()
        _andx(chain, reader)
        if words >= 3:
            reader.skip(2 + 2 * (words - 3))
        octets = reader.u16le()
        start = reader.position
        skip_string(reader, False, 0)
        if not reader.failed:
            if reader.data[start : reader.position].startswith(b"IPC"):
                chain.actions.append(_Action(_MARK_PIPE, b"", False))
            if octets > reader.position - start:
                _skip_present_string(chain, reader, reader.offset())
        _follow(chain, reader, offset, False)
    elif command == _NT_CREATE_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(66)
        _follow(chain, reader, offset, False)
    elif command == _READ_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(6)
        low = reader.u16le()
        data_offset = reader.u16le()
        high = reader.u16le()
        reader.skip(10)
        reader.pad_to(data_offset - _HEADER)
        data = reader.take(high << 16 | low)
        if chain.session.is_pipe(chain.tree):
            chain.actions.append(_Action(_PIPE_DATA, data, False))
        _follow(chain, reader, offset, False)
    elif command == _WRITE_ANDX:
        reader.skip(1)
        _andx(chain, reader)
        reader.skip(10)
        _follow(chain, reader, offset, False)
    elif command == _LOCKING_ANDX:
        pass
    elif command == _LOGOFF_ANDX:
        _logoff(chain, reader, offset)
    elif command == _TRANSACTION:
        _transaction_response(chain, reader)
    elif command == _TRANSACTION2:
        reader.skip(21)
        reader.skip(reader.u16le())
    elif command == _NEGOTIATE:
        _negotiate_response(chain, reader)
    elif command in (_CLOSE, _CHECK_DIRECTORY, _TREE_DISCONNECT):
        reader.skip(3)
    elif command == _QUERY_INFORMATION:
        reader.skip(25)
    elif command == _ECHO:
        reader.skip(3)
        reader.skip(reader.u16le())
    elif command == _NT_TRANSACT:
        reader.skip(1)
    else:
        reader.skip(reader.remaining())


def _andx(chain: _Chain, reader: FieldReader) -> None:
    """The AndX block (MS-CIFS 2.2.3.4): which command follows. It is always the second field."""
    chain.command = reader.u8()
    reader.skip(3)


def _follow(chain: _Chain, reader: FieldReader, offset: int, request: bool) -> None:
    """Step to the message chained next, ``offset`` being where in the SMB this one began.

    The next message is taken to begin where this one ends, save for a pad octet that the AndX
    block's offset may reveal; an offset that points back makes the message malformed.
    """
    chain.request = request
    if reader.failed:
        return
    announced = u16le(reader.data, reader.start + 3)
    here = offset + reader.offset()
    if announced != 0 and announced < here + 2:
        reader.skip(announced - here)


def _logoff(chain: _Chain, reader: FieldReader, offset: int) -> None:
    reader.skip(1)
    _andx(chain, reader)
    reader.skip(2)
    _follow(chain, reader, offset, True)


def _session_setup_request(chain: _Chain, reader: FieldReader, offset: int) -> None:
    """The three forms differ in their number of parameter words (MS-CIFS 2.2.4.53, MS-SMB)."""
    words = reader.u8()
    _andx(chain, reader)
    blob = b""
    strings = 4
    if words == 0x0A:
        reader.skip(10)
        password = reader.u16le()
        reader.skip(6)
        reader.skip(password)
    elif words == 0x0C:
        reader.skip(10)
        length = reader.u16le()
        reader.skip(10)
        blob = reader.take(length)
        strings = 2
    elif words == 0x0D:
        reader.skip(10)
        insensitive = reader.u16le()
        sensitive = reader.u16le()
        reader.skip(10)
        reader.skip(insensitive + sensitive)
    else:
        reader.failed = True
    for _ in range(strings):
        skip_string(reader, chain.unicode, reader.offset())
    if words == 0x0C:
        chain.actions.append(_Action(_AUTHENTICATE, blob, True))
    _follow(chain, reader, offset, True)


def _session_setup_response(chain: _Chain, reader: FieldReader, offset: int) -> None:
    words = reader.u8()
    if words not in (3, 4):
        reader.skip(2)
        return
    _andx(chain, reader)
    reader.skip(2)
    if words == 3:
        if reader.u16le() != 0:
            for _ in range(3):
                _skip_present_string(chain, reader, reader.offset())
    else:
        length = reader.u16le()
        reader.skip(2)
        blob = reader.take(length)
        skip_string(reader, chain.unicode, reader.offset())
        skip_string(reader, chain.unicode, reader.offset())
        chain.actions.append(_Action(_AUTHENTICATE, blob, False))
    _follow(chain, reader, offset, False)


def _skip_present_string(chain: _Chain, reader: FieldReader, offset: int) -> None:
    """Step over a string of which at least an octet must be there."""
    if reader.remaining() == 0:
        reader.failed = True
    skip_string(reader, chain.unicode, offset)


def _negotiate_response(chain: _Chain, reader: FieldReader) -> None:
    """The three forms differ in their number of parameter words (MS-CIFS 2.2.4.52.2, MS-SMB)."""
    words = reader.u8()
    reader.skip(2)
    body = reader.record()
    if words == 0x01:
        body.skip(2)
    elif words == 0x0D:
        body.skip(28)
        key = body.u16le()
        body.skip(4)
        body.skip(key)
        skip_string(body, chain.unicode, body.offset())
    elif words == 0x11:
        body.skip(17)
        capabilities = body.u32le()
        body.skip(10)
        key = body.u8()
        octets = body.u16le()
        if capabilities & _EXTENDED_SECURITY != 0:
            body.skip(16)
            blob = body.take(octets - 16)
            if not body.failed:
                chain.session.authenticate(blob, False)
        else:
            body.skip(key)
            skip_string(body, chain.unicode, body.offset())
    else:
        body.failed = True
    reader.resume(body)


def _transaction_request(chain: _Chain, reader: FieldReader) -> None:
    reader.skip(19)
    parameters = reader.u16le()
    parameter_offset = reader.u16le()
    reader.skip(2)
    data_offset = reader.u16le()
    setup = reader.u8()
    reader.skip(1)
    reader.skip(2 * setup)
    reader.skip(2)
    start = reader.position
    if chain.unicode:
        start += reader.offset() & 1
    skip_string(reader, chain.unicode, reader.offset())
    end = reader.position
    reader.pad_to(parameter_offset - _HEADER)
    reader.skip(parameters)
    reader.pad_to(data_offset - _HEADER)
    data = reader.rest()
    if reader.failed:
        return
    step = 2 if chain.unicode else 1
    name = reader.data[start:end]
    named_pipe = name[: 6 * step : step] == b"\\PIPE\\"
    remote_administration = name[6 * step : 12 * step : step] == b"LANMAN"
    to_pipe = named_pipe and not remote_administration
    if to_pipe:
        chain.session.pipe_data(0, data, True)
    elif not named_pipe:
        to_pipe = chain.session.is_pipe(chain.tree)
    chain.session.transactions[chain.multiplex] = to_pipe


def _transaction_response(chain: _Chain, reader: FieldReader) -> None:
    reader.skip(7)
    parameters = reader.u16le()
    parameter_offset = reader.u16le()
    reader.skip(2)
    octets = reader.u16le()
    data_offset = reader.u16le()
    reader.skip(2)
    setup = reader.u8()
    reader.skip(1)
    reader.skip(2 * setup)
    reader.skip(2)
    reader.pad_to(parameter_offset - _HEADER)
    reader.skip(parameters)
    reader.pad_to(data_offset - _HEADER)
    if octets == 0 or reader.failed:
        return
    if reader.remaining() == 0:
        reader.failed = True
        return
    data = reader.rest()
    if chain.session.transactions.pop(chain.multiplex, False):
        chain.session.pipe_data(0, data, False)


def _secondary(reader: FieldReader, tail: int) -> int:
    """A secondary transaction up to its data; ``tail`` octets stand between counts and bytes.

    Answers the number of data octets announced.
    """
    reader.skip(5)
    parameters = reader.u16le()
    parameter_offset = reader.u16le()
    reader.skip(2)
    octets = reader.u16le()
    data_offset = reader.u16le()
    reader.skip(tail)
    reader.pad_to(parameter_offset - _HEADER)
    reader.skip(parameters)
    reader.pad_to(data_offset - _HEADER)
    return octets


def _transaction2_request(chain: _Chain, reader: FieldReader) -> None:
    reader.skip(21)
    parameter_offset = reader.u16le()
    reader.skip(6)
    subcommand = reader.u16le()
    reader.skip(2)
    reader.pad_to(parameter_offset - _HEADER)
    body = reader.record()
    if subcommand == _FIND_FIRST2:
        body.skip(12)
        skip_string(body, chain.unicode, 12)
    elif subcommand == _QUERY_PATH_INFORMATION:
        body.skip(6)
        skip_string(body, chain.unicode, 6)
    elif subcommand == _QUERY_FILE_INFORMATION:
        body.skip(4)
    elif subcommand == _GET_DFS_REFERRAL:
        body.skip(2)
        skip_string(body, chain.unicode, 2)
    reader.resume(body)
