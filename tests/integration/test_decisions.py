"""What a person decides on the pages: try again, cancel, send again, rename, delete, restore."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from templategen.models import ActionTemplate, Event
from templategen.states import State
from tests.factories import make_clip, make_template
from tests.people import account_of

GALLERY = "/a/studio/"
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/studio/"}


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def address(template: ActionTemplate, verb: str = "") -> str:
    return f"{GALLERY}templates/{template.public_id}/" + (f"{verb}/" if verb else "")


def test_trying_again_begins_a_new_attempt_with_the_same_video(web: Client, studio: Account, owner: User) -> None:
    template = make_template(studio, State.FAILED)
    answer = web.post(address(template, "retry"), follow=True)
    template.refresh_from_db()
    assert (template.state, template.attempt, template.error_code) == (State.QUEUED, 2, "")
    assert "is tried again" in answer.content.decode()
    assert template.events.get(kind=Event.Kind.MOVED).by == owner


def test_by_htmx_the_card_comes_back_changed_and_is_watched_again(web: Client, studio: Account) -> None:
    template = make_template(studio, State.FAILED)
    html = web.post(address(template, "retry"), headers=HTMX).content.decode()
    assert html.lstrip().startswith(f'<article class="card template-card" id="card-{template.public_id}"')
    assert f'data-live="{template.public_id}.2"' in html
    assert '<div id="live" hx-swap-oob="true" hx-get=' in html
    assert 'id="chips"' in html
    assert "is tried again" in html


def test_canceling_keeps_the_video(web: Client, studio: Account) -> None:
    template = make_template(studio, State.QUEUED)
    answer = web.post(address(template, "cancel"), follow=True)
    template.refresh_from_db()
    assert template.state == State.CANCELED
    assert "Its video is kept" in answer.content.decode()


def test_canceling_an_upload_on_its_page_leads_to_the_gallery(web: Client, studio: Account) -> None:
    clip = make_clip(studio, stored_at=None, upload_id="")
    template = make_template(studio, State.UPLOADING, name="Dance", clip=clip)
    headers = {"referer": f"http://testserver{address(template)}"}
    answer = web.post(address(template, "cancel"), headers=headers, follow=True)
    assert answer.redirect_chain == [(GALLERY, 302)]
    assert "The upload of “Dance” is canceled." in answer.content.decode()


def test_sending_again_is_offered_only_where_the_task_list_did_not_tell(web: Client, studio: Account) -> None:
    looking = make_template(studio, State.UNCONFIRMED, error_code="unconfirmed")
    undecided = make_template(studio, State.UNCONFIRMED, error_code="unconfirmed.person")
    assert address(looking, "resubmit") not in web.get(address(looking)).content.decode()
    assert address(undecided, "resubmit") in web.get(address(undecided)).content.decode()
    web.post(address(undecided, "resubmit"))
    undecided.refresh_from_db()
    assert undecided.state == State.QUEUED


@pytest.mark.parametrize(
    ("state", "verb"),
    [(State.READY, "retry"), (State.RUNNING, "cancel"), (State.RUNNING, "delete"), (State.READY, "resubmit")],
)
def test_what_is_not_possible_is_told_in_the_form_that_was_asked_for(
    web: Client, studio: Account, state: State, verb: str
) -> None:
    template = make_template(studio, state)
    plain = web.post(address(template, verb), headers={"referer": f"http://testserver{GALLERY}?page=2"})
    assert plain.status_code == 409
    assert "That was not done" in plain.content.decode()
    assert 'href="http://testserver/a/studio/?page=2"' in plain.content.decode()
    swapped = web.post(address(template, verb), headers=HTMX)
    assert (swapped.status_code, swapped["HX-Retarget"]) == (409, "#messages")
    assert "message-error" in swapped.content.decode()
    script = web.post(address(template, verb), headers={"accept": "application/json"})
    assert script.status_code == 409
    assert script.json()["error"]["text"]


def test_the_way_back_is_never_to_another_site(web: Client, studio: Account) -> None:
    template = make_template(studio)
    answer = web.post(address(template, "retry"), headers={"referer": "https://evil.example/"})
    assert "evil" not in answer.content.decode()
    failed = make_template(studio, State.FAILED)
    assert web.post(address(failed, "retry"), headers={"referer": "https://evil.example/"}).url == GALLERY


def test_renaming_changes_name_search_and_history(web: Client, studio: Account) -> None:
    template = make_template(studio, name="Dance")
    page = web.post(address(template, "rename"), {"name": "  Slow   waltz "}, follow=True).content.decode()
    assert '<h1 id="detail-name">Slow waltz</h1>' in page
    assert "from “Dance” to “Slow waltz”" in page
    assert "Slow waltz" in web.get(GALLERY, {"q": "waltz"}).content.decode()


@pytest.mark.parametrize("name", ["", "   ", "\u200b\x07"])
def test_an_empty_name_is_refused(web: Client, studio: Account, name: str) -> None:
    template = make_template(studio, name="Dance")
    answer = web.post(address(template, "rename"), {"name": name})
    assert answer.status_code == 422
    template.refresh_from_db()
    assert template.name == "Dance"


# --- Trash ---


def test_deleting_asks_first_and_says_what_stays(web: Client, studio: Account, settings) -> None:
    page = web.get(address(make_template(studio), "delete")).content.decode()
    assert "The template ID at Alibaba is not deleted" in page
    assert f"restored for {settings.TRASH_DAYS} days" in page


def test_a_deleted_template_leaves_the_gallery_and_undo_brings_it_back(web: Client, studio: Account) -> None:
    template = make_template(studio, name="Dance")
    page = web.post(address(template, "delete"), follow=True).content.decode()
    assert f"card-{template.public_id}" not in page
    assert f'action="{address(template, "restore")}"' in page
    assert web.get(address(template)).status_code == 404
    back = web.post(address(template, "restore"), follow=True).content.decode()
    assert f"card-{template.public_id}" in back


def test_by_htmx_the_gallery_comes_back_without_it_and_with_undo(web: Client, studio: Account) -> None:
    template, other = make_template(studio), make_template(studio)
    html = web.post(address(template, "delete"), headers=HTMX).content.decode()
    assert html.lstrip().startswith("<section")
    assert f"card-{template.public_id}" not in html
    assert f"card-{other.public_id}" in html
    assert f'hx-post="{address(template, "restore")}" hx-target="#gallery"' in html


def test_the_trash_lists_what_can_be_restored(web: Client, studio: Account) -> None:
    gone = make_template(studio, name="Gone", deleted_at=timezone.now())
    clip = make_clip(studio, stored_at=None)
    make_template(studio, State.CANCELED, name="Never stored", clip=clip, deleted_at=timezone.now())
    page = web.get(GALLERY, {"state": "deleted"}).content.decode()
    assert address(gone, "restore") in page
    assert "Never stored" not in page


def test_what_is_not_in_the_trash_cannot_be_restored(web: Client, studio: Account) -> None:
    assert web.post(address(make_template(studio), "restore")).status_code == 404


@pytest.mark.parametrize("verb", ["retry", "cancel", "resubmit", "rename", "restore"])
def test_decisions_take_a_post(web: Client, studio: Account, verb: str) -> None:
    assert web.get(address(make_template(studio), verb)).status_code == 405


def test_a_form_of_another_site_is_refused_with_a_page_that_helps(owner: User, studio: Account) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    answer = strict.post(address(make_template(studio, State.FAILED), "retry"))
    assert answer.status_code == 403
    assert "Please send it again" in answer.content.decode()
