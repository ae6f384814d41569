"""An upload: begin, sign parts, look at what arrived, finish; or the whole of it from a file of this machine."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import ledger
from accounts.models import Account, User
from templategen.actions.errors import (
    ActionError,
    IncompleteError,
    NotPossibleError,
    QuotaError,
    RefusedError,
    StorageTroubleError,
)
from templategen.actions.names import clean_file_name, clean_name
from templategen.actions.queue import ring
from templategen.actions.quota import over_quota
from templategen.clients.build import storage
from templategen.clients.storage import StorageError, StoredObject, UploadGoneError, random_key
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import State
from templategen.video.limits import LIMITS, judge_size

logger = logging.getLogger(__name__)

PART_SIZE = 8 * 1024 * 1024
_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".avi": "video/x-msvideo"}
# What no clip is shorter than.
_SHORTEST_MS = round((LIMITS["duration"].minimum or 0) * 1000)
# Pauses before a part that this server sends is sent again, in seconds.
_PART_PAUSES = (0.5, 2.0, 5.0)


@dataclass(frozen=True)
class UploadProgress:
    """How far an upload is: ``present`` maps a part's number to its bytes; ``missing`` lists the others."""

    part_size: int
    part_count: int
    present: dict[int, int]
    missing: list[int]


def _storage_trouble(problem: StorageError) -> StorageTroubleError:
    logger.warning(
        "storage call failed", extra={"code": problem.code, "ec": problem.ec, "oss_request": problem.request_id}
    )
    return StorageTroubleError(
        "storage",
        _("The storage service did not take the request (%(code)s). Try again in a moment; if it stays, ask the site's "
          "administrator to run the doctor command.") % {"code": problem.code or problem.status},
    )  # fmt: skip


