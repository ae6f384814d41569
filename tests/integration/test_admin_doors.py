"""The administrator's pages of the packages at the doors: second steps, groups of rights, counted passwords."""

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import two_step
from accounts.admin.rights import offered
from accounts.models import User
from tests.people import make_person

WHY = "Lost the phone, known by voice"
DEVICES, GROUPS, ATTEMPTS = (
    "/admin/otp_totp/totpdevice/",
    "/admin/auth/group/",
    "/admin/axes/accessattempt/",
)


@pytest.fixture
def chief(client: Client, owner: User) -> Client:
    client.force_login(User.objects.create_superuser("admin@example.com"))
    return client


@pytest.fixture
def helper(owner: User) -> User:
    """Staff who may do everything that permissions can give, and is no superuser."""
    user = make_person("help@example.com", "helpers")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return User.objects.get(pk=user.pk)


@pytest.fixture
def desk(helper: User) -> Client:
    client = Client()
    client.force_login(helper)
    return client


def decided(client: Client, page: str, action: str, row: Any, **given: Any) -> str:
    sent = {"action": action, "_selected_action": [row.pk], "decided": "1", "reason": WHY, **given}
    return client.post(page, sent, follow=True).content.decode()


def secret(owner: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=owner, confirmed=True, name="Phone")


def test_nobody_gives_somebody_else_a_second_step_or_changes_one(chief: Client, owner: User) -> None:
    device = secret(owner)
    mine = {"user": owner.pk, "name": "Mine", "confirmed": "on", "key": "00" * 20, "step": 30, "t0": 0, "digits": 6}
    for address in ("add/", f"{device.pk}/change/", f"{device.pk}/delete/"):
        assert chief.post(f"{DEVICES}{address}", {**mine, "post": "yes"}).status_code == 403
    assert list(TOTPDevice.objects.values_list("user", "name", "key")) == [(owner.pk, "Phone", device.key)]
    assert "Phone" in chief.get(DEVICES).content.decode()
    assert device.key not in chief.get(f"{DEVICES}{device.pk}/change/").content.decode()


def test_a_second_step_is_turned_off_with_a_reason_and_signs_out_everywhere(chief: Client, owner: User) -> None:
    device = secret(owner)
    theirs = Client()
    theirs.force_login(owner)
    assert "required" in decided(chief, DEVICES, "turn_off", device, reason="")
    assert two_step.is_on(owner)
    decided(chief, DEVICES, "turn_off", device)
    assert not two_step.is_on(owner)
    assert theirs.get("/a/studio/").status_code == 302
    # In the phone's log, which goes with it, and in the person's.
    assert all(WHY in entry.get_change_message() for entry in LogEntry.objects.all())
    assert LogEntry.objects.filter(object_id=owner.pk).exists()


def test_only_superusers_turn_off_the_second_step_of_who_has_rights(desk: Client, owner: User, helper: User) -> None:
    boss = User.objects.create_superuser("boss@example.com")
    mate = User.objects.create_user("mate@example.com", is_staff=True)
    for user in (boss, mate):
        assert "Only a superuser" in decided(desk, DEVICES, "turn_off", secret(user))
        assert two_step.is_on(user)
    decided(desk, DEVICES, "turn_off", secret(owner))
    assert not two_step.is_on(owner)


def test_groups_give_rights_and_are_changed_by_superusers_only(desk: Client, chief: Client, helper: User) -> None:
    group = Group.objects.create(name="Desk")
    everything = {"name": "Desk", "permissions": [right.pk for right in offered()], "reason": WHY}
    assert desk.post(f"{GROUPS}{group.pk}/change/", everything).status_code == 403
    assert desk.post(f"{GROUPS}add/", {**everything, "name": "Other"}).status_code == 403
    assert not group.permissions.exists()
    assert chief.post(f"{GROUPS}{group.pk}/change/", {**everything, "reason": ""}).status_code == 200
    assert not group.permissions.exists()
    assert chief.post(f"{GROUPS}{group.pk}/change/", everything).status_code == 302
    assert group.permissions.exists()
    assert WHY in LogEntry.objects.get().get_change_message()
    assert chief.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    decided(chief, GROUPS, "delete", group)
    assert not Group.objects.exists()
    assert LogEntry.objects.filter(change_message__contains=WHY).count() == 2


def test_a_password_of_staff_is_changed_by_superusers_only(desk: Client, helper: User) -> None:
    mate = User.objects.create_user("mate@example.com", "before it was changed", is_staff=True)
    new = {"usable_password": "true", "password1": "Quite another 1", "password2": "Quite another 1", "reason": WHY}
    page = f"/admin/accounts/user/{mate.pk}/"
    assert desk.post(f"{page}password/", new).status_code == 403
    assert desk.post(f"{page}change/", {"email": "mine@example.com", "reason": WHY}).status_code == 403
    mate.refresh_from_db()
    assert (mate.email, mate.check_password("before it was changed")) == ("mate@example.com", True)


def test_staff_is_deleted_by_superusers_only(desk: Client, helper: User) -> None:
    mate = User.objects.create_user("mate@example.com", is_staff=True)
    assert "Only a superuser" in decided(desk, "/admin/accounts/user/", "delete", mate)
    assert User.objects.filter(pk=mate.pk).exists()


def test_a_password_is_set_with_a_reason(chief: Client, owner: User) -> None:
    page = f"/admin/accounts/user/{owner.pk}/password/"
    new = {"usable_password": "true", "password1": "Quite another 1", "password2": "Quite another 1"}
    assert chief.post(page, new).status_code == 200
    owner.refresh_from_db()
    assert not owner.check_password("Quite another 1")
    assert chief.post(page, {**new, "reason": WHY}).status_code == 302
    owner.refresh_from_db()
    assert owner.check_password("Quite another 1")
    assert WHY in LogEntry.objects.get().get_change_message()


def test_a_lock_is_ended_with_a_reason(chief: Client, owner: User) -> None:
    attempt = AccessAttempt.objects.create(username=owner.email, ip_address="192.0.2.1", failures_since_start=5)
    assert owner.email in chief.get(ATTEMPTS).content.decode()
    assert chief.post(f"{ATTEMPTS}{attempt.pk}/delete/", {"post": "yes"}).status_code == 403
    decided(chief, ATTEMPTS, "end", attempt)
    assert not AccessAttempt.objects.exists()
    assert WHY in LogEntry.objects.get().get_change_message()
