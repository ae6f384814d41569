"""The check before an upload: slices of a file in, a verdict or a wish for more bytes out. Nothing is kept."""

import base64
from dataclasses import asdict
from http import HTTPStatus

from django import forms
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from templategen.access import Permission, account_for
from templategen.finding_texts import describe
from templategen.video.precheck import Need
from templategen.video.precheck import precheck as look
from templategen.video.probe import Probe
from templategen.web.errors import json_error
from templategen.web.probing import BusyError, in_turn
from templategen.web.spool import request_too_large

MOST_BYTES = 12 * 1024 * 1024
MOST_SLICES = 64
LARGEST_FILE = 2**53 - 1  # the largest whole number that a browser knows exactly
WAIT_SECONDS = 1.0
RETRY_AFTER_SECONDS = 1

Slices = list[tuple[int, bytes]]


class WholeNumber(forms.Form):
    """A number of bytes."""

    value = forms.IntegerField(min_value=0, max_value=LARGEST_FILE)


class _RefusedError(Exception):
    """The request cannot be served as it is; carries the answer."""

    def __init__(self, answer: JsonResponse) -> None:
        super().__init__()
        self.answer = answer


@require_POST
def precheck(request: HttpRequest, slug: str) -> JsonResponse:
    """``{"need": [start, end]}``, or ``{"ok", "facts", "findings", "poster"}`` with the findings as texts."""
    account_for(request, slug, Permission.MAKE)
    try:
        size, slices = _read(request)
        result = in_turn(lambda: look(size, slices), wait_seconds=WAIT_SECONDS)
    except _RefusedError as refused:
        return refused.answer
    except ValueError:
        return _bad(_("The slices do not fit the file. Choose the file again."))
    except BusyError:
        answer = json_error("busy", _("Other clips are being checked."), status=HTTPStatus.SERVICE_UNAVAILABLE)
        answer["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return answer
    if isinstance(result, Need):
        return _ask(result, held=sum(len(data) for _offset, data in slices), count=len(slices))
    return JsonResponse(_verdict(result))


def _read(request: HttpRequest) -> tuple[int, Slices]:
    """The file's size and its slices. Raises _RefusedError, and ValueError for numbers that are none."""
    if request_too_large(request):
        raise _RefusedError(_too_much())
    uploads = request.FILES.getlist("slice")
    offsets = request.POST.getlist("offset")
    if len(uploads) != len(offsets) or not uploads:
        raise _RefusedError(_bad(_("Each slice needs its offset. Reload the page and choose the file again.")))
    if len(uploads) > MOST_SLICES or sum(upload.size or 0 for upload in uploads) > MOST_BYTES:
        raise _RefusedError(_too_much())
    slices = [(_number(offset), upload.read()) for offset, upload in zip(offsets, uploads, strict=True)]
    return _number(request.POST.get("size", "")), slices


def _number(text: str) -> int:
    form = WholeNumber({"value": text})
    if not form.is_valid():
        raise ValueError("not a number of bytes")
    value: int = form.cleaned_data["value"]
    return value


def _bad(text: str) -> JsonResponse:
    return json_error("precheck.bad", text, status=HTTPStatus.BAD_REQUEST)


def _too_much() -> JsonResponse:
    return json_error("precheck.too_much", _unusual_text(), status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _unusual_text() -> str:
    return _(
        "The file is built so that it cannot be checked by a few pieces of it: its index is scattered or very large. "
        "Save it again, for example with: ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4"
    )


def _ask(need: Need, *, held: int, count: int) -> JsonResponse:
    """Ask only for what a further request may carry."""
    if held + need.end - need.start > MOST_BYTES or count >= MOST_SLICES:
        return json_error("precheck.unusual", _unusual_text(), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return JsonResponse({"need": [need.start, need.end]})


def _verdict(probe: Probe) -> dict[str, object]:
    picture = base64.b64encode(probe.first_frame).decode() if probe.first_frame else ""
    return {
        "ok": probe.ok,
        "facts": probe.facts.to_dict() if probe.facts else None,
        "findings": [asdict(describe(finding)) for finding in probe.findings],
        "poster": f"data:image/webp;base64,{picture}" if picture else "",
    }
