"""Two-step sign-in: after the password a code, or nobody is in."""

import re
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import two_step
from accounts.door_models import BrowserSession, RecoveryCode
from accounts.links import sign_in_path
from accounts.models import User
from templategen.states import State
from tests.factories import make_template
from tests.people import PASSWORD, account_of, make_person

CODE = "accounts:two_step_code"
PAGE = "accounts:two_step"


def code_of(user: User, *, confirmed: bool = True) -> str:
    """What the app shows now."""
    return f"{totp(TOTPDevice.objects.get(user=user, confirmed=confirmed).bin_key):06d}"


def wrong(code: str) -> str:
    return f"{(int(code) + 500_000) % 1_000_000:06d}"


def forget_time(user: User) -> None:
    """As if the last code, right or wrong, had been given long ago."""
    TOTPDevice.objects.filter(user=user).update(last_t=-1, throttling_failure_count=0)


@pytest.fixture
def codes(owner: User) -> list[str]:
    """The owner has two steps; these are the recovery codes."""
    client = Client()
    client.force_login(owner)
    client.get(reverse(PAGE))
    page = client.post(reverse(PAGE), {"code": code_of(owner, confirmed=False), "password": PASSWORD})
    assert page.status_code == 201
    found = re.findall(r"<li>((?:\w{4}-){3}\w{4})</li>", page.content.decode())
    forget_time(owner)
    return found


def give_password(client: Client, **more: str):
    return client.post(
        reverse("accounts:sign_in"), {"username": "owner@example.com", "password": PASSWORD, **more}, follow=True
    )


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


# --- At the door ---


def test_after_the_password_a_code_is_asked_for_and_leads_on(client: Client, owner: User, codes: list[str]) -> None:
    page = give_password(client, next="/account/")
    assert page.redirect_chain[-1][0] == "/sign-in/code/?next=/account/"
    assert not is_in(client)
    answer = client.post("/sign-in/code/", {"code": code_of(owner), "next": "/account/"})
    assert answer.url == "/account/"
    assert is_in(client)


def test_with_the_password_alone_nothing_can_be_seen_or_done(client: Client, owner: User, codes: list[str]) -> None:
    template = make_template(account_of(owner), State.READY, name="Waltz")
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    give_password(client)
    for address in ("/", "/a/studio/", "/admin/", "/account/browsers/", "/account/two-step/", "/account/password/"):
        assert client.get(address).status_code == 302
    assert client.get("/metrics").status_code == 404
    assert client.post(f"/a/studio/templates/{template.public_id}/delete/").status_code == 302
    assert client.post("/account/two-step/off/", {"code": code_of(owner)}).status_code == 302
    assert client.post("/account/browsers/end/").status_code == 302
    template.refresh_from_db()
    assert template.deleted_at is None
    assert two_step.is_on(owner)
    told = client.get("/a/studio/uploads/", headers={"accept": "application/json"})
    assert (told.status_code, told.json()["error"]["code"]) == (401, "second_step")
    told = client.get("/a/studio/live/", headers={"HX-Request": "true"})
    assert told["HX-Redirect"].startswith("/sign-in/code/?next=")
    assert owner.email not in client.get("/sign-in/").content.decode()


def test_a_sign_in_link_is_one_step_only(client: Client, owner: User, codes: list[str]) -> None:
    client.get(sign_in_path(owner))
    assert not is_in(client)
    client.post("/sign-in/code/", {"code": code_of(owner)})
    assert is_in(client)


def test_a_session_that_knows_nothing_of_the_second_step_is_asked_for_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    session = client.session
    del session[two_step.CHECKED_KEY]
    session.save()
    assert is_in(client)
    TOTPDevice.objects.create(user=owner, confirmed=True)
    assert not is_in(client)


def test_a_wrong_code_lets_nobody_in_and_says_so(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    answer = client.post("/sign-in/code/", {"code": wrong(code_of(owner))})
    assert answer.status_code == 422
    assert "does not fit" in answer.content.decode()
    assert not is_in(client)


def test_a_code_works_once(client: Client, owner: User, codes: list[str]) -> None:
    code = code_of(owner)
    give_password(client)
    client.post("/sign-in/code/", {"code": code})
    second = Client()
    give_password(second)
    assert second.post("/sign-in/code/", {"code": code}).status_code == 422
    assert not is_in(second)


def test_one_wrong_code_costs_no_wait_and_more_are_told_on_the_form(
    client: Client, owner: User, codes: list[str]
) -> None:
    give_password(client)
    bad = wrong(code_of(owner))
    client.post("/sign-in/code/", {"code": bad})
    assert client.post("/sign-in/code/", {"code": bad}).status_code == 422
    # Its wait is a second or two: on a busy machine the next code would not come too early.
    TOTPDevice.objects.filter(user=owner).update(throttling_failure_timestamp=timezone.now() + timedelta(seconds=5))
    early = client.post("/sign-in/code/", {"code": code_of(owner), "next": "/account/"})
    page = early.content.decode()
    assert (early.status_code, 'name="code"' in page, 'value="/account/"' in page) == (429, True, True)
    assert re.search(r"Try again in \d seconds?\.", page)
    forget_time(owner)
    client.post("/sign-in/code/", {"code": bad})
    client.post("/sign-in/code/", {"code": code_of(owner)})
    assert is_in(client)


def test_guessing_codes_takes_longer_with_every_guess(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    client.post("/sign-in/code/", {"code": wrong(code_of(owner))})
    TOTPDevice.objects.filter(user=owner).update(throttling_failure_count=7)
    locked = client.post("/sign-in/code/", {"code": code_of(owner)})
    assert locked.status_code == 429
    assert 50 < int(locked["Retry-After"]) <= 64
    TOTPDevice.objects.filter(user=owner).update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=65))
    client.post("/sign-in/code/", {"code": code_of(owner)})
    assert is_in(client)


