"""Alibaba OSS through oss2: what clips need of it. Signature V4 throughout. This module knows no Django.

Facts: alibaba.md section 9 (oss2 2.19.1 as run, and the service's rules).
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO, TypedDict
from urllib.parse import quote
from xml.etree import ElementTree

import oss2
import requests
from oss2.exceptions import ClientError, NoSuchUpload, NotFound, OssError, RequestError
from oss2.models import AbortMultipartUpload, BucketCors, BucketLifecycle, CorsRule, LifecycleRule

SEVEN_DAYS = 7 * 24 * 3600
# A part read by oss2 in pure Python costs minutes of CPU for one clip: without the compiled CRC64 it is left out, and
# size and ETag remain.
# Not "from crcmod import crcmod": the package binds that name to itself.
_HAS_QUICK_CRC: bool = getattr(import_module("crcmod.crcmod"), "_usingExtension", False)


class StorageError(Exception):
    """OSS refused or could not be reached. ``code`` and ``ec`` are OSS's own, empty where none came."""

    def __init__(self, *, status: int, code: str, message: str, request_id: str = "", ec: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.ec = ec


class StorageUnreachableError(StorageError):
    """No answer: name not found, connection refused, time-out."""


class UploadGoneError(StorageError):
    """The multipart upload does not exist: completed, aborted, or expired by the bucket's lifecycle rule."""


class ObjectGoneError(StorageError):
    """There is no such object."""


@dataclass(frozen=True)
class StoredObject:
    """What HEAD says of an object."""

    size: int
    etag: str
    crc64: str
    content_type: str


class _Facts(TypedDict):
    status: int
    code: str
    message: str
    request_id: str
    ec: str


@contextmanager
def _translated() -> Iterator[None]:
    """oss2's exceptions as ours."""
    try:
        yield
    except NoSuchUpload as problem:
        raise UploadGoneError(**_facts(problem)) from problem
    except NotFound as problem:
        kind = StorageError if problem.code == "NoSuchBucket" else ObjectGoneError
        raise kind(**_facts(problem)) from problem
    except (ElementTree.ParseError, requests.RequestException, UnicodeError) as problem:
        # Not OSS: a proxy, a portal, a wrong endpoint; or a body that was cut off. oss2 lets these through.
        raise StorageUnreachableError(
            status=0, code=type(problem).__name__, message="what answered is not OSS, or stopped in the middle"
        ) from problem
    except RequestError as problem:
        raise StorageUnreachableError(
            status=0, code=type(problem.exception).__name__, message="no answer from OSS"
        ) from problem
    except ClientError as problem:
        raise StorageError(status=0, code="ClientError", message=str(problem.body)) from problem
    except OssError as problem:
        raise StorageError(**_facts(problem)) from problem


def _facts(problem: OssError) -> _Facts:
    return {
        "status": problem.status,
        "code": problem.code,
        "message": problem.message,
        "request_id": problem.request_id,
        "ec": getattr(problem, "ec", "") or "",
    }


class Storage:
    """One bucket. ``public_endpoint`` is where browsers and DashScope are sent: all signed URLs name it."""

    def __init__(
        self,
        *,
        access_key_id: str,
        access_key_secret: str,
        bucket: str,
        region: str,
        endpoint: str,
        public_endpoint: str = "",
        is_cname: bool = False,
        public_is_cname: bool = False,
        timeout: float = 30.0,
    ) -> None:
        auth = oss2.ProviderAuthV4(oss2.StaticCredentialsProvider(access_key_id, access_key_secret))

        def bucket_at(address: str, *, cname: bool) -> oss2.Bucket:
            return oss2.Bucket(
                auth, address, bucket, region=region, is_cname=cname, connect_timeout=timeout, enable_crc=_HAS_QUICK_CRC
            )

        self.name = bucket
        self._bucket = bucket_at(endpoint, cname=is_cname)
        self._public = bucket_at(public_endpoint or endpoint, cname=public_is_cname)

    # --- multipart ---

    def begin_multipart(self, key: str, *, content_type: str) -> str:
        """Begin an upload; its ID. Fails when ``key`` exists already."""
        headers = {"Content-Type": content_type, "x-oss-forbid-overwrite": "true"}
        with _translated():
            return str(self._bucket.init_multipart_upload(key, headers=headers).upload_id)

    def sign_part(self, key: str, upload_id: str, number: int, *, seconds: int) -> str:
        """A URL that takes exactly this part by PUT, for ``seconds`` (at most 7 days)."""
        params = {"uploadId": upload_id, "partNumber": str(number)}
        return str(self._public.sign_url("PUT", key, min(seconds, SEVEN_DAYS), params=params, slash_safe=True))

    def list_parts(self, key: str, upload_id: str) -> dict[int, tuple[int, str]]:
        """What has arrived: part number -> (bytes, ETag). Raises UploadGoneError."""
        found: dict[int, tuple[int, str]] = {}
        marker = ""
        with _translated():
            while True:
                page = self._bucket.list_parts(key, upload_id, marker=marker)
                found.update({part.part_number: (part.size, part.etag) for part in page.parts})
                if not page.is_truncated or page.next_marker == marker:
                    return found
                marker = page.next_marker

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> None:
        """Send one part from here."""
        with _translated():
            self._bucket.upload_part(key, upload_id, number, data)

    def complete_multipart(self, key: str, upload_id: str, parts: dict[int, tuple[int, str]]) -> None:
        """Make the object of the parts that ``list_parts`` gave. Raises UploadGoneError."""
        infos = [oss2.models.PartInfo(number, etag, size) for number, (size, etag) in sorted(parts.items())]
        with _translated():
            self._bucket.complete_multipart_upload(key, upload_id, infos)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Throw the parts away. An upload that is gone already is fine."""
        try:
            with _translated():
                self._bucket.abort_multipart_upload(key, upload_id)
        except UploadGoneError:
            pass

    # --- objects ---

    def head(self, key: str) -> StoredObject | None:
        """Size, ETag, CRC64 and type; None where there is no such object."""
        try:
            with _translated():
                seen = self._bucket.head_object(key)
        except ObjectGoneError:
            return None
        return StoredObject(
            size=int(seen.content_length),
            etag=str(seen.etag),
            crc64=str(seen.headers.get("x-oss-hash-crc64ecma", "")),
            content_type=str(seen.content_type or ""),
        )

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` (exclusive). Raises ObjectGoneError."""
        with _translated():
            # oss2 counts a CRC over what was read and compares none for a range.
            return bytes(self._bucket.get_object(key, byte_range=(start, end - 1)).read())

    def put(self, key: str, data: bytes | BinaryIO, *, content_type: str) -> None:
        """Store a small object."""
        with _translated():
            self._bucket.put_object(key, data, headers={"Content-Type": content_type})

    def delete(self, *keys: str) -> None:
        """Delete objects; those that are not there are fine."""
        if keys:
            with _translated():
                self._bucket.batch_delete_objects(list(keys))

    def sign_get(self, key: str, *, seconds: int, file_name: str = "") -> str:
        """A URL that gives the object by GET, for ``seconds`` (at most 7 days); as a download named ``file_name``."""
        params = {}
        if file_name:
            params["response-content-disposition"] = "attachment; filename*=UTF-8''" + quote(file_name, safe="")
        return str(self._public.sign_url("GET", key, min(seconds, SEVEN_DAYS), params=params, slash_safe=True))

    def sign_put(self, key: str, *, seconds: int) -> str:
        """A URL that stores an object by PUT, for ``seconds``. The doctor's probe uses it."""
        return str(self._public.sign_url("PUT", key, min(seconds, SEVEN_DAYS), slash_safe=True))

    # --- the bucket ---

    def bucket_info(self) -> dict[str, str]:
        """Name, location (``oss-cn-beijing``), endpoints."""
        with _translated():
            info = self._bucket.get_bucket_info()
        return {
            "name": str(info.name),
            "location": str(info.location),
            "extranet_endpoint": str(info.extranet_endpoint),
            "intranet_endpoint": str(info.intranet_endpoint),
        }

    def get_cors(self) -> list[CorsRule]:
        """The bucket's CORS rules, in order."""
        try:
            with _translated():
                return list(self._bucket.get_bucket_cors().rules)
        except ObjectGoneError:
            return []

    def set_cors(self, rules: list[CorsRule]) -> None:
        """Replace the bucket's CORS rules (at most 10)."""
        with _translated():
            self._bucket.put_bucket_cors(BucketCors(rules))

    def get_lifecycle(self) -> list[LifecycleRule]:
        """The bucket's lifecycle rules."""
        try:
            with _translated():
                return list(self._bucket.get_bucket_lifecycle().rules)
        except ObjectGoneError:
            return []

    def set_lifecycle(self, rules: list[LifecycleRule]) -> None:
        """Replace the bucket's lifecycle rules."""
        with _translated():
            self._bucket.put_bucket_lifecycle(BucketLifecycle(rules))


def browser_cors_rule(origins: list[str]) -> CorsRule:
    """What a browser needs to send parts and play clips (alibaba.md 9.2, CORS)."""
    return CorsRule(
        allowed_origins=origins,
        allowed_methods=["PUT", "GET"],
        allowed_headers=["*"],
        expose_headers=["ETag", "x-oss-request-id"],
        max_age_seconds=3600,
    )


def abort_unfinished_rule(*, days: int) -> LifecycleRule:
    """Unfinished uploads are billed until somebody throws them away: OSS does it after ``days``."""
    return LifecycleRule(
        "templategen-abort-unfinished",
        "",
        status=LifecycleRule.ENABLED,
        abort_multipart_upload=AbortMultipartUpload(days=days),
    )


def random_key(prefix: str, suffix: str = "") -> str:
    """A key that nobody can guess, with nothing of the user's in it."""
    return f"{prefix}/{secrets.token_hex(20)}{suffix}"
