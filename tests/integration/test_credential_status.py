"""Holds and pauses of a credential: nothing that is older, or less, ends them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from templategen import credential_status

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def status(db):
    """The site's, read anew at each call."""
    return lambda: credential_status.status_of(None)


@pytest.mark.parametrize(
    ("hold", "name"),
    [
        (credential_status.hold_submits, "submits_held_until"),
        (credential_status.hold_looks, "looks_held_until"),
    ],
)
def test_a_second_refusal_never_shortens_the_wait_that_the_first_asked_for(status, hold, name):
    hold(None, retry_after=3600)
    hold(None, retry_after=None)
    assert getattr(status(), name) > timezone.now() + 0.9 * HOUR
    assert status().throttles == 2


def test_a_longer_wait_takes_the_place_of_a_shorter(status):
    credential_status.hold_submits(None, retry_after=5)
    credential_status.hold_submits(None, retry_after=600)
    assert status().submits_held_until > timezone.now() + timedelta(minutes=9)


def test_a_call_that_began_before_the_refusal_and_went_well_does_not_end_the_wait(status):
    begun = timezone.now() - SECOND
    credential_status.hold_submits(None, retry_after=3600)
    credential_status.went_well(None, begun_at=begun)
    assert not credential_status.may_submit(status(), now=timezone.now())
    assert status().throttles == 1
    credential_status.went_well(None, begun_at=timezone.now() + SECOND)
    assert credential_status.may_submit(status(), now=timezone.now())
    assert status().throttles == 0


def test_a_call_that_began_before_the_pause_and_went_well_does_not_resume(status):
    begun = timezone.now() - SECOND
    credential_status.pause(None, code="Arrearage", message="")
    credential_status.went_well(None, begun_at=begun)
    assert [row.pause_code for row in credential_status.paused()] == ["Arrearage"]
    credential_status.went_well(None, begun_at=timezone.now() + SECOND)
    assert credential_status.paused() == []


def test_a_try_that_goes_well_resumes_but_leaves_a_wait_that_came_after_it(status):
    credential_status.pause(None, code="Arrearage", message="")
    begun = timezone.now()
    credential_status.hold_looks(None, retry_after=600)
    credential_status.went_well(None, begun_at=begun)
    assert credential_status.paused() == []
    assert status().looks_held_until > timezone.now()


def test_a_wait_longer_than_any_answer_asks_for_was_written_by_a_wrong_clock(status):
    row = status()
    row.submits_held_until = row.looks_held_until = timezone.now() + 30 * HOUR
    row.save()
    assert credential_status.may_submit(row, now=timezone.now())
    assert not credential_status.is_held(row.looks_held_until, now=timezone.now())
    credential_status.hold_submits(None, retry_after=600)
    assert status().submits_held_until < timezone.now() + HOUR
    assert not credential_status.may_submit(status(), now=timezone.now())


def test_a_try_that_a_wrong_clock_put_off_for_long_is_due(status):
    credential_status.pause(None, code="Arrearage", message="")
    row = status()
    row.probe_at = timezone.now() + 30 * HOUR
    row.save()
    assert credential_status.may_submit(status(), now=timezone.now())
    assert credential_status.begin_probe(status(), now=timezone.now())
    assert not credential_status.may_submit(status(), now=timezone.now())