def test_guessing_recovery_codes_has_a_limit(client: Client, owner: User, codes: list[str], settings) -> None:
    settings.LIMITS = {**settings.LIMITS, "code": "3/3600"}
    give_password(client)
    told = [client.post("/sign-in/code/", {"code": f"abcd-efgh-jkmn-{n}pqr"}).status_code for n in range(2, 6)]
    assert 429 in told
    assert client.post("/sign-in/code/", {"code": codes[0]}).status_code == 429
    assert not is_in(client)


def test_a_recovery_code_works_once_in_place_of_the_phone(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    client.post("/sign-in/code/", {"code": f" {codes[0].upper()} "})
    assert is_in(client)
    second = Client()
    give_password(second)
    assert second.post("/sign-in/code/", {"code": codes[0]}).status_code == 422
    second.post("/sign-in/code/", {"code": codes[1].replace("-", "")})
    assert is_in(second)
    assert two_step.codes_left(owner) == 8


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_two_who_give_the_same_code_at_once_one_is_let_in(kind: str) -> None:
    owner = make_person()
    device = TOTPDevice.objects.create(user=owner, confirmed=True)
    code = two_step.new_codes(owner)[0] if kind == "recovery" else f"{totp(device.bin_key):06d}"
    ready, fitted = Barrier(4), []

    def give() -> None:
        ready.wait(60)
        try:
            if two_step.give_code(owner, code):
                fitted.append(1)
        except two_step.limits.TooManyError:
            pass
        connection.close()

    threads = [Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(fitted) == 1


@pytest.mark.parametrize("code", ["", "x" * 41, "\0", "٠١٢٣٤٥", "１２３４５６", "-1", "1e5", "000000000", "\ud83d"])
def test_nonsense_for_a_code_is_answered_calmly(client: Client, owner: User, codes: list[str], code: str) -> None:
    give_password(client)
    answer = client.post("/sign-in/code/", {"code": code.encode("utf-8", "surrogatepass")})
    assert answer.status_code == 422
    assert not is_in(client)


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "web:home", "x", "?x"]
)
def test_the_code_leads_to_no_other_site_and_to_no_name(client: Client, owner: User, codes: list[str], to: str) -> None:
    give_password(client)
    assert client.post("/sign-in/code/", {"code": code_of(owner), "next": to}).url == "/"


def test_who_waits_for_no_code_is_sent_home(client: Client, owner: User) -> None:
    assert client.get("/sign-in/code/").url == "/"
    client.force_login(owner)
    assert client.get("/sign-in/code/").url == "/"


