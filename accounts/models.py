"""Users, accounts and who belongs to which.

Invitation, Credential, ApiToken, Quota and LedgerEntry are the place of what is to come: their rows have a shape,
nothing reads or enforces them yet.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


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

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("short name"), unique=True, help_text=_("Stands in the address: /a/short-name/"))
    members = models.ManyToManyField(User, through="Membership", related_name="accounts", verbose_name=_("members"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do. Every member may do everything until roles are enforced."""

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

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.EDITOR)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(_("expires"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email


class Credential(models.Model):
    """An Alibaba API key of an account's own. Here is its ciphertext, and what may be shown of it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="credentials")
    label = models.CharField(_("label"), max_length=100)
    secret_ciphertext = models.BinaryField()
    hint = models.CharField(_("hint"), max_length=12)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    workspace = models.CharField(_("workspace"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")

    def __str__(self) -> str:
        return f"{self.label} ({self.hint})"


class ApiToken(models.Model):
    """A key to the JSON API. Here is its hash, and the prefix by which it is known."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=8)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Quota(models.Model):
    """An account's limits. Blank is the site's default, 0 is none."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="quota")
    templates_per_month = models.PositiveIntegerField(_("templates a month"), null=True, blank=True)
    seconds_per_month = models.PositiveIntegerField(_("video seconds a month"), null=True, blank=True)
    storage_bytes = models.PositiveBigIntegerField(_("stored bytes"), null=True, blank=True)

    class Meta:
        verbose_name = _("quota")
        verbose_name_plural = _("quotas")

    def __str__(self) -> str:
        return str(self.account)


class LedgerEntry(models.Model):
    """One line of the append-only record of quota held, settled, released and granted."""

    class Kind(models.TextChoices):
        """What a line does to the balance."""

        HOLD = "hold", _("Held")
        SETTLE = "settle", _("Settled")
        RELEASE = "release", _("Released")
        GRANT = "grant", _("Granted")

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="ledger")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    reference = models.CharField(_("reference"), max_length=100, unique=True)
    templates = models.IntegerField(_("templates"), default=0)
    milliseconds = models.BigIntegerField(_("video milliseconds"), default=0)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger")
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
