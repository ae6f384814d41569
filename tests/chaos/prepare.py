"""A site's database with people who are signed in: run once as a process, then copied for each site.

    python -m tests.chaos.prepare NUMBER_OF_PEOPLE

Prints JSON as tests/browser/prepare.py does.
"""

import json
import sys

import django


def main(count: int) -> None:
    """Migrate, make people, each account with a quota."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    from accounts.models import Account, Quota
    from tests.browser.prepare import _person

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        people = [_person(number) for number in range(count)]
        # Limits that are never reached, so that every hold is weighed against them.
        for account in Account.objects.all():
            Quota.objects.create(
                account=account, templates_per_month=500, seconds_per_month=50_000, storage_bytes=10**10
            )
    print(json.dumps({"people": people, "cookie": settings.SESSION_COOKIE_NAME}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
