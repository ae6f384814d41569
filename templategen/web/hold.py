"""Why nothing goes on for an account: suspended, no task allowed, its key paused, or Alibaba asks to slow down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django.db.models import CharField, Subquery, Value
from django.db.models.functions import Cast, Coalesce
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.ledger import limits_of
from accounts.models import Account, Credential
from templategen.credential_status import SITE
from templategen.error_texts import ErrorText, explain, explain_code
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus
from templategen.states import State

# A shorter pause for breath is over before anybody has read of it.
_WORTH_TELLING = timedelta(seconds=15)
PIPELINE_PAGE = "admin:pipeline"
SUSPENDED, NO_TASKS = "suspended", "quota.tasks_at_once"


@dataclass(frozen=True)
class Hold:
    """What holds an account's waiting templates back. ``why`` is None where Alibaba only asks to slow down."""

    why: ErrorText | None
    code: str
    request_id: str
    next_at: datetime | None
    # The account's own API key is what is held, not the site's.
    is_own: bool = False

    @property
    def is_pause(self) -> bool:
        """Somebody has to mend something; else it passes by itself."""
        return self.why is not None

    @property
    def is_suspended(self) -> bool:
        """The account is suspended: that has a notice of its own."""
        return self.code == SUSPENDED

    @property
    def is_the_accounts(self) -> bool:
        """The account's own matter, not the site's."""
        return self.code in {SUSPENDED, NO_TASKS}

    @property
    def mark(self) -> str:
        """What a page shows of it, in short: it changes with every word of the notice; its first letter is the kind."""
        told = f"{self.code} {self.request_id} {self.next_at}".encode()
        kind = "a" if self.is_the_accounts else "s" if not self.is_pause else "o" if self.is_own else "p"
        return f"{kind}{crc32(told):08x}"

    @property
    def line(self) -> str:
        """The sentence on each waiting card."""
        if self.code == NO_TASKS:
            return _("On hold: the account's limit lets nothing be handed over to Alibaba; it keeps its place.")
        if self.is_the_accounts:
            return _("On hold while the account is suspended; it keeps its place.")
        if self.is_pause and self.is_own:
            return _("On hold until the account's own API key works again; nothing is lost.")
        if self.is_pause:
            return _("On hold until Alibaba takes this site's requests again; nothing is lost.")
        return _("Alibaba asks us to slow down; it goes on by itself.")


def hold_of(account: Account, *, now: datetime | None = None) -> Hold | None:
    """What holds the account's line back now; None where nothing does. Two queries."""
    if account.status == Account.Status.SUSPENDED:
        return Hold(explain_code(SUSPENDED), SUSPENDED, "", None)
    if limits_of(account.pk).tasks_at_once == 0:
        return Hold(explain_code(NO_TASKS), NO_TASKS, "", None)
    now = now or timezone.now()
    own = Credential.objects.filter(account=account, retired_at=None).order_by()
    key = Coalesce(Cast(Subquery(own.values("pk")[:1]), CharField()), Value(SITE))
    status = CredentialStatus.objects.filter(key=key).first()
    if status is None:
        return None
    if status.paused_at is not None:
        own_pk = None if status.key == SITE else int(status.key)
        row = ActionTemplate(state=State.QUEUED, error_code=status.pause_code or "paused", credential_id=own_pk)
        next_at = status.probe_at
        return Hold(explain(row), status.pause_code, status.pause_request_id, next_at, is_own=own_pk is not None)
    until = status.submits_held_until
    return Hold(None, "", "", until) if until is not None and until - now >= _WORTH_TELLING else None


def hold_context(hold: Hold | None) -> dict[str, Any]:
    """What the notice needs."""
    return {"hold": hold, "pipeline_page": _pipeline_page()}


def hold_news(shown: str, hold: Hold | None) -> str:
    """What is worth saying aloud to whoever sees ``shown`` (the mark on their page); a later next try is not."""
    if hold is not None and hold.is_the_accounts:
        return ""
    is_news = hold is not None and hold.is_pause and not shown.startswith(("p", "o"))
    if hold is not None and is_news and hold.is_own:
        return _("The account's own API key does not work at the moment. What waits goes on later.")
    if is_news:
        return _("Alibaba does not take this site's requests at the moment. What waits goes on later.")
    if hold is None and shown.startswith("o"):
        return _("The account's own API key is tried again. What waits goes on.")
    if hold is None and shown.startswith("p"):
        return _("Alibaba takes this site's requests again. What waits goes on.")
    return ""


def _pipeline_page() -> str:
    try:
        return reverse(PIPELINE_PAGE)
    except NoReverseMatch:
        return ""
