"""The mail to an account's owners when its own Alibaba key is paused: its templates wait until somebody mends it."""

import logging

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Credential
from accounts.thresholds import owners_of
from templategen import credential_status
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
    # A name may have a line's end in it from elsewhere; a header must not.
    subject = _("%(account)s: the Alibaba API key is paused") % {"account": " ".join(account.name.split())}
    text = render_to_string("web/key_mail.txt", context)
    owners = list(owners_of(account.pk).values_list("email", flat=True))
    for number, email in enumerate(owners):
        try:
            send_mail(subject, text, None, [email])
        except Exception:
            if number == 0:
                credential_status.not_told(credential_id)
            raise
    logger.info("owners told of the pause", extra={"account": account.pk, "code": code, "count": len(owners)})
