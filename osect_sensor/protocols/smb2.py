"""SMB 2 and 3 messages (MS-SMB2 2.2) as far as service detection needs them."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.protocols.fields import FieldReader, signed32
from osect_sensor.protocols.smb_session import SmbSession, is_pipe_name

_HEADER: Final = 60
"""Octets of the header after the protocol identifier."""
_TRANSFORM_HEADER: Final = 48
"""Octets of the header of an encrypted message after the protocol identifier."""

# Commands (MS-SMB2 2.2.1.2).
_NEGOTIATE: Final = 0
_SESSION_SETUP: Final = 1
_TREE_CONNECT: Final = 3
_TREE_DISCONNECT: Final = 4
_CREATE: Final = 5
_CLOSE: Final = 6
_FLUSH: Final = 7
_READ: Final = 8
_WRITE: Final = 9
_LOCK: Final = 10
_IOCTL: Final = 11
_CANCEL: Final = 12
_ECHO: Final = 13
_QUERY_DIRECTORY: Final = 14
_CHANGE_NOTIFY: Final = 15
_QUERY_INFO: Final = 16
_SET_INFO: Final = 17
_OPLOCK_BREAK: Final = 18

# Statuses (MS-ERREF 2.3.1) with which a reply may be something else than an error.
_SUCCESS: Final = 0
_PENDING: Final = 0x00000103
_NOTIFY_ENUM_DIR: Final = 0x0000010C
_BUFFER_OVERFLOW: Final = 0x80000005
_INVALID_PARAMETER: Final = 0xC000000D
_MORE_PROCESSING_REQUIRED: Final = 0xC0000016

_PIPE_SHARE: Final = 2
"""Share type of a tree that holds pipes."""
_PIPE_TRANSCEIVE: Final = 0x0011C017
"""Control code FSCTL_PIPE_TRANSCEIVE: write to a pipe and read from it at once."""
_DIALECT_311: Final = 0x0311


@final
class _Header:
    """The header's fields that the messages need."""

    __slots__ = (
        "command",
        "is_pipe",
        "length",
        "message",
        "next_command",
        "status",
        "tree",
    )

    def __init__(self, session: SmbSession, reader: FieldReader, from_orig: bool) -> None:
        self.length: Final = reader.u16le()
        reader.skip(2)
        self.status: Final = reader.u32le()
        self.command: Final = reader.u16le()
        reader.skip(6)
        self.next_command: Final = reader.u32le()
        self.message: Final = reader.u64le()
        reader.skip(4)
        self.tree: Final = reader.u32le()
        reader.skip(24)
        tree = self.tree
        if not from_orig:
            tree = session.request_trees.get(self.message, 0)
        self.is_pipe: Final = session.is_pipe(tree)


def parse_transform_header(reader: FieldReader) -> None:
    """Step over the header of an encrypted message; what follows cannot be read."""
    reader.skip(_TRANSFORM_HEADER)


def parse_smb2(session: SmbSession, reader: FieldReader, from_orig: bool) -> bool:
    """Parse one message after its protocol identifier; true when another follows.

    ``reader.failed`` tells if it is no such message.
    """
    header = _Header(session, reader, from_orig)
    if reader.failed:
        return False
    if from_orig:
        if session.make_room(len(session.request_trees)):
            session.request_trees.clear()
        session.request_trees[header.message] = header.tree
    elif header.status != _PENDING:
        session.request_trees.pop(header.message, None)
    body = reader.record()
    if from_orig:
        _request(session, header, body)
    elif _is_error(header):
        body.skip(4)
        body.skip(body.u32le())
    else:
        _response(session, header, body)
    length = body.offset()
    reader.resume(body)
    if header.next_command != 0:
        reader.skip(header.next_command - header.length - length)
    return header.next_command != 0


def _is_error(header: _Header) -> bool:
    """Whether a reply is an error response (MS-SMB2 3.3.4.4)."""
    status = header.status
    command = header.command
    if status == _SUCCESS:
        return False
    if status == _BUFFER_OVERFLOW:
        return command not in (_IOCTL, _QUERY_INFO, _READ)
    if status == _INVALID_PARAMETER:
        return command != _IOCTL
    if status == _MORE_PROCESSING_REQUIRED:
        return command != _SESSION_SETUP
    if status == _NOTIFY_ENUM_DIR:
        return command != _CHANGE_NOTIFY
    return True


def _file(reader: FieldReader) -> int:
    """A file id, folded into one number as Zeek does."""
    persistent = reader.u64le()
    return (persistent + reader.u64le()) & 0xFFFFFFFFFFFFFFFF


def _pad_to_far(reader: FieldReader, header: _Header, offset: int) -> None:
    """Step to a 32-bit offset from the header's start; one inside the header is malformed."""
    reader.pad_to((offset - header.length) & 0xFFFFFFFF)


