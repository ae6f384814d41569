"""Users, accounts and who belongs to which.

Invitation, Quota and LedgerEntry are the place of invitations and quotas: their rows have a shape, nothing reads or
enforces them yet.
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
        """Sign-in finds people whatever the case they type."""
        return self.get(email__iexact=username)


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
