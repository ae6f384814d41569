"""The locks on the doors: wrong passwords, too often, headers, and what nobody may read."""

import logging
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import addresses, limits
from accounts.door_models import Knocks
from accounts.models import User
from templategen.content_policy import bucket_origin, policy
from templategen.urls import urlpatterns as the_sites
from tests.people import PASSWORD, make_person
from tests.settings import PASSWORD_HASHERS

ROOT = Path(__file__).resolve().parents[2]


def sign_in(client: Client, email: str = "owner@example.com", password: str = PASSWORD, **more: Any):
    return client.post(reverse("accounts:sign_in"), {"username": email, "password": password}, **more)


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def fail(times: int, email: str = "owner@example.com", **more: Any):
    return [sign_in(Client(), email, "wrong", **more) for _ in range(times)][-1]


# --- Wrong passwords ---


def test_the_fifth_wrong_password_locks_and_says_until_when(owner: User) -> None:
    assert fail(4).status_code == 200
    locked = fail(1)
    assert locked.status_code == 429
    assert 800 < int(locked["Retry-After"]) <= 900
    assert "Too many wrong passwords" in locked.content.decode()
    assert "15 minutes" in locked.content.decode()


def test_locked_out_the_right_password_lets_nobody_in(client: Client, owner: User) -> None:
    fail(5)
    assert sign_in(client).status_code == 429
    assert not is_in(client)


def test_the_lock_tells_nobody_who_is_known_here(owner: User) -> None:
    User.objects.create_user("no-password@example.com")
    User.objects.create_user("switched-off@example.com", password=PASSWORD, is_active=False)
    told = {}
    for number, email in enumerate(
        (owner.email, "nobody@example.com", "no-password@example.com", "switched-off@example.com")
    ):
        answers = [fail(1, email, REMOTE_ADDR=f"198.51.100.{number}") for _ in range(6)]
        pages = [re.sub(r'(csrfmiddlewaretoken"|username"[^>]*) value="[^"]*"', "", str(a.content)) for a in answers]
        told[email] = [
            (a.status_code, "Retry-After" in a.headers, page) for a, page in zip(answers, pages, strict=True)
        ]
    assert {status for status, *_more in told[owner.email]} == {200, 429}
    for pages in told.values():
        assert pages == told[owner.email]


def test_a_wrong_password_costs_as_much_for_somebody_unknown(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("no-password@example.com")
    hashed: list[str] = []
    hasher = import_string(PASSWORD_HASHERS[0])
    encode = hasher.encode

    def counted(self: Any, password: str, *more: Any) -> str:
        hashed.append(password)
        return str(encode(self, password, *more))

    monkeypatch.setattr(hasher, "encode", counted)
    for email in (owner.email, "nobody@example.com", "no-password@example.com"):
        hashed.clear()
        fail(1, email)
        assert len(hashed) == 1, email


def test_capital_letters_and_spaces_are_no_way_round_the_lock(client: Client, owner: User) -> None:
    for email in ("Owner@example.com", "OWNER@example.com", "owner@Example.com", "oWNER@example.com"):
        fail(1, email)
    assert fail(1, " owner@example.com ").status_code == 429


def test_nobody_can_lock_a_person_out_from_elsewhere(client: Client, owner: User) -> None:
    fail(5, REMOTE_ADDR="203.0.113.7")
    sign_in(client, REMOTE_ADDR="198.51.100.4")
    assert is_in(client)


def test_an_office_is_not_locked_out_with_one_of_its_people(client: Client, owner: User) -> None:
    fail(5)
    sign_in(client, make_person("mate@example.com", "second").email)
    assert is_in(client)


def test_an_address_that_tries_many_names_is_locked_whole(client: Client, owner: User, settings) -> None:
    settings.SIGN_IN_ADDRESS_LIMIT = 6
    for number in range(6):
        fail(1, f"person-{number}@example.com")
    assert sign_in(client).status_code == 429
    sign_in(client, REMOTE_ADDR="198.51.100.4")
    assert is_in(client)


def test_signing_in_as_oneself_does_not_wash_the_address_clean(client: Client, owner: User, settings) -> None:
    settings.SIGN_IN_ADDRESS_LIMIT = 6
    fail(3, "one@example.com")
    fail(3, "two@example.com")
    AccessAttempt.objects.filter(username="two@example.com").update(failures_since_start=2)
    sign_in(client)
    assert is_in(client)
    fail(1, "three@example.com")
    assert sign_in(Client()).status_code == 429


def test_signing_in_forgets_ones_own_wrong_passwords(client: Client, owner: User) -> None:
    fail(4)
    sign_in(client)
    assert fail(4).status_code == 200


def test_the_lock_ends_when_it_was_said_to_end_however_often_one_knocks(client: Client, owner: User) -> None:
    fail(5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=890))
    assert int(fail(3)["Retry-After"]) <= 10
    assert AccessAttempt.objects.get().failures_since_start == 5
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=901))
    sign_in(client)
    assert is_in(client)