def begin_upload(
    account: Account,
    *,
    by: User | None,
    file_name: str,
    size_bytes: int,
    fingerprint: str = "",
    name: str = "",
    milliseconds: int = 0,
) -> ActionTemplate:
    """Make the row (UPLOADING) and begin the multipart upload of a clip of ``size_bytes``.

    Room for the declared size is held. Raises RefusedError for a size that no clip may have, QuotaError where the
    account has no room for it, could make nothing of it this month (``milliseconds``: its length, 0 where that is not
    known yet), or has too many unfinished uploads, StorageTroubleError when OSS does not answer (then
    nothing is left on the page).
    """
    size = judge_size(size_bytes)
    if size.verdict == "fail":
        raise RefusedError("clip.size", _("The file's size is outside what Alibaba takes."), (size,))
    _require_month(account, milliseconds)
    file_name = clean_file_name(file_name)
    suffix = PurePosixPath(file_name).suffix.lower()
    suffix = suffix if suffix in _TYPES else ""
    with transaction.atomic():
        object_key = random_key("clips", suffix)
        _hold_room(account, object_key, size_bytes, by=by)
        clip = Clip.objects.create(
            account=account,
            uploaded_by=by,
            object_key=object_key,
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
        _begin_parts(clip)
    except StorageError as problem:
        template.move(State.CANCELED, by=by, deleted_at=timezone.now(), error_code="storage")
        raise _storage_trouble(problem) from problem
    return template


def _require_month(account: Account, milliseconds: int) -> None:
    """Before a byte is sent. Nothing is held yet: others may take what is left, and then the clip is BLOCKED."""
    try:
        ledger.require_room(account.pk, milliseconds=milliseconds or _SHORTEST_MS)
    except ledger.OverLimitError as problem:
        raise over_quota(problem) from problem


def _hold_room(account: Account, object_key: str, size_bytes: int, *, by: User | None) -> None:
    try:
        ledger.hold_bytes(account.pk, ledger.clip_reference(object_key), size=size_bytes, by=by)
    except ledger.OverLimitError as problem:
        raise over_quota(problem) from problem
    # Counted after the hold, which lets one upload of an account begin at a time.
    if ActionTemplate.objects.of(account).filter(state=State.UPLOADING).count() >= settings.UNFINISHED_UPLOADS:
        raise QuotaError(
            "upload.unfinished",
            _("The account has %(count)d unfinished uploads, and more than that are not begun. Finish or cancel some "
              "of them; those left alone are removed after a day.") % {"count": settings.UNFINISHED_UPLOADS},
        )  # fmt: skip


def _begin_parts(clip: Clip) -> None:
    """Begin the multipart upload, unless another call for the same clip was faster: then that one's counts."""
    kind = _TYPES.get(PurePosixPath(clip.object_key).suffix, "application/octet-stream")
    upload_id = storage().begin_multipart(clip.object_key, content_type=kind)
    if not Clip.objects.filter(pk=clip.pk, upload_id="").update(upload_id=upload_id):
        # Where OSS does not answer now, its lifecycle rule throws it away.
        with suppress(StorageError):
            storage().abort_multipart(clip.object_key, upload_id)
    clip.refresh_from_db(fields=["upload_id"])


def _name_from(file_name: str) -> str:
    return clean_name(PurePosixPath(file_name).stem.replace("_", " ")) or file_name[:200]


def _over() -> NotPossibleError:
    return NotPossibleError("upload.over", _("This upload is over. Reload the page to see what became of it."))


def _require_uploading(template: ActionTemplate) -> None:
    if template.state != State.UPLOADING or not template.clip.upload_id:
        raise _over()


def upload_progress(template: ActionTemplate) -> UploadProgress:
    """What OSS has of the upload. Raises NotPossibleError when it is over or thrown away, StorageTroubleError.

    One whose beginning died between its row and OSS is begun now: the browser finds the row and wants to go on.
    """
    if template.state != State.UPLOADING:
        raise _over()
    clip = template.clip
    numbers = range(1, clip.part_count + 1)
    try:
        if not clip.upload_id:
            _begin_parts(clip)
        try:
            parts = {
                number: size for number, (size, _etag) in storage().list_parts(clip.object_key, clip.upload_id).items()
            }
        except UploadGoneError:
            # Completed by a call whose answer was lost: nothing is missing, it only has to be finished again.
            if storage().head(clip.object_key) is None:
                raise _gone() from None
            parts = {number: clip.part_length(number) for number in numbers}
    except StorageError as problem:
        raise _storage_trouble(problem) from problem
    present = {number: size for number, size in parts.items() if _is_whole(clip, number, size)}
    missing = [number for number in numbers if number not in present]
    return UploadProgress(clip.part_size, clip.part_count, present, missing)


def _gone() -> NotPossibleError:
    return NotPossibleError(
        "upload.gone",
        _("The storage service no longer knows this upload; it throws unfinished ones away after a day. Cancel it "
          "and choose the file again."),
    )  # fmt: skip


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
        raise _gone()
    if stored.size != clip.size_bytes:
        raise StorageTroubleError(
            "upload.size",
            _("The stored file has %(stored)d bytes where %(declared)d were announced. Cancel it and choose the file "
              "again.") % {"stored": stored.size, "declared": clip.size_bytes},
        )  # fmt: skip
    now = timezone.now()
    with transaction.atomic():
        won = template.move(State.CHECKING, by=by, next_look_at=now)
        if won:
            clip.etag, clip.crc64, clip.stored_at = stored.etag, stored.crc64, now
            clip.save(update_fields=["etag", "crc64", "stored_at"])
            ring("check", template_pk=template.pk)
    if not won:
        template.refresh_from_db()
        if template.state == State.CANCELED:
            # Canceled in this moment: what was just made of the parts is nobody's, and counted nowhere.
            abort_upload(clip)
            raise _over()


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
    milliseconds: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ActionTemplate:
    """Send a file from this machine part by part, one part in memory; ``progress`` hears the bytes sent so far.

    Raises RefusedError and StorageTroubleError; the upload is canceled then.
    """
    template = begin_upload(
        account, by=by, file_name=file_name, size_bytes=size_bytes, name=name, milliseconds=milliseconds
    )
    try:
        for number in range(1, template.clip.part_count + 1):
            _send_part(template.clip, number, file.read(PART_SIZE))
            if progress is not None:
                progress(min(number * PART_SIZE, size_bytes))
        finish_upload(template, by=by)
    except (ActionError, OSError, KeyboardInterrupt):
        cancel_upload(template, by=by)
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


def cancel_upload(template: ActionTemplate, *, by: User | None) -> None:
    """Nothing was stored: the row goes with the upload. Raises NotPossibleError when it was finished meanwhile."""
    if not template.move(State.CANCELED, by=by, deleted_at=timezone.now()):
        raise NotPossibleError("changed", _("It has changed meanwhile. Look at its present state and decide again."))
    abort_upload(template.clip)


def abort_upload(clip: Clip) -> bool:
    """Throw away what has arrived; whether it is gone. Where OSS does not answer the sweep tries again.

    Only for uploads that are canceled: what a completion in the same moment made of the parts goes too.
    """
    if not clip.upload_id:
        return True
    try:
        storage().abort_multipart(clip.object_key, clip.upload_id)
        storage().delete(clip.object_key)
    except StorageError as problem:
        logger.warning("abort of an upload failed", extra={"clip": clip.pk, "code": problem.code})
        return False
    Clip.objects.filter(pk=clip.pk).update(upload_id="")
    return True
