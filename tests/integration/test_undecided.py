"""A submit without an answer, and a task that got lost, on the pages: what is laid out, what a person decides."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role, User
from templategen.models import ActionTemplate, Event
from templategen.reconcile import look_until
from templategen.states import CANCELABLE, State
from tests.dashscope_calls import dashscope
from tests.factories import make_template
from tests.people import account_of
from tests.product import Product
from tests.sandbox import Sandbox

GALLERY = "/a/studio/"
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/studio/"}
LONG_AGO = timedelta(minutes=30)
FOUND = [
    {"task_id": "task-one", "status": "SUCCEEDED", "made_at": "2026-03-04T05:06:07+00:00", "request_id": "req-one"},
    {"task_id": "task-two", "status": "RUNNING", "made_at": "2026-03-04T05:06:09+00:00", "request_id": ""},
]


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def undecided(account: Account, **values: object) -> ActionTemplate:
    """One that is left to a person."""
    return make_template(account, State.UNCONFIRMED, **{"sent_at": timezone.now() - LONG_AGO, **values})


def address(template: ActionTemplate, verb: str = "") -> str:
    return f"{GALLERY}templates/{template.public_id}/" + (f"{verb}/" if verb else "")


def page(web: Client, template: ActionTemplate) -> str:
    return web.get(address(template)).content.decode()


def buttons(html: str) -> list[str]:
    return re.findall(r'<button [^>]*id="([\w-]+)"', html)


# --- What is laid out ---


def test_what_is_known_and_what_was_found_is_laid_out(web: Client, studio: Account) -> None:
    template = undecided(studio, found=FOUND, submit_request_id="req-submit")
    html = page(web, template)
    for words in ("task-one", "task-two", "req-one", "req-submit", "Done, made ", "Being made, made ", "2 tasks"):
        assert words in html
    assert template.sent_at is not None
    assert template.sent_at.isoformat() in html
    assert 'datetime="2026-03-04T05:06:07+00:00"' in html
    assert "may pay twice" in html
    assert {"adopt-1", "adopt-2", "adopt-typed", "detail-resubmit", "detail-give-up"} <= set(buttons(html))


def test_who_decides_too_soon_is_told_from_when_on(web: Client, studio: Account) -> None:
    html = page(web, undecided(studio, sent_at=timezone.now()))
    assert "You can decide from <time" in html
    assert "You can decide from" not in page(web, undecided(studio))


def test_nothing_found_is_said_and_a_task_can_still_be_named(web: Client, studio: Account) -> None:
    html = page(web, undecided(studio))
    assert "No task that could be its own" in html
    assert "adopt-1" not in html
    assert "adopt-typed" in buttons(html)


@pytest.mark.parametrize(
    "found",
    [[{}], ["text"], [{"task_id": "task-odd", "made_at": "yesterday", "status": "<b>NEW</b>"}], [FOUND[0]] * 90],
)
def test_whatever_was_found_the_page_holds(web: Client, studio: Account, found: list[object]) -> None:
    html = page(web, undecided(studio, found=found))
    assert "<b>NEW" not in html
    assert html.count("This one is mine") <= 20


def test_while_the_machine_looks_nobody_decides(web: Client, studio: Account) -> None:
    template = make_template(studio, State.UNCONFIRMED, error_code="unconfirmed", sent_at=timezone.now())
    html = page(web, template)
    assert 'id="undecided"' not in html
    assert "being looked through" in html
    assert "may still be at it" in html
    assert f'If neither is so by <time class="soft" datetime="{look_until(template).isoformat()}"' in html
    template.call_over_at = timezone.now()
    template.save()
    assert "That call is over" in page(web, template)
    assert web.post(address(template, "resubmit")).status_code == 409
    assert web.post(address(template, "adopt"), {"task_id": "task-one"}).status_code == 409


def test_the_card_leads_to_the_decision_and_decides_nothing_itself(web: Client, studio: Account) -> None:
    template = undecided(studio)
    html = web.get(GALLERY).content.decode()
    assert f'href="{address(template)}#undecided"' in html
    for verb in ("resubmit", "cancel", "retry"):
        assert address(template, verb) not in html


# --- What is decided ---


def test_a_task_that_exists_becomes_its_own(
    web: Client, studio: Account, owner: User, product: Product, sandbox: Sandbox
) -> None:
    with dashscope(sandbox) as calls:
        task_id = calls.submitted()
    template = undecided(studio, found=[{**FOUND[0], "task_id": task_id}])
    answer = web.post(address(template, "adopt"), {"task_id": task_id}, headers={"referer": address(template)})
    assert answer.status_code == 302
    template.refresh_from_db()
    assert (template.state, template.task_id) == (State.PENDING, task_id)
    assert template.events.get(kind=Event.Kind.MOVED).by == owner
    html = page(web, template)
    assert "Its task was named" in html
    assert "is watched again" in html


@pytest.mark.parametrize("task_id", ["", "   ", "no-such-task", "../x", "x" * 5000, "<b>", "\x00"])
def test_a_task_that_is_none_is_refused_with_words(
    web: Client, studio: Account, product: Product, task_id: str
) -> None:
    template = undecided(studio)
    answer = web.post(address(template, "adopt"), {"task_id": task_id})
    assert answer.status_code == 422
    assert "That was not done" in answer.content.decode()
    template.refresh_from_db()
    assert template.state == State.UNCONFIRMED


def test_a_task_of_another_template_is_refused_without_saying_whose(
    web: Client, studio: Account, stranger: User
) -> None:
    theirs = make_template(account_of(stranger), State.RUNNING, name="Secret", task_id="task-theirs")
    answer = web.post(address(undecided(studio), "adopt"), {"task_id": theirs.task_id})
    assert answer.status_code == 422
    assert "Secret" not in answer.content.decode()


@pytest.mark.parametrize("theirs", ["row", "event", "laid out", "given up"])
def test_what_may_be_another_accounts_task_is_neither_shown_nor_taken(
    web: Client, studio: Account, stranger: User, theirs: str
) -> None:
    other, task = account_of(stranger), FOUND[0]["task_id"]
    if theirs == "row":
        make_template(other, State.RUNNING, task_id=task)
    elif theirs == "event":
        Event.objects.create(template=make_template(other), kind=Event.Kind.TASK_FOUND, task_id=task)
    elif theirs == "laid out":
        undecided(other, found=FOUND[:1])
    else:
        make_template(other, State.CANCELED, found=FOUND[:1], error_code="given_up")
    template = undecided(studio, found=FOUND)
    html = page(web, template)
    assert ("task-one" in html, "req-one" in html, "task-two" in html) == (False, False, True)
    assert "1 more task was found that may be another account" in html
    answer = web.post(address(template, "adopt"), {"task_id": task})
    assert answer.status_code == 422
    template.refresh_from_db()
    assert template.state == State.UNCONFIRMED


def test_whoever_runs_the_site_may_say_whose_task_it_is(
    client: Client, studio: Account, stranger: User, product: Product, sandbox: Sandbox
) -> None:
    with dashscope(sandbox) as calls:
        task_id = calls.submitted()
    found = [{**FOUND[0], "task_id": task_id}]
    template, _theirs = undecided(studio, found=found), undecided(account_of(stranger), found=found)
    chief = User.objects.create_superuser("admin@example.com")
    studio.memberships.create(user=chief, role=Role.OWNER)
    client.force_login(chief)
    # As a member they are none the wiser than the others.
    assert client.post(address(template, "adopt"), {"task_id": task_id}).status_code == 422
    at = f"/admin/templategen/actiontemplate/pipeline/{template.public_id}/"
    client.post(at, {"do": "adopt", "task_id": task_id, "why": "Its video's length"})
    template.refresh_from_db()
    assert template.task_id == task_id


def test_sending_again_and_giving_up_are_told_apart_in_the_history(web: Client, studio: Account) -> None:
    again, gone = undecided(studio), undecided(studio)
    web.post(address(again, "resubmit"))
    web.post(address(gone, "cancel"))
    again.refresh_from_db()
    gone.refresh_from_db()
    assert (again.state, again.attempt) == (State.QUEUED, 2)
    assert (gone.state, gone.error_code) == (State.CANCELED, "given_up")
    assert "It is to be sent again (attempt 2)" in page(web, again)
    html = page(web, gone)
    assert "It was given up" in html
    assert "Try again (billed again)" in html


def test_what_the_machine_proved_reads_otherwise_than_what_a_person_decided(web: Client, studio: Account) -> None:
    template = make_template(studio, State.UNCONFIRMED, error_code="unconfirmed")
    template.move(State.QUEUED, error_code="")
    assert "Alibaba was proved not to have it" in page(web, template)


# --- Lost ---


def test_a_lost_one_is_looked_for_again_or_made_again_at_a_price(web: Client, studio: Account, owner: User) -> None:
    template = make_template(studio, State.LOST, error_code="lost", next_look_at=timezone.now() + LONG_AGO)
    html = page(web, template)
    assert "Try again (billed again)" in html
    assert {f"detail-look-{template.public_id}", "adopt-typed"} <= set(buttons(html))
    answer = web.post(address(template, "look"), headers=HTMX)
    assert (
        answer.content.decode()
        .lstrip()
        .startswith(f'<article class="card template-card" id="card-{template.public_id}"')
    )
    assert "is asked for" in answer.content.decode()
    template.refresh_from_db()
    assert template.next_look_at <= timezone.now()
    assert template.events.get(kind=Event.Kind.LOOK_WANTED).by == owner
    assert "Alibaba was to be asked again" in page(web, template)


def test_there_is_nothing_to_look_for_before_it_is_at_alibaba(web: Client, studio: Account) -> None:
    assert web.post(address(make_template(studio, State.QUEUED), "look")).status_code == 409


# --- Cancel wherever nothing runs yet ---


@pytest.mark.parametrize("state", list(State))
def test_cancel_is_offered_wherever_nothing_runs_yet(web: Client, studio: Account, state: State) -> None:
    extra = {"error_code": "unconfirmed"} if state is State.UNCONFIRMED else {}
    template = make_template(studio, state, **extra)
    assert (address(template, "cancel") in page(web, template)) is (state in CANCELABLE)


@pytest.mark.parametrize("state", [State.CHECKING, State.QUEUED])
def test_what_is_not_sent_is_canceled_at_once(web: Client, studio: Account, state: State) -> None:
    template = make_template(studio, state)
    assert "is canceled" in web.post(address(template, "cancel"), headers=HTMX).content.decode()
    template.refresh_from_db()
    assert template.state == State.CANCELED


@pytest.mark.parametrize("state", [State.SUBMITTING, State.UNCONFIRMED])
def test_while_a_call_is_under_way_the_wish_is_kept_and_shown(web: Client, studio: Account, state: State) -> None:
    extra = {"error_code": "unconfirmed"} if state is State.UNCONFIRMED else {}
    template = make_template(studio, state, sent_at=timezone.now(), **extra)
    html = web.post(address(template, "cancel"), headers=HTMX).content.decode()
    assert "is to be canceled" in html
    assert "Cancel asked for" in html
    assert address(template, "cancel") not in html
    html = page(web, template)
    assert "Cancel asked for" in html
    assert "It was asked to be canceled" in html
    assert address(template, "cancel") not in html


# --- Whose ---


@pytest.mark.parametrize("verb", ["adopt", "look", "resubmit"])
def test_only_members_decide(client: Client, studio: Account, stranger: User, verb: str) -> None:
    template = undecided(studio)
    assert client.post(address(template, verb), {"task_id": "task-one"}).status_code == 302
    client.force_login(stranger)
    assert client.post(address(template, verb), {"task_id": "task-one"}).status_code == 404
    template.refresh_from_db()
    assert (template.state, template.version) == (State.UNCONFIRMED, 1)


@pytest.mark.parametrize("verb", ["adopt", "look"])
def test_decisions_take_a_post(web: Client, studio: Account, verb: str) -> None:
    assert web.get(address(undecided(studio), verb)).status_code == 405
