"""The administrator's pages: users and accounts to change, records to look at, decisions with their reasons."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import credentials, ledger, members, tokens
from accounts.admin.decisions import MOST_AT_ONCE
from accounts.models import (
    Account,
    AccountEvent,
    ApiToken,
    Invitation,
    LedgerEntry,
    Membership,
    Quota,
    Role,
    StorageUse,
    UsageMonth,
    User,
)
from accounts.thresholds import at_least, threshold_of
from accounts.usage import usage_of
from templategen.models import Event
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of, make_person
from tests.product import Product

ACCOUNTS = "/admin/accounts/account/"
USERS = "/admin/accounts/user/"
WHY = "Asked for by mail, ticket 17"
SECRET = "sk-4a5b6c7d8e9f0a1b2c3d4e5f60718293"


@pytest.fixture
def chief(owner: User) -> User:
    return User.objects.create_superuser("admin@example.com")


@pytest.fixture
def admin(client: Client, chief: User) -> Client:
    client.force_login(chief)
    return client


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


def decide(client: Client, what: str, *accounts: Account, page: str = ACCOUNTS, **given: Any) -> Any:
    """Choose it in the list's menu, fill in the form that follows, send it."""
    chosen = {"action": what, "_selected_action": [account.pk for account in accounts]}
    form = client.post(page, chosen)
    token = re.search(r'name="token" value="([0-9a-f]+)"', form.content.decode())
    sent = {**chosen, "decided": "1", "token": token[1] if token else "", "reason": WHY, **given}
    return client.post(page, sent, follow=True)


def text_of(client: Client, address: str, **asked: Any) -> str:
    answer = client.get(address, asked)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()


def save(
    client: Client, account: Account, *, memberships: Any = (), new: Any = (), reason: str = WHY, **given: Any
) -> Any:
    """Save the account's page: (membership, changes) pairs, and (user, role) pairs to let in."""
    form: dict[str, Any] = {"name": account.name, "slug": account.slug, "reason": reason, **given}
    form |= {"memberships-TOTAL_FORMS": len(memberships), "memberships-INITIAL_FORMS": len(memberships)}
    for place, (membership, changes) in enumerate(memberships):
        row = {"id": membership.pk, "account": account.pk, "role": membership.role, **changes}
        form |= {f"memberships-{place}-{name}": value for name, value in row.items()}
    form |= {"memberships-2-TOTAL_FORMS": len(new), "memberships-2-INITIAL_FORMS": 0}
    for place, (user, role) in enumerate(new):
        row = {"account": account.pk, "user": user.pk, "role": role}
        form |= {f"memberships-2-{place}-{name}": value for name, value in row.items()}
    return client.post(f"{ACCOUNTS}{account.pk}/change/", form, follow=True)


def logged(row: Any) -> str:
    """The last thing that the admin's log says of the row."""
    entry = LogEntry.objects.filter(object_id=str(row.pk)).order_by("-pk").first()
    return entry.get_change_message() if entry else ""


def kinds(account: Account) -> list[str]:
    return list(AccountEvent.objects.filter(account=account).order_by("pk").values_list("kind", flat=True))


# --- looking ---


def test_templates_and_clips_are_shown_and_cannot_be_changed(admin: Client, owner: User) -> None:
    template = make_template(account_of(owner), name="Waltz")
    assert "Waltz" in admin.get("/admin/templategen/actiontemplate/").content.decode()
    assert admin.get("/admin/templategen/actiontemplate/", {"q": template.template_id}).status_code == 200
    for kind, row in (("actiontemplate", template), ("clip", template.clip)):
        page = f"/admin/templategen/{kind}/{row.pk}/"
        assert admin.get(f"{page}change/").status_code == 200
        assert admin.post(f"{page}change/", {"name": "Other"}).status_code == 403
        assert admin.post(f"{page}delete/", {"post": "yes"}).status_code == 403
        assert admin.get(f"/admin/templategen/{kind}/add/").status_code == 403