def _request(session: SmbSession, header: _Header, reader: FieldReader) -> None:
    command = header.command
    if command == _NEGOTIATE:
        reader.skip(2)
        dialects = reader.u16le()
        reader.skip(32 + 2 * dialects)
    elif command == _SESSION_SETUP:
        reader.skip(12)
        offset = reader.u16le()
        length = reader.u16le()
        reader.pad_to(offset - header.length)
        blob = reader.take(length)
        if not reader.failed:
            session.authenticate(blob, True)
    elif command == _TREE_CONNECT:
        reader.skip(4)
        offset = reader.u16le()
        length = reader.u16le()
        reader.pad_to(offset - header.length)
        reader.skip(length)
    elif command == _TREE_DISCONNECT:
        reader.skip(4)
        if not reader.failed:
            session.forget_tree(header.tree)
    elif command == _CREATE:
        reader.skip(44)
        name_offset = reader.u16le()
        name_length = reader.u16le()
        context_offset = reader.u32le()
        context_length = reader.u32le()
        reader.pad_to(name_offset - header.length)
        name = reader.take(name_length)
        if context_offset != 0:
            _pad_to_far(reader, header, context_offset)
        reader.skip(context_length)
        if not reader.failed and not header.is_pipe and is_pipe_name(name, True):
            session.mark_pipe(header.tree)
    elif command == _CLOSE:
        reader.skip(8)
        file = _file(reader)
        if not reader.failed:
            session.close_pipe(file)
    elif command == _READ:
        reader.skip(16)
        file = _file(reader)
        reader.skip(12)
        offset = reader.u16le()
        length = reader.u16le()
        reader.pad_to(offset - header.length)
        reader.skip(length)
        if not reader.failed:
            if session.make_room(len(session.read_files)):
                session.read_files.clear()
            session.read_files[header.message] = file
    elif command == _WRITE:
        reader.skip(2)
        offset = reader.u16le()
        length = reader.u32le()
        reader.skip(8)
        file = _file(reader)
        reader.skip(16)
        reader.pad_to(offset - header.length)
        data = reader.take(length)
        if not reader.failed and header.is_pipe:
            session.pipe_data(file, data, True)
    elif command == _LOCK:
        reader.skip(2)
        locks = reader.u16le()
        reader.skip(20 + 20 * locks)
    elif command == _IOCTL:
        reader.skip(4)
        code = reader.u32le()
        file = _file(reader)
        input_offset = reader.u32le()
        input_length = reader.u32le()
        reader.skip(4)
        output_offset = reader.u32le()
        output_length = reader.u32le()
        reader.skip(12)
        data = _control_buffer(reader, header, input_offset, input_length)
        if output_offset == input_offset:
            output_offset = 0
        _control_buffer(reader, header, output_offset, output_length)
        if not reader.failed:
            if code == _PIPE_TRANSCEIVE:
                session.pipe_data(file, data, True)
            if session.make_room(len(session.control_files)):
                session.control_files.clear()
            session.control_files[header.message] = file
    elif command == _QUERY_DIRECTORY:
        reader.skip(24)
        offset = reader.u16le()
        length = reader.u16le()
        reader.skip(4)
        reader.pad_to(offset - header.length)
        reader.skip(length)
    elif command == _QUERY_INFO:
        reader.skip(8)
        offset = reader.u16le()
        reader.skip(2)
        length = reader.u32le()
        reader.skip(24)
        reader.pad_to(offset - header.length)
        reader.skip(length)
    elif command == _SET_INFO:
        _set_info(header, reader)
    elif command in (_FLUSH, _OPLOCK_BREAK):
        reader.skip(24)
    elif command in (_CANCEL, _ECHO):
        reader.skip(4)
    elif command == _CHANGE_NOTIFY:
        reader.skip(32)


