"""Every change that a person or a job can make to templates and clips.

Called by pages, jobs and commands alike. Rows are written in short transactions; none is open across the network.
Expected failures are ActionError and its kinds, with a text for people; each interface turns them into its own form.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from accounts.models import Account, User
from templategen.clients.build import dashscope, storage
from templategen.clients.dashscope import DashScopeError
from templategen.clients.dashscope import RefusedError as TaskRefusedError
from templategen.clients.storage import StorageError, StoredObject, UploadGoneError, random_key
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import CANCELABLE, DELETABLE, RETRYABLE, UNDECIDED, State
from templategen.video.facts import Finding
from templategen.video.limits import judge_size

logger = logging.getLogger(__name__)

PART_SIZE = 8 * 1024 * 1024
_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".avi": "video/x-msvideo"}
# Pauses before a part that this server sends is sent again, in seconds.
_PART_PAUSES = (0.5, 2.0, 5.0)
# What a new attempt begins with.
_FRESH: dict[str, Any] = {
    "claim_token": "", "claimed_at": None, "step_tries": 0, "sent_at": None, "task_id": "", "submit_request_id": "",
    "unknown_since": None, "request_id": "", "error_code": "", "error_message": "",
}  # fmt: skip


class ActionError(Exception):
    """Something expected went wrong. ``text`` says what happened, why, and what to do, in the reader's language."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class NotPossibleError(ActionError):
    """The template is not in a state in which this can be done."""


