"""The gallery and the detail page in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.rows import Rows
from tests.browser.site import Person, Site
from tests.browser.uploader import Uploader
from tests.clips import make_clip

CLIPBOARD = ["clipboard-read", "clipboard-write"]
LIVE = re.compile("/live/")
MARK = "window.notReloaded = true"


def wide() -> dict[str, str]:
    """A task that was found, as wide as it comes; no other account's, which would not be offered."""
    made_at = "2026-03-04T05:06:07+00:00"
    return {"task_id": uuid4().hex * 3, "status": "S" * 60, "made_at": made_at, "request_id": "q" * 100}


@pytest.fixture(scope="module")
def rows(whole_site: Site) -> Iterator[Rows]:
    with Rows(whole_site) as process:
        yield process


def card(page: Page, name: str):
    return page.locator("#gallery article").filter(has_text=name)


def polls(page: Page) -> list[str]:
    """Every question of the page's poll from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    return asked


def not_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.notReloaded === true"))


def test_the_id_is_copied_by_keyboard_and_said_so(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"name": "Waltz", "template_id": "AACT.1234.waltz"})
    page = visit(person, permissions=CLIPBOARD)
    button = card(page, "Waltz").get_by_role("button", name="Copy the template ID of Waltz")
    button.focus()
    page.keyboard.press("Enter")
    expect(card(page, "Waltz").locator(".copy-done")).to_be_visible()
    expect(page.locator("#spoken")).to_have_text("Copied: AACT.1234.waltz")
    assert page.evaluate("navigator.clipboard.readText()") == "AACT.1234.waltz"


def test_without_a_clipboard_the_id_is_selected_instead(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"name": "Waltz", "template_id": "AACT.1234.waltz"})
    page = visit(person)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    card(page, "Waltz").locator(".copy-button").click()
    expect(page.locator("#spoken")).to_contain_text("selected")
    assert page.evaluate("getSelection().toString()") == "AACT.1234.waltz"


def test_filter_search_and_pages_swap_in_place_and_lie_in_the_address(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, *({"name": f"Dance {n}"} for n in range(30)), {"state": "failed", "name": "Broken"})
    page = visit(person)
    page.evaluate(MARK)
    page.get_by_role("link", name="Needs attention").click()
    expect(page.locator("#gallery article")).to_have_count(1)
    expect(page.locator("#chip-attention")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?state=attention$"))
    page.get_by_role("link", name="All", exact=False).first.click()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#gallery-total")).to_have_text("25–31 of 31")
    page.go_back()
    expect(page.locator("#gallery-total")).to_have_text("1–24 of 31")
    page.go_back()
    expect(page.locator("#gallery article")).to_have_count(1)
    page.get_by_label("Search by name or ID").fill("dance 7")
    expect(page.locator(".empty")).to_contain_text("No template in “Needs attention” has “dance 7”")
    page.get_by_role("link", name="Clear search and filter").click()
    expect(page.locator("#gallery article")).to_have_count(24)
    page.get_by_label("Search by name or ID").fill("dance 7")
    expect(page.locator("#gallery article")).to_have_count(1)
    expect(page.locator("#chip-all")).to_have_text("All")
    assert not_reloaded(page)
    page.reload()
    expect(page.locator("#gallery article")).to_have_count(1)


def test_typing_on_while_an_answer_comes_loses_no_letter(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"name": "Waltz one"}, {"name": "Waltz two"})
    page = visit(person)
    search = page.get_by_label("Search by name or ID")
    search.press_sequentially("waltz")
    with page.expect_response("**/?q=waltz"):
        page.wait_for_timeout(350)
    search.press_sequentially(" two", delay=20)
    expect(page.locator("#gallery article")).to_have_count(1)
    expect(search).to_have_value("waltz two")
    expect(search).to_be_focused()


def test_a_pasted_id_leads_straight_to_its_template(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"name": "Waltz", "template_id": "AACT.1234.waltz"}, {"name": "Other"})
    page = visit(person)
    page.get_by_label("Search by name or ID").fill("AACT.1234.waltz")
    expect(page.get_by_role("heading", level=1)).to_have_text("Waltz")


def test_cards_change_by_themselves_keep_focus_and_the_poll_ends(visit: Visit, rows: Rows, person: Person) -> None:
    (first,) = rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    page.evaluate(MARK)
    asked = polls(page)
    card(page, "Waltz").get_by_role("link", name="Waltz", exact=True).focus()
    rows.put(person, {"change": first, "to": "canceled"})
    expect(card(page, "Waltz").locator(".badge")).to_have_text("Canceled")
    expect(card(page, "Waltz").get_by_role("link", name="Waltz", exact=True)).to_be_focused()
    expect(page.locator("#chip-canceled")).to_contain_text("1")
    expect(page.locator("#spoken")).to_contain_text("Waltz: Canceled")
    assert asked
    assert page.locator("#live").get_attribute("hx-get") is None
    assert not_reloaded(page)


def test_places_in_line_move_up_by_themselves_and_nobody_is_interrupted(
    visit: Visit, rows: Rows, person: Person
) -> None:
    first, _second = rows.put(person, {"state": "queued", "name": "Waltz"}, {"state": "queued", "name": "Tango"})
    page = visit(person)
    page.evaluate(MARK)
    outlook = card(page, "Tango").locator(".outlook")
    expect(outlook).to_contain_text("Number 2 of 2 in your line.")
    cancel = card(page, "Tango").get_by_role("button", name="Cancel")
    cancel.focus()
    rows.put(person, {"change": first, "to": "canceled"})
    expect(outlook).to_contain_text("The only one in your line.")
    expect(cancel).to_be_focused()
    expect(page.locator("#spoken")).to_have_text("Waltz: Canceled.")
    assert not_reloaded(page)


def test_a_hidden_tab_asks_nothing_and_asks_at_once_when_seen(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    asked = polls(page)
    page.wait_for_timeout(3500)
    assert asked == []
    # By the page's own clock: the browser's words to this process may come late.
    look = f"""() => new Promise(done => {{
        const seen = performance.now();
        document.addEventListener('htmx:beforeRequest', () => done(performance.now() - seen), {{once: true}});
        ({hide})(false);
    }})"""
    with page.expect_request("**/live/**"):
        waited_ms = page.evaluate(look)
    assert waited_ms < 1500


def test_deleting_asks_first_and_can_be_undone(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"name": "Waltz"}, {"name": "Other"})
    page = visit(person)
    page.evaluate(MARK)
    delete = card(page, "Waltz").get_by_role("link", name="Delete Waltz")
    delete.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The template ID at Alibaba is not deleted")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(delete).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Delete").click()
    expect(card(page, "Waltz")).to_have_count(0)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, "Waltz")).to_have_count(1)
    assert not_reloaded(page)


def test_canceling_changes_the_card_in_place(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    page.evaluate(MARK)
    card(page, "Waltz").get_by_role("button", name="Cancel").click()
    expect(card(page, "Waltz").locator(".badge")).to_have_text("Canceled")
    expect(page.locator("#messages")).to_contain_text("Its video is kept")
    assert not_reloaded(page)


def test_what_can_no_longer_be_done_is_told_and_the_page_brought_up_to_date(
    visit: Visit, rows: Rows, person: Person
) -> None:
    (first,) = rows.put(person, {"state": "failed", "name": "Waltz"})
    page = visit(person)
    rows.put(person, {"change": first, "to": "queued"})
    card(page, "Waltz").get_by_role("button", name="Try again").click()
    expect(page.locator("#messages")).to_contain_text("cannot be tried again in its present state")
    expect(card(page, "Waltz").locator(".badge")).to_have_text("Waiting")


def test_a_poll_that_fails_slows_down_and_says_nothing(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    asked = polls(page)
    junk = "<h1>503 from a proxy</h1>"
    with page.expect_request(LIVE):
        page.route(LIVE, lambda route: route.fulfill(status=503, content_type="text/html", body=junk))
    # Every three seconds it would be; after a failure it is six.
    page.wait_for_timeout(4_500)
    assert len(asked) == 1
    expect(page.locator("#live")).to_have_count(1)
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator("[data-message]")).to_have_count(0)


def test_a_proxys_error_page_takes_no_part_of_the_page_and_no_undo_away(
    visit: Visit, rows: Rows, person: Person
) -> None:
    rows.put(person, {"state": "failed", "name": "Waltz"}, {"name": "Other"})
    page = visit(person)
    card(page, "Other").get_by_role("link", name="Delete Other").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.route("**/retry/", lambda route: route.fulfill(status=503, content_type="text/html", body="<h1>junk</h1>"))
    for _ in range(4):
        card(page, "Waltz").get_by_role("button", name="Try again").click()
        page.wait_for_timeout(100)
    expect(page.locator("[data-message]:has-text('broke on our side')")).to_have_count(3)
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.locator("#messages")).to_contain_text("broke on our side")
    expect(card(page, "Waltz")).to_have_count(1)


def test_who_is_signed_out_keeps_the_page_and_is_told_once(
    visit: Visit, rows: Rows, site: Site, person: Person
) -> None:
    rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    page.evaluate(MARK)
    page.context.clear_cookies(name=site.cookie)
    look = "document.getElementById('live').dispatchEvent(new CustomEvent('templates:look'))"
    page.evaluate(look)
    link = page.locator("#messages").get_by_role("link", name="Sign in")
    expect(link).to_have_attribute("target", "_blank")
    asked = polls(page)
    page.wait_for_timeout(3_500)
    assert asked == []
    expect(page.locator("[data-message]")).to_have_count(1)
    page.context.add_cookies([{"name": site.cookie, "value": person.session, "url": site.url}])
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-message]")).to_have_count(0)
    assert not_reloaded(page)


def test_after_signing_in_elsewhere_the_page_still_decides_and_its_messages_stay_one_region(
    visit: Visit, rows: Rows, site: Site, person: Person
) -> None:
    rows.put(person, {"state": "failed", "name": "Waltz"})
    page = visit(person)
    page.evaluate("window.region = document.getElementById('messages')")
    page.context.add_cookies([{"name": "csrftoken", "value": "Q" * 32, "url": site.url}])
    card(page, "Waltz").get_by_role("button", name="Try again").click()
    expect(page.locator("#messages")).to_contain_text("is tried again")
    assert page.evaluate("document.getElementById('messages') === window.region")


def test_everything_works_without_scripts(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, *({"name": f"Dance {n}"} for n in range(25)), {"name": "Waltz", "template_id": "AACT.1234.waltz"})
    page = visit(person, java_script_enabled=False)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#gallery article")).to_have_count(2)
    page.get_by_label("Search by name or ID").fill("waltz")
    page.get_by_role("button", name="Search").click()
    expect(card(page, "Waltz")).to_contain_text("AACT.1234.waltz")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="Delete Waltz").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#messages")).to_contain_text("is deleted")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#messages")).to_contain_text("is back")


def test_the_keyboard_reaches_everything(visit: Visit, rows: Rows, person: Person) -> None:
    rows.put(person, {"state": "failed", "name": "Waltz"})
    page = visit(person)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        if seen[-1].startswith("card-retry"):
            break
    for wanted in ("uploader-files", "q", "chip-attention", "name-", "delete-", "card-retry"):
        assert any(each.startswith(wanted) for each in seen), (wanted, seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_320_pixels(visit: Visit, rows: Rows, site: Site, person: Person, scheme: str) -> None:
    long = "Averylongnamewithoutanyspacethatgoesonandonandon" * 3
    (first, second, third) = rows.put(
        person,
        {"name": long, "template_id": "AACT." + "x" * 200},
        {"state": "failed", "name": "Two words", "error_message": "y" * 300, "error_code": "Z" * 100},
        {"state": "unconfirmed", "name": "Nobody knows", "submit_request_id": "r" * 90, "found": [wide(), wide()]},
    )
    page = visit(person, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    for address in (
        "",
        "?q=nothing-at-all",
        "?state=deleted",
        *(f"templates/{one}/{more}" for one in (first, second, third) for more in ("", "delete/")),
    ):
        page.goto(site.gallery(person) + address)
        for details in page.locator("main details:not([data-menu])").all():
            details.evaluate("element => { element.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, address


# --- The page of one template ---


@pytest.fixture(scope="package")
def real_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "dance.mp4")


def wait_until(page: Page, what: str) -> None:
    """Until that is true of the player. Not wait_for_function: it needs eval, which no page of ours allows."""
    page.locator("video").evaluate(
        f"video => new Promise(done => {{ const look = () => video.{what} ? done() : setTimeout(look, 50); look(); }})"
    )


def test_a_real_clip_plays_is_renamed_and_its_id_copied_as_a_command(
    visit: Visit, person: Person, real_clip: Path
) -> None:
    page = visit(person, permissions=CLIPBOARD)
    Uploader(page).drop(real_clip)
    expect(card(page, "dance").locator(".id-text")).to_have_text(re.compile(r"^AACT\."))
    poster = card(page, "dance").locator("img")
    expect(poster).to_be_visible()
    poster.evaluate("image => image.decode()")
    card(page, "dance").get_by_role("link", name="dance", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("dance")
    wait_until(page, "readyState >= 1")
    assert 2 < page.evaluate("document.querySelector('video').duration") < 4
    # The address has grown old: the player gets a fresh one and is where it was told to go, playing.
    video = page.locator("video")
    with page.expect_request("**/video/"):
        video.evaluate("""video => {
            const now = performance.now.bind(performance);
            performance.now = () => now() + 86_400_000;
            video.muted = true;
            video.currentTime = 1;
            video.play().catch(() => {});
        }""")
    wait_until(page, "currentTime > 1.1")
    page.get_by_text("Rename", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Slow waltz")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Slow waltz")
    page.get_by_text("As a curl command").click()
    page.locator("#copy-curl").click()
    expect(page.locator("#copy-curl .copy-done")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#text-curl").text_content()


def test_a_person_decides_by_keyboard_and_reads_what_came_of_it(visit: Visit, rows: Rows, person: Person) -> None:
    found = wide()
    rows.put(person, {"state": "unconfirmed", "name": "Waltz", "found": [found]})
    page = visit(person)
    card(page, "Waltz").get_by_role("link", name="Look and decide about Waltz").press("Enter")
    expect(page.get_by_role("heading", name="You decide")).to_be_in_viewport()
    mine = page.get_by_role("button", name="This one is mine")
    expect(mine).to_have_accessible_description(found["task_id"])
    mine.press("Enter")
    expect(page.locator(".lead")).to_contain_text("does not know this task")
    page.get_by_role("link", name="Back").press("Enter")
    page.get_by_role("button", name="Give up").press("Enter")
    expect(page.locator("#detail-status .badge")).to_have_text("Canceled")
    expect(page.locator("#detail-history")).to_contain_text("It was given up")
    expect(page.get_by_role("button", name="Try again (billed again)")).to_be_visible()


def test_the_detail_page_follows_what_happens_without_a_reload(
    visit: Visit, rows: Rows, site: Site, person: Person
) -> None:
    (first,) = rows.put(person, {"state": "queued", "name": "Waltz"})
    page = visit(person)
    page.goto(f"{site.gallery(person)}templates/{first}/")
    page.evaluate(MARK)
    rows.put(person, {"change": first, "to": "canceled"})
    page.locator("#live").dispatch_event("templates:look")
    expect(page.locator("#detail-status .badge")).to_have_text("Canceled")
    expect(page.locator("#detail-history")).to_contain_text("It was canceled")
    assert not_reloaded(page)
