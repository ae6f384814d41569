"""What to do about each way in which OSS or DashScope says no. Facts: alibaba.md 5, 7 and 9.2."""

from django.conf import settings
from django.utils.translation import gettext as _

from templategen.clients.dashscope import DashScopeError, NeverSentError, RefusedError
from templategen.clients.storage import StorageError, StorageUnreachableError

V1_REFUSED_EC = "0002-00000080"


def storage_words(problem: StorageError) -> str:
    """What OSS said, short enough for a line."""
    if isinstance(problem, StorageUnreachableError):
        return _("no answer from %(endpoint)s (%(code)s)") % {"endpoint": settings.OSS_ENDPOINT, "code": problem.code}
    words = [str(problem.status), problem.code, problem.ec and f"EC {problem.ec}", problem.message[:300]]
    return " ".join(filter(None, words))


def storage_mend(problem: StorageError, *, permission: str = "") -> str:
    """What to do about it; ``permission`` is the RAM action that the refused call needs."""
    if isinstance(problem, StorageUnreachableError):
        return _mend_unreachable()
    if problem.ec == V1_REFUSED_EC:
        return _("the V1 signature went out: keep oss2 at the pinned version, nothing in front may sign anew.")
    if "specified endpoint" in problem.message or "region" in problem.message.lower():
        return _("the bucket lies in another region: set OSS_REGION (and OSS_ENDPOINT, if given) to the bucket's own, "
                 "as its overview page in the OSS console names it.")  # fmt: skip
    by_code = {
        "InvalidAccessKeyId": _("OSS_ACCESS_KEY_ID names no enabled key: copy it again from the RAM console."),
        "SignatureDoesNotMatch": _("OSS_ACCESS_KEY_SECRET does not belong to OSS_ACCESS_KEY_ID, or a proxy alters the "
                                   "request: copy both again."),
        "RequestTimeTooSkewed": _("this machine's clock is wrong: switch on time synchronisation (NTP)."),
        "NoSuchBucket": _("OSS_BUCKET names no bucket in this region: create it, or mend OSS_BUCKET or OSS_REGION."),
        "PublicEndpointForbidden": _("this bucket is closed on Alibaba's default host: bind an own domain (CNAME, with "
                                     "certificate) to it and set OSS_PUBLIC_ENDPOINT to it; where the server itself is "
                                     "refused set OSS_ENDPOINT too, to that domain or an internal endpoint."),
        "UserDisable": _("the Alibaba account is closed or in arrears: settle it in the console."),
        "AccessDenied": _mend_access_denied(permission),
    }  # fmt: skip
    return by_code.get(problem.code) or _("look the code up in the OSS documentation; request ID %(id)s.") % {
        "id": problem.request_id or "–"
    }


def _mend_unreachable() -> str:
    if settings.USE_SANDBOX:
        return _("the sandbox does not run: start it with \"manage.py up\" or \"manage.py sandbox\", or set "
                 "TEMPLATEGEN_SANDBOX_URL to where it listens.")  # fmt: skip
    return _("check the name in OSS_ENDPOINT (or OSS_REGION), and this machine's DNS, proxy and firewall.")


def _mend_access_denied(permission: str) -> str:
    if not permission:
        return _("the RAM user of OSS_ACCESS_KEY_ID lacks a permission on the bucket, or a bucket policy refuses it.")
    return _("give the RAM user of OSS_ACCESS_KEY_ID the permission %(permission)s on %(bucket)s and %(bucket)s/*.") % {
        "permission": permission,
        "bucket": f"acs:oss:*:*:{settings.OSS_BUCKET}",
    }


def dashscope_words(problem: DashScopeError) -> str:
    """What DashScope said, short enough for a line."""
    if isinstance(problem, RefusedError):
        return " ".join(filter(None, [str(problem.status), problem.code, problem.message[:300]]))
    where = settings.DASHSCOPE_BASE_URL
    if isinstance(problem, NeverSentError):
        return _("no connection to %(where)s (%(problem)s)") % {"where": where, "problem": problem}
    return _("no usable answer from %(where)s (%(problem)s)") % {"where": where, "problem": problem}


def dashscope_mend(problem: DashScopeError) -> str:
    """What to do about it."""
    if not isinstance(problem, RefusedError):
        if settings.USE_SANDBOX:
            return _mend_unreachable()
        return _("check DASHSCOPE_BASE_URL (https://dashscope.aliyuncs.com/api/v1), and this machine's DNS, proxy and "
                 "firewall.")  # fmt: skip
    workspace = _("DASHSCOPE_WORKSPACE names no workspace that this key may use: mend it, leave it empty, or allow the "
                  "model in that workspace.")  # fmt: skip
    billing = _('settle the bill, or switch off "free quota only", in the Model Studio console.')
    by_code = {
        "InvalidApiKey": _("DASHSCOPE_API_KEY is wrong, revoked, of another region than Beijing, or a plan key "
                           "(sk-sp-…): make one in the Beijing console of Model Studio."),
        "NOT AUTHORIZED": workspace,
        "WorkSpaceNotFound": workspace,
        "Workspace.AccessDenied": workspace,
        "AccessDenied.Unpurchased": _("activate Model Studio for this Alibaba account."),
        "Model.AccessDenied": _("allow %(model)s for this key or its workspace.") % {"model": settings.DASHSCOPE_MODEL},
        "Arrearage": billing,
        "AllocationQuota.FreeTierOnly": billing,
    }  # fmt: skip
    if problem.code in by_code:
        return by_code[problem.code]
    if problem.status == 404:
        return _("DASHSCOPE_BASE_URL points to no API: it ends in /api/v1.")
    if problem.status == 429:
        return _("too many calls at this moment: run this again in a minute.")
    return _("the key's IP allow-list, model scope or workspace may forbid it; request ID %(id)s.") % {
        "id": problem.request_id or "–"
    }