def test_the_session_key_changes_with_the_code(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    before = client.cookies["sessionid"].value
    client.post("/sign-in/code/", {"code": code_of(owner)})
    assert client.cookies["sessionid"].value != before
    assert not BrowserSession.objects.filter(session_key=before).exists()


def test_who_has_no_second_step_costs_no_question_about_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    with CaptureQueriesContext(connection) as asked:
        client.get("/account/")
    assert not [query for query in asked.captured_queries if "totp" in query["sql"].lower()]


# --- Turning it on and off ---


def test_turning_it_on_takes_the_password_and_a_code(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = client.get(reverse(PAGE)).content.decode()
    assert "<svg" in page
    assert "style=" not in page
    code = code_of(owner, confirmed=False)
    assert client.post(reverse(PAGE), {"code": code, "password": "wrong"}).status_code == 422
    assert client.post(reverse(PAGE), {"code": wrong(code), "password": PASSWORD}).status_code == 422
    assert not two_step.is_on(owner)
    forget_time(owner)
    assert client.post(reverse(PAGE), {"code": code, "password": PASSWORD}).status_code == 201
    assert two_step.is_on(owner)
    assert is_in(client)


def test_the_secret_stays_while_it_is_being_set_up_and_is_shown_no_more_after(client: Client, owner: User) -> None:
    client.force_login(owner)
    secret = re.search(r'qr-secret">([A-Z2-7 ]+)<', client.get(reverse(PAGE)).content.decode()).group(1)
    assert secret in client.get(reverse(PAGE)).content.decode()
    client.post(reverse(PAGE), {"code": code_of(owner, confirmed=False), "password": PASSWORD})
    assert secret not in client.get(reverse(PAGE)).content.decode()


def test_turning_it_on_signs_other_browsers_out(client: Client, owner: User) -> None:
    other = Client()
    other.force_login(owner)
    client.force_login(owner)
    client.get(reverse(PAGE))
    client.post(reverse(PAGE), {"code": code_of(owner, confirmed=False), "password": PASSWORD})
    assert is_in(client)
    assert not is_in(other)


def test_who_has_no_password_turns_it_on_without(client: Client, db: None) -> None:
    person = make_person("first@example.com", password=None)
    client.force_login(person)
    client.get(reverse(PAGE))
    assert client.post(reverse(PAGE), {"code": code_of(person, confirmed=False)}).status_code == 201


def test_turning_it_off_takes_a_code(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    client.post("/sign-in/code/", {"code": codes[0]})
    assert client.post("/account/two-step/off/", {"code": "000000"}).status_code in {422, 429}
    assert two_step.is_on(owner)
    forget_time(owner)
    client.post("/account/two-step/off/", {"code": code_of(owner)})
    assert not two_step.is_on(owner)
    assert not RecoveryCode.objects.exists()
    assert is_in(client)


def test_new_recovery_codes_take_the_old_ones_place(client: Client, owner: User, codes: list[str]) -> None:
    give_password(client)
    client.post("/sign-in/code/", {"code": codes[0]})
    page = client.post("/account/two-step/codes/", {"code": code_of(owner)})
    assert page.status_code == 201
    assert not any(code in page.content.decode() for code in codes)
    assert two_step.codes_left(owner) == 10
    assert not two_step.give_code(owner, codes[1])


def test_codes_are_kept_as_hashes_only(owner: User, codes: list[str]) -> None:
    kept = str(list(RecoveryCode.objects.values()))
    assert len(codes) == two_step.RECOVERY_CODES
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


def test_few_codes_left_is_worth_a_word(client: Client, owner: User, codes: list[str]) -> None:
    RecoveryCode.objects.filter(pk__in=RecoveryCode.objects.values("pk")[:7]).delete()
    give_password(client)
    page = client.post("/sign-in/code/", {"code": code_of(owner), "next": "/account/"}, follow=True)
    assert "3 recovery codes left" in page.content.decode()


def test_who_runs_the_site_can_turn_it_off_for_who_lost_the_phone(owner: User, codes: list[str], capsys) -> None:
    client = Client()
    give_password(client)
    client.post("/sign-in/code/", {"code": codes[0]})
    call_command("two_step_off", "Owner@example.com")
    assert "without a code" in capsys.readouterr().out
    assert not is_in(client)
    give_password(client)
    assert is_in(client)
    with pytest.raises(CommandError):
        call_command("two_step_off", "nobody@example.com")


# --- Staff ---


@pytest.fixture
def staff(owner: User, settings) -> User:
    settings.TWO_STEP_FOR_STAFF = True
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    owner.refresh_from_db()
    return owner


def test_the_administration_refuses_staff_without_it_and_shows_the_way(client: Client, staff: User) -> None:
    client.force_login(staff)
    page = client.get("/admin/accounts/user/", follow=True)
    assert page.redirect_chain[-1][0] == "/account/two-step/?next=/admin/accounts/user/"
    assert "Administration asks for two-step sign-in" in page.content.decode()
    assert client.post("/admin/accounts/user/add/", {"email": "x@example.com"}).status_code == 403
    assert client.get("/metrics").status_code == 403
    assert client.get("/a/studio/").status_code == 200
    page = client.post(
        reverse(PAGE),
        {"code": code_of(staff, confirmed=False), "password": PASSWORD, "next": "/admin/accounts/user/"},
    )
    assert 'href="/admin/accounts/user/"' in page.content.decode()
    assert client.get("/admin/accounts/user/").status_code == 200


def test_staff_cannot_turn_it_off_where_the_site_asks_for_it(client: Client, staff: User) -> None:
    client.force_login(staff)
    client.get(reverse(PAGE))
    client.post(reverse(PAGE), {"code": code_of(staff, confirmed=False), "password": PASSWORD})
    forget_time(staff)
    client.post("/account/two-step/off/", {"code": code_of(staff)})
    assert two_step.is_on(staff)


def test_staff_may_administer_without_it_where_the_site_does_not_ask(client: Client, staff: User, settings) -> None:
    settings.TWO_STEP_FOR_STAFF = False
    client.force_login(staff)
    assert client.get("/admin/accounts/user/").status_code == 200


def test_staff_never_sees_anybodys_secret(client: Client, staff: User, settings) -> None:
    settings.TWO_STEP_FOR_STAFF = False
    device = TOTPDevice.objects.create(user=make_person("mate@example.com", "second"), confirmed=True)
    client.force_login(staff)
    at = "/admin/otp_totp/totpdevice"
    for address in (f"{at}/", f"{at}/{device.pk}/change/", f"{at}/{device.pk}/config/", f"{at}/{device.pk}/qrcode/"):
        answer = client.get(address, follow=True)
        assert device.key not in answer.content.decode()
        assert b'class="qr' not in answer.content
    # There are no such pages.
    assert [client.get(f"{at}/{device.pk}/{page}/").status_code for page in ("config", "qrcode")] == [302, 302]
