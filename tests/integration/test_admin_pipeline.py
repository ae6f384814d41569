"""The administrator's page for the pipeline: what is stuck and why, and what staff can do about it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django_q.models import Failure, Task

from accounts import credentials
from accounts.models import Account, User
from templategen import credential_status
from templategen.admin.base import MOST_AT_ONCE
from templategen.admin.templates import find_by_id
from templategen.models import ActionTemplate, Event
from templategen.pipeline_models import CredentialStatus, Heartbeat, Lease
from templategen.redact import HIDDEN
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of, make_person
from tests.product import Product

PAGE = "/admin/templategen/actiontemplate/pipeline/"
LIST = "/admin/templategen/actiontemplate/"
SIGNED = "https://b.example/clips/k?Expires=1&OSSAccessKeyId=LTAIabcdef&Signature=abcdef0123456789"
LONG_AGO = timedelta(hours=2)


@pytest.fixture
def chief(owner: User) -> User:
    return User.objects.create_superuser("chief@example.com")


@pytest.fixture
def admin(client: Client, chief: User) -> Client:
    client.force_login(chief)
    return client


def stuck(owner: User, state: State = State.UNCONFIRMED, **values: Any) -> ActionTemplate:
    """Old enough for a person to decide."""
    ago = timezone.now() - LONG_AGO
    return make_template(
        account_of(owner),
        state,
        **{"sent_at": ago, "claimed_at": ago, "changed_at": ago, "next_look_at": ago, **values},
    )


def decide(client: Client, template: ActionTemplate, do: str, **more: str) -> str:
    """The page that follows a decision."""
    return client.post(
        f"{PAGE}{template.public_id}/", {"do": do, "why": "By hand", **more}, follow=True
    ).content.decode()


def page(client: Client, address: str = PAGE) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def state_of(template: ActionTemplate) -> str:
    template.refresh_from_db()
    return template.state


# --- who ---


def test_only_staff_with_the_right_see_it(client: Client, owner: User) -> None:
    assert client.get(PAGE).status_code == 302
    client.force_login(owner)
    assert client.get(PAGE).status_code == 302
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    assert client.get(PAGE).status_code == 403
    owner.user_permissions.add(Permission.objects.get(codename="view_actiontemplate"))
    assert client.get(PAGE).status_code == 200


def test_who_may_only_look_decides_nothing(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    owner.user_permissions.add(Permission.objects.get(codename="view_actiontemplate"))
    client.force_login(owner)
    template = stuck(owner)
    credential_status.pause(None, code="Arrearage", message="")
    assert '<button class="button"' not in page(client)
    assert client.post(f"{PAGE}{template.public_id}/", {"do": "cancel"}).status_code == 403
    assert client.post(f"{PAGE}credential/site/").status_code == 403
    assert client.post(LIST, {"action": "cancel_all", "_selected_action": [template.pk]}).status_code in {200, 302}
    assert state_of(template) == State.UNCONFIRMED
    assert credential_status.paused()


def test_a_decision_is_a_post_with_a_token(chief: User, owner: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(chief)
    template = stuck(owner)
    assert strict.get(f"{PAGE}{template.public_id}/").status_code == 405
    assert strict.post(f"{PAGE}{template.public_id}/", {"do": "cancel"}).status_code == 403
    assert strict.post(f"{PAGE}credential/site/").status_code == 403
    assert state_of(template) == State.UNCONFIRMED


# --- what is shown ---


def test_an_empty_site_says_that_no_worker_has_run(admin: Client) -> None:
    text = page(admin)
    assert "No worker has ever run" in text
    assert "pipeline-banner" not in text


def test_every_kind_of_trouble_is_laid_out(admin: Client, owner: User) -> None:
    now = timezone.now()
    found = [
        {"task_id": "task-one", "status": "SUCCEEDED", "made_at": now.isoformat(), "request_id": "req-one"},
        {"task_id": "task-two", "status": "RUNNING", "made_at": "nonsense", "request_id": None},
        "nonsense",
    ]
    stuck(owner, name="Undecided one", found=found)
    stuck(owner, State.RUNNING, name="Overdue one", task_id="task-overdue")
    stuck(owner, State.LOST, name="Lost one", task_id="task-lost")
    stuck(owner, State.SUBMITTING, name="Submitting one")
    make_template(account_of(owner), State.QUEUED, name="Waiting one", next_look_at=now - LONG_AGO)
    stuck(owner, State.UNCONFIRMED, name="Looked for one", error_code="unconfirmed", next_look_at=now)
    Lease.objects.create(name="conductor", owner="host:1:ab", until=now + timedelta(seconds=20), epoch=4)
    Heartbeat.objects.create(name="queue", at=now - timedelta(hours=3))
    text = page(admin)
    for shown in ("Undecided one", "task-one", "req-one", "task-two", "Overdue one", "task-lost", "Submitting one",
                  "host:1:ab", "3 h ago", "For a person to decide (1)", "Overdue (2)", "Lost (1)"):  # fmt: skip
        assert shown in text, shown
    assert "Waiting one" not in text
    # What the machine looks for itself is shown too, apart from what asks for a person.
    asks, _heading, rest = text.partition('id="looked-for"')
    assert "Looked for one" not in asks
    assert "Looked for one" in rest.partition('id="overdue"')[0]
    assert "at the latest" in rest.partition('id="overdue"')[0]
    assert "2036" not in text


def test_lists_are_short_and_say_how_many_more_there_are(admin: Client, owner: User) -> None:
    for number in range(53):
        stuck(owner, State.LOST, name=f"Lost {number}")
    text = page(admin)
    assert "Lost (53)" in text
    assert text.count('class="pipeline-row"') == 50
    assert "3 more are not shown" in text


def test_the_page_asks_as_many_questions_for_many_rows_as_for_few(
    admin: Client, owner: User, django_assert_max_num_queries: Any
) -> None:
    for state in (State.UNCONFIRMED, State.RUNNING, State.LOST):
        for _number in range(8):
            stuck(owner, state)
    with django_assert_max_num_queries(22):
        page(admin)


def test_staff_never_see_a_key_or_a_signed_url(admin: Client, owner: User) -> None:
    template = stuck(owner, error_message=f"no answer from {SIGNED} with sk-0123456789abcdef")
    Event.objects.create(template=template, kind=Event.Kind.MOVED, detail={"message": SIGNED})
    credential_status.pause(None, code="InvalidApiKey", message="Invalid key sk-0123456789abcdef for " + SIGNED)
    job = Task.objects.create(
        id="1" * 32, name="job", func="templategen.jobs.launch", started=timezone.now(), stopped=timezone.now(),
        success=False, result=f"Boom: {SIGNED}\nTraceback {SIGNED}", attempt_count=1,
    )  # fmt: skip
    for address in (
        PAGE,
        f"{LIST}{template.pk}/change/",
        LIST,
        "/admin/django_q/failure/",
        f"/admin/django_q/failure/{job.pk}/change/",
    ):
        text = page(admin, address)
        assert "abcdef0123456789" not in text
        assert "0123456789abcdef" not in text
        assert "LTAIabcdef" not in text
        assert HIDDEN in text or address == LIST


def test_the_queues_own_pages_that_run_functions_are_gone(admin: Client) -> None:
    assert admin.get("/admin/django_q/schedule/").status_code == 404
    assert admin.get("/admin/django_q/ormq/").status_code == 404
    assert admin.get("/admin/django_q/success/").status_code == 404
    assert admin.get("/admin/django_q/failure/add/").status_code == 403
    assert Failure.objects.count() == 0


# --- the banner ---


def test_a_paused_credential_is_told_on_every_page_of_the_admin(admin: Client) -> None:
    assert "pipeline-banner" not in page(admin, "/admin/")
    credential_status.pause(None, code="Arrearage", message="Overdue")
    for address in ("/admin/", LIST, "/admin/accounts/user/", PAGE):
        text = page(admin, address)
        assert "pipeline-banner" in text
        assert "Arrearage" in text


def test_the_banner_is_for_those_who_may_see_the_pipeline(client: Client, owner: User) -> None:
    credential_status.pause(None, code="Arrearage", message="Overdue")
    assert "Arrearage" not in client.get("/admin/login/").content.decode()
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    client.force_login(owner)
    assert "Arrearage" not in page(client, "/admin/")


def test_a_result_that_nobody_reads_is_an_alarm_on_every_page(admin: Client, owner: User) -> None:
    ended = timezone.now() - timedelta(hours=20)
    stuck(owner, State.RUNNING, name="Unread one", sent_at=ended, looked_at=ended, ended_at=ended)
    assert "1 finished task has not been read for long" in page(admin, "/admin/")
    text = page(admin)
    assert "Alarms (1)" in text
    assert "Unread one" in text


# --- decisions ---


def test_resume_lets_the_line_go_on_and_is_kept_in_the_log(admin: Client, chief: User) -> None:
    credential_status.pause(None, code="Arrearage", message="Overdue", request_id="req-9")
    text = page(admin)
    assert "req-9" in text
    without = admin.post(f"{PAGE}credential/site/", {"why": " "}, follow=True)
    assert "Nothing was done: say why." in without.content.decode()
    assert credential_status.paused()
    answer = admin.post(f"{PAGE}credential/site/", {"why": "The bill is paid"}, follow=True)
    assert "If Alibaba refuses again, it pauses again" in answer.content.decode()
    assert not credential_status.paused()
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (chief, str(CredentialStatus.objects.get().pk))
    assert "The bill is paid" in entry.change_message
    assert admin.post(f"{PAGE}credential/other/").status_code == 404


def test_nothing_is_decided_about_a_template_without_a_reason(admin: Client, owner: User) -> None:
    template = stuck(owner)
    assert "Nothing was done: say why." in decide(admin, template, "cancel", why=" ")
    chosen = {"action": "cancel_all", "_selected_action": [template.pk]}
    assert "Nothing was done: say why." in admin.post(LIST, chosen, follow=True).content.decode()
    template.refresh_from_db()
    assert template.state == State.UNCONFIRMED
    assert not LogEntry.objects.exists()
    # To look again changes nothing.
    assert "It is looked at again." in decide(admin, template, "look", why="")


def test_a_reason_that_no_database_keeps_is_none_and_the_rest_of_one_is_kept(admin: Client, owner: User) -> None:
    template = make_template(account_of(owner), State.QUEUED)
    assert "Nothing was done: say why." in decide(admin, template, "cancel", why="\0")
    decide(admin, template, "cancel", why="By \0hand")
    assert "Reason: By hand" in LogEntry.objects.get().change_message


def test_giving_up_is_in_the_event_and_in_the_log_with_who_did_it(admin: Client, chief: User, owner: User) -> None:
    template = stuck(owner)
    assert "Canceled." in decide(admin, template, "cancel")
    assert state_of(template) == State.CANCELED
    assert Event.objects.filter(template=template, to=State.CANCELED).get().by == chief
    assert LogEntry.objects.get().user == chief
    assert "Canceled." in page(admin, f"{LIST}{template.pk}/history/")


def test_sending_again_wants_a_tick(admin: Client, chief: User, owner: User) -> None:
    template = stuck(owner)
    assert "Tick that you know it" in decide(admin, template, "resubmit")
    assert state_of(template) == State.UNCONFIRMED
    assert "may be paid for twice" in decide(admin, template, "resubmit", sure="1")
    assert state_of(template) == State.QUEUED
    assert template.attempt == 2
    assert Event.objects.filter(template=template, to=State.QUEUED).get().by == chief


def test_trying_a_lost_one_again_wants_a_tick_and_a_failed_one_none(admin: Client, owner: User) -> None:
    lost, failed = stuck(owner, State.LOST), stuck(owner, State.FAILED)
    assert "Tick that you know it" in decide(admin, lost, "retry")
    assert state_of(lost) == State.LOST
    decide(admin, failed, "retry")
    assert state_of(failed) == State.QUEUED


def test_looking_again_brings_the_next_look_forward(admin: Client, chief: User, owner: User) -> None:
    template = stuck(owner, State.LOST, next_look_at=timezone.now() + LONG_AGO)
    assert "looked at again" in decide(admin, template, "look")
    template.refresh_from_db()
    assert template.next_look_at <= timezone.now()
    assert Event.objects.filter(template=template, kind=Event.Kind.LOOK_WANTED).get().by == chief


def test_what_cannot_be_done_is_said_and_leaves_no_entry(admin: Client, owner: User) -> None:
    ready = make_template(account_of(owner), State.READY)
    assert "can no longer be canceled" in decide(admin, ready, "cancel")
    assert "does not know that decision" in decide(admin, ready, "explode")
    assert not LogEntry.objects.exists()
    assert admin.post(f"{PAGE}00000000-0000-0000-0000-000000000000/", {"do": "cancel"}).status_code == 404


@pytest.mark.parametrize(
    "next_page", ["https://evil.example/", "//evil.example/admin/", "/a/studio/", "/admin/../x", ""]
)
def test_after_a_decision_one_stays_in_the_admin(admin: Client, owner: User, next_page: str) -> None:
    answer = admin.post(f"{PAGE}{stuck(owner).public_id}/", {"do": "cancel", "next": next_page})
    assert answer["Location"].startswith("/admin/")


def test_a_found_task_is_taken_and_one_that_alibaba_does_not_know_is_not(
    client: Client, product: Product, sandbox: Any
) -> None:
    owner = make_person("owner@example.com", "studio")
    chief = User.objects.create_superuser("chief@example.com")
    client.force_login(chief)
    template = stuck(owner, found=[{"task_id": "00000000-0000-4000-8000-000000000000", "status": "RUNNING"}])
    text = decide(client, template, "adopt", task_id="00000000-0000-4000-8000-000000000000")
    assert "Alibaba does not know this task" in text
    assert state_of(template) == State.UNCONFIRMED
    from templategen.clients.build import dashscope

    task = dashscope().submit_template(video_url=f"{sandbox.url}/nothing.mp4")
    assert f"Task {task.task_id} is taken for it." in decide(client, template, "adopt", other_task_id=task.task_id)
    assert state_of(template) == State.PENDING
    assert template.task_id == task.task_id
    assert Event.objects.filter(template=template, to=State.PENDING).get().by == chief


# --- the list of templates and a template's page ---


def test_a_templates_page_offers_what_its_state_allows(admin: Client, owner: User) -> None:
    address = f"{LIST}{stuck(owner).pk}/change/"
    text = page(admin, address)
    assert 'value="resubmit"' in text
    assert 'value="adopt"' in text
    ready = page(admin, f"{LIST}{make_template(account_of(owner)).pk}/change/")
    assert 'name="do"' not in ready


def test_several_are_canceled_at_once_and_each_refusal_is_told(admin: Client, owner: User) -> None:
    waiting = [make_template(account_of(owner), State.QUEUED) for _number in range(3)]
    ready = make_template(account_of(owner), State.READY, name="Ready one")
    chosen = [template.pk for template in [*waiting, ready]]
    text = admin.post(
        LIST, {"action": "cancel_all", "_selected_action": chosen, "why": "By hand"}, follow=True
    ).content.decode()
    assert "Done for 3 templates." in text
    assert "Ready one" in text
    assert {state_of(template) for template in waiting} == {State.CANCELED}
    assert LogEntry.objects.count() == 3


def test_too_many_at_once_are_none(admin: Client, owner: User) -> None:
    for _number in range(MOST_AT_ONCE + 1):
        make_template(account_of(owner), State.QUEUED)
    chosen = {
        "action": "cancel_all",
        "select_across": "1",
        "_selected_action": [ActionTemplate.objects.first().pk],
        "why": "By hand",
    }
    text = admin.post(LIST, chosen, follow=True).content.decode()
    assert "Nothing was done" in text
    assert not ActionTemplate.objects.filter(state=State.CANCELED).exists()


def test_what_may_be_billed_twice_is_not_tried_again_in_bulk(admin: Client, owner: User) -> None:
    lost, failed = stuck(owner, State.LOST, name="Lost one"), stuck(owner, State.FAILED)
    chosen = {"action": "retry_all", "_selected_action": [lost.pk, failed.pk], "why": "By hand"}
    text = admin.post(LIST, chosen, follow=True).content.decode()
    assert "decide on its own page" in text
    assert (state_of(lost), state_of(failed)) == (State.LOST, State.QUEUED)


def test_a_template_is_found_by_any_of_its_ids(admin: Client, owner: User) -> None:
    template = make_template(
        account_of(owner), name="Wanted", task_id="task-5", submit_request_id="sub-5", request_id="end-5"
    )
    Event.objects.create(template=template, kind=Event.Kind.MOVED, task_id="task-of-an-earlier-attempt")
    make_template(account_of(owner), name="Unwanted")
    for term in (
        template.template_id,
        "task-5",
        "sub-5",
        " end-5 ",
        str(template.public_id),
        "task-of-an-earlier-attempt",
    ):
        text = admin.get(LIST, {"q": term}).content.decode()
        assert "Wanted" in text
        assert "Unwanted" not in text
    for term in ("task-", "Wanted", "nothing"):
        assert "Unwanted" not in admin.get(LIST, {"q": term}).content.decode()


def test_a_templates_page_shows_its_newest_events_and_asks_no_more_for_many(
    admin: Client, chief: User, owner: User, django_assert_max_num_queries: Any
) -> None:
    template = make_template(account_of(owner), State.QUEUED)
    people = [User.objects.create_user(f"p{number}@example.com") for number in range(20)]
    happened = [
        Event(template=template, kind=Event.Kind.RENAMED, by=people[number % 20], task_id=f"task-{number:03d}")
        for number in range(150)
    ]
    Event.objects.bulk_create(happened)
    with django_assert_max_num_queries(20):
        page = admin.get(f"{LIST}{template.pk}/change/")
    shown = [form.instance.task_id for form in page.context["inline_admin_formsets"][1].formset.forms]
    assert (len(shown), shown[-1]) == (100, "task-149")


def test_a_long_list_keeps_its_order_whatever_the_address_asks(admin: Client, owner: User) -> None:
    """Any other would read and sort every row."""
    for name in ("Bolero", "Charleston", "Allemande"):
        make_template(account_of(owner), State.READY, name=name)
    for asked in ("", "?o=1", "?o=-1", "?o=2.1"):
        rows = admin.get(f"{LIST}{asked}").context["cl"].result_list
        assert [row.name for row in rows] == ["Allemande", "Charleston", "Bolero"], asked


def test_a_search_by_id_reads_indexes_only(owner: User) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's query plan; with few rows PostgreSQL rightly reads them all")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        find_by_id("term")
    assert len(asked) >= 5
    for query in asked.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " ".join(row[3] for row in cursor.fetchall())
        assert "SCAN" not in plan, plan
        assert "INDEX" in plan, plan


def test_what_nobody_can_read_any_more_is_called_lost_with_a_reason(admin: Client, owner: User, chief: User) -> None:
    template = stuck(owner, State.RUNNING, task_id="task-gone", sent_at=timezone.now() - timedelta(hours=30))
    assert 'value="call_lost"' in page(admin)
    decide(admin, template, "call_lost", why="")
    assert state_of(template) == State.RUNNING
    assert "It counts as lost." in decide(admin, template, "call_lost")
    assert state_of(template) == State.LOST
    assert LogEntry.objects.get(user=chief).change_message.endswith("By hand")
    fresh = stuck(owner, State.RUNNING, task_id="task-fresh", sent_at=timezone.now())
    assert "It counts as lost." not in decide(admin, fresh, "call_lost")
    assert state_of(fresh) == State.RUNNING


def test_a_paused_key_is_called_by_whose_it_is(admin: Client, owner: User) -> None:
    Account.objects.update(name="Bolt & Sons")
    own = credentials.replace(
        account_of(owner), secret="sk-own-0123456789", workspace="", base_url="", alibaba_uid="", by=None
    )
    credential_status.pause(own.pk, code="Arrearage", message="")
    credential_status.pause(None, code="InvalidApiKey", message="")
    text = page(admin)
    assert "The key of Bolt &amp; Sons (…6789) is paused (Arrearage): nothing is handed over with it." in text
    assert "<h3>The key of Bolt &amp; Sons (…6789)</h3>" in text
    assert "The site&#x27;s key is paused (InvalidApiKey)" in text
    credential_status.resume(own.pk)
    credential_status.pause(123456, code="Arrearage", message="")
    assert "123456 is paused" in page(admin)
