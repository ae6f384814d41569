"""What the task list proves about a submit without an answer, minute by minute; the clock is the test's."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from templategen import actions, alarms, evidence, reconcile
from templategen.clients.dashscope import DashScope, RefusedError, Task, UnknownOutcomeError
from templategen.models import ActionTemplate, Event
from templategen.states import FOR_A_PERSON, State
from templategen.task_list import Gathered, Listed
from tests.factories import make_template
from tests.people import account_of

MODEL = "animate-anyone-template-gen2"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SETTLE = 10 * MINUTE


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def noon():
    """When the call went out."""
    return timezone.now().replace(microsecond=0) - HOUR


@pytest.fixture
def lost(account, noon):
    """Sent at noon; half a minute later its sender saw the call end without an answer."""
    return unanswered(account, noon)


def unanswered(account, sent_at: datetime, **values) -> ActionTemplate:
    defaults = {
        "error_code": "unconfirmed", "claim_token": "t", "sent_at": sent_at, "next_look_at": sent_at,
        "queued_at": sent_at - HOUR, "call_over_at": sent_at + 30 * SECOND,
    }  # fmt: skip
    row = make_template(account, State.UNCONFIRMED, **{**defaults, **values})
    happened(row, sent_at, to=State.SUBMITTING)
    return row


def ours(account, sent_at: datetime, **values) -> ActionTemplate:
    """A template of ours whose task was made two hours ago, say: it tells the list's clock."""
    row = make_template(account, State.READY, sent_at=sent_at, **values)
    happened(row, sent_at + SECOND, to=State.PENDING, task_id=row.task_id)
    return row


_numbers = count()


def happened(row: ActionTemplate, at: datetime, **values) -> None:
    """An Event of that time: their order tells what came first, whatever the clocks say."""
    number = int(at.timestamp() * 1000) * 1_000_000 + next(_numbers)
    Event.objects.create(pk=number, template=row, kind=Event.Kind.MOVED, at=at, **values)


def listed(task_id: str, made_at: datetime | None, **values) -> Listed:
    return Listed(
        **{"task_id": task_id, "status": "RUNNING", "model": MODEL, "request_id": "", **values}, made_at=made_at
    )


def read(at: datetime, *tasks: Listed, ahead: timedelta = timedelta(), **values) -> Gathered:
    """A whole reading of the list at ``at``, by a service whose clock is ``ahead``."""
    return Gathered(**{"began": at, "tasks": tasks, "whole": True, "clock": at + ahead, **values})


def decide(template: ActionTemplate, gathered: Gathered) -> ActionTemplate:
    reconcile.decide(template, gathered, now=gathered.began)
    template.refresh_from_db()
    return template


def seen(task_id: str, status: str = "RUNNING", **values) -> Task:
    return Task(task_id, status, **values)


@pytest.fixture
def witness(account, noon):
    """One of ours of an hour before, as the list shows it when clocks agree."""
    row = ours(account, noon - HOUR)
    return listed(row.task_id, noon - HOUR + SECOND)


# --- adopted ---


def test_the_one_task_of_its_time_is_looked_at_and_then_adopted(lost, noon, witness):
    found = listed("task-x", noon + SECOND, request_id="r-1")
    decide(lost, read(noon + MINUTE, witness, found))
    assert (lost.state, lost.search["candidate"]) == (State.UNCONFIRMED, "task-x")
    assert reconcile.question(lost).candidate == "task-x"
    decide(lost, read(noon + MINUTE, witness, found, candidate=seen("task-x")))
    assert (lost.state, lost.task_id, lost.submit_request_id) == (State.PENDING, "task-x", "r-1")
    assert (lost.error_code, lost.search, lost.found) == ("", {}, [])


