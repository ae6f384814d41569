"""Cross-origin answers follow the rules that the bucket has."""

from collections.abc import Iterator

import pytest
import requests

from tests.oss_signing import signed_path
from tests.sandbox import BUCKET, Sandbox

ORIGIN = "https://studio.example"
RULES = """<CORSConfiguration>
  <CORSRule><AllowedOrigin>https://studio.example</AllowedOrigin><AllowedOrigin>http://*.local:8000</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-oss-request-id</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>
  <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod><AllowedHeader>x-one-*</AllowedHeader></CORSRule>
</CORSConfiguration>"""


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[requests.Session]:
    """A session, and the rules above while the test runs."""
    with requests.Session() as session:
        assert (
            session.put(sandbox.url + signed_path("PUT", "", {"cors": ""}), data=RULES, timeout=10).status_code == 200
        )
        yield session
        session.delete(sandbox.url + signed_path("DELETE", "", {"cors": ""}), timeout=10)


def preflight(
    http: requests.Session, sandbox: Sandbox, origin: str, method: str, headers: str = ""
) -> requests.Response:
    """What a browser asks before it sends a request."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return http.options(f"{sandbox.url}/{BUCKET}/any?partNumber=1", headers=asked, timeout=10)


@pytest.mark.parametrize(
    ("origin", "method", "headers", "allowed"),
    [
        (ORIGIN, "PUT", "content-type, x-oss-meta-a", True),
        ("http://studio.local:8000", "GET", "", True),
        ("http://studio.local:9000", "GET", "", False),
        ("https://evil.example", "PUT", "", False),
        ("https://studio.example.evil", "PUT", "", False),
        (ORIGIN, "DELETE", "", False),
        ("https://anybody", "HEAD", "X-One-Thing", True),
        ("https://anybody", "HEAD", "x-two", False),
    ],
)
def test_a_preflight_is_answered_by_the_rules(
    sandbox: Sandbox, http: requests.Session, origin: str, method: str, headers: str, allowed: bool
) -> None:
    answer = preflight(http, sandbox, origin, method, headers)
    assert answer.status_code == (200 if allowed else 403)
    assert ("Access-Control-Allow-Origin" in answer.headers) == allowed
    if allowed:
        assert answer.headers["Access-Control-Allow-Origin"] in (origin, "*")
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers.get("Access-Control-Allow-Headers", "") == headers
        assert answer.headers["Vary"] == "Origin"
    else:
        assert b"<Code>AccessForbidden</Code>" in answer.content


def test_answers_and_refusals_can_be_read_by_an_allowed_page(sandbox: Sandbox, http: requests.Session) -> None:
    url = sandbox.url + signed_path("PUT", "cors/a")
    for address, status in ((url, 200), (url + "&more=1", 403)):
        answer = http.put(address, data=b"x", headers={"Origin": ORIGIN}, timeout=10)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, x-oss-request-id"
    sandbox.fault("oss-put", "status", status=503)
    assert http.put(url, data=b"x", headers={"Origin": ORIGIN}, timeout=10).headers["Access-Control-Allow-Origin"]
    stranger = http.put(url, data=b"x", headers={"Origin": "https://evil.example"}, timeout=10)
    assert (stranger.status_code, stranger.headers["Vary"]) == (200, "Origin")
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_a_bucket_without_rules_allows_no_page(sandbox: Sandbox, http: requests.Session) -> None:
    http.delete(sandbox.url + signed_path("DELETE", "", {"cors": ""}), timeout=10)
    assert preflight(http, sandbox, ORIGIN, "PUT").status_code == 403
    answer = http.put(sandbox.url + signed_path("PUT", "cors/a"), data=b"x", headers={"Origin": ORIGIN}, timeout=10)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "rule",
    [
        "<AllowedOrigin>*</AllowedOrigin>",
        "<AllowedMethod>GET</AllowedMethod>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>OPTIONS</AllowedMethod>",
        "<AllowedOrigin>*.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><ExposeHeader>*</ExposeHeader>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>x</MaxAgeSeconds>",
    ],
)
def test_a_rule_that_oss_does_not_take_is_refused(sandbox: Sandbox, http: requests.Session, rule: str) -> None:
    body = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>"
    answer = http.put(sandbox.url + signed_path("PUT", "", {"cors": ""}), data=body, timeout=10)
    assert answer.status_code == 400
    assert preflight(http, sandbox, ORIGIN, "PUT").status_code == 200


def test_at_most_ten_rules(sandbox: Sandbox, http: requests.Session) -> None:
    rule = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    for count, status in ((10, 200), (11, 400)):
        body = f"<CORSConfiguration>{rule * count}</CORSConfiguration>"
        answer = http.put(sandbox.url + signed_path("PUT", "", {"cors": ""}), data=body, timeout=10)
        assert answer.status_code == status


def test_a_bucket_can_be_named_by_the_host(sandbox: Sandbox, http: requests.Session) -> None:
    http.put(sandbox.url + signed_path("PUT", "by-host"), data=b"x", timeout=10)
    path = signed_path("GET", "by-host").removeprefix(f"/{BUCKET}")
    answer = http.get(sandbox.url + path, headers={"Host": f"{BUCKET}.oss.local:{sandbox.port}"}, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"x")
