"""How the files of a request are received: what no view could use is read past, and never kept."""

from typing import IO, Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from templategen.video.limits import LIMITS

CLIP_BYTES = int(LIMITS["size"].maximum or 0)
"""A file of this size or more is larger than any clip may be."""

FORM_BYTES = 5 * CLIP_BYTES
"""The whole plain form: a few clips at once. It is what one request may take of the disk."""

OTHER_BYTES = 16 * 1024 * 1024
"""Every other request with files: the slices of a pre-check, with room for what surrounds them."""

READ_PAST_BYTES = 2 * FORM_BYTES
"""Read to its end for the sake of an answer in words. A larger request is cut off: nobody waits for its answer."""

FORM_VIEW = "web:upload_form"


class TooLargeHandler(FileUploadHandler):
    """First in FILE_UPLOAD_HANDLERS: skips the files of a request that is too large or that nobody signed in sends.

    It runs wherever a request's form is first read, which is the CSRF check, before any view. What was skipped is told
    by `files_too_large` and `request_too_large`.
    """

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, str],  # noqa: N803 -- Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Judge the request by the length that it announces."""
        request: Any = self.request
        self.room = FORM_BYTES if _view_name(request) == FORM_VIEW else OTHER_BYTES
        self.keep = content_length <= self.room and _is_signed_in(request)
        self.cut = content_length > READ_PAST_BYTES
        request.files_too_large = []
        request.request_too_large = content_length > self.room

    # SkipFile is raised only when a file's bytes come, never in new_file: Django then closes the file that its own
    # handlers opened last, which in new_file would still be the one before, a good one.
    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass the bytes on, or skip the file at its first byte too many."""
        if self.cut:
            raise StopUpload(connection_reset=True)
        if not self.keep:
            raise SkipFile
        if start + len(raw_data) >= CLIP_BYTES:
            request: Any = self.request
            request.files_too_large.append(self.file_name)
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The handlers after this one keep the file."""


def files_too_large(request: HttpRequest) -> list[str]:
    """Names of the files that were skipped because they were larger than any clip may be."""
    request.FILES  # noqa: B018 -- reading it is what runs the handlers
    return getattr(request, "files_too_large", [])


def request_too_large(request: HttpRequest) -> bool:
    """Whether the request as a whole was over its limit, so that none of its files was kept."""
    request.FILES  # noqa: B018 -- reading it is what runs the handlers
    return getattr(request, "request_too_large", False)


def _view_name(request: Any) -> str:
    match = getattr(request, "resolver_match", None)
    return match.view_name if match else ""


def _is_signed_in(request: Any) -> bool:
    user = getattr(request, "user", None)
    return bool(user and user.is_authenticated)
