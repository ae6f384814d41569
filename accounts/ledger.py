"""Quota: what is held, settled, released and granted, and the counters that are always the sum of it.

The only writer of LedgerEntry, UsageMonth and StorageUse. An entry and its counters change in one transaction; each
function takes part in the caller's transaction where there is one. Every step has a reference that is unique, so that
the same step twice changes nothing. A template's reference is ``template_reference``; its seconds are held at the
length of the clip and settled at what Alibaba billed (``usage.video_duration``).
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from accounts.models import LedgerEntry, Quota, StorageUse, UsageMonth, User

logger = logging.getLogger(__name__)

Kind = LedgerEntry.Kind
# A month's counters, and the columns of entries that they are the sums of.
MONTHLY = ("templates_held", "templates_used", "templates_granted", "ms_held", "ms_used", "ms_granted")


class What(StrEnum):
    """What an account can run out of."""

    TEMPLATES = "templates"
    SECONDS = "seconds"
    STORAGE = "storage"


class OverLimitError(Exception):
    """The quota does not allow it. ``what`` ran out; ``limit`` with grants, in templates, seconds or bytes."""

    def __init__(self, what: What, limit: int) -> None:
        super().__init__(what, limit)
        self.what = what
        self.limit = limit

    def __str__(self) -> str:
        return f"over the limit of {self.limit} {self.what}"


@dataclass(frozen=True)
class Limits:
    """What an account may use; None: no limit."""

    templates: int | None
    seconds: int | None
    storage_bytes: int | None
    tasks_at_once: int | None


def limits_of(account_id: int) -> Limits:
    """The account's own limits where it has some, else the site's."""
    return effective(Quota.objects.filter(account=account_id).first() or Quota())


def limits_of_many(account_ids: Collection[int]) -> dict[int, Limits]:
    """The same for many accounts, in one query."""
    own = {quota.account_id: quota for quota in Quota.objects.filter(account__in=account_ids)}
    return {account_id: effective(own.get(account_id) or Quota()) for account_id in account_ids}


def effective(own: Quota) -> Limits:
    """An account's own limits, completed by the site's."""

    def choose(value: int | None, default: int | None) -> int | None:
        return default if value is None else value

    return Limits(
        templates=choose(own.templates_per_month, settings.QUOTA_TEMPLATES_PER_MONTH),
        seconds=choose(own.seconds_per_month, settings.QUOTA_SECONDS_PER_MONTH),
        storage_bytes=choose(own.storage_bytes, settings.QUOTA_STORAGE_BYTES),
        tasks_at_once=choose(own.tasks_at_once, settings.QUOTA_TASKS_AT_ONCE),
    )


def month_of(moment: datetime) -> date:
    """The first day of the month that ``moment`` is in, where the bills are written (BILLING_TIME_ZONE)."""
    return moment.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE)).date().replace(day=1)


def month_after(month: date) -> date:
    """The first day of the month after the one that begins with ``month``."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def template_reference(public_id: object, attempt: int) -> str:
    """What the entries of one attempt of a template are for."""
    return f"template:{public_id}:{attempt}"


def clip_reference(object_key: str) -> str:
    """What the entries of one clip's bytes are for."""
    return f"clip:{object_key}"


# --- Templates and seconds -------------------------------------------------------------------------------------------


def hold(account_id: int, reference: str, *, milliseconds: int, by: User | None = None) -> None:
    """Hold one template and its seconds in this month. Raises OverLimitError, and then nothing is held.

    What was held before, or has ended, is not held again.
    """
    if _is_known(reference):
        return
    limits = limits_of(account_id)
    month = month_of(timezone.now())
    try:
        with transaction.atomic():
            usage, _made = UsageMonth.objects.get_or_create(account_id=account_id, month=month)
            if not _take(usage, limits, milliseconds):
                if _is_known(reference):
                    return
                raise _over_limit(usage, limits, milliseconds)
            LedgerEntry.objects.create(
                account_id=account_id,
                kind=Kind.HOLD,
                reference=f"{reference}:hold",
                month=month,
                templates_held=1,
                ms_held=milliseconds,
                by=by,
            )
    except IntegrityError:
        # Held in this moment by another: the counters went back with the savepoint.
        if not _is_known(reference):
            raise


