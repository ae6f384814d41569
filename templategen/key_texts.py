"""What is wrong with an API key that an account brought itself, in words: codes as in error_texts.py."""

from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True)
class ErrorText:
    """Three short sentences."""

    what: Text
    why: Text
    fix: Text


_MEND = _("An owner of the account mends it in Alibaba's console, or enters another key; then it goes on by itself.")
_ANEW = _("An owner of the account enters the key anew, or removes it; then it goes on by itself.")

_RIGHTS = ErrorText(
    _("Alibaba refused a request with the account's own API key."),
    _("The key lacks a right: to the model, the workspace or the application."),
    _MEND,
)
_NO_MODEL = ErrorText(
    _("Alibaba does not know what was asked for with the account's own API key."),
    _("The address, the workspace or the model is not there for this key. AnimateAnyone is in Beijing only."),
    _ANEW,
)
_OVERDUE = ErrorText(
    _("The Alibaba account of the account's own API key is overdue."), _("A bill is open at Alibaba."), _MEND
)
_OTHER = ErrorText(
    _("Alibaba refused a request with the account's own API key."),
    _("The key, the bill or a permission of its Alibaba account is the cause."),
    _MEND,
)
_BY_CODE: dict[str, ErrorText] = {
    "credential.unreadable": ErrorText(
        _("The account's own API key cannot be read."),
        _("It is stored encrypted, and the site's present encryption keys do not open it."),
        _("An owner of the account enters the key anew, or whoever runs the site puts the former encryption key back."),
    ),
    "credential.address": ErrorText(
        _("The address of the account's own API key is not allowed."),
        _("This site calls only the hosts that its settings name."),
        _ANEW,
    ),
    "InvalidApiKey": ErrorText(
        _("Alibaba does not take the account's own API key."),
        _("It is mistyped, deleted, or of another region than Beijing."),
        _ANEW,
    ),
    "AccessDenied.Unpurchased": ErrorText(
        _("The service is not activated for the account's own API key."),
        _("Model Studio is not activated in its Alibaba account."),
        _MEND,
    ),
    "ModelNotFound": _NO_MODEL,
    "model_not_supported": _NO_MODEL,
    "WorkSpaceNotFound": _NO_MODEL,
    "NotFound": _NO_MODEL,
    "Arrearage": _OVERDUE,
    "PrepaidBillOverdue": _OVERDUE,
    "PostpaidBillOverdue": _OVERDUE,
    "CommodityNotPurchased": ErrorText(
        _("The service is not bought for the account's own API key."),
        _("Its Alibaba account has not bought the model's service."),
        _MEND,
    ),
    "AllocationQuota.FreeTierOnly": ErrorText(
        _("The free quota of the account's own API key is used up."),
        _("Its Alibaba account is set to use its free quota only."),
        _MEND,
    ),
}
_UNKNOWN_IN_SANDBOX = ErrorText(
    _("The sandbox does not take the account's own API key."),
    _("It takes only its own keys: the site's, and those that it was started with (--api-key)."),
    _ANEW,
)
_RIGHTS_CODES = ("NOT AUTHORIZED", "AccessDenied", "Model.AccessDenied", "App.AccessDenied", "Workspace.AccessDenied")


def own_key_text(code: str) -> ErrorText:
    """The texts for a code for which a key is paused or refused."""
    if settings.USE_SANDBOX and code == "InvalidApiKey":
        return _UNKNOWN_IN_SANDBOX
    return _BY_CODE.get(code) or (_RIGHTS if code.startswith(_RIGHTS_CODES) else _OTHER)
