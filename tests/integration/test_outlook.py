"""What a waiting template's card says of its place and time, and what is said while nothing goes on."""

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import credentials
from accounts.models import Account, User
from templategen import credential_status
from templategen.estimates import Place
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus
from templategen.states import FOR_A_PERSON, State
from templategen.web.hold import hold_of
from templategen.web.outlook import outlook
from tests.factories import make_template
from tests.people import account_of

GALLERY, LIVE = "/a/studio/", "/a/studio/live/"
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/studio/"}
NOW = timezone.now()


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def ready_after(account: Account, seconds: float) -> ActionTemplate:
    """A template of the past, from which this site knows how long things take."""
    end = timezone.now() - timedelta(hours=1)
    began = end - timedelta(seconds=seconds)
    return make_template(account, sent_at=began, running_at=began, ended_at=end, ready_at=end)


def queued(account: Account, minutes_ago: float = 0, **values: object) -> ActionTemplate:
    return make_template(account, State.QUEUED, queued_at=timezone.now() - timedelta(minutes=minutes_ago), **values)


def said(html: str, template: ActionTemplate) -> str:
    found = re.search(rf'id="outlook-{template.public_id}"[^>]*>([^<]*)</p>', html)
    assert found is not None
    return found[1]


def live_marks(html: str) -> list[str]:
    """What live.js would send of the page's cards."""
    return [f"{card}.{told}" for card, told in re.findall(r'data-live="([^"]+)".*?data-told="([^"]*)"', html, re.S)]


def mark(html: str) -> str:
    return re.search(r'id="hold" data-mark="([^"]*)"', html)[1]


def poll(web: Client, marks: list[str], **more: str):
    return web.get(LIVE, {"t": marks, "quiet": "4", **more}, headers=HTMX)


# --- In words ---


@pytest.mark.parametrize(
    ("seconds", "waiting", "running"),
    [
        (20, "Ready in about a minute.", "Less than a minute left."),
        (61, "Ready in about 2 minutes.", "About 2 minutes left."),
        (180, "Ready in about 3 minutes.", "About 3 minutes left."),
        (20 * 60, "Ready in 15 to 25 minutes.", "15 to 25 minutes left."),
        (90 * 60, "Ready in 70 to 115 minutes.", "70 to 115 minutes left."),
        (5 * 3600, "Ready in 4 to 7 hours.", "Some hours left."),
        (60 * 3600, "Ready in two days or later.", "Some hours left."),
        (-5, "It takes longer than usual.", "It takes longer than usual."),
    ],
)
def test_the_farther_off_the_rougher(seconds: float, waiting: str, running: str) -> None:
    place = Place(0, 0, NOW, NOW + timedelta(seconds=seconds))
    assert outlook(State.PENDING, place, None, NOW) == waiting
    assert outlook(State.RUNNING, place, None, NOW) == running


@pytest.mark.parametrize("seconds", [601, 700, 1000, 2500, 7200, 7201, 9000, 100_000])
def test_a_range_holds_what_is_expected_and_has_two_ends(seconds: float) -> None:
    text = outlook(State.PENDING, Place(0, 0, NOW, NOW + timedelta(seconds=seconds)), None, NOW)
    least, most = (int(number) for number in re.findall(r"\d+", text))
    unit = 3600 if "hours" in text else 60
    assert least * unit <= seconds <= most * unit
    assert least < most


def test_nothing_is_promised_before_the_sites_first_template(web: Client, studio: Account) -> None:
    running, first, second = make_template(studio, State.RUNNING), queued(studio, 2), queued(studio, 1)
    html = web.get(GALLERY).content.decode()
    assert said(html, running) == ""
    assert said(html, first) == "Number 1 of 2 in your line."
    assert said(html, second) == "Number 2 of 2 in your line."


def test_place_and_time_stand_on_card_and_page(web: Client, studio: Account) -> None:
    ready_after(studio, 240)
    running = make_template(studio, State.RUNNING, running_at=timezone.now() - timedelta(seconds=70))
    slow = make_template(studio, State.RUNNING, running_at=timezone.now() - timedelta(seconds=700))
    only = queued(studio, 1)
    html = web.get(GALLERY).content.decode()
    assert said(html, running) == "About 3 minutes left."
    assert said(html, slow) == "It takes longer than usual."
    assert said(html, only).startswith("The only one in your line. Ready in ")
    page = web.get(f"{GALLERY}templates/{only.public_id}/").content.decode()
    assert said(page, only) == said(html, only)


