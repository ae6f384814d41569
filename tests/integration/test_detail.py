"""The page of one template."""

import html as entities
import json
import re
import shlex

import pytest
from django.test import Client

from accounts.models import Account, User
from templategen.models import ActionTemplate, Event
from templategen.states import State
from tests.factories import FACTS, make_clip, make_template
from tests.people import account_of


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def page(web: Client, template: ActionTemplate) -> str:
    answer = web.get(f"/a/studio/templates/{template.public_id}/")
    assert answer.status_code == 200
    return answer.content.decode()


def copied(html: str, element: str) -> str:
    return entities.unescape(re.search(rf'id="{element}"[^>]*>([^<]*)<', html).group(1))


def test_it_shows_facts_findings_and_history(web: Client, studio: Account, owner: User) -> None:
    template = make_template(studio, State.FAILED, clip=make_clip(studio, uploaded_by=owner))
    template.move(State.QUEUED, by=owner)
    html = page(web, template)
    for words in ("1080 × 1920", "24 fps", "H.264, MP4", "dance.mp4", "by owner@example.com"):
        assert words in html
    assert html.count(">Passed</span>") == 4
    assert html.index("It is tried again") < html.index("The upload began")


def test_no_two_regions_have_the_same_name(web: Client, studio: Account) -> None:
    named = re.findall(r'aria-labelledby="([^"]+)"', page(web, make_template(studio)))
    assert sorted(named) == sorted(set(named))


def test_the_id_is_copied_as_text_json_and_curl(web: Client, studio: Account, settings) -> None:
    template = make_template(studio, name='It\'s "quoted"', template_id="AACT.a'b\"c$(x)")
    html = page(web, template)
    assert copied(html, "id-template") == template.template_id
    told = json.loads(copied(html, "text-json"))
    assert told["template_id"] == template.template_id
    assert told["name"] == template.name
    command = shlex.split(copied(html, "text-curl"))
    assert command[3] == f"{settings.DASHSCOPE_BASE_URL}/services/aigc/image2video/video-synthesis/"
    body = json.loads(command[command.index("-d") + 1])
    assert body["model"] == "animate-anyone-gen2"
    assert body["input"]["template_id"] == template.template_id
    assert "X-DashScope-Async: enable" in command


def test_a_key_is_never_on_the_page(web: Client, studio: Account, settings) -> None:
    settings.DASHSCOPE_API_KEY = "sk-very-secret"
    assert "sk-very-secret" not in page(web, make_template(studio))


@pytest.mark.parametrize(
    ("facts", "plays", "says"),
    [
        ({}, True, ""),
        ({"codec": "hevc"}, True, "Not every browser plays"),
        ({"container": "avi"}, False, "Browsers cannot play"),
    ],
)
def test_a_video_that_browsers_do_not_play_is_said_so(
    web: Client, studio: Account, facts: dict[str, str], plays: bool, says: str
) -> None:
    html = page(web, make_template(studio, clip=make_clip(studio, facts=FACTS | facts)))
    assert ("<video" in html) is plays
    assert says in html
    assert "/download/" in html


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_word_a_picture_and_a_way_on(web: Client, studio: Account, state: State) -> None:
    errors = {State.BLOCKED: "limits", State.UNCONFIRMED: "unconfirmed.person", State.LOST: "lost"}
    template = make_template(studio, state, **({"error_code": errors[state]} if state in errors else {}))
    html = page(web, template)
    status = html[html.index('id="detail-status"') : html.index('id="detail-ids"')]
    assert re.search(rf'<use href="[^"]+#\w+"></use></svg>{state.label}</span>', status)
    words = re.sub(r"<[^>]+>", " ", status[status.index("</p>") :])
    assert len(words.split()) >= 4
    assert html.count("<h1") == 1


def test_media_addresses_are_signed_and_live_for_minutes(web: Client, studio: Account, settings) -> None:
    template = make_template(studio)
    for part in ("poster", "video", "download"):
        answer = web.get(f"/a/studio/templates/{template.public_id}/{part}/")
        assert answer.status_code == 302
        assert "x-oss-signature" in answer.url
        assert f"x-oss-expires={settings.MEDIA_URL_SECONDS}" in answer.url
        assert "private" in answer["Cache-Control"]
        # A player that asks again gets a fresh address; a poster seen again is not asked for.
        assert ("no-store" in answer["Cache-Control"]) == (part != "poster")
    assert "dance.mp4" in answer.url


def test_media_that_is_not_there_is_404(web: Client, studio: Account) -> None:
    template = make_template(studio, State.UPLOADING, clip=make_clip(studio, stored_at=None, poster_key=""))
    for part in ("poster", "video", "download"):
        assert web.get(f"/a/studio/templates/{template.public_id}/{part}/").status_code == 404


@pytest.mark.parametrize(("language", "told"), [("en", "no answer"), ("zh-hans", "没有答复")])
def test_a_connection_without_an_answer_is_told_in_words(web: Client, owner: User, language: str, told: str) -> None:
    template = make_template(
        account_of(owner), State.UNCONFIRMED, error_code="unconfirmed", error_message="ConnectionError"
    )
    Event.objects.create(template=template, kind="moved", to="unconfirmed", detail={"message": "ConnectionError"})
    text = web.get(f"/a/studio/templates/{template.public_id}/", headers={"Accept-Language": language}).content.decode()
    assert told in text
    assert "ConnectionError" not in text
