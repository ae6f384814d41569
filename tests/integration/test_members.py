"""Invitations, roles, leaving."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts import members
from accounts.members import MembersError
from accounts.models import Account, Invitation, Membership, Role, User


@pytest.fixture
def account(db):
    return Account.objects.create(name="Studio", slug="studio")


def join(account, email, role):
    return Membership.objects.create(account=account, user=User.objects.create_user(email), role=role)


def test_an_invitation_is_used_once_by_whom_it_was_sent_to(account):
    invitation, token = members.invite(account, email=" New@Example.com", role=Role.VIEWER, by=None)
    assert token not in str(Invitation.objects.values_list().get())
    new, other = User.objects.create_user("new@example.com"), User.objects.create_user("other@example.com")
    with pytest.raises(MembersError, match="wrong_address"):
        members.accept(invitation, user=other)
    assert members.accept(members.invitation_for(token), user=new).role == Role.VIEWER
    assert members.invitation_for(token) is None
    with pytest.raises(MembersError, match="gone"):
        members.accept(invitation, user=new)


def test_an_old_a_replaced_and_a_revoked_invitation_open_nothing(account):
    _first, first = members.invite(account, email="new@example.com", role=Role.VIEWER, by=None)
    second, token = members.invite(account, email="new@example.com", role=Role.EDITOR, by=None)
    assert members.invitation_for(first) is None
    assert members.invitation_for(token).role == Role.EDITOR
    Invitation.objects.filter(pk=second.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert members.invitation_for(token) is None
    third, token = members.invite(account, email="new@example.com", role=Role.EDITOR, by=None)
    assert members.revoke(third)
    assert not members.revoke(third)
    assert members.invitation_for(token) is None


def test_a_member_is_not_invited_again(account):
    join(account, "here@example.com", Role.VIEWER)
    with pytest.raises(MembersError, match="already"):
        members.invite(account, email="Here@example.com", role=Role.EDITOR, by=None)


def test_the_last_owner_cannot_leave_nor_become_less(account):
    owner, editor = join(account, "a@example.com", Role.OWNER), join(account, "b@example.com", Role.EDITOR)
    for change in (lambda: members.remove(owner), lambda: members.change_role(owner, Role.EDITOR)):
        with pytest.raises(MembersError, match="last_owner"):
            change()
    members.change_role(editor, Role.OWNER)
    members.remove(owner)
    assert [m.role for m in account.memberships.all()] == [Role.OWNER]


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_leave_past_each_other(account):
    owners = [join(account, f"{name}@example.com", Role.OWNER) for name in "ab"]
    refused = []

    def leave(membership):
        try:
            members.remove(membership)
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
