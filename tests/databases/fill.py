"""Uploads clips through the product's own code, as a process of the site.

    python -m tests.databases.fill COUNT RINGS

Each clip is rung for RINGS times in all, as doubled messages would; with 0 it is checked here. Prints the primary keys
as JSON.
"""

import io
import json
import sys

import django


def main(count: int, rings: int) -> None:
    """Upload, ring."""
    django.setup()
    from accounts.models import Account
    from templategen import actions, jobs
    from tests.clips import clip_bytes

    data = clip_bytes()
    account, _ = Account.objects.get_or_create(slug="studio", defaults={"name": "Studio"})
    keys = []
    for number in range(count):
        template = actions.upload_file(
            account, by=None, file=io.BytesIO(data), size_bytes=len(data), file_name=f"{number}.mp4", name=f"{number}"
        )
        for _ in range(rings - 1):
            actions.ring("check", template_pk=template.pk)
        if not rings:
            jobs.check(template_pk=template.pk)
        keys.append(template.pk)
    print(json.dumps(keys))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
