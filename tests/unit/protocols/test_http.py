"""How HTTP streams become rows, whatever way their octets arrive."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Session, Turn, deliveries, split, truncated, whole

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.flows.recording import RecordingAnalyzer
from osect_sensor.logs.rows import UNSET, HttpRow
from osect_sensor.protocols.http import HttpAnalyzer, unescape_uri
from osect_sensor.protocols.http_transactions import MAX_PENDING_REQUESTS, decode_base64

GET = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def http() -> Session:
    return Session(HttpAnalyzer)


def run(turns: list[Turn], ended: bool = True) -> Session:
    session = http()
    for from_orig, data in turns:
        session.send(from_orig, data)
    if ended:
        session.end(True)
        session.end(False)
    session.close()
    return session


def one(turns: list[Turn]) -> HttpRow:
    (row,) = run(turns).rows.http_rows
    return row


def exchange(request: bytes, response: bytes = OK) -> list[Turn]:
    return [(True, request), (False, response)]


def response_length(response: bytes) -> int:
    return one(exchange(GET, response)).response_body_len


def test_request_and_response_make_one_row() -> None:
    request = (
        b"POST /form%20a HTTP/1.1\r\nHost: example.org:8080\r\nUser-Agent: test/1 (x)\r\n"
        b"Referer: http://example.org/\r\nOrigin: http://example.org\r\n"
        b"Content-Length: 3\r\n\r\na=b"
    )
    session = run(exchange(request, b"HTTP/1.0 404 Not Found\r\n\r\nno\r\n"))
    (row,) = session.rows.http_rows
    assert row.ts == session.connection.start
    assert (row.uid, row.trans_depth) == ("C1", 1)
    assert (row.id_orig_h, row.id_orig_p) == ("10.0.0.1", 40000)
    assert (row.id_resp_h, row.id_resp_p) == ("10.0.0.2", 80)
    assert (row.method, row.host, row.uri) == (b"POST", b"example.org:8080", b"/form a")
    assert (row.referrer, row.origin) == (b"http://example.org/", b"http://example.org")
    assert (row.version, row.user_agent) == (b"1.0", b"test/1 (x)")
    assert (row.request_body_len, row.response_body_len) == (3, 4)
    assert (row.status_code, row.status_msg) == (404, b"Not Found")
    assert (row.info_code, row.info_msg, row.tags) == (UNSET, None, [])
    assert (row.username, row.proxied) == (None, None)
    assert row.orig_l2_addr == "02:00:00:00:00:01"
    assert row.resp_l2_addr == "02:00:00:00:00:02"
    assert session.services == ["http"]


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: 1\r\n\r\n"
)
PARTS = b"--b=1\r\nContent-Disposition: form-data; name=f\r\n\r\nline\nline\r\n\r\n--b=1--\r\n"
MULTIPART = (
    b'POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary="b=1"\r\n'
    b"Content-Length: %d\r\n\r\n" % len(PARTS) + PARTS
)


@pytest.mark.parametrize(
    ("turns", "lengths"),
    [
        ([*exchange(GET), *exchange(GET)], [(0, 5), (0, 5)]),
        (exchange(GET, CHUNKED), [(0, 11)]),
        (exchange(GET + GET, OK + OK), [(0, 5), (0, 5)]),
        (
            exchange(
                b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
                b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
            ),
            [(2, 5)],
        ),
    ],
    ids=["in turn", "chunked", "pipelined", "interim"],
)
def test_rows_do_not_depend_on_delivery(turns: list[Turn], lengths: list[tuple[int, int]]) -> None:
    for delivered in deliveries(turns):
        session = run(delivered)
        rows = session.rows.http_rows
        assert [(row.request_body_len, row.response_body_len) for row in rows] == lengths
        assert [row.trans_depth for row in rows] == list(range(1, len(lengths) + 1))
        assert [row.status_code for row in rows] == [200] * len(lengths)
        assert session.services == ["http"]


def test_multipart_body_is_counted_however_it_is_cut() -> None:
    for delivered in split(exchange(MULTIPART)):
        (row,) = run(delivered).rows.http_rows
        assert (row.request_body_len, row.response_body_len) == (len(PARTS), 5)


def test_every_truncated_exchange_makes_at_most_a_row_a_request() -> None:
    for turns in truncated([*exchange(GET, CHUNKED), *exchange(MULTIPART)]):
        for ended in (False, True):
            rows = run(turns, ended).rows.http_rows
            assert len(rows) <= 3
            assert [row.trans_depth for row in rows] == sorted(row.trans_depth for row in rows)


def test_time_of_a_row_is_that_of_its_request() -> None:
    session = http()
    session.send(True, GET)
    session.wait(70)
    session.send(False, OK)
    session.wait(30)
    session.send(True, GET)
    session.close()
    first, second = session.rows.http_rows
    assert (first.ts, second.ts) == (session.connection.start, session.connection.start + 100)
    assert (second.status_code, second.method) == (UNSET, b"GET")


def test_interim_response_shares_the_row_of_the_final_one() -> None:
    row = one(exchange(GET, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK))
    assert (row.info_code, row.info_msg) == (103, b"Early Hints")
    assert (row.status_code, row.status_msg, row.response_body_len) == (200, b"OK", 5)


def test_response_alone_has_no_request() -> None:
    session = run([(False, OK)])
    (row,) = session.rows.http_rows
    assert (row.method, row.uri, row.status_code, row.trans_depth) == (None, None, 200, 1)
    assert session.services == []


def test_missing_reason_is_named() -> None:
    assert one(exchange(GET, b"HTTP/1.1 204\r\n\r\n")).status_msg == b"<empty>"
    assert one(exchange(GET, b"HTTP/1.1 204 \r\n\r\n")).status_msg == b""


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil\r\nclose", 14),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil\nclose", 11),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3 5\r\n\r\nabcde", 3),
        (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 10-13/90\r\n\r\nabcd", 4),
        (
            b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\nContent-Range: bytes 0-3/*\r\n\r\nabcd",
            4,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab", 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 3),
    ],
)
def test_response_body_length(response: bytes, length: int) -> None:
    assert response_length(response) == length


def test_chunks_need_http_1_1() -> None:
    request = b"GET / HTTP/1.0\r\n\r\n"
    response = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert one(exchange(request, response)).response_body_len == 13


def test_head_response_has_no_body() -> None:
    request = b"HEAD / HTTP/1.1\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    rows = run(exchange(request + GET, response + OK)).rows.http_rows
    assert [row.response_body_len for row in rows] == [0, 5]


BODY = b"compressible " * 1000


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(BODY)),
        (b"X-GZIP", gzip.compress(BODY)),
        (b"deflate", zlib.compress(BODY)),
        (b"deflate", zlib.compress(BODY)[2:-4]),
        (b"gzip", zlib.compress(BODY)),
    ],
)
def test_compressed_bodies_count_decompressed(encoding: bytes, body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\n"
    delimited = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert response_length(delimited) == len(BODY)
    assert response_length(head + b"\r\n" + body) == len(BODY)
    assert one([(True, GET), *[(False, delimited[i : i + 7]) for i in range(0, len(delimited), 7)]])


def test_broken_compression_counts_what_came_out() -> None:
    body = gzip.compress(bytes(index * index % 251 for index in range(20_000)))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    half = len(body) // 2
    turns = [(True, GET), (False, head + body[:half]), (False, b"\xff" * (len(body) - half) + OK)]
    first, second = run([*turns[:1], (True, GET), *turns[1:]]).rows.http_rows
    assert first.response_body_len > 0
    assert second.response_body_len == 5


def test_basic_credentials_name_the_user() -> None:
    request = b"GET / HTTP/1.1\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\n\r\n"
    assert one(exchange(request)).username == b"admin"
    request = b"GET / HTTP/1.1\r\nProxy-Authorization: basic  YTpi\r\n\r\n"
    assert one(exchange(request)).username == b"a"
    request = b"GET / HTTP/1.1\r\nAuthorization: Basic ???\r\n\r\n"
    assert one(exchange(request)).username == b"<problem-decoding> (Basic ???)"
    request = b"GET / HTTP/1.1\r\nAuthorization: Bearer YWRtaW46\r\n\r\n"
    assert one(exchange(request)).username is None


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        (b"YWJj", b"abc"),
        (b"YWI=", b"ab"),
        (b"YQ==", b"a"),
        (b"YQ", b"a"),
        (b"YWI", b"ab"),
        (b"YQ==YQ==", b""),
        (b"YQ==Y", b"a"),
        (b"YW Jj", b""),
        (b"", b""),
    ],
)
def test_base64(text: bytes, decoded: bytes) -> None:
    assert decode_base64(text) == decoded


def test_headers_of_proxies_are_collected_once() -> None:
    request = b"GET / HTTP/1.1\r\nVia: 1.1 a\r\nX-Forwarded-For: 1.2.3.4\r\n"
    request += b"via: 1.1 a\r\nVia: 1.1 b\r\n\r\n"
    assert one(exchange(request)).proxied == [
        b"VIA -> 1.1 a",
        b"X-FORWARDED-FOR -> 1.2.3.4",
        b"VIA -> 1.1 b",
    ]


def test_folded_header_is_one_value() -> None:
    request = b"GET / HTTP/1.1\r\nUser-Agent: one\r\n two\r\n\tthree\r\n\r\n"
    assert one(exchange(request)).user_agent == b"one two\tthree"


def test_folding_is_bounded() -> None:
    session = http()
    session.send(True, b"GET / HTTP/1.1\r\nUser-Agent: x\r\n" + b" y" * 40 + b"\r\n")
    for _ in range(1000):
        session.send(True, b" " + b"z" * 99 + b"\r\n")
    session.send(True, b"\r\n")
    session.close()
    agent = session.rows.http_rows[0].user_agent
    assert agent is not None
    assert 65_536 <= len(agent) < 65_700
    assert session.connection.unknown > 0


@pytest.mark.parametrize(
    ("line", "method", "uri"),
    [
        (b"GET / HTTP/1.1", b"GET", b"/"),
        (b"GET http://h/p?q=%41 HTTP/1.1", b"GET", b"http://h/p?q=A"),
        (b"GET /a b HTTP/1.1", b"GET", b"/a b"),
        (b"GET  /two  HTTP/1.1", b"GET", b"/two"),
        (b"FOO / HTTP/1.1", b"FOO", b"/"),
        (b"get / http/1.1", b"get", b"/"),
        (b"GET HTTP/1.1", b"GET", b""),
        (b"GET /x\xff HTTP/1.1", b"GET", b"/x\xff"),
    ],
)
def test_request_line(line: bytes, method: bytes, uri: bytes) -> None:
    row = one(exchange(line + b"\r\n\r\n"))
    assert (row.method, row.uri) == (method, uri)


@pytest.mark.parametrize("line", [b"nonsense", b"\x16\x03\x01", b"GE /", b":x / HTTP/1.1"])
def test_other_first_lines_disable_the_analyzer(line: bytes) -> None:
    session = http()
    session.send(True, line + b"\r\n")
    assert not session.analyzer.alive
    session.send(True, GET)
    session.close()
    assert session.rows.http_rows == []
    assert session.services == []


def test_late_nonsense_is_tolerated() -> None:
    session = http()
    session.connection.size = 20_000
    session.send(False, b"nonsense\r\n")
    assert session.analyzer.alive


def test_empty_lines_before_requests_are_skipped() -> None:
    session = run([(True, b"\r\n\n" + GET + b"\r\n" + GET), (False, OK + OK)])
    assert [row.trans_depth for row in session.rows.http_rows] == [1, 2]


def test_http_0_9_response_is_all_body() -> None:
    row = one(exchange(b"GET /old\r\n", b"HTTP/1.1 200 OK\r\n\r\nis text"))
    assert (row.uri, row.version, row.response_body_len) == (b"/old", b"0.9", 26)
    assert row.status_msg == b"<empty>"


def test_cruft_after_the_last_request_of_an_old_client_is_ignored() -> None:
    session = run([(True, b"GET / HTTP/1.0\r\n\r\n<cruft>\r\n"), (False, OK)])
    assert len(session.rows.http_rows) == 1
    assert session.services == ["http"]


def test_response_before_the_request_body_is_complete_makes_a_second_row() -> None:
    session = http()
    session.send(True, b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    session.send(False, b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
    session.send(True, b"cd")
    session.close()
    first, second = session.rows.http_rows
    assert (first.status_code, first.request_body_len) == (401, 0)
    assert (second.method, second.request_body_len, second.trans_depth) == (None, 4, 2)


def test_pending_requests_are_bounded() -> None:
    session = http()
    for _ in range(MAX_PENDING_REQUESTS + 1):
        session.send(True, GET)
    assert session.rows.http_rows == []
    session.send(True, GET)
    assert len(session.rows.http_rows) == MAX_PENDING_REQUESTS
    assert session.context.counters.values == {"http_requests_given_up": 1}
    session.close()
    assert len(session.rows.http_rows) == MAX_PENDING_REQUESTS + 2


def test_hole_in_a_body_counts_as_body() -> None:
    session = http()
    session.send(True, GET)
    session.send(False, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
    session.gap(False, 6)
    session.send(False, b"ij" + OK)
    session.close()
    first, second = session.rows.http_rows
    assert (first.response_body_len, second.response_body_len) == (10, 5)


def test_hole_in_a_chunk_counts_as_body() -> None:
    session = http()
    session.send(True, GET)
    session.send(False, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
    session.gap(False, 3)
    session.send(False, b"\r\n0\r\n\r\n")
    (row,) = session.rows.http_rows
    assert row.response_body_len == 5


def test_hole_anywhere_else_ends_that_direction() -> None:
    session = http()
    session.send(True, GET + GET)
    session.send(False, b"HTTP/1.1 200 OK\r\nContent-Le")
    session.gap(False, 50)
    session.send(False, OK)
    session.send(True, GET)
    session.close()
    rows = session.rows.http_rows
    assert [(row.trans_depth, row.status_code) for row in rows] == [
        (1, 200),
        (2, UNSET),
        (3, UNSET),
    ]


def test_reset_ends_both_messages_for_good() -> None:
    session = http()
    session.send(True, GET)
    session.send(False, OK[:-2])
    session.analyzer.closed()
    session.send(False, b"lo" + OK)
    session.close()
    (row,) = session.rows.http_rows
    assert row.response_body_len == 3


def test_connections_met_half_way_are_not_read() -> None:
    session = http()
    session.connection.partial = True
    session.send(True, GET)
    session.send(False, OK)
    session.end(False)
    session.close()
    assert session.rows.http_rows == []
    assert session.services == []


def test_exchanged_ends_before_any_message() -> None:
    session = http()
    session.send(True, GET[:9])
    session.connection.flip()
    session.send(False, GET[9:])
    session.close()
    assert session.rows.http_rows == []


def switched(turns: list[Turn]) -> tuple[Session, RecordingAnalyzer | None]:
    session = http()
    made: list[RecordingAnalyzer] = []

    def inner(connection: Connection, service: str) -> list[Analyzer]:
        made.append(RecordingAnalyzer(connection, service))
        return [*made]

    session.context.inner = inner
    for from_orig, data in turns:
        session.send(from_orig, data)
    session.close()
    return session, made[0] if made else None


UPGRADE: list[Turn] = [
    (True, b"GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    (
        False,
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x01a",
    ),
    (True, b"\x81\x01b\r\n"),
    (False, b"\nmore"),
]


def test_upgrade_hands_the_stream_on_however_it_arrives() -> None:
    for turns in [whole(UPGRADE), *split(UPGRADE)]:
        if any(data.startswith(b"\n\x81") for _, data in turns):
            # The CR has ended the headers: its LF counts as the new protocol's, as for Zeek.
            continue
        session, inner = switched(turns)
        assert session.context.asked_for == ["websocket"]
        assert inner is not None
        assert (inner.orig, inner.resp) == (b"\x81\x01b\r\n", b"\x81\x01a\nmore")
        assert inner.finished == 1
        (row,) = session.rows.http_rows
        assert (row.status_code, row.info_code, row.info_msg) == (101, 101, b"Switching")


def test_upgrade_to_something_else_is_detected_by_content() -> None:
    response = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI"
    session, inner = switched([(True, GET), (False, response)])
    assert session.context.asked_for == [""]
    assert inner is not None
    assert inner.resp == b"PRI"


def test_connect_tunnels_what_follows() -> None:
    session, inner = switched(
        [
            (True, b"CONNECT h:443 HTTP/1.1\r\n\r\n"),
            (False, b"HTTP/1.1 200 Established\r\nVia: p\r\n\r\n"),
            (True, b"\x16\x03\x01"),
            (False, b"\x16\x03\x03"),
        ]
    )
    assert session.context.asked_for == [""]
    assert inner is not None
    assert (inner.orig, inner.resp) == (b"\x16\x03\x01", b"\x16\x03\x03")
    (row,) = session.rows.http_rows
    assert (row.method, row.uri, row.response_body_len) == (b"CONNECT", b"h:443", 0)


def test_refused_connect_stays_http() -> None:
    session, inner = switched(
        [
            (True, b"CONNECT h:443 HTTP/1.1\r\n\r\n" + GET),
            (False, b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n" + OK),
        ]
    )
    assert inner is None
    assert [row.status_code for row in session.rows.http_rows] == [407, 200]


def test_http_inside_http_goes_on_counting() -> None:
    session = http()
    session.context.inner = lambda connection, service: [HttpAnalyzer(connection)]
    session.send(True, b"CONNECT h:80 HTTP/1.1\r\n\r\n")
    session.send(False, b"HTTP/1.1 200 Established\r\n\r\n")
    session.send(True, GET)
    session.send(False, OK)
    session.close()
    depths = [(row.trans_depth, row.uri) for row in session.rows.http_rows]
    assert depths[0] == (2, b"/index.html")
    assert (1, b"h:80") in depths


def test_what_is_pending_outlives_a_disabled_analyzer() -> None:
    session = http()
    session.send(True, GET + b"nonsense\r\n")
    assert session.services == []
    assert session.rows.http_rows == []
    session.connection.analyzers.append(HttpAnalyzer(session.connection))
    session.send(False, OK)
    (row,) = session.rows.http_rows
    assert (row.method, row.status_code) == (b"GET", 200)
    session.send(True, GET)
    session.close()
    assert [row.trans_depth for row in session.rows.http_rows] == [1, 2]


def test_pending_requests_of_a_disabled_analyzer_are_reported_at_the_end() -> None:
    session = http()
    session.send(True, GET + b"nonsense\r\n")
    session.close()
    (row,) = session.rows.http_rows
    assert row.method == b"GET"


def test_nested_parts_are_bounded() -> None:
    body = b""
    for _ in range(150):
        body += b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    request = b"POST / HTTP/1.1\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    request += b"Content-Length: %d\r\n\r\n" % (len(body) + 5)
    row = one(exchange(request + b"--b\r\n" + body))
    assert row.request_body_len == len(body) + 5


def test_header_of_a_part_counts_as_one_of_the_message() -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nHost: b\r\n\r\nx\r\n--b--\r\n"
    )
    assert one(exchange(request)).host == b"b"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (b"/%41%62", b"/Ab"),
        (b"/%", b"/%"),
        (b"/%4", b"/%4"),
        (b"/%zz", b"/%zz"),
        (b"/%%41", b"/A"),
        (b"/%%", b"/%%"),
        (b"/%u0041", b"/A"),
        (b"/%u1241", b"/\x12A"),
        (b"/%u00", b"/%u00"),
        (b"/%00", b"/\x00"),
        (b"/plain", b"/plain"),
    ],
)
def test_percent_encoding(uri: bytes, text: bytes) -> None:
    assert unescape_uri(uri) == text


HTTP_PIECES = st.sampled_from(
    [
        GET,
        OK,
        CHUNKED,
        MULTIPART,
        b"\r\n",
        b"\n",
        b"\r",
        b"Content-Length: 4\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"--b\r\n",
        b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT a HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        bytes(30),
    ]
)
EVENT = st.tuples(
    st.booleans(), st.one_of(HTTP_PIECES, st.binary(max_size=30), st.integers(1, 9), st.none())
)


@settings(max_examples=300)
@given(st.lists(EVENT, max_size=14))
def test_no_stream_raises(events: list[tuple[bool, bytes | int | None]]) -> None:
    session = http()
    session.context.inner = lambda connection, service: [HttpAnalyzer(connection)]
    for from_orig, event in events:
        if isinstance(event, bytes):
            session.send(from_orig, event)
        elif event is None:
            session.end(from_orig)
        else:
            session.gap(from_orig, event)
    session.close()


def test_trailing_octets_do_not_change_a_complete_row() -> None:
    turns = whole(exchange(GET, OK + b"trailing"))
    (row, *_) = run(turns).rows.http_rows
    assert (row.status_code, row.response_body_len) == (200, 5)
