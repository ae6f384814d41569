"""What happens with each sign-in, however it was made, and with each that failed."""

import logging
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import two_step
from accounts.addresses import visitor_address
from accounts.models import User
from accounts.sessions import SessionStore

logger = logging.getLogger(__name__)


@receiver(user_logged_in)
def mark_session(request: HttpRequest, user: User, **_rest: Any) -> None:
    """Who has no second step is not asked for one in this session; sessions that have run out are swept away."""
    request.session.pop(two_step.CHECKED_KEY, None)
    if not two_step.is_on(user):
        request.session[two_step.CHECKED_KEY] = user.pk
    SessionStore.clear_expired()


@receiver(user_locked_out)
def tell_lockout(request: HttpRequest, **_rest: Any) -> None:
    """One line for whoever watches; by which name it was tried is in the admin site."""
    logger.warning("sign-in locked after wrong passwords", extra={"address": visitor_address(request)})
