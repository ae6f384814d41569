"""Who may what: every address of the site, seven sorts of people, one table (tests/doors.py)."""

from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Membership, Role, User
from accounts.permissions import TABLE, WHILE_SUSPENDED, Permission, allowed
from templategen.models import ActionTemplate
from templategen.states import State
from tests.doors import (
    ADMIN,
    ALL,
    DOORS,
    PEOPLE,
    STAFF,
    WITHOUT_ACCOUNT,
    Door,
    make_behind,
    open_door,
    outcome,
    path_of,
)
from tests.factories import make_template
from tests.people import account_of, make_person
from tests.product import Product


@dataclass(frozen=True)
class Cast:
    """Everybody who comes to the doors."""

    studio: Account
    owner: User
    users: dict[str, User]

    def client(self, who: str) -> Client:
        """A browser in which they are signed in."""
        client = Client()
        if who in self.users:
            client.force_login(self.users[who])
        return client


def make_cast(owner: User, stranger: User) -> Cast:
    studio = account_of(owner)
    users = {"owner": owner, "suspended": owner, "stranger": stranger}
    for role in (Role.VIEWER, Role.EDITOR):
        users[role.value] = make_person(f"{role}@example.com", studio.slug, role=role)
    users["staff"] = User.objects.create_superuser("staff@example.com")
    return Cast(studio, owner, users)


@pytest.fixture
def cast(owner: User, stranger: User, product: Product) -> Cast:
    return make_cast(owner, stranger)


@pytest.fixture
def calm_cast(owner: User, stranger: User) -> Cast:
    """The same, where nothing is uploaded."""
    return make_cast(owner, stranger)


def test_every_address_stands_in_the_table() -> None:
    assert set(ALL) - set(ADMIN) == set(DOORS) | set(WITHOUT_ACCOUNT) | STAFF


@pytest.mark.parametrize("name", sorted(DOORS))
def test_an_address_of_an_account_answers_everybody_as_the_table_says(name: str, cast: Cast) -> None:
    for door in DOORS[name]:
        got = {who: visit(cast, name, door, who) for who in PEOPLE}
        assert got == {who: door.outcome_for(who) for who in PEOPLE}, (name, door.method)


def visit(cast: Cast, name: str, door: Door, who: str) -> str:
    """Come to a fresh door, and look that nothing changed for whoever was refused."""
    status = Account.Status.SUSPENDED if who == "suspended" else Account.Status.ACTIVE
    behind = make_behind(name, door, cast.studio, cast.owner)
    Account.objects.filter(pk=cast.studio.pk).update(status=status)
    before = rows(behind.template)
    client = cast.client(who)
    answer = open_door(client, door, behind.path)
    if outcome(answer) in {"in", "401", "403", "404"}:
        assert rows(behind.template) == before
    else:
        assert who in {"viewer", "editor", "owner", "suspended"}
    if who == "stranger" and (door.state or door.about):
        # Through the stranger's own account too.
        assert open_door(client, door, behind.path_elsewhere).status_code == 404
    return outcome(answer)


def rows(template: ActionTemplate | None) -> object:
    members = sorted(Membership.objects.values_list("pk", "role"))
    return members, ActionTemplate.objects.values().get(pk=template.pk) if template else None


@pytest.mark.parametrize("name", sorted(WITHOUT_ACCOUNT))
def test_an_address_outside_accounts_answers_as_the_table_says(name: str, calm_cast: Cast) -> None:
    anonymous, member, staff = WITHOUT_ACCOUNT[name].split()
    columns = {"anonymous": anonymous, "staff": staff}
    path = path_of(name)
    got = {who: outcome(calm_cast.client(who).get(path)) for who in PEOPLE}
    assert got == {who: columns.get(who, member) for who in PEOPLE}


def test_the_admin_site_is_for_staff_only(calm_cast: Cast) -> None:
    refused: dict[str, list[int]] = {}
    # To the admin site all who are not staff are alike.
    clients = {who: calm_cast.client(who) for who in ("anonymous", "owner", "staff")}
    for name in ADMIN:
        path = path_of(name) if name != "admin:None" else "/admin/x"
        for who, client in clients.items():
            status = client.get(path).status_code
            assert status < 500, (name, who)
            if name not in {"admin:login", "admin:jsi18n"} and who != "staff":
                refused.setdefault(who, []).append(status)
    for who, statuses in refused.items():
        assert set(statuses) <= {302, 403, 404, 405}, who
    assert clients["staff"].get(reverse("admin:index")).status_code == 200


def test_metrics_are_for_staff_and_health_for_everybody(calm_cast: Cast) -> None:
    for who in PEOPLE:
        client = calm_cast.client(who)
        assert client.get("/metrics").status_code == (200 if who == "staff" else 404)
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code in {200, 503}