@pytest.mark.parametrize("task", [seen("task-x", "UNKNOWN"), seen("task-x", ""), seen("task-x", "SUCCEEDED")])
def test_one_that_the_service_does_not_show_as_a_templates_task_is_not_adopted(lost, noon, witness, task):
    found = listed("task-x", noon + SECOND)
    decide(lost, read(noon + MINUTE, witness, found))
    decide(lost, read(noon + MINUTE, witness, found, candidate=task))
    assert lost.state == State.UNCONFIRMED


def test_the_very_request_id_is_proof_whatever_else_is_there(account, lost, noon, witness):
    unanswered(account, noon + SECOND)
    ActionTemplate.objects.filter(pk=lost.pk).update(submit_request_id="r-7")
    tasks = [listed("task-a", noon + SECOND), listed("task-b", noon + SECOND, request_id="r-7"), witness]
    decide(lost, read(noon + MINUTE, *tasks))
    decide(lost, read(noon + MINUTE, *tasks, candidate=seen("task-b")))
    assert (lost.state, lost.task_id) == (State.PENDING, "task-b")


def test_with_another_program_on_the_account_the_one_is_believed_only_after_the_list_has_settled(lost, noon, witness):
    tasks = [witness, listed("foreign", noon - 2 * HOUR), listed("task-x", noon + SECOND)]
    decide(lost, read(noon + MINUTE, *tasks, candidate=seen("task-x")))
    assert (lost.state, lost.error_code) == (State.UNCONFIRMED, "unconfirmed")
    decide(lost, read(noon + SETTLE + MINUTE, *tasks, candidate=seen("task-x")))
    assert lost.task_id == "task-x"


def test_while_its_sender_may_only_be_asleep_the_one_is_believed_late(account, noon, witness):
    row = unanswered(account, noon, call_over_at=None)
    tasks = [witness, listed("task-x", noon + SECOND)]
    decide(row, read(noon + 5 * MINUTE, *tasks, candidate=seen("task-x")))
    assert row.state == State.UNCONFIRMED
    decide(row, read(noon + SETTLE + 2 * MINUTE, *tasks, candidate=seen("task-x")))
    assert row.task_id == "task-x"


def test_a_task_made_long_after_the_call_is_not_its(lost, noon, witness):
    late = listed("task-x", noon + 8 * MINUTE)
    decide(lost, read(noon + SETTLE + MINUTE, witness, late, candidate=seen("task-x")))
    assert lost.state == State.UNCONFIRMED
    decide(lost, read(noon + 3 * SETTLE, witness, late, candidate=seen("task-x")))
    assert (lost.error_code, [task["task_id"] for task in lost.found]) == (FOR_A_PERSON, ["task-x"])


def test_the_one_is_looked_at_once_more_a_while_later_for_ours_may_be_listed_after_theirs(lost, noon, witness):
    theirs, mine = listed("foreign", noon + SECOND), listed("mine", noon + 2 * SECOND)
    decide(lost, read(noon + MINUTE, witness, theirs))
    assert lost.next_look_at == noon + MINUTE + 30 * SECOND
    decide(lost, read(noon + MINUTE + 30 * SECOND, witness, theirs, mine, candidate=seen("foreign")))
    assert (lost.state, lost.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_a_task_of_another_request_is_never_adopted(lost, noon, witness):
    ActionTemplate.objects.filter(pk=lost.pk).update(submit_request_id="r-ours")
    theirs = listed("foreign", noon + SECOND, request_id="r-theirs")
    for at in (noon + MINUTE, noon + SETTLE + MINUTE, noon + 3 * SETTLE):
        decide(lost, read(at, witness, theirs, candidate=seen("foreign")))
        assert lost.state == State.UNCONFIRMED
    assert (lost.error_code, [task["task_id"] for task in lost.found]) == (FOR_A_PERSON, ["foreign"])


@pytest.mark.parametrize("witnessed", [True, False])
def test_a_task_of_another_model_is_never_adopted(lost, noon, request, witnessed):
    theirs = listed("foreign", noon + SECOND, model="wan2.2-animate-move")
    tasks = [request.getfixturevalue("witness"), theirs] if witnessed else [theirs]
    for at in (noon + MINUTE, noon + 2 * MINUTE):
        decide(lost, read(at, *tasks, candidate=seen("foreign")))
        assert lost.state == State.UNCONFIRMED


def test_a_task_made_a_minute_before_the_call_is_not_its(lost, noon, witness):
    early = listed("foreign", noon - MINUTE)
    for at in (noon + MINUTE, noon + SETTLE + MINUTE):
        decide(lost, read(at, witness, early, candidate=seen("foreign")))
        assert lost.state == State.UNCONFIRMED


def test_the_very_request_id_is_no_proof_of_absence_while_its_task_cannot_be_looked_at(lost, noon, witness):
    ActionTemplate.objects.filter(pk=lost.pk).update(submit_request_id="r-7")
    odd = listed("task-x", noon - 2 * HOUR, request_id="r-7")
    for at in (noon + MINUTE, noon + 2 * MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, witness, odd, candidate=seen("task-x", "UNKNOWN")))
        assert lost.state == State.UNCONFIRMED


