"""One holder at a time: by threads, by time, and after a holder that vanished."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from templategen.conductor import Conductor
from templategen.lease import LeaseHolder
from templategen.pipeline_models import Lease


@pytest.mark.django_db
def test_the_first_has_it_and_the_second_waits():
    first, second = LeaseHolder("x"), LeaseHolder("x")
    assert first.acquire()
    assert not second.acquire()
    assert first.acquire()
    assert first.renew()


@pytest.mark.django_db
def test_a_holder_that_vanished_loses_it_by_time_alone():
    first, second = LeaseHolder("x"), LeaseHolder("x")
    first.acquire()
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert second.acquire()
    assert not first.renew()
    assert Lease.objects.get().epoch == 2


@pytest.mark.django_db
def test_a_released_lease_is_free_at_once():
    first, second = LeaseHolder("x"), LeaseHolder("x")
    first.acquire()
    first.release()
    assert second.acquire()


@pytest.mark.django_db(transaction=True)
def test_of_many_that_want_it_one_gets_it():
    won, ready = [], threading.Barrier(6)

    def want() -> None:
        holder = LeaseHolder("x")
        ready.wait(timeout=60)
        if holder.acquire():
            won.append(holder.owner)
        connection.close()

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(won) == 1


@pytest.mark.django_db(transaction=True)
def test_a_conductor_without_the_lease_does_nothing_and_stops_when_told():
    LeaseHolder("conductor").acquire()
    stop = threading.Event()
    conductor = Conductor()

    def run() -> None:
        conductor.run(stop)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert Lease.objects.get().owner != conductor.lease.owner
