"""Mails, sent by the queue: no page waits for a mail server, nor tells by its time whether an address is known.

Tokens are made here, so that each is in its mail and nowhere else.
"""

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts import members, sign_up
from accounts.models import Account, Invitation, User
from accounts.thresholds import owners_of

logger = logging.getLogger(__name__)


def mail_invitation(*, invitation_pk: int, language: str) -> None:
    """Mail the offer with a fresh link; earlier links of it open nothing from then on."""
    invitation = Invitation.objects.select_related("account", "invited_by").filter(pk=invitation_pk).first()
    token = members.new_token(invitation) if invitation else None
    if invitation is None or token is None:
        logger.info("invitation not mailed: no longer open", extra={"invitation": invitation_pk})
        return
    link = _address("accounts:invitation_link", token)
    _send("invitation", invitation.email, language, invitation=invitation, link=link, days=settings.INVITATION_DAYS)
    Invitation.objects.filter(pk=invitation_pk).update(mailed_at=timezone.now())


def mail_reset(*, email: str, language: str) -> None:
    """Mail a link to choose a new password, if the address is known."""
    for user in User.objects.filter(email=email, is_active=True):
        uid = urlsafe_base64_encode(force_bytes(user.pk))
        link = _address("accounts:password_reset_confirm", uid, default_token_generator.make_token(user))
        _send("reset", user.email, language, user=user, link=link)


def mail_sign_up(*, email: str, language: str) -> None:
    """Mail a link to go on signing up; to who is known already, that they are."""
    if User.objects.filter(email=email).exists():
        _send(
            "sign_up_known",
            email,
            language,
            link=_address("accounts:sign_in"),
            reset=_address("accounts:password_reset"),
        )
        return
    _send("sign_up", email, language, link=_address("accounts:sign_up_link", sign_up.token_for(email)))


def mail_status(*, account_pk: int, status: str, reason: str, language: str) -> None:
    """Tell the owners that their account was suspended, or that it goes on; nothing where it changed back meanwhile."""
    account = Account.objects.filter(pk=account_pk, status=status).first()
    if account is None:
        logger.info("change of an account's status not mailed: changed meanwhile", extra={"account": account_pk})
        return
    name = "suspended" if status == Account.Status.SUSPENDED else "reactivated"
    members_page = _address("accounts:members", account.slug)
    for email in owners_of(account.pk).values_list("email", flat=True):
        _send(name, email, language, account=account, reason=reason, members_page=members_page)


def _address(name: str, *arguments: str) -> str:
    """By the site's own name, never by what a request's Host header said."""
    return settings.SITE_URL + reverse(name, args=arguments)


def _send(name: str, email: str, language: str, **context: Any) -> None:
    """``templates/accounts/mail/<name>.txt``; its first line is the subject. Raises what the mail server says."""
    with translation.override(language):
        text = render_to_string(f"accounts/mail/{name}.txt", {**context, "email": email, "site_url": settings.SITE_URL})
    subject, _end, body = text.strip().partition("\n")
    # A name may have half a line's end in it from elsewhere; a header must not.
    send_mail(" ".join(subject.split()), body.strip() + "\n", None, [email])
