"""Whose is it: the only way from an id in an address to a row. A stranger gets 404, as if it were not there."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from accounts.models import Account, User
from templategen.models import ActionTemplate, TemplateQuerySet


def account_for(user: User | AnonymousUser, slug: str) -> Account:
    """The account, for a member; Http404 for everybody else."""
    account = Account.objects.filter(slug=slug, members=user.pk).first() if user.pk else None
    if account is None:
        raise Http404
    return account


def _one(rows: TemplateQuerySet, public_id: UUID) -> ActionTemplate:
    template = rows.select_related("clip", "account").filter(public_id=public_id).first()
    if template is None:
        raise Http404
    return template


def template_of(account: Account, public_id: UUID) -> ActionTemplate:
    """The account's template, with its clip; Http404 when it is another's, deleted, or not there."""
    return _one(ActionTemplate.objects.of(account).kept(), public_id)


def deleted_template_of(account: Account, public_id: UUID) -> ActionTemplate:
    """The account's template in the trash; Http404 otherwise."""
    return _one(ActionTemplate.objects.of(account).exclude(deleted_at=None), public_id)
