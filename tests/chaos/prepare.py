"""A site's database with people who are signed in: run once as a process, then copied for each site.

    python -m tests.chaos.prepare NUMBER_OF_PEOPLE

Prints JSON as tests/browser/prepare.py does.
"""

import json
import sys

import django


def main(count: int) -> None:
    """Migrate, make people."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    from tests.browser.prepare import _person

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        people = [_person(number) for number in range(count)]
    print(json.dumps({"people": people, "cookie": settings.SESSION_COOKIE_NAME}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
