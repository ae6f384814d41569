"""Log lines: of which request or job they speak, and that no key or signed URL is ever in one."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import oss2
import pytest
import requests
import urllib3
from django.http import HttpResponse
from django.test import RequestFactory
from gunicorn.app.wsgiapp import WSGIApplication

from templategen.gunicorn_log import SiteLogger
from templategen.logs import FieldsFormatter, JsonFormatter, about
from templategen.redact import HIDDEN, redact, redact_within
from templategen.web.request_ids import RequestIdMiddleware

KEY_ID, KEY_SECRET, API_KEY = (
    "LTAI5tQUITEASECRETKEYID",
    "verysecretsecretofoss0123456789",
    "sk-0123456789abcdef0123456789abcdef",
)


@pytest.fixture(params=[FieldsFormatter, JsonFormatter])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    return request.param(secrets=[KEY_SECRET])


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody can listen on meanwhile, and nobody does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def line_of(formatter: logging.Formatter, message: str = "it failed", /, *arguments: object, **more: Any) -> str:
    """What would be written for one call of a logger."""
    lines: list[str] = []

    class Taking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Taking()
    handler.setFormatter(formatter)
    logger = logging.Logger("templategen.somewhere")  # noqa: LOG001 -- no other handler hears of it
    logger.addHandler(handler)
    logger.error(message, *arguments, **more)
    return lines[0]


def signed(port: int, version: str) -> str:
    auth = {"v1": oss2.Auth, "v4": oss2.AuthV4}[version](KEY_ID, KEY_SECRET)
    more = {"region": "cn-beijing"} if version == "v4" else {}
    bucket = oss2.Bucket(auth, f"http://127.0.0.1:{port}", "clips", is_path_style=True, **more)
    return str(bucket.sign_url("GET", "clips/one two.mp4", 3600, slash_safe=True))


def secrets_of(url: str) -> list[str]:
    """The values in a signed URL that make it one."""
    query = urllib3.util.parse_url(url).query or ""
    pairs = [pair.split("=", 1) for pair in query.split("&")]
    wanted = {"signature", "x-oss-signature", "x-oss-credential", "ossaccesskeyid"}
    found = [value for name, value in pairs if name.lower() in wanted]
    assert len(found) == 2
    return found


def call_requests(url: str) -> None:
    requests.get(url, timeout=30)


def call_urllib3(url: str) -> None:
    urllib3.PoolManager(retries=False).request("GET", url)


def call_urllib3_with_retries(url: str) -> None:
    urllib3.PoolManager(retries=urllib3.Retry(1, backoff_factor=0)).request("GET", url)


def call_oss2(url: str) -> None:
    bucket = oss2.Bucket(
        oss2.AnonymousAuth(), url.partition("/clips")[0], "clips", is_path_style=True, connect_timeout=30
    )
    bucket.get_object_with_url(url)


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("call", [call_requests, call_urllib3, call_urllib3_with_retries, call_oss2])
def test_exceptions_of_the_clients_lose_their_signed_urls(
    formatter: logging.Formatter, closed_port: int, version: str, call: Callable[[str], None]
) -> None:
    url = signed(closed_port, version)
    try:
        call(url)
    except Exception as problem:  # noqa: BLE001 -- each client has its own
        said = str(problem)
        line = line_of(formatter, "download of %s failed: %s", url, problem, exc_info=True, extra={"problem": problem})
    assert call is call_urllib3 or secrets_of(url)[-1][:12] in said
    assert "Traceback" in line
    for secret in [*secrets_of(url), KEY_ID, KEY_SECRET]:
        assert secret not in line


def test_what_oss_says_about_a_wrong_signature_is_not_repeated(formatter: logging.Formatter) -> None:
    answer = oss2.exceptions.ServerError(
        403, {}, b"", {"Code": "SignatureDoesNotMatch", "OSSAccessKeyId": KEY_ID, "SignatureProvided": "b64sig=="}
    )
    line = line_of(formatter, "refused", extra={"problem": answer})
    assert KEY_ID not in line
    assert "SignatureDoesNotMatch" in line


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {API_KEY}",
        f"{{'Authorization': 'Bearer {API_KEY}', 'Accept': '*/*'}}",
        f"header ('Authorization', b'Bearer {API_KEY}')",
        f"the key {API_KEY}, as given",
        f"Invalid API-key provided: {API_KEY}.",
        f"api_key={API_KEY}&x=1",
        "https://b.oss-cn-beijing.aliyuncs.com/k?x-oss-date=1&x-oss-signature=abcdef0123456789abcdef",
        "url=https%3A%2F%2Fb.example%2Fk%3FOSSAccessKeyId%3DLTAIabcdef0123456789abcdef%26Signature%3Dabcdef0123456789abcdef%253D",
        '{"url": "https://b/k?Expires=1\\u0026Signature=abcdef0123456789abcdef%3D"}',
        "Authorization: OSS4-HMAC-SHA256 Credential=LTAI/20260101/cn,Signature=abcdef0123456789abcdef",
        "authorization: OSS LTAIabcdef0123456789abcdef:c2lnbmF0dXJl",
        "could not connect to postgres://app:abcdef0123456789abcdef@db/templates",
        "Not Found: /sign-in/MQ/abcdef0123456789abcdef/",
        "Not Found: /password-reset/MQ/abcdef0123456789abcdef/",
        "Gone: /invitation/abcdef0123456789abcdef/",
        "Gone: /sign-up/link/abcdef0123456789abcdef/",
        "called with tg_abcdef0123456789abcdef0123456789",
        "Cookie: __Host-csrftoken=abcdef0123456789abcdef",
    ],
)
def test_keys_and_signatures_are_hidden_wherever_they_stand(formatter: logging.Formatter, text: str) -> None:
    for line in (line_of(formatter, text), line_of(formatter, "x", extra={"said": text, "all": {"deep": [text]}})):
        assert "0123456789abcdef" not in line
        assert HIDDEN in line


def test_the_rest_of_a_line_stays_as_it_is() -> None:
    for text in (
        "task-1234567890abcdef is over",
        "GET https://b.example/clips/a.mp4?Expires=1700000000&x-oss-signature-version=OSS4-HMAC-SHA256 403",
        "the signature does not fit: see docs",
        "Signature: ",
        "risk-taking-people",
        "Not Found: /sign-in/",
    ):
        assert redact(text) == text
    assert redact("?Expires=17&Signature=abc%3D&x=1") == f"?Expires=17&Signature={HIDDEN}&x=1"


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact(f"Authorization: Bearer {API_KEY} https://b/k?Signature=abc&OSSAccessKeyId=def x-oss-credential=a/b")
    assert redact(once) == once


def test_a_value_goes_whole_under_a_name_that_says_it_is_secret() -> None:
    found = redact_within({"headers": {"Authorization": "anything", "Cookie": "a=b", "Accept": "x"}, "n": 1})
    assert found == {"headers": {"Authorization": HIDDEN, "Cookie": HIDDEN, "Accept": "x"}, "n": 1}


def test_long_hostile_text_is_redacted_quickly(formatter: logging.Formatter) -> None:
    for piece in (
        "Signature",
        "authorization: ",
        "sk-",
        "://a",
        "bearer ",
        "x-oss-signature=",
        "%26",
        '"',
        "/sign-in/",
    ):
        line_of(formatter, piece * 20_000)


def test_fields_and_what_the_line_is_about_stand_in_it() -> None:
    with about(request_id="abc", template="outer"), about(template="inner"):
        text = line_of(FieldsFormatter(), "a word", extra={"count": 3, "said": 'two "words"\nand a line'})
        line = json.loads(line_of(JsonFormatter(), "a word", extra={"count": 3, "time": "mine", "nothing": None}))
    said = r'"two \"words\"\nand a line"'
    assert text == f"ERROR templategen.somewhere: a word request_id=abc template=inner count=3 said={said}"
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "logger": "templategen.somewhere",
        "message": "a word",
        "request_id": "abc",
        "template": "inner",
        "count": 3,
        "time_": "mine",
        "nothing": None,
    }
    assert "request_id" not in line_of(FieldsFormatter(), "afterwards")


def test_json_is_one_line_whatever_is_logged() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd\nthing"

    line = line_of(JsonFormatter(), "two\nlines", extra={"odd": Odd(), "pair": (1, b"x"), "not_a_number": float("nan")})
    assert "\n" not in line
    assert json.loads(line)["odd"] == "odd\nthing"


def test_a_request_takes_a_sound_id_and_no_other() -> None:
    seen = []

    def view(request: Any) -> HttpResponse:
        seen.append((request.request_id, json.loads(line_of(JsonFormatter()))["request_id"]))
        return HttpResponse()

    middleware = RequestIdMiddleware(view)
    for given, taken in (
        ("proxy-0123456789", True),
        ("short", False),
        ("x" * 65, False),
        ("a b\nc 0123456", False),
        ("", False),
    ):
        answer = middleware(RequestFactory().get("/", headers={"X-Request-ID": given}))
        assert (answer["X-Request-ID"] == given) is taken
        assert seen.pop() == (answer["X-Request-ID"], answer["X-Request-ID"])


def test_django_speaks_of_a_bad_answer_with_its_request(formatter: logging.Formatter) -> None:
    request = RequestFactory().get("/sign-in/MQ/abcdef0123456789/", {"Signature": "abcdef0123456789"})
    RequestIdMiddleware(lambda _request: HttpResponse())(request)
    extra = {"request": request, "status_code": 404}
    line = line_of(formatter, "%s: %s", "Not Found", request.path, extra=extra)
    assert request.request_id in line
    assert "404" in line
    assert "abcdef0123456789" not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_real_process_logs_in_the_form_that_is_set(tmp_path: Any, form: str) -> None:
    program = (
        "import django, logging; django.setup();"
        "from templategen.logs import about\n"
        "with about(template='t-1'):\n"
        "    logging.getLogger('templategen').warning('hello', extra={'url': 'http://b/k?Signature=abcdef0123'})"
    )
    environment = {**os.environ, "LOG_FORMAT": form, "TEMPLATEGEN_DATA": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "templategen.settings"
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stderr
    assert "abcdef0123" not in told
    if form == "json":
        assert json.loads(told)["template"] == "t-1"
    else:
        assert told == f'WARNING templategen: hello template=t-1 url="http://b/k?Signature={HIDDEN}"\n'


def gunicorn_config(*arguments: str) -> Any:
    """What gunicorn makes of our file and these arguments."""
    with patch.object(sys, "argv", ["gunicorn", "-c", "python:templategen.gunicorn_config", *arguments, "none:none"]):
        config = WSGIApplication().cfg
    assert config.logger_class is SiteLogger
    return config


@pytest.mark.parametrize("form", ["json", "text"])
def test_gunicorns_own_lines_have_the_same_form_and_nothing_secret(form: str, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setenv("LOG_FORMAT", form)
    log = SiteLogger(gunicorn_config("--access-logfile", "-"))
    try:
        log.error("Error handling request %s", "/invitation/abcdef0123456789/")
        log.access_log.info('%(h)s "%(r)s"', {"h": "10.0.0.1", "r": "GET /sign-in/MQ/abcdef0123456789/ HTTP/1.1"})
    finally:
        for each in (log.error_log, log.access_log):
            each.handlers.clear()
    told = capfd.readouterr()
    lines = told.err.splitlines() + told.out.splitlines()
    assert len(lines) == 2
    assert "abcdef0123456789" not in "".join(lines)
    if form == "json":
        assert [json.loads(line)["logger"] for line in lines] == ["gunicorn.error", "gunicorn.access"]
    else:
        assert lines[0] == f"ERROR gunicorn.error: Error handling request /invitation/{HIDDEN}/"
