from __future__ import annotations

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

STREAM = b"<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client' version='1.0'>"


def test_a_stream_tag_of_the_client_confirms_on_any_port() -> None:
    assert services_of([(ORIG, STREAM)], port=5222) == ["xmpp"]
    assert services_of([(ORIG, STREAM)]) == ["xmpp"]
    assert services_of([(RESP, STREAM)], port=5222) == []


def test_starttls_turns_into_tls() -> None:
    turns = [
        (ORIG, STREAM),
        (RESP, STREAM + b"<stream:features><starttls/></stream:features>"),
        (ORIG, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (RESP, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (ORIG, record(22, client_hello())),
    ]
    assert services_of(turns, port=5222) == ["xmpp", "ssl"]


def test_names_may_carry_a_name_space() -> None:
    turns = [(ORIG, STREAM), (ORIG, b"<tls:starttls/>"), (RESP, b"<tls:proceed/>")]
    turns.append((ORIG, record(22, client_hello())))
    assert services_of(turns, port=5222) == ["xmpp", "ssl"]


def test_the_analyzer_leaves_when_starttls_cannot_come_any_more() -> None:
    detected = Detected(port=5222)
    detected.send(ORIG, STREAM).send(ORIG, b"<presence/>")
    assert "xmpp" not in detected.attached
    assert detected.services == ["xmpp"]


@pytest.mark.parametrize("text", [b"text", b"<>", b"<open", b"<!-- no -->"])
def test_what_is_no_tag_disowns(text: bytes) -> None:
    assert services_of([(ORIG, STREAM), (ORIG, text)], port=5222) == []
