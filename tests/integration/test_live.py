"""The page's one poll."""

import json
import re

import pytest
from django.test import Client

from accounts.models import Account, User
from templategen.models import ActionTemplate
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of

URL = "/a/studio/live/"
NOBODY = "00000000-0000-4000-8000-000000000000"
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/studio/?state=making"}


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def poll(web: Client, *seen: str, **more: str) -> str:
    return web.get(URL, {"t": seen, **more}, headers=HTMX).content.decode()


def seen(template: ActionTemplate) -> str:
    return f"{template.public_id}.{template.version}"


def finish(template: ActionTemplate) -> None:
    assert template.move(State.READY, template_id="AACT.new")


def test_a_gallery_of_settled_templates_does_not_poll(web: Client, studio: Account) -> None:
    for state in (State.READY, State.FAILED, State.BLOCKED, State.LOST, State.CANCELED):
        make_template(studio, state)
    html = web.get("/a/studio/").content.decode()
    assert '<div id="live"></div>' in html
    assert "data-live" not in html


def test_one_unsettled_template_makes_one_poll_for_the_page(web: Client, studio: Account) -> None:
    running, waiting = make_template(studio, State.RUNNING), make_template(studio, State.QUEUED)
    make_template(studio)
    html = web.get("/a/studio/").content.decode()
    assert html.count("every 3s") == 1
    assert set(re.findall(r'data-live="([^"]+)"', html)) == {seen(running), seen(waiting)}


def test_only_changed_cards_come_and_the_counts_with_them(web: Client, studio: Account) -> None:
    moving, still = make_template(studio, State.RUNNING), make_template(studio, State.RUNNING)
    before = (seen(moving), seen(still))
    finish(moving)
    html = poll(web, *before)
    assert re.findall(r'<article [^>]*id="card-([^"]+)"', html) == [str(moving.public_id)]
    assert html.count('hx-swap-oob="true"') == 2
    # The page shows what is being made: one of the two no longer is, though its card stays until the next look.
    assert '<p id="gallery-total" hx-swap-oob="innerHTML">1 template' in html
    assert 'id="chips"' in html
    assert "AACT.new" in html


def test_when_nothing_moved_the_answer_is_small_and_the_poll_slows_down(web: Client, studio: Account) -> None:
    template = make_template(studio, State.RUNNING)
    html = poll(web, seen(template))
    assert len(html) < 500
    assert '"quiet": 1' in html
    pace = {
        quiet: re.search(r"every (\d+)s", poll(web, seen(template), quiet=str(quiet))).group(1) for quiet in (0, 9, 29)
    }
    assert pace == {0: "3", 9: "15", 29: "60"}


def test_a_change_makes_it_quick_again(web: Client, studio: Account) -> None:
    moving, still = make_template(studio, State.PENDING), make_template(studio, State.QUEUED)
    before = (seen(moving), seen(still))
    moving.move(State.RUNNING)
    html = poll(web, *before, quiet="200")
    assert "every 3s" in html
    assert '"quiet": 0' in html


def test_once_all_are_settled_it_stops(web: Client, studio: Account) -> None:
    template = make_template(studio, State.RUNNING)
    before = seen(template)
    finish(template)
    html = poll(web, before)
    assert '<div id="live"></div>' in html


def test_what_came_to_its_end_is_spoken(web: Client, studio: Account) -> None:
    template = make_template(studio, State.RUNNING, name="Waltz")
    before = seen(template)
    finish(template)
    answer = web.get(URL, {"t": before}, headers=HTMX)
    assert json.loads(answer["HX-Trigger"]) == {"templates:news": {"text": "Waltz: Ready."}}


def test_a_card_that_somebody_deleted_leaves_the_page(web: Client, studio: Account) -> None:
    html = poll(web, f"{NOBODY}.1")
    assert 'hx-swap-oob="delete"' in html


def test_nothing_of_another_account_is_told(web: Client, studio: Account, stranger: User) -> None:
    theirs = make_template(account_of(stranger), State.RUNNING, name="Secret")
    html = poll(web, f"{theirs.public_id}.0")
    assert "Secret" not in html
    assert "<article" not in html


@pytest.mark.parametrize("given", ["", "x", "x.y", NOBODY, f"{NOBODY}.x", "." * 50, f"{NOBODY}.{'9' * 5000}"])
def test_made_up_questions_are_answered_calmly(web: Client, studio: Account, given: str) -> None:
    answer = web.get(URL, {"t": given, "quiet": given, "on": given, "player": given})
    assert answer.status_code == 200


def test_a_poll_costs_few_queries(web: Client, studio: Account, django_assert_max_num_queries) -> None:
    given = [seen(make_template(studio, State.RUNNING)) for _ in range(24)]
    with django_assert_max_num_queries(4):
        poll(web, *given)


# --- On the detail page ---


def test_the_detail_page_changes_its_parts_but_not_a_player_that_plays(web: Client, studio: Account) -> None:
    template = make_template(studio, State.RUNNING)
    html = web.get(f"/a/studio/templates/{template.public_id}/").content.decode()
    assert '"on": "detail", "player": "plays"' in html
    before = seen(template)
    finish(template)
    parts = poll(web, before, on="detail", player="plays")
    assert set(re.findall(r'id="(detail-\w+)"', parts)) >= {
        "detail-status",
        "detail-ids",
        "detail-history",
        "detail-findings",
    }
    assert "<video" not in parts
    assert "AACT.new" in parts


def test_the_player_comes_once_the_video_is_checked(web: Client, studio: Account) -> None:
    template = make_template(studio, State.CHECKING)
    before = seen(template)
    template.move(State.QUEUED)
    template.clip.facts = {"container": "mp4", "codec": "h264", "width": 1, "height": 1}
    template.clip.save()
    assert "<video" in poll(web, before, on="detail", player="unknown")
