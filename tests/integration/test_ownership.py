"""Nobody sees, plays, copies, counts or guesses another account's things: every address of the site, three people.

An address without an entry here fails the test: whoever adds one says whose it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.models import Account, User
from templategen import actions
from templategen.models import ActionTemplate
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of
from tests.product import Product

JSON = {"content_type": "application/json", "headers": {"Accept": "application/json"}}
BEGIN = {"file_name": "a.mp4", "size": 1000, "fingerprint": "f"}


@dataclass(frozen=True)
class Door:
    """An address of an account: how it is opened, in which state its template must be, what its owner gets."""

    method: str = "get"
    state: State | None = None
    deleted: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    is_json: bool = False
    owner_gets: frozenset[int] = frozenset({200, 302})


DOORS: dict[str, list[Door]] = {
    "web:gallery": [Door()],
    "web:live": [Door()],
    "web:detail": [Door(state=State.READY)],
    "web:card": [Door(state=State.READY)],
    "web:poster": [Door(state=State.READY)],
    "web:video": [Door(state=State.READY)],
    "web:download": [Door(state=State.READY)],
    "web:rename": [Door("post", State.READY, body={"name": "New"})],
    "web:retry": [Door("post", State.FAILED)],
    "web:cancel": [Door("post", State.QUEUED)],
    "web:resubmit": [Door("post", State.UNCONFIRMED)],
    "web:adopt": [Door("post", State.UNCONFIRMED, body={"task_id": "no-such-task"}, owner_gets=frozenset({422}))],
    "web:look": [Door("post", State.LOST)],
    "web:delete": [Door(state=State.READY), Door("post", State.READY)],
    "web:restore": [Door("post", State.READY, deleted=True)],
    "web:precheck": [Door("post", owner_gets=frozenset({400, 422}))],
    "web:uploads": [
        Door(is_json=True),
        Door("post", body=BEGIN, is_json=True, owner_gets=frozenset({201})),
    ],
    "web:upload": [Door(state=State.UPLOADING, is_json=True)],
    "web:upload_parts": [Door("post", State.UPLOADING, body={"numbers": [1]}, is_json=True)],
    "web:upload_finish": [Door("post", State.UPLOADING, is_json=True, owner_gets=frozenset({409}))],
    "web:upload_cancel": [Door("post", State.UPLOADING, is_json=True, owner_gets=frozenset({200, 204}))],
    "web:upload_form": [Door("post", owner_gets=frozenset({400, 422}))],
}  # fmt: skip
# For everybody, and for whoever is signed in whatever account they are in.
PUBLIC = {
    "accounts:sign_in", "accounts:sign_in_link", "accounts:password_reset", "accounts:password_reset_sent",
    "accounts:password_reset_confirm", "jsi18n",
}  # fmt: skip
OWN = {"web:home", "accounts:account", "accounts:password_change", "accounts:sign_out"}
# For staff and holders of a token: tests/integration/test_metrics.py.
STAFF = {"metrics"}
# Parts of addresses that the admin site's pages want.
_FILL = {
    "object_id": "1", "app_label": "accounts", "content_type_id": "1", "id": "1", "uidb64": "MQ", "token": "a-b",
    "slug": "studio", "url": "x", "path": "x", "key": "site", "public_id": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip


def patterns(parts: list[Any], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for part in parts:
        if isinstance(part, URLResolver):
            yield from patterns(part.url_patterns, f"{part.namespace}:" if part.namespace else namespace)
        else:
            yield f"{namespace}{part.name}", part


ALL = dict(patterns(get_resolver().url_patterns))
ADMIN = sorted(name for name in ALL if name.startswith("admin:"))


def test_every_address_is_somebodys() -> None:
    assert set(ALL) - set(ADMIN) == set(DOORS) | PUBLIC | OWN | STAFF


@pytest.fixture
def studio(owner: User, product: Product) -> Account:
    return account_of(owner)


def open_door(client: Client, name: str, door: Door, template: ActionTemplate | None, slug: str = "studio") -> Any:
    arguments = {"slug": slug} | ({"public_id": template.public_id} if template else {})
    extra: dict[str, Any] = dict(JSON) if door.is_json else {}
    return getattr(client, door.method)(reverse(name, kwargs=arguments), door.body, **extra)


def make_for(account: Account, owner: User, door: Door) -> ActionTemplate | None:
    if door.state is None:
        return None
    if door.state == State.UPLOADING:
        return actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=1000)
    return make_template(account, door.state, deleted_at=timezone.now() if door.deleted else None)


@pytest.mark.parametrize("name", sorted(DOORS))
def test_a_members_door_is_shut_to_everybody_else(name: str, studio: Account, owner: User, stranger: User) -> None:
    for door in DOORS[name]:
        template = make_for(studio, owner, door)
        before = ActionTemplate.objects.values().get(pk=template.pk) if template else None
        other, nobody, mine = Client(), Client(), Client()
        other.force_login(stranger)
        mine.force_login(owner)

        assert open_door(other, name, door, template).status_code == 404
        if template:  # through the stranger's own account too
            assert open_door(other, name, door, template, slug="elsewhere").status_code == 404

        shut = open_door(nobody, name, door, template)
        assert (shut.status_code, shut.get("Location", "/sign-in/").split("?")[0]) in {
            (302, "/sign-in/"),
            (401, "/sign-in/"),
        }
        if before:
            assert ActionTemplate.objects.values().get(pk=template.pk) == before

        assert open_door(mine, name, door, template).status_code in door.owner_gets


@pytest.mark.parametrize("name", sorted(OWN))
def test_ones_own_pages_ask_for_sign_in(name: str, client: Client, db: None) -> None:
    assert client.get(reverse(name)).status_code in {302, 405}
    if name != "accounts:sign_out":
        assert client.get(reverse(name)).url.startswith("/sign-in/")


@pytest.mark.parametrize("name", ADMIN)
def test_the_admin_site_is_shut_to_members(name: str, owner: User) -> None:
    names = ALL[name].pattern.converters or ALL[name].pattern.regex.groupindex
    if name in {"admin:login", "admin:jsi18n"}:
        return
    address = reverse(name, kwargs={key: _FILL[key] for key in names}) if name != "admin:None" else "/admin/x"
    nobody, member = Client(), Client()
    member.force_login(owner)
    assert nobody.get(address).status_code in {302, 404, 405}
    assert member.get(address).status_code in {302, 403, 404, 405}


def test_a_template_is_not_reached_through_another_account_of_the_same_person(
    studio: Account, owner: User, client: Client
) -> None:
    second = Account.objects.create(name="Second", slug="second")
    second.memberships.create(user=owner)
    template = make_template(studio)
    client.force_login(owner)
    assert client.get(f"/a/second/templates/{template.public_id}/").status_code == 404


def test_who_has_left_the_account_is_a_stranger_at_once(studio: Account, owner: User, client: Client) -> None:
    client.force_login(owner)
    assert client.get("/a/studio/").status_code == 200
    owner.memberships.all().delete()
    assert client.get("/a/studio/").status_code == 404
