"""Bad input never gives a 500, never breaks out of a page or a header, and is never believed.

Every address of tests/doors.py, so that a new one is tried too.
"""

import io
import json
import string
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from django.http import HttpResponseBase
from django.test import Client, RequestFactory, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import addresses, limits
from accounts.models import User
from accounts.user_agents import name_of
from templategen import actions, media
from templategen.actions.names import clean_file_name, clean_name
from templategen.clients import build
from templategen.models import ActionTemplate
from templategen.states import State
from tests.doors import DOORS, WITHOUT_ACCOUNT, make_behind, path_of
from tests.factories import make_clip, make_template
from tests.people import account_of
from tests.property import hostile

pytestmark = pytest.mark.usefixtures("no_limits")

QUICK = {
    "max_examples": 10,
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
FORM = "application/x-www-form-urlencoded"


def expect_calm(answer: HttpResponseBase, *, sent: object) -> None:
    """No crash, and no header that was not meant."""
    assert answer.status_code < 500, sent
    for name, value in answer.items():
        assert name.lower() != "x"
        assert "\r" not in value, sent
        assert "\n" not in value, sent
    assert set(answer.cookies) <= {"sessionid", "csrftoken", "messages"}, sent


# --- Every address of an account ---


@pytest.mark.parametrize("name", sorted(DOORS))
def test_no_address_of_an_account_crashes(client: Client, owner: User, services: None, name: str) -> None:
    studio = account_of(owner)
    behind = [(door, make_behind(name, door, studio, owner).path) for door in DOORS[name]]

    @settings(**QUICK)
    @given(query=hostile.forms, form=hostile.forms, headers=hostile.headers)
    def come(query: str, form: str, headers: dict[str, str]) -> None:
        client.force_login(owner)
        for door, path in behind:
            body = {} if door.method == "get" else {"data": form, "content_type": FORM}
            answer = getattr(client, door.method)(f"{path}?{query}", **body, headers=headers)
            expect_calm(answer, sent=(query, form, headers))

    come()


@pytest.mark.parametrize("name", sorted({*WITHOUT_ACCOUNT} - {"accounts:sign_out"}))
def test_no_other_address_crashes(client: Client, owner: User, name: str) -> None:
    path = path_of(name)

    @settings(**QUICK)
    @given(query=hostile.forms, form=hostile.forms, headers=hostile.headers, is_in=st.booleans())
    def come(query: str, form: str, headers: dict[str, str], is_in: bool) -> None:
        if is_in:
            client.force_login(owner)
        else:
            client.cookies.clear()
        expect_calm(client.get(f"{path}?{query}", headers=headers), sent=(query, headers))
        expect_calm(client.post(path, form, content_type=FORM, headers=headers), sent=(form, headers))

    come()


@settings(**QUICK)
@given(path=st.text(string.printable, max_size=40) | st.sampled_from([str(text) for text in hostile.TEXTS]))
def test_no_made_up_address_crashes(db: None, path: str) -> None:
    client = Client()
    for start in ("/", "/a/", "/sign-in/", "/invitation/", "/sign-up/link/", "/password-reset/MQ/", "/api/v1/"):
        expect_calm(client.get(f"{start}{hostile.urlencoded([('', path)])[1:]}"), sent=path)


# --- JSON ---


@pytest.mark.parametrize("name", ["web:uploads", "web:upload_parts", "web:upload_finish", "web:upload_cancel"])
def test_no_json_crashes_the_upload(client: Client, owner: User, services: None, name: str) -> None:
    door = next(door for door in DOORS[name] if door.method == "post")
    path = make_behind(name, door, account_of(owner), owner).path
    client.force_login(owner)

    @settings(**QUICK | {"max_examples": 25})
    @given(body=hostile.bodies | hostile.uploads.map(json.dumps) | hostile.json_values.map(json.dumps))
    def send(body: str | bytes) -> None:
        answer = client.post(path, body, content_type="application/json", headers={"Accept": "application/json"})
        expect_calm(answer, sent=body)
        # Nothing is there any more once it was canceled: that is the site's own page.
        assert answer.status_code == 404 or answer["Content-Type"].startswith("application/json")

    send()


def test_what_was_not_a_sound_upload_left_nothing_behind(client: Client, owner: User, services: None) -> None:
    client.force_login(owner)

    @settings(**QUICK)
    @given(size=st.none() | st.floats() | st.booleans() | st.text(max_size=5) | st.integers(max_value=-1))
    def send(size: object) -> None:
        body = json.dumps({"file_name": "a.mp4", "size": size})
        assert client.post("/a/studio/uploads/", body, content_type="application/json").status_code in {400, 422}

    send()
    assert not ActionTemplate.objects.exists()


# --- Multipart: the check before an upload, and the plain form ---


@settings(**QUICK)
@given(
    size=hostile.texts,
    offsets=st.lists(hostile.texts, max_size=3),
    slices=st.lists(st.tuples(hostile.json_texts, st.binary(max_size=200)), max_size=3),
    to=st.sampled_from(["precheck", "uploads/form"]),
)
def test_no_multipart_crashes(
    client: Client, owner: User, services: None, size: Any, offsets: list[Any], slices: list[Any], to: str
) -> None:
    client.force_login(owner)
    fields = [("size", size), *[("offset", offset) for offset in offsets]]
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), hostile.as_bytes(value))
        for name, value in fields
    ]
    parts += [
        b'--x\r\nContent-Disposition: form-data; name="slice"; filename="%b"\r\nContent-Type: video/mp4\r\n\r\n%b\r\n'
        % (hostile.as_bytes(name).replace(b"\r", b"").replace(b"\n", b"").replace(b'"', b"%22"), data)
        for name, data in slices
    ]
    body = b"".join(parts) + b"--x--\r\n"
    answer = client.post(f"/a/studio/{to}/", body, content_type="multipart/form-data; boundary=x")
    expect_calm(answer, sent=body)