def test_what_was_typed_as_password_is_kept_nowhere(owner: User) -> None:
    sign_in(Client(), password="a-secret-that-was-typed")
    kept = AccessAttempt.objects.values().get()
    assert "a-secret-that-was-typed" not in str(kept)


def test_a_script_is_told_in_json(owner: User) -> None:
    answer = fail(5, headers={"accept": "application/json"})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "too_many"


def test_nonsense_in_the_form_is_answered_calmly(client: Client, owner: User) -> None:
    for email in ("", "\0", "ä" * 400, "a\nb"):
        assert sign_in(client, email, "wrong").status_code in {200, 429}


@pytest.mark.parametrize("to", ["/admin/", "/admin/accounts/user/?q=x"])
def test_the_administrations_door_is_the_sites_own(client: Client, owner: User, to: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    address, _status = client.get(to, follow=True).redirect_chain[-1]
    assert address.startswith("/sign-in/?next=/admin/")
    page = client.post(address, {"username": owner.email, "password": PASSWORD, "next": to}, follow=True)
    assert page.redirect_chain[-1][0] == to


def test_the_administration_has_no_sign_in_of_its_own(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    assert client.post("/admin/login/", {"username": owner.email, "password": PASSWORD}).url.startswith("/sign-in/")
    assert not is_in(client)


def test_who_is_no_staff_is_told_so_at_the_administrations_door(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get("/admin/", follow=True).status_code == 403


@pytest.mark.parametrize("to", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_the_administrations_door_leads_to_this_site_only(client: Client, owner: User, to: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    client.force_login(owner)
    assert client.get("/admin/login/", {"next": to}).url == "/admin/"


# --- Where somebody comes from ---


def request_from(remote: str, forwarded: str | None = None):
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers)


def test_without_a_proxy_the_header_counts_for_nothing(settings) -> None:
    settings.BEHIND_PROXY = False
    assert addresses.visitor_address(request_from("203.0.113.7", "10.0.0.1")) == "203.0.113.7"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "203.0.113.7", "127.0.0.1"),
        (1, "nonsense", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "::ffff:203.0.113.7", "203.0.113.7"),
        (1, " 2001:db8::1 ", "2001:db8::1"),
    ],
)
def test_behind_proxies_the_address_is_the_one_that_the_first_of_them_saw(settings, proxies, forwarded, found) -> None:
    settings.BEHIND_PROXY, settings.PROXIES = True, proxies
    assert addresses.visitor_address(request_from("127.0.0.1", forwarded)) == found


def test_an_ipv6_network_counts_as_one() -> None:
    one, two = (addresses.counted_address(request_from(ip)) for ip in ("2001:db8::1", "2001:db8::ffff:2"))
    assert one == two == "2001:db8::"
    assert addresses.counted_address(request_from("2001:db8:0:1::1")) == "2001:db8:0:1::"


def test_a_socket_without_an_address_is_no_error(client: Client, owner: User) -> None:
    assert fail(5, REMOTE_ADDR="").status_code == 429
    assert addresses.counted_address(request_from("")) is None


# --- Too often ---


def test_the_check_before_an_upload_has_a_limit_of_its_own_for_each_person(client: Client, owner: User, settings):
    settings.LIMITS = {**settings.LIMITS, "precheck": "2/60"}
    client.force_login(owner)
    address = reverse("web:precheck", args=["studio"])
    told = [client.post(address, headers={"accept": "application/json"}) for _ in range(3)]
    assert [answer.status_code for answer in told] == [400, 400, 429]
    assert told[-1].json()["error"]["code"] == "too_many"
    assert 1 <= int(told[-1]["Retry-After"]) <= 60
    mate = Client()
    mate.force_login(make_person("mate@example.com", "second"))
    assert mate.post(reverse("web:precheck", args=["second"])).status_code == 400


def test_beginning_uploads_has_a_limit(client: Client, owner: User, settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "upload": "1/60"}
    client.force_login(owner)
    address = reverse("web:uploads", args=["studio"])
    told = [client.post(address, {}, content_type="application/json").status_code for _ in range(2)]
    assert told == [400, 429]
    assert client.get(address).status_code == 200


def test_mails_to_an_address_have_a_limit_whether_it_is_known_or_not(client: Client, owner: User, settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail_to": "2/3600"}
    told = {}
    for email in (owner.email, "nobody@example.com"):
        answers = [Client().post(reverse("accounts:password_reset"), {"email": email}) for _ in range(3)]
        told[email] = [answer.status_code for answer in answers]
    assert told[owner.email] == told["nobody@example.com"] == [302, 302, 429]
    assert client.post(reverse("accounts:password_reset"), {"email": "OWNER@example.com "}).status_code == 429


def test_mails_from_an_address_have_a_limit(settings, db: None) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail": "2/3600"}
    asked = [
        Client().post(reverse("accounts:password_reset"), {"email": f"p{n}@example.com"}).status_code for n in range(3)
    ]
    assert asked == [302, 302, 429]
    assert mail.outbox == []


def test_guessing_links_has_a_limit(client: Client, db: None, settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "link": "3/900"}
    told = [client.get(f"/sign-in/MQ/x-{number}/").status_code for number in range(4)]
    assert told[-1] == 429
    assert 429 not in told[:-1]


def test_a_person_reads_when_to_come_back_and_htmx_gets_a_message(client: Client, db: None, settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail": "1/7200"}
    address = reverse("accounts:password_reset")
    client.post(address, {"email": "a@example.com"})
    page = client.post(address, {"email": "a@example.com"})
    assert "Too many mails were asked for" in page.content.decode()
    told = client.post(address, {"email": "a@example.com"}, headers={"HX-Request": "true"})
    assert (told.status_code, told["HX-Retarget"]) == (429, "#messages")


def test_an_empty_setting_is_no_limit(settings, db: None) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail": ""}
    for _ in range(50):
        limits.take("mail", "x")
    assert Knocks.objects.count() == 0


def test_what_has_ended_is_forgotten(settings, db: None) -> None:
    Knocks.objects.create(key="old", count=5, ends_at=timezone.now() - timedelta(minutes=1))
    limits.take("mail", "x")
    assert not Knocks.objects.filter(key="old").exists()


def test_a_high_limit_is_counted_in_steps_and_passes_no_more_than_may(settings, db: None) -> None:
    settings.LIMITS = {**settings.LIMITS, "precheck": "600/86400"}
    with CaptureQueriesContext(connection) as asked:
        for _ in range(590):
            limits.take("precheck", "in steps")
    assert len(asked.captured_queries) < 90
    # Another process has taken the last step but spent little of it.
    Knocks.objects.update(count=600)
    limits.forget()
    with pytest.raises(limits.TooManyError):
        limits.take("precheck", "in steps")


def test_what_was_held_for_one_is_spent_by_no_other(settings, db: None) -> None:
    settings.LIMITS = {**settings.LIMITS, "precheck": "120/86400"}
    for who in ("one", "two"):
        for _ in range(120):
            limits.take("precheck", who)
        with pytest.raises(limits.TooManyError):
            limits.take("precheck", who)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_as_many_pass_as_may(settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail": "7/86400"}
    ready, passed, refused = Barrier(8), [], []

    def knock() -> None:
        ready.wait(60)
        for _ in range(4):
            try:
                limits.take("mail", "x")
                passed.append(1)
            except limits.TooManyError:
                refused.append(1)
        connection.close()

    threads = [Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(passed), len(refused)) == (7, 25)


# --- Headers ---

HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize("address", ["/sign-in/", "/no-such-page/", "/a/studio/", "/admin/", "/jsi18n/", "/a/x/live/"])
def test_every_answer_has_the_headers(client: Client, owner: User, address: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    if address != "/sign-in/":
        client.force_login(owner)
    answer = client.get(address)
    assert {name: answer[name] for name in HEADERS} == HEADERS
    directives = dict(part.partition(" ")[::2] for part in answer["Content-Security-Policy"].split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["form-action"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "camera=()" in answer["Permissions-Policy"]


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://oss-cn-beijing.aliyuncs.com", "https://clips.oss-cn-beijing.aliyuncs.com"),
        ("https://media.example.com", "https://media.example.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
    ],
)
def test_the_buckets_origin_is_the_one_that_signed_addresses_have(settings, endpoint: str, origin: str) -> None:
    from templategen.clients import build

    settings.OSS_BUCKET, settings.OSS_ENDPOINT, settings.OSS_PUBLIC_ENDPOINT = "clips", endpoint, endpoint
    build.forget()
    signed = build.storage().sign_get("some/key", seconds=60)
    assert bucket_origin(endpoint, "clips") == origin
    assert signed.startswith(f"{origin}/")
    allowed = policy(bucket=origin, https=True)
    assert all(origin in allowed[name] for name in ("img-src", "media-src", "connect-src"))


# --- The environment ---


def ask(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a process with the product's settings says; nothing of the tests' own environment is set."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TEMPLATEGEN_DATA"}}
    ours = {"DJANGO_SETTINGS_MODULE": "templategen.settings", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", f"from django.conf import settings\n{code}"],
        cwd=ROOT, env={**kept, **ours, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_every_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secrets = {
        "SECRET_KEY": "a-signing-key", "CREDENTIAL_KEYS": "new-key,old-key", "METRICS_TOKEN": "a-token",
        "DATABASE_URL": "postgres://me:word1@db.example.com/site", "REDIS_URL": "redis://:word2@redis.example.com/3",
        "EMAIL_URL": "smtp+tls://me:word3@mail.example.com:587", "DASHSCOPE_API_KEY": "sk-one",
        "OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "word4", "OSS_BUCKET": "clips",
    }  # fmt: skip
    environment = {}
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
        environment[f"{name}_FILE"] = str(tmp_path / name)
    done = ask(
        "print(settings.SECRET_KEY, *settings.CREDENTIAL_KEYS, settings.METRICS_TOKEN,"
        " settings.DATABASES['default']['PASSWORD'], settings.Q_CLUSTER['redis']['password'],"
        " settings.EMAIL_HOST_PASSWORD, settings.EMAIL_PORT, settings.DASHSCOPE_API_KEY, settings.OSS_ACCESS_KEY_ID,"
        " settings.OSS_ACCESS_KEY_SECRET, settings.OSS_BUCKET)",
        **environment,
    )
    assert done.stdout.split() == [
        "a-signing-key", "new-key", "old-key", "a-signing-key", "a-token", "word1", "word2", "word3", "587", "sk-one",
        "id", "word4", "clips",
    ], done.stderr  # fmt: skip


def test_a_secrets_file_that_is_not_there_is_one_clear_line() -> None:
    done = ask("settings.DEBUG", METRICS_TOKEN_FILE="/nowhere/token")
    assert done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert "METRICS_TOKEN_FILE" in last
    assert "No such file" in last


@pytest.mark.parametrize("url", ["pigeon://me:word3@x", "smtp://me:word3@x:abc", "me:word3"])
def test_a_wrong_mail_address_does_not_show_its_password(url: str) -> None:
    done = ask("settings.DEBUG", EMAIL_URL=url)
    last = done.stderr.strip().splitlines()[-1]
    assert "EMAIL_URL" in last
    assert "word3" not in done.stderr


def test_under_https_cookies_are_for_this_host_and_for_https_only() -> None:
    done = ask(
        "print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.SESSION_COOKIE_SECURE,"
        " settings.CSRF_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SECURE_HSTS_SECONDS)",
        TEMPLATEGEN_SITE_URL="https://templates.example.com",
    )
    assert done.stdout.split() == ["__Host-sessionid", "__Host-csrftoken", "True", "True", "True", "31536000"]


def test_real_credentials_ask_staff_for_two_steps() -> None:
    real = {"DASHSCOPE_API_KEY": "x", "OSS_ACCESS_KEY_ID": "x", "OSS_ACCESS_KEY_SECRET": "x", "OSS_BUCKET": "x"}
    assert ask("print(settings.TWO_STEP_FOR_STAFF)").stdout.strip() == "False"
    assert ask("print(settings.TWO_STEP_FOR_STAFF)", **real).stdout.strip() == "True"


# --- What nobody may read ---

SECRETS = {
    "SECRET_KEY": "the-signing-key-of-this-site", "CREDENTIAL_KEYS": ["the-key-of-all-the-keys"],
    "METRICS_TOKEN": "the-token-of-the-metrics", "OSS_ACCESS_KEY_SECRET": "the-secret-of-the-bucket",
    "DASHSCOPE_API_KEY": "sk-the-key-of-the-studio", "EMAIL_HOST_PASSWORD": "the-password-of-the-mail",
}  # fmt: skip


def crash(request):
    api_key = "sk-a-key-in-a-local-variable"
    raise RuntimeError(f"sign failed: {api_key} https://x.example/k?x-oss-signature=0123456789abcdef")


urlpatterns = [path("crash/", crash), *the_sites]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_crash_tells_the_visitor_nothing(client: Client, owner: User, settings, caplog, accept: str) -> None:
    for name, value in SECRETS.items():
        setattr(settings, name, value)
    settings.ROOT_URLCONF, settings.DEBUG = __name__, False
    client.force_login(owner)
    client.raise_request_exception = False
    answer = client.get("/crash/", headers={"accept": accept})
    assert answer.status_code == 500
    page = answer.content.decode()
    for word in (*map(str, SECRETS.values()), "local-variable", "0123456789abcdef", "RuntimeError", "Traceback"):
        assert word not in page
    from templategen.logs import JsonFormatter

    lines = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert "RuntimeError" in lines
    assert "local-variable" not in lines
    assert "0123456789abcdef" not in lines


def test_what_is_configured_as_secret_stands_in_no_log_line() -> None:
    done = ask(
        "import logging.config\nlogging.config.dictConfig(settings.LOGGING)\n"
        "logging.getLogger('x').warning('said', extra={'a': 'word-number-3', 'b': 'word-number-2 word-number-5'})",
        EMAIL_URL="smtp+tls://me:word-number-3@mail.example.com:587",
        REDIS_URL="redis://:word-number-2@redis.example.com/3",
        CREDENTIAL_KEYS="word-number-5,word-number-6",
    )
    assert "said" in done.stderr
    assert "word-number" not in done.stderr


def test_new_passwords_are_kept_by_argon2_in_a_size_that_many_may_use_at_once(settings) -> None:
    settings.PASSWORD_HASHERS = ["accounts.hashers.Argon2Hasher"]
    assert make_password("x").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("page", ["/a/studio/members/", "/a/studio/uploads/", "/account/", "/", "/sign-in/", "/admin/"])
def test_no_page_of_somebodys_is_kept_in_between(client: Client, owner: User, page: str) -> None:
    client.force_login(owner)
    kept = client.get(page)["Cache-Control"]
    assert "private" in kept or "no-store" in kept


def test_a_session_cookie_cannot_be_read_by_scripts(client: Client, owner: User) -> None:
    sign_in(client)
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_lockout_is_one_line_without_the_name(owner: User, caplog) -> None:
    with caplog.at_level(logging.INFO):
        fail(5)
    ours = [record for record in caplog.records if record.name == "accounts.sign_ins"]
    assert [record.getMessage() for record in ours] == ["sign-in locked after wrong passwords"]
    assert owner.email not in caplog.text


def test_no_page_can_be_asked_for_under_a_foreign_name(client: Client, db: None) -> None:
    assert client.get("/sign-in/", headers={"host": "evil.example"}).status_code == 400