# --- proved absent ---


def test_a_whole_list_without_it_for_the_settle_time_sends_it_again(lost, noon, witness):
    decide(lost, read(noon + MINUTE, witness))
    assert lost.state == State.UNCONFIRMED
    decide(lost, read(noon + SETTLE, witness))
    assert lost.state == State.UNCONFIRMED
    place = lost.queued_at
    decide(lost, read(noon + MINUTE + SETTLE, witness))
    assert (lost.state, lost.claim_token, lost.sent_at, lost.error_code) == (State.QUEUED, "", None, "")
    assert (lost.queued_at, lost.attempt) == (place, 1)


def test_one_reading_is_never_enough_however_late(lost, noon, witness):
    decide(lost, read(noon + SETTLE + MINUTE, witness))
    assert lost.state == State.UNCONFIRMED


def test_nothing_is_proved_while_the_sender_may_still_send(account, noon, witness):
    row = unanswered(account, noon, call_over_at=None)
    for minutes in range(1, 22):
        decide(row, read(noon + minutes * MINUTE, witness))
        assert (row.state, row.error_code) == (State.UNCONFIRMED, "unconfirmed")
    decide(row, read(noon + 60 * MINUTE, witness))
    assert (row.state, row.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_readings_from_before_the_call_was_over_do_not_count(account, noon, witness):
    row = unanswered(account, noon, call_over_at=None)
    decide(row, read(noon + MINUTE, witness))
    ActionTemplate.objects.filter(pk=row.pk).update(call_over_at=noon + 12 * MINUTE)
    decide(row, read(noon + 13 * MINUTE, witness))
    assert row.state == State.UNCONFIRMED
    decide(row, read(noon + 13 * MINUTE + SETTLE, witness))
    assert row.state == State.QUEUED


def test_a_list_that_is_not_whole_proves_nothing(lost, noon, witness):
    for minutes in range(1, 20):
        decide(lost, read(noon + minutes * MINUTE, witness, whole=False))
        assert lost.state == State.UNCONFIRMED


def test_a_list_that_lags_behind_shows_it_by_our_own_tasks(account, lost, noon, witness):
    ours(account, noon - MINUTE)
    for minutes in range(1, 20):
        decide(lost, read(noon + minutes * MINUTE, witness))
        assert lost.state == State.UNCONFIRMED


def test_a_task_made_later_than_the_call_begins_the_wait_anew_and_is_adopted(lost, noon, witness):
    decide(lost, read(noon + MINUTE, witness))
    late = listed("task-x", noon + 100 * SECOND)
    decide(lost, read(noon + 2 * MINUTE, witness, late))
    decide(lost, read(noon + 2 * MINUTE, witness, late, candidate=seen("task-x")))
    assert lost.task_id == "task-x"


def test_a_clock_of_ours_that_is_set_ahead_shortens_nothing(lost, noon, witness):
    decide(lost, read(noon + MINUTE, witness))
    jumped = read(noon + 2 * MINUTE + HOUR, witness, ahead=-HOUR)
    reconcile.decide(lost, jumped, now=noon + 2 * MINUTE)
    lost.refresh_from_db()
    assert lost.state == State.UNCONFIRMED


def test_while_another_answer_is_still_to_come_nothing_is_sent_again(account, lost, noon, witness):
    other = make_template(account, State.SUBMITTING, sent_at=noon)
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, witness))
    assert lost.state == State.UNCONFIRMED
    ActionTemplate.objects.filter(pk=other.pk).update(state=State.QUEUED, sent_at=None)
    decide(lost, read(noon + 3 * MINUTE + SETTLE, witness))
    assert lost.state == State.QUEUED


