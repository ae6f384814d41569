"""Whoever is not signed for exactly this request is refused, with the reason that OSS gives."""

from collections.abc import Iterator
from xml.etree import ElementTree

import oss2
import pytest
import requests

from tests.oss_signing import scope_of, signed_headers, signed_path, stamp
from tests.sandbox import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, Sandbox

KEY = "signatures/tanz ü.mp4"


@pytest.fixture(autouse=True)
def stored_object(sandbox: Sandbox) -> None:
    """An object to ask for."""
    put = requests.put(sandbox.url + signed_path("PUT", KEY), data=b"0123456789", timeout=10)
    assert put.status_code == 200


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A session that leaves no connection behind."""
    with requests.Session() as session:
        yield session


def reason(answer: requests.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    root = ElementTree.fromstring(answer.content)
    assert root.findtext("RequestId") == answer.headers["x-oss-request-id"]
    assert root.findtext("HostId")
    return answer.status_code, root.findtext("Code") or ""


MISMATCH = (403, "SignatureDoesNotMatch")


def test_a_signed_address_opens_its_object(sandbox: Sandbox, http: requests.Session) -> None:
    assert http.get(sandbox.url + signed_path("GET", KEY), timeout=10).content == b"0123456789"
    answer = http.head(sandbox.url + signed_path("HEAD", KEY), timeout=10)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("DELETE", lambda path: path),
        ("PUT", lambda path: path),
        ("GET", lambda path: path.replace("tanz", "walz")),
        ("GET", lambda path: path + "&more=1"),
        ("GET", lambda path: path + "&response-content-type=text/html"),
        ("GET", lambda path: path.replace("versionless=1&", "")),
        ("GET", lambda path: path.replace("versionless=1", "versionless=2")),
        ("GET", lambda path: path.replace("x-oss-expires=600", "x-oss-expires=6000")),
        ("GET", lambda path: path[:-1] + ("0" if path[-1] != "0" else "1")),
        ("GET", lambda path: path[:-10]),
    ],
    ids=["delete", "put", "other-key", "appended", "override", "removed", "changed", "longer", "digit", "cut"],
)
def test_a_changed_address_is_refused(sandbox: Sandbox, http: requests.Session, method: str, change: object) -> None:
    path = signed_path("GET", KEY, {"versionless": "1"})
    assert http.get(sandbox.url + path, timeout=10).status_code == 200
    assert callable(change)
    assert reason(http.request(method, sandbox.url + change(path), timeout=10)) == MISMATCH


def test_an_address_for_get_does_not_open_head_nor_the_reverse(sandbox: Sandbox, http: requests.Session) -> None:
    assert http.head(sandbox.url + signed_path("GET", KEY), timeout=10).status_code == 403
    assert reason(http.get(sandbox.url + signed_path("HEAD", KEY), timeout=10)) == MISMATCH


@pytest.mark.parametrize("header", ["Content-Type", "Content-MD5", "x-oss-meta-name", "x-oss-forbid-overwrite"])
def test_a_header_that_was_not_signed_is_refused(sandbox: Sandbox, http: requests.Session, header: str) -> None:
    answer = http.get(sandbox.url + signed_path("GET", KEY), headers={header: "true"}, timeout=10)
    assert reason(answer) == MISMATCH


def test_the_refusal_shows_what_was_expected(sandbox: Sandbox, http: requests.Session) -> None:
    answer = http.get(sandbox.url + signed_path("GET", KEY) + "&more=1", timeout=10)
    root = ElementTree.fromstring(answer.content)
    assert "more=1" in (root.findtext("CanonicalRequest") or "")
    assert (root.findtext("StringToSign") or "").startswith("OSS4-HMAC-SHA256\n")
    assert ACCESS_KEY_SECRET not in answer.text


def test_additional_headers_are_part_of_the_signature(sandbox: Sandbox, http: requests.Session) -> None:
    path = signed_path("GET", KEY, headers={"range": "bytes=0-1"}, additional="range")
    assert http.get(sandbox.url + path, headers={"Range": "bytes=0-1"}, timeout=10).content == b"01"
    assert reason(http.get(sandbox.url + path, headers={"Range": "bytes=0-2"}, timeout=10)) == MISMATCH


def test_an_expired_address_says_so(sandbox: Sandbox, http: requests.Session) -> None:
    answer = http.get(sandbox.url + signed_path("GET", KEY, expires="60", offset=-62), timeout=10)
    assert reason(answer) == (403, "AccessDenied")
    assert "Request has expired." in answer.text
    still_good = http.get(sandbox.url + signed_path("GET", KEY, expires="60", offset=-30), timeout=10)
    assert still_good.status_code == 200


@pytest.mark.parametrize("expires", ["604801", "691200", "0", "-5", "abc", "", "99999999999999999999"])
def test_an_expiry_beyond_seven_days_or_no_number_is_refused(
    sandbox: Sandbox, http: requests.Session, expires: str
) -> None:
    answer = http.get(sandbox.url + signed_path("GET", KEY, expires=expires), timeout=10)
    assert reason(answer) == (400, "InvalidArgument")
    assert "0002-00000232" in answer.text
    assert http.get(sandbox.url + signed_path("GET", KEY, expires="604800"), timeout=10).status_code == 200


def test_every_piece_of_the_scope_counts(sandbox: Sandbox, http: requests.Session) -> None:
    today = stamp()
    for scope, code in (
        (scope_of(today, region="cn-hangzhou"), "0002-00000226"),
        (scope_of(today, region=""), "0002-00000226"),
        (scope_of(today, product="sls"), "0002-00000227"),
        (scope_of("20200101"), ""),
        (today[:8], ""),
    ):
        answer = http.get(sandbox.url + signed_path("GET", KEY, scope=scope), timeout=10)
        assert reason(answer) == (400, "InvalidArgument")
        assert code in answer.text
    stranger = http.get(sandbox.url + signed_path("GET", KEY, key_id="nobody"), timeout=10)
    assert reason(stranger) == (403, "InvalidAccessKeyId")


def test_header_signatures_hold_for_their_request_only(sandbox: Sandbox, http: requests.Session) -> None:
    url = f"{sandbox.url}/{BUCKET}/signatures/tanz%20%C3%BC.mp4"
    good = signed_headers("GET", KEY)
    assert http.get(url, headers=good, timeout=10).status_code == 200
    assert reason(http.get(url + "?x=1", headers=good, timeout=10)) == MISMATCH
    assert reason(http.put(url, headers=good, timeout=10)) == MISMATCH
    assert reason(http.get(url, headers={**good, "x-oss-meta-a": "b"}, timeout=10)) == MISMATCH
    assert reason(http.get(url.replace("tanz", "walz"), headers=good, timeout=10)) == MISMATCH


def test_a_clock_that_is_a_quarter_of_an_hour_off_is_said_so(sandbox: Sandbox, http: requests.Session) -> None:
    url = f"{sandbox.url}/{BUCKET}/signatures/tanz%20%C3%BC.mp4"
    for offset in (-910, 910):
        answer = http.get(url, headers=signed_headers("GET", KEY, offset=offset), timeout=10)
        assert reason(answer) == (403, "RequestTimeTooSkewed")
    assert http.get(url, headers=signed_headers("GET", KEY, offset=-880), timeout=10).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["OSS4-HMAC-SHA256", "OSS4-HMAC-SHA256 Credential=, Signature=", "OSS4-HMAC-SHA256 nonsense", "Basic YTpi", "x"],
)
def test_a_malformed_authorization_is_refused(sandbox: Sandbox, http: requests.Session, authorization: str) -> None:
    headers = {**signed_headers("GET", KEY), "Authorization": authorization}
    answer = http.get(f"{sandbox.url}/{BUCKET}/x", headers=headers, timeout=10)
    assert reason(answer) == (400, "InvalidArgument")


def test_an_anonymous_caller_is_refused(sandbox: Sandbox, http: requests.Session) -> None:
    assert reason(http.get(f"{sandbox.url}/{BUCKET}/any", timeout=10)) == (403, "AccessDenied")
    assert reason(http.put(f"{sandbox.url}/{BUCKET}/any", data=b"x", timeout=10)) == (403, "AccessDenied")


def test_version_1_is_refused_unless_the_setting_allows_it(sandbox: Sandbox, http: requests.Session) -> None:
    bucket = oss2.Bucket(oss2.Auth(ACCESS_KEY_ID, ACCESS_KEY_SECRET), sandbox.url, BUCKET)
    url = bucket.sign_url("GET", KEY, 60, params={"response-content-type": "text/plain"}, slash_safe=True)
    with pytest.raises(oss2.exceptions.AccessDenied) as refused:
        bucket.get_object(KEY)
    assert (refused.value.status, refused.value.ec) == (403, "0002-00000080")
    answer = http.get(url, timeout=10)
    assert (answer.status_code, answer.headers["x-oss-ec"]) == (403, "0002-00000080")

    sandbox.settings(allow_v1=True)
    assert bucket.get_object(KEY).read() == b"0123456789"
    assert bucket.list_parts("k", bucket.init_multipart_upload("k").upload_id).parts == []
    answer = http.get(url, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain")
    assert reason(http.get(url.replace("text%2Fplain", "text%2Fhtml"), timeout=10)) == MISMATCH
    expired = bucket.sign_url("GET", KEY, -5, slash_safe=True)
    assert reason(http.get(expired, timeout=10)) == (403, "AccessDenied")
    bucket.session.session.close()