@settings(**QUICK)
@given(body=st.binary(max_size=300), kind=st.sampled_from(["multipart/form-data", "multipart/form-data; boundary=x"]))
def test_no_broken_multipart_crashes(client: Client, owner: User, body: bytes, kind: str) -> None:
    client.force_login(owner)
    for to in ("precheck", "uploads/form"):
        expect_calm(client.post(f"/a/studio/{to}/", body, content_type=kind), sent=body)


# --- Names ---


@settings(**QUICK | {"max_examples": 200})
@given(name=hostile.json_texts)
def test_a_file_name_is_one_printable_part_of_a_path(name: str) -> None:
    clean = clean_file_name(name)
    assert clean
    assert len(clean) <= 255
    assert clean.isprintable()
    assert not set(clean) & set("/\\")
    assert clean_name(name).isprintable()


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=y.mp4", 'a"; filename="b.mp4', "../../b.mp4", "ü🎬.mp4", "a;b%0d%0a,c.mp4", "<b>.mp4"]
)
def test_a_file_name_cannot_break_out_of_the_downloads_header(owner: User, services: None, name: str) -> None:
    template = actions.begin_upload(account_of(owner), by=owner, file_name=name, size_bytes=1000)
    key = template.clip.object_key
    assert all(letter in string.ascii_letters + string.digits + "/_-." for letter in key)
    assert ".." not in key
    build.storage().put(key, b"x", content_type="video/mp4")
    template.clip.stored_at = template.created_at
    with urlopen(media.clip_url(template, download=True), timeout=10) as answer:
        told = answer.headers["Content-Disposition"]
        assert "Set-Cookie" not in answer.headers
    assert told.startswith("attachment; filename")
    assert told.count('"') in {0, 2}
    assert not set(told) & set("\r\n")


MARKUP = st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title><b>", "' onfocus=alert(1) '", "<!-- x47"]
)


