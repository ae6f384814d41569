"""Places in line and expected times, reckoned from this site's past."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from templategen import credential_status, estimates, turns
from templategen.states import State
from tests.factories import make_template

NOW = timezone.now()
MINUTES = [timedelta(minutes=n) for n in range(40)]


@pytest.fixture
def accounts(db):
    return [Account.objects.create(name=slug, slug=slug) for slug in ("a", "b")]


def past(account: Account, minutes: int) -> None:
    """Templates of this site took so long."""
    for _ in range(3):
        began = NOW - timedelta(hours=2)
        end = began + MINUTES[minutes]
        make_template(account, State.READY, sent_at=began, running_at=began, ended_at=end, ready_at=end)
    estimates.forget()


def queue(account: Account, count: int, *, minutes_ago: int = 30):
    since = NOW - MINUTES[minutes_ago]
    return [make_template(account, State.QUEUED, queued_at=since + timedelta(seconds=n)) for n in range(count)]


def starts(rows) -> list[float | None]:
    """Minutes from now, in the order of ``rows``."""
    places = estimates.place_in_line(rows, now=NOW)
    found = [places[row.pk].expected_start for row in rows]
    return [(start - NOW) / timedelta(minutes=1) if start else None for start in found]


def test_before_the_first_template_nothing_is_expected(accounts):
    rows = queue(accounts[0], 2)
    places = estimates.place_in_line(rows, now=NOW)
    assert [(places[row.pk].number, places[row.pk].of) for row in rows] == [(1, 2), (2, 2)]
    assert starts(rows) == [None, None]


def test_one_after_the_other(accounts):
    past(accounts[0], 4)
    rows = queue(accounts[0], 3)
    assert starts(rows) == [0, 4, 8]
    place = estimates.place_in_line(rows, now=NOW)[rows[2].pk]
    assert place.expected_ready == NOW + MINUTES[12]


def test_what_runs_now_is_waited_for(accounts):
    past(accounts[0], 4)
    running = make_template(accounts[0], State.RUNNING, sent_at=NOW, claimed_at=NOW, running_at=NOW - MINUTES[1])
    rows = queue(accounts[0], 2)
    assert starts(rows) == [3, 7]
    place = estimates.place_in_line([running], now=NOW)[running.pk]
    assert (place.number, place.of) == (0, 0)
    assert (place.expected_start, place.expected_ready) == (NOW - MINUTES[1], NOW + MINUTES[3])


def test_one_that_takes_longer_than_usual_is_expected_at_any_moment(accounts):
    past(accounts[0], 4)
    running = make_template(accounts[0], State.RUNNING, sent_at=NOW, claimed_at=NOW, running_at=NOW - MINUTES[9])
    rows = queue(accounts[0], 1)
    assert starts(rows) == [0]
    assert estimates.place_in_line([running], now=NOW)[running.pk].expected_ready == NOW - MINUTES[5]


def test_others_turns_count_in_the_time_and_not_in_the_place(accounts):
    past(accounts[0], 4)
    mine, theirs = queue(accounts[0], 3), queue(accounts[1], 2, minutes_ago=29)
    assert starts(mine) == [0, 8, 16]
    assert starts(theirs) == [4, 12]
    assert estimates.place_in_line(mine, now=NOW)[mine[2].pk].of == 3
    # Served just now: the other one comes first.
    turns.serve(accounts[0].pk, now=NOW)
    assert starts(mine) == [4, 12, 16]


def test_more_slots_more_at_once(accounts, settings):
    settings.DASHSCOPE_SLOTS = 2
    past(accounts[0], 4)
    make_template(accounts[0], State.RUNNING, sent_at=NOW, claimed_at=NOW, running_at=NOW - MINUTES[1])
    assert starts(queue(accounts[0], 4)) == [0, 3, 4, 7]


def test_those_in_alibabas_line_come_before(accounts, settings):
    settings.DASHSCOPE_PENDING = 1
    past(accounts[0], 4)
    make_template(accounts[0], State.RUNNING, sent_at=NOW, claimed_at=NOW - MINUTES[2], running_at=NOW - MINUTES[2])
    pending = make_template(accounts[0], State.PENDING, sent_at=NOW, claimed_at=NOW)
    assert starts([pending, *queue(accounts[0], 1)]) == [2, 6]


def test_while_the_credential_is_paused_nothing_is_expected(accounts):
    past(accounts[0], 4)
    rows = queue(accounts[0], 1)
    credential_status.pause(None, code="Arrearage", message="")
    assert starts(rows) == [None]


def test_the_number_of_queries_is_the_same_for_many(accounts, django_assert_max_num_queries):
    past(accounts[0], 4)
    rows = queue(accounts[0], 12)
    make_template(accounts[1], State.RUNNING, sent_at=NOW, claimed_at=NOW)
    estimates.run_time()
    with django_assert_max_num_queries(4):
        assert len(estimates.place_in_line(rows, now=NOW)) == 12


def test_settled_ones_have_no_place(accounts):
    ready = make_template(accounts[0], State.READY)
    assert estimates.place_in_line([ready], now=NOW) == {}
