"""The page of one template: its clip, its IDs, what the check found, what happened to it."""

import json
import shlex
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from accounts.models import Account
from accounts.permissions import Permission
from templategen import access
from templategen.finding_texts import describe
from templategen.models import ActionTemplate, FormerTask
from templategen.states import State
from templategen.web.cards import cards_of, findings_of, live_context
from templategen.web.history import history_of
from templategen.web.hold import hold_context, hold_of
from templategen.web.undecided import search_of, undecided_of

# What browsers play; QuickTime with H.264 plays in practice, AVI nowhere, H.265 only where the machine helps.
_PLAYABLE = frozenset({"mp4", "mov"})
PLAYERS = frozenset({"none", "unknown", "plays", "maybe", "not"})
# alibaba.md 2.2: the call that a template ID is made for.
VIDEO_PATH = "/services/aigc/image2video/video-synthesis/"
VIDEO_MODEL = "animate-anyone-gen2"


@dataclass(frozen=True)
class CopyForm:
    """One form in which the ID can be taken along."""

    key: str
    text: str


@require_GET
@cache_control(private=True, no_cache=True)
def detail(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """The page."""
    account = access.account_for(request, slug, Permission.LOOK)
    return render(request, "web/detail.html", _context(account, access.template_of(account, public_id)))


def live_detail(request: HttpRequest, account: Account, template: ActionTemplate, *, player: str) -> str:
    """The page's changing parts, to be put in place out of band; the player only where it now shows otherwise."""
    context = _context(account, template)
    new_player = player != context["player"]
    return render_to_string("web/_detail_parts.html", {**context, "oob": True, "new_player": new_player}, request)


def _context(account: Account, template: ActionTemplate) -> dict[str, Any]:
    hold = None if template.is_settled else hold_of(account)
    card = cards_of(account, [template], hold)[0]
    facts = template.clip.facts
    return {
        "account": account,
        "card": card,
        "template": template,
        "clip": template.clip,
        "facts": facts,
        "findings": [describe(finding) for finding in findings_of(template)],
        "history": history_of(template),
        "copies": _copies(template),
        "former": former_of(template),
        "player": player_of(template),
        "ratio": f"{facts['width']} / {facts['height']}" if facts.get("width") and facts.get("height") else "",
        "is_uploading": template.state == State.UPLOADING,
        "media_seconds": settings.MEDIA_URL_SECONDS,
        "trash_days": settings.TRASH_DAYS,
        "undecided": undecided_of(template),
        "search": search_of(template),
        "on": "detail",
        **hold_context(hold),
        **live_context(unsettled=int(bool(card.live))),
    }


def player_of(template: ActionTemplate) -> str:
    """``none`` before the clip is stored; else whether a browser plays it: ``unknown`` (not checked), ``plays``,
    ``maybe`` (H.265 and rarer), ``not`` (AVI)."""
    if template.clip.stored_at is None:
        return "none"
    facts = template.clip.facts
    if not facts:
        return "unknown"
    if facts.get("container") not in _PLAYABLE:
        return "not"
    return "plays" if facts.get("codec") == "h264" else "maybe"


def former_of(template: ActionTemplate) -> list[FormerTask]:
    """Tasks of earlier attempts that made an ID after all, unless the template has that very one."""
    made = template.former_tasks.exclude(template_id="")
    return list(made.exclude(template_id=template.template_id) if template.template_id else made)


def _copies(template: ActionTemplate) -> list[CopyForm]:
    if not template.template_id:
        return []
    return [CopyForm("json", as_json(template)), CopyForm("curl", as_curl(template))]


def as_json(template: ActionTemplate) -> str:
    """The ID with what belongs to it."""
    told = {
        "template_id": template.template_id,
        "name": template.name,
        "video_duration": template.video_duration,
        "video_ratio": template.video_ratio,
        "task_id": template.task_id,
        "request_id": template.request_id,
        "ready_at": template.ready_at.isoformat() if template.ready_at else None,
    }
    return json.dumps(told, ensure_ascii=False, indent=2)


def as_curl(template: ActionTemplate) -> str:
    """The AnimateAnyone video call with this template, for a shell; the key comes from the environment there."""
    body = {
        "model": VIDEO_MODEL,
        "input": {"image_url": "https://example.com/person.jpg", "template_id": template.template_id},
        "parameters": {"use_ref_img_bg": False},
    }
    lines = [
        f"curl -X POST {shlex.quote(settings.DASHSCOPE_BASE_URL + VIDEO_PATH)}",
        '-H "Authorization: Bearer $DASHSCOPE_API_KEY"',
        "-H 'Content-Type: application/json'",
        "-H 'X-DashScope-Async: enable'",
        f"-d {shlex.quote(json.dumps(body))}",
    ]
    return " \\\n  ".join(lines)
