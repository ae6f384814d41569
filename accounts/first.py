"""The first account and the first user of a new site."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Account, Membership, Role, User

FIRST_SLUG = "studio"


def make_first() -> User:
    """The site's first user; made, with an account of which they are the owner, where there is no user yet.

    They have no password: a one-time sign-in link lets them in, and they choose one. Run again it changes nothing.
    """
    with transaction.atomic():
        user = User.objects.order_by("pk").first()
        if user is not None:
            return user
        user = User.objects.create_superuser(settings.OWNER_EMAIL)
        account, _made = Account.objects.get_or_create(slug=FIRST_SLUG, defaults={"name": _("Studio")})
        Membership.objects.create(user=user, account=account, role=Role.OWNER)
        return user
