"""The object calls: PutObject, GetObject, HeadObject, DeleteObject, DeleteMultipleObjects, ListObjectsV2."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from templategen.sandbox.database import Database
from templategen.sandbox.http import BodyTooLargeError, Request, Response, whole_number
from templategen.sandbox.oss import ranges
from templategen.sandbox.oss.blobs import Blob, BlobStore
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.xml import MAX_BODY, Node, iso_time, key_text, malformed, read_xml, text_of, xml_response

MAX_OBJECT = 5 << 30
_KEPT_HEADERS = (
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-language",
    "cache-control",
    "expires",
)
_RESPONSE_OVERRIDES = {
    f"response-{name}": name
    for name in (
        "content-type",
        "content-disposition",
        "content-encoding",
        "content-language",
        "cache-control",
        "expires",
    )
}


@dataclass(frozen=True)
class StoredObject:
    """A row of the objects table. `etag` is without quotes; `crc` is a decimal text or None."""

    bucket: str
    key: str
    size: int
    etag: str
    crc: str | None
    kind: str
    modified: float
    headers: dict[str, str]
    blobs: tuple[Blob, ...]


class Objects:
    """All objects of all buckets."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def find(self, bucket: str, key: str) -> StoredObject:
        """The object, or OssError 404 NoSuchKey."""
        row = self._database.row("SELECT * FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
        if row is None:
            raise OssError(404, "NoSuchKey", "The specified key does not exist.", "0026-00000001", {"Key": key})
        blobs = tuple(Blob(name, size) for name, size in json.loads(row["blobs"]))
        return StoredObject(
            bucket,
            key,
            row["size"],
            row["etag"],
            row["crc"],
            row["kind"],
            row["modified"],
            json.loads(row["headers"]),
            blobs,
        )

    def refuse_overwrite(self, request: Request, bucket: str, key: str) -> None:
        """OssError 409 when the client forbids overwriting and the object exists."""
        value = request.header("x-oss-forbid-overwrite").lower()
        if value not in ("", "true", "false"):
            raise OssError(400, "InvalidArgument", "x-oss-forbid-overwrite must be true or false.")
        sql = "SELECT 1 FROM objects WHERE bucket = ? AND key = ?"
        if value == "true" and self._database.row(sql, (bucket, key)) is not None:
            raise OssError(
                409,
                "FileAlreadyExists",
                "The object you specified already exists and can not be overwritten.",
                "0042-00000214",
            )

    def store(self, new: StoredObject) -> None:
        """Put a row in place of what had that key; the caller holds a transaction and then removes the old blobs."""
        self._database.change(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.bucket,
                new.key,
                new.size,
                new.etag,
                new.crc,
                new.kind,
                new.modified,
                json.dumps(new.headers),
                json.dumps([[blob.name, blob.size] for blob in new.blobs]),
            ),
        )

    def put(self, request: Request, bucket: str, key: str) -> Response:
        """PutObject."""
        refuse_without_length(request)
        self.refuse_overwrite(request, bucket, key)
        stored = self._blobs.write(request.body, MAX_OBJECT)
        if stored is None:
            raise too_large()
        try:
            check_md5(request, stored.md5)
            crc = None if stored.crc is None else str(stored.crc)
            headers = kept_headers(request)
            with self._database.transaction():
                self.refuse_overwrite(request, bucket, key)
                old = self.blobs_of(bucket, key)
                self.store(
                    StoredObject(
                        bucket, key, stored.blob.size, stored.md5, crc, "Normal", time.time(), headers, (stored.blob,)
                    )
                )
        except OssError:
            self._blobs.delete([stored.blob])
            raise
        self._blobs.delete(old)
        answer = {"ETag": f'"{stored.md5}"', "Content-MD5": base64.b64encode(bytes.fromhex(stored.md5)).decode()}
        return Response(200, answer | crc_header(crc))

    def get(self, request: Request, bucket: str, key: str) -> Response:
        """GetObject, also by range and with conditions; HeadObject is the same without the body."""
        found = self.find(bucket, key)
        unmet = _unmet_condition(request, found)
        headers = _object_headers(found)
        if unmet == 304:
            return Response(304, headers)
        if unmet:
            raise OssError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        for parameter, name in _RESPONSE_OVERRIDES.items():
            if parameter in request.params:
                headers[_title(name)] = _header_safe(request.params[parameter])
        start, length, partial = 0, found.size, False
        if request.header("range"):
            standard = request.header("x-oss-range-behavior").lower() == "standard"
            start, length, partial = ranges.choose(request.header("range"), found.size, standard=standard)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size}"
        slices = self._blobs.slices(found.blobs, start, length)
        return Response(206 if partial else 200, headers, slices=slices)

    def meta(self, bucket: str, key: str) -> Response:
        """GetObjectMeta: size, ETag and time only."""
        found = self.find(bucket, key)
        headers = {"ETag": f'"{found.etag}"', "Last-Modified": formatdate(found.modified, usegmt=True)}
        return Response(200, headers | crc_header(found.crc), content_length=found.size)

    def delete(self, bucket: str, key: str) -> Response:
        """DeleteObject: 204 whether it existed or not."""
        self._remove(bucket, key)
        return Response(204)

    def delete_many(self, request: Request, bucket: str) -> Response:
        """DeleteMultipleObjects: at most 1000 keys; needs Content-MD5."""
        _check_body_md5(request)
        root = read_xml(request, "Delete")
        keys = [(node.findtext("Key") or "") for node in root.findall("Object")]
        if not keys or len(keys) > 1000 or not all(keys):
            raise malformed()
        encoding = request.params.get("encoding-type", "")
        for key in keys:
            self._remove(bucket, key)
        if text_of(root, "Quiet").lower() == "true":
            return Response(200)
        nodes: list[Node] = [("EncodingType", encoding)] if encoding else []
        nodes += [("Deleted", [("Key", key_text(key, encoding))]) for key in keys]
        return xml_response("DeleteResult", nodes)

    def list(self, request: Request, bucket: str) -> Response:
        """ListObjectsV2."""
        params = request.params
        limit = _max_keys(params.get("max-keys", "100"))
        prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
        after = max(params.get("start-after", ""), _from_token(params.get("continuation-token", "")))
        page, groups, more, last = self._page(bucket, prefix, delimiter, after, limit)
        encoding = params.get("encoding-type", "")
        nodes: list[Node] = [
            ("Name", bucket),
            ("Prefix", key_text(prefix, encoding)),
            ("MaxKeys", str(limit)),
            ("Delimiter", key_text(delimiter, encoding)),
            ("StartAfter", key_text(params.get("start-after", ""), encoding)),
            ("IsTruncated", "true" if more else "false"),
            ("KeyCount", str(len(page) + len(groups))),
        ]
        if encoding:
            nodes.append(("EncodingType", encoding))
        if more:
            nodes.append(("NextContinuationToken", base64.urlsafe_b64encode(last.encode()).decode()))
        with_owner = params.get("fetch-owner", "") == "true"
        nodes += [("Contents", _entry(row, encoding, with_owner=with_owner)) for row in page]
        nodes += [("CommonPrefixes", [("Prefix", key_text(group, encoding))]) for group in groups]
        return xml_response("ListBucketResult", nodes)

    def _page(
        self, bucket: str, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[Sequence[dict[str, str]], Sequence[str], bool, str]:
        """Rows and common prefixes after `after`, whether more follow, and where to go on."""
        rows: list[dict[str, str]] = []
        groups: list[str] = []
        last = after
        while True:
            found = self._database.rows(
                "SELECT key, size, etag, kind, modified FROM objects"
                " WHERE bucket = ? AND key > ? AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
                (bucket, last, prefix, len(prefix), prefix, limit + 1),
            )
            for row in found:
                key = str(row["key"])
                group = _group(key, prefix, delimiter)
                if group and key > after and (after.startswith(group) or (groups and groups[-1] == group)):
                    last = group + "\U0010ffff"
                    break
                if len(rows) + len(groups) == limit:
                    return rows, groups, True, last
                if group:
                    groups.append(group)
                    last = group + "\U0010ffff"
                    break
                rows.append({name: str(row[name]) for name in ("key", "size", "etag", "kind", "modified")})
                last = key
            else:
                if len(found) <= limit:
                    return rows, groups, False, last

    def blobs_of(self, bucket: str, key: str) -> tuple[Blob, ...]:
        """The files of an object, none if there is no such object."""
        row = self._database.row("SELECT blobs FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
        return tuple(Blob(name, size) for name, size in json.loads(row["blobs"])) if row else ()

    def _remove(self, bucket: str, key: str) -> None:
        with self._database.transaction():
            blobs = self.blobs_of(bucket, key)
            self._database.change("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
        self._blobs.delete(blobs)


def kept_headers(request: Request) -> dict[str, str]:
    """What of a request's headers belongs to the object: the content headers and its own metadata."""
    kept = {n: v for n, v in request.headers.items() if n in _KEPT_HEADERS or n.startswith("x-oss-meta-")}
    if sum(len(n) + len(v) for n, v in kept.items() if n.startswith("x-oss-meta-")) > 8192:
        raise OssError(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
    return kept


def check_md5(request: Request, md5: str) -> None:
    """OssError 400 when the client announced another MD5 than that of the bytes (upper-case hex)."""
    announced = request.header("content-md5")
    if announced and announced != base64.b64encode(bytes.fromhex(md5)).decode():
        raise OssError(
            400,
            "InvalidDigest",
            "The Content-MD5 you specified is not valid.",
            fields={"Content-MD5": announced[:100], "Calculate-MD5": md5},
        )


def crc_header(crc: str | None) -> dict[str, str]:
    """The checksum header, left out where none was computed."""
    return {} if crc is None else {"x-oss-hash-crc64ecma": crc}


def refuse_without_length(request: Request) -> None:
    """OssError 411 for an upload that says neither how long it is nor that it comes in chunks."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")


def too_large() -> OssError:
    """The refusal of a body beyond the limit."""
    return OssError(
        400,
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size.",
        fields={"MaxSizeAllowed": str(MAX_OBJECT)},
    )


def _object_headers(found: StoredObject) -> dict[str, str]:
    headers = {_title(name): value for name, value in found.headers.items()}
    headers.setdefault("Content-Type", "application/octet-stream")
    headers["ETag"] = f'"{found.etag}"'
    headers["Last-Modified"] = formatdate(found.modified, usegmt=True)
    headers["Accept-Ranges"] = "bytes"
    headers["x-oss-object-type"] = found.kind
    headers["x-oss-storage-class"] = "Standard"
    return headers | crc_header(found.crc)


def _unmet_condition(request: Request, found: StoredObject) -> int:
    """304, 412, or 0 when nothing stands against sending the object."""
    modified = int(found.modified)
    if request.header("if-match") and found.etag not in _etags(request.header("if-match")):
        return 412
    since = _http_time(request.header("if-unmodified-since"))
    if since is not None and modified > since:
        return 412
    if request.header("if-none-match"):
        return 304 if found.etag in _etags(request.header("if-none-match")) else 0
    since = _http_time(request.header("if-modified-since"))
    return 304 if since is not None and modified <= since else 0


def _etags(text: str) -> set[str]:
    return {piece.strip().removeprefix("W/").strip('"') for piece in text.split(",")}


def _http_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def _title(name: str) -> str:
    return name if name.startswith("x-oss-") else "-".join(word.capitalize() for word in name.split("-"))


def _header_safe(value: str) -> str:
    if any(c < " " for c in value):
        raise OssError(400, "InvalidArgument", "A response header may hold no control characters.")
    return value


def _check_body_md5(request: Request) -> None:
    try:
        body = request.body.read_all(MAX_BODY)
    except BodyTooLargeError:
        raise malformed() from None
    if not request.header("content-md5"):
        raise OssError(
            400, "MissingArgument", "Missing Some Required Arguments.", fields={"ArgumentName": "Content-MD5"}
        )
    check_md5(request, hashlib.md5(body, usedforsecurity=False).hexdigest().upper())


def _max_keys(text: str) -> int:
    number = whole_number(text, 1, 1000)
    if number is None:
        raise OssError(400, "InvalidArgument", "max-keys must be between 1 and 1000.")
    return number


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise OssError(400, "InvalidArgument", "The continuation token is not valid.") from None


def _group(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix that stands for this key in a listing, or an empty text."""
    position = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: position + len(delimiter)] if position >= 0 else ""


def _entry(row: dict[str, str], encoding: str, *, with_owner: bool) -> list[Node]:
    nodes: list[Node] = [
        ("Key", key_text(row["key"], encoding)),
        ("LastModified", iso_time(float(row["modified"]))),
        ("ETag", f'"{row["etag"]}"'),
        ("Type", row["kind"]),
        ("Size", row["size"]),
        ("StorageClass", "Standard"),
    ]
    if with_owner:
        nodes.append(("Owner", [("ID", "1000000000000000"), ("DisplayName", "1000000000000000")]))
    return nodes
