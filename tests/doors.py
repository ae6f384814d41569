"""Every address of the site, how it is opened, and what each sort of person gets there: the one table.

``test_permissions.py`` walks it, and fails for an address that is not in it: whoever adds one says whose it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import members, tokens
from accounts.models import Account, Role, User
from templategen import actions
from templategen.models import ActionTemplate
from templategen.states import State
from tests.factories import make_template

JSON = {"content_type": "application/json", "headers": {"Accept": "application/json"}}
BEGIN = {"file_name": "a.mp4", "size": 1000, "fingerprint": "f"}
# The columns. "suspended" is an owner of an account that is suspended; staff is a superuser in no account.
PEOPLE = ("anonymous", "stranger", "viewer", "editor", "owner", "staff", "suspended")


@dataclass(frozen=True)
class Door:
    """How an address of an account is opened, and what each of PEOPLE gets, in that order: a status, or ``in`` for
    the way to the sign-in page."""

    expected: str
    method: str = "get"
    # Of the template whose address it is.
    state: State | None = None
    deleted: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    is_json: bool = False
    # Whose number stands in the address: "member", "invitation" or "token".
    about: str = ""

    def outcome_for(self, who: str) -> str:
        """What the table says."""
        return self.expected.split()[PEOPLE.index(who)]


def _post(expected: str, state: State | None = None, **more: Any) -> Door:
    return Door(expected, "post", state, **more)


LOOKS = "in 404 200 200 200 404 200"
FETCHES = "in 404 302 302 302 404 302"  # on to a signed address
EDITS = "in 404 403 302 302 404 403"  # by a plain form, back to the page
OWNS = "in 404 403 403 302 404 403"
DOORS: dict[str, list[Door]] = {
    #                                      anonymous stranger viewer editor owner staff suspended
    "web:gallery": [Door(LOOKS)],
    "web:live": [Door(LOOKS)],
    "web:detail": [Door(LOOKS, state=State.READY)],
    "web:card": [Door(LOOKS, state=State.READY)],
    "web:poster": [Door(FETCHES, state=State.READY)],
    "web:video": [Door(FETCHES, state=State.READY)],
    "web:download": [Door(FETCHES, state=State.READY)],
    "web:rename": [_post(EDITS, State.READY, body={"name": "New"})],
    "web:retry": [_post(EDITS, State.FAILED)],
    "web:cancel": [_post(EDITS, State.QUEUED)],
    "web:resubmit": [_post(EDITS, State.UNCONFIRMED)],
    "web:adopt": [_post("in 404 403 422 422 404 403", State.UNCONFIRMED, body={"task_id": "no-such-task"})],
    "web:look": [_post(EDITS, State.LOST)],
    "web:delete": [Door("in 404 403 200 200 404 403", state=State.READY), _post(EDITS, State.READY)],
    "web:restore": [_post(EDITS, State.READY, deleted=True)],
    "web:usage": [Door("in 404 403 403 200 404 200")],
    "web:usage_csv": [Door("in 404 403 403 200 404 200")],
    # Without a key in the form, or one in use.
    "web:credential": [Door("in 404 403 403 200 404 200"), _post("in 404 403 403 422 404 403")],
    "web:check_credential": [_post(OWNS)],
    "web:remove_credential": [Door("in 404 403 403 302 404 302"), _post("in 404 403 403 302 404 302")],
    "web:precheck": [_post("in 404 403 400 400 404 403")],
    "web:uploads": [
        Door("401 404 200 200 200 404 200", is_json=True),
        _post("401 404 403 201 201 404 403", body=BEGIN, is_json=True),
    ],
    "web:upload": [Door("401 404 200 200 200 404 200", state=State.UPLOADING, is_json=True)],
    "web:upload_parts": [_post("401 404 403 200 200 404 403", State.UPLOADING, body={"numbers": [1]}, is_json=True)],
    "web:upload_finish": [_post("401 404 403 409 409 404 403", State.UPLOADING, is_json=True)],
    "web:upload_cancel": [_post("401 404 403 200 200 404 403", State.UPLOADING, is_json=True)],
    "web:upload_form": [_post("in 404 403 422 422 404 403")],
    "accounts:members": [Door(LOOKS)],
    "accounts:invite": [_post(OWNS, body={"email": "new@example.com", "role": "viewer"})],
    "accounts:invite_again": [_post(OWNS, about="invitation")],
    "accounts:take_back": [_post(OWNS, about="invitation")],
    "accounts:change_role": [_post(OWNS, about="member", body={"role": "viewer"})],
    "accounts:remove_member": [Door("in 404 403 403 200 404 403", about="member"), _post(OWNS, about="member")],
    # The last owner cannot.
    "accounts:leave": [Door(LOOKS), _post("in 404 302 302 409 404 409")],
    "accounts:tokens": [
        Door("in 404 403 403 200 404 200"),
        _post(OWNS, body={"name": "For the shop"}),
    ],
    "accounts:revoke_token": [_post("in 404 403 403 302 404 302", about="token")],
}  # fmt: skip

# No account in the address: what is answered to GET, whatever role one has somewhere. The staff's is in no account.
WITHOUT_ACCOUNT: dict[str, str] = {
    #                                  anonymous, member, staff
    "jsi18n": "200 200 200",
    "admin_jsi18n": "200 200 200",
    # A GET changes nothing and leads home.
    "set_language": "302 302 302",
    "web:home": "in 302 200",
    # Where the site is open to everybody 200.
    "accounts:new_account": "in 403 403",
    "accounts:sign_in": "200 302 302",
    "accounts:sign_in_link": "302 302 302",
    "accounts:sign_in_link_gone": "410 410 410",
    "accounts:sign_out": "in 405 405",
    "accounts:sign_up": "403 403 403",
    "accounts:sign_up_sent": "200 200 200",
    "accounts:sign_up_link": "302 302 302",
    "accounts:sign_up_finish": "403 403 403",
    "accounts:invitation": "410 410 410",
    "accounts:invitation_link": "302 302 302",
    "accounts:account": "in 200 200",
    "accounts:password_change": "in 200 200",
    "accounts:two_step": "in 200 200",
    "accounts:two_step_codes": "in 405 405",
    "accounts:two_step_off": "in 405 405",
    "accounts:two_step_code": "302 302 302",
    "accounts:browsers": "in 200 200",
    "accounts:end_browser": "in 405 405",
    # The administration's door is the site's own.
    "admin_sign_in": "in 403 302",
    "accounts:password_reset": "200 200 200",
    "accounts:password_reset_sent": "200 200 200",
    "accounts:password_reset_confirm": "302 302 302",
    # A cookie opens nothing here; tests/integration/test_api.py comes with tokens.
    "api:templates": "401 401 401",
    "api:template": "401 401 401",
    "api:nothing": "404 404 404",
    "api:nothing_below": "404 404 404",
}
# Only staff: everybody else gets 404 (metrics) or is led to the sign-in page or refused (the admin site).
STAFF = {"metrics"}
# Parts of addresses that the pages outside an account want.
FILL = {
    "object_id": "1", "app_label": "accounts", "content_type_id": "1", "id": "1", "uidb64": "MQ", "token": "a-b",
    "slug": "studio", "url": "x", "path": "x", "key": "site", "public_id": "00000000-0000-4000-8000-000000000000",
    "rest": "x/", "pk": "1",
}  # fmt: skip


def _patterns(parts: list[Any], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for part in parts:
        if isinstance(part, URLResolver):
            yield from _patterns(part.url_patterns, f"{part.namespace}:" if part.namespace else namespace)
        else:
            yield f"{namespace}{part.name}", part


ALL = dict(_patterns(get_resolver().url_patterns))
ADMIN = sorted(name for name in ALL if name.startswith("admin:"))


def path_of(name: str) -> str:
    """An address outside the accounts, its parts filled in."""
    pattern = ALL[name].pattern
    names = getattr(pattern, "converters", None) or pattern.regex.groupindex
    return reverse(name, kwargs={key: FILL.get(key, "1") for key in names})


@dataclass(frozen=True)
class Behind:
    """What an address is of, made for one look at one door."""

    path: str
    # Through another account's address.
    path_elsewhere: str
    template: ActionTemplate | None


def make_behind(name: str, door: Door, account: Account, owner: User) -> Behind:
    """Rows of the account for this door, and the door's address."""
    arguments: dict[str, Any] = {}
    template = _template(door, account, owner)
    if template is not None:
        arguments["public_id"] = template.public_id
    if door.about:
        arguments["pk"] = _number(door.about, account, owner)
    elsewhere = reverse(name, kwargs={"slug": "elsewhere", **arguments})
    return Behind(reverse(name, kwargs={"slug": account.slug, **arguments}), elsewhere, template)


def _template(door: Door, account: Account, owner: User) -> ActionTemplate | None:
    if door.state is None:
        return None
    if door.state == State.UPLOADING:
        return actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=1000)
    return make_template(account, door.state, deleted_at=timezone.now() if door.deleted else None)


def _number(about: str, account: Account, owner: User) -> int:
    if about == "member":
        user = User.objects.create_user(f"member-{User.objects.count()}@example.com")
        return account.memberships.create(user=user, role=Role.EDITOR).pk
    if about == "invitation":
        return members.invite(account, email=f"guest-{User.objects.count()}@example.com", role=Role.VIEWER, by=owner).pk
    return tokens.make(account, user=owner, name="One")[0].pk


def outcome(answer: Any) -> str:
    """The status, or ``in`` where one is led to the sign-in page."""
    is_led = answer.status_code == 302 and answer["Location"].split("?")[0] == "/sign-in/"
    return "in" if is_led else str(answer.status_code)


def open_door(client: Any, door: Door, path: str) -> Any:
    """Come to the door."""
    extra: dict[str, Any] = dict(JSON) if door.is_json else {}
    return getattr(client, door.method)(path, door.body, **extra)
