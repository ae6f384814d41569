"""Uploads by the browser: begin, sign parts, finish, cancel, and the list of those left unfinished. JSON both ways.

No byte of a clip passes here: the browser sends them to OSS by the URLs that are signed here.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.middleware import wants_json
from accounts.models import Account, User
from templategen import actions
from templategen.access import Permission, account_for, template_of
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.web.errors import json_error

LISTED = 50
SIGNED_AT_ONCE = 32
LARGEST_FILE = 2**53 - 1  # the largest whole number that a browser knows exactly
LONGEST_MS = 24 * 3_600_000


class StrictInteger(forms.IntegerField):
    """A JSON number without a fraction: neither a text nor true or false."""

    def to_python(self, value: Any) -> int | None:
        """The number itself."""
        if value is not None and type(value) is not int:
            raise forms.ValidationError(_("A whole number is needed."))
        return super().to_python(value)


class StrictText(forms.CharField):
    """A JSON text."""

    def to_python(self, value: Any) -> str:
        """The text itself, stripped."""
        if value is not None and not isinstance(value, str):
            raise forms.ValidationError(_("A text is needed."))
        if value is not None and any("\ud800" <= character <= "\udfff" for character in value):
            # Half a character: JSON can write it, no database can keep it.
            raise forms.ValidationError(_("The text has characters that do not exist."))
        return str(super().to_python(value))


class PartNumbers(forms.Field):
    """A JSON list of part numbers."""

    def clean(self, value: Any) -> list[int]:
        """The list itself; which numbers the upload has is for the action to say."""
        if not isinstance(value, list) or not 1 <= len(value) <= SIGNED_AT_ONCE:
            raise forms.ValidationError(_("A list of 1 to %(most)d part numbers is needed.") % {"most": SIGNED_AT_ONCE})
        if any(type(number) is not int for number in value):
            raise forms.ValidationError(_("Part numbers are whole numbers."))
        return value


class BeginForm(forms.Form):
    """What the browser says of a file before it sends it. Believed only when it is there."""

    file_name = StrictText(max_length=1024)
    size = StrictInteger(min_value=0, max_value=LARGEST_FILE)
    fingerprint = StrictText(max_length=100, required=False)
    name = StrictText(max_length=200, required=False)
    # As the check before the upload found it.
    milliseconds = StrictInteger(min_value=0, max_value=LONGEST_MS, required=False)


class PartsForm(forms.Form):
    """Which parts are to be sent next."""

    numbers = PartNumbers()


def person(request: HttpRequest) -> User | None:
    """Who did it, for the history."""
    return request.user if request.user.is_authenticated else None


@require_http_methods(["GET", "POST"])
def uploads(request: HttpRequest, slug: str) -> JsonResponse:
    """GET: the user's own unfinished uploads. POST: begin one."""
    permission = Permission.MAKE if request.method == "POST" else Permission.LOOK
    account = account_for(request, slug, permission)
    return _begin(request, account) if request.method == "POST" else _list(request, account)


def _list(request: HttpRequest, account: Account) -> JsonResponse:
    """The newest first. One without a fingerprint is being sent by the server itself: no browser can go on with it."""
    unfinished = ActionTemplate.objects.of(account).kept().filter(state=State.UPLOADING).select_related("clip")
    mine = unfinished.filter(clip__uploaded_by=request.user.pk).exclude(clip__fingerprint="")
    return JsonResponse({"uploads": [_described(account, template) for template in mine.order_by("-pk")[:LISTED]]})


def _begin(request: HttpRequest, account: Account) -> JsonResponse:
    form = BeginForm(_json(request))
    if not form.is_valid():
        return _invalid(form)
    template = actions.begin_upload(
        account,
        by=person(request),
        file_name=form.cleaned_data["file_name"],
        size_bytes=form.cleaned_data["size"],
        fingerprint=form.cleaned_data["fingerprint"],
        name=form.cleaned_data["name"],
        milliseconds=form.cleaned_data["milliseconds"] or 0,
    )
    missing = range(1, template.clip.part_count + 1)
    described = _described(account, template, missing=missing)
    described["urls"] = _signed(template, missing[:SIGNED_AT_ONCE])
    return JsonResponse({"upload": described}, status=HTTPStatus.CREATED)