@settings(**QUICK | {"max_examples": 5})
@given(markup=MARKUP)
def test_no_name_breaks_out_of_a_page(client: Client, owner: User, services: None, markup: str) -> None:
    studio = account_of(owner)
    clip = make_clip(studio, file_name=clean_file_name(markup))
    template = make_template(studio, State.READY, name=markup, clip=clip)
    failed = make_template(studio, State.FAILED, name=markup, error_message=markup, error_code=markup[:20])
    type(studio).objects.filter(pk=studio.pk).update(name=markup)
    User.objects.filter(pk=owner.pk).update(first_name=markup[:30], is_staff=True, is_superuser=True)
    client.force_login(owner, backend=None)
    client.post("/a/studio/tokens/", {"name": markup})
    at = "/a/studio/"
    pages = [
        at,
        f"{at}?q={markup}",
        f"{at}live/?t={template.public_id}.0",
        f"{at}members/",
        f"{at}tokens/",
        "/account/",
    ]
    pages += [f"{at}templates/{one.public_id}/" for one in (template, failed)]
    pages += [f"{at}templates/{template.public_id}/{part}/" for part in ("card", "delete")]
    pages += ["/admin/accounts/account/", "/admin/templategen/actiontemplate/"]
    pages += [f"/admin/templategen/actiontemplate/{failed.pk}/change/", f"/admin/accounts/account/{studio.pk}/change/"]
    agent = {"user-agent": markup}
    for page in pages:
        answer = client.get(page, headers=agent)
        assert answer.status_code == 200, page
        assert markup not in answer.content.decode(), page


# --- Addresses and limits ---


@settings(**QUICK | {"max_examples": 100})
@given(said=hostile.header_values | st.sampled_from([str(text) for text in hostile.TEXTS]), remote=st.text(max_size=20))
def test_a_visitors_address_is_an_address_or_nothing(said: str, remote: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=remote)
    request.META["HTTP_X_FORWARDED_FOR"] = said
    for proxies in (1, 3):
        with override_settings(BEHIND_PROXY=True, PROXIES=proxies):
            found = addresses.visitor_address(request)
            assert len(found) <= 45
            assert set(found) <= set(string.hexdigits + ":.")
            addresses.counted_address(request)
    assert len(name_of(said)) < 60


@settings(**QUICK | {"max_examples": 100})
@given(text=hostile.json_texts)
def test_a_limit_is_a_rate_or_an_error_that_is_expected(text: str) -> None:
    try:
        rate = limits.parse(text)
    except ValueError:
        return
    assert rate is None or (rate.most >= 1 and rate.seconds >= 1)


@settings(**QUICK)
@given(next_page=st.sampled_from([str(text) for text in hostile.TEXTS]) | st.text(max_size=30))
def test_no_next_page_leads_to_another_site(client: Client, owner: User, next_page: str) -> None:
    client.cookies.clear()
    words = {"username": owner.email, "password": "a-long-enough-phrase", "next": next_page}
    body = hostile.urlencoded(list(words.items()))
    answer = client.post("/sign-in/", body, content_type=FORM)
    assert answer.status_code == 302
    target = urlsplit(answer["Location"])
    assert target.netloc == ""
    assert target.scheme == ""
    assert not parse_qs(target.query).get("x")


def test_a_form_of_too_many_fields_or_too_large_is_refused(client: Client, owner: User) -> None:
    client.force_login(owner)
    many = "&".join(f"a{number}=1" for number in range(6000))
    assert client.post("/account/password/", many, content_type=FORM).status_code == 400
    large = "code=" + "a" * 3_000_000
    assert client.post("/account/two-step/", large, content_type=FORM).status_code in {400, 413}
    assert client.post("/a/studio/uploads/", b"x" * 3_000_000, content_type="application/json").status_code == 400
    assert client.post("/a/studio/precheck/", {"slice": io.BytesIO(b"x")}).status_code == 400