# --- The table itself ---


def test_roles_are_nested() -> None:
    def of(role: Role) -> set[Permission]:
        return {permission for permission, roles in TABLE.items() if role in roles}

    assert of(Role.VIEWER) < of(Role.EDITOR) < of(Role.OWNER) == set(Permission)


def test_in_a_suspended_account_one_looks_and_makes_nothing() -> None:
    account = Account(status=Account.Status.SUSPENDED)
    assert allowed(Membership(account=account, role=Role.OWNER)) == WHILE_SUSPENDED
    assert allowed(Membership(account=account, role=Role.VIEWER)) == {Permission.LOOK}


# --- How a refusal looks ---


@pytest.fixture
def viewer(owner: User) -> User:
    return make_person("viewer@example.com", "studio", role=Role.VIEWER)


def test_a_refusal_says_why_and_who_can(client: Client, owner: User, viewer: User) -> None:
    failed = make_template(account_of(owner), State.FAILED)
    path = f"/a/studio/templates/{failed.public_id}/retry/"
    client.force_login(viewer)

    page = client.post(path)
    assert (page.status_code, owner.email in page.content.decode()) == (403, True)

    part = client.post(path, headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Retarget"]) == (403, "#messages")
    assert "<html" not in part.content.decode()
    assert owner.email in part.content.decode()

    # The account's menu stays.
    assert 'href="/a/studio/members/"' in page.content.decode()

    told = client.post(path, headers={"Accept": "application/json"})
    assert told.status_code == 403
    assert told.json()["error"]["code"] == "role"
    assert owner.email in told.json()["error"]["text"]


def test_a_suspended_account_says_so_on_every_page_and_in_every_refusal(client: Client, owner: User) -> None:
    Account.objects.update(status=Account.Status.SUSPENDED)
    failed = make_template(account_of(owner), State.FAILED)
    client.force_login(owner)
    for path in ("/a/studio/", f"/a/studio/templates/{failed.public_id}/", "/a/studio/members/"):
        assert "is suspended" in client.get(path).content.decode()
    told = client.post(f"/a/studio/templates/{failed.public_id}/retry/", headers={"Accept": "application/json"})
    assert told.json()["error"]["code"] == "suspended"


MAKING = ["data-uploader", "/retry/", "/delete/", "/rename/", "/cancel/", "/resubmit/", "/restore/", "delete-dialog"]


@pytest.mark.parametrize("state", [State.FAILED, State.QUEUED, State.UNCONFIRMED, State.LOST, State.READY])
def test_buttons_that_a_viewer_may_not_press_are_not_shown(
    client: Client, owner: User, viewer: User, state: State
) -> None:
    template = make_template(account_of(owner), state)
    make_template(account_of(owner), State.READY, deleted_at=template.created_at)
    pages = ["/a/studio/", "/a/studio/?state=deleted", f"/a/studio/templates/{template.public_id}/"]
    pages += [f"/a/studio/templates/{template.public_id}/card/", f"/a/studio/live/?t={template.public_id}.0"]
    client.force_login(viewer)
    shown = "".join(client.get(page).content.decode() for page in pages)
    assert [word for word in [*MAKING, "/adopt/", "/look/"] if word in shown] == []
    client.force_login(owner)
    shown = "".join(client.get(page).content.decode() for page in pages)
    assert "data-uploader" in shown
    assert "/restore/" in shown


def test_only_owners_are_offered_what_they_manage(client: Client, owner: User) -> None:
    editor = make_person("editor@example.com", "studio", role=Role.EDITOR)
    for user, offered in ((owner, True), (editor, False)):
        client.force_login(user)
        page = client.get("/a/studio/members/").content.decode()
        assert ("/a/studio/tokens/" in page, "/members/invite/" in page, "/role/" in page) == (offered,) * 3


def test_roles_count_in_each_account_for_itself(client: Client, owner: User, stranger: User) -> None:
    account_of(stranger).memberships.create(user=owner, role=Role.VIEWER)
    client.force_login(owner)
    assert client.get("/a/studio/tokens/").status_code == 200
    assert client.get("/a/elsewhere/tokens/").status_code == 403


def test_staff_find_the_administration_and_a_member_at_its_door_is_one_line_in_the_log(
    client: Client, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    client.force_login(owner)
    assert client.get("/admin/", follow=True).status_code == 403
    refused = [record for record in caplog.records if record.name == "django.request"]
    assert [(record.levelname, record.exc_info) for record in refused] == [("WARNING", None)]
    assert 'href="/admin/"' not in client.get("/account/").content.decode()
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    assert 'href="/admin/"' in client.get("/account/").content.decode()
