"""What pages need beyond Django's own tags: icons, states in words and pictures, lengths, messages with Undo."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.contrib.messages.storage.base import Message
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.sizes import size_in_words
from templategen import finding_texts
from templategen.states import State

register = template.Library()

# Icon and tone of every state. The word beside them is the state's label: neither stands alone.
LOOK: dict[State, tuple[str, str]] = {
    State.UPLOADING: ("upload", "busy"),
    State.CHECKING: ("search", "busy"),
    State.BLOCKED: ("blocked", "warn"),
    State.QUEUED: ("waiting", "calm"),
    State.SUBMITTING: ("working", "busy"),
    State.UNCONFIRMED: ("lost", "warn"),
    State.PENDING: ("waiting", "busy"),
    State.RUNNING: ("working", "busy"),
    State.READY: ("ready", "good"),
    State.FAILED: ("failed", "bad"),
    State.LOST: ("lost", "bad"),
    State.CANCELED: ("canceled", "calm"),
}
_GROUP_ICONS = {
    "waiting": "waiting",
    "making": "working",
    "ready": "ready",
    "attention": "blocked",
    "canceled": "canceled",
}
# Verdicts of the check: icon, tone, word.
_VERDICTS = {
    "pass": ("check", "good", gettext_lazy("Passed")),
    "warn": ("info", "warn", gettext_lazy("Look")),
    "fail": ("cross", "bad", pgettext_lazy("verdict", "Failed")),
}
# What a state means where nothing went wrong: the way out of it, in one sentence.
_SENTENCES = {
    State.CHECKING: gettext_lazy("The video is read and held against Alibaba's limits. This takes some seconds."),
    State.QUEUED: gettext_lazy("It waits until Alibaba has finished the one before: one template is made at a time."),
    State.SUBMITTING: gettext_lazy("It is being handed over to Alibaba."),
    State.UNCONFIRMED: gettext_lazy("It was sent, and no answer came. Alibaba's task list is being looked through."),
    State.PENDING: gettext_lazy("Alibaba has it in its line. It can still be canceled."),
    State.RUNNING: gettext_lazy("Alibaba makes it. This takes some minutes; you may close this page."),
    State.READY: gettext_lazy("The template ID can be used."),
    State.CANCELED: gettext_lazy("Nothing was paid for. It can be tried again with the same video."),
}
_CODECS = {"h264": "H.264", "hevc": "H.265", "mpeg4": "MPEG-4"}


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, classes: str = "") -> SafeString:
    """A picture from the sprite, hidden from screen readers: words stand beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def state_badge(state: str) -> SafeString:
    """A state as a word and an icon."""
    picture, tone = LOOK[State(state)]
    turning = "icon-turning" if picture == "working" else ""
    return format_html('<span class="badge tone-{}">{}{}</span>', tone, icon(picture, turning), State(state).label)


@register.simple_tag
def group_icon(key: str) -> SafeString:
    """The picture of a group of states."""
    return icon(_GROUP_ICONS[key])


@register.simple_tag
def verdict_badge(verdict: str) -> SafeString:
    """A verdict of the check as a word and an icon."""
    picture, tone, word = _VERDICTS[verdict]
    return format_html('<span class="badge tone-{}">{}{}</span>', tone, icon(picture), word)


@register.simple_tag
def when(moment: datetime) -> SafeString:
    """A time, in the site's zone until times.js shows it in the reader's own."""
    local = timezone.localtime(moment)
    return format_html(
        '<time class="soft" datetime="{}">{} {}</time>',
        moment.isoformat(),
        date_format(local, "SHORT_DATETIME_FORMAT"),
        local.tzname(),
    )


@register.filter
def grouped(value: int) -> str:
    """A whole number with its thousands apart."""
    return number_format(value, decimal_pos=0, use_l10n=True, force_grouping=True)


@register.filter
def size(value: int) -> str:
    """A number of bytes in words."""
    return size_in_words(value)


@register.filter
def state_sentence(state: str) -> str:
    """What the state means for whoever waits; empty where the explanation of what went wrong stands instead."""
    return str(_SENTENCES.get(State(state), ""))


@register.filter
def codec_name(codec: str) -> str:
    """A codec as people call it."""
    return _CODECS.get(codec, codec)


@register.filter
def video_ratio(ratio: str) -> str:
    """What the service calls the picture's shape; only its usual word is translated."""
    return _("standard ratio") if ratio == "standard" else ratio


@register.filter
def add_text(start: str, end: object) -> str:
    """Two texts as one: ids of elements are made so."""
    return f"{start}{end}"


@register.filter
def seconds(value: float | None) -> str:
    """A length: ``12.3 s``, from a minute on ``2:19``; empty when it is not known."""
    if value is None:
        return ""
    if value < 59.95:
        return _("%(seconds).1f s") % {"seconds": value}
    whole = round(value)
    return f"{whole // 60}:{whole % 60:02d}"


@register.filter
def undo_action(message: Message) -> str:
    """The address that takes back what the message reports, or nothing (``extra_tags="undo /address/"``)."""
    word, _space, address = (message.extra_tags or "").partition(" ")
    return address if word == "undo" else ""


@register.filter
def frame_rate(value: float) -> str:
    """As the check's findings say it."""
    return finding_texts.frame_rate(value)