def test_the_place_is_the_same_on_every_page(web: Client, studio: Account) -> None:
    line = [queued(studio, 60 - number) for number in range(30)]
    first_page, second_page = (web.get(GALLERY, {"page": number}).content.decode() for number in (1, 2))
    for number, template in ((30, line[29]), (7, line[6])):
        assert said(first_page, template) == f"Number {number} of 30 in your line."
        page = web.get(f"{GALLERY}templates/{template.public_id}/").content.decode()
        assert said(page, template) == said(first_page, template)
    assert said(second_page, line[5]) == "Number 6 of 30 in your line."


def test_no_time_is_promised_while_an_answer_is_looked_for(web: Client, studio: Account) -> None:
    ready_after(studio, 240)
    lost_answer = make_template(studio, State.UNCONFIRMED, error_code="unconfirmed", sent_at=timezone.now())
    only = queued(studio, 1)
    text = said(web.get(GALLERY).content.decode(), only)
    assert "Ready in" not in text
    assert "until it is known what became of" in text
    ActionTemplate.objects.filter(pk=lost_answer.pk).update(error_code=FOR_A_PERSON)
    assert "Ready in" in said(web.get(GALLERY).content.decode(), only)


def test_how_many_others_wait_is_not_told(web: Client, studio: Account, stranger: User) -> None:
    for _ in range(3):
        queued(account_of(stranger), 5)
    mine = queued(studio, 1)
    assert said(web.get(GALLERY).content.decode(), mine) == "The only one in your line."


def test_a_page_full_of_waiting_cards_costs_as_many_queries_as_one(
    web: Client, studio: Account, django_assert_num_queries
) -> None:
    queued(studio)
    web.get(GALLERY)
    with CaptureQueriesContext(connection) as few:
        web.get(GALLERY)
    for _ in range(20):
        queued(studio)
    with django_assert_num_queries(len(few)):
        web.get(GALLERY)


# --- Kept true by the poll ---


def test_an_outlook_that_changed_comes_alone_and_one_that_did_not_stays(web: Client, studio: Account) -> None:
    ready_after(studio, 240)
    running = make_template(studio, State.RUNNING, running_at=timezone.now() - timedelta(seconds=70))
    waiting = queued(studio, 1)
    marks = live_marks(web.get(GALLERY).content.decode())
    assert len(marks) == 2
    assert "outlook-" not in poll(web, marks).content.decode()
    ActionTemplate.objects.filter(pk=running.pk).update(running_at=timezone.now() - timedelta(seconds=130))
    html = poll(web, marks).content.decode()
    assert said(html, running) == "About 2 minutes left."
    assert f"outlook-{waiting.public_id}" in html
    assert "<article" not in html
    assert "HX-Trigger" not in poll(web, marks)


def test_whoever_moves_up_is_told_with_the_move(web: Client, studio: Account) -> None:
    first, second = queued(studio, 2), queued(studio, 1)
    marks = live_marks(web.get(GALLERY).content.decode())
    assert first.move(State.CANCELED)
    html = poll(web, marks, quiet="0").content.decode()
    assert said(html, second) == "The only one in your line."


def test_most_polls_reckon_nothing(web: Client, studio: Account, django_assert_max_num_queries) -> None:
    queued(studio)
    marks = live_marks(web.get(GALLERY).content.decode())
    for quiet in ("0", "1", "2", "3"):
        with django_assert_max_num_queries(4):
            poll(web, marks, quiet=quiet)
    with django_assert_max_num_queries(10):
        poll(web, marks, quiet="4")


# --- While nothing goes on ---


def pause(code: str = "Arrearage") -> None:
    credential_status.pause(None, code=code, message="Access denied", request_id="req-77")


