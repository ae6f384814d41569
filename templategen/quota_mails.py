"""The mail to an account's owners when it comes near a limit, and when it has reached one."""

import logging
from functools import partial

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import thresholds
from accounts.models import Account
from accounts.sizes import size_in_words
from accounts.thresholds import FULL
from accounts.usage import usage_of
from templategen import owner_mails

logger = logging.getLogger(__name__)


def tell_owners(account_id: int, *, percent: int) -> None:
    """One mail to each owner, once a month. Nothing where the account is gone or has no owner who can sign in.

    Where none could be sent it is due again.
    """
    account, now = Account.objects.filter(pk=account_id).first(), timezone.now()
    if account is None or not thresholds.claim(account.pk, percent, now=now):
        return
    usage = usage_of(account.pk)
    context = {
        "account": account,
        "usage": usage,
        "is_full": percent >= FULL,
        "storage": {
            "used": size_in_words(usage.storage.used),
            "held": size_in_words(usage.storage.held),
            "limit": size_in_words(usage.storage.limit or 0),
        },
        "site_url": settings.SITE_URL,
    }
    subject = (
        _("%(account)s has reached a limit") if percent >= FULL else _("%(account)s has used 80 percent of a limit")
    )
    text = render_to_string("web/quota_mail.txt", context)
    count = owner_mails.send(
        account, subject, text, none_sent=partial(thresholds.not_told, account.pk, percent, now=now)
    )
    logger.info("owners told of the quota", extra={"account": account.pk, "percent": percent, "count": count})
