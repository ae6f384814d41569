"""``manage.py make_template``: the main job from a shell, by the very code that the page uses."""

import sys
import time
from argparse import ArgumentParser, BooleanOptionalAction
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.sizes import size_in_words
from templategen import actions
from templategen.error_texts import explain
from templategen.finding_texts import describe
from templategen.models import ActionTemplate
from templategen.pipeline_models import Heartbeat
from templategen.states import FOR_A_PERSON, State
from templategen.video.facts import Finding
from templategen.video.probe import probe
from templategen.video.source import FileSource, SourceError

USAGE, REFUSED, FAILED, STORAGE, QUOTA, INTERRUPTED = 2, 3, 4, 5, 6, 130
LOOK_EVERY_S = 0.5
NO_WORKER_AFTER = timedelta(seconds=60)


class Command(BaseCommand):
    """Standard output carries the template ID and nothing else; all the rest goes to standard error."""

    help = _(
        "Makes an action template of a video file. Prints the template ID alone on standard output once it is made "
        "(--wait); without --wait it ends after the upload and says where to look. Exit status: 0 done; 2 wrong "
        "arguments; 3 the video breaks a limit; 4 Alibaba could not make it; 5 storage trouble; "
        "6 the account's quota does not allow it; 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and whose it shall be."""
        parser.add_argument("file", metavar="FILE", type=Path, help=_("The video: MP4, MOV or AVI."))
        parser.add_argument("--account", metavar="SLUG", help=_("The account's short name; needed if there are more."))
        parser.add_argument("--name", default="", help=_("The template's name (the file's)."))
        parser.add_argument(
            "--wait", action=BooleanOptionalAction, default=False, help=_("Stay until the template ID is there.")
        )

    def handle(self, *, file: Path, account: str | None, name: str, wait: bool, **_options: Any) -> None:
        """Check, upload, and wait if asked to."""
        line = _ProgressLine(sys.stderr)
        owner = _account(account)
        _require_within_limits(file, line)
        try:
            template = _upload(owner, file, name, line)
        except KeyboardInterrupt:
            line.end()
            self._stop(_("Interrupted: the upload was given up, nothing is made."), INTERRUPTED)
        address = settings.SITE_URL + reverse("web:detail", args=[owner.slug, template.public_id])
        line.show(_("Uploaded: %(address)s") % {"address": address})
        line.end()
        if not wait:
            return
        try:
            _wait(template, line)
        except KeyboardInterrupt:
            line.end()
            self._stop(_("Interrupted: the job goes on. Look at %(address)s") % {"address": address}, INTERRUPTED)
        self._finish(template)

    def _finish(self, template: ActionTemplate) -> None:
        if template.state == State.READY:
            self.stdout.write(template.template_id)
            return
        findings = [Finding.from_dict(finding) for finding in template.clip.findings]
        broken = _broken(findings) if template.state == State.BLOCKED else []
        text = explain(template)
        words = broken or (
            [str(text.what), str(text.why), str(text.fix)] if text else [str(State(template.state).label)]
        )
        raw = " ".join(filter(None, [template.error_code, template.error_message, template.request_id]))
        self._stop("\n".join(filter(None, [*map(str, words), raw])), REFUSED if broken else FAILED)

    def _stop(self, text: str, code: int) -> None:
        self.stderr.write(text)
        sys.exit(code)


def _account(slug: str | None) -> Account:
    """The named account, or the only one."""
    found = Account.objects.filter(slug=slug) if slug else Account.objects.all()
    if len(found) == 1:
        return found[0]
    slugs = ", ".join(Account.objects.order_by("slug").values_list("slug", flat=True)[:50])
    if not slugs:
        raise CommandError(_('There is no account yet: run "manage.py up" once.'), returncode=USAGE)
    text = _('There is no account "%(slug)s".') % {"slug": slug} if slug else _("There are several accounts.")
    raise CommandError(text + " " + _("Choose with --account: %(slugs)s") % {"slugs": slugs}, returncode=USAGE)


def _require_within_limits(file: Path, line: "_ProgressLine") -> None:
    """Refuse before a byte is sent, naming each rule and the value measured."""
    line.show(_("Checking %(name)s") % {"name": file.name})
    if not file.is_file():
        line.end()
        raise CommandError(_("%(name)s is no file.") % {"name": file}, returncode=USAGE)
    try:
        with FileSource(file) as source:
            found = probe(source)
    except SourceError as problem:
        line.end()
        raise CommandError(f"{file}: {problem}", returncode=USAGE) from None
    if not found.ok:
        line.end()
        raise CommandError("\n".join([_("The video breaks a limit."), *_broken(found.findings)]), returncode=REFUSED)


def _broken(findings: "list[Finding] | tuple[Finding, ...]") -> list[str]:
    """One line for each rule that is broken: rule, value, limit, what to do."""
    lines = []
    for finding in findings:
        if finding.verdict == "fail":
            text = describe(finding)
            measured = _("%(measured)s (limit: %(limit)s)") % {"measured": text.measured, "limit": text.limit}
            lines.append(f"{text.label}: {measured if text.limit else text.measured} – {text.what} {text.fix}")
    return lines


def _upload(account: Account, path: Path, name: str, line: "_ProgressLine") -> ActionTemplate:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size

            def progress(sent: int) -> None:
                line.show(
                    _("Uploading %(sent)s of %(size)s (%(percent)d %%)")
                    % {"sent": size_in_words(sent), "size": size_in_words(size), "percent": sent * 100 // size}
                )

            return actions.upload_file(
                account, by=None, file=file, size_bytes=size, file_name=path.name, name=name, progress=progress
            )
    except actions.RefusedError as problem:
        text, code = problem.text, REFUSED
    except actions.QuotaError as problem:
        text, code = problem.text, QUOTA
    except actions.ActionError as problem:
        text, code = problem.text, STORAGE
    except OSError as problem:
        text, code = f"{path}: {problem.strerror}", USAGE
    line.end()
    raise CommandError(text, returncode=code)


def _wait(template: ActionTemplate, line: "_ProgressLine") -> None:
    """Until nothing happens to it by itself any more, or only a person can go on."""
    began = timezone.now()
    while not template.is_settled and template.error_code != FOR_A_PERSON and template.deleted_at is None:
        seconds = int((timezone.now() - began).total_seconds())
        words = str(State(template.state).label)
        if seconds > NO_WORKER_AFTER.total_seconds() and not _queue_beats():
            words += " – " + _('no worker seems to run: start "manage.py up" or "manage.py worker"')
        line.show(words, seconds=seconds)
        time.sleep(LOOK_EVERY_S)
        template.refresh_from_db()
    line.end()


def _queue_beats() -> bool:
    return Heartbeat.objects.filter(name="queue", at__gte=timezone.now() - NO_WORKER_AFTER).exists()


class _ProgressLine:
    """One line that changes in place on a terminal; elsewhere a line for each new text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._shown = ""

    def show(self, text: str, *, seconds: int | None = None) -> None:
        """Show the text; seconds gone by only where they can change in place."""
        if not self._in_place:
            if text != self._shown:
                self._stream.write(text + "\n")
        else:
            after = "" if seconds is None else f" {seconds} s"
            self._stream.write(f"\r\x1b[K{text}{after}")
        self._stream.flush()
        self._shown = text

    def end(self) -> None:
        """Leave the line as it is."""
        if self._in_place and self._shown:
            self._stream.write("\n")
        self._shown = ""
