"""Why nothing goes on for an account at the moment: suspended, its credential paused, or Alibaba asks to slow down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from templategen.credential_status import key_of
from templategen.credentials import credential_of
from templategen.error_texts import ErrorText, explain, explain_code
from templategen.models import ActionTemplate, CredentialStatus
from templategen.states import State

# A shorter pause for breath is over before anybody has read of it.
_WORTH_TELLING = timedelta(seconds=15)
PIPELINE_PAGE = "admin:pipeline"
SUSPENDED = "suspended"


@dataclass(frozen=True)
class Hold:
    """What holds an account's waiting templates back. ``why`` is None where Alibaba only asks to slow down."""

    why: ErrorText | None
    code: str
    request_id: str
    next_at: datetime | None

    @property
    def is_pause(self) -> bool:
        """Somebody has to mend something; else it passes by itself."""
        return self.why is not None

    @property
    def is_suspended(self) -> bool:
        """The account's own matter, not the site's."""
        return self.code == SUSPENDED

    @property
    def mark(self) -> str:
        """What a page shows of it, in short: it changes with every word of the notice; its first letter is the kind."""
        told = f"{self.code} {self.request_id} {self.next_at}".encode()
        return f"{'a' if self.is_suspended else 'p' if self.is_pause else 's'}{crc32(told):08x}"

    @property
    def line(self) -> str:
        """The sentence on each waiting card."""
        if self.is_suspended:
            return _("On hold while the account is suspended; it keeps its place.")
        if self.is_pause:
            return _("On hold until Alibaba takes this site's requests again; nothing is lost.")
        return _("Alibaba asks us to slow down; it goes on by itself.")


def hold_of(account: Account, *, now: datetime | None = None) -> Hold | None:
    """What holds the account's line back now; None where nothing does. One query."""
    if account.status == Account.Status.SUSPENDED:
        return Hold(explain_code(SUSPENDED), SUSPENDED, "", None)
    now = now or timezone.now()
    status = CredentialStatus.objects.filter(key=key_of(credential_of(account.pk))).first()
    if status is None:
        return None
    if status.paused_at is not None:
        return Hold(_words_for(status.pause_code), status.pause_code, status.pause_request_id, status.probe_at)
    until = status.submits_held_until
    return Hold(None, "", "", until) if until is not None and until - now >= _WORTH_TELLING else None


def _words_for(code: str) -> ErrorText | None:
    return explain(ActionTemplate(state=State.QUEUED, error_code=code or "paused"))


def hold_context(hold: Hold | None) -> dict[str, Any]:
    """What the notice needs."""
    return {"hold": hold, "pipeline_page": _pipeline_page()}


def hold_news(shown: str, hold: Hold | None) -> str:
    """What is worth saying aloud to whoever sees ``shown`` (the mark on their page); a later next try is not."""
    if hold is not None and hold.is_suspended:
        return ""
    if hold is not None and hold.is_pause and not shown.startswith("p"):
        return _("Alibaba does not take this site's requests at the moment. What waits goes on later.")
    if hold is None and shown.startswith("p"):
        return _("Alibaba takes this site's requests again. What waits goes on.")
    return ""


def _pipeline_page() -> str:
    try:
        return reverse(PIPELINE_PAGE)
    except NoReverseMatch:
        return ""
