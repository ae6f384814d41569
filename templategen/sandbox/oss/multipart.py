"""The multipart calls: initiate, upload part, list parts, complete, abort, list uploads.

Complete writes a manifest: the new object lists the parts' files in order. Nothing is copied (see `blobs`), so it takes
milliseconds for any size; the parts' checksums are combined instead of read again.
"""

import hashlib
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree

from templategen.sandbox.database import Database
from templategen.sandbox.http import Request, Response, whole_number
from templategen.sandbox.oss import crc64
from templategen.sandbox.oss.blobs import Blob, BlobStore
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.objects import (
    MAX_OBJECT,
    Objects,
    StoredObject,
    check_md5,
    crc_header,
    kept_headers,
    refuse_without_length,
    too_large,
)
from templategen.sandbox.oss.xml import Node, iso_time, key_text, malformed, read_xml, text_of, xml_response

MIN_PART = 102_400
MAX_PARTS = 10_000


@dataclass(frozen=True)
class Part:
    """A row of the parts table."""

    number: int
    size: int
    etag: str
    crc: str | None
    modified: float
    blob: Blob


class Multipart:
    """All unfinished uploads."""

    def __init__(self, database: Database, blobs: BlobStore, objects: Objects) -> None:
        self._database = database
        self._blobs = blobs
        self._objects = objects

    def initiate(self, request: Request, bucket: str, key: str) -> Response:
        """InitiateMultipartUpload. The headers given here become the object's."""
        self._objects.refuse_overwrite(request, bucket, key)
        upload_id = secrets.token_hex(16).upper()
        headers = json.dumps(kept_headers(request))
        self._database.change(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (upload_id, bucket, key, time.time(), headers)
        )
        return xml_response(
            "InitiateMultipartUploadResult",
            [*_encoding(request), ("Bucket", bucket), ("Key", _key(request, key)), ("UploadId", upload_id)],
        )

    def put_part(self, request: Request, bucket: str, key: str) -> Response:
        """UploadPart. A number sent again replaces what it had."""
        number = _part_number(request.params.get("partNumber", ""))
        refuse_without_length(request)
        upload = self._upload(request, bucket, key)
        stored = self._blobs.write(request.body, MAX_OBJECT)
        if stored is None:
            raise too_large()
        crc = None if stored.crc is None else str(stored.crc)
        try:
            check_md5(request, stored.md5)
            with self._database.transaction():
                self._upload(request, bucket, key)  # it may have been completed or aborted meanwhile
                row = self._database.row(
                    "SELECT blob, size FROM parts WHERE upload = ? AND number = ?", (upload, number)
                )
                self._database.change(
                    "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (upload, number, stored.blob.size, stored.md5, crc, time.time(), stored.blob.name),
                )
        except OssError:
            self._blobs.delete([stored.blob])
            raise
        if row is not None:
            self._blobs.delete([Blob(row["blob"], row["size"])])
        return Response(200, {"ETag": f'"{stored.md5}"'} | crc_header(crc))

    def list_parts(self, request: Request, bucket: str, key: str) -> Response:
        """ListParts, paged by part number."""
        upload = self._upload(request, bucket, key)
        limit = _page_size(request, "max-parts")
        marker = _marker(request)
        parts = [part for part in self._parts(upload) if part.number > marker]
        page = parts[:limit]
        more = len(parts) > len(page)
        nodes: list[Node] = [
            *_encoding(request),
            ("Bucket", bucket),
            ("Key", _key(request, key)),
            ("UploadId", upload),
            ("StorageClass", "Standard"),
            ("PartNumberMarker", str(marker)),
            ("NextPartNumberMarker", str(page[-1].number if page else 0)),
            ("MaxParts", str(limit)),
            ("IsTruncated", "true" if more else "false"),
        ]
        for part in page:
            fields: list[Node] = [
                ("PartNumber", str(part.number)),
                ("LastModified", iso_time(part.modified)),
                ("ETag", f'"{part.etag}"'),
                ("Size", str(part.size)),
            ]
            if part.crc is not None:
                fields.append(("HashCrc64ecma", part.crc))
            nodes.append(("Part", fields))
        return xml_response("ListPartsResult", nodes)

    def complete(self, request: Request, bucket: str, key: str) -> Response:
        """CompleteMultipartUpload, from the client's list or, with `x-oss-complete-all: yes`, from all there is."""
        upload = self._upload(request, bucket, key)
        wanted = _wanted_parts(request)
        with self._database.transaction():
            row = self._upload_row(request, bucket, key)
            self._objects.refuse_overwrite(request, bucket, key)
            stored = {part.number: part for part in self._parts(upload)}
            chosen = _choose_parts(stored, wanted)
            made = _assemble(row, chosen)
            old = self._objects.blobs_of(bucket, key)
            self._objects.store(made)
            self._drop(upload)
        kept = {part.blob for part in chosen}
        self._blobs.delete([part.blob for part in stored.values() if part.blob not in kept])
        self._blobs.delete(old)
        location = f"http://{request.header('host')}/{bucket}/{quote(key)}"
        response = xml_response(
            "CompleteMultipartUploadResult",
            [
                *_encoding(request),
                ("Location", location),
                ("Bucket", bucket),
                ("Key", _key(request, key)),
                ("ETag", f'"{made.etag}"'),
            ],
        )
        response.headers |= {"ETag": f'"{made.etag}"'} | crc_header(made.crc)
        return response

    def abort(self, request: Request, bucket: str, key: str) -> Response:
        """AbortMultipartUpload: the parts are gone."""
        with self._database.transaction():
            upload = self._upload(request, bucket, key)
            parts = self._parts(upload)
            self._drop(upload)
        self._blobs.delete([part.blob for part in parts])
        return Response(204)

    def list_uploads(self, request: Request, bucket: str) -> Response:
        """ListMultipartUploads, ordered by key and upload ID."""
        params = request.params
        limit = _page_size(request, "max-uploads")
        prefix = params.get("prefix", "")
        marker = (params.get("key-marker", ""), params.get("upload-id-marker", ""))
        after = (marker[0], marker[1] if marker[0] and marker[1] else "\U0010ffff")
        rows = [
            row
            for row in self._database.rows("SELECT * FROM uploads WHERE bucket = ? ORDER BY key, id", (bucket,))
            if row["key"].startswith(prefix) and (not marker[0] or (row["key"], row["id"]) > after)
        ]
        page = rows[:limit]
        encoding = params.get("encoding-type", "")
        more = len(rows) > len(page)
        nodes: list[Node] = [
            *_encoding(request),
            ("Bucket", bucket),
            ("KeyMarker", key_text(marker[0], encoding)),
            ("UploadIdMarker", marker[1]),
            ("NextKeyMarker", key_text(page[-1]["key"], encoding) if more else ""),
            ("NextUploadIdMarker", page[-1]["id"] if more else ""),
            ("Prefix", key_text(prefix, encoding)),
            ("MaxUploads", str(limit)),
            ("IsTruncated", "true" if more else "false"),
        ]
        for row in page:
            fields: list[Node] = [
                ("Key", key_text(row["key"], encoding)),
                ("UploadId", row["id"]),
                ("StorageClass", "Standard"),
                ("Initiated", iso_time(row["initiated"])),
            ]
            nodes.append(("Upload", fields))
        return xml_response("ListMultipartUploadsResult", nodes)

    def _upload_row(self, request: Request, bucket: str, key: str) -> sqlite3.Row:
        upload = request.params.get("uploadId", "")
        row = self._database.row("SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?", (upload, bucket, key))
        if row is None:
            raise OssError(
                404,
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted"
                " or completed.",
                fields={"UploadId": upload[:128]},
            )
        return row

    def _upload(self, request: Request, bucket: str, key: str) -> str:
        return str(self._upload_row(request, bucket, key)["id"])

    def _parts(self, upload: str) -> list[Part]:
        rows = self._database.rows("SELECT * FROM parts WHERE upload = ? ORDER BY number", (upload,))
        return [
            Part(r["number"], r["size"], r["etag"], r["crc"], r["modified"], Blob(r["blob"], r["size"])) for r in rows
        ]

    def _drop(self, upload: str) -> None:
        self._database.change("DELETE FROM parts WHERE upload = ?", (upload,))
        self._database.change("DELETE FROM uploads WHERE id = ?", (upload,))


