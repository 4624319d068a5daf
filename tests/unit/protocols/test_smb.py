from __future__ import annotations

import struct

import pytest

from osect_sensor.protocols.smb import SmbAnalyzer
from osect_sensor.protocols.smb_session import MAX_PENDING, is_pipe_name

UNICODE = 0x8000
EXTENDED = 0x80000000
MORE_PROCESSING = 0xC0000016
NTLM = b"NTLMSSP\0\x09\0\0\0"
SPNEGO = b"\xa1\x06\x30\x04"
BIND = (
    b"\x05\x00\x0b\x03\x10\0\0\0" + struct.pack("<HHI", 72, 0, 1)
    + bytes(8) + b"\x01\0\0\0" + b"\0\0\x01\0" + bytes(40)
)  # fmt: skip


def packet(message: bytes, kind: int = 0) -> bytes:
    return bytes([kind]) + len(message).to_bytes(3, "big") + message


def smb1(command: int, body: bytes, flags2: int = 0, tree: int = 1, multiplex: int = 1) -> bytes:
    head = struct.pack("<BIBH", command, 0, 0, flags2) + bytes(12)
    head += struct.pack("<HHHH", tree, 0, 0, multiplex)
    return packet(b"\xffSMB" + head + body)


def smb2_message(
    command: int, body: bytes, status: int = 0, message: int = 1, tree: int = 0, next_: int = 0
) -> bytes:
    head = struct.pack("<HHIHHIIQII", 64, 0, status, command, 0, 0, next_, message, 0, tree)
    return b"\xfeSMB" + head + bytes(24) + body


def smb2(command: int, body: bytes, status: int = 0, message: int = 1, tree: int = 0) -> bytes:
    return packet(smb2_message(command, body, status, message, tree))


ECHO = smb2(13, bytes(4))


def good(tcp_connection, from_orig: bool, data: bytes) -> bool:
    """Whether a fresh analyzer takes ``data`` without complaint."""
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(from_orig, data)
    return analyzer.alive


def test_three_deliveries_that_parse_confirm(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, ECHO)
    analyzer.stream(False, ECHO)
    assert tcp_connection.services == []
    analyzer.stream(True, ECHO)
    assert tcp_connection.services == ["smb"]


