"""Invitations, roles, leaving: what members.py decides. The pages are in test_members_pages.py."""

import threading
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connections
from django.utils import timezone

from accounts import members, tokens
from accounts.members import MembersError
from accounts.models import Account, AccountEvent, ApiToken, Invitation, Membership, Role, User


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Studio", slug="studio")


def join(account: Account, email: str, role: Role) -> Membership:
    return Membership.objects.create(account=account, user=User.objects.create_user(email), role=role)


def invite(account: Account, role: Role = Role.EDITOR, email: str = "new@example.com") -> tuple[Invitation, str]:
    invitation = members.invite(account, email=email, role=role, by=None)
    token = members.new_token(invitation)
    assert token
    return invitation, token


def told(account: Account) -> list[str]:
    return list(AccountEvent.objects.filter(account=account).order_by("pk").values_list("kind", flat=True))


def test_an_invitation_is_used_once_by_whom_it_was_sent_to(account: Account) -> None:
    invitation, token = invite(account, Role.VIEWER, " New@Example.com")
    assert token not in str(Invitation.objects.values_list().get())
    new, other = User.objects.create_user("new@example.com"), User.objects.create_user("other@example.com")
    with pytest.raises(MembersError, match="wrong_address"):
        members.accept(invitation, user=other)
    found = members.invitation_for(token)
    assert found
    assert members.accept(found, user=new).role == Role.VIEWER
    assert members.invitation_for(token) is None
    with pytest.raises(MembersError, match="gone"):
        members.accept(invitation, user=new)


def test_an_old_a_replaced_and_a_revoked_invitation_open_nothing(account: Account) -> None:
    _first, first = invite(account, Role.VIEWER)
    second, token = invite(account)
    assert members.invitation_for(first) is None
    assert members.invitation_for(token) == second
    Invitation.objects.filter(pk=second.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert members.invitation_for(token) is None
    assert members.new_token(second) is None
    third, token = invite(account)
    assert members.revoke(third, by=None)
    assert not members.revoke(third, by=None)
    assert members.invitation_for(token) is None


def test_sending_again_makes_a_fresh_link_and_begins_the_days_anew(account: Account) -> None:
    invitation, first = invite(account)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))
    members.invite_again(invitation, by=None)
    token = members.new_token(invitation)
    assert token
    assert members.invitation_for(token) == invitation
    assert members.invitation_for(first) is None
    members.revoke(invitation, by=None)
    with pytest.raises(MembersError, match="gone"):
        members.invite_again(invitation, by=None)


def test_a_member_is_not_invited_again(account: Account) -> None:
    join(account, "here@example.com", Role.VIEWER)
    with pytest.raises(MembersError, match="already"):
        members.invite(account, email="Here@example.com", role=Role.EDITOR, by=None)


def test_an_invitation_changes_nothing_for_who_became_a_member_meanwhile(account: Account) -> None:
    invitation, _token = invite(account, Role.VIEWER)
    member = join(account, "new@example.com", Role.OWNER)
    assert members.accept(invitation, user=member.user).role == Role.OWNER
    assert members.pending_invitations(account) == []


def test_of_an_invited_person_two_users_are_never_made(account: Account) -> None:
    invitation, _token = invite(account)
    User.objects.create_user("new@example.com")
    with pytest.raises(MembersError, match="known"):
        members.accept_as_new_user(invitation, "a-long-enough-phrase")
    assert members.pending_invitations(account) == [invitation]


def test_the_last_owner_cannot_leave_nor_become_less(account: Account) -> None:
    owner, editor = join(account, "a@example.com", Role.OWNER), join(account, "b@example.com", Role.EDITOR)
    for change in (
        lambda: members.remove(owner, by=owner.user),
        lambda: members.change_role(owner, Role.EDITOR, by=owner.user),
    ):
        with pytest.raises(MembersError, match="last_owner"):
            change()
    members.change_role(editor, Role.OWNER, by=owner.user)
    members.remove(owner, by=owner.user)
    assert [each.role for each in account.memberships.all()] == [Role.OWNER]


