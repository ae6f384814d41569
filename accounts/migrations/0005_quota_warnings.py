"""Of which threshold the owners were told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_roles_quotas_ledger")]

    operations = [
        migrations.AddField("usagemonth", "told_percent", models.PositiveSmallIntegerField(default=0)),
    ]
