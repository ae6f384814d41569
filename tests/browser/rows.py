"""Puts templates into a running site's database: a process of its own, with the product's real settings.

It reads a line of JSON, ``{"account": slug, "rows": [...]}``, and answers with a line of public IDs. A row makes a
template, or, with ``change``, moves one to another state as a job would.
"""

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

import django

from tests.browser.site import ROOT, Person, Site


class Rows:
    """The process, as seen from a test."""

    def __init__(self, site: Site) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.rows"],
            cwd=ROOT,
            env=site._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def put(self, person: Person, *rows: dict[str, Any]) -> list[str]:
        """``{"state": …, "name": …}`` makes a template; ``{"change": public ID, "to": …}`` moves it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"account": person.slug, "rows": rows}) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))


def main() -> None:
    """Answer each line until there are no more."""
    django.setup()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps([_one(asked["account"], row) for row in asked["rows"]]), flush=True)


def _one(slug: str, row: dict[str, Any]) -> str:
    from datetime import timedelta

    from django.utils import timezone

    from accounts.models import Account
    from templategen.models import ActionTemplate
    from templategen.states import State
    from tests.factories import make_clip, make_template

    if "change" in row:
        template = ActionTemplate.objects.get(public_id=row.pop("change"))
        assert template.move(State(row.pop("to")), **row)
    else:
        account = Account.objects.get(slug=slug)
        # Nothing that runs beside takes it up: its next look is later than a test may last (and no further ahead than
        # the sweep lets stand), and no poster lies in OSS.
        values = {"next_look_at": timezone.now() + timedelta(minutes=5), "clip": make_clip(account, poster_key="")}
        template = make_template(account, State(row.pop("state", "ready")), **values, **row)
    return str(template.public_id)


if __name__ == "__main__":
    main()