def test_an_owner_who_is_switched_off_is_none(account: Account) -> None:
    owner, other = join(account, "a@example.com", Role.OWNER), join(account, "b@example.com", Role.OWNER)
    User.objects.filter(pk=other.user_id).update(is_active=False)
    with pytest.raises(MembersError, match="last_owner"):
        members.remove(owner, by=owner.user)
    # Whereas that one can go.
    members.remove(other, by=owner.user)


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_leave_past_each_other(account: Account) -> None:
    owners = [join(account, f"{name}@example.com", Role.OWNER) for name in "ab"]
    refused = []

    def leave(membership: Membership) -> None:
        try:
            members.remove(membership, by=membership.user)
        except MembersError as problem:
            refused.append(problem.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=leave, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last_owner"]
    assert account.memberships.count() == 1


def test_who_goes_loses_their_tokens(account: Account) -> None:
    owner, editor = join(account, "a@example.com", Role.OWNER), join(account, "b@example.com", Role.EDITOR)
    kept, _secret = tokens.make(account, user=owner.user, name="kept")
    _lost, secret = tokens.make(account, user=editor.user, name="lost")
    members.remove(editor, by=owner.user)
    assert tokens.tokens_of(account) == [kept]
    assert tokens.membership_for(secret) is None


def test_who_goes_does_not_come_back_by_an_old_invitation(account: Account) -> None:
    owner = join(account, "a@example.com", Role.OWNER)
    _invitation, token = invite(account, Role.OWNER)
    # Let in by the site's administrators while the mail lay unread.
    membership = members.add(account, User.objects.create_user("new@example.com"), Role.VIEWER, by=None)
    members.remove(membership, by=owner.user)
    assert members.invitation_for(token) is None
    assert told(account)[-2:] == ["removed", "taken_back"]


def test_what_has_gone_meanwhile_is_said_so(account: Account) -> None:
    join(account, "a@example.com", Role.OWNER)
    editor = join(account, "b@example.com", Role.EDITOR)
    Membership.objects.filter(pk=editor.pk).delete()
    for change in (
        lambda: members.remove(editor, by=None),
        lambda: members.change_role(editor, Role.VIEWER, by=None),
    ):
        with pytest.raises(MembersError, match="gone"):
            change()


def test_everything_leaves_a_line_that_says_who_did_what(account: Account) -> None:
    owner = join(account, "a@example.com", Role.OWNER)
    invitation = members.invite(account, email="new@example.com", role=Role.VIEWER, by=owner.user)
    members.invite_again(invitation, by=owner.user)
    membership = members.accept_as_new_user(invitation, "a-long-enough-phrase")
    members.change_role(membership, Role.EDITOR, by=owner.user)
    members.change_role(membership, Role.EDITOR, by=owner.user)
    token, _secret = tokens.make(account, user=owner.user, name="One")
    tokens.revoke(token, by=owner.user)
    tokens.revoke(token, by=owner.user)
    members.remove(membership, by=membership.user)
    assert told(account) == [
        "invited", "invited_again", "joined", "role_changed", "token_made", "token_revoked", "left",
    ]  # fmt: skip
    changed = AccountEvent.objects.get(kind="role_changed")
    assert (changed.by_email, changed.about, changed.role_before, changed.role) == (
        "a@example.com", "new@example.com", "viewer", "editor",
    )  # fmt: skip


def test_a_new_accounts_address_does_not_tell_whether_its_name_was_taken(db: None) -> None:
    first = members.open_account("a@example.com", "a-long-enough-phrase", name="Acme")
    second = members.open_account("b@example.com", "a-long-enough-phrase", name="Acme")
    chinese = members.open_account("c@example.com", "a-long-enough-phrase", name="舞")
    assert first.account.slug != second.account.slug
    assert {len(each.account.slug) for each in (first, second)} == {len("acme-") + 6}
    assert chinese.account.slug.startswith("account-")
    assert first.role == Role.OWNER
    assert not ApiToken.objects.exists()


def test_an_account_from_before_roles_counted_gets_its_first_member_for_owner(account: Account) -> None:
    step = import_module("accounts.migrations.0005_every_account_has_an_owner")
    first, second = join(account, "a@example.com", Role.EDITOR), join(account, "b@example.com", Role.EDITOR)
    other = Account.objects.create(name="Other", slug="other")
    join(other, "c@example.com", Role.VIEWER)
    owner = join(other, "d@example.com", Role.OWNER)
    step.name_owners(apps, None)
    assert set(Membership.objects.filter(role=Role.OWNER)) == {first, owner}
    second.refresh_from_db()
    assert second.role == Role.EDITOR