def test_a_user_is_made_and_put_into_an_account(admin: Client, studio: Account) -> None:
    new = {"email": "New@example.com", "usable_password": "false", "_save": "1"}
    forms = {"memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0"}
    row = {"memberships-0-account": studio.pk, "memberships-0-role": "viewer"}
    unsaid = admin.post(f"{USERS}add/", new | forms | row)
    assert unsaid.status_code == 200
    assert unsaid.context["adminform"].errors.keys() == {"reason"}
    assert admin.post(f"{USERS}add/", new | forms | row | {"reason": WHY}).status_code == 302
    user = User.objects.get(email="new@example.com")
    assert AccountEvent.objects.get(account=studio).reason == WHY
    assert WHY in logged(user)
    assert not user.has_usable_password()
    assert Membership.objects.get(user=user).role == Role.VIEWER
    assert kinds(studio) == ["joined"]
    page = text_of(admin, f"{USERS}{user.pk}/change/")
    assert "Studio" in page
    assert "new@example.com" in text_of(admin, USERS, q="new")


@pytest.mark.parametrize("model", ["ledgerentry", "usagemonth", "storageuse", "accountevent", "invitation", "apitoken"])
def test_records_are_read_only_for_superusers_too(admin: Client, chief: User, studio: Account, model: str) -> None:
    ledger.hold_bytes(studio.pk, "clip:x", size=10)
    ledger.grant(studio.pk, "r", templates=1, milliseconds=1000, by=chief, reason="For testing")
    members.invite(studio, email="guest@example.com", role=Role.VIEWER, by=chief)
    tokens.make(studio, user=chief, name="Shop")
    rows = {
        "ledgerentry": LedgerEntry, "usagemonth": UsageMonth, "storageuse": StorageUse, "accountevent": AccountEvent,
        "invitation": Invitation, "apitoken": ApiToken,
    }[model].objects  # fmt: skip
    before, row = list(rows.values()), rows.first()
    page = f"/admin/accounts/{model}/"
    assert "Studio" in text_of(admin, page)
    assert "Studio" in text_of(admin, page, q=studio.slug)
    assert admin.get(f"{page}{row.pk}/change/").status_code == 200
    assert admin.post(f"{page}{row.pk}/change/", {"reason": "x", "account": studio.pk}).status_code == 403
    assert admin.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.get(f"{page}add/").status_code == 403
    admin.post(page, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(rows.values()) == before


def test_events_of_templates_and_the_log_are_read_only(admin: Client, studio: Account) -> None:
    template = make_template(studio, name="Waltz")
    decide(admin, "suspend", studio)
    for page, row in (("templategen/event", Event.objects.get()), ("admin/logentry", LogEntry.objects.get())):
        assert text_of(admin, f"/admin/{page}/")
        assert admin.get(f"/admin/{page}/{row.pk}/change/").status_code == 200
        assert admin.post(f"/admin/{page}/{row.pk}/change/", {}).status_code == 403
        assert admin.post(f"/admin/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "Waltz" in text_of(admin, "/admin/templategen/event/", q=template.template_id)
    assert WHY in text_of(admin, "/admin/admin/logentry/")
    inline = {"events-TOTAL_FORMS": 1, "events-INITIAL_FORMS": 1, "events-0-id": Event.objects.get().pk}
    page = f"/admin/templategen/actiontemplate/{template.pk}/change/"
    assert admin.post(page, {**inline, "events-0-DELETE": "on"}).status_code == 403
    assert Event.objects.count() == 1


@pytest.mark.parametrize("model", ["actiontemplate", "clip"])
def test_templates_and_clips_are_found_by_each_id_and_nothing_else(admin: Client, studio: Account, model: str) -> None:
    named = {"request_id": "req-result", "submit_request_id": "req-submit"}
    template = make_template(studio, name="Waltz", **named)
    make_template(studio, name="Tango")
    page = f"/admin/templategen/{model}/"
    link = f"{page}{template.pk if model == 'actiontemplate' else template.clip_id}/change/"
    for term in (template.template_id, template.task_id, "req-result", "req-submit", str(template.public_id)):
        found = text_of(admin, page, q=term)
        assert link in found, term
        assert found.count("/change/?") == 1, term
    assert link not in text_of(admin, page, q="Waltz")


def test_the_ledger_is_found_by_account_reference_and_template(admin: Client, studio: Account, stranger: User) -> None:
    template = make_template(studio)
    reference = ledger.template_reference(template.public_id, 2)
    ledger.hold(studio.pk, reference, milliseconds=1000)
    ledger.hold(account_of(stranger).pk, "template:other:1", milliseconds=1000)
    for term in (studio.slug, f"{reference}:hold", str(template.public_id)):
        found = text_of(admin, "/admin/accounts/ledgerentry/", q=term)
        assert f"{reference}:hold" in found
        assert "template:other" not in found
    found = text_of(admin, "/admin/accounts/ledgerentry/", account__id__exact=studio.pk)
    assert reference in found
    assert "template:other" not in found


def test_the_list_shows_usage_and_filters_by_it(admin: Client, studio: Account, stranger: User, settings: Any) -> None:
    settings.QUOTA_TEMPLATES_PER_MONTH = 10
    elsewhere = account_of(stranger)
    for number in range(8):
        ledger.hold(studio.pk, f"template:{number}:1", milliseconds=1000)
    ledger.hold(elsewhere.pk, "template:e:1", milliseconds=1000)
    everything = text_of(admin, ACCOUNTS)
    assert "8 of 10" in everything
    assert "1 of 10" in everything
    assert "Elsewhere" not in text_of(admin, ACCOUNTS, usage="80")
    assert "Studio" in text_of(admin, ACCOUNTS, usage="80")
    assert "Studio" not in text_of(admin, ACCOUNTS, usage="100")
    assert "Studio" in text_of(admin, ACCOUNTS, usage="nonsense")
    Quota.objects.create(account=elsewhere, templates_per_month=1)
    assert "Elsewhere" in text_of(admin, ACCOUNTS, usage="100")


@pytest.mark.parametrize("seed", range(8))
def test_the_filter_counts_as_the_owners_notice_does(studio: Account, settings: Any, seed: int) -> None:
    settings.QUOTA_SECONDS_PER_MONTH = [None, 0, 10, 11][seed % 4]
    settings.QUOTA_STORAGE_BYTES = [100, None][seed % 2]
    month = ledger.month_of(timezone.now())
    Quota.objects.create(account=studio, templates_per_month=[None, 0, 5, 1][seed // 2])
    counters = {"templates_used": seed % 5, "templates_granted": seed % 3, "ms_held": 1, "ms_used": 950 * seed}
    UsageMonth.objects.create(account=studio, month=month, ms_granted=[0, 900, 2000][seed % 3], **counters)
    # Of other months nothing counts.
    UsageMonth.objects.create(account=studio, month=month - timedelta(days=300), templates_used=10**6)
    StorageUse.objects.create(account=studio, bytes_used=79 + seed)
    threshold = threshold_of(usage_of(studio.pk))
    for percent in (80, 100):
        found = at_least(Account.objects.all(), percent, now=timezone.now()).exists()
        assert found == (threshold >= percent), (percent, threshold)


def test_accounts_are_found_by_status_key_and_member(admin: Client, studio: Account, stranger: User) -> None:
    own_key(studio)
    Account.objects.filter(pk=account_of(stranger).pk).update(status=Account.Status.SUSPENDED)
    for asked in ({"own_key": "1"}, {"status__exact": "active"}, {"q": "owner@example.com"}, {"q": "stud"}):
        found = text_of(admin, ACCOUNTS, **asked)
        assert "Studio" in found, asked
        assert "Elsewhere" not in found, asked
    assert "Studio" not in text_of(admin, ACCOUNTS, own_key="0")


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    admin: Client, studio: Account, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        account = account_of(make_person(f"p{number}@example.com", f"account-{number}"))
        ledger.hold(account.pk, f"template:{number}:1", milliseconds=1000)
        make_template(account)
        own_key(account)
    pages = ("accounts/account", "accounts/ledgerentry", "accounts/usagemonth", "templategen/actiontemplate",
             "templategen/clip", "templategen/event", "accounts/credential", "accounts/user")  # fmt: skip
    for page in pages:
        with django_assert_max_num_queries(16):
            text_of(admin, f"/admin/{page}/")


# --- no key, no token ---


def own_key(account: Account) -> Any:
    return credentials.replace(account, secret=SECRET, workspace="", base_url="", alibaba_uid="", by=None)


def test_no_page_shows_a_key_or_what_opens_anything(admin: Client, studio: Account, owner: User) -> None:
    credential = own_key(studio)
    token, secret = tokens.make(studio, user=owner, name="Shop")
    invitation = members.invite(studio, email="guest@example.com", role=Role.VIEWER, by=owner)
    opened = members.new_token(invitation)
    hidden = [
        SECRET, secret, opened, token.token_hash, invitation.token_hash, credential.fingerprint,
        bytes(credential.secret_ciphertext).decode(),
    ]  # fmt: skip
    rows = {"credential": credential, "apitoken": token, "invitation": invitation, "account": studio}
    for model, row in rows.items():
        for page in (f"/admin/accounts/{model}/", f"/admin/accounts/{model}/{row.pk}/change/"):
            text = text_of(admin, page)
            assert not [one for one in hidden if one and one in text], page
    assert f"…{SECRET[-4:]}" in text_of(admin, f"{ACCOUNTS}{studio.pk}/change/")
    assert credential.fingerprint[:12] in text_of(admin, "/admin/accounts/credential/")


def test_a_key_is_checked_and_what_came_of_it_is_logged(admin: Client, studio: Account, product: Product) -> None:
    credential = own_key(studio)
    page = "/admin/accounts/credential/"
    for address, what, row in ((page, "check_keys", credential), (ACCOUNTS, "check_key", studio)):
        sent = {"action": what, "_selected_action": [row.pk]}
        text = admin.post(address, sent, follow=True).content.decode()
        assert "checked:" in text
        assert SECRET not in text
        assert "checked:" in logged(credential)
        assert "checked:" in logged(studio)
        LogEntry.objects.all().delete()
    credential.refresh_from_db()
    assert credential.check_result == "refused"


# --- decisions ---


def test_a_grant_is_booked_logged_and_shown_to_the_owners(
    admin: Client, chief: User, client: Client, studio: Account, owner: User
) -> None:
    page = decide(admin, "grant", studio, templates="5", seconds="60").content.decode()
    assert "is done" in page
    month = UsageMonth.objects.get(account=studio)
    assert (month.templates_granted, month.ms_granted) == (5, 60_000)
    entry = LedgerEntry.objects.get()
    assert (entry.by, entry.reason) == (chief, WHY)
    assert WHY in logged(studio)
    assert "5 templates, 60 seconds" in logged(studio)
    client.force_login(owner)
    shown = text_of(client, f"/a/{studio.slug}/members/")
    assert "Templates granted for this month: 5" in shown
    assert WHY in shown
    assert "by the site&#x27;s administrators" in shown or "by the site's administrators" in shown
    assert chief.email not in shown


def test_a_grant_that_is_sent_twice_is_booked_once(admin: Client, studio: Account) -> None:
    sent = {
        "action": "grant", "_selected_action": [studio.pk], "decided": "1", "token": "0" * 32, "reason": WHY,
        "templates": "5",
    }  # fmt: skip
    admin.post(ACCOUNTS, sent)
    again = admin.post(ACCOUNTS, sent, follow=True).content.decode()
    assert "it is so already" in again
    assert UsageMonth.objects.get().templates_granted == 5
    assert LogEntry.objects.count() == 1
    assert kinds(studio) == ["templates_granted"]


@pytest.mark.parametrize(
    "given",
    [
        {"reason": ""}, {"reason": "x" * 301}, {"reason": "a\0b"}, {"templates": "-1"}, {"templates": ""},
        {"templates": "9" * 30}, {"templates": "nonsense"}, {"token": "nonsense"}, {"seconds": "1e9"},
    ],
)  # fmt: skip
def test_a_grant_that_makes_no_sense_changes_nothing(admin: Client, studio: Account, given: dict[str, str]) -> None:
    answer = decide(admin, "grant", studio, **{"templates": "5", **given})
    assert answer.status_code == 200
    assert "errornote" in answer.content.decode()
    assert not LedgerEntry.objects.exists()
    assert not LogEntry.objects.exists()


def test_limits_are_set_for_several_and_blank_is_the_sites(admin: Client, studio: Account, stranger: User) -> None:
    both = studio, account_of(stranger)
    decide(admin, "set_limits", *both, templates_per_month="7", storage_gigabytes="1.5", tasks_at_once="0")
    for account in both:
        quota = Quota.objects.get(account=account)
        own = quota.templates_per_month, quota.seconds_per_month, quota.storage_bytes, quota.tasks_at_once
        assert own == (7, None, 1_500_000_000, 0)
        assert kinds(account) == ["limits_changed"]
        assert WHY in logged(account)
        assert "7" in logged(account)
    form = admin.post(ACCOUNTS, {"action": "set_limits", "_selected_action": [studio.pk]}).content.decode()
    assert 'value="1.5"' in form
    assert 'value="7"' in form
    decide(admin, "set_limits", studio)
    assert Quota.objects.get(account=studio).templates_per_month is None


def test_an_account_is_suspended_and_reactivated_with_a_reason(admin: Client, studio: Account) -> None:
    decide(admin, "suspend", studio)
    studio.refresh_from_db()
    assert studio.status == Account.Status.SUSPENDED
    assert logged(studio) == f"Suspended. Reason: {WHY}"
    again = decide(admin, "suspend", studio).content.decode()
    assert "it is so already" in again
    decide(admin, "reactivate", studio)
    studio.refresh_from_db()
    assert studio.status == Account.Status.ACTIVE
    assert kinds(studio) == ["suspended", "reactivated"]
    assert set(AccountEvent.objects.values_list("by_email", "by_staff", "reason")) == {("", True, WHY)}


def test_recomputing_asks_why_mends_the_counters_and_says_so(admin: Client, studio: Account) -> None:
    ledger.hold(studio.pk, "template:1:1", milliseconds=1000)
    UsageMonth.objects.update(templates_held=9)
    decide(admin, "recompute", studio, reason="")
    assert UsageMonth.objects.get().templates_held == 9
    decide(admin, "recompute", studio)
    assert UsageMonth.objects.get().templates_held == 1
    assert "templates_held" in logged(studio)
    assert WHY in logged(studio)
    assert "it is so already" in decide(admin, "recompute", studio).content.decode()


def test_tokens_are_revoked_all_at_once_or_one(admin: Client, studio: Account, owner: User) -> None:
    [first, _second, _third] = [tokens.make(studio, user=owner, name=name)[0] for name in ("A", "B", "C")]
    decide(admin, "revoke", first, page="/admin/accounts/apitoken/")
    assert ApiToken.objects.filter(revoked_at=None).count() == 2
    assert WHY in logged(first)
    decide(admin, "revoke_tokens", studio)
    assert not ApiToken.objects.filter(revoked_at=None).exists()
    assert kinds(studio).count("token_revoked") == 3
    assert WHY in logged(studio)


def test_an_invitation_is_taken_back(admin: Client, studio: Account, owner: User) -> None:
    invitation = members.invite(studio, email="guest@example.com", role=Role.VIEWER, by=owner)
    decide(admin, "take_back", invitation, page="/admin/accounts/invitation/")
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None
    assert AccountEvent.objects.get(kind="taken_back").reason == WHY


def test_a_decision_comes_back_to_the_page_it_was_made_on(admin: Client, studio: Account) -> None:
    page = f"{ACCOUNTS}{studio.pk}/change/"
    for wanted, end in ((page, page), ("https://evil.example/admin/", ACCOUNTS), ("//evil.example", ACCOUNTS)):
        answer = decide(admin, "suspend", studio, next=wanted)
        assert answer.redirect_chain[-1][0] == end
    assert "End the suspension" in text_of(admin, page)


def test_who_may_only_look_decides_nothing(client: Client, owner: User, studio: Account) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    owner.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(owner)
    page = text_of(client, f"{ACCOUNTS}{studio.pk}/change/")
    assert 'name="action"' not in page
    assert 'name="reason"' not in page
    for what in ("grant", "set_limits", "suspend", "recompute", "revoke_tokens", "delete", "check_key"):
        decide(client, what, studio, templates="1")
    assert save(client, studio, name="Other").status_code == 403
    studio.refresh_from_db()
    assert (studio.status, studio.name) == ("active", "Studio")
    assert not LedgerEntry.objects.exists()
    assert not LogEntry.objects.exists()


def test_the_decisions_of_staff_about_templates_stand_with_their_reason_in_the_log(
    admin: Client, studio: Account
) -> None:
    template = make_template(studio, "queued")
    page = "/admin/templategen/clip/"
    sent = {"action": "cancel_all", "_selected_action": [template.clip_id], "why": WHY}
    admin.post(page, sent)
    template.refresh_from_db()
    assert template.state == "canceled"
    assert WHY in logged(template)


def test_members_see_what_staff_did_and_not_who_it_was(
    admin: Client, client: Client, studio: Account, owner: User, chief: User
) -> None:
    template = make_template(studio, "blocked")
    template.move(State.QUEUED, by=chief)
    decide(admin, "grant", studio, templates="1")
    client.force_login(owner)
    of_template = reverse("web:detail", args=[studio.slug, template.public_id])
    for page in (of_template, *(f"/a/{studio.slug}/{name}" for name in ("usage/", "usage/ledger.csv", "members/"))):
        shown = b"".join(client.get(page)).decode()
        assert "the site&#x27;s administrators" in shown or "the site's administrators" in shown, page
        assert chief.email not in shown, page


# --- deleting ---


def test_an_account_with_anything_in_it_is_not_deleted(admin: Client, studio: Account) -> None:
    ledger.hold_bytes(studio.pk, "clip:x", size=10)
    assert admin.post(f"{ACCOUNTS}{studio.pk}/delete/", {"post": "yes"}).status_code == 403
    admin.post(ACCOUNTS, {"action": "delete_selected", "_selected_action": [studio.pk], "post": "yes"})
    assert 'value="delete"' not in text_of(admin, f"{ACCOUNTS}{studio.pk}/change/")
    said = decide(admin, "delete", studio).content.decode()
    assert "Suspend it instead" in said
    assert Account.objects.filter(pk=studio.pk).exists()
    assert LedgerEntry.objects.count() == 1


def test_an_empty_account_is_deleted_and_the_log_says_why(admin: Client, studio: Account) -> None:
    decide(admin, "suspend", studio)
    # To recompute nothing books nothing.
    decide(admin, "recompute", studio)
    decide(admin, "delete", studio)
    assert not Account.objects.exists()
    entry = LogEntry.objects.order_by("-pk")[0]
    assert (entry.object_repr, entry.object_id, entry.is_deletion()) == ("Studio", str(studio.pk), True)
    assert WHY in entry.get_change_message()


def test_a_user_is_deleted_unless_they_are_a_last_owner(
    admin: Client, chief: User, studio: Account, owner: User
) -> None:
    said = decide(admin, "delete", owner, page=USERS).content.decode()
    assert "last owner" in said
    assert "Nobody deletes themselves" in decide(admin, "delete", chief, page=USERS).content.decode()
    editor = make_person("editor@example.com", studio.slug, role=Role.EDITOR)
    assert admin.post(f"{USERS}{editor.pk}/delete/", {"post": "yes"}).status_code == 403
    decide(admin, "delete", editor, page=USERS)
    assert set(User.objects.values_list("email", flat=True)) == {owner.email, chief.email}
    assert kinds(studio) == ["removed"]


def test_who_stands_in_the_log_is_not_deleted(admin: Client, owner: User, studio: Account) -> None:
    gone = User.objects.create_superuser("gone@example.com")
    other = Client()
    other.force_login(gone)
    decide(other, "suspend", studio)
    said = decide(admin, "delete", gone, page=USERS).content.decode()
    assert "keeps it" in said
    assert LogEntry.objects.get().user == gone


def test_too_many_at_once_are_refused(admin: Client, studio: Account) -> None:
    Account.objects.bulk_create(Account(name=f"A {number}", slug=f"a-{number}") for number in range(MOST_AT_ONCE))
    for what in ("recompute", "suspend"):
        sent = {"action": what, "_selected_action": list(Account.objects.values_list("pk", flat=True))}
        assert "choose fewer" in admin.post(ACCOUNTS, sent, follow=True).content.decode()
    assert not LogEntry.objects.exists()


# --- the forms of users and accounts ---


def test_an_account_is_renamed_with_a_reason_only(admin: Client, studio: Account, owner: User) -> None:
    membership = owner.memberships.get()
    refused = save(admin, studio, memberships=[(membership, {})], name="New", reason="").content.decode()
    assert "errornote" in refused
    save(admin, studio, memberships=[(membership, {})], name="New")
    studio.refresh_from_db()
    assert studio.name == "New"
    assert WHY in logged(studio)
    assert kinds(studio) == ["renamed"]


def test_saving_the_page_undoes_no_suspension_made_meanwhile(admin: Client, studio: Account, owner: User) -> None:
    Account.objects.filter(pk=studio.pk).update(status=Account.Status.SUSPENDED)
    save(admin, studio, memberships=[(owner.memberships.get(), {})], name="New", status="active")
    studio.refresh_from_db()
    assert (studio.name, studio.status) == ("New", "suspended")


def test_a_new_account_has_a_first_member_and_a_history(admin: Client, owner: User) -> None:
    form = {"name": "Fresh", "slug": "fresh", "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0"}
    form |= {"memberships-0-user": str(owner.pk), "memberships-0-role": "owner"}
    assert admin.post(f"{ACCOUNTS}add/", form).status_code == 200
    assert admin.post(f"{ACCOUNTS}add/", form | {"reason": WHY}).status_code == 302
    fresh = Account.objects.get(slug="fresh")
    assert kinds(fresh) == ["account_made", "joined"]
    assert set(fresh.events.values_list("reason", flat=True)) == {WHY}
    assert WHY in logged(fresh)
    assert fresh.memberships.get().role == Role.OWNER


def test_roles_are_changed_and_members_removed_as_their_owner_would(
    admin: Client, studio: Account, owner: User
) -> None:
    editor = make_person("editor@example.com", studio.slug, role=Role.EDITOR)
    viewer = make_person("viewer@example.com", studio.slug, role=Role.VIEWER)
    tokens.make(studio, user=viewer, name="Shop")
    rows = [owner.memberships.get(), editor.memberships.get(), viewer.memberships.get()]
    changes: list[dict[str, str]] = [{}, {"role": "viewer"}, {"DELETE": "on"}]
    save(admin, studio, memberships=list(zip(rows, changes, strict=True)))
    assert dict(studio.memberships.values_list("user__email", "role")) == {
        "owner@example.com": "owner", "editor@example.com": "viewer",
    }  # fmt: skip
    assert kinds(studio) == ["token_made", "role_changed", "token_revoked", "removed"]
    assert not ApiToken.objects.filter(revoked_at=None).exists()
    assert WHY in logged(studio)
    last = AccountEvent.objects.get(kind="removed")
    assert (last.by_staff, last.by_email, last.reason) == (True, "", WHY)


@pytest.mark.parametrize("change", [{"role": "editor"}, {"DELETE": "on"}])
def test_the_last_owner_stays(admin: Client, studio: Account, owner: User, change: dict[str, str]) -> None:
    make_person("editor@example.com", studio.slug, role=Role.EDITOR)
    said = save(admin, studio, memberships=[(owner.memberships.get(), change)], name="New").content.decode()
    assert "last owner" in said
    studio.refresh_from_db()
    assert studio.name == "Studio"
    assert owner.memberships.get().role == Role.OWNER
    assert not AccountEvent.objects.exists()
    assert not LogEntry.objects.exists()


def test_ownership_passes_to_somebody_in_one_save(admin: Client, studio: Account, owner: User) -> None:
    editor = make_person("editor@example.com", studio.slug, role=Role.EDITOR)
    rows = [(owner.memberships.get(), {"role": "viewer"}), (editor.memberships.get(), {"role": "owner"})]
    save(admin, studio, memberships=rows)
    assert dict(studio.memberships.values_list("user__email", "role")) == {
        "owner@example.com": "viewer", "editor@example.com": "owner",
    }  # fmt: skip
    heir = User.objects.create_user("heir@example.com")
    editor_row = editor.memberships.get()
    save(admin, studio, memberships=[(editor_row, {"DELETE": "on"})], new=[(heir, "owner")])
    assert studio.memberships.get(role=Role.OWNER).user == heir


def test_who_is_in_already_is_not_let_in_again(admin: Client, studio: Account, owner: User) -> None:
    answer = save(admin, studio, memberships=[(owner.memberships.get(), {})], new=[(owner, "viewer")])
    assert answer.status_code == 200
    assert studio.memberships.get().role == Role.OWNER


def test_the_user_of_a_membership_cannot_be_exchanged(
    admin: Client, studio: Account, owner: User, stranger: User
) -> None:
    save(admin, studio, memberships=[(owner.memberships.get(), {"user": stranger.pk})])
    assert studio.memberships.get().user == owner


def test_memberships_are_changed_on_the_users_page_too(admin: Client, studio: Account, owner: User) -> None:
    page = f"{USERS}{owner.pk}/change/"
    date = owner.date_joined.date()
    form = {
        "email": owner.email, "is_active": "on", "reason": WHY, "date_joined_0": date, "date_joined_1": "12:00",
        "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1, "memberships-0-id": owner.memberships.get().pk,
        "memberships-0-user": owner.pk, "memberships-0-role": "editor",
        "memberships-2-TOTAL_FORMS": 0, "memberships-2-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert "last owner" in admin.post(page, form, follow=True).content.decode()
    make_person("second@example.com", studio.slug)
    assert admin.post(page, form).status_code == 302
    assert owner.memberships.get().role == Role.EDITOR
    assert WHY in logged(owner)
    assert kinds(studio) == ["role_changed"]


def test_an_account_left_without_an_owner_who_can_sign_in_is_named(admin: Client, studio: Account, owner: User) -> None:
    form = {"email": owner.email, "reason": WHY}
    for prefix in ("memberships", "memberships-2"):
        form |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    said = admin.post(f"{USERS}{owner.pk}/change/", form, follow=True).content.decode()
    owner.refresh_from_db()
    assert not owner.is_active
    assert "“Studio” has no owner who can sign in" in said


def test_only_superusers_give_rights_and_change_superusers(client: Client, chief: User, owner: User) -> None:
    helper = make_person("staff@example.com", "elsewhere")
    User.objects.filter(pk=helper.pk).update(is_staff=True)
    helper.user_permissions.add(*Permission.objects.filter(codename__in=["change_user", "view_user", "delete_user"]))
    client.force_login(helper)
    mine = text_of(client, f"{USERS}{helper.pk}/change/")
    assert 'name="reason"' in mine
    assert 'name="is_superuser"' not in mine
    assert 'name="user_permissions"' not in mine
    assert client.post(f"{USERS}{chief.pk}/change/", {"email": "x@example.com"}).status_code == 403
    assert client.get(f"{USERS}{chief.pk}/password/").status_code == 403
    decide(client, "delete", chief, page=USERS)
    assert User.objects.filter(pk=chief.pk).exists()


def test_limits_that_somebody_else_has_set_meanwhile_are_not_written_over(admin: Client, studio: Account) -> None:
    chosen = {"action": "set_limits", "_selected_action": [studio.pk]}
    shown = admin.post(ACCOUNTS, chosen).context["form"]
    old = {name: shown.initial.get(name) or "" for name in shown.fields}
    decide(admin, "set_limits", studio, templates_per_month="7")
    answer = admin.post(ACCOUNTS, {**chosen, **old, "decided": "1", "reason": WHY, "seconds_per_month": "60"})
    assert "Somebody else has set other limits meanwhile" in answer.content.decode()
    quota = Quota.objects.get(account=studio)
    assert (quota.templates_per_month, quota.seconds_per_month) == (7, None)
    fresh = admin.post(ACCOUNTS, chosen).context["form"].initial["seen"]
    sent = {**chosen, "decided": "1", "reason": WHY, "seen": fresh, "templates_per_month": "8"}
    assert admin.post(ACCOUNTS, sent).status_code == 302
    assert Quota.objects.get(account=studio).templates_per_month == 8


def test_what_was_chosen_and_is_gone_is_said_so(admin: Client, studio: Account) -> None:
    empty = Account.objects.create(name="Mistake", slug="mistake")
    stale = {"action": "suspend", "_selected_action": [empty.pk], "decided": "1", "reason": WHY}
    empty.delete()
    assert "what was chosen is gone meanwhile" in admin.post(ACCOUNTS, stale, follow=True).content.decode()


def test_a_small_storage_limit_does_not_read_as_none(admin: Client, studio: Account) -> None:
    Quota.objects.create(account=studio, storage_bytes=30_000_000)
    ledger.hold_bytes(studio.pk, "clip:x", size=18_874_368)
    assert "18.9 MB of 30.0 MB" in text_of(admin, ACCOUNTS)


def test_what_became_of_an_attempt_stands_in_the_ledger_in_words(admin: Client, studio: Account) -> None:
    ledger.hold(studio.pk, "template:x:1", milliseconds=1)
    ledger.release(studio.pk, "template:x:1", outcome="given_up")
    for page in ("/admin/accounts/ledgerentry/", f"{ACCOUNTS}{studio.pk}/change/"):
        assert "Given up" in text_of(admin, page)
        assert "given_up" not in text_of(admin, page)


def test_an_account_with_many_members_can_be_saved(admin: Client, studio: Account) -> None:
    User.objects.bulk_create(User(email=f"member-{number}@example.com") for number in range(300))
    users = User.objects.filter(email__startswith="member-")
    Membership.objects.bulk_create(Membership(user=user, account=studio, role=Role.VIEWER) for user in users)
    everybody = list(studio.memberships.all())
    changes = [(membership, {"user": membership.user_id}) for membership in everybody]
    assert save(admin, studio, memberships=changes, name="Many").status_code == 200
    studio.refresh_from_db()
    assert (studio.name, studio.memberships.count()) == ("Many", len(everybody))