class RefusedError(ActionError):
    """What the user gave breaks a rule; ``findings`` name it where it is about the clip."""

    def __init__(self, code: str, text: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(code, text)
        self.findings = findings


class IncompleteError(ActionError):
    """Parts of the upload have not arrived: ``missing`` numbers (from 1)."""

    def __init__(self, missing: list[int]) -> None:
        super().__init__(
            "upload.incomplete",
            _("%(count)d parts of the file have not arrived yet. Continue the upload to send them.")
            % {"count": len(missing)},
        )
        self.missing = missing


class StorageTroubleError(ActionError):
    """OSS did not do what was asked."""


class ServiceTroubleError(ActionError):
    """DashScope did not do what was asked."""


@dataclass(frozen=True)
class UploadProgress:
    """How far an upload is: ``present`` maps a part's number to its bytes; ``missing`` lists the others."""

    part_size: int
    part_count: int
    present: dict[int, int]
    missing: list[int]


def ring(job: str, **arguments: Any) -> None:
    """Tell the queue, once the transaction has committed. The row is the truth: a lost message is rung again."""
    transaction.on_commit(partial(async_task, f"templategen.jobs.{job}", **arguments))


# --- Upload -----------------------------------------------------------------------------------------------------


def clean_file_name(file_name: str) -> str:
    """The last part of a file name, printable, at most 255 characters; "clip" for nothing."""
    last = PurePosixPath(file_name.replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable()).strip()[-255:] or "clip"


def clean_name(name: str) -> str:
    """A template's name: printable, one line, at most 200 characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in name).split())[:200]


def begin_upload(
    account: Account, *, by: User | None, file_name: str, size_bytes: int, fingerprint: str = "", name: str = ""
) -> ActionTemplate:
    """Make the row (UPLOADING) and begin the multipart upload of a clip of ``size_bytes``.

    Raises RefusedError for a size that no clip may have, StorageTroubleError when OSS does not answer (then nothing
    is left on the page).
    """
    size = judge_size(size_bytes)
    if size.verdict == "fail":
        raise RefusedError("clip.size", _("The file's size is outside what Alibaba takes."), (size,))
    file_name = clean_file_name(file_name)
    suffix = PurePosixPath(file_name).suffix.lower()
    suffix = suffix if suffix in _TYPES else ""
    with transaction.atomic():
        clip = Clip.objects.create(
            account=account,
            uploaded_by=by,
            object_key=random_key("clips", suffix),
            file_name=file_name,
            size_bytes=size_bytes,
            fingerprint=fingerprint[:100],
            part_size=PART_SIZE,
        )
        template = ActionTemplate(account=account, clip=clip, name=clean_name(name) or _name_from(file_name))
        template.search_text = template.words_to_search()
        template.save(force_insert=True)
        Event.objects.create(template=template, kind=Event.Kind.STARTED, to=State.UPLOADING, by=by)
    try:
        clip.upload_id = storage().begin_multipart(
            clip.object_key, content_type=_TYPES.get(suffix, "application/octet-stream")
        )
    except StorageError as problem:
        template.move(State.CANCELED, by=by, deleted_at=timezone.now(), error_code="storage")
        raise _storage_trouble(problem) from problem
    clip.save(update_fields=["upload_id"])
    return template


def _name_from(file_name: str) -> str:
    return clean_name(PurePosixPath(file_name).stem.replace("_", " ")) or file_name[:200]


def _storage_trouble(problem: StorageError) -> StorageTroubleError:
    logger.warning(
        "storage call failed", extra={"code": problem.code, "ec": problem.ec, "oss_request": problem.request_id}
    )
    return StorageTroubleError(
        "storage",
        _("The storage service did not take the request (%(code)s). Try again in a moment; if it stays, ask the site's "
          "administrator to run the doctor command.") % {"code": problem.code or problem.status},
    )  # fmt: skip


def _require_uploading(template: ActionTemplate) -> None:
    if template.state != State.UPLOADING or not template.clip.upload_id:
        raise NotPossibleError("upload.over", _("This upload is over. Reload the page to see what became of it."))


def upload_progress(template: ActionTemplate) -> UploadProgress:
    """What OSS has of the upload. Raises NotPossibleError when it is over, StorageTroubleError."""
    _require_uploading(template)
    clip = template.clip
    try:
        parts = storage().list_parts(clip.object_key, clip.upload_id)
    except UploadGoneError:
        parts = {}
    except StorageError as problem:
        raise _storage_trouble(problem) from problem
    present = {number: size for number, (size, _etag) in parts.items() if _is_whole(clip, number, size)}
    missing = [number for number in range(1, clip.part_count + 1) if number not in present]
    return UploadProgress(clip.part_size, clip.part_count, present, missing)


def _is_whole(clip: Clip, number: int, size: int) -> bool:
    return 1 <= number <= clip.part_count and size == clip.part_length(number)


def sign_parts(template: ActionTemplate, numbers: Iterable[int]) -> dict[int, str]:
    """A fresh URL for each part, good for one PUT target and PART_URL_SECONDS. RefusedError for a number outside."""
    _require_uploading(template)
    clip = template.clip
    wanted = sorted(set(numbers))
    if any(not 1 <= number <= clip.part_count for number in wanted):
        raise RefusedError("upload.part", _("The upload has parts 1 to %(count)d only.") % {"count": clip.part_count})
    return {
        number: storage().sign_part(clip.object_key, clip.upload_id, number, seconds=settings.PART_URL_SECONDS)
        for number in wanted
    }


def finish_upload(template: ActionTemplate, *, by: User | None) -> None:
    """Believe the upload only after looking: parts, their sizes, the completed object's own size; then → CHECKING.

    Doing it twice is fine. Raises IncompleteError, NotPossibleError, StorageTroubleError.
    """
    if template.state not in {State.UPLOADING, State.CANCELED}:
        return
    _require_uploading(template)
    clip = template.clip
    stored = _complete(clip)
    if stored is None:
        raise NotPossibleError(
            "upload.gone",
            _("The storage service no longer knows this upload; it throws unfinished ones away after a day. Cancel it "
              "and choose the file again."),
        )  # fmt: skip
    if stored.size != clip.size_bytes:
        raise StorageTroubleError(
            "upload.size",
            _("The stored file has %(stored)d bytes where %(declared)d were announced. Cancel it and choose the file "
              "again.") % {"stored": stored.size, "declared": clip.size_bytes},
        )  # fmt: skip
    now = timezone.now()
    with transaction.atomic():
        if template.move(State.CHECKING, by=by, next_look_at=now):
            clip.etag, clip.crc64, clip.stored_at = stored.etag, stored.crc64, now
            clip.save(update_fields=["etag", "crc64", "stored_at"])
            ring("check", template_pk=template.pk)


def _complete(clip: Clip) -> StoredObject | None:
    """The object, made of its parts now or by an earlier call whose answer was lost; None when there is neither."""
    try:
        try:
            parts = storage().list_parts(clip.object_key, clip.upload_id)
            whole = {number: part for number, part in parts.items() if _is_whole(clip, number, part[0])}
            missing = [number for number in range(1, clip.part_count + 1) if number not in whole]
            if missing:
                raise IncompleteError(missing)
            storage().complete_multipart(clip.object_key, clip.upload_id, whole)
        except UploadGoneError:
            pass
        return storage().head(clip.object_key)
    except StorageError as problem:
        raise _storage_trouble(problem) from problem


def upload_file(
    account: Account,
    *,
    by: User | None,
    file: BinaryIO,
    size_bytes: int,
    file_name: str,
    name: str = "",
    progress: Callable[[int], None] | None = None,
) -> ActionTemplate:
    """Send a file from this machine part by part, one part in memory; ``progress`` hears the bytes sent so far.

    Raises RefusedError and StorageTroubleError; the upload is canceled then.
    """
    template = begin_upload(account, by=by, file_name=file_name, size_bytes=size_bytes, name=name)
    try:
        for number in range(1, template.clip.part_count + 1):
            _send_part(template.clip, number, file.read(PART_SIZE))
            if progress is not None:
                progress(min(number * PART_SIZE, size_bytes))
        finish_upload(template, by=by)
    except (ActionError, OSError):
        cancel(template, by=by)
        raise
    return template


def _send_part(clip: Clip, number: int, data: bytes) -> None:
    for pause in (*_PART_PAUSES, None):
        try:
            storage().put_part(clip.object_key, clip.upload_id, number, data)
        except StorageError as problem:
            if pause is None or 400 <= problem.status < 500:
                raise _storage_trouble(problem) from problem
            time.sleep(pause)
        else:
            return


# --- What a person decides -----------------------------------------------------------------------------------------


def _lost_race() -> NotPossibleError:
    return NotPossibleError("changed", _("It has changed meanwhile. Look at its present state and decide again."))


def cancel(template: ActionTemplate, *, by: User | None) -> None:
    """Stop it where nothing has begun that would be paid for. Raises NotPossibleError, ServiceTroubleError."""
    state = State(template.state)
    if state == State.CANCELED:
        return
    if state not in CANCELABLE:
        raise NotPossibleError(
            "cancel.late", _("It can no longer be canceled: Alibaba makes and bills it. Wait for the result.")
        )
    if state == State.UPLOADING:
        _cancel_upload(template, by=by)
        return
    if state == State.PENDING:
        _cancel_task(template)
    if not template.move(State.CANCELED, by=by):
        template.refresh_from_db()
        if template.state != State.CANCELED:
            raise _lost_race()


def _cancel_upload(template: ActionTemplate, *, by: User | None) -> None:
    """Nothing was stored: the row goes with the upload."""
    if not template.move(State.CANCELED, by=by, deleted_at=timezone.now()):
        raise _lost_race()
    abort_upload(template.clip)


def abort_upload(clip: Clip) -> None:
    """Throw away what has arrived. Where OSS does not answer the sweep tries again."""
    if not clip.upload_id:
        return
    try:
        storage().abort_multipart(clip.object_key, clip.upload_id)
    except StorageError as problem:
        logger.warning("abort of an upload failed", extra={"clip": clip.pk, "code": problem.code})
        return
    Clip.objects.filter(pk=clip.pk).update(upload_id="")


def _cancel_task(template: ActionTemplate) -> None:
    try:
        dashscope().cancel_task(template.task_id)
    except TaskRefusedError as problem:
        raise NotPossibleError(
            "cancel.begun",
            _("Alibaba has begun with it (%(code)s), so it can no longer be canceled. Wait for the result.")
            % {"code": problem.code},
        ) from problem
    except DashScopeError as problem:
        raise ServiceTroubleError(
            "dashscope", _("Alibaba did not answer, so it is not known whether it is canceled. Try again in a moment.")
        ) from problem


def retry(template: ActionTemplate, *, by: User | None) -> None:
    """A new attempt with the same clip, or a new check where the check could not be done. Raises NotPossibleError."""
    if template.state not in RETRYABLE:
        raise NotPossibleError("retry.state", _("It is not in a state in which it can be tried again."))
    if template.clip.stored_at is None:
        raise NotPossibleError("retry.no_clip", _("Its video was never stored. Upload it again."))
    now = timezone.now()
    if template.state == State.BLOCKED:
        _check_again(template, by=by)
        return
    with transaction.atomic():
        won = template.move(
            State.QUEUED,
            by=by,
            **_FRESH,
            attempt=template.attempt + 1,
            queued_at=now,
            next_look_at=now,
        )
    if not won:
        raise _lost_race()


def _check_again(template: ActionTemplate, *, by: User | None) -> None:
    if template.error_code == "limits":
        raise NotPossibleError(
            "retry.limits", _("The video itself breaks a limit; trying again would end the same. Upload a mended one.")
        )
    with transaction.atomic():
        if not template.move(State.CHECKING, by=by, **_FRESH, next_look_at=timezone.now()):
            raise _lost_race()
        ring("check", template_pk=template.pk)


def resubmit(template: ActionTemplate, *, by: User | None) -> None:
    """Send an unconfirmed template again by a person's decision: it may be paid for twice."""
    if template.state not in UNDECIDED:
        raise NotPossibleError("resubmit.state", _("Only an unconfirmed template can be sent again like this."))
    now = timezone.now()
    if not template.move(
        State.QUEUED,
        by=by,
        **_FRESH,
        attempt=template.attempt + 1,
        queued_at=now,
        next_look_at=now,
        detail={"decision": "sent again"},
    ):
        raise _lost_race()


def rename(template: ActionTemplate, *, name: str, by: User | None) -> None:
    """Give it another name. Raises RefusedError for an empty one."""
    name = clean_name(name)
    if not name:
        raise RefusedError("name.empty", _("A name needs at least one visible character."))
    if name == template.name:
        return
    old, template.name = template.name, name
    template.search_text = template.words_to_search()
    with transaction.atomic():
        ActionTemplate.objects.filter(pk=template.pk).update(
            name=name, search_text=template.search_text, version=F("version") + 1
        )
        Event.objects.create(
            template=template,
            kind=Event.Kind.RENAMED,
            by=by,
            attempt=template.attempt,
            detail={"old": old, "new": name},
        )


def delete(template: ActionTemplate, *, by: User | None) -> None:
    """Put it into the trash; the sweep removes it and its video after TRASH_DAYS. Raises NotPossibleError.

    The template at Alibaba stays: there is no call to delete one (alibaba.md 8).
    """
    now = timezone.now()
    with transaction.atomic():
        gone = ActionTemplate.objects.filter(pk=template.pk, state__in=DELETABLE, deleted_at=None).update(
            deleted_at=now, version=F("version") + 1
        )
        if gone:
            Event.objects.create(template=template, kind=Event.Kind.DELETED, by=by, attempt=template.attempt)
    if not gone:
        raise NotPossibleError(
            "delete.busy", _("It is still at work, and its ID would be lost. Cancel it or wait for the result.")
        )
    template.deleted_at = now


def restore(template: ActionTemplate, *, by: User | None) -> None:
    """Take it out of the trash. Raises NotPossibleError for an upload that was never finished."""
    if template.clip.stored_at is None:
        raise NotPossibleError("restore.no_clip", _("Its video was never stored. Upload it again."))
    with transaction.atomic():
        back = ActionTemplate.objects.filter(pk=template.pk).exclude(deleted_at=None)
        if back.update(deleted_at=None, version=F("version") + 1):
            Event.objects.create(template=template, kind=Event.Kind.RESTORED, by=by, attempt=template.attempt)
    template.deleted_at = None
