"""Nobody reaches another account's things by way of their own. Who may open what is in test_permissions.py."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts import members, tokens
from accounts.models import Account, Role, User
from tests.factories import make_template
from tests.people import account_of


def test_a_template_is_not_reached_through_another_account_of_the_same_person(owner: User, client: Client) -> None:
    second = Account.objects.create(name="Second", slug="second")
    second.memberships.create(user=owner, role=Role.OWNER)
    studio = account_of(owner)
    template = make_template(studio)
    deleted = make_template(studio, deleted_at=timezone.now())
    client.force_login(owner)
    assert client.get(f"/a/second/templates/{template.public_id}/").status_code == 404
    assert client.post(f"/a/second/templates/{template.public_id}/delete/").status_code == 404
    assert client.post(f"/a/second/templates/{deleted.public_id}/restore/").status_code == 404


@pytest.mark.parametrize(
    "way", ["members/%s/role/", "members/%s/remove/", "invitations/%s/again/", "tokens/%s/revoke/"]
)
def test_members_invitations_and_tokens_are_not_reached_through_another_account(
    owner: User, stranger: User, client: Client, way: str
) -> None:
    theirs = account_of(stranger)
    numbers = {
        "members": theirs.memberships.get().pk,
        "invitations": members.invite(theirs, email="new@example.com", role=Role.VIEWER, by=stranger).pk,
        "tokens": tokens.make(theirs, user=stranger, name="One")[0].pk,
    }
    client.force_login(owner)
    number = numbers[way.split("/", maxsplit=1)[0]]
    assert client.post(f"/a/studio/{way % number}", {"role": "viewer"}).status_code == 404
    assert client.post(f"/a/studio/{way % 10**30}", {"role": "viewer"}).status_code == 404
    assert theirs.memberships.get().role == Role.OWNER
    assert tokens.tokens_of(theirs)
