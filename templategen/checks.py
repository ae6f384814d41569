"""System checks: what can be wrong with the settings, each with an id and a way out."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from accounts import limits

SEVEN_DAYS = 7 * 24 * 3600
# What the columns of limits hold; bytes a hundred times of which are still a number of the database's; days.
_INTEGER, _MOST_BYTES, _CENTURY = 2**31 - 1, 10**16, 36_500


@register()
def alibaba_is_configured_whole(**_: Any) -> Sequence[CheckMessage]:
    """Both services or neither: the real DashScope cannot fetch a clip from the sandbox on this machine."""
    names = ("DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET")
    missing = [name for name in names if not getattr(settings, name)]
    if not missing:
        return []
    return [
        Error(
            f"Alibaba is configured in part: {', '.join(missing)} missing.",
            hint="Set all of " + ", ".join(names) + ", or none of them to use the sandbox.",
            id="templategen.E001",
        )
    ]


@register()
def region_is_set(**_: Any) -> Sequence[CheckMessage]:
    """Without a region oss2 signs V4 URLs that fail only in the browser (alibaba.md 9.1)."""
    if settings.OSS_REGION:
        return []
    return [
        Error("OSS_REGION is empty.", hint="Set it to the bucket's region, e.g. cn-beijing.", id="templategen.E002")
    ]


@register()
def url_lives_are_possible(**_: Any) -> Sequence[CheckMessage]:
    """OSS refuses a V4 URL that lives longer than 7 days (EC 0002-00000232); shorter than a minute is of no use."""
    names = ("PART_URL_SECONDS", "MEDIA_URL_SECONDS", "TASK_URL_SECONDS")
    return [
        Error(f"{name} is {value}.", hint="Choose 60 to 604800 seconds.", id="templategen.E003")
        for name in names
        if not 60 <= (value := getattr(settings, name)) <= SEVEN_DAYS
    ]


@register()
def queue_repeats_nothing(**_: Any) -> Sequence[CheckMessage]:
    """A queue that repeats by itself would start work twice; repetition is decided on our rows."""
    queue = settings.Q_CLUSTER
    if queue["workers"] < 1:
        return [Error("WORKERS is below 1.", hint="Choose 1 or more.", id="templategen.E006")]
    found: list[CheckMessage] = []
    longest_wait = queue["timeout"] * (1 + queue["queue_limit"] / queue["workers"]) + 3
    if queue["retry"] <= longest_wait:
        found.append(
            Error(
                "Q_CLUSTER: retry must exceed timeout and the wait in the internal queue.",
                hint=f"Choose more than {longest_wait:.0f}.",
                id="templategen.E004",
            )
        )
    if queue["max_attempts"] != 1 or not queue["ack_failures"]:
        found.append(
            Error(
                "Q_CLUSTER: max_attempts must be 1 and ack_failures True.",
                hint="See docs/decisions.",
                id="templategen.E005",
            )
        )
    return found


@register()
def numbers_make_sense(**_: Any) -> Sequence[CheckMessage]:
    """With less nothing would ever be sent, or every upload be thrown away at once; what no counter holds would turn
    every upload, or every look at the usage, into an error."""
    ranges: dict[str, tuple[int, int | None]] = {
        "DASHSCOPE_SLOTS": (1, None),
        "DASHSCOPE_TIMEOUT_SECONDS": (1, None),
        "DASHSCOPE_PENDING": (0, None),
        "DASHSCOPE_QUERIES_PER_SECOND": (0, None),
        "DASHSCOPE_CONNECTIONS": (1, None),
        "UNFINISHED_UPLOADS": (1, _INTEGER),
        "UPLOAD_DAYS": (1, _CENTURY),
        "TRASH_DAYS": (0, _CENTURY),
        "INVITATION_DAYS": (1, None),
        "SIGN_IN_LIMIT": (1, None),
        "SIGN_IN_ADDRESS_LIMIT": (1, None),
        "SIGN_IN_LOCK_SECONDS": (1, None),
        "TEMPLATEGEN_PROXIES": (1, None),
        "QUOTA_TEMPLATES_PER_MONTH": (0, _INTEGER),
        "QUOTA_SECONDS_PER_MONTH": (0, _INTEGER),
        "QUOTA_TASKS_AT_ONCE": (0, _INTEGER),
        "QUOTA_STORAGE_BYTES": (0, _MOST_BYTES),
    }
    called = {"SIGN_IN_LIMIT": "AXES_FAILURE_LIMIT", "TEMPLATEGEN_PROXIES": "PROXIES"}
    found: list[CheckMessage] = []
    for name, (least, most) in ranges.items():
        value = getattr(settings, called.get(name, name))
        # None: no limit.
        if value is not None and (value < least or (most is not None and value > most)):
            hint = f"Choose {least} or more." if most is None else f"Choose {least} to {most}, or leave it out."
            found.append(Error(f"{name} is {value}.", hint=hint, id="templategen.E007"))
    return found


@register()
def limits_can_be_read(**_: Any) -> Sequence[CheckMessage]:
    """A limit that cannot be read would turn every request that it counts into an error."""
    return [
        Error(
            f"LIMIT_{name.upper()} is {text!r}.",
            hint="Write times/seconds, such as 20/3600, or nothing for no limit.",
            id="templategen.E009",
        )
        for name, text in settings.LIMITS.items()
        if not _is_rate(text)
    ]


def _is_rate(text: str) -> bool:
    try:
        limits.parse(text)
    except ValueError:
        return False
    return True


@register()
def keys_can_be_sent(**_: Any) -> Sequence[CheckMessage]:
    """A key travels in a header: printable ASCII without spaces. The value itself is not shown."""
    names = ("DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "DASHSCOPE_WORKSPACE")
    return [
        Error(f"{name} has a space or a character that no key has.", hint="Copy it again.", id="templategen.E008")
        for name in names
        if not all("!" <= character <= "~" for character in getattr(settings, name))
    ]


@register()
def https_is_told(**_: Any) -> Sequence[CheckMessage]:
    """The web process speaks plain http: only a proxy's word tells it that a request came by https."""
    if not settings.SITE_URL.startswith("https://") or settings.BEHIND_PROXY:
        return []
    return [
        CheckWarning(
            "TEMPLATEGEN_SITE_URL is https, and no proxy is trusted: http is not redirected to it.",
            hint="Set TEMPLATEGEN_BEHIND_PROXY=1 where a proxy sets X-Forwarded-Proto.",
            id="templategen.W002",
        )
    ]


