"""What a card and the detail page say about a template beyond its fields: what went wrong, what can be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID
from zlib import crc32

from django.urls import reverse

from accounts.models import Account
from templategen.credentials import Mark, marks_of
from templategen.error_texts import ErrorText, explain, said
from templategen.finding_texts import FindingText, describe
from templategen.models import ActionTemplate
from templategen.states import CANCELABLE, DELETABLE, FOR_A_PERSON, RETRYABLE, State
from templategen.video.facts import Finding
from templategen.web.hold import Hold, hold_of
from templategen.web.outlook import outlooks

_ALARMING = frozenset({State.FAILED, State.LOST})
_WARNING = frozenset({State.BLOCKED, State.UNCONFIRMED})


@dataclass(frozen=True)
class Card:
    """A template as its card shows it."""

    template: ActionTemplate
    # Of the template's page, with a slash at the end; what is decided about it lies below. Made once for a card,
    # since each look-up in the URL map costs a hundred times as much as joining two texts.
    address: str
    trouble: ErrorText | None
    broken: tuple[FindingText, ...]
    # Its place in line and when it may be ready, in words: changes without the row.
    outlook: str
    # Why its template ID may not work with the account's present key.
    mark: Mark | None = None

    @property
    def state(self) -> State:
        """The template's state."""
        return State(self.template.state)

    @property
    def live(self) -> str:
        """What the page's poll says of it (public ID and version); empty once nothing happens by itself."""
        return "" if self.template.is_settled else f"{self.template.public_id}.{self.template.version}"

    @property
    def told(self) -> str:
        """The outlook in short: by it the poll knows whether the page shows an old one."""
        return f"{crc32(self.outlook.encode()):08x}" if self.outlook else ""

    @property
    def tone(self) -> str:
        """How loud the explanation is: the state's own colour."""
        if self.state in _ALARMING:
            return ""
        return "trouble-warn" if self.state in _WARNING else "trouble-calm"

    @property
    def can_retry(self) -> bool:
        """Trying again can end otherwise: not where the video itself breaks a limit."""
        stored = self.template.clip.stored_at is not None
        hopeless = self.state == State.BLOCKED and self.template.error_code == "limits"
        return stored and self.state in RETRYABLE and not hopeless

    @property
    def can_cancel(self) -> bool:
        """Nothing runs yet, and nobody has asked for it; where a person decides, giving up is one of the choices."""
        return self.state in CANCELABLE and not self.is_ending and not self.asks_person

    @property
    def is_ending(self) -> bool:
        """Somebody has canceled it while a call was under way: it ends once the answer is known."""
        return self.template.cancel_wanted_at is not None and not self.template.is_settled and not self.asks_person

    @property
    def can_look(self) -> bool:
        """The service no longer knew its task, and may know it again."""
        return self.state == State.LOST

    @property
    def is_billed_again(self) -> bool:
        """Trying again may pay twice: it was taken once, or may have been."""
        return self.state == State.LOST or self.template.error_code == "given_up"

    @property
    def can_delete(self) -> bool:
        """Nothing is under way whose ID could be lost."""
        return self.state in DELETABLE

    @property
    def asks_person(self) -> bool:
        """Its answer never came, the task list did not tell, and a person decides on its page, with all facts."""
        return self.state == State.UNCONFIRMED and self.template.error_code == FOR_A_PERSON

    @property
    def has_choices(self) -> bool:
        """There is a button to show besides Delete."""
        return self.can_retry or self.can_cancel or self.can_look or self.asks_person

    @property
    def message(self) -> str:
        """The service's own words. Rows from before may have a signed address in them."""
        return said(self.template.error_message)

    @property
    def has_raw(self) -> bool:
        """There are words or numbers of the service to show on demand."""
        row = self.template
        return bool(self.trouble and (row.error_code or row.error_message or row.request_id or row.submit_request_id))


def findings_of(template: ActionTemplate) -> list[Finding]:
    """What the check found, rule by rule; nothing before the check."""
    return [Finding.from_dict(each) for each in template.clip.findings]


def cards_of(account: Account, templates: Sequence[ActionTemplate], hold: Hold | None) -> list[Card]:
    """The cards of some of the account's templates, their clips loaded too. As many queries for many as for one."""
    expected = outlooks(templates, hold)
    marks = marks_of(account.pk, templates)
    return [
        _card(account, template, expected.get(template.pk, ""), hold, marks.get(template.pk)) for template in templates
    ]


def card_of(account: Account, template: ActionTemplate) -> Card:
    """The card of one of them."""
    return cards_of(account, [template], hold_of(account) if template.state == State.QUEUED else None)[0]


def _card(account: Account, template: ActionTemplate, outlook: str, hold: Hold | None, mark: Mark | None) -> Card:
    broken: tuple[FindingText, ...] = ()
    if template.state == State.BLOCKED:
        broken = tuple(describe(finding) for finding in findings_of(template) if finding.verdict == "fail")
    # What the whole line waits for stands above it, once.
    told = template.state == State.QUEUED and hold is not None and hold.is_pause
    trouble = None if told else explain(template)
    return Card(template, f"{_home_of(account.slug)}{template.public_id}/", trouble, broken, outlook, mark)


@lru_cache(maxsize=1024)
def _home_of(slug: str) -> str:
    nobody = UUID(int=0)
    return reverse("web:detail", args=[slug, nobody]).removesuffix(f"{nobody}/")


def live_context(*, quiet: int = 0, unsettled: int) -> dict[str, Any]:
    """How the page's one poll goes on: every 3 s while things move, then 15 s, then 60 s; not at all once settled."""
    seconds = 3 if quiet < 10 else 15 if quiet < 30 else 60
    return {"quiet": quiet, "poll_seconds": seconds if unsettled else 0}
