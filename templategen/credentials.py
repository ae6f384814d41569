"""Whose key an account's templates are made with, whether it works, and whether what it made works with it.

A template ID is good for the Alibaba account alone whose key made it (docs/alibaba.md 8). Each template keeps the
fingerprint of that key, and ``KeyOwner`` the Alibaba account behind a fingerprint, as soon as the task list named it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.models import Credential
from templategen.clients import build
from templategen.clients.dashscope import DashScope, DashScopeError, RefusedError, UnusableKeyError
from templategen.key_texts import own_key_text
from templategen.models import ActionTemplate
from templategen.pipeline_models import KeyOwner

logger = logging.getLogger(__name__)

# For a check somebody waits for a page.
_CHECK_SECONDS = 10.0
_ROWS = 10
_LEARNT_AT_ONCE = 30


def credential_of(account_id: int) -> int | None:
    """The credential that the account's waiting templates will use; None is the site's."""
    own = Credential.objects.filter(account=account_id, retired_at=None)
    return own.values_list("pk", flat=True).first()


def own_credential() -> Subquery:
    """The same within a query of rows that have an ``account``."""
    own = Credential.objects.filter(account=OuterRef("account"), retired_at=None)
    return Subquery(own.values("pk")[:1])


# --- whether a key works ---


@dataclass(frozen=True)
class Checked:
    """What DashScope said of a key just now. ``text`` is for people: what is wrong and why, or that it works.

    ``sure`` is False where nothing was learnt (no answer, throttled): then the key is as good or bad as it was.
    ``code`` is DashScope's or our own, "" where it works.
    """

    ok: bool
    text: str
    code: str = ""
    alibaba_uid: str = ""
    sure: bool = True


def check_now(credential: Credential) -> Checked:
    """Ask DashScope for one page of the credential's task list, which costs nothing, and remember what it said.

    Returns Checked: ``ok``; ``text``, plain words to be shown to the owner or the administrator. Raises nothing of
    DashScope's and never shows the key. Takes up to some ten seconds: not within a transaction.
    """
    try:
        secret = credentials.secret_of(credential)
    except credentials.UnreadableError:
        checked = _unusable(UnusableKeyError.UNREADABLE)
    else:
        checked = check_key(secret, workspace=credential.workspace, base_url=credential.base_url)
    if checked.sure:
        credentials.note_check(credential, good=checked.ok, code=checked.code, alibaba_uid=checked.alibaba_uid)
        learn_owner(credential.fingerprint, checked.alibaba_uid)
    return checked


def check_key(secret: str, *, workspace: str, base_url: str) -> Checked:
    """The same for a key that is not stored: nothing is remembered."""
    try:
        client = build.dashscope_with(secret, workspace=workspace, base_url=base_url, timeout=_CHECK_SECONDS)
        uid = ask_owner(client)
    except UnusableKeyError as problem:
        return _unusable(problem.code)
    except RefusedError as problem:
        # Billing trouble also comes as 429 (docs/alibaba.md 5).
        if problem.code.startswith("Throttling") or (problem.status == 429 and not problem.code):
            return Checked(ok=False, text=_slow_down(), code=problem.code, sure=False)
        return _refused(problem)
    except DashScopeError:
        text = _("Alibaba did not answer, so the key could not be checked. Try again in a moment.")
        if settings.USE_SANDBOX:
            text = _("The sandbox did not answer, so the key could not be checked. Try again in a moment.")
        return Checked(ok=False, text=text, code="dashscope", sure=False)
    text = _("The sandbox takes the key.") if settings.USE_SANDBOX else _("Alibaba takes the key.")
    return Checked(ok=True, text=text, alibaba_uid=uid)


def _slow_down() -> str:
    if settings.USE_SANDBOX:
        return _("The sandbox asks to slow down. Try again in a minute.")
    return _("Alibaba asks to slow down. Try again in a minute.")


def _refused(problem: RefusedError) -> Checked:
    code = problem.code or str(problem.status)
    if settings.USE_SANDBOX:
        if code == "InvalidApiKey":
            said = _(
                "The sandbox does not take this key (its code: %(code)s). It takes only its own: %(key)s, and those "
                "that it was started with (--api-key)."
            )
        else:
            said = _("The sandbox refused the key (its code: %(code)s).")
        return Checked(ok=False, text=said % {"code": code, "key": settings.DASHSCOPE_API_KEY}, code=code)
    text = own_key_text(code)
    words = {"what": text.what, "why": text.why, "code": code}
    return Checked(ok=False, text=_("%(what)s %(why)s (Alibaba's code: %(code)s)") % words, code=code)


def _unusable(code: str) -> Checked:
    text = own_key_text(code)
    return Checked(ok=False, text=_("%(what)s %(why)s") % {"what": text.what, "why": text.why}, code=code)


# --- the Alibaba account behind it ---


def ask_owner(client: DashScope) -> str:
    """The Alibaba account that a client's key belongs to; "" where its list has no row that says so."""
    return owner_in(client.list_tasks(page_size=_ROWS).rows)


