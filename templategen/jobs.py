"""What django-q2 runs: ids in, one call of the pipeline. A message may come twice, late, or never."""

import logging

from django.db import DatabaseError
from django.utils import timezone

from templategen import actions, pipeline
from templategen.models import Heartbeat

logger = logging.getLogger(__name__)


def check(*, template_pk: int) -> None:
    """Check an uploaded clip."""
    pipeline.check(template_pk=template_pk)


def launch(*, template_pk: int, token: str) -> None:
    """Submit a claimed template."""
    pipeline.launch(template_pk=template_pk, token=token)


def cancel(*, template_pk: int) -> None:
    """Cancel a task that somebody wanted stopped while its submit was under way."""
    actions.carry_out_cancel(template_pk=template_pk)


def heartbeat() -> None:
    """Show the pages and the doctor that some queue runs tasks. The worker command watches its own by ``pulse.py``."""
    try:
        Heartbeat.objects.update_or_create(name="queue", defaults={"at": timezone.now()})
    except DatabaseError as problem:
        # It comes again in a few seconds, and a failure would be kept in a row of its own.
        logger.warning("heartbeat not written", extra={"problem": type(problem).__name__})
