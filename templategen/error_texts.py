"""What went wrong, why, and what to do: our words for each code, whatever words the service uses.

Codes of DashScope: the API page's own table and the "Error messages" page (alibaba.md 1.3 and 5). Our own codes are
in lower case. The raw code, message and request ID stay on the row and are shown beside.
"""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from templategen.key_texts import ErrorText, own_key_text
from templategen.models import ActionTemplate
from templategen.policy import Verdict, verdict_on
from templategen.redact import redact
from templategen.states import UNREADABLE, State

__all__ = ["ErrorText", "explain", "explain_code", "known_codes", "own_key_text", "said"]

# A connection that failed is noted by its exception's name (clients/dashscope.py), which tells readers nothing.
_NO_ANSWER = frozenset({
    "ChunkedEncodingError", "ConnectTimeout", "ConnectionError", "ContentDecodingError", "ProxyError", "ReadTimeout",
    "SSLError", "Timeout",
})  # fmt: skip

_OTHER_CLIP = _("Choose another clip, or cut or film it anew, and upload it.")
_TRY_AGAIN = _("Try again; the stored video is used, nothing is uploaded a second time.")
_ADMIN = _("Nothing to do for you: it goes on by itself once the site's administrator has mended it (doctor command).")
_UNREADABLE = _("Alibaba could not fetch the video.")
_FIRST_FRAME = _("Alibaba refused the first frame.")

_MAY_BE_BILLED = _("Try again; it may be billed once more.")
_MEND_AND_TRY = _("Try again once the site's administrator has looked into it; it may be billed once more.")
_MEND_OWN = _("Try again once an owner of the account has looked into its own API key; it may be billed once more.")
_RIGHTS = ErrorText(
    _("Waiting: Alibaba refused the site's request."),
    _("The site's key lacks a right: to the model, the workspace or the application."),
    _ADMIN,
)
_NO_MODEL = ErrorText(
    _("Waiting: Alibaba does not know what was asked for."),
    _("The address, the workspace or the model's name in the site's settings is wrong, or the model is retired."),
    _ADMIN,
)
_OVERDUE = ErrorText(_("Waiting: the site's Alibaba account is overdue."), _("A bill is open at Alibaba."), _ADMIN)
_SLOWER = ErrorText(_("Alibaba asked to wait."), _("Too many requests at once."), _("It is tried again by itself."))
_INTERNAL = ErrorText(_("Alibaba failed."), _("An error inside the service."), _MAY_BE_BILLED)

