"""What django-q2 runs: ids in, one call of the pipeline. A message may come twice, late, or never."""

from django.utils import timezone

from templategen import pipeline
from templategen.models import Heartbeat


def check(*, template_pk: int) -> None:
    """Check an uploaded clip."""
    pipeline.check(template_pk=template_pk)


def launch(*, template_pk: int, token: str) -> None:
    """Submit a claimed template."""
    pipeline.launch(template_pk=template_pk, token=token)


def heartbeat() -> None:
    """Show that the queue runs tasks: the worker command watches for it."""
    Heartbeat.objects.update_or_create(name="queue", defaults={"at": timezone.now()})
