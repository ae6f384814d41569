"""The gallery: what is on it, in which order, found how."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from templategen import listing
from templategen.finding_texts import limit_in_words
from templategen.models import ActionTemplate
from templategen.states import State
from tests.factories import make_clip, make_template
from tests.people import account_of

URL = "/a/studio/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def studio(owner: User) -> Account:
    return account_of(owner)


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def page(web: Client, query: str = "", **headers: str) -> str:
    answer = web.get(URL + query, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def names(html: str) -> list[str]:
    return re.findall(r'<a id="name-[^>]*>([^<]*)</a>', html)


def make_many(account: Account, count: int, **values: object) -> list[ActionTemplate]:
    """Templates 1 … count, the last the newest."""
    clip, began = make_clip(account), timezone.now() - timedelta(days=1)
    return [
        make_template(account, name=f"Dance {n}", clip=clip, created_at=began + timedelta(minutes=n), **values)
        for n in range(1, count + 1)
    ]


def test_a_card_shows_name_length_state_time_and_template_id(web: Client, studio: Account) -> None:
    template = make_template(studio, name="Slow waltz", template_id="AACT.some.thing-else")
    html = page(web)
    assert names(html) == ["Slow waltz"]
    for words in ("AACT.some.thing-else", "12.0 s", ">Ready</span>", f'datetime="{template.created_at.isoformat()}"'):
        assert words in html


def test_buttons_of_a_card_say_in_one_sentence_what_they_do_to_which(web: Client, studio: Account) -> None:
    make_template(studio, State.FAILED, name="A <b> & C", template_id="AACT.some.thing-else")
    html = page(web)
    for words in ("Try again", "Delete", "Copy the template ID of"):
        assert f'<span class="visually-hidden">{words} A &lt;b&gt; &amp; C</span>' in html


def test_an_empty_gallery_names_the_limit_that_is_checked(web: Client, studio: Account) -> None:
    html = page(web)
    assert f"whole body, {limit_in_words('duration')}." in html
    assert "2 to 60 s" in limit_in_words("duration")


def test_the_newest_comes_first(web: Client, studio: Account) -> None:
    make_many(studio, 3)
    assert names(page(web)) == ["Dance 3", "Dance 2", "Dance 1"]


def test_pages_hold_24_and_lie_in_the_address(web: Client, studio: Account) -> None:
    make_many(studio, 50)
    assert names(page(web))[0] == "Dance 50"
    assert names(page(web, "?page=2")) == [f"Dance {n}" for n in range(26, 2, -1)]
    last = page(web, "?page=3")
    assert names(last) == ["Dance 2", "Dance 1"]
    assert "49–50 of 50" in last
    assert 'href="?page=2" hx-get' in last


@pytest.mark.parametrize(
    ("asked", "first"), [("99999", "Dance 2"), ("9" * 5000, "Dance 2"), ("0", "Dance 26"), ("x", "Dance 26")]
)
def test_a_page_that_is_not_there_is_the_nearest_that_is(web: Client, studio: Account, asked: str, first: str) -> None:
    make_many(studio, 26)
    assert names(page(web, f"?page={asked}"))[0] == first


def test_every_template_is_on_exactly_one_page(studio: Account) -> None:
    make_many(studio, 60)
    counts = listing.counts_of(studio)
    shown = [t.pk for n in (1, 2, 3) for t in listing.page_of(studio, listing.Wish(page=n), counts).templates]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == 60


def test_chips_filter_by_groups_of_states_and_count_them(web: Client, studio: Account) -> None:
    for state in State:
        make_template(studio, state, name=f"Is {state}")
    html = page(web)
    counts = re.findall(r'id="chip-(\w+)".*?chip-count">(\d+)<', html)
    assert counts == [
        ("all", "11"),
        ("waiting", "2"),
        ("making", "3"),
        ("ready", "1"),
        ("attention", "4"),
        ("canceled", "1"),
    ]
    attention = names(page(web, "?state=attention"))
    assert set(attention) == {"Is blocked", "Is unconfirmed", "Is failed", "Is lost"}


def test_every_state_but_uploading_is_in_one_group() -> None:
    grouped = [state for group in listing.GROUPS for state in group.states]
    assert sorted(grouped) == sorted(set(State) - {State.UPLOADING})


def test_uploads_and_deleted_templates_are_not_among_the_cards(web: Client, studio: Account) -> None:
    make_template(studio, State.UPLOADING, name="Going up")
    make_template(studio, name="Gone", deleted_at=timezone.now())
    make_template(studio, name="Here")
    assert names(page(web)) == ["Here"]


# --- Search ---


@pytest.mark.parametrize("words", ["waltz", "WALTZ", "slow wal", "holiday.mp4", "aact.one", "TASK-77", "übung"])
def test_search_looks_into_names_files_and_ids_whatever_the_case(web: Client, studio: Account, words: str) -> None:
    clip = make_clip(studio, file_name="Holiday.mp4")
    make_template(studio, name="Slow Waltz ÜBUNG", clip=clip, template_id="AACT.one.two", task_id="task-77")
    make_template(studio, name="Other")
    assert names(page(web, f"?q={words}")) == ["Slow Waltz ÜBUNG"]


@pytest.mark.parametrize("words", ["100%", "a_b", "\\", "%", "_"])
def test_signs_that_mean_something_to_the_database_mean_themselves(web: Client, studio: Account, words: str) -> None:
    make_template(studio, name="100% a_b \\")
    make_template(studio, name="100 axb")
    assert names(page(web, "?" + "q=" + words.replace("%", "%25"))) == ["100% a_b \\"]


def test_search_and_filter_work_together_and_stay_while_paging(web: Client, studio: Account) -> None:
    make_many(studio, 30)
    make_template(studio, State.FAILED, name="Dance failed")
    html = page(web, "?state=ready&q=dance")
    assert "1–24 of 30" in html
    assert "?state=ready&amp;q=dance&amp;page=2" in html
    assert names(page(web, "?state=attention&q=dance")) == ["Dance failed"]


def test_more_hits_than_are_counted_are_said_so(web: Client, studio: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_HITS", 10)
    make_many(studio, 12)
    assert "More than 10 found" in page(web, "?q=dance")


def test_a_whole_id_leads_straight_to_its_template(web: Client, studio: Account) -> None:
    template = make_template(studio, template_id="AACT.4f1c.88aa-0123", task_id="0f3c2c6e-8f6b-4a4e-9a55-1c2d3e4f5a6b")
    address = f"{URL}templates/{template.public_id}/"
    for words in (template.template_id, template.task_id, str(template.public_id), f" {template.template_id} "):
        assert web.get(URL, {"q": words}).url == address
    assert web.get(URL, {"q": template.template_id}, headers=HTMX)["HX-Redirect"] == address


def test_the_id_of_another_account_leads_nowhere(web: Client, studio: Account, stranger: User) -> None:
    theirs = make_template(account_of(stranger), template_id="AACT.4f1c.88aa-0123")
    for words in (theirs.template_id, theirs.task_id, str(theirs.public_id)):
        assert "Nothing found" in page(web, f"?q={words}")


@pytest.mark.parametrize("words", ["\x00", "x" * 5000, "' OR 1=1 --", "<script>alert(1)</script>", "😀", "%"])
def test_no_search_breaks_the_page(web: Client, studio: Account, words: str) -> None:
    make_template(studio, name="Here")
    answer = web.get(URL, {"q": words, "state": words, "page": words})
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content


# --- Nothing to show ---


def test_a_new_account_is_told_the_three_steps(web: Client, studio: Account) -> None:
    html = page(web)
    assert html.count("<li>", html.index('class="steps"')) == 3
    assert 'id="q"' not in html


def test_no_hits_says_what_was_filtered_and_how_to_clear_it(web: Client, studio: Account) -> None:
    make_template(studio, name="Here")
    html = page(web, "?q=waltz&state=ready")
    assert "No template in “Ready” has “waltz”" in html
    assert "Clear search and filter" in html


# --- What went wrong ---


def test_a_failed_card_says_what_why_and_what_to_do_with_the_raw_words_behind(web: Client, studio: Account) -> None:
    make_template(
        studio, State.FAILED, error_code="InvalidFile.FullBody", error_message="Human not fullbody", request_id="r-1"
    )
    html = page(web)
    for words in ("Alibaba refused the first frame.", "The person is not seen whole.", "from head to foot"):
        assert words in html
    raw = html[html.index("Details for support") : html.index("</details>", html.index("Details for support"))]
    for words in ("InvalidFile.FullBody", "Human not fullbody", "r-1"):
        assert words in raw


def test_a_blocked_card_names_each_broken_rule_and_its_fix(web: Client, studio: Account) -> None:
    make_template(studio, State.BLOCKED, error_code="limits")
    html = page(web)
    assert "10" in html[html.index("trouble") :]
    assert "139.3" in html
    assert "/retry/" not in html


def test_names_and_messages_are_shown_as_text(web: Client, studio: Account) -> None:
    make_template(studio, State.FAILED, name="<b>bold</b>", error_message="<img src=x>", error_code="X<y>")
    html = page(web)
    assert "<b>bold" not in html
    assert "<img src=x>" not in html


# --- Partials ---


def test_htmx_gets_only_the_changing_part_and_a_whole_page_to_go_back_to(web: Client, studio: Account) -> None:
    part = page(web, "", **HTMX)
    assert part.lstrip().startswith("<section")
    assert "<html" not in part
    assert "<html" in page(web, "", **HTMX, **{"HX-History-Restore-Request": "true"})


def test_caches_keep_page_and_part_apart(web: Client, studio: Account) -> None:
    answer = web.get(URL)
    assert "HX-Request" in answer["Vary"]
    assert "private" in answer["Cache-Control"]


def test_the_number_of_queries_does_not_grow(web: Client, studio: Account, django_assert_max_num_queries) -> None:
    web.get(URL)
    make_many(studio, 2)
    for count in (2, 60):
        make_many(studio, count)
        for query in ("", "?page=2", "?state=ready", "?state=attention", "?q=dance"):
            with django_assert_max_num_queries(14):
                web.get(URL + query)


def test_a_page_reads_no_row_before_its_ids_are_known(studio: Account, django_assert_num_queries) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("the plan is asked for in SQLite's words")
    make_many(studio, 30)
    make_template(studio, State.FAILED)
    counts = listing.counts_of(studio)
    wishes = [
        listing.Wish(),
        listing.Wish(page=2),
        listing.Wish("ready"),
        listing.Wish("attention"),
        listing.Wish(words="dance"),
    ]
    for wish in wishes:
        with django_assert_num_queries(2) as captured:
            listing.page_of(studio, wish, counts)
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + captured.captured_queries[0]["sql"].replace("%", "%%"))
            plan = " ".join(row[3] for row in cursor.fetchall())
        assert "USING COVERING INDEX gallery" in plan, (wish, plan)
        assert "TEMP B-TREE" not in plan, (wish, plan)