def test_pieces_of_a_message_count_as_deliveries(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    for piece in (ECHO[:20], ECHO[20:21], ECHO[21:22]):
        analyzer.stream(True, piece)
    assert tcp_connection.services == ["smb"]


def test_session_packets_before_the_first_message_are_let_pass(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, packet(bytes(68), 0x81))
    analyzer.stream(False, packet(b"", 0x82))
    assert analyzer.alive
    for _ in range(3):
        analyzer.stream(True, ECHO)
    assert tcp_connection.services == ["smb"]


def test_other_protocols_confirm_nothing_and_are_not_disowned(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    for _ in range(5):
        analyzer.stream(True, b"GET / HTTP/1.1\r\n\r\n")
    assert tcp_connection.services == []
    assert analyzer.alive


def test_a_malformed_message_disowns(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    for _ in range(3):
        analyzer.stream(True, ECHO)
    analyzer.stream(True, smb2(13, bytes(3)))
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_after_a_gap_a_message_must_begin_a_delivery(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, ECHO[:30])
    analyzer.gap(True, 10)
    analyzer.stream(True, ECHO[40:] + ECHO)
    analyzer.stream(True, ECHO)
    analyzer.stream(True, ECHO)
    assert tcp_connection.services == ["smb"]


def test_unknown_protocol_identifiers_and_encrypted_messages_pass(tcp_connection) -> None:
    assert good(tcp_connection, True, ECHO + packet(b"\xfcSMBx"))
    assert good(tcp_connection, True, ECHO + packet(b"\xfdSMB" + bytes(60)))
    assert not good(tcp_connection, True, ECHO + packet(b"\xfdSMB" + bytes(47)))


# SMB 2


def test_security_blobs_are_handed_on(tcp_connection) -> None:
    request = bytes(12) + struct.pack("<HHQ", 88, len(NTLM), 0) + NTLM
    token = SPNEGO + b"\xa0\x02\x0a\x00"
    answer = bytes(4) + struct.pack("<HH", 72, len(token)) + token
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, smb2(1, request))
    assert tcp_connection.services == ["ntlm"]
    analyzer.stream(False, smb2(1, answer, MORE_PROCESSING))
    assert tcp_connection.services == ["ntlm", "gssapi"]


def test_a_negotiation_confirms_gssapi_first(tcp_connection) -> None:
    token = b"\xa1\x06\x30\x04\xa0\x02\x0a\x00"
    body = bytes(4) + struct.pack("<HH", 0x0302, 0) + bytes(50)
    body += struct.pack("<HI", len(token), 0) + token
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, ECHO)
    analyzer.stream(False, smb2(0, body))
    analyzer.stream(True, ECHO)
    assert tcp_connection.services == ["gssapi", "smb"]


def test_negotiation_contexts_of_3_1_1_must_parse(tcp_connection) -> None:
    def answer(contexts: bytes, count: int) -> bytes:
        body = bytes(4) + struct.pack("<HH", 0x0311, count) + bytes(50)
        return smb2(0, body + struct.pack("<HI", 0, 128) + contexts)

    preauthentication = struct.pack("<HHIHHH", 1, 38, 0, 1, 32, 1) + bytes(32)
    encryption = struct.pack("<HHIHH", 2, 4, 0, 1, 1)
    padding = bytes(-len(preauthentication) % 8)
    both = preauthentication + padding + encryption
    assert good(tcp_connection, False, answer(both, 2))
    assert not good(tcp_connection, False, answer(both[:-1], 2))
    assert good(tcp_connection, False, answer(b"", 0))


def create(name: bytes, tree: int) -> bytes:
    fixed = bytes(44) + struct.pack("<HHII", 120, len(name), 0, 0)
    return smb2(5, fixed + name, tree=tree)


def write(file: int, data: bytes, tree: int, message: int = 1) -> bytes:
    fixed = struct.pack("<HHIQQQ", 49, 112, len(data), 0, file, 0) + bytes(16)
    return smb2(9, fixed + data, message=message, tree=tree)


def read_request(file: int, tree: int, message: int) -> bytes:
    return smb2(8, bytes(16) + struct.pack("<QQ", file, 0) + bytes(16), message=message, tree=tree)


def read_answer(data: bytes, message: int, status: int = 0) -> bytes:
    fixed = struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0)
    return smb2(8, fixed + data, status, message=message)


def tree_connected(tree: int, share: int) -> bytes:
    return smb2(3, struct.pack("<HBB", 16, share, 0) + bytes(12), tree=tree)


def test_pipes_on_a_pipe_share_are_dce_rpc(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, tree_connected(7, 2))
    analyzer.stream(True, write(3, BIND[:30], 7))
    analyzer.stream(True, write(3, BIND[30:], 7))
    assert "dce_rpc" in tcp_connection.services


def test_files_on_a_disk_share_are_not(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, tree_connected(7, 1))
    analyzer.stream(True, write(3, BIND, 7))
    assert tcp_connection.services == []


def test_names_of_pipes_reveal_a_share_whose_connection_was_missed(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, create("srvsvc".encode("utf-16-le"), 7))
    analyzer.stream(True, write(3, BIND, 7))
    assert tcp_connection.services == ["dce_rpc"]


def test_disconnected_trees_are_no_pipes_any_more(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, tree_connected(7, 2))
    analyzer.stream(True, smb2(4, bytes(4), tree=7))
    analyzer.stream(True, write(3, BIND, 7))
    assert tcp_connection.services == ["smb"]


def test_reads_find_their_file_by_the_request(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, tree_connected(7, 2))
    analyzer.stream(True, read_request(3, 7, 9))
    analyzer.stream(False, read_answer(BIND, 9))
    assert "dce_rpc" in tcp_connection.services


