"""The product's background work inside a test process: queued jobs and conductor passes, one after the other."""

import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from accounts.models import Account, User
from templategen import actions
from templategen.conductor import Conductor
from templategen.models import ActionTemplate
from templategen.states import WATCHED, State


def queued_packages() -> list[bytes | str]:
    """What lies in the queue, whichever broker keeps it, the oldest first."""
    if "orm" in settings.Q_CLUSTER:
        return list(OrmQ.objects.order_by("pk").values_list("payload", flat=True))
    broker = get_broker()
    return list(broker.connection.lrange(broker.list_key, 0, -1))


def empty_queue() -> None:
    """Throw away every message: Redis knows nothing of a test's transaction."""
    get_broker().purge_queue()


def _take_all() -> list[bytes | str]:
    packages = queued_packages()
    if "orm" in settings.Q_CLUSTER:
        OrmQ.objects.all().delete()
    else:
        empty_queue()
    return packages


def run_jobs() -> int:
    """Run every message that lies in the queue; how many there were."""
    packages = _take_all()
    for package in packages:
        task = SignedPackage.loads(package)
        import_string(task["func"])(*task["args"], **task["kwargs"])
    return len(packages)


class Product:
    """What runs beside the web process. Nothing is faked but time: a next look is brought forward."""

    def __init__(self) -> None:
        self.conductor = Conductor()

    def run_jobs(self) -> int:
        """Run every message that lies in the queue; how many there were."""
        return run_jobs()

    def one_round(self) -> None:
        """Jobs, a pass of the conductor (its lease is not waited for), and the jobs that it rang for."""
        self.run_jobs()
        ActionTemplate.objects.filter(state__in=WATCHED).update(next_look_at=timezone.now())
        self.conductor.lease.acquire()
        self.conductor.one_pass()
        # The first pass asks, the second records what came.
        self.conductor.finish_looks()
        self.conductor.one_pass()
        self.run_jobs()

    def run_until(self, condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
        """Round after round until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the product did not get there"
            self.one_round()
            time.sleep(0.02)

    def run_until_settled(self, template: ActionTemplate, *, seconds: float = 90.0) -> ActionTemplate:
        """Until nothing happens to it by itself any more; the fresh row."""

        def settled() -> bool:
            template.refresh_from_db()
            return template.is_settled

        self.run_until(settled, seconds=seconds)
        return template

    def upload(self, account: Account, path: Path, *, by: User | None = None, name: str = "") -> ActionTemplate:
        """A clip from disk through the product's own code, up to CHECKING."""
        with path.open("rb") as file:
            template = actions.upload_file(
                account, by=by, file=file, size_bytes=path.stat().st_size, file_name=path.name, name=name
            )
        assert template.state == State.CHECKING
        return template
