"""Makes the data of a site for browser tests: run as a process of its own, with the product's real settings.

    python -m tests.browser.prepare NUMBER_OF_PEOPLE

Prints JSON: each person's account and session.
"""

import json
import sys
from typing import Any

import django


def main(count: int) -> None:
    """Migrate, collect static files, make people, tell the bucket its rules."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    from templategen.clients.build import storage
    from templategen.management.bucket_rules import apply_rules, site_origins

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    apply_rules(storage(), origins=site_origins(), keep_others=False)
    with transaction.atomic():
        people = [_person(number) for number in range(count)]
    print(json.dumps({"people": people, "cookie": settings.SESSION_COOKIE_NAME}))


def _person(number: int) -> dict[str, Any]:
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from tests.people import make_person

    slug = f"studio-{number}"
    user = make_person(f"person-{number}@example.com", slug, password=None)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return {"email": user.email, "slug": slug, "session": session.session_key}


if __name__ == "__main__":
    main(int(sys.argv[1]))