def test_a_task_that_a_person_gave_to_another_since_may_be_its_own(account, lost, noon, witness):
    other = make_template(account, State.RUNNING, task_id="mine", sent_at=noon - 20 * MINUTE)
    happened(other, noon + 2 * MINUTE, to=State.PENDING, task_id="mine", detail={"decision": "adopted"})
    tasks = [witness, listed("mine", noon + SECOND)]
    for at in (noon + 3 * MINUTE, noon + 4 * MINUTE + SETTLE, noon + 3 * SETTLE):
        decide(lost, read(at, *tasks))
        assert lost.state == State.UNCONFIRMED
    assert lost.error_code == FOR_A_PERSON


def test_one_that_somebody_wanted_stopped_ends_where_it_is_proved_absent(lost, noon, witness):
    ActionTemplate.objects.filter(pk=lost.pk).update(cancel_wanted_at=noon + MINUTE)
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, witness))
    assert (lost.state, lost.cancel_wanted_at) == (State.CANCELED, None)


# --- clocks ---


def test_a_clock_that_is_three_hours_wrong_is_found_out_and_allowed_for(account, lost, noon):
    row = ours(account, noon - HOUR)
    witness = listed(row.task_id, noon + 2 * HOUR)
    old = listed("foreign", noon + HOUR)
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, witness, old, ahead=3 * HOUR))
    assert lost.state == State.QUEUED


def test_a_task_by_a_clock_that_is_three_hours_wrong_is_adopted(account, lost, noon):
    row = ours(account, noon - HOUR)
    tasks = [listed(row.task_id, noon + 2 * HOUR), listed("task-x", noon + 3 * HOUR + SECOND)]
    decide(lost, read(noon + MINUTE, *tasks, ahead=3 * HOUR, candidate=seen("task-x")))
    assert lost.task_id == "task-x"


@pytest.mark.parametrize("ahead", [5 * MINUTE, -5 * MINUTE])
def test_a_sender_whose_clock_was_wrong_is_not_sent_again_while_its_task_is_in_the_list(account, noon, witness, ahead):
    row = unanswered(account, noon + ahead, call_over_at=noon + ahead + 30 * SECOND)
    tasks = [witness, listed("mine", noon + SECOND)]
    for minutes in range(6, 40):
        decide(row, read(noon + minutes * MINUTE, *tasks))
        assert row.state == State.UNCONFIRMED


def test_a_sender_whose_clock_was_five_minutes_ahead_leaves_it_to_a_person_with_its_task(account, noon, witness):
    row = unanswered(account, noon + 5 * MINUTE, call_over_at=noon + 5 * MINUTE + 30 * SECOND)
    happened(row, noon, to=State.SUBMITTING)
    decide(row, read(noon + MINUTE, witness, listed("mine", noon + SECOND)))
    assert (row.error_code, [task["task_id"] for task in row.found]) == (FOR_A_PERSON, ["mine"])


def test_a_time_of_sending_hours_ahead_holds_nobody_up(account, noon, witness):
    row = unanswered(account, noon + 8 * HOUR, call_over_at=noon + 8 * HOUR + 30 * SECOND)
    decide(row, read(noon + MINUTE, witness))
    assert (row.error_code, reconcile.pending()) == (FOR_A_PERSON, False)
    actions.resubmit(aged(row), by=None)
    assert row.state == State.QUEUED