def test_transceived_pipes_need_no_tree(tcp_connection) -> None:
    def control(data: bytes, output: int) -> bytes:
        fixed = struct.pack("<HHIQQ", 57, 0, 0x0011C017, 3, 0)
        fixed += struct.pack("<IIIIII", 120, len(data), 0, output, 0, 1024)
        return smb2(11, fixed + bytes(8) + data)

    assert good(tcp_connection, True, control(BIND, 120))
    assert tcp_connection.services == ["dce_rpc"]
    assert good(tcp_connection, True, control(b"", 0))
    assert not good(tcp_connection, True, control(b"", 500))


def test_malformed_pipe_data_withdraws_dce_rpc_but_not_smb(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, tree_connected(7, 2))
    analyzer.stream(True, write(3, BIND, 7))
    analyzer.stream(True, ECHO)
    assert tcp_connection.services == ["dce_rpc", "smb"]
    analyzer.stream(True, write(3, b"\x04" + bytes(20), 7))
    assert tcp_connection.services == ["smb"]
    assert analyzer.alive


def test_compounded_messages_are_all_parsed(tcp_connection) -> None:
    first = smb2_message(13, bytes(4) + bytes(4), next_=72)
    assert good(tcp_connection, True, packet(first + smb2_message(13, bytes(4))))
    assert not good(tcp_connection, True, packet(first + smb2_message(13, bytes(3))))
    overlapping = smb2_message(13, bytes(4), next_=60)
    assert not good(tcp_connection, True, packet(overlapping + smb2_message(13, bytes(4))))


def test_errors_are_told_from_answers_by_status_and_command(tcp_connection) -> None:
    error = bytes(4) + struct.pack("<I", 1) + b"\0"
    assert good(tcp_connection, False, smb2(5, error, 0xC0000034))
    assert not good(tcp_connection, False, smb2(5, error, 0))
    assert not good(tcp_connection, False, smb2(8, error, 0x80000005))
    assert good(tcp_connection, False, smb2(13, error, 0x80000005))
    assert not good(tcp_connection, True, smb2(5, error, 0xC0000034))


FILE = bytes(16)
SMB2_BODIES = [
    (True, 0, bytes(2) + b"\x02\0" + bytes(36)),
    (True, 3, bytes(4) + struct.pack("<HH", 72, 3) + b"abc"),
    (True, 6, bytes(24)),
    (True, 7, bytes(24)),
    (True, 10, bytes(2) + b"\x01\0" + bytes(40)),
    (True, 12, bytes(4)),
    (True, 14, bytes(24) + struct.pack("<HHI", 96, 2, 0) + b"*\0"),
    (True, 15, bytes(32)),
    (True, 16, bytes(8) + struct.pack("<HHI", 104, 0, 1) + bytes(24) + b"x"),
    (
        True,
        17,
        b"\0\0\x01\x0a" + bytes(4) + struct.pack("<H", 96) + bytes(22) + bytes(16) + b"\x01\0\0\0x",
    ),
    (
        True,
        17,
        b"\0\0\x01\x0f"
        + bytes(4)
        + struct.pack("<H", 96)
        + bytes(22)
        + struct.pack("<IBBH", 0, 0, 1, 1)
        + b"ab",
    ),
    (True, 17, b"\0\0\x02\x06" + bytes(4) + struct.pack("<H", 96) + bytes(22) + bytes(48)),
    (True, 18, bytes(24)),
    (False, 3, bytes(16)),
    (False, 5, bytes(80) + struct.pack("<II", 152, 1) + b"x"),
    (False, 6, bytes(60)),
    (False, 9, bytes(16)),
    (False, 14, struct.pack("<HHI", 9, 72, 1) + b"x"),
    (False, 15, struct.pack("<HHI", 9, 72, 14) + struct.pack("<III", 0, 1, 2) + b"a\0"),
    (False, 17, bytes(2)),
]


@pytest.mark.parametrize(("from_orig", "command", "body"), SMB2_BODIES)
def test_smb2_messages_must_have_room(tcp_connection, from_orig, command, body) -> None:
    assert good(tcp_connection, from_orig, smb2(command, body))
    assert not good(tcp_connection, from_orig, smb2(command, body[:-1]))


def test_unknown_smb2_commands_pass(tcp_connection) -> None:
    assert good(tcp_connection, True, smb2(2, b""))
    assert good(tcp_connection, False, smb2(99, b""))


