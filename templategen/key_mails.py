"""The mail to an account's owners when its own Alibaba key is paused: its templates wait until somebody mends it."""

import logging
from functools import partial

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Credential
from templategen import credential_status, owner_mails
from templategen.key_texts import own_key_text

logger = logging.getLogger(__name__)


def tell_owners(credential_id: int) -> None:
    """One mail to each owner for each pause. Nothing where the key was replaced, removed or goes again.

    Where none could be sent it is due again.
    """
    in_use = Credential.objects.select_related("account").filter(pk=credential_id, retired_at=None).first()
    code = credential_status.claim_telling(credential_id, now=timezone.now()) if in_use is not None else None
    if in_use is None or code is None:
        return
    account = in_use.account
    context = {
        "account": account,
        "own": in_use,
        "why": own_key_text(code),
        # Some causes are this site's own words.
        "code": "" if code.startswith("credential.") else code,
        "site_url": settings.SITE_URL,
    }
    subject, text = _("%(account)s: the Alibaba API key is paused"), render_to_string("web/key_mail.txt", context)
    count = owner_mails.send(account, subject, text, none_sent=partial(credential_status.not_told, credential_id))
    logger.info("owners told of the pause", extra={"account": account.pk, "code": code, "count": count})