def _response(session: SmbSession, header: _Header, reader: FieldReader) -> None:
    command = header.command
    if command == _NEGOTIATE:
        _negotiate_response(session, header, reader)
    elif command == _SESSION_SETUP:
        reader.skip(4)
        offset = reader.u16le()
        length = reader.u16le()
        reader.pad_to(offset - header.length)
        blob = reader.take(length)
        if not reader.failed:
            session.authenticate(blob, False)
    elif command == _TREE_CONNECT:
        reader.skip(2)
        share = reader.u8()
        reader.skip(13)
        if not reader.failed and share == _PIPE_SHARE:
            session.mark_pipe(header.tree)
    elif command == _CREATE:
        reader.skip(80)
        context_offset = reader.u32le()
        context_length = reader.u32le()
        if context_offset != 0:
            _pad_to_far(reader, header, context_offset)
        reader.skip(context_length)
    elif command == _CLOSE:
        reader.skip(60)
    elif command == _READ:
        reader.skip(2)
        offset = reader.u8()
        reader.skip(1)
        length = reader.u32le()
        reader.skip(8)
        reader.pad_to(offset - header.length)
        data = reader.take(length)
        if not reader.failed:
            file = session.read_files.get(header.message, 0)
            if header.status != _PENDING:
                session.read_files.pop(header.message, None)
            if header.is_pipe:
                session.pipe_data(file, data, False)
    elif command == _WRITE:
        reader.skip(16)
    elif command == _IOCTL:
        reader.skip(4)
        code = reader.u32le()
        reader.skip(16)
        input_offset = reader.u32le()
        input_length = reader.u32le()
        output_offset = reader.u32le()
        output_length = reader.u32le()
        reader.skip(8)
        _control_buffer(reader, header, input_offset, input_length)
        if output_offset == input_offset:
            output_offset = 0
        data = _control_buffer(reader, header, output_offset, output_length)
        if not reader.failed:
            file = session.control_files.pop(header.message, 0)
            if code == _PIPE_TRANSCEIVE:
                session.pipe_data(file, data, False)
    elif command in (_QUERY_DIRECTORY, _QUERY_INFO):
        reader.skip(2)
        offset = reader.u16le()
        length = reader.u32le()
        reader.pad_to(offset - header.length)
        reader.skip(length)
    elif command == _CHANGE_NOTIFY:
        reader.skip(2)
        offset = reader.u16le()
        length = reader.u32le()
        reader.pad_to(offset - header.length)
        changes = reader.part(length)
        while changes.remaining() > 0:
            changes.skip(8)
            changes.skip(changes.u32le())
        if changes.failed:
            reader.failed = True
    elif command == _OPLOCK_BREAK:
        reader.skip(24)
    elif command in (_TREE_DISCONNECT, _FLUSH, _LOCK, _ECHO):
        reader.skip(4)
    elif command == _SET_INFO:
        reader.skip(2)


def _control_buffer(reader: FieldReader, header: _Header, offset: int, length: int) -> bytes:
    """A buffer of an IOCTL, after as many octets as the cursor is ahead of its offset.

    That is the wrong way round for a pad, but nobody pads there, so nobody noticed.
    """
    if offset != 0:
        reader.skip(signed32(reader.offset() + header.length - offset))
    return reader.take(length)


def _negotiate_response(session: SmbSession, header: _Header, reader: FieldReader) -> None:
    reader.skip(4)
    dialect = reader.u16le()
    contexts = reader.u16le()
    reader.skip(50)
    length = reader.u16le()
    context_offset = reader.u32le()
    blob = reader.take(length)
    if dialect == _DIALECT_311:
        _pad_to_far(reader, header, context_offset)
        for index in range(contexts):
            if reader.failed:
                return
            context = reader.record()
            _negotiate_context(context)
            if index < contexts - 1:
                context.align(8)
            reader.resume(context)
    if not reader.failed:
        session.authenticate(blob, False)


def _negotiate_context(reader: FieldReader) -> None:
    """One SMB2_NEGOTIATE_CONTEXT (MS-SMB2 2.2.3.1)."""
    kind = reader.u16le()
    length = reader.u16le()
    reader.skip(4)
    if kind == 1:
        hashes = reader.u16le()
        salt = reader.u16le()
        reader.skip(2 * hashes + salt)
    elif kind == 2:
        reader.skip(2 * reader.u16le())
    elif kind == 3:
        algorithms = reader.u16le()
        reader.skip(6 + 2 * algorithms)
    else:
        reader.skip(length)


def _set_info(header: _Header, reader: FieldReader) -> None:
    """SET_INFO request (MS-SMB2 2.2.39) with the information classes of MS-FSCC 2.4 and 2.5."""
    reader.skip(2)
    kind = reader.u8()
    level = reader.u8()
    reader.skip(4)
    offset = reader.u16le()
    reader.skip(22)
    reader.pad_to(offset - header.length)
    if kind == 1:
        if level == 0x04:
            reader.skip(36)
        elif level in (0x0A, 0x0B):
            reader.skip(16)
            reader.skip(reader.u32le())
        elif level == 0x0D:
            reader.skip(1)
        elif level in (0x0E, 0x13, 0x14, 0x18, 0x27):
            reader.skip(8)
        elif level == 0x0F:
            _extended_attributes(reader)
        elif level == 0x10:
            reader.skip(4)
        elif level == 0x28:
            reader.skip(reader.u32le())
    elif kind == 2:
        if level == 0x06:
            reader.skip(48)
        elif level == 0x08:
            reader.skip(64)


def _extended_attributes(reader: FieldReader) -> None:
    """FILE_FULL_EA_INFORMATION entries (MS-FSCC 2.4.15), each pointing to the next."""
    while reader.remaining() > 0:
        entry = reader.record()
        next_entry = entry.u32le()
        entry.skip(1)
        name = entry.u8()
        value = entry.u16le()
        entry.skip(name + value)
        entry.pad_to(next_entry)
        reader.resume(entry)
        if next_entry == 0:
            return