@require_GET
def upload(request: HttpRequest, slug: str, public_id: UUID) -> JsonResponse:
    """One upload: while it is unfinished with the numbers of the parts that OSS does not have, later its state only."""
    account = account_for(request, slug, Permission.LOOK)
    template = template_of(account, public_id)
    if template.state != State.UPLOADING:
        return JsonResponse({"upload": _described(account, template)})
    progress = actions.upload_progress(template)
    return JsonResponse({"upload": _described(account, template, missing=progress.missing)})


@require_POST
def upload_parts(request: HttpRequest, slug: str, public_id: UUID) -> JsonResponse:
    """Fresh signed URLs: ``{"urls": {"1": "https://…"}}``."""
    template = template_of(account_for(request, slug, Permission.MAKE), public_id)
    form = PartsForm(_json(request))
    if not form.is_valid():
        return _invalid(form)
    return JsonResponse({"urls": _signed(template, form.cleaned_data["numbers"])})


@require_POST
def upload_finish(request: HttpRequest, slug: str, public_id: UUID) -> JsonResponse:
    """Make the object of its parts and hand it to the check. 409 with ``missing`` when parts are not there."""
    account = account_for(request, slug, Permission.MAKE)
    template = template_of(account, public_id)
    actions.finish_upload(template, by=person(request))
    return JsonResponse({"upload": _described(account, template)})


@require_POST
def upload_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponseBase:
    """Stop an upload and throw its parts away."""
    account = account_for(request, slug, Permission.CHANGE)
    template = template_of(account, public_id)
    if template.state != State.UPLOADING:
        raise actions.NotPossibleError(
            "upload.over", _("This upload is over. Reload the page to see what became of it.")
        )
    actions.cancel(template, by=person(request))
    if wants_json(request):
        return JsonResponse({"upload": {"id": str(template.public_id), "state": template.state}})
    messages.success(request, _("%(name)s: the upload is canceled.") % {"name": template.name})
    return redirect("web:gallery", slug=account.slug)


def _signed(template: ActionTemplate, numbers: Iterable[int]) -> dict[str, str]:
    return {str(number): url for number, url in actions.sign_parts(template, numbers).items()}


def _described(account: Account, template: ActionTemplate, *, missing: Iterable[int] | None = None) -> dict[str, Any]:
    clip = template.clip
    where = {"slug": account.slug, "public_id": template.public_id}
    described: dict[str, Any] = {
        "id": str(template.public_id),
        "name": template.name,
        "file_name": clip.file_name,
        "size": clip.size_bytes,
        "fingerprint": clip.fingerprint,
        "state": template.state,
        "part_size": clip.part_size,
        "part_count": clip.part_count,
        "url": reverse("web:upload", kwargs=where),
        "parts_url": reverse("web:upload_parts", kwargs=where),
        "finish_url": reverse("web:upload_finish", kwargs=where),
        "cancel_url": reverse("web:upload_cancel", kwargs=where),
    }
    if missing is not None:
        described["missing"] = list(missing)
    return described


def _json(request: HttpRequest) -> dict[str, Any]:
    """The body's object; an empty one, which no form takes, for anything else."""
    if request.content_type != "application/json":
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError, RequestDataTooBig):
        return {}
    return body if isinstance(body, dict) else {}


def _invalid(form: forms.Form) -> JsonResponse:
    errors = [f"{field}: {error}" for field, found in form.errors.items() for error in found]
    text = _("The request cannot be read (%(errors)s). Reload the page and try again.") % {"errors": " ".join(errors)}
    return json_error("bad_request", text, status=HTTPStatus.BAD_REQUEST)
