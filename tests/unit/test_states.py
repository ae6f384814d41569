"""The table of moves, and the move itself."""

import itertools
import threading

import pytest
from django.db import IntegrityError, connection, transaction

from templategen.models import ActionTemplate, Event
from templategen.states import CANCELABLE, MOVES, RETRYABLE, SETTLED, IllegalMoveError, State, require_legal
from tests.factories import make_template
from tests.people import account_of, make_person


def test_every_state_has_its_moves_and_only_ready_is_an_end():
    assert set(MOVES) == set(State)
    assert [state for state in State if not MOVES[state]] == [State.READY]


@pytest.mark.parametrize(("start", "to"), list(itertools.product(State, State)))
def test_a_move_that_the_table_lacks_is_refused(start, to):
    if to in MOVES[start]:
        require_legal(start, to)
    else:
        with pytest.raises(IllegalMoveError):
            require_legal(start, to)


def test_what_may_be_canceled_can_move_to_canceled():
    assert all(State.CANCELED in MOVES[state] for state in CANCELABLE)


def test_what_may_be_retried_has_a_way_back():
    assert all(MOVES[state] & {State.QUEUED, State.CHECKING} for state in RETRYABLE)
    assert RETRYABLE < SETTLED


@pytest.fixture
def template(db):
    return make_template(account_of(make_person()), State.QUEUED)


def test_a_move_writes_the_row_and_an_event_together(template):
    assert template.move(State.SUBMITTING, claim_token="t")
    row = ActionTemplate.objects.get(pk=template.pk)
    event = Event.objects.filter(template=row).latest("pk")
    assert (row.state, row.claim_token, row.version) == (State.SUBMITTING, "t", 2)
    assert (event.start, event.to) == (State.QUEUED, State.SUBMITTING)


def test_the_second_of_two_moves_from_one_state_loses(template):
    other = ActionTemplate.objects.get(pk=template.pk)
    assert template.move(State.SUBMITTING, claim_token="a")
    assert not other.move(State.CANCELED)
    assert ActionTemplate.objects.get(pk=template.pk).state == State.SUBMITTING


def test_a_guard_that_no_longer_holds_loses(template):
    template.move(State.SUBMITTING, claim_token="a")
    assert not template.move(State.UNCONFIRMED, guard={"claim_token": "b"})


@pytest.mark.parametrize(
    ("state", "values"),
    [
        (State.READY, {"template_id": ""}),
        (State.PENDING, {"task_id": ""}),
        (State.RUNNING, {"task_id": ""}),
        (State.SUBMITTING, {"claim_token": ""}),
    ],
)
def test_the_database_refuses_a_state_without_its_data(template, state, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        ActionTemplate.objects.filter(pk=template.pk).update(state=state, **values)


def test_one_task_belongs_to_one_template_only(template):
    make_template(template.account, State.RUNNING, task_id="t1")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_template(template.account, State.RUNNING, task_id="t1")


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_that_move_one_row_exactly_one_wins():
    template = make_template(account_of(make_person()), State.QUEUED)
    won, ready = [], threading.Barrier(8)

    def claim(number: int) -> None:
        mine = ActionTemplate.objects.get(pk=template.pk)
        ready.wait(timeout=60)
        if mine.move(State.SUBMITTING, claim_token=str(number)):
            won.append(number)
        connection.close()

    threads = [threading.Thread(target=claim, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(won) == 1
    assert ActionTemplate.objects.get(pk=template.pk).claim_token == str(won[0])