def aged(row: ActionTemplate) -> ActionTemplate:
    """It was left to a person some while ago."""
    row.changed_at -= 10 * MINUTE
    row.save()
    return row


def test_what_the_model_is_called_in_the_list_is_learnt_from_our_own_tasks(account, lost, noon):
    row = ours(account, noon - HOUR)
    other_name = {"model": f"{MODEL}-2025-10-20"}
    tasks = [listed(row.task_id, noon - HOUR, **other_name), listed("mine", noon + SECOND, **other_name)]
    decide(lost, read(noon + MINUTE, *tasks))
    decide(lost, read(noon + MINUTE + SETTLE, *tasks, candidate=seen("mine")))
    assert (lost.state, lost.task_id) == (State.PENDING, "mine")


@pytest.mark.parametrize("ahead", [timedelta(), 3 * HOUR])
@pytest.mark.parametrize("others", [[], ["foreign"]])
def test_a_list_without_any_task_of_ours_proves_nothing(account, lost, noon, others, ahead):
    ours(account, noon - 30 * HOUR)
    tasks = [listed(name, noon - 5 * HOUR, model="another") for name in others]
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, *tasks, ahead=ahead))
    assert (lost.state, lost.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)
    assert [task["task_id"] for task in lost.found] == others


def test_where_the_clocks_disagree_nothing_is_adopted(account, lost, noon):
    row = ours(account, noon - HOUR)
    tasks = [listed(row.task_id, noon - HOUR), listed("task-x", noon + SECOND)]
    decide(lost, read(noon + MINUTE, *tasks, ahead=3 * HOUR, candidate=seen("task-x")))
    assert (lost.state, lost.error_code) == (State.UNCONFIRMED, "unconfirmed")
    decide(lost, read(noon + 3 * SETTLE, *tasks, ahead=3 * HOUR))
    assert (lost.error_code, [task["task_id"] for task in lost.found]) == (FOR_A_PERSON, ["task-x"])


def test_without_a_task_of_ours_the_whole_list_is_asked_for(account, lost, noon):
    assert reconcile.question(lost).any_model
    ours(account, noon - HOUR)
    assert not reconcile.question(lost).any_model


def test_without_a_date_nothing_is_proved(lost, noon, witness):
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        decide(lost, read(at, witness, clock=None))
    assert lost.state == State.UNCONFIRMED


# --- left to a person ---


def test_two_close_together_are_not_told_apart(account, lost, noon, witness):
    other = unanswered(account, noon + SECOND)
    tasks = [witness, listed("task-x", noon + SECOND)]
    for row in (lost, other):
        decide(row, read(noon + MINUTE, *tasks, candidate=seen("task-x")))
        assert (row.state, row.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)
        assert [task["task_id"] for task in row.found] == ["task-x"]


def test_two_close_together_that_were_both_never_made_are_both_sent_again(account, lost, noon, witness):
    other = unanswered(account, noon + SECOND)
    for at in (noon + MINUTE, noon + 2 * MINUTE + SETTLE):
        for row in (lost, other):
            decide(row, read(at, witness))
    assert (lost.state, other.state) == (State.QUEUED, State.QUEUED)


def test_a_task_of_one_left_to_a_person_is_not_taken_for_that_of_the_next(account, lost, noon, witness):
    unanswered(account, noon - MINUTE, error_code=FOR_A_PERSON)
    decide(lost, read(noon + MINUTE, witness, listed("task-x", noon + SECOND), candidate=seen("task-x")))
    assert lost.error_code == FOR_A_PERSON


def test_a_task_that_a_slow_server_may_have_made_for_one_given_up_is_not_taken(account, lost, noon, witness):
    unanswered(account, noon - SETTLE, error_code=FOR_A_PERSON)
    decide(lost, read(noon + MINUTE, witness, listed("task-x", noon + SECOND), candidate=seen("task-x")))
    assert lost.error_code == FOR_A_PERSON


