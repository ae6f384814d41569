"""``/api/v1/templates/``: an account's templates, the newest first, a page at a time; and one of them."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.permissions import Permission
from templategen import access
from templategen.api.doors import BadRequestError, by_token
from templategen.credentials import Mark, marks_of
from templategen.error_texts import explain
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.states import State

# True, false, or null: not known.
_USABLE: dict[Mark | None, bool | None] = {None: True, Mark.OTHER_ACCOUNT: False, Mark.OTHER_KEY: None}
DEFAULT_LIMIT = 50
MOST = 100


@by_token(Permission.LOOK)
def templates(request: HttpRequest, account: Account) -> JsonResponse:
    """``?state=ready&limit=50&cursor=…`` → ``{"templates": […], "next": address or null}``.

    The cursor is the public ID of the last template seen: pages stay whole while new ones are made.
    """
    rows = ActionTemplate.objects.of(account).kept().exclude(state=State.UPLOADING).select_related("clip")
    state = request.GET.get("state", "")
    if state:
        rows = rows.filter(state=_state(state))
    limit = _limit(request.GET.get("limit", ""))
    cursor = request.GET.get("cursor", "")
    if cursor:
        rows = _after(rows, account, cursor)
    page = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    more = len(page) > limit
    page = page[:limit]
    here = {"state": state, "limit": str(limit), "cursor": str(page[-1].public_id)} if more else {}
    marks = marks_of(account.pk, page)
    told = [described(account, row, marks.get(row.pk)) for row in page]
    return JsonResponse({"templates": told, "next": _address(here)})


@by_token(Permission.LOOK)
def template(_request: HttpRequest, account: Account, public_id: UUID) -> JsonResponse:
    """``{"template": {…}}``."""
    row = access.template_of(account, public_id)
    return JsonResponse({"template": described(account, row, marks_of(account.pk, [row]).get(row.pk))})


def described(account: Account, row: ActionTemplate, mark: Mark | None) -> dict[str, Any]:
    """What the API says of a template. IDs that are not there yet are null; times are ISO 8601 in UTC."""
    trouble = explain(row)
    told = None
    if trouble is not None:
        told = {"code": row.error_code, "what": trouble.what, "why": trouble.why, "fix": trouble.fix}
    return {
        "id": str(row.public_id),
        "name": row.name,
        "state": row.state,
        "template_id": row.template_id or None,
        # Whether the ID works with the key that the account has now; why it does not, or may not.
        "usable": _USABLE[mark] if row.template_id else None,
        "not_usable_because": mark.value if mark else None,
        "video_duration": row.video_duration,
        "video_ratio": row.video_ratio or None,
        "task_id": row.task_id or None,
        "request_id": row.request_id or None,
        "file_name": row.clip.file_name,
        "error": told,
        "created_at": row.created_at.isoformat(),
        "ready_at": row.ready_at.isoformat() if row.ready_at else None,
        "page": settings.SITE_URL + reverse("web:detail", args=[account.slug, row.public_id]),
    }


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        known = ", ".join(sorted(state.value for state in State))
        raise BadRequestError(_("There is no such state. There are: %(states)s.") % {"states": known}) from None


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST):
        raise BadRequestError(_("The limit is a whole number from 1 to %(most)d.") % {"most": MOST})
    return int(text)


def _after(rows: TemplateQuerySet, account: Account, cursor: str) -> TemplateQuerySet:
    # Deleted meanwhile, it still tells where the page ended.
    try:
        last = ActionTemplate.objects.of(account).filter(public_id=UUID(cursor)).first()
    except ValueError:
        last = None
    if last is None:
        raise BadRequestError(_("The cursor is none of this account's. Begin again without one."))
    same_moment = Q(created_at=last.created_at, pk__lt=last.pk)
    return rows.filter(Q(created_at__lt=last.created_at) | same_moment)


def _address(wish: dict[str, str]) -> str | None:
    if not wish:
        return None
    query = urlencode({name: value for name, value in wish.items() if value})
    return f"{settings.SITE_URL}{reverse('api:templates')}?{query}"