def _wanted_parts(request: Request) -> list[tuple[int, str]] | None:
    """(number, ETag without quotes) as the client lists them; None for "all there are"."""
    if request.header("x-oss-complete-all"):
        if request.header("x-oss-complete-all").lower() != "yes":
            raise OssError(400, "InvalidArgument", "x-oss-complete-all must be yes.")
        if request.body.length != 0:
            raise OssError(400, "InvalidArgument", "With x-oss-complete-all the request may hold no body.")
        return None
    root = read_xml(request, "CompleteMultipartUpload")
    return [_wanted_part(node) for node in root.findall("Part")]


def _wanted_part(node: ElementTree.Element) -> tuple[int, str]:
    etag = text_of(node, "ETag").strip('"')
    if not etag:
        raise malformed()
    return _part_number(text_of(node, "PartNumber")), etag.upper()


def _choose_parts(stored: dict[int, Part], wanted: list[tuple[int, str]] | None) -> list[Part]:
    if wanted is None:
        chosen = list(stored.values())
    else:
        numbers = [number for number, _ in wanted]
        if numbers != sorted(set(numbers)):
            raise OssError(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        for number, etag in wanted:
            if number not in stored or stored[number].etag != etag:
                raise OssError(
                    400,
                    "InvalidPart",
                    "One or more of the specified parts could not be found or the specified entity tag might not have"
                    " matched the part's entity tag.",
                    fields={"PartNumber": str(number)},
                )
        chosen = [stored[number] for number in numbers]
    if not chosen:
        raise malformed()
    for part in chosen[:-1]:
        if part.size < MIN_PART:
            raise OssError(
                400,
                "EntityTooSmall",
                "Your proposed upload smaller than the minimum allowed size.",
                "0042-00000213",
                {"MinSizeAllowed": str(MIN_PART), "ProposedSize": str(part.size), "PartNumber": str(part.number)},
            )
    return chosen


def _assemble(row: sqlite3.Row, parts: list[Part]) -> StoredObject:
    """The object: its ETag is the MD5 of the parts' MD5s with their count, as with other S3-like services."""
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    crc: int | None = 0
    for part in parts:
        crc = None if crc is None or part.crc is None else crc64.combine(crc, int(part.crc), part.size)
    return StoredObject(
        row["bucket"],
        row["key"],
        sum(part.size for part in parts),
        f"{digest.hexdigest().upper()}-{len(parts)}",
        None if crc is None else str(crc),
        "Multipart",
        time.time(),
        json.loads(row["headers"]),
        tuple(part.blob for part in parts),
    )


def _part_number(text: str) -> int:
    number = whole_number(text, 1, MAX_PARTS)
    if number is None:
        raise OssError(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
    return number


def _page_size(request: Request, name: str) -> int:
    number = whole_number(request.params.get(name, "") or "1000", 1, 1000)
    if number is None:
        raise OssError(400, "InvalidArgument", f"{name} must be between 1 and 1000.")
    return number


def _marker(request: Request) -> int:
    number = whole_number(request.params.get("part-number-marker", "") or "0", 0, 10**9)
    if number is None:
        raise OssError(400, "InvalidArgument", "part-number-marker must be a number.")
    return number


def _encoding(request: Request) -> list[Node]:
    encoding = request.params.get("encoding-type", "")
    return [("EncodingType", encoding)] if encoding else []


def _key(request: Request, key: str) -> str:
    return key_text(key, request.params.get("encoding-type", ""))
