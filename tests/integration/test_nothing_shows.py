"""Every page of the site as it is sent: no code or style inline, no key, the headers. And what is kept and logged."""

import logging
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.core import mail
from django.http import HttpResponseBase
from django.test import Client
from django.urls import path, reverse

from accounts import history, ledger, members, tokens, two_step
from accounts.models import Account, AccountEvent, Quota, Role, User
from templategen.admin.queue import Failure
from templategen.logs import FieldsFormatter, JsonFormatter
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.urls import urlpatterns as the_sites
from tests.clips import make_clip
from tests.conftest import point_at
from tests.doors import ADMIN, DOORS, WITHOUT_ACCOUNT, make_behind, open_door, path_of
from tests.factories import make_template
from tests.markup import flaws_of
from tests.people import PASSWORD, account_of, make_person
from tests.product import Product
from tests.sandbox import ACCESS_KEY_SECRET, API_KEY, Sandbox

# In no page, no row, no line. The address of a signed part goes to whoever uploads, in JSON, and nowhere else.
KEYS = (ACCESS_KEY_SECRET, API_KEY)
# Part of what the sandbox signs, and of what ``fill`` leaves about.
SIGNED = ("x-oss-credential=sandbox", "x-oss-signature=0a1b2c3d")
LEFT_ABOUT = (
    "cannot load https://b.oss-cn-beijing.aliyuncs.com/k?x-oss-credential=sandbox%2Fb&x-oss-signature=0a1b2c3d4e5f"
)


@pytest.fixture
def services(db: None, sandbox: Sandbox, settings: Any) -> Sandbox:
    """OSS and DashScope answer."""
    point_at(sandbox, settings)
    settings.SIGN_UP = "open"
    settings.LIMITS = dict.fromkeys(settings.LIMITS, "")
    return sandbox


def text_of(answer: HttpResponseBase) -> str:
    parts = answer.streaming_content if answer.streaming else [answer.content]  # type: ignore[attr-defined]
    return b"".join(parts).decode(errors="replace")


def expect_clean(answer: HttpResponseBase, what: object) -> str:
    """A page without code or style inline; whatever it is, without a key. Its text."""
    assert answer.status_code < 500, what
    text = text_of(answer)
    if answer.get("Content-Type", "").startswith("text/html"):
        assert flaws_of(text) == [], what
        assert [word for word in SIGNED if word in text] == [], what
        # Named on purpose, where the sandbox stands in for Alibaba: it opens nothing else.
        text = text.replace(f"<code>{API_KEY}</code>", "")
    assert [word for word in KEYS if word in text] == [], what
    return text


# --- The reader itself ---


@pytest.mark.parametrize(
    "page",
    [
        "<script>1</script>", "<p style='color:red'>", "<p onclick=x>", "<a href='JavaScript:1'>", "<style>p{}</style>",
        "<a href=' java\nscript:1'>", "<img src='//evil.example/x.png'>", "<script src='https://evil.example/x.js'>",
        "<meta http-equiv=refresh content=0>", "<p hx-on:click=x>", "<base href=/>", "<iframe srcdoc='x'>",
        "<link rel=stylesheet href='https://evil.example/x.css'>", "<a href='data:text/html,x'>", "<svg onload=x>",
        "<p hx-vals='js:{a: 1}'>",
    ],
)  # fmt: skip
def test_the_reader_sees_what_is_inline_or_foreign(page: str) -> None:
    assert flaws_of(page)


def test_the_reader_finds_nothing_in_a_plain_page() -> None:
    page = '<a href="https://x.example/">x</a><script src="/static/x.js"></script><img src="data:image/png;base64,x">'
    assert flaws_of(page) == []


# --- Every page ---


def test_no_page_of_an_account_has_anything_inline_or_a_key_in_it(client: Client, owner: User, services: None) -> None:
    studio = account_of(owner)
    fill(studio, owner)
    viewer = make_person("viewer@example.com", studio.slug, role=Role.VIEWER)
    for name, doors in DOORS.items():
        for door in doors:
            for person in (owner, viewer) if door.method == "get" else (owner,):
                behind = make_behind(name, door, studio, owner)
                client.force_login(person)
                expect_clean(open_door(client, door, behind.path), (name, door.method, person.email))
                owner.memberships.update_or_create(account=studio, defaults={"role": Role.OWNER})
    for template in ActionTemplate.objects.all():
        expect_clean(client.get(f"/a/studio/templates/{template.public_id}/"), template.state)


@pytest.mark.parametrize("who", ["anonymous", "owner"])
def test_no_page_outside_the_accounts_has(client: Client, owner: User, services: None, who: str) -> None:
    paths = [path_of(name) for name in WITHOUT_ACCOUNT] + [
        "/no-such-page/",
        "/a/no-such-account/",
        "/a/studio/nothing/",
    ]
    for method in ("get", "post", "delete"):
        for each in paths:
            client.cookies.clear()
            if who == "owner":
                client.force_login(owner)
            if (method, each) != ("post", reverse("accounts:sign_out")):
                expect_clean(getattr(client, method)(each), (method, each))


