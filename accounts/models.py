"""Users, accounts, who belongs to which, and what an account may use and has used.

One writer each: memberships and invitations change in ``members.py``, credentials in ``credentials.py``, everything of
the ledger in ``ledger.py``.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import door_models  # noqa: F401 -- Django looks for models here


class UserManager(BaseUserManager["User"]):
    """Makes users from an e-mail address."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **values: Any) -> User:
        """A user; without a password they can sign in by a link only. The address is kept in lower case."""
        user = self.model(email=email.strip().lower(), **values)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **values: Any) -> User:
        """A user who may do everything in the admin site."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **values})

    def get_by_natural_key(self, username: str | None) -> User:
        """Sign-in finds people whatever the case they type: addresses are kept in lower case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractUser):
    """A person, known by e-mail address."""

    username = None  # type: ignore[assignment]  # removed from AbstractUser on purpose
    email = models.EmailField(_("e-mail address"), unique=True, error_messages={"unique": _("This address is taken.")})
    # Where they were last: the door leads there, whichever browser they come with.
    last_account = models.ForeignKey("Account", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[misc, assignment]  # AbstractUser's own manager wants a username

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once_whatever_the_case")]

    def clean(self) -> None:
        """Forms, the admin's too, keep the address in lower case."""
        super().clean()
        self.email = self.email.strip().lower()


class Account(models.Model):
    """A tenant: a studio or a person. Owns clips and templates; users are its members."""

    class Status(models.TextChoices):
        """Whether its members may make anything."""

        ACTIVE = "active", _("Active")
        # They can look, play, copy, and change nothing.
        SUSPENDED = "suspended", _("Suspended")

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("short name"), unique=True, help_text=_("Stands in the address: /a/short-name/"))
    members = models.ManyToManyField(User, through="Membership", related_name="accounts", verbose_name=_("members"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do (permissions.py has the table)."""

    OWNER = "owner", _("Owner")
    EDITOR = "editor", _("Editor")
    VIEWER = "viewer", _("Viewer")


class Membership(models.Model):
    """A user's place in an account."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user"))
    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("account")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.EDITOR)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "account"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} – {self.account}"


