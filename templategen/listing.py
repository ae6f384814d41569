"""What the gallery shows: groups of states with their counts, one page of templates, search.

Every query here reads one index and no row until the ids of the page are known, so that a page costs the same with a
hundred templates and with a hundred thousand (tests/benchmark/gallery.py measures it).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.states import State

PAGE_SIZE = 24
# Hits are counted and paged up to here; who has more narrows the search.
MOST_HITS = 1000
LONGEST_QUERY = 200
# Shorter texts are nobody's ID: not worth a look.
SHORTEST_ID = 12


@dataclass(frozen=True)
class Group:
    """One chip of the filter: states that mean the same to whoever waits."""

    key: str
    label: str | Promise
    states: frozenset[State]


GROUPS: tuple[Group, ...] = (
    Group("waiting", _("Waiting"), frozenset({State.CHECKING, State.QUEUED})),
    Group("making", _("Making"), frozenset({State.SUBMITTING, State.PENDING, State.RUNNING})),
    Group("ready", _("Ready"), frozenset({State.READY})),
    Group(
        "attention",
        _("Needs attention"),
        frozenset({State.BLOCKED, State.UNCONFIRMED, State.FAILED, State.LOST}),
    ),
    Group("canceled", _("Canceled"), frozenset({State.CANCELED})),
)
_BY_KEY = {group.key: group for group in GROUPS}
TRASH = "deleted"


@dataclass(frozen=True)
class Wish:
    """What somebody wants to see: a group's key, ``deleted``, or "" for all; words; a page number from 1."""

    group: str = ""
    words: str = ""
    page: int = 1

    @classmethod
    def of(cls, group: str, words: str, page: str) -> "Wish":
        """From what stands in the address; what makes no sense there counts as not given."""
        printable = "".join(character for character in words if character.isprintable())
        known = group if group in _BY_KEY or group == TRASH else ""
        return cls(known, printable.strip()[:LONGEST_QUERY], _number(page))

    @property
    def is_narrow(self) -> bool:
        """Something is filtered out."""
        return bool(self.group or self.words)


def label_of(key: str) -> str | Promise:
    """The word for a filter."""
    return _BY_KEY[key].label if key in _BY_KEY else _("Deleted") if key == TRASH else _("All")


def _number(text: str) -> int:
    try:
        return max(1, int(text[:12]))
    except ValueError:
        return 1


@dataclass(frozen=True)
class Page:
    """One page of templates, newest first, with clips. ``total`` is a floor when ``capped``."""

    templates: Sequence[ActionTemplate]
    number: int
    pages: int
    total: int
    capped: bool = False

    @property
    def first(self) -> int:
        """The place of the page's first template, from 1."""
        return (self.number - 1) * PAGE_SIZE + 1

    @property
    def last(self) -> int:
        """The place of its last."""
        return self.first + len(self.templates) - 1


def counts_of(account: Account) -> dict[str, int]:
    """How many templates each group has, by key; "" for all."""
    rows = _kept(account).values_list("state").annotate(count=Count("*")).order_by("state")
    by_state: dict[str, int] = dict(rows)
    counts = {group.key: sum(by_state.get(state, 0) for state in group.states) for group in GROUPS}
    return counts | {"": sum(counts.values())}


def page_of(account: Account, wish: Wish, counts: dict[str, int]) -> Page:
    """The page that was wished for; the last one where there are not so many."""
    if wish.group == TRASH:
        return _trash_page(account, wish)
    rows = _kept(account)
    group = _BY_KEY.get(wish.group)
    # One state can be read off its own index; several, and all, off the index that has the state in it.
    if group is None:
        rows = rows.exclude(state=State.UPLOADING)
    elif len(group.states) == 1:
        rows = rows.filter(state=next(iter(group.states)))
    else:
        rows = rows.filter(state__in=sorted(group.states))
    if wish.words:
        return _hits(rows, wish)
    return _paged(rows, wish.page, counts[wish.group])


def _kept(account: Account) -> TemplateQuerySet:
    return ActionTemplate.objects.of(account).kept()