def test_no_page_that_only_a_secret_opens_has(client: Client, owner: User, services: None) -> None:
    offer = members.invite(account_of(owner), email="new@example.com", role=Role.EDITOR, by=owner)
    token = members.new_token(offer)
    page = expect_clean(client.get(f"/invitation/{token}/", follow=True), "invitation")
    assert str(token) not in page
    secret = two_step.begun_device(owner)
    client.force_login(owner)
    assert secret.key not in expect_clean(client.get("/account/two-step/"), "two steps")
    client.post("/account/password/", {"old_password": PASSWORD})
    expect_clean(client.post("/sign-in/", {"username": owner.email, "password": "wrong"}), "wrong password")


def test_no_page_of_the_administration_has(client: Client, owner: User, services: None) -> None:
    studio = account_of(owner)
    fill(studio, owner)
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(owner)
    Client().post("/sign-in/", {"username": "nobody@example.com", "password": "wrong"})
    pages = [path_of(name) for name in ADMIN if name != "admin:None"] + ["/admin/x"]
    for model in admin.site._registry:
        at = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages += [reverse(f"{at}_changelist"), f"{reverse(f'{at}_changelist')}?q=a"]
        for row in model._default_manager.all()[:8]:
            pages += [reverse(f"{at}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    assert len(pages) > 60
    for page in pages:
        if page != reverse("admin:logout"):
            expect_clean(client.get(page), page)


def fill(account: Account, owner: User) -> None:
    """Something of everything, and in what other people's programs have said a signed address."""
    for state in State:
        template = make_template(account, state, error_message=LEFT_ABOUT)
        template.events.create(kind="moved", to=state, by=owner, detail={"code": "x", "message": LEFT_ABOUT})
    Quota.objects.create(account=account, templates_per_month=10)
    ledger.hold(account.pk, "template:x:1", milliseconds=1000, by=owner)
    tokens.make(account, user=owner, name="One")
    members.invite(account, email="guest@example.com", role=Role.VIEWER, by=owner)
    history.note(account, AccountEvent.Kind.ACCOUNT_MADE, by=owner, about="x")
    two_step.begun_device(owner)
    now = template.created_at
    Failure.objects.create(
        id="f" * 32, name="one", func="templategen.jobs.check", args=(), kwargs={}, success=False,
        result=LEFT_ABOUT, started=now, stopped=now,
    )  # fmt: skip


# --- The headers ---

ALWAYS = {
    "Referrer-Policy", "X-Content-Type-Options", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
    "Permissions-Policy", "Content-Security-Policy", "X-Frame-Options", "Strict-Transport-Security",
}  # fmt: skip


@login_not_required
def crash(_request: object) -> None:
    secret_part = "https://b.example/k?x-oss-signature=0123456789abcdef&x-oss-credential=a"
    raise RuntimeError(f"cannot load {secret_part} with sk-0123456789abcdef and the-token-of-the-metrics")


urlpatterns = [path("crash/", crash), *the_sites]


@pytest.fixture
def under_https(settings: Any, tmp_path: Path) -> None:
    """As behind a proxy that speaks https."""
    settings.ROOT_URLCONF = __name__
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    (tmp_path / "one.css").write_text("p {}")
    settings.STATIC_ROOT, settings.WHITENOISE_AUTOREFRESH = str(tmp_path), False
    settings.WHITENOISE_USE_FINDERS = False


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/static/one.css", 200), ("/sign-in/", 200), ("/sign-in/link-gone/", 410), ("/no-such-page/", 404),
        ("/a/studio/", 302), ("/crash/", 500), ("/healthz", 200), ("/readyz", None), ("/metrics", 404),
        ("/api/v1/templates/", 401), ("/admin/", 302), ("/jsi18n/", 200),
    ],
)  # fmt: skip
def test_every_answer_has_every_header(
    client: Client, db: None, under_https: None, address: str, status: int | None
) -> None:
    client.raise_request_exception = False
    answer = client.get(address, secure=True, headers={"x-forwarded-proto": "https"})
    assert status in {None, answer.status_code}
    assert ALWAYS - set(answer.headers) == set()
    text_of(answer)


def test_refusals_before_any_page_have_them_too(client: Client, db: None, under_https: None) -> None:
    told = {"x-forwarded-proto": "https"}
    for answer in (
        client.get("/sign-in/", secure=True, headers={**told, "host": "evil.example"}),
        client.get("/healthz", secure=True, headers={**told, "host": "evil.example"}),
        Client(enforce_csrf_checks=True).post("/sign-in/", secure=True, headers=told),
        client.post("/healthz", secure=True, headers=told),
    ):
        assert ALWAYS - set(answer.headers) == set(), answer.status_code
    plain = client.get("/sign-in/", headers={"host": "evil.example"})
    assert (plain.status_code, ALWAYS - set(plain.headers)) == (400, {"Strict-Transport-Security"})
    redirected = client.get("/sign-in/")
    assert (redirected.status_code, redirected["Location"]) == (301, "https://testserver/sign-in/")


