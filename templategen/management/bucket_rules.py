"""The two rules the bucket needs: browsers may send parts to it, and unfinished uploads are thrown away.

Other people's rules stay, behind ours: OSS takes the first CORS rule that fits. Lifecycle rules are known as ours by
their ID; CORS rules have none, so a rule is ours when it names no origins but this site's.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from templategen.clients.storage import Storage, abort_unfinished_rule, browser_cors_rule

MOST_CORS_RULES = 10
OUR_PREFIX = "templategen-"


class TooManyRulesError(Exception):
    """The bucket has no room for one more CORS rule."""


def site_origins() -> list[str]:
    """Origins whose pages may talk to the bucket, as a browser writes them: the site's own and the trusted ones."""
    parts = [urlsplit(url) for url in (settings.SITE_URL, *settings.CSRF_TRUSTED_ORIGINS)]
    return sorted({f"{part.scheme}://{part.netloc}" for part in parts if part.netloc})


def apply_rules(storage: Storage, *, origins: Sequence[str], keep_others: bool = True) -> list[str]:
    """Set what is missing or different; what changed, in words. Nothing is written where nothing has to change.

    ``keep_others=False`` makes the site's the only CORS rule (the sandbox's bucket is nobody else's). Raises
    StorageError, TooManyRulesError.
    """
    return [*_apply_cors(storage, list(origins), keep_others=keep_others), *_apply_lifecycle(storage)]


def has_abort_rule(rules: Sequence[Any]) -> bool:
    """Whether an enabled rule for the whole bucket throws unfinished uploads away."""
    return any(
        rule.status == rule.ENABLED and not rule.prefix and rule.abort_multipart_upload is not None for rule in rules
    )


def _apply_cors(storage: Storage, origins: list[str], *, keep_others: bool) -> list[str]:
    old = storage.get_cors()
    others = [rule for rule in old if not set(rule.allowed_origins) <= set(origins)] if keep_others else []
    new = [browser_cors_rule(origins), *others]
    if [_cors_words(rule) for rule in new] == [_cors_words(rule) for rule in old]:
        return []
    if len(new) > MOST_CORS_RULES:
        raise TooManyRulesError(
            _("The bucket has %(count)d CORS rules already, the most OSS takes. Delete one that is no longer needed.")
            % {"count": len(others)}
        )
    storage.set_cors(new)
    return [
        ngettext(
            "CORS: PUT and GET allowed from %(origins)s; %(count)d other rule kept.",
            "CORS: PUT and GET allowed from %(origins)s; %(count)d other rules kept.",
            len(others),
        )
        % {"origins": ", ".join(origins), "count": len(others)}
    ]


def _cors_words(rule: Any) -> tuple[Any, ...]:
    return (
        sorted(rule.allowed_origins),
        sorted(rule.allowed_methods),
        sorted(rule.allowed_headers),
        sorted(rule.expose_headers),
        rule.max_age_seconds,
    )


def _apply_lifecycle(storage: Storage) -> list[str]:
    rule = abort_unfinished_rule(days=settings.UPLOAD_DAYS)
    old = storage.get_lifecycle()
    others = [other for other in old if not str(other.id).startswith(OUR_PREFIX)]
    ours = [other for other in old if str(other.id).startswith(OUR_PREFIX)]
    if [_lifecycle_words(other) for other in ours] == [_lifecycle_words(rule)]:
        return []
    storage.set_lifecycle([*others, rule])
    return [
        _("Lifecycle: days until an unfinished upload is thrown away: %(days)d.") % {"days": settings.UPLOAD_DAYS}
        + " "
        + ngettext("%(count)d other rule kept.", "%(count)d other rules kept.", len(others)) % {"count": len(others)}
    ]


def _lifecycle_words(rule: Any) -> tuple[Any, ...]:
    abort = rule.abort_multipart_upload
    return (rule.id, rule.prefix or "", rule.status, abort.days if abort else None, bool(rule.expiration))
