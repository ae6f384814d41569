"""Whose is it: the only way from an id in an address to a row. A stranger gets 404, as if it were not there."""

from uuid import UUID

from django.http import Http404

from accounts.access import NotAllowedError, account_for
from accounts.models import Account
from accounts.permissions import Permission
from templategen.models import ActionTemplate, TemplateQuerySet

__all__ = ["NotAllowedError", "Permission", "account_for", "deleted_template_of", "template_of"]


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
