"""What the administrator's pages say: rights, sizes, rows and buttons in words, in the reader's language."""

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import translation

from accounts import tokens
from accounts.admin.meters import Line, bars_of
from accounts.admin.rights import offered
from accounts.models import Account, LedgerEntry, Membership, User
from accounts.usage import usage_of
from templategen.models import Event
from tests.factories import make_template
from tests.people import PASSWORD, account_of

ACCOUNTS, USERS, GROUPS = "/admin/accounts/account/", "/admin/accounts/user/", "/admin/auth/group/"
CHINESE = {"Accept-Language": "zh-hans"}


@pytest.fixture
def admin(client: Client, owner: User) -> Client:
    client.force_login(User.objects.create_superuser("admin@example.com", PASSWORD))
    return client


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


def text_of(client: Client, page: str, **values: Any) -> str:
    return client.get(page, **values).content.decode()


# --- rights ---


def test_only_rights_that_open_something_are_offered(admin: Client, owner: User) -> None:
    group = Group.objects.create(name="Desk")
    for page in (f"{GROUPS}{group.pk}/change/", f"{USERS}{owner.pk}/change/"):
        text = text_of(admin, page)
        assert "Account: change and decide" in text, page
        assert "Ledger entry: look at" in text, page
        for senseless in ("Ledger entry: change", "ecovery code", "nocks", "Can add", "Session"):
            assert senseless not in text, (page, senseless)


@pytest.mark.django_db
def test_what_the_pages_ask_for_is_offered() -> None:
    names = {f"{right.content_type.app_label}.{right.codename}" for right in offered()}
    assert {"accounts.change_credential", "accounts.delete_user", "axes.delete_accessattempt"} <= names
    assert {"templategen.change_actiontemplate", "templategen.view_clip", "accounts.view_ledgerentry"} <= names
    assert len(names) < Permission.objects.count() / 2


def test_rights_are_named_in_the_readers_language(admin: Client, owner: User) -> None:
    text = text_of(admin, f"{USERS}{owner.pk}/change/", headers=CHINESE)
    assert "账户：查看" in text
    assert "两步登录的手机：移除" in text
    assert ": look at" not in text


# --- sizes and rows ---


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 kB"), (4_800, "5 kB"), (10_000_000, "10.0 MB"), (999_990_000, "1.0 GB"), (1_960_000_000, "2.0 GB")],
)
def test_small_storage_is_told_in_small_units(studio: Account, settings: Any, size: int, said: str) -> None:
    settings.QUOTA_STORAGE_BYTES = None
    LedgerEntry.objects.all().delete()
    usage = usage_of(studio.pk)
    storage = type(usage.storage)(held=0, used=size, limit=None)
    text = bars_of(type(usage)(**{**vars(usage), "storage": storage}))[2].text
    assert text.startswith(said)


def test_what_is_given_back_and_what_is_used_are_rounded_alike(studio: Account) -> None:
    entry = LedgerEntry(account=studio, ms_held=-6666, ms_used=6670)
    assert Line(entry).seconds == "held −6.67, used +6.67"


def test_rows_are_named_in_words() -> None:
    with translation.override("zh-hans"):
        for named in (Event(kind="moved", to="checking"), LedgerEntry(kind="hold", reference="r")):
            assert str(named).isascii() is False
            assert "moved" not in str(named)
            assert "hold" not in str(named)
    with translation.override("en"):
        assert str(Event(kind="moved", to="checking")) == "State changed → Checking"


def test_the_log_names_a_forgotten_count_by_whose_it_was(admin: Client) -> None:
    attempt = AccessAttempt.objects.create(
        username="ed@example.com", ip_address="192.0.2.7", user_agent="", failures_since_start=5
    )
    page = "/admin/axes/accessattempt/"
    chosen = {"action": "end", "_selected_action": [attempt.pk]}
    assert "ed@example.com, 192.0.2.7" in admin.post(page, chosen).content.decode()
    admin.post(page, {**chosen, "decided": "1", "reason": "By voice"})
    assert LogEntry.objects.get().object_repr == "ed@example.com, 192.0.2.7"


def test_events_show_states_as_people_read_them(admin: Client, studio: Account) -> None:
    template = make_template(studio)
    Event.objects.create(template=template, kind="moved", start="checking", to="queued")
    for page in ("/admin/templategen/event/", f"/admin/templategen/actiontemplate/{template.pk}/change/"):
        text = text_of(admin, page, headers=CHINESE)
        assert "等待中" in text, page
        assert ">checking<" not in text, page


# --- forms ---


def test_a_member_row_without_a_user_is_asked_for(admin: Client, studio: Account) -> None:
    form = {
        "name": "New", "slug": "new", "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": "", "memberships-0-role": "editor", "reason": "Ticket 17",
    }  # fmt: skip
    answer = admin.post(f"{ACCOUNTS}add/", form)
    assert "This field is required." in answer.content.decode()
    assert not Account.objects.filter(slug="new").exists()
    assert admin.post(f"{ACCOUNTS}add/", {**form, "memberships-TOTAL_FORMS": "0"}).status_code == 302
    assert not Membership.objects.filter(account__slug="new").exists()


def test_decisions_without_anything_to_decide_about_are_not_offered(
    admin: Client, studio: Account, owner: User
) -> None:
    page = f"{ACCOUNTS}{studio.pk}/change/"
    for button in ("Revoke API tokens", "Check the Alibaba key"):
        assert button not in text_of(admin, page)
    tokens.make(studio, user=owner, name="CI")
    assert "Revoke API tokens" in text_of(admin, page)


def test_no_form_speaks_of_ways_to_sign_in_that_there_are_not(admin: Client, owner: User) -> None:
    for page in (f"{USERS}add/", f"{USERS}{owner.pk}/password/"):
        assert "LDAP" not in text_of(admin, page)


def test_what_cannot_be_asked_is_answered_with_a_page(admin: Client) -> None:
    answer = admin.get(f"{ACCOUNTS}?q=%00")
    assert answer.status_code == 400
    assert "makes no sense here" in answer.content.decode()
    # Staff may be in no account: the way back stays in the administration.
    assert 'href="/admin/"' in answer.content.decode()
