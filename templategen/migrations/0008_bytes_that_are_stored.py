"""Clips that were stored before there was a ledger count for their account's storage like any other.

What waits or is being made holds nothing: it is settled when it is ready, and released without effect.
"""

from collections import Counter

from django.db import migrations
from django.db.models import F

_AT_ONCE = 1000


def book_stored_clips(apps, _editor):
    """One settled entry for each stored clip, and the counters that are their sums."""
    clips = apps.get_model("templategen", "Clip").objects.filter(stored_at__isnull=False).order_by("pk")
    entries = apps.get_model("accounts", "LedgerEntry").objects
    storage = apps.get_model("accounts", "StorageUse").objects
    last, used = 0, Counter()
    while rows := list(clips.filter(pk__gt=last).values_list("pk", "account_id", "object_key", "size_bytes")[:_AT_ONCE]):
        last = rows[-1][0]
        references = [f"clip:{key}:settle" for _pk, _account, key, _size in rows]
        known = set(entries.filter(reference__in=references).values_list("reference", flat=True))
        new = [
            entries.model(account_id=account, kind="settle", reference=reference, bytes_used=size)
            for reference, (_pk, account, _key, size) in zip(references, rows, strict=True)
            if reference not in known
        ]
        entries.bulk_create(new)
        for entry in new:
            used[entry.account_id] += entry.bytes_used
    for account_id, size in used.items():
        storage.get_or_create(account_id=account_id)
        storage.filter(account_id=account_id).update(bytes_used=F("bytes_used") + size)


class Migration(migrations.Migration):
    dependencies = [
        ("templategen", "0007_former_tasks"),
        ("accounts", "0002_roles_quotas_ledger"),
    ]

    operations = [migrations.RunPython(book_stored_clips, migrations.RunPython.noop)]