_BY_CODE: dict[str, ErrorText] = {
    # --- ours ---
    "limits": ErrorText(
        _("The video breaks a limit."),
        _("Alibaba takes only videos within the limits; the findings name the values."),
        _("Mend the video as the findings say and upload it."),
    ),
    "check.storage": ErrorText(
        _("The video could not be read for the check."),
        _("The storage service did not give the bytes."),
        _("It is tried again by itself."),
    ),
    "check.given_up": ErrorText(
        _("The check was given up."),
        _("It was begun several times and never came to an end."),
        _("Try again; if it stays, convert the video to MP4 (H.264) and upload that."),
    ),
    "restored": ErrorText(
        _("The check was stopped."),
        _("The site was put back from a backup; what came of this video since then is not known here."),
        _("It may have been made, and paid for, after the backup. If you want it made again, try again."),
    ),
    "clip.gone": ErrorText(
        _("The stored video is gone."),
        _("The storage service has no such object; somebody or a lifecycle rule removed it."),
        _("Upload the video again."),
    ),
    "clip.changed": ErrorText(
        _("The stored video is not the one that was checked."),
        _("Somebody with access to the storage has put another object in its place; nothing was sent or paid for."),
        _("Upload the video again."),
    ),
    "clip.unread": ErrorText(
        _("The stored video could not be looked at before it was sent."),
        _("The storage service did not answer; nothing was sent."),
        _("It is tried again by itself."),
    ),
    "quota": ErrorText(
        _("The video is good, but the account has used up what it may make this month."),
        _("What was made, what waits and what is being made counts; the limits begin anew with the next month."),
        _(
            "Try again then, or once the site's administrators have made room: ask them. Nothing is uploaded or "
            "checked a second time."
        ),
    ),
    "suspended": ErrorText(
        _("This account is suspended."),
        _(
            "The site's administrator has stopped it. All that is stored can be seen, played and copied; "
            "nothing new is made."
        ),
        _("Ask the site's administrator."),
    ),
    "quota.tasks_at_once": ErrorText(
        _("Nothing of this account is handed over to Alibaba."),
        _("Its limit of tasks at once is 0."),
        _("Ask the site's administrator for a higher limit."),
    ),
    "storage": ErrorText(
        _("The upload could not be begun."), _("The storage service did not answer."), _("Choose the file again.")
    ),
    "dashscope.unreachable": ErrorText(
        _("Alibaba could not be reached."),
        _("No connection was made; nothing was sent."),
        _("It is tried again by itself."),
    ),
    "unconfirmed": ErrorText(
        _("It was sent to Alibaba, and no answer came."),
        _("It may have been taken, and billed, or not. It is not sent a second time blindly."),
        _("Alibaba's list of tasks is being looked through. This takes up to half an hour, and the others wait."),
    ),
    "unconfirmed.person": ErrorText(
        _("It was sent to Alibaba, no answer came, and the list of tasks does not tell."),
        _("It may have been taken, and billed, or not."),
        _(
            "Choose its task among those that were found or in Alibaba's console; or send it again (it may be paid for "
            "twice), or give it up."
        ),
    ),
    "cancel.late": ErrorText(
        _("It could not be canceled."),
        _("Alibaba had begun with it before the wish arrived; what is being made is also billed."),
        _("Wait for the result; it appears here."),
    ),
    "lost": ErrorText(
        _("Alibaba no longer knows the task."),
        _("Results are kept about 24 hours. It is asked for now and then until then; later the ID cannot be had."),
        _("Wait some hours, or try again: then it is made, and billed, once more."),
    ),
    UNREADABLE: ErrorText(
        _("Nobody could read what became of the task."),
        _("The API key that it was made with was not taken, or not readable, until Alibaba threw the result away."),
        _("It may have been billed. Try again: then it is made, and billed, once more."),
    ),
    "failed": ErrorText(
        _("Alibaba could not make the template."),
        _("It gave no reason."),
        _("Try again; if it fails again, try another clip."),
    ),
    "given_up": ErrorText(
        _("You gave it up: it was sent to Alibaba, and no answer came."),
        _("It may have been taken, and billed, or not."),
        _("Look into Alibaba's console before you try again: it may be paid for twice."),
    ),
    "no_template_id": ErrorText(
        _("Alibaba says that it is done, and gave no template ID."),
        _("It is asked for now and then for about a day; if the ID comes, it appears here."),
        _("Give the request ID to Alibaba's support before you try again: it may have been billed."),
    ),
    # --- the API page's own table ---
    "InvalidParameter": ErrorText(
        _("Alibaba refused the request."),
        _("A parameter was missing or wrong."),
        _("Report it to the site's administrator."),
    ),
    "InvalidURL.ConnectionRefused": ErrorText(
        _UNREADABLE, _("The storage address refused the connection, or its signature had run out."), _TRY_AGAIN
    ),
    "InvalidURL.Timeout": ErrorText(_UNREADABLE, _("The download took longer than 60 seconds."), _TRY_AGAIN),
    "InvalidFile.Size": ErrorText(
        _("The file is too large."),
        _("A video must be smaller than 200 MB."),
        _("Shorten or compress it and upload it."),
    ),
    "InvalidFile.Resolution": ErrorText(
        _("The picture is too small or too large."),
        _("Each side must have 200 to 2048 pixels."),
        _("Scale the video and upload it."),
    ),
    "InvalidFile.Duration": ErrorText(
        _("The video is too short or too long."), _("It must last 2 to 60 seconds."), _("Cut the video and upload it.")
    ),
    "InvalidFile.AspectRatio": ErrorText(
        _("The picture is too narrow or too wide."),
        _("The ratio must be between 1:3 and 3:1."),
        _("Crop the video and upload it."),
    ),
    "InvalidFile.FPS": ErrorText(
        _("The frame rate does not fit."),
        _("At least 24 frames a second are needed."),
        _("Export the video from its source with 24 frames a second or more."),
    ),
    "InvalidFile.Format": ErrorText(
        _("The format is not taken."),
        _("MP4, AVI or MOV with H.264 or H.265 is needed."),
        _("Convert the video to MP4 (H.264) and upload it."),
    ),
    "InvalidFile.Openerror": ErrorText(
        _("Alibaba cannot open the file as a video."),
        _("It may be damaged or use an unusual encoding."),
        _("Convert the video to MP4 (H.264) and upload it."),
    ),
    "InvalidFile.Content": ErrorText(
        _FIRST_FRAME,
        _("No person was found in it, or the person is too small or not clear."),
        _("Begin the clip where one person is seen whole, large and sharp, and upload it."),
    ),
    "InvalidFile.FullBody": ErrorText(
        _FIRST_FRAME,
        _("The person is not seen whole."),
        _("Begin the clip where one person is seen from head to foot, and upload it."),
    ),
    # --- the common page ---
    "DataInspectionFailed": ErrorText(
        _("Alibaba's content review refused the video."), _("It looks like content that is not allowed."), _OTHER_CLIP
    ),
    "InvalidParameter.DataInspection": ErrorText(_UNREADABLE, _("The content review could not load it."), _TRY_AGAIN),
    "IPInfringementSuspect": ErrorText(
        _("Alibaba's content review refused the video."), _("It may show somebody else's property."), _OTHER_CLIP
    ),
    "UnsupportedOperation": ErrorText(
        _("Alibaba refused what was asked."),
        _("The task is no longer where this could be done."),
        _("Look at its present state."),
    ),
    # --- the site's key, rights and bill: the credential is paused ---
    "InvalidApiKey": ErrorText(_("Waiting: the site's key is not taken."), _("Alibaba refused the API key."), _ADMIN),
    "NOT AUTHORIZED": _RIGHTS,
    "AccessDenied": _RIGHTS,
    "AccessDenied.Unpurchased": ErrorText(
        _("Waiting: the service is not activated."), _("Model Studio is not activated in the Alibaba account."), _ADMIN
    ),
    "Model.AccessDenied": _RIGHTS,
    "App.AccessDenied": _RIGHTS,
    "Workspace.AccessDenied": _RIGHTS,
    "ModelNotFound": _NO_MODEL,
    "model_not_supported": _NO_MODEL,
    "WorkSpaceNotFound": _NO_MODEL,
    "NotFound": _NO_MODEL,
    "Arrearage": _OVERDUE,
    "PrepaidBillOverdue": _OVERDUE,
    "PostpaidBillOverdue": _OVERDUE,
    "CommodityNotPurchased": ErrorText(
        _("Waiting: the service is not bought."), _("The Alibaba account has not bought the model's service."), _ADMIN
    ),
    "AllocationQuota.FreeTierOnly": ErrorText(
        _("Waiting: the free quota is used up."), _("The Alibaba account is set to use its free quota only."), _ADMIN
    ),
    # --- limits: the credential waits ---
    "Throttling": _SLOWER,
    "Throttling.RateQuota": _SLOWER,
    "Throttling.BurstRate": _SLOWER,
    "Throttling.AllocationQuota": _SLOWER,
    # --- the service itself ---
    "InternalError": _INTERNAL,
    "InternalError.Upload": _INTERNAL,
    "InternalError.FileUpload": _INTERNAL,
    "SystemError": _INTERNAL,
    "ModelServiceFailed": _INTERNAL,
    "ModelServingError": _INTERNAL,
    "ModelUnavailable": _INTERNAL,
    "RequestTimeOut": ErrorText(
        _("Alibaba gave up."), _("The request took too long inside the service."), _MAY_BE_BILLED
    ),
    "InternalError.Timeout": ErrorText(
        _("Alibaba gave up."), _("The task had no result within 3 hours."), _("Try again: it may be billed once more.")
    ),
    "InternalError.Algo": ErrorText(
        _("Alibaba's model failed on the video."),
        _("An error inside the service."),
        _("Try again; if it fails again, try another clip."),
    ),
}