def test_requests_without_answers_do_not_pile_up(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    for message in range(MAX_PENDING + 5):
        analyzer.stream(True, read_request(3, 7, message))
    assert tcp_connection.context.counters.values["smb_pending_messages_dropped"] == 2


# SMB 1

ANDX_NONE = b"\xff\0\0\0"


def session_setup(blob: bytes, andx: bytes = ANDX_NONE, follower: bytes = b"") -> bytes:
    fixed = b"\x0c" + andx + bytes(10) + struct.pack("<H", len(blob)) + bytes(8)
    return smb1(0x73, fixed + b"\0\0" + blob + b"os\0lan\0" + follower)


def tree_connect(path: bytes = b"\\\\h\\IPC$\0") -> bytes:
    return b"\x04" + ANDX_NONE + bytes(4) + b"\0\0" + path + b"IPC\0"


def smb1_write(data: bytes, tree: int = 1) -> bytes:
    fixed = b"\x0c" + ANDX_NONE + bytes(14) + struct.pack("<HHH", 0, len(data), 59) + bytes(2)
    return smb1(0x2F, fixed + data, tree=tree)


def test_chained_messages_take_effect_when_the_whole_chain_has_parsed(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, session_setup(NTLM, b"\x75\0\0\0", tree_connect()))
    assert tcp_connection.services == ["ntlm"]
    tcp_connection.services.clear()
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, session_setup(NTLM, b"\x75\0\0\0", tree_connect()[:8]))
    assert tcp_connection.services == []
    assert not analyzer.alive


def test_an_andx_offset_that_points_back_is_malformed(tcp_connection) -> None:
    assert not good(tcp_connection, True, session_setup(NTLM, b"\xff\0\x21\0"))
    assert good(tcp_connection, True, session_setup(NTLM, b"\xff\0\xff\x7f"))


def test_pipe_shares_of_smb1_are_dce_rpc(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, smb1(0x75, b"\x02" + ANDX_NONE + b"\x04\0IPC\0"))
    analyzer.stream(True, smb1_write(BIND))
    assert "dce_rpc" in tcp_connection.services


