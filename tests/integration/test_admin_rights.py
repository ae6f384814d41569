"""Staff with few rights do not come by more: not by a password, a group, a phone, or by asking letter by letter."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import credentials, tokens, two_step
from accounts.models import User
from templategen import credential_status
from templategen.states import State
from tests.factories import make_template
from tests.integration.test_admin import SECRET, WHY, decide, logged, text_of
from tests.people import PASSWORD, account_of, make_person

USERS, GROUPS, PHONES = "/admin/accounts/user/", "/admin/auth/group/", "/admin/otp_totp/totpdevice/"
NEW = "quite-another-phrase"


def make_staff(email: str, *rights: str) -> User:
    person = make_person(email, email.partition("@")[0])
    User.objects.filter(pk=person.pk).update(is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    return User.objects.get(pk=person.pk)


@pytest.fixture
def chief(owner: User) -> User:
    return User.objects.create_superuser("admin@example.com", PASSWORD)


def set_password(client: Client, user: User, **given: str) -> int:
    form = {"usable_password": "true", "password1": NEW, "password2": NEW, "set-password": "1", **given}
    return client.post(f"{USERS}{user.pk}/password/", form).status_code


# --- passwords ---


def test_a_password_is_set_with_a_reason_that_the_log_keeps(client: Client, chief: User, owner: User) -> None:
    client.force_login(chief)
    assert 'name="reason"' in text_of(client, f"{USERS}{owner.pk}/password/")
    assert set_password(client, owner) == 200
    assert User.objects.get(pk=owner.pk).check_password(PASSWORD)
    assert set_password(client, owner, reason=WHY) == 302
    assert User.objects.get(pk=owner.pk).check_password(NEW)
    assert WHY in logged(owner)
    assert NEW not in logged(owner)


def test_a_password_that_cannot_be_logged_is_not_set(
    client: Client, chief: User, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(chief)
    client.raise_request_exception = False
    monkeypatch.setattr("accounts.admin.reasons.with_reason", None)
    assert set_password(client, owner, reason=WHY) == 500
    assert User.objects.get(pk=owner.pk).check_password(PASSWORD)


def test_who_may_change_users_does_not_become_one_who_may_more(client: Client, chief: User, owner: User) -> None:
    helper = make_staff("helper@example.com", "change_user", "view_user", "delete_user")
    peer = make_staff("peer@example.com", "change_account")
    client.force_login(helper)
    for other in (peer, chief):
        assert set_password(client, other, reason=WHY) == 403
        assert client.post(f"{USERS}{other.pk}/change/", {"email": "mine@example.com"}).status_code == 403
        decide(client, "delete", other, page=USERS)
        assert User.objects.get(pk=other.pk).check_password(PASSWORD)
    assert set_password(client, owner, reason=WHY) == 302
    assert 'name="reason"' in text_of(client, f"{USERS}{helper.pk}/change/")


# --- groups ---


def test_only_superusers_say_what_a_group_may(client: Client, chief: User) -> None:
    group = Group.objects.create(name="Support")
    helper = make_staff("helper@example.com", "view_group", "add_group", "change_group", "delete_group")
    helper.groups.add(group)
    wish = {"name": "Support", "permissions": [Permission.objects.get(codename="change_account").pk], "reason": WHY}
    client.force_login(helper)
    assert "Support" in text_of(client, f"{GROUPS}{group.pk}/change/")
    for address in (f"{GROUPS}{group.pk}/change/", f"{GROUPS}{group.pk}/delete/", f"{GROUPS}add/"):
        assert client.post(address, wish).status_code == 403
    assert not group.permissions.exists()
    client.force_login(chief)
    assert client.post(f"{GROUPS}{group.pk}/change/", wish).status_code == 302
    assert (group.permissions.count(), WHY in logged(group)) == (1, True)
    assert client.post(f"{GROUPS}add/", {**wish, "name": "Sales"}).status_code == 302
    assert WHY in logged(Group.objects.get(name="Sales"))


# --- phones ---


def test_nobody_is_given_a_phone_and_none_is_changed(client: Client, chief: User) -> None:
    device = TOTPDevice.objects.create(user=chief, confirmed=True)
    client.force_login(make_staff("helper@example.com", "view_totpdevice", "add_totpdevice", "change_totpdevice"))
    form = {"user": chief.pk, "name": "x", "confirmed": "on", "key": "ab" * 20, "digits": 6, "step": 30, "t0": 0}
    for address in (f"{PHONES}add/", f"{PHONES}{device.pk}/change/", f"{PHONES}{device.pk}/delete/"):
        assert client.post(address, form).status_code == 403
    assert list(TOTPDevice.objects.values_list("key", flat=True)) == [device.key]


def test_two_step_sign_in_is_turned_off_with_a_reason(client: Client, chief: User, owner: User) -> None:
    device = TOTPDevice.objects.create(user=owner, confirmed=True)
    two_step.new_codes(owner)
    browser = Client()
    browser.force_login(owner)
    client.force_login(chief)
    said = decide(client, "turn_off", device, page=PHONES).content.decode()  # type: ignore[arg-type]  # any row
    assert "is done" in said
    assert not two_step.is_on(owner)
    assert not owner.recovery_codes.exists()
    assert WHY in logged(owner)
    assert browser.get("/account/").status_code == 302


def test_of_who_administers_the_site_only_a_superuser_turns_it_off(client: Client, chief: User, owner: User) -> None:
    theirs, guest = (TOTPDevice.objects.create(user=user, confirmed=True) for user in (chief, owner))
    client.force_login(make_staff("helper@example.com", "view_totpdevice", "delete_totpdevice"))
    for device in (theirs, guest):
        decide(client, "turn_off", device, page=PHONES)
    assert list(TOTPDevice.objects.all()) == [theirs]


# --- asking letter by letter ---


def test_what_no_page_shows_cannot_be_asked_for_either(client: Client, chief: User, owner: User) -> None:
    device = TOTPDevice.objects.create(user=owner, confirmed=True)
    token, _secret = tokens.make(account_of(owner), user=owner, name="Shop")
    about = {"secret": SECRET, "workspace": "", "base_url": "", "alibaba_uid": ""}
    key = credentials.replace(account_of(owner), by=None, **about)
    client.force_login(chief)
    for page, asked in {
        PHONES: f"key__startswith={device.key[:2]}",
        "/admin/accounts/apitoken/": f"token_hash__startswith={token.token_hash[:2]}",
        "/admin/accounts/invitation/": "token_hash__gt=a",
        "/admin/accounts/credential/": f"fingerprint__startswith={key.fingerprint[:2]}",
        "/admin/accounts/account/": "credentials__secret_ciphertext__gt=a",
        USERS: "password__startswith=argon2",
    }.items():
        assert client.get(f"{page}?{asked}").status_code == 400, page
    assert client.get(f"{PHONES}?confirmed__exact=1").status_code == 200
    assert not LogEntry.objects.exists()


# --- on the pages of an account ---


def test_whose_request_it_was_is_told_to_who_may_see_templates_only(client: Client, owner: User) -> None:
    credential_status.pause(None, code="Arrearage", message="", request_id="req-of-somebody-else")
    make_template(account_of(owner), State.QUEUED)
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=owner.pk))
    page = text_of(client, "/a/studio/")
    assert ("Arrearage" in page, "req-of-somebody-else" in page) == (True, False)
    owner.user_permissions.add(Permission.objects.get(codename="view_actiontemplate"))
    assert "req-of-somebody-else" in text_of(client, "/a/studio/")
