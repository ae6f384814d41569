"""What a member may do: the one table, asked by pages, partials and API alike."""

from enum import StrEnum

from accounts.models import Account, Membership, Role


class Permission(StrEnum):
    """A sort of thing that can be done in an account."""

    # See, play, copy, export.
    LOOK = "look"
    # Upload, retry, adopt, send again: what may cost money or room.
    MAKE = "make"
    # Cancel, rename, review, delete, restore.
    CHANGE = "change"
    # Members, invitations, credentials, tokens.
    MANAGE = "manage"
    # What was used, by whom, what it cost.
    USAGE = "usage"
    # Who did what in it, and why.
    HISTORY = "history"
    # See its API tokens and what is told of its Alibaba key, and take them back.
    REVOKE = "revoke"


TABLE: dict[Permission, frozenset[Role]] = {
    Permission.LOOK: frozenset({Role.OWNER, Role.EDITOR, Role.VIEWER}),
    Permission.MAKE: frozenset({Role.OWNER, Role.EDITOR}),
    Permission.CHANGE: frozenset({Role.OWNER, Role.EDITOR}),
    Permission.MANAGE: frozenset({Role.OWNER}),
    Permission.USAGE: frozenset({Role.OWNER}),
    Permission.HISTORY: frozenset({Role.OWNER}),
    Permission.REVOKE: frozenset({Role.OWNER}),
}

# What the members of a suspended account keep: looking, and closing a door that stands open to a program.
WHILE_SUSPENDED = frozenset({Permission.LOOK, Permission.USAGE, Permission.HISTORY, Permission.REVOKE})


def may(membership: Membership, permission: Permission) -> bool:
    """Whether the member may do it now. Reads ``membership.account``: fetch both in one query."""
    if membership.account.status == Account.Status.SUSPENDED and permission not in WHILE_SUSPENDED:
        return False
    return membership.role in TABLE[permission]


def allowed(membership: Membership) -> frozenset[Permission]:
    """Everything that the member may do now."""
    return frozenset(permission for permission in Permission if may(membership, permission))