def test_a_task_that_is_laid_out_for_another_template_is_not_adopted(account, lost, noon, witness):
    task = listed("task-x", noon + SECOND)
    unanswered(account, noon - 2 * HOUR, error_code=FOR_A_PERSON, found=[task.to_dict()])
    for at in (MINUTE, SETTLE + 2 * MINUTE, 3 * SETTLE):
        decide(lost, read(noon + at, witness, task, candidate=seen("task-x")))
    assert (lost.state, lost.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_several_of_its_time_are_laid_out_the_nearest_first(lost, noon, witness):
    tasks = [listed("far", noon + 40 * SECOND), witness, listed("near", noon + SECOND, request_id="r")]
    decide(lost, read(noon + MINUTE, *tasks))
    assert [task["task_id"] for task in lost.found] == ["near", "far"]
    made_at = (noon + SECOND).isoformat()
    assert lost.found[0] == {"task_id": "near", "status": "RUNNING", "request_id": "r", "made_at": made_at}


def test_a_list_refused_for_good_leaves_it_to_a_person_at_once(lost, noon):
    refused = RefusedError(status=403, code="AccessDenied", message="no", request_id="r")
    decide(lost, read(noon + MINUTE, problem=refused))
    assert lost.error_code == FOR_A_PERSON


@pytest.mark.parametrize(
    "problem",
    [UnknownOutcomeError("503"), RefusedError(status=429, code="Throttling", message="", request_id="")],
)
def test_a_list_that_does_not_answer_is_asked_again_for_a_while(lost, noon, problem):
    decide(lost, read(noon + MINUTE, problem=problem))
    assert (lost.error_code, lost.next_look_at) == ("unconfirmed", noon + MINUTE + 30 * SECOND)
    decide(lost, read(noon + 3 * SETTLE, problem=problem))
    assert lost.error_code == FOR_A_PERSON


def test_an_answer_lost_longer_ago_than_the_list_reaches_is_a_persons(lost, noon, witness):
    decide(lost, read(noon + 24 * HOUR, witness))
    assert lost.error_code == FOR_A_PERSON


def test_a_reading_for_an_earlier_claim_of_the_row_counts_for_nothing(lost, noon, witness):
    asked_about = ActionTemplate.objects.get(pk=lost.pk)
    ActionTemplate.objects.filter(pk=lost.pk).update(claim_token="t2")
    found = listed("task-x", noon + SECOND)
    decide(asked_about, read(noon + MINUTE, witness, found, candidate=seen("task-x")))
    assert (asked_about.state, asked_about.task_id, asked_about.search) == (State.UNCONFIRMED, "", {})


@pytest.mark.parametrize("there", [True, False])
def test_a_loop_that_froze_before_it_wrote_changes_nothing_of_the_next_claim(lost, noon, witness, monkeypatch, there):
    weigh = evidence.weigh

    def frozen(template, gathered):
        told = weigh(template, gathered)
        ActionTemplate.objects.filter(pk=lost.pk).update(claim_token="t2", sent_at=noon + 15 * MINUTE)
        return told

    monkeypatch.setattr("templategen.evidence.weigh", frozen)
    tasks = [witness, listed("a", noon + SECOND), listed("b", noon + SECOND)] if there else [witness]
    decide(lost, read(noon + MINUTE, *tasks))
    assert (lost.claim_token, lost.search, lost.error_code, lost.next_look_at) == ("t2", {}, "unconfirmed", noon)


def test_a_reading_that_comes_after_a_person_decided_changes_nothing(lost, noon, witness):
    ActionTemplate.objects.filter(pk=lost.pk).update(state=State.CANCELED)
    decide(lost, read(noon + MINUTE, witness, listed("task-x", noon), candidate=seen("task-x")))
    assert (lost.state, lost.task_id) == (State.CANCELED, "")


# --- what was found for a person ---


@pytest.fixture
def laid_out(lost, noon, witness):
    """Left to a person with two tasks."""
    decide(lost, read(noon + MINUTE, witness, listed("mine", noon + SECOND), listed("foreign", noon + 2 * SECOND)))
    assert lost.error_code == FOR_A_PERSON
    return lost


def looked_at(at: datetime, *tasks: Task, **values) -> Gathered:
    return Gathered(at, looked={task.task_id: task for task in tasks}, **values)


def test_what_was_found_for_a_person_is_looked_at_until_it_ends_and_its_result_kept(laid_out):
    now = timezone.now()
    assert (reconcile.due(now=now), reconcile.pending()) == ([laid_out], False)
    assert reconcile.question(laid_out).only == ("mine", "foreign")
    mine = seen("mine", "SUCCEEDED", template_id="AACT.1", video_duration=12.0, video_ratio="standard")
    decide(laid_out, looked_at(now, mine, seen("foreign")))
    assert (laid_out.error_code, laid_out.found[0]["template_id"]) == (FOR_A_PERSON, "AACT.1")
    assert [task["status"] for task in laid_out.found] == ["SUCCEEDED", "RUNNING"]
    assert (reconcile.due(now=now), reconcile.due(now=now + HOUR)) == ([], [laid_out])
    assert reconcile.question(laid_out).only == ("foreign",)
    decide(laid_out, looked_at(now + HOUR, seen("foreign", "FAILED")))
    assert reconcile.due(now=now + 20 * HOUR) == []


def test_an_answer_that_tells_nothing_of_them_keeps_what_was_known(laid_out):
    now = timezone.now()
    before = list(laid_out.found)
    decide(laid_out, looked_at(now, seen("mine", "UNKNOWN"), problem=UnknownOutcomeError("503")))
    assert (laid_out.found, laid_out.next_look_at) == (before, now + 15 * MINUTE)


def test_a_task_that_the_service_has_thrown_away_is_taken_with_its_kept_result(laid_out, monkeypatch):
    mine = seen("mine", "SUCCEEDED", template_id="AACT.1", video_duration=12.0, video_ratio="standard")
    decide(laid_out, looked_at(timezone.now(), mine))
    monkeypatch.setattr(DashScope, "get_task", lambda _self, task_id: Task(task_id, "UNKNOWN"))
    with pytest.raises(actions.RefusedError, match="does not know"):
        actions.adopt(laid_out, task_id="foreign", by=None)
    actions.adopt(laid_out, task_id="mine", by=None)
    laid_out.refresh_from_db()
    assert (laid_out.state, laid_out.template_id, laid_out.task_id) == (State.READY, "AACT.1", "mine")
    assert (laid_out.video_duration, laid_out.video_ratio, laid_out.found) == (12.0, "standard", [])


def test_one_that_nobody_decided_on_is_an_alarm_before_results_are_gone(laid_out, noon):
    found = [alarms.unread(noon + hours * HOUR).filter(pk=laid_out.pk).exists() for hours in (17, 20, 23, 30)]
    assert found == [False, True, True, False]


def test_what_the_database_does_not_take_leaves_it_to_a_person_and_is_not_read_again_at_once(lost, noon, monkeypatch):
    def refused(*_args: object) -> None:
        raise DataError("text fields cannot contain NUL")

    monkeypatch.setattr(evidence, "weigh", refused)
    decide(lost, read(noon + MINUTE))
    assert lost.error_code == FOR_A_PERSON
    assert reconcile.due(now=timezone.now()) == []


def test_a_database_that_is_away_leaves_it_as_it_is(lost, noon, monkeypatch):
    def away(*_args: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(evidence, "weigh", away)
    with pytest.raises(OperationalError):
        decide(lost, read(noon + MINUTE))
    lost.refresh_from_db()
    assert lost.error_code == "unconfirmed"
