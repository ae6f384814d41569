"""The doctor's steps at OSS: one small object takes the way that every clip takes, and is deleted again."""

import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.utils.translation import gettext as _

from templategen.clients.build import storage
from templategen.clients.storage import StorageError, StorageUnreachableError, random_key
from templategen.clients.visitor import Answer, Visitor
from templategen.management.bucket_rules import has_abort_rule, site_origins
from templategen.management.examination import ProblemError, Step
from templategen.management.mending import storage_mend

# OSS refuses a V4 signature when the clocks are 15 minutes apart (alibaba.md 9.2); long before that something is wrong.
MOST_SKEW_S = 300
URL_SECONDS = 300
SETUP = _('run "manage.py setup_oss".')


class OssExamination:
    """The steps share the probe object: its key, its upload, its bytes."""

    def __init__(self) -> None:
        self._visitor = Visitor()
        self._key = random_key("doctor")
        self._data = secrets.token_bytes(1000)
        self._upload_id = ""
        self._begun = False
        self._server_date: datetime | None = None

    def steps(self) -> list[Step]:
        """In the order in which a clip meets them."""
        return [
            Step(_("OSS reachable"), self._reachable, gate=True),
            Step(_("Clock"), self._clock),
            Step(_("OSS key, signature V4, bucket"), self._bucket, permission="oss:GetBucketInfo", gate=True),
            Step(_("Bucket's region"), self._region, permission="oss:GetBucketInfo"),
            Step(_("Browser may upload (CORS)"), self._cors),
            Step(_("Unfinished uploads are thrown away"), self._lifecycle, permission="oss:GetBucketLifecycle"),
            Step(_("Upload begun"), self._begin, permission="oss:PutObject", gate=True),
            Step(_("Part sent by a signed URL"), self._part, gate=True),
            Step(_("Upload completed"), self._complete, permission="oss:ListParts, oss:PutObject", gate=True),
            Step(_("Object read (HEAD, range)"), self._read, permission="oss:GetObject"),
            Step(_("Object read by a signed URL"), self._signed_get),
            Step(_("Object deleted"), self._delete, permission="oss:DeleteObject"),
        ]

    def clean_up(self) -> None:
        """Leave nothing behind, however far it came. What cannot be removed the lifecycle rule removes."""
        if not self._begun:
            return
        with contextlib.suppress(StorageError):
            if self._upload_id:
                storage().abort_multipart(self._key, self._upload_id)
            storage().delete(self._key)

    def _reachable(self) -> str:
        self._server_date = self._visitor.look(settings.OSS_ENDPOINT).date
        return str(settings.OSS_ENDPOINT)

    def _clock(self) -> str:
        if self._server_date is None:
            return _("OSS tells no time")
        skew = (datetime.now(UTC) - self._server_date).total_seconds()
        what = _("this machine is %(seconds)+.0f s from OSS") % {"seconds": skew}
        if abs(skew) > MOST_SKEW_S:
            raise ProblemError(what, _("switch on time synchronisation (NTP)."))
        return what

    def _bucket(self) -> str:
        return storage().bucket_info()["name"]

    def _region(self) -> str:
        location = storage().bucket_info()["location"].removeprefix("oss-")
        if location != settings.OSS_REGION:
            raise ProblemError(
                _("the bucket lies in %(location)s, OSS_REGION is %(region)s")
                % {"location": location, "region": settings.OSS_REGION},
                _("set OSS_REGION=%(location)s.") % {"location": location},
            )
        if not location.startswith("cn-beijing"):
            raise ProblemError(
                _("the bucket lies in %(location)s, DashScope in Beijing") % {"location": location},
                _("DashScope must fetch a clip within 60 s: a bucket in cn-beijing is the sure way."),
                grave=False,
            )
        return location

    def _cors(self) -> str:
        url = storage().sign_put(self._key, seconds=URL_SECONDS).partition("?")[0]
        for origin in site_origins():
            for method in ("PUT", "GET"):
                answer = self._public(lambda: self._visitor.preflight(url, origin=origin, method=method))  # noqa: B023
                if not _allows(answer, origin, method):
                    raise ProblemError(
                        _("pages of %(origin)s may not %(method)s (%(status)d)")
                        % {"origin": origin, "method": method, "status": answer.status},
                        SETUP,
                    )
        return ", ".join(site_origins())

    def _lifecycle(self) -> str:
        if not has_abort_rule(storage().get_lifecycle()):
            raise ProblemError(_("no rule for it; unfinished parts are billed for ever"), SETUP, grave=False)
        return ""

    def _begin(self) -> str:
        self._upload_id = storage().begin_multipart(self._key, content_type="application/octet-stream")
        self._begun = True
        return ""

    def _part(self) -> str:
        url = storage().sign_part(self._key, self._upload_id, 1, seconds=URL_SECONDS)
        origin = site_origins()[0]
        answer = self._public(lambda: self._visitor.put(url, self._data, origin=origin))
        exposed = answer.headers.get("Access-Control-Expose-Headers", "").lower()
        if "etag" not in exposed:
            raise ProblemError(_("the page may not read the part's ETag"), SETUP)
        return str(settings.OSS_PUBLIC_ENDPOINT)

    def _complete(self) -> str:
        storage().complete_multipart(self._key, self._upload_id, storage().list_parts(self._key, self._upload_id))
        self._upload_id = ""
        return ""

    def _read(self) -> str:
        stored = storage().head(self._key)
        if stored is None or stored.size != len(self._data):
            raise ProblemError(_("the object has not the size that was sent"), _("something between alters requests."))
        if storage().read_range(self._key, 100, 200) != self._data[100:200]:
            raise ProblemError(_("a range is not what was sent"), _("something between alters answers."))
        return ""

    def _signed_get(self) -> str:
        url = storage().sign_get(self._key, seconds=URL_SECONDS)
        answer = self._public(lambda: self._visitor.get(url))
        if answer.body != self._data:
            raise ProblemError(_("the answer is not what was sent"), _("something between alters answers."))
        if answer.headers.get("Content-Disposition", "").startswith("attachment"):
            raise ProblemError(
                _("OSS makes browsers download instead of play"),
                _("bind an own domain to the bucket and set OSS_PUBLIC_ENDPOINT to it."),
                grave=False,
            )
        return str(settings.OSS_PUBLIC_ENDPOINT)

    def _delete(self) -> str:
        storage().delete(self._key)
        if storage().head(self._key) is not None:
            raise ProblemError(_("it is still there"), _("the bucket's versioning or retention keeps it."), grave=False)
        return ""

    def _public(self, call: Callable[[], Answer]) -> Answer:
        """A call to the public endpoint: when nobody answers there, that is the setting to mend."""
        try:
            return call()
        except StorageUnreachableError as problem:
            raise ProblemError(
                _("no answer from %(endpoint)s (%(code)s)")
                % {"endpoint": settings.OSS_PUBLIC_ENDPOINT, "code": problem.code},
                _("check OSS_PUBLIC_ENDPOINT: name, DNS record (CNAME) and certificate.")
                if settings.OSS_PUBLIC_ENDPOINT != settings.OSS_ENDPOINT
                else storage_mend(problem),
            ) from problem


def _allows(answer: Answer, origin: str, method: str) -> bool:
    allowed = answer.headers.get("Access-Control-Allow-Origin", "")
    methods = answer.headers.get("Access-Control-Allow-Methods", "")
    return answer.status == 200 and allowed in {"*", origin} and method in methods
