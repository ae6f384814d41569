"""The plain form, for browsers without JavaScript: files come here, are checked on disk, and go on to OSS."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, cast

from django.contrib import messages
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Account
from accounts.sizes import size_in_words
from templategen import actions
from templategen.access import Permission, account_for
from templategen.finding_texts import FindingText, describe
from templategen.video.facts import Finding
from templategen.video.limits import judge_size
from templategen.video.probe import Probe, probe
from templategen.video.source import FileSource, SparseSource
from templategen.web import spool
from templategen.web.errors import status_of
from templategen.web.hold import hold_context, hold_of
from templategen.web.probing import BusyError, in_turn
from templategen.web.quota import quota_context
from templategen.web.uploads import person

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of one file of the form."""

    file_name: str
    status: HTTPStatus
    text: str = ""
    findings: tuple[FindingText, ...] = ()

    @property
    def is_taken(self) -> bool:
        """It is in OSS and on its way."""
        return self.status == HTTPStatus.OK


@require_POST
def upload_form(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the files in; where all are good back to the gallery, else a page that says what became of each."""
    account = account_for(request, slug, Permission.MAKE)
    outcomes = [_refused(name, (judge_size(spool.CLIP_BYTES),)) for name in spool.files_too_large(request)]
    outcomes += [_take(request, account, file) for file in request.FILES.getlist("clip")]
    taken = [outcome for outcome in outcomes if outcome.is_taken]
    if taken and len(taken) == len(outcomes):
        text = ngettext(
            "%(count)d video is uploaded and being checked.",
            "%(count)d videos are uploaded and being checked.",
            len(taken),
        )
        messages.success(request, text % {"count": len(taken)})
        return redirect("web:gallery", slug=account.slug)
    context = {
        "account": account,
        "outcomes": outcomes,
        "text": _text(request, outcomes),
        **hold_context(hold_of(account)),
        **quota_context(request, account),
    }
    return render(request, "uploads/form_result.html", context, status=_status(request, outcomes))


def _text(request: HttpRequest, outcomes: list[Outcome]) -> str:
    """What is to be said of the request as a whole."""
    if spool.request_too_large(request):
        return _("All files of one form together may have up to %(limit)s. Send fewer at once.") % {
            "limit": size_in_words(spool.FORM_BYTES)
        }
    if not outcomes:
        return _("No file came with the form. Choose a video first.")
    return ""


def _status(request: HttpRequest, outcomes: list[Outcome]) -> HTTPStatus:
    if spool.request_too_large(request):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return next((outcome.status for outcome in outcomes if not outcome.is_taken), HTTPStatus.UNPROCESSABLE_ENTITY)


def _take(request: HttpRequest, account: Account, file: UploadedFile[bytes]) -> Outcome:
    name = file.name or ""
    size = file.size or 0
    try:
        found = in_turn(lambda: _look(file, size), wait_seconds=WAIT_SECONDS)
    except BusyError:
        return Outcome(name, HTTPStatus.SERVICE_UNAVAILABLE, _("Many clips are being checked. Try again in a minute."))
    if not found.ok:
        return _refused(name, found.findings)
    file.seek(0)
    try:
        actions.upload_file(
            account,
            by=person(request),
            file=cast("BinaryIO", file),
            size_bytes=size,
            file_name=name,
            milliseconds=round((found.facts.duration_s or 0) * 1000) if found.facts else 0,
        )
    except actions.ActionError as problem:
        findings = tuple(describe(finding) for finding in getattr(problem, "findings", ()))
        return Outcome(name, status_of(problem), problem.text, findings)
    return Outcome(name, HTTPStatus.OK)


def _look(file: UploadedFile[bytes], size: int) -> Probe:
    """Small files are held in memory by Django, all others lie on disk."""
    if isinstance(file, TemporaryUploadedFile):
        with FileSource(file.temporary_file_path()) as source:
            return probe(source)
    file.seek(0)
    return probe(SparseSource(size, [(0, file.read())]))


def _refused(name: str, findings: tuple[Finding, ...]) -> Outcome:
    failed = tuple(describe(finding) for finding in findings if finding.verdict == "fail")
    return Outcome(name, HTTPStatus.UNPROCESSABLE_ENTITY, findings=failed)
