"""What pages need beyond Django's own tags: icons, states in words and pictures, lengths, messages with Undo."""

from django import template
from django.contrib.messages.storage.base import Message
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

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


@register.simple_tag
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
