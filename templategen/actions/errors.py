"""Expected failures: each with a code, and a text for people that says what happened, why, and what to do."""

from django.utils.translation import gettext as _

from templategen.video.facts import Finding


class ActionError(Exception):
    """Something expected went wrong. ``text`` says what happened, why, and what to do, in the reader's language."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class NotPossibleError(ActionError):
    """The template is not in a state in which this can be done."""


class RefusedError(ActionError):
    """What the user gave breaks a rule; ``findings`` name it where it is about the clip."""

    def __init__(self, code: str, text: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(code, text)
        self.findings = findings


class QuotaError(ActionError):
    """The account's quota does not allow it: over a limit, or too much at once."""


class IncompleteError(ActionError):
    """Parts of the upload have not arrived: ``missing`` numbers (from 1)."""

    def __init__(self, missing: list[int]) -> None:
        super().__init__(
            "upload.incomplete",
            _("%(count)d parts of the file have not arrived yet. Continue the upload to send them.")
            % {"count": len(missing)},
        )
        self.missing = missing


class StorageTroubleError(ActionError):
    """OSS did not do what was asked."""


class ServiceTroubleError(ActionError):
    """DashScope did not do what was asked."""
