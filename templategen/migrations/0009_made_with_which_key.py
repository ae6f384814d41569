from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("templategen", "0008_bytes_that_are_stored")]

    operations = [
        migrations.CreateModel(
            name="KeyOwner",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=64, unique=True, verbose_name="fingerprint of the key")),
                ("alibaba_uid", models.CharField(max_length=100, verbose_name="Alibaba account")),
                ("learnt_at", models.DateTimeField(auto_now=True)),
            ],
            options={"verbose_name": "key's Alibaba account", "verbose_name_plural": "keys' Alibaba accounts"},
        ),
        migrations.AddField(
            model_name="actiontemplate",
            name="made_with_fingerprint",
            field=models.CharField(blank=True, max_length=64, verbose_name="fingerprint of the key"),
        ),
    ]