def test_disk_shares_of_smb1_are_not(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(False, smb1(0x75, b"\x02" + ANDX_NONE + b"\x03\0A:\0"))
    analyzer.stream(True, smb1_write(BIND))
    assert "dce_rpc" not in tcp_connection.services


def transaction(name: bytes, data: bytes, flags2: int = 0) -> bytes:
    at = 32 + 29 + 2 + len(name) + (1 if flags2 & UNICODE else 0)
    fixed = b"\x10" + bytes(18) + struct.pack("<HHHHBB", 0, 0, len(data), at, 0, 0) + b"\0\0"
    pad = b"\0" if flags2 & UNICODE else b""
    return smb1(0x25, fixed + pad + name + data, flags2)


def test_transactions_on_named_pipes_are_dce_rpc(tcp_connection) -> None:
    assert good(tcp_connection, True, transaction(b"\\PIPE\\\0", BIND))
    assert tcp_connection.services == ["dce_rpc"]
    tcp_connection.services.clear()
    name = "\\PIPE\\\0".encode("utf-16-le")
    assert good(tcp_connection, True, transaction(name, BIND, UNICODE))
    assert tcp_connection.services == ["dce_rpc"]


def test_remote_administration_and_mailslots_are_not(tcp_connection) -> None:
    assert good(tcp_connection, True, transaction(b"\\PIPE\\LANMAN\0", BIND))
    assert good(tcp_connection, True, transaction(b"\\MAILSLOT\\BROWSE\0", BIND))
    assert tcp_connection.services == []


def test_answers_go_where_their_transaction_went(tcp_connection) -> None:
    analyzer = SmbAnalyzer(tcp_connection)
    analyzer.stream(True, transaction(b"\\PIPE\\\0", b""))
    fixed = b"\x0a" + bytes(6) + struct.pack("<HHHHHHBB", 0, 0, 0, len(BIND), 55, 0, 0, 0)
    analyzer.stream(False, smb1(0x25, fixed + b"\0\0" + BIND))
    assert tcp_connection.services == ["dce_rpc"]


def test_extended_security_negotiation_carries_a_blob(tcp_connection) -> None:
    token = b"\xa1\x06\x30\x04\xa0\x02\x0a\x00"
    fixed = b"\x11\0\0" + bytes(17) + struct.pack("<I", EXTENDED) + bytes(11)
    body = fixed + struct.pack("<H", 16 + len(token)) + bytes(16) + token
    assert good(tcp_connection, False, smb1(0x72, body))
    assert tcp_connection.services == ["gssapi"]
    assert not good(tcp_connection, False, smb1(0x72, fixed + b"\x0f\0" + bytes(16)))


def test_empty_messages_of_any_command_pass(tcp_connection) -> None:
    assert good(tcp_connection, False, smb1(0x72, bytes(3)))
    assert not good(tcp_connection, False, smb1(0x72, bytes(4)))


SMB1_BODIES = [
    (True, 0x72, b"\0\x04\0\x02NT\0"),
    (True, 0x73, b"\x0d" + ANDX_NONE + bytes(10) + b"\x01\0\x01\0" + bytes(10) + b"ab"),
    (True, 0x73, b"\x0a" + ANDX_NONE + bytes(10) + b"\x01\0" + bytes(6) + b"a"),
    (False, 0x73, b"\x04" + ANDX_NONE + bytes(2) + b"\x01\0\0\0x"),
    (False, 0x73, b"\x03" + ANDX_NONE + bytes(4)),
    (False, 0x72, b"\x01\0\0\0\0"),
    (False, 0x72, b"\x0d\0\0" + bytes(28) + b"\x01\0" + bytes(4) + b"k"),
    (True, 0xA2, b"\x18" + ANDX_NONE + bytes(46)),
    (False, 0xA2, b"\x22" + ANDX_NONE + bytes(66)),
    (True, 0x2E, b"\x0a" + ANDX_NONE + bytes(18)),
    (True, 0x2E, b"\x0c" + ANDX_NONE + bytes(22)),
    (
        False,
        0x2E,
        b"\x0c" + ANDX_NONE + bytes(6) + struct.pack("<HHH", 2, 59, 0) + bytes(10) + b"ab",
    ),
    (False, 0x2F, b"\x06" + ANDX_NONE + bytes(10)),
    (True, 0x24, b"\x08" + ANDX_NONE + bytes(8) + b"\x01\0\x01\0" + bytes(42)),
    (True, 0x74, b"\x02" + ANDX_NONE + bytes(2)),
    (True, 0x04, bytes(9)),
    (True, 0x2B, b"\x01\0\0\x02\0ab"),
    (False, 0x08, bytes(25)),
    (True, 0x26, b"\x08" + bytes(4) + struct.pack("<HHHHHHH", 1, 51, 0, 0, 52, 0, 0) + b"p"),
    (True, 0x33, b"\x09" + bytes(4) + struct.pack("<HHHHHHHH", 1, 53, 0, 1, 54, 0, 0, 0) + b"pd"),
    (
        True,
        0x32,
        b"\x0f" + bytes(20) + struct.pack("<H", 65) + bytes(6) + b"\x07\0" + bytes(2) + bytes(4),
    ),
    (False, 0x32, b"\x0a" + bytes(20) + b"\x01\0x"),
]


@pytest.mark.parametrize(("from_orig", "command", "body"), SMB1_BODIES)
def test_smb1_messages_must_have_room(tcp_connection, from_orig, command, body) -> None:
    assert good(tcp_connection, from_orig, smb1(command, body))
    if len(body) > 4:
        assert not good(tcp_connection, from_orig, smb1(command, body[:-1]))


def test_unknown_smb1_commands_pass(tcp_connection) -> None:
    assert good(tcp_connection, True, smb1(0x70, b"anything"))


def test_pipe_names_are_compared_up_to_their_terminator() -> None:
    assert is_pipe_name("samr\0".encode("utf-16-le"), True)
    assert is_pipe_name(b"samr\0", False)
    assert not is_pipe_name(b"\\samr", False)
    assert not is_pipe_name("samr2".encode("utf-16-le"), True)
    assert not is_pipe_name("s\u0161mr".encode("utf-16-le"), True)
