"""Until roles counted for something everybody was an editor who could do everything: the first member becomes owner."""

from django.db import migrations
from django.db.models import Exists, OuterRef


def name_owners(apps, _schema_editor):
    Membership = apps.get_model("accounts", "Membership")
    owners = Membership.objects.filter(account=OuterRef("account"), role="owner")
    done = set()
    for membership in Membership.objects.filter(~Exists(owners), user__is_active=True).order_by("pk"):
        if membership.account_id not in done:
            done.add(membership.account_id)
            Membership.objects.filter(pk=membership.pk).update(role="owner")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_doors")]
    operations = [migrations.RunPython(name_owners, migrations.RunPython.noop)]