def test_every_cookie_is_for_https_only(client: Client, owner: User, under_https: None) -> None:
    answer = client.post(
        "/sign-in/", {"username": owner.email, "password": PASSWORD}, secure=True,
        headers={"x-forwarded-proto": "https"},
    )  # fmt: skip
    assert answer.cookies
    assert all(cookie["secure"] for cookie in answer.cookies.values())


# --- What an error tells ---


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_djangos_own_report_of_an_error_shows_no_key(client: Client, db: None, settings: Any, accept: str) -> None:
    settings.ROOT_URLCONF, settings.DEBUG = __name__, True
    settings.SECRETS = ["the-token-of-the-metrics"]
    settings.METRICS_TOKEN = "the-token-of-the-metrics"
    client.raise_request_exception = False
    answer = client.get(
        "/crash/?x=the-token-of-the-metrics", headers={"accept": accept, "authorization": "Bearer tg_abc"}
    )
    page = text_of(answer)
    assert answer.status_code == 500
    assert "RuntimeError" in page
    for word in ("0123456789abcdef", "the-token-of-the-metrics", "tg_abc", *KEYS[:1]):
        assert word not in page


@pytest.mark.parametrize(
    ("path", "field", "crashing"),
    [
        ("/sign-in/", "password", "django.contrib.auth.backends.ModelBackend.authenticate"),
        ("/account/password/", "new_password1", "accounts.models.User.save"),
        ("/a/studio/credential/", "api_key", "templategen.clients.dashscope.DashScope.list_tasks"),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_what_was_typed_in_stands_in_no_report_whatever_it_looks_like(
    owner: User, settings: Any, monkeypatch: Any, path: str, field: str, crashing: str, accept: str
) -> None:
    typed_password = "Nothing2See-" + secrets.token_hex(8)
    client = Client(raise_request_exception=False)
    if path != "/sign-in/":
        client.force_login(owner)
    rest = {"username": owner.email, "old_password": PASSWORD, "new_password2": typed_password}

    def crash(*_given: Any, **_more: Any) -> None:
        raise RuntimeError("it does not matter why")

    settings.DEBUG = True
    monkeypatch.setattr(crashing, crash)
    answer = client.post(path, {**rest, field: typed_password}, headers={"accept": accept})
    page = text_of(answer)
    assert (answer.status_code, "RuntimeError" in page) == (500, True)
    assert [word for word in (typed_password, PASSWORD) if word in page] == []


def test_a_mail_about_an_error_shows_no_key(client: Client, db: None, settings: Any) -> None:
    from django.utils.log import AdminEmailHandler

    settings.ROOT_URLCONF, settings.ADMINS = __name__, [("Ops", "ops@example.com")]
    settings.SECRETS = ["the-token-of-the-metrics"]
    client.raise_request_exception = False
    logger, handler = logging.getLogger("django.request"), AdminEmailHandler(include_html=True)
    logger.addHandler(handler)
    try:
        client.get("/crash/", headers={"authorization": "Bearer tg_abc"})
    finally:
        logger.removeHandler(handler)
    [message] = mail.outbox
    told = f"{message.subject}{message.body}{message.alternatives}"  # type: ignore[attr-defined]
    assert "RuntimeError" in told
    assert [word for word in ("0123456789abcdef", "the-token-of-the-metrics", "tg_abc") if word in told] == []


# --- What is kept and what is logged ---


def test_a_templates_whole_way_leaves_no_key_in_any_row_or_line(
    product: Product, sandbox: Sandbox, owner: User, tmp_path: Path, caplog: Any
) -> None:
    clip = make_clip(tmp_path / "one.mp4")
    with caplog.at_level(logging.DEBUG):
        sandbox.fault("oss", "status", status=503, code="ServiceUnavailable")
        with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever: OSS does not answer
            product.upload(account_of(owner), clip, by=owner)
        sandbox.clear_faults()
        sandbox.fault("submit", "status", status=403, code="AccessDenied", times=1)
        done = product.upload(account_of(owner), clip, by=owner)
        product.one_round()
    rows = "\n".join(
        str(row) for model in apps.get_models() if model._meta.managed for row in model._default_manager.values()
    )
    assert done.clip.object_key in rows
    assert [word for word in (*KEYS, *SIGNED) if word in rows] == []
    ours = [record for record in caplog.records if record.name.partition(".")[0] in {"templategen", "accounts"}]
    assert ours
    for formatter in (FieldsFormatter(), JsonFormatter()):
        lines = "\n".join(formatter.format(record) for record in caplog.records)
        assert [word for word in (*KEYS, "x-oss-signature=0", "OSSAccessKeyId=") if word in lines] == []
    raw = "\n".join(str(vars(record)) for record in ours)
    assert [word for word in (*KEYS, *SIGNED) if word in raw] == []
