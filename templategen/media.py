"""Short-lived signed addresses of clips and posters. Whoever calls has checked whose they are (access.py)."""

from django.conf import settings

from templategen.clients.build import storage
from templategen.models import ActionTemplate


def clip_url(template: ActionTemplate, *, download: bool = False) -> str:
    """Where the clip can be played, or fetched under its file name; empty before it is stored."""
    clip = template.clip
    if clip.stored_at is None:
        return ""
    file_name = clip.file_name if download else ""
    return storage().sign_get(clip.object_key, seconds=settings.MEDIA_URL_SECONDS, file_name=file_name)


def poster_url(template: ActionTemplate) -> str:
    """The first frame as WebP; empty where there is none."""
    key = template.clip.poster_key
    return storage().sign_get(key, seconds=settings.MEDIA_URL_SECONDS) if key else ""
