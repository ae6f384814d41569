"""What the doors remember: who is signed in where, codes for who has lost their phone, and how often was knocked."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LONGEST_AGENT = 255


class BrowserSession(AbstractBaseSession):
    """Django's session with whose it is, and from where it was last used. Written by ``sessions.py``."""

    # No constraint in the database: what is saved late, after its user has gone, is thrown away and harms nobody.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    address = models.CharField(_("address"), max_length=45, blank=True)
    user_agent = models.CharField(_("browser"), max_length=LONGEST_AGENT, blank=True)
    created_at = models.DateTimeField(_("since"), default=timezone.now)
    seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    class Meta:
        verbose_name = _("signed-in browser")
        verbose_name_plural = _("signed-in browsers")

    @classmethod
    def get_session_store_class(cls) -> Any:
        """The store that the settings name."""
        return import_module(settings.SESSION_ENGINE).SessionStore


class RecoveryCode(models.Model):
    """Stands in once for the code of a phone. Here is its hash; the code itself was shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"{self.pk}"


class Knocks(models.Model):
    """How often somebody did something in one window of time. Written by ``limits.py``."""

    # Hash of the limit's name, of who it is, and of the window: no address or mail is kept in the clear.
    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("knocks")
        verbose_name_plural = _("knocks")

    def __str__(self) -> str:
        return f"{self.count}"
