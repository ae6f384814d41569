"""Of which threshold the owners were told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_every_account_has_an_owner")]

    operations = [
        migrations.AddField("usagemonth", "told_percent", models.PositiveSmallIntegerField(default=0)),
    ]
