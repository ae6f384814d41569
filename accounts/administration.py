"""What the site's administrators decide about an account. Each leaves an AccountEvent with the reason.

The admin site's pages call these, and write the same into the admin's own log.
"""

from dataclasses import dataclass, fields

from django.conf import settings
from django.db import models, transaction

from accounts import history, ledger, members
from accounts.models import Account, AccountEvent, Membership, Quota, Role, User
from accounts.queue import ring

Kind = AccountEvent.Kind


class KeptError(Exception):
    """It has templates, clips or ledger entries, and cannot be deleted."""


@dataclass(frozen=True)
class OwnLimits:
    """An account's own limits, as ``Quota`` has them: None is the site's default, 0 is none."""

    templates_per_month: int | None
    seconds_per_month: int | None
    storage_bytes: int | None
    tasks_at_once: int | None


def suspend(account: Account, *, by: User, reason: str) -> bool:
    """From now on its members can look, and make nothing; False where it was so already."""
    return _set_status(account, Account.Status.SUSPENDED, Kind.SUSPENDED, by=by, reason=reason)


def reactivate(account: Account, *, by: User, reason: str) -> bool:
    """The suspension ends; False where there was none."""
    return _set_status(account, Account.Status.ACTIVE, Kind.REACTIVATED, by=by, reason=reason)


def _set_status(account: Account, status: Account.Status, kind: AccountEvent.Kind, *, by: User, reason: str) -> bool:
    with transaction.atomic():
        done = Account.objects.filter(pk=account.pk).exclude(status=status).update(status=status)
        if done:
            history.note(account, kind, by=by, reason=reason)
            ring(
                "mail_status",
                account_pk=account.pk,
                status=status.value,
                reason=reason,
                language=settings.LANGUAGE_CODE,
            )
    return bool(done)


def grant(account: Account, reference: str, *, templates: int, seconds: int, by: User, reason: str) -> bool:
    """Room beyond this month's limits; False for the same ``reference`` again, which adds nothing.

    Raises ValueError without a reason, or for nothing to add.
    """
    with transaction.atomic():
        done = ledger.grant(
            account.pk, reference, templates=templates, milliseconds=seconds * 1000, by=by, reason=reason
        )
        granted = {Kind.TEMPLATES_GRANTED: templates, Kind.SECONDS_GRANTED: seconds}
        for kind, amount in granted.items():
            if done and amount:
                history.note(account, kind, by=by, about=str(amount), reason=reason)
    return done


def set_limits(account: Account, limits: OwnLimits, *, by: User, reason: str) -> bool:
    """The account's own limits from now on; False where they were these already."""
    with transaction.atomic():
        # Locked, so that of two decisions at once each says what it changed.
        Account.objects.select_for_update().get(pk=account.pk)
        quota, _made = Quota.objects.get_or_create(account=account)
        wanted = {field.name: getattr(limits, field.name) for field in fields(limits)}
        if all(getattr(quota, name) == value for name, value in wanted.items()):
            return False
        Quota.objects.filter(pk=quota.pk).update(**wanted)
        history.note(account, Kind.LIMITS_CHANGED, by=by, reason=reason)
    return True


def note_rename(before: Account, after: Account, *, by: User, reason: str) -> None:
    """A new name, or a new address."""
    told = [f"{one.name} (/a/{one.slug}/)" for one in (before, after)]
    history.note(after, Kind.RENAMED, by=by, about=" → ".join(told), reason=reason)


def without_owner(accounts: models.QuerySet[Account]) -> models.QuerySet[Account]:
    """Those of which no owner can sign in."""
    owners = Membership.objects.filter(account=models.OuterRef("pk"), role=Role.OWNER, user__is_active=True)
    return accounts.exclude(models.Exists(owners))


def can_be_deleted(account: Account) -> bool:
    """Whether nothing was ever made, stored or booked in it."""
    return not any(
        relation.related_model._default_manager.filter(**{relation.field.name: account}).exists()  # noqa: SLF001
        for relation in Account._meta.related_objects  # noqa: SLF001 -- Django's documented name
        if relation.on_delete is models.PROTECT
    )


def delete_account(account: Account) -> None:
    """An account that was made by mistake, with its memberships. Raises KeptError where it has anything to keep."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        if not can_be_deleted(account):
            raise KeptError
        Account.objects.get(pk=account.pk).delete()


def delete_user(user: User, *, by: User, reason: str) -> None:
    """The user leaves every account, and is gone. Raises MembersError (LAST_OWNER), and then nothing has changed."""
    with transaction.atomic():
        for membership in Membership.objects.filter(user=user):
            members.remove(membership, by=by, reason=reason)
        User.objects.get(pk=user.pk).delete()