def test_a_paused_credential_is_told_with_cause_hope_and_next_try(web: Client, studio: Account) -> None:
    waiting = queued(studio, 1)
    pause()
    detail = f"{GALLERY}templates/{waiting.public_id}/"
    assert "until Alibaba has finished the one before" not in web.get(detail).content.decode()
    for address in (GALLERY, f"{GALLERY}templates/{waiting.public_id}/"):
        html = web.get(address).content.decode()
        for words in ("account is overdue", "Nothing is lost", "administrator", "One template is tried by itself at"):
            assert words in html
        assert "nothing is lost" in said(html, waiting)
        assert "req-77" not in html


def test_staff_is_told_more(web: Client, studio: Account, owner: User) -> None:
    owner.is_staff = True
    owner.save()
    pause()
    html = web.get(GALLERY).content.decode()
    assert "the code is Arrearage" in html
    assert "Access denied" not in html
    # The pipeline's page, and whose request it was, is for those who may look at templates there.
    assert reverse("admin:pipeline") not in html
    assert "req-77" not in html
    owner.is_superuser = True
    owner.save()
    html = web.get(GALLERY).content.decode()
    assert f'href="{reverse("admin:pipeline")}"' in html
    assert "req-77" in html


def test_every_cause_has_words(studio: Account) -> None:
    for code in ("", "InvalidApiKey", "Something.New"):
        pause(code)
        hold = hold_of(studio)
        assert hold is not None
        assert hold.why is not None


def test_pause_and_end_come_with_the_poll_and_are_spoken_once(web: Client, studio: Account) -> None:
    waiting = queued(studio, 1)
    html = web.get(GALLERY).content.decode()
    marks = live_marks(html)
    assert mark(html) == ""
    pause()
    answer = poll(web, marks, hold="")
    shown = mark(answer.content.decode())
    assert shown.startswith("p")
    assert "nothing is lost" in said(answer.content.decode(), waiting)
    assert "does not take" in json.loads(answer["HX-Trigger"])["templates:news"]["text"]
    # The next try was put off: the notice changes, nobody is interrupted.
    CredentialStatus.objects.update(probe_at=timezone.now() + timedelta(hours=1))
    later = poll(web, marks, hold=shown)
    assert mark(later.content.decode()) not in {"", shown}
    assert "HX-Trigger" not in later
    credential_status.resume(None)
    over = poll(web, marks, hold=shown)
    assert mark(over.content.decode()) == ""
    assert "takes this site" in json.loads(over["HX-Trigger"])["templates:news"]["text"]


def test_that_the_own_key_is_paused_and_a_suspension_come_with_the_poll(web: Client, studio: Account) -> None:
    own = credentials.replace(
        studio, secret="sk-own-key-of-the-studio", workspace="", base_url="", alibaba_uid="", by=None
    )
    queued(studio, 1)
    marks = live_marks(web.get(GALLERY).content.decode())
    credential_status.pause(own.pk, code="Arrearage", message="Access denied", request_id="req-78")
    page = poll(web, marks, hold="").content.decode()
    assert "/a/studio/credential/" in page
    Account.objects.update(status=Account.Status.SUSPENDED)
    assert "Studio is suspended: you can look" in poll(web, marks, hold=mark(page)).content.decode()


def test_what_is_asked_to_slow_down_says_when_it_goes_on(web: Client, studio: Account) -> None:
    waiting = queued(studio, 1)
    credential_status.hold_submits(None, retry_after=120)
    html = web.get(GALLERY).content.decode()
    assert "Alibaba asks us to slow down." in html
    assert "It goes on by itself at <time" in html
    assert said(html, waiting).endswith("Alibaba asks us to slow down; it goes on by itself.")


def test_a_short_breath_is_not_told(web: Client, studio: Account) -> None:
    credential_status.hold_submits(None, retry_after=5)
    assert "slow down" not in web.get(GALLERY).content.decode()


def test_made_up_marks_are_answered_calmly(web: Client, studio: Account) -> None:
    template = queued(studio)
    for junk in ("x" * 5000, "p", "\x00", "<b>"):
        answer = poll(web, [f"{template.public_id}.{template.version}.{junk}"], hold=junk)
        assert answer.status_code == 200
        assert junk not in answer.content.decode() or junk == "p"