class Invitation(models.Model):
    """A place offered by mail. The token itself is only in the mail; here is its hash."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("account")
    )
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.EDITOR)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("sent"), default=timezone.now)
    # The mail server took the last mail: a link is on its way.
    mailed_at = models.DateTimeField(_("mailed"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    # Used, or taken back: either way it opens nothing any more.
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("taken back"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.email


class AccountEvent(models.Model):
    """Who did what in an account, besides its templates (they have a history of their own). Written once, kept."""

    class Kind(models.TextChoices):
        """What was done."""

        ACCOUNT_MADE = "account_made", _("Account made")
        INVITED = "invited", _("Invited")
        INVITED_AGAIN = "invited_again", _("Invitation sent again")
        INVITATION_TAKEN_BACK = "taken_back", _("Invitation taken back")
        JOINED = "joined", _("Joined")
        ROLE_CHANGED = "role_changed", _("Role changed")
        REMOVED = "removed", _("Removed")
        LEFT = "left", _("Left")
        TOKEN_MADE = "token_made", _("API token made")
        TOKEN_REVOKED = "token_revoked", _("API token revoked")
        CREDENTIAL_REPLACED = "credential_replaced", _("Alibaba API key set")
        CREDENTIAL_REMOVED = "credential_removed", _("Alibaba API key removed")
        RENAMED = "renamed", _("Name or address changed")
        SUSPENDED = "suspended", _("Suspended")
        REACTIVATED = "reactivated", _("Suspension ended")
        LIMITS_CHANGED = "limits_changed", _("Limits changed")
        TEMPLATES_GRANTED = "templates_granted", _("Templates granted for this month")
        SECONDS_GRANTED = "seconds_granted", _("Video seconds granted for this month")

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="events", verbose_name=_("account"))
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("by"))
    # Of the one who did it: stays when the user goes. Empty for staff of the site who are no members.
    by_email = models.EmailField(_("e-mail address"), blank=True)
    by_staff = models.BooleanField(_("by the site's administrators"), default=False)
    # Whom or what it was about: an address, a token's name, a key's last characters. Never a secret.
    about = models.CharField(_("about"), max_length=254, blank=True)
    # The role given; of a change the one before too.
    role = models.CharField(_("role"), max_length=10, choices=Role, blank=True)
    role_before = models.CharField(_("role before"), max_length=10, choices=Role, blank=True)
    # Why, in the words of the one who did it. The account's owners read it.
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("account's event")
        verbose_name_plural = _("accounts' history")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["account", "-id"], name="event_of_account")]

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.get_kind_display(), self.about]))


class Credential(models.Model):
    """An Alibaba API key of an account's own. Here is its ciphertext, and what may be shown of it.

    A credential is never changed, only replaced: templates remember which one made them.
    """

    class Check(models.TextChoices):
        """What DashScope last said of it."""

        UNCHECKED = "unchecked", _("Not checked yet")
        GOOD = "good", _("Works")
        REFUSED = "refused", _("Refused")

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="credentials", verbose_name=_("account")
    )
    secret_ciphertext = models.BinaryField()
    # The last four characters.
    hint = models.CharField(_("ends with"), max_length=12)
    # Keyed hash of the API key: tells whether two are the same, and nothing else.
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    workspace = models.CharField(_("workspace"), max_length=100, blank=True)
    base_url = models.CharField(_("address of the API"), max_length=200, blank=True)
    # The Alibaba account behind the key, where the task list says it: templates work with that account's keys only.
    alibaba_uid = models.CharField(_("Alibaba account"), max_length=100, blank=True)
    check_result = models.CharField(_("last check"), max_length=10, choices=Check, default=Check.UNCHECKED)
    check_code = models.CharField(_("code"), max_length=100, blank=True)
    checked_at = models.DateTimeField(_("checked"), null=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # Replaced or removed; open tasks are still watched with it.
    retired_at = models.DateTimeField(_("retired"), null=True)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [
            models.UniqueConstraint(
                fields=["account"], name="one_credential_in_use", condition=Q(retired_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"…{self.hint}"


class ApiToken(models.Model):
    """A key to the JSON API. Here is its hash, and the prefix by which it is known."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="tokens", verbose_name=_("account"))
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=8)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Quota(models.Model):
    """An account's limits. Blank is the site's default, 0 is none."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="quota", verbose_name=_("account"))
    templates_per_month = models.PositiveIntegerField(_("templates a month"), null=True, blank=True)
    seconds_per_month = models.PositiveIntegerField(_("video seconds a month"), null=True, blank=True)
    storage_bytes = models.PositiveBigIntegerField(_("stored bytes"), null=True, blank=True)
    tasks_at_once = models.PositiveIntegerField(_("tasks at once"), null=True, blank=True)

    class Meta:
        verbose_name = _("quota")
        verbose_name_plural = _("quotas")

    def __str__(self) -> str:
        return str(self.account)


class UsageMonth(models.Model):
    """What an account holds and has used in one month of BILLING_TIME_ZONE: always the sum of its ledger entries."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="months", verbose_name=_("account"))
    # The first day.
    month = models.DateField(_("month"))
    templates_held = models.BigIntegerField(_("templates held"), default=0)
    templates_used = models.BigIntegerField(_("templates used"), default=0)
    templates_granted = models.BigIntegerField(_("templates granted"), default=0)
    ms_held = models.BigIntegerField(_("milliseconds held"), default=0)
    ms_used = models.BigIntegerField(_("milliseconds used"), default=0)
    ms_granted = models.BigIntegerField(_("milliseconds granted"), default=0)
    # The highest threshold of which the owners were told in this month.
    told_percent = models.PositiveSmallIntegerField(_("percent told"), default=0)

    class Meta:
        verbose_name = _("month's usage")
        verbose_name_plural = _("usage by month")
        constraints = [
            models.UniqueConstraint(fields=["account", "month"], name="usage_month_once"),
            models.CheckConstraint(
                name="usage_not_negative",
                condition=Q(templates_held__gte=0, templates_used__gte=0, ms_held__gte=0, ms_used__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.month:%Y-%m}"


class StorageUse(models.Model):
    """Bytes that an account has stored, and those of uploads under way: always the sum of its ledger entries."""

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="storage", verbose_name=_("account"))
    bytes_held = models.BigIntegerField(_("bytes of uploads under way"), default=0)
    bytes_used = models.BigIntegerField(_("bytes stored"), default=0)

    class Meta:
        verbose_name = _("stored bytes")
        verbose_name_plural = _("stored bytes")
        constraints = [
            models.CheckConstraint(name="storage_not_negative", condition=Q(bytes_held__gte=0, bytes_used__gte=0))
        ]

    def __str__(self) -> str:
        return str(self.account)


class LedgerEntry(models.Model):
    """One line of the append-only record of quota held, settled, released and granted.

    The columns after ``month`` are what it adds to the counters of the same name (negative: takes away). ``reference``
    is what it is for and which step ("template:<uuid>:2:settle"): the same step twice changes nothing.
    """

    class Kind(models.TextChoices):
        """What a line does to the balance."""

        HOLD = "hold", _("Held")
        SETTLE = "settle", _("Settled")
        RELEASE = "release", _("Released")
        GRANT = "grant", _("Granted")

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="ledger", verbose_name=_("account"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    reference = models.CharField(_("reference"), max_length=120, unique=True)
    # Of the hold, also for what settles it later; empty for storage.
    month = models.DateField(_("month"), null=True)
    templates_held = models.IntegerField(_("templates held"), default=0)
    templates_used = models.IntegerField(_("templates used"), default=0)
    templates_granted = models.IntegerField(_("templates granted"), default=0)
    ms_held = models.BigIntegerField(_("milliseconds held"), default=0)
    ms_used = models.BigIntegerField(_("milliseconds used"), default=0)
    ms_granted = models.BigIntegerField(_("milliseconds granted"), default=0)
    bytes_held = models.BigIntegerField(_("bytes held"), default=0)
    bytes_used = models.BigIntegerField(_("bytes used"), default=0)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("by"))
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["account", "-id"], name="ledger_of_account"),
            models.Index(fields=["account", "month"], name="ledger_of_month"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reference}"
