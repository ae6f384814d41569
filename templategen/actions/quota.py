"""What is said where the account's quota does not allow something: what ran out, the limit, and what to do."""

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from accounts.ledger import OverLimitError, What, month_after, month_of
from accounts.sizes import size_in_words
from templategen.actions.errors import QuotaError


def over_quota(problem: OverLimitError) -> QuotaError:
    """The ledger's refusal in words."""
    code = f"quota.{problem.what}"
    if problem.what == What.STORAGE:
        return QuotaError(
            code,
            _("The account's storage is full: its limit is %(limit)s, and uploads under way count with it. Delete "
              "templates that nobody needs (their videos are removed %(days)d days later), or ask the site's "
              "administrators for more room.")
            % {"limit": size_in_words(problem.limit), "days": settings.TRASH_DAYS},
        )  # fmt: skip
    values = {
        "limit": number_format(problem.limit, force_grouping=True),
        "date": date_format(month_after(month_of(timezone.now())), "DATE_FORMAT"),
    }
    if problem.what == What.TEMPLATES:
        text = _(
            "This month's templates are used up: the account's limit is %(limit)s, and those that wait or are being "
            "made count with it. A new month begins on %(date)s. Try again then, or ask the site's administrators for "
            "more; all that is stored stays as it is."
        )
    else:
        text = _(
            "This month's seconds of video are used up, or too few are left for this one: the account's limit is "
            "%(limit)s, and what waits or is being made counts with it. A new month begins on %(date)s. Try again "
            "then, or ask the site's administrators for more; all that is stored stays as it is."
        )
    return QuotaError(code, text % values)
