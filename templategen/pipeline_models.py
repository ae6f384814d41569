"""What the pipeline remembers besides templates: who holds a lease, how credentials do, whose turn it was, counters.

One writer each, named with the class; the lease's is ``lease.py``.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Account


class Lease(models.Model):
    """Who may do a thing that only one process may do. Taken, renewed and lost by conditional updates only."""

    name = models.CharField(max_length=50, unique=True)
    owner = models.CharField(max_length=100, blank=True)
    until = models.DateTimeField()
    # Goes up at each change of hands: an old holder is told from the new one by it.
    epoch = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.name}: {self.owner}"


class CredentialStatus(models.Model):
    """How submitting and looking go with one credential: paused or not, held back until when, what was learnt of it.

    Written by ``credential_status.py`` only.
    """

    # "site", or the primary key of an account's own credential.
    key = models.CharField(_("credential"), max_length=20, unique=True)
    # Paused: the key, its bill or its rights are at fault. A single submit goes out at probe_at, to see.
    paused_at = models.DateTimeField(_("paused since"), null=True)
    pause_code = models.CharField(_("code"), max_length=100, blank=True)
    pause_message = models.TextField(_("message"), blank=True)
    pause_request_id = models.CharField(_("request ID"), max_length=100, blank=True)
    probe_at = models.DateTimeField(_("tries again at"), null=True)
    probes = models.PositiveIntegerField(_("tries"), default=0)
    # When the account's owners were told of the pause.
    told_at = models.DateTimeField(null=True)
    # Throttled: passes by itself. Submits, and looks, wait until then.
    submits_held_until = models.DateTimeField(null=True)
    looks_held_until = models.DateTimeField(null=True)
    # When it was last throttled: a call that began before and went well does not end that.
    held_at = models.DateTimeField(null=True)
    throttles = models.PositiveIntegerField(default=0)
    # Rows of one list page that the service was found to give; 0: not tried yet.
    page_size = models.PositiveIntegerField(default=0)
    page_size_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("credential's status")
        verbose_name_plural = _("credentials' status")

    def __str__(self) -> str:
        return self.key


class KeyOwner(models.Model):
    """Which Alibaba account an API key belongs to, as the task list has told. Written by ``credentials.py`` only."""

    fingerprint = models.CharField(_("fingerprint of the key"), max_length=64, unique=True)
    alibaba_uid = models.CharField(_("Alibaba account"), max_length=100)
    learnt_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("key's Alibaba account")
        verbose_name_plural = _("keys' Alibaba accounts")

    def __str__(self) -> str:
        return self.alibaba_uid


class Turn(models.Model):
    """When an account was last served: accounts that share a credential take turns. Written by the conductor only."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")

    def __str__(self) -> str:
        return f"{self.account_id}"


class Tally(models.Model):
    """A counter that outlives processes: looks, errors by code. Written by ``tally.py`` only, in batches."""

    name = models.CharField(max_length=50)
    label = models.CharField(max_length=100, blank=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = [models.UniqueConstraint(fields=["name", "label"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.label}"


class Heartbeat(models.Model):
    """When a background process last showed that it does work."""

    name = models.CharField(max_length=50, unique=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.name
