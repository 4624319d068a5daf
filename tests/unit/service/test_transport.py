from __future__ import annotations

import email
import email.policy
import io
import ssl
from pathlib import Path

import pytest
import requests
import trustme
import urllib3.exceptions

from osect_sensor.config import Upload
from osect_sensor.errors import OsectError
from osect_sensor.service import transport
from osect_sensor.service.transport import Cloud, Verdict, retry_after, tls_context


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    authority = trustme.CA()
    client = tmp_path / "client.pem"
    client.touch(0o600)
    client.write_bytes(authority.issue_cert("sensor").private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Upload(host="cloud.example", ca=str(tmp_path / "ca.pem"), client_pem=str(client))


def test_tls_is_1_2_at_least_and_verifies_name_and_authority(upload: Upload) -> None:
    context = tls_context(upload)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("what", ["ca", "client_pem"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_unusable_certificates_are_refused_with_their_path(
    upload: Upload, what: str, content: bytes | None
) -> None:
    path = Path(getattr(upload, what))
    path.unlink()
    if content is not None:
        path.touch(0o600)
        path.write_bytes(content)
    with pytest.raises(OsectError) as caught:
        tls_context(upload)
    assert str(path) in caught.value.message


def test_a_key_that_others_may_read_is_refused(upload: Upload) -> None:
    Path(upload.client_pem).chmod(0o644)
    with pytest.raises(OsectError, match="can be read by others"):
        Cloud(upload, "x")


def test_a_key_that_does_not_fit_the_certificate_is_refused(upload: Upload) -> None:
    one, two = (trustme.CA().issue_cert("sensor") for _ in range(2))
    Path(upload.client_pem).write_bytes(
        one.private_key_pem.bytes() + two.cert_chain_pems[0].bytes()
    )
    with pytest.raises(OsectError, match="cannot be used"):
        tls_context(upload)


def test_an_encrypted_key_is_refused_instead_of_asking(upload: Upload) -> None:
    from cryptography.hazmat.primitives import serialization

    leaf = trustme.CA().issue_cert("sensor")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    Path(upload.client_pem).write_bytes(pem + leaf.cert_chain_pems[0].bytes())
    with pytest.raises(OsectError, match="encrypted"):
        tls_context(upload)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, -1),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": " 120 "}, 120),
        ({"Retry-After": "9" * 400}, 3600),
        ({"Retry-After": "-5"}, -1),
        ({"Retry-After": "1.5"}, -1),
        ({"Retry-After": "٣"}, -1),
        ({"Retry-After": "soon"}, -1),
        (
            {
                "Retry-After": "Wed, 01 May 2024 00:02:00 GMT",
                "Date": "Wed, 01 May 2024 00:00:30 GMT",
            },
            90,
        ),
        (
            {
                "Retry-After": "Wed, 01 May 2024 00:00:00 GMT",
                "Date": "Wed, 01 May 2024 00:00:30 GMT",
            },
            0,
        ),
        ({"Retry-After": "Wed, 01 May 2199 00:00:00 GMT", "Date": "nonsense"}, 3600),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(requests.structures.CaseInsensitiveDict(headers)) == seconds


def body_of(file: io.BufferedIOBase, size: int) -> transport._Body:
    return transport._Body({"label_id": "plant"}, "a.tar.zst", file, size, lambda octets: None)


@pytest.mark.parametrize("step", [1, 7, 1024, 100_000])
def test_the_body_is_a_form_of_the_length_that_it_announces(step: int) -> None:
    content = bytes(range(256)) * 300
    body = body_of(io.BytesIO(content), len(content))
    data = b""
    while chunk := body.read(step):
        data += chunk
    assert len(data) == len(body)
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
    label, file = message.iter_parts()
    assert label.get_content_disposition() == "form-data"
    assert label.get_payload() == "plant"
    assert file.get_filename() == "a.tar.zst"
    assert file.get_payload(decode=True) == content


def test_a_file_that_shrinks_ends_the_body_with_an_error() -> None:
    body = body_of(io.BytesIO(b"short"), 100)
    with pytest.raises(OSError, match="became shorter"):
        list(body)
    assert body.error is not None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_the_ceiling_spreads_the_octets_over_the_time() -> None:
    clock = Clock()
    pace = transport._Pace(1000, 1e9, lambda: clock.now, clock.sleep)
    for _ in range(10):
        pace(500)
    assert clock.now == pytest.approx(5.0)


def test_a_slow_network_does_not_wait_for_the_ceiling() -> None:
    clock = Clock()
    pace = transport._Pace(1000, 1e9, lambda: clock.now, clock.sleep)
    for _ in range(10):
        clock.now += 1.0
        pace(500)
    assert clock.slept == []


def test_an_upload_that_crawls_is_given_up() -> None:
    clock = Clock()
    pace = transport._Pace(0, 60.0, lambda: clock.now, clock.sleep)
    pace(1)
    clock.now = 61.0
    with pytest.raises(OSError, match="given up"):
        pace(1)


def test_a_slow_upload_shows_that_it_goes_on() -> None:
    clock = Clock()
    beats: list[float] = []
    pace = transport._Pace(0, 1e9, lambda: clock.now, clock.sleep, lambda: beats.append(clock.now))
    for _ in range(5):
        clock.now += 100.0
        pace(1)
    assert beats == [100.0, 200.0, 300.0, 400.0, 500.0]


STATUSES = {
    200: Verdict.ACCEPTED,
    201: Verdict.FAILED,
    204: Verdict.FAILED,
    302: Verdict.UNAVAILABLE,
    400: Verdict.REFUSED,
    401: Verdict.UNAVAILABLE,
    403: Verdict.UNAVAILABLE,
    404: Verdict.REFUSED,
    407: Verdict.UNAVAILABLE,
    408: Verdict.FAILED,
    413: Verdict.REFUSED,
    422: Verdict.REFUSED,
    425: Verdict.FAILED,
    429: Verdict.FAILED,
    500: Verdict.FAILED,
    502: Verdict.FAILED,
    503: Verdict.FAILED,
    507: Verdict.FAILED,
}


class FixedAdapter(requests.adapters.BaseAdapter):
    """Answers without a network."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.status = status
        self.body = body
        self.requests: list[requests.PreparedRequest] = []
        self.options: list[dict[str, object]] = []

    def send(self, request, **options):
        self.requests.append(request)
        self.options.append(options)
        response = requests.Response()
        response.status_code = self.status
        response.headers["Location"] = "https://elsewhere.example/"
        response.raw = urllib3.HTTPResponse(io.BytesIO(self.body), preload_content=False)
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        pass


def cloud_with(upload: Upload, adapter: FixedAdapter) -> Cloud:
    cloud = Cloud(upload, "plant")
    cloud._session.mount("https://", adapter)
    return cloud


@pytest.mark.parametrize(("status", "verdict"), STATUSES.items())
def test_only_200_is_success(upload: Upload, status: int, verdict: Verdict) -> None:
    adapter = FixedAdapter(status, b"because\nof \x1b[31mthis " + b"x" * 1_000_000)
    with cloud_with(upload, adapter) as cloud:
        answer = cloud.post_archive("a.tar.zst", io.BytesIO(b"x"), 1)
    assert answer.verdict is verdict
    assert answer.status == status
    assert len(adapter.requests) == 1
    assert answer.reason.isprintable()
    assert len(answer.reason) < 300


def test_archives_reports_and_rule_status_go_to_their_paths(upload: Upload) -> None:
    adapter = FixedAdapter(200, b"ok")
    with cloud_with(upload, adapter) as cloud:
        cloud.post_archive("a.tar.zst", io.BytesIO(b"x"), 1)
        cloud.post_support_report("sos.tar.xz", io.BytesIO(b"x"), 1)
        cloud.post_rule_status("7.0.10", "10341", "success")
    assert [request.url for request in adapter.requests] == [
        "https://cloud.example/paper/api/v1/createlogdata/post",
        "https://cloud.example/paper/api/v1/supportlog/post",
        "https://cloud.example/paper/api/v1/sensor_status/post",
    ]
    assert (
        adapter.requests[2].body == "label_id=plant&suricata=7.0.10&signature=10341&message=success"
    )


def test_the_environment_decides_nothing(upload: Upload, monkeypatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine cloud.example login a password b\n")
    for variable, value in {
        "HTTPS_PROXY": "http://proxy.example:1",
        "REQUESTS_CA_BUNDLE": "/nowhere.pem",
        "CURL_CA_BUNDLE": "/nowhere.pem",
        "NETRC": str(netrc),
    }.items():
        monkeypatch.setenv(variable, value)
    adapter = FixedAdapter(200, b"")
    with cloud_with(upload, adapter) as cloud:
        assert cloud.post_rule_status("", "", "").verdict is Verdict.ACCEPTED
    assert not adapter.options[0]["proxies"]
    assert adapter.options[0]["verify"] is True
    assert "Authorization" not in adapter.requests[0].headers


def test_a_configured_proxy_is_used(upload: Upload) -> None:
    import dataclasses

    adapter = FixedAdapter(200, b"")
    with cloud_with(dataclasses.replace(upload, proxy="http://proxy:3128"), adapter) as cloud:
        cloud.post_rule_status("", "", "")
    assert adapter.options[0]["proxies"] == {"https": "http://proxy:3128"}


def test_plain_http_has_no_way_out(upload: Upload) -> None:
    with Cloud(upload, "plant") as cloud, pytest.raises(requests.exceptions.InvalidSchema):
        cloud._session.get("http://cloud.example/")


def test_a_host_that_cannot_be_reached_is_unavailable(upload: Upload) -> None:
    import dataclasses

    # Port 1 of loopback: nobody listens there.
    with Cloud(dataclasses.replace(upload, host="127.0.0.1:1"), "plant") as cloud:
        answer = cloud.post_rule_status("", "", "")
    assert answer.verdict is Verdict.UNAVAILABLE
    assert answer.reason == "no connection: Connection refused"