def _paged(rows: TemplateQuerySet, number: int, total: int) -> Page:
    number, pages = _clamp(number, total)
    start = (number - 1) * PAGE_SIZE
    stop = min(start + PAGE_SIZE, total)
    if start <= total - stop:
        ids = list(rows.order_by("-created_at", "-pk").values_list("pk", flat=True)[start:stop])
    else:
        # Far down is near to the other end.
        ids = list(rows.order_by("created_at", "pk").values_list("pk", flat=True)[total - stop : total - start])
        ids.reverse()
    return Page(_with_clips(ids), number, pages, total)


def _hits(rows: TemplateQuerySet, wish: Wish) -> Page:
    """Up to MOST_HITS ids from one pass over the index; their number and the page come from that list."""
    found = _with_words(rows, wish.words).order_by("-created_at", "-pk")
    ids = list(found.values_list("pk", flat=True)[: MOST_HITS + 1])
    capped = len(ids) > MOST_HITS
    ids = ids[:MOST_HITS]
    number, pages = _clamp(wish.page, len(ids))
    start = (number - 1) * PAGE_SIZE
    return Page(_with_clips(ids[start : start + PAGE_SIZE]), number, pages, len(ids), capped)


def _with_words(rows: TemplateQuerySet, words: str) -> TemplateQuerySet:
    # Both sides are in lower case. LIKE was measured quicker than INSTR in SQLite: 18 ms against 25 for 100,000 rows.
    return rows.filter(search_text__contains=words.lower())


def _trash_page(account: Account, wish: Wish) -> Page:
    # An upload that was given up stored nothing: there is nothing to restore.
    rows = ActionTemplate.objects.of(account).filter(deleted_at__isnull=False, clip__stored_at__isnull=False)
    if wish.words:
        rows = _with_words(rows, wish.words)
    total = rows.count()
    number, pages = _clamp(wish.page, total)
    start = (number - 1) * PAGE_SIZE
    newest = rows.select_related("clip").order_by("-deleted_at", "-pk")
    return Page(list(newest[start : start + PAGE_SIZE]), number, pages, total)


def _clamp(number: int, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // PAGE_SIZE))
    return min(number, pages), pages


def _with_clips(ids: list[int]) -> list[ActionTemplate]:
    rows = ActionTemplate.objects.select_related("clip").in_bulk(ids)
    return [rows[pk] for pk in ids if pk in rows]


def exactly(account: Account, words: str) -> ActionTemplate | None:
    """The template whose template ID, task ID or own ID was given whole; None when it is none of these."""
    if len(words) < SHORTEST_ID or " " in words:
        return None
    rows = _kept(account).exclude(state=State.UPLOADING)
    public_id = _uuid(words)
    # Unordered on purpose: asked for an order, SQLite would walk the account's rows in that order.
    found = list(rows.exclude(template_id="").filter(template_id=words)[:1])
    found = found or list(rows.exclude(task_id="").filter(task_id=words)[:1])
    found = found or (list(rows.filter(public_id=public_id)[:1]) if public_id else [])
    return found[0] if found else None


def _uuid(words: str) -> UUID | None:
    try:
        return UUID(words)
    except ValueError:
        return None


@dataclass(frozen=True)
class Since:
    """What became of the cards on a page: those that look otherwise now, those that do not, the IDs of those gone."""

    changed: list[ActionTemplate]
    same: list[ActionTemplate]
    gone: set[UUID]

    @property
    def unsettled(self) -> int:
        """To how many something happens still."""
        return sum(not row.is_settled for row in (*self.changed, *self.same))


def changed_since(account: Account, seen: dict[UUID, int]) -> Since:
    """Of the cards on a page (public ID → version)."""
    rows = list(_kept(account).filter(public_id__in=list(seen)).select_related("clip"))
    changed = [row for row in rows if row.version != seen[row.public_id]]
    same = [row for row in rows if row.version == seen[row.public_id]]
    return Since(changed, same, set(seen) - {row.public_id for row in rows})


def page_numbers(number: int, pages: int) -> list[int]:
    """The numbers to show: the first, the last, those around ``number``; 0 stands for a gap."""
    near = {1, pages, *range(max(1, number - 2), min(pages, number + 2) + 1)}
    shown: list[int] = []
    for each in sorted(near):
        if shown and each - shown[-1] > 1:
            shown.append(each - 1 if each - shown[-1] == 2 else 0)
        shown.append(each)
    return shown