_BY_FAMILY: list[tuple[str, ErrorText]] = [
    ("Throttling", _SLOWER),
    ("InvalidURL", ErrorText(_UNREADABLE, _("The address did not work for Alibaba."), _TRY_AGAIN)),
    ("InvalidFile", ErrorText(_("Alibaba refused the video."), _("It breaks a rule of the service."), _OTHER_CLIP)),
    ("AccessDenied", _RIGHTS),
    ("InternalError", _INTERNAL),
]
_SITE = ErrorText(
    _("Waiting: Alibaba refused the site's request."),
    _("The key, the bill or a permission of the site's Alibaba account is the cause."),
    _ADMIN,
)
_OTHER = ErrorText(
    _("Alibaba could not make the template."),
    _("The service gave the code shown in the details."),
    _("Try again; if it fails again, give the request ID to Alibaba's support."),
)


def explain(template: ActionTemplate) -> ErrorText | None:
    """The texts for a row on which something went wrong; None where nothing did."""
    if not template.error_code:
        return None
    if template.credential_id is not None and _is_of_the_key(template):
        text = own_key_text(template.error_code)
        return text if template.state != State.FAILED else ErrorText(_OTHER.what, text.why, _MEND_OWN)
    if template.state == State.FAILED and verdict_on(template.error_code) in {Verdict.PAUSE, Verdict.LATER}:
        # Said of a task that had been taken: it does not go on by itself.
        text = explain_code(template.error_code) or _SITE
        return ErrorText(_OTHER.what, text.why, _MEND_AND_TRY)
    return explain_code(template.error_code) or (_SITE if template.state == State.QUEUED else _OTHER)


def _is_of_the_key(template: ActionTemplate) -> bool:
    """Whether its own key, bill or right is the cause: as of a paused credential."""
    code = template.error_code
    unknown = template.state == State.QUEUED and explain_code(code) is None
    return unknown or code.startswith("credential.") or verdict_on(code) is Verdict.PAUSE


def explain_code(code: str) -> ErrorText | None:
    """The texts for a code, as on a paused credential; None for one that has no words of its own."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((text for family, text in _BY_FAMILY if code.startswith(family)), None)


def known_codes() -> frozenset[str]:
    """The codes that have words of their own."""
    return frozenset(_BY_CODE)


def said(message: str) -> str:
    """The message of the service or the connection as people may read it: without keys and signed URLs."""
    return gettext("no answer") if message in _NO_ANSWER else redact(message)
