"""A mail to each owner of an account who can sign in."""

from collections.abc import Callable

from django.core.mail import send_mail

from accounts.models import Account
from accounts.thresholds import owners_of


def send(account: Account, subject: str, text: str, *, none_sent: Callable[[], None]) -> int:
    """How many were mailed. ``subject`` may name ``%(account)s``.

    Where not even the first could be sent ``none_sent`` is called, so that it is due again. Raises what the mail server
    says: a later one that fails is not sent again, for the ones before have theirs.
    """
    # A name may have a line's end in it from elsewhere; a header must not.
    subject %= {"account": " ".join(account.name.split())}
    addresses = list(owners_of(account.pk).values_list("email", flat=True))
    for number, address in enumerate(addresses):
        try:
            send_mail(subject, text, None, [address])
        except Exception:
            if number == 0:
                none_sent()
            raise
    return len(addresses)