def owner_in(rows: Iterable[dict[str, Any]]) -> str:
    """The Alibaba account that rows of a task list name. The main account where it differs from a user's of it."""
    for row in rows:
        for name in ("caller_parent_id", "caller_uid"):
            value = row.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and (text := str(value).strip()):
                return text[:100].replace("\0", "")
    return ""


def owner_of(fingerprint: str) -> str:
    """The Alibaba account behind a key, as far as it is known; else ""."""
    return KeyOwner.objects.filter(fingerprint=fingerprint).values_list("alibaba_uid", flat=True).first() or ""


def learn_owner(fingerprint: str, alibaba_uid: str) -> None:
    """Remember that the key belongs to this Alibaba account; nothing where it is not known."""
    if alibaba_uid:
        KeyOwner.objects.update_or_create(fingerprint=fingerprint, defaults={"alibaba_uid": alibaba_uid})
        credentials.note_owner(fingerprint, alibaba_uid)


def learn_owner_with(credential_id: int | None) -> bool:
    """The same, asked with one list call where it is not known yet. False where no answer came: nothing is learnt."""
    fingerprint = build.fingerprint(credential_id)
    if KeyOwner.objects.filter(fingerprint=fingerprint).exists():
        return True
    try:
        learn_owner(fingerprint, ask_owner(build.dashscope(credential_id)))
    except DashScopeError as problem:
        logger.info("owner of a key not learnt", extra={"problem": str(problem)})
        return isinstance(problem, RefusedError | UnusableKeyError)
    return True


def learn_owners() -> None:
    """For the site's key and some of the accounts' own in use: where the list was empty before, it may not be now.

    Where no account has a key of its own nothing is asked: there is nothing to compare the site's with. Stops where the
    service does not answer: the others would wait for nothing, too.
    """
    if not Credential.objects.exists():
        return
    known = KeyOwner.objects.values("fingerprint")
    own = Credential.objects.filter(retired_at=None, check_result=Credential.Check.GOOD).exclude(fingerprint__in=known)
    for credential_id in [None, *own.order_by("?").values_list("pk", flat=True)[:_LEARNT_AT_ONCE]]:
        if not learn_owner_with(credential_id):
            return


def may_be_one_account(one: int | None, other: int | None) -> bool:
    """Whether two credentials may be of the same Alibaba account: not known to be of different ones."""
    if one == other:
        return True
    keys = [build.fingerprint(one), build.fingerprint(other)]
    owners = dict(KeyOwner.objects.filter(fingerprint__in=keys).values_list("fingerprint", "alibaba_uid"))
    return keys[0] == keys[1] or len(owners) < len(keys) or owners[keys[0]] == owners[keys[1]]


def successor_of(credential_id: int | None) -> int | None:
    """The key that took a retired one's place, if both are known to be of one Alibaba account; else None.

    Its tasks can be asked for with either: an owner who replaces a key often deletes the old one at once.
    """
    last = Credential.objects.filter(pk=credential_id, retired_at__isnull=False).first() if credential_id else None
    present = credentials.in_use(last.account_id) if last is not None else None
    if last is None or present is None:
        return None
    owner = owner_of(last.fingerprint)
    return present.pk if owner and owner_of(present.fingerprint) == owner else None


# --- whether a template works with the present key ---


class Mark(StrEnum):
    """Why a template ID may not work with the key that the account has now."""

    # Made under another Alibaba account: it does not.
    OTHER_ACCOUNT = "other_account"
    # Made with another key, of which it is not known whether it is of the same Alibaba account.
    OTHER_KEY = "other_key"

    @property
    def short(self) -> str:
        """On a card."""
        if self is Mark.OTHER_ACCOUNT:
            return _("Not usable with the present API key")
        return _("Made with another API key")

    @property
    def text(self) -> str:
        """For people."""
        if self is Mark.OTHER_ACCOUNT:
            return _("Not usable with the present API key: it was made under another Alibaba account.")
        return _(
            "Made with another API key: usable only if that key is of the same Alibaba account as the present one."
        )


def marks_of(account_id: int, templates: Iterable[ActionTemplate]) -> dict[int, Mark]:
    """For those of the account's ``templates`` that have one: primary key → Mark. At most two queries."""
    made = [template for template in templates if template.template_id]
    if not made:
        return {}
    present = credentials.in_use(account_id)
    site = build.fingerprint(None)
    here = present.fingerprint if present else site
    # Those of before the fingerprint was kept were made with the site's key of then.
    keys = {row.pk: row.made_with_fingerprint or site for row in made}
    others = set(keys.values()) - {here}
    if not others:
        return {}
    owners = dict(KeyOwner.objects.filter(fingerprint__in={*others, here}).values_list("fingerprint", "alibaba_uid"))
    mine = owners.get(here) or (present.alibaba_uid if present else "")
    marks: dict[int, Mark] = {}
    for pk, key in keys.items():
        theirs = owners.get(key, "")
        if key == here or (theirs and theirs == mine):
            continue
        marks[pk] = Mark.OTHER_ACCOUNT if theirs and mine else Mark.OTHER_KEY
    return marks