@register(deploy=True)
def staff_give_a_code(**_: Any) -> Sequence[CheckMessage]:
    """Who administers sees every account: a password alone is little."""
    if settings.TWO_STEP_FOR_STAFF or settings.USE_SANDBOX:
        return []
    return [
        CheckWarning(
            "TWO_STEP_FOR_STAFF is off: staff administer with a password alone.",
            hint="Leave it out, or set TWO_STEP_FOR_STAFF=1.",
            id="templategen.W003",
        )
    ]


@register(deploy=True)
def hosts_are_named(**_: Any) -> Sequence[CheckMessage]:
    """Under any name at all a page can be asked for by a foreign site that points its own name here."""
    open_to = [host for host in settings.ALLOWED_HOSTS if host.startswith(("*", ".")) and host.count(".") < 2]
    if not open_to:
        return []
    return [
        CheckWarning(
            f"ALLOWED_HOSTS has {', '.join(open_to)}: the site answers under names that are not its own.",
            hint="Name each host; the one of TEMPLATEGEN_SITE_URL is always allowed.",
            id="templategen.W005",
        )
    ]


@register(deploy=True)
def mails_are_sent(**_: Any) -> Sequence[CheckMessage]:
    """A mail has a link that lets somebody in: in a log it lies open to whoever reads the log."""
    if not settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        return []
    return [
        CheckWarning(
            "No EMAIL_URL: mails, and with them links that let people in, are written to the log.",
            hint="Set EMAIL_URL, such as smtp+tls://user:password@host:587.",
            id="templategen.W004",
        )
    ]


@register(deploy=True)
def production_has_no_sandbox(**_: Any) -> Sequence[CheckMessage]:
    """The sandbox makes template IDs that no model takes."""
    if not settings.USE_SANDBOX:
        return []
    return [
        CheckWarning(
            "No credentials: templates are made by the sandbox.", hint="See the README.", id="templategen.W001"
        )
    ]