def require_room(account_id: int, *, milliseconds: int) -> None:
    """Whether one more template of that length could be held now; nothing is held. Raises OverLimitError."""
    limits = limits_of(account_id)
    if limits.templates is None and limits.seconds is None:
        return
    month = month_of(timezone.now())
    usage = UsageMonth.objects.filter(account_id=account_id, month=month).first() or UsageMonth()
    templates, seconds = limits.templates, limits.seconds
    if templates is not None and usage.templates_held + usage.templates_used >= templates + usage.templates_granted:
        raise OverLimitError(What.TEMPLATES, templates + usage.templates_granted)
    if seconds is not None and usage.ms_held + usage.ms_used + milliseconds > seconds * 1000 + usage.ms_granted:
        raise OverLimitError(What.SECONDS, seconds + usage.ms_granted // 1000)


def settle(account_id: int, reference: str, *, milliseconds: int) -> None:
    """The template was made and billed: what was held becomes used, at the billed length.

    What is billed is used, also where it is longer than what was held, or where nothing is held any more (a lost task
    that the service knows again): so ``used`` alone may pass a limit, and then nothing more can be held.
    """
    _end(account_id, reference, Kind.SETTLE, milliseconds=milliseconds)


def release(account_id: int, reference: str, *, outcome: str = "") -> None:
    """Nothing was made: what was held is free again. Nothing happens where nothing is held.

    ``outcome`` says why, for the usage page (failed, canceled, lost, given_up).
    """
    _end(account_id, reference, Kind.RELEASE, outcome=outcome)


def is_settled(reference: str) -> bool:
    """Whether what it is for was made and booked."""
    return LedgerEntry.objects.filter(reference=f"{reference}:{Kind.SETTLE}").exists()


def _end(account_id: int, reference: str, kind: LedgerEntry.Kind, *, milliseconds: int = 0, outcome: str = "") -> None:
    with transaction.atomic():
        held = LedgerEntry.objects.filter(reference=f"{reference}:hold").first()
        month = held.month if held is not None and held.month else month_of(timezone.now())
        if held is None and kind == Kind.RELEASE:
            return
        UsageMonth.objects.get_or_create(account_id=account_id, month=month)
        # Locked from here on, so that settling and releasing cannot both take back the same hold.
        usage = UsageMonth.objects.select_for_update().get(account_id=account_id, month=month)
        ended = dict(LedgerEntry.objects.filter(reference__in=_ends(reference)).values_list("kind", "reason"))
        if kind in ended or (ended and kind == Kind.RELEASE):
            return
        still_held = held if not ended else None
        templates_held = -(still_held.templates_held if still_held else 0)
        ms_held = -(still_held.ms_held if still_held else 0)
        used = kind == Kind.SETTLE
        if usage.templates_held + templates_held < 0 or usage.ms_held + ms_held < 0:
            _make_the_sum(usage)
        UsageMonth.objects.filter(pk=usage.pk).update(
            templates_held=F("templates_held") + templates_held,
            ms_held=F("ms_held") + ms_held,
            templates_used=F("templates_used") + int(used),
            ms_used=F("ms_used") + milliseconds,
        )
        LedgerEntry.objects.create(
            account_id=account_id,
            kind=kind,
            reference=f"{reference}:{kind}",
            month=month,
            templates_held=templates_held,
            ms_held=ms_held,
            templates_used=int(used),
            ms_used=milliseconds,
            by_id=held.by_id if held else None,
            # Of a settled one: what had been believed of it before.
            reason=outcome or ended.get(Kind.RELEASE, ""),
        )


def _make_the_sum(usage: UsageMonth) -> None:
    """Counters that somebody has changed by hand become the sum of their entries before they are gone on with.

    Refusing instead would keep a template ID from being stored. The row is locked.
    """
    logger.error("counters were not the sum of their entries", extra={"account": usage.account_id})
    entries = LedgerEntry.objects.filter(account=usage.account_id, month=usage.month)
    sums = entries.aggregate(**{f"sum_{name}": Sum(name, default=0) for name in MONTHLY})
    UsageMonth.objects.filter(pk=usage.pk).update(**{name: sums[f"sum_{name}"] for name in MONTHLY})


def grant(account_id: int, reference: str, *, templates: int, milliseconds: int, by: User | None, reason: str) -> bool:
    """Room beyond the limit for this month; False for the same ``reference`` again, which adds nothing.

    Raises ValueError without a reason or for less than nothing.
    """
    if not reason.strip() or templates < 0 or milliseconds < 0 or not (templates or milliseconds):
        raise ValueError("a grant has a reason, and adds something")
    month = month_of(timezone.now())
    with transaction.atomic():
        UsageMonth.objects.get_or_create(account_id=account_id, month=month)
        # Locked, so that the same grant twice at once is added once.
        usage = UsageMonth.objects.select_for_update().get(account_id=account_id, month=month)
        if LedgerEntry.objects.filter(reference=f"grant:{reference}").exists():
            return False
        LedgerEntry.objects.create(
            account_id=account_id,
            kind=Kind.GRANT,
            reference=f"grant:{reference}",
            month=month,
            templates_granted=templates,
            ms_granted=milliseconds,
            by=by,
            reason=reason.strip()[:300],
        )
        UsageMonth.objects.filter(pk=usage.pk).update(
            templates_granted=F("templates_granted") + templates, ms_granted=F("ms_granted") + milliseconds
        )
    return True


def _take(usage: UsageMonth, limits: Limits, milliseconds: int) -> bool:
    """One conditional update: of any number at once, no more win than there is room for."""
    room = UsageMonth.objects.filter(
        _room("templates", 1, limits.templates), _room("ms", milliseconds, _ms(limits.seconds)), pk=usage.pk
    )
    return bool(room.update(templates_held=F("templates_held") + 1, ms_held=F("ms_held") + milliseconds))


def _room(name: str, wanted: int, limit: int | None) -> Q:
    """Whether ``wanted`` more fit under the limit and the month's grants."""
    if limit is None:
        return Q()
    return Q(**{f"{name}_granted__gte": F(f"{name}_held") + F(f"{name}_used") + wanted - limit})


def _over_limit(usage: UsageMonth, limits: Limits, milliseconds: int) -> OverLimitError:
    usage.refresh_from_db()
    templates = limits.templates
    if templates is not None and usage.templates_held + usage.templates_used + 1 > templates + usage.templates_granted:
        return OverLimitError(What.TEMPLATES, templates + usage.templates_granted)
    if limits.seconds is None:
        # Room came between the two looks.
        return OverLimitError(What.TEMPLATES, (templates or 0) + usage.templates_granted)
    return OverLimitError(What.SECONDS, limits.seconds + usage.ms_granted // 1000)


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


# --- Storage ---------------------------------------------------------------------------------------------------------


def hold_bytes(account_id: int, reference: str, *, size: int, by: User | None = None) -> None:
    """Hold room for an upload of the declared size. Raises OverLimitError."""
    if _is_known(reference):
        return
    limit = limits_of(account_id).storage_bytes
    try:
        with transaction.atomic():
            storage, _made = StorageUse.objects.get_or_create(account_id=account_id)
            room = StorageUse.objects.filter(pk=storage.pk)
            if limit is not None:
                room = room.filter(bytes_held__lte=limit - size - F("bytes_used"))
            if not room.update(bytes_held=F("bytes_held") + size):
                if _is_known(reference):
                    return
                raise OverLimitError(What.STORAGE, limit or 0)
            LedgerEntry.objects.create(
                account_id=account_id, kind=Kind.HOLD, reference=f"{reference}:hold", bytes_held=size, by=by
            )
    except IntegrityError:
        if not _is_known(reference):
            raise


def settle_bytes(account_id: int, reference: str, *, size: int) -> None:
    """The object is stored, with ``size`` bytes as HEAD says."""
    with transaction.atomic():
        _lock_storage(account_id)
        if LedgerEntry.objects.filter(reference__in=_ends(reference)).exists():
            return
        held = LedgerEntry.objects.filter(reference=f"{reference}:hold").first()
        _add_bytes(account_id, Kind.SETTLE, reference, held=-(held.bytes_held if held else 0), used=size)


def release_bytes(account_id: int, reference: str) -> None:
    """The upload was given up, or the object is gone for good. Nothing happens where nothing is held or stored."""
    with transaction.atomic():
        _lock_storage(account_id)
        entries = {entry.kind: entry for entry in LedgerEntry.objects.filter(reference__in=_all(reference))}
        if Kind.RELEASE in entries or not entries:
            return
        held = sum(entry.bytes_held for entry in entries.values())
        used = sum(entry.bytes_used for entry in entries.values())
        _add_bytes(account_id, Kind.RELEASE, reference, held=-held, used=-used)


def _is_known(reference: str) -> bool:
    """Held, or ended."""
    return LedgerEntry.objects.filter(reference__in=_all(reference)).exists()


def _ends(reference: str) -> list[str]:
    return [f"{reference}:{Kind.SETTLE}", f"{reference}:{Kind.RELEASE}"]


def _all(reference: str) -> list[str]:
    return [f"{reference}:{Kind.HOLD}", *_ends(reference)]


def _lock_storage(account_id: int) -> None:
    StorageUse.objects.get_or_create(account_id=account_id)
    StorageUse.objects.select_for_update().get(account_id=account_id)


def _add_bytes(account_id: int, kind: LedgerEntry.Kind, reference: str, *, held: int, used: int) -> None:
    StorageUse.objects.filter(account_id=account_id).update(
        bytes_held=F("bytes_held") + held, bytes_used=F("bytes_used") + used
    )
    LedgerEntry.objects.create(
        account_id=account_id, kind=kind, reference=f"{reference}:{kind}", bytes_held=held, bytes_used=used
    )
