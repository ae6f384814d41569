"""From a request to one of the calls: address, signature, bucket, operation, and the headers of every answer."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from templategen.sandbox.config import Config, LiveSettings
from templategen.sandbox.database import Database
from templategen.sandbox.http import BadRequestError, Request, Response, decode
from templategen.sandbox.oss import cors
from templategen.sandbox.oss.blobs import BlobStore
from templategen.sandbox.oss.errors import OssError, error_response
from templategen.sandbox.oss.lifecycle import parse_lifecycle
from templategen.sandbox.oss.multipart import Multipart
from templategen.sandbox.oss.objects import Objects
from templategen.sandbox.oss.signature import ALGORITHM, Signer, check_v4
from templategen.sandbox.oss.signature_v1 import check_v1, is_v1
from templategen.sandbox.oss.xml import Node, iso_time, xml_response

# Query names that pick a call which the sandbox does not play; else they would be taken for a plain Put or Get.
_OTHER_CALLS = frozenset(
    [
        "acl",
        "append",
        "tagging",
        "versions",
        "versioning",
        "website",
        "referer",
        "logging",
        "location",
        "stat",
        "policy",
        "encryption",
        "symlink",
        "restore",
        "callback",
        "x-oss-process",
        "x-oss-async-process",
        "inventory",
        "worm",
        "replication",
        "style",
        "cname",
        "qosInfo",
        "requestPayment",
    ]
)


@dataclass(frozen=True)
class Target:
    """Where a request goes, decoded; an empty key means the bucket itself, an empty bucket the service."""

    bucket: str
    key: str

    @property
    def resource(self) -> str:
        """As it enters a signature."""
        return f"/{self.bucket}/{self.key}" if self.bucket else "/"


class OssService:
    """Everything under `/bucket/key`."""

    def __init__(self, config: Config, settings: LiveSettings, database: Database) -> None:
        self._config = config
        self._settings = settings
        self._database = database
        blobs = BlobStore(config.data / "blobs")
        self.objects = Objects(database, blobs)
        self.multipart = Multipart(database, blobs, self.objects)
        self._signer = Signer(config.access_key_id, config.access_key_secret, config.region, settings.now)
        for name in config.buckets:
            database.change("INSERT OR IGNORE INTO buckets (name, created) VALUES (?, ?)", (name, time.time()))
        blobs.delete_all_but(_blob_names(database))

    def target(self, request: Request) -> Target:
        """Bucket and key, from the host name if there is such a bucket, else from the path; raises BadRequestError."""
        first_label, dot, _ = request.header("host").partition(".")
        if dot and self._bucket_exists(first_label):
            return Target(first_label, decode(request.path[1:]))
        bucket, _, key = request.path[1:].partition("/")
        return Target(decode(bucket), decode(key))

    def answer(self, request: Request) -> Response:
        """The answer to any request; refusals are answers too."""
        target = Target("", "")
        try:
            target = self.target(request)
            response = self._call(request, target)
        except OssError as error:
            response = self.refusal(error, request)
        except BadRequestError as error:
            response = self.refusal(OssError(400, "InvalidURI", str(error)), request)
        return self.finish(request, response, target.bucket)

    def refusal(self, error: OssError, request: Request) -> Response:
        """The XML answer for a refusal."""
        request_id = new_request_id()
        response = error_response(error, request_id, request.header("host"))
        response.headers["x-oss-request-id"] = request_id
        return response

    def finish(self, request: Request, response: Response, bucket: str) -> Response:
        """Add what every answer has: request ID, server time, cross-origin headers."""
        response.headers.setdefault("x-oss-request-id", new_request_id())
        response.headers["x-oss-server-time"] = "1"
        if request.method != "OPTIONS":
            response.headers |= cors.answer_headers(request, self._cors_rules(bucket))
        return response

    def _call(self, request: Request, target: Target) -> Response:
        if request.method == "OPTIONS":
            return cors.preflight(request, self._cors_rules(target.bucket))
        self._check_signature(request, target)
        if not target.bucket:
            raise _not_implemented("the list of buckets")
        if not self._bucket_exists(target.bucket):
            raise OssError(
                404,
                "NoSuchBucket",
                "The specified bucket does not exist.",
                "0015-00000101",
                {"BucketName": target.bucket},
            )
        if target.key:
            _check_key(target.key)
        for name in request.params:
            if name in _OTHER_CALLS:
                raise _not_implemented(f"the call behind ?{name}")
        if target.key:
            return self._object_call(request, target.bucket, target.key)
        return self._bucket_call(request, target.bucket)

    def _check_signature(self, request: Request, target: Target) -> None:
        if is_v1(request):
            check_v1(request, target.resource, self._signer, allowed=self._settings.value.allow_v1)
        elif request.header("authorization").startswith(ALGORITHM) or "x-oss-signature-version" in request.params:
            check_v4(request, target.resource, self._signer)
        elif "authorization" in request.headers:
            raise OssError(400, "InvalidArgument", "Authorization header is invalid.")
        else:
            raise OssError(
                403, "AccessDenied", "You have no right to access this object because of bucket acl.", "0003-00000001"
            )

    def _object_call(self, request: Request, bucket: str, key: str) -> Response:
        has = request.params.__contains__
        calls: dict[str, Callable[[], Response]] = {}
        if "x-oss-copy-source" in request.headers:
            raise _not_implemented("copying objects")
        if has("uploadId"):
            calls = {
                "PUT": lambda: self.multipart.put_part(request, bucket, key),
                "GET": lambda: self.multipart.list_parts(request, bucket, key),
                "POST": lambda: self.multipart.complete(request, bucket, key),
                "DELETE": lambda: self.multipart.abort(request, bucket, key),
            }
        elif has("uploads"):
            calls = {"POST": lambda: self.multipart.initiate(request, bucket, key)}
        elif has("objectMeta"):
            calls = dict.fromkeys(("GET", "HEAD"), lambda: self.objects.meta(bucket, key))
        else:
            calls = {
                "PUT": lambda: self.objects.put(request, bucket, key),
                "GET": lambda: self.objects.get(request, bucket, key),
                "HEAD": lambda: self.objects.get(request, bucket, key),
                "DELETE": lambda: self.objects.delete(bucket, key),
            }
        return _pick(calls, request)

    def _bucket_call(self, request: Request, bucket: str) -> Response:
        has = request.params.__contains__
        calls: dict[str, Callable[[], Response]] = {}
        if has("bucketInfo"):
            calls = {"GET": lambda: self._bucket_info(request, bucket)}
        elif has("cors"):
            calls = {
                "PUT": lambda: self._set(bucket, "cors", cors.parse_rules(request)),
                "GET": lambda: self._get_cors(bucket),
                "DELETE": lambda: self._set(bucket, "cors", None),
            }
        elif has("lifecycle"):
            calls = {
                "PUT": lambda: self._set(bucket, "lifecycle", parse_lifecycle(request)),
                "GET": lambda: self._get_lifecycle(bucket),
                "DELETE": lambda: self._set(bucket, "lifecycle", None),
            }
        elif has("uploads"):
            calls = {"GET": lambda: self.multipart.list_uploads(request, bucket)}
        elif has("delete"):
            calls = {"POST": lambda: self.objects.delete_many(request, bucket)}
        elif request.params.get("list-type") == "2":
            calls = {"GET": lambda: self.objects.list(request, bucket)}
        else:
            raise _not_implemented("this bucket call (only ListObjectsV2 lists objects)")
        return _pick(calls, request)

    def _bucket_exists(self, name: str) -> bool:
        return self._database.row("SELECT 1 FROM buckets WHERE name = ?", (name,)) is not None

    def _cors_rules(self, bucket: str) -> tuple[cors.CorsRule, ...]:
        row = self._database.row("SELECT cors FROM buckets WHERE name = ?", (bucket,))
        return cors.load_rules(row["cors"] if row else None)

    def _set(self, bucket: str, column: str, value: str | None) -> Response:
        statements = {
            "cors": "UPDATE buckets SET cors = ? WHERE name = ?",
            "lifecycle": "UPDATE buckets SET lifecycle = ? WHERE name = ?",
        }
        self._database.change(statements[column], (value, bucket))
        return Response(204 if value is None else 200)

    def _get_cors(self, bucket: str) -> Response:
        rules = self._cors_rules(bucket)
        if not rules:
            raise OssError(404, "NoSuchCORSConfiguration", "The CORS Configuration does not exist.")
        return xml_response("CORSConfiguration", cors.rules_xml(rules))

    def _get_lifecycle(self, bucket: str) -> Response:
        row = self._database.row("SELECT lifecycle FROM buckets WHERE name = ?", (bucket,))
        if row is None or row["lifecycle"] is None:
            raise OssError(404, "NoSuchLifecycle", "No Row found in Lifecycle Table.")
        return Response(200, {"Content-Type": "application/xml"}, str(row["lifecycle"]).encode())

    def _bucket_info(self, request: Request, bucket: str) -> Response:
        row = self._database.row("SELECT created FROM buckets WHERE name = ?", (bucket,))
        host = request.header("host")
        fields: list[Node] = [
            ("Name", bucket),
            ("CreationDate", iso_time(row["created"] if row else 0)),
            ("Location", f"oss-{self._config.region}"),
            ("Region", self._config.region),
            ("ExtranetEndpoint", host),
            ("IntranetEndpoint", host),
            ("StorageClass", "Standard"),
            ("DataRedundancyType", "LRS"),
            ("BlockPublicAccess", "true"),
            ("Owner", [("ID", "1000000000000000"), ("DisplayName", "1000000000000000")]),
            ("AccessControlList", [("Grant", "private")]),
        ]
        return xml_response("BucketInfo", [("Bucket", fields)])


def new_request_id() -> str:
    """24 hexadecimal digits, as OSS uses them."""
    return secrets.token_hex(12).upper()


def _blob_names(database: Database) -> set[str]:
    """Every blob that a part or an object refers to."""
    names = {str(row["blob"]) for row in database.rows("SELECT blob FROM parts")}
    rows = database.rows("SELECT json_extract(value, '$[0]') AS name FROM objects, json_each(objects.blobs)")
    return names | {str(row["name"]) for row in rows}


def _check_key(key: str) -> None:
    """OssError for names that OSS does not take, and for path tricks, which no client of ours needs."""
    segments = key.split("/")
    bad = len(key.encode()) > 1023 or key[0] in "/\\" or ".." in segments or "." in segments
    if bad or any(c < " " or c == "\x7f" for c in key):
        raise OssError(400, "InvalidObjectName", "The specified object is not valid.", fields={"ObjectName": key[:200]})


def _pick(calls: dict[str, Callable[[], Response]], request: Request) -> Response:
    if request.method not in calls:
        raise OssError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    return calls[request.method]()


def _not_implemented(what: str) -> OssError:
    return OssError(501, "NotImplemented", f"The sandbox does not play {what}.")
