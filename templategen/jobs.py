"""What django-q2 runs: ids in, one call of the pipeline. A message may come twice, late, or never."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError
from django.utils import timezone

from templategen import actions, key_mails, logs, pipeline, quota_mails
from templategen.models import ActionTemplate
from templategen.pipeline_models import Heartbeat

logger = logging.getLogger(__name__)


@contextmanager
def _about(job: str, template_pk: int) -> Iterator[None]:
    """Every log line of the job says which template it is about; so does the one that it failed."""
    template = ActionTemplate.objects.filter(pk=template_pk).values_list("public_id", flat=True).first()
    with logs.about(job=job, template=template):
        try:
            yield
        except Exception:
            logger.exception("job failed")
            raise


def check(*, template_pk: int) -> None:
    """Check an uploaded clip."""
    with _about("check", template_pk):
        pipeline.check(template_pk=template_pk)


def launch(*, template_pk: int, token: str) -> None:
    """Submit a claimed template."""
    with _about("launch", template_pk):
        pipeline.launch(template_pk=template_pk, token=token)


def cancel(*, template_pk: int) -> None:
    """Cancel a task that somebody wanted stopped while its submit was under way."""
    with _about("cancel", template_pk):
        actions.carry_out_cancel(template_pk=template_pk)


def tell_owners(*, account_pk: int, percent: int) -> None:
    """Write to an account's owners how near its limits it is."""
    quota_mails.tell_owners(account_pk, percent=percent)


def tell_of_pause(*, credential_pk: int) -> None:
    """Write to an account's owners that its own key is paused."""
    key_mails.tell_owners(credential_pk)


def heartbeat() -> None:
    """Show the pages and the doctor that some queue runs tasks. The worker command watches its own by ``pulse.py``."""
    try:
        Heartbeat.objects.update_or_create(name="queue", defaults={"at": timezone.now()})
    except DatabaseError as problem:
        # It comes again in a few seconds, and a failure would be kept in a row of its own.
        logger.warning("heartbeat not written", extra={"problem": type(problem).__name__})
