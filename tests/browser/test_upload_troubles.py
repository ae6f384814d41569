"""What may come between an upload and its end: the person, the line, the storage, the session."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Person, Site
from tests.browser.uploader import PART, Bucket, Uploader, padded
from tests.clips import make_clip

NAME = "long.mp4"
PARTS = 3


@pytest.fixture(scope="package")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts, the last one short."""
    folder = tmp_path_factory.mktemp("clips")
    return padded(make_clip(folder / "short.mp4"), folder / NAME, 2 * PART + 1000)


@pytest.fixture
def uploader(page: Page) -> Uploader:
    return Uploader(page)


def hold(site: Site, *numbers: int, seconds: float = 60) -> None:
    """The storage does not answer for these parts."""
    for number in numbers:
        site.sandbox.fault("oss-part", "slow", seconds=seconds, times=None, match=f"partNumber={number}&")


def wait_for_parts(uploader: Uploader, site: Site, url: str, *numbers: int) -> None:
    """Until the storage has these parts and no others."""
    page = uploader.page
    for _ in range(900):
        missing = page.request.get(site.url + url).json()["upload"]["missing"]
        if set(range(1, PARTS + 1)) - set(missing) == set(numbers):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"missing: {missing}")


def pass_time(page: Page, is_there: Callable[[], bool], *, step_ms: int) -> None:
    """Let the page's own clock run ahead until something is so."""
    for _ in range(3000):
        if is_there():
            return
        page.clock.run_for(step_ms)
        page.wait_for_timeout(10)
    raise AssertionError("it never came to that")


def expect_made(uploader: Uploader) -> None:
    uploader.expect_state(NAME, "done")
    expect(uploader.page.locator("#gallery article").filter(has_text="long")).to_have_count(1)


def test_after_a_reload_only_the_missing_parts_are_sent(uploader: Uploader, site: Site, long_clip: Path) -> None:
    page = uploader.page
    hold(site, 2, 3)
    url = uploader.begin(long_clip)
    wait_for_parts(uploader, site, url, 1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    site.sandbox.clear_faults()
    expect(uploader.item(NAME)).to_contain_text("2 of 3 parts missing. Choose the same file to go on")
    uploader.parts.clear()
    with page.expect_file_chooser() as chooser:
        uploader.press("choose", NAME)
    chooser.value.set_files(long_clip)
    expect_made(uploader)
    assert sorted(uploader.parts) == [2, 3]


def test_another_file_does_not_go_on_with_an_unfinished_upload(
    uploader: Uploader, site: Site, long_clip: Path, tmp_path: Path
) -> None:
    page = uploader.page
    hold(site, 3)
    wait_for_parts(uploader, site, uploader.begin(long_clip), 1, 2)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    site.sandbox.clear_faults()
    expect(uploader.item(NAME)).to_contain_text("1 of 3 parts missing")
    with page.expect_file_chooser() as chooser:
        uploader.press("choose", NAME)
    chooser.value.set_files(make_clip(tmp_path / "other.mp4"))
    expect(uploader.item(NAME)).to_contain_text("That was another file")
    expect(uploader.spoken).to_contain_text("That was another file")
    uploader.expect_gone("other.mp4")
    uploader.expect_state(NAME, "unfinished")
    uploader.press("cancel", NAME)
    uploader.expect_gone(NAME)


def test_pause_keeps_what_is_there_and_continue_sends_the_rest(uploader: Uploader, site: Site, long_clip: Path) -> None:
    hold(site, 2, 3)
    url = uploader.begin(long_clip)
    wait_for_parts(uploader, site, url, 1)
    uploader.press("pause", NAME)
    uploader.expect_state(NAME, "paused")
    site.sandbox.clear_faults()
    uploader.parts.clear()
    uploader.page.wait_for_timeout(300)
    assert uploader.parts == []
    uploader.press("resume", NAME)
    expect_made(uploader)
    assert sorted(uploader.parts) == [2, 3]


def test_cancel_throws_away_what_is_there(uploader: Uploader, site: Site, long_clip: Path) -> None:
    before = set(Bucket(site.sandbox).unfinished())
    hold(site, 2, 3)
    wait_for_parts(uploader, site, uploader.begin(long_clip), 1)
    assert len(set(Bucket(site.sandbox).unfinished()) - before) == 1
    uploader.press("cancel", NAME)
    uploader.expect_gone(NAME)
    assert set(Bucket(site.sandbox).unfinished()) <= before
    uploader.page.reload()
    expect(uploader.item(NAME)).to_have_count(0)


def test_a_refused_part_is_sent_again_by_a_fresh_address(uploader: Uploader, site: Site, long_clip: Path) -> None:
    site.sandbox.fault("oss-part", "status", status=403, code="AccessDenied", match="partNumber=2&")
    signed = []
    uploader.page.on("request", lambda request: signed.append(request.url) if "/parts/" in request.url else None)
    uploader.choose(long_clip)
    expect_made(uploader)
    assert sorted(uploader.parts) == [1, 2, 2, 3]
    assert len(signed) == 1


def test_a_storage_that_fails_for_a_while_is_tried_again(uploader: Uploader, site: Site, long_clip: Path) -> None:
    site.sandbox.fault("oss-part", "status", status=503, code="ServiceUnavailable", times=2)
    site.sandbox.fault("oss-part", "refuse", times=2)
    site.sandbox.fault("oss-complete", "status", status=500, code="InternalError")
    uploader.choose(long_clip)
    expect_made(uploader)


def test_a_storage_that_stays_away_is_said_so_and_can_be_tried_again(
    uploader: Uploader, site: Site, long_clip: Path
) -> None:
    page = uploader.page
    page.clock.install()
    site.sandbox.fault("oss-part", "status", status=503, code="ServiceUnavailable", times=None)
    uploader.choose(long_clip)
    uploader.item(NAME).wait_for()
    pass_time(page, lambda: uploader.item(NAME).get_attribute("data-state") == "failed", step_ms=5000)
    expect(uploader.item(NAME)).to_contain_text("503 ServiceUnavailable")
    site.sandbox.clear_faults()
    uploader.press("retry", NAME)
    pass_time(page, lambda: uploader.item(NAME).get_attribute("data-state") == "done", step_ms=100)


def test_a_part_that_stands_still_is_cut_and_sent_again(uploader: Uploader, site: Site, long_clip: Path) -> None:
    page = uploader.page
    page.clock.install()
    site.sandbox.fault("oss-part", "slow", seconds=60, match="partNumber=2&")
    wait_for_parts(uploader, site, uploader.begin(long_clip), 1, 3)
    page.clock.run_for(20_000)
    assert sorted(uploader.parts) == [1, 2, 3]
    page.clock.run_for(11_000)
    pass_time(page, lambda: uploader.item(NAME).get_attribute("data-state") == "done", step_ms=100)
    assert sorted(uploader.parts) == [1, 2, 2, 3]


def test_without_a_network_it_waits_and_goes_on_by_itself(uploader: Uploader, site: Site, long_clip: Path) -> None:
    hold(site, 3)
    wait_for_parts(uploader, site, uploader.begin(long_clip), 1, 2)
    uploader.page.context.set_offline(True)
    expect(uploader.item(NAME)).to_contain_text("No connection")
    site.sandbox.clear_faults()
    uploader.parts.clear()
    uploader.page.context.set_offline(False)
    expect_made(uploader)
    assert uploader.parts == [3]


def test_an_upload_that_the_storage_threw_away_begins_anew(uploader: Uploader, site: Site, long_clip: Path) -> None:
    hold(site, 3)
    url = uploader.begin(long_clip)
    wait_for_parts(uploader, site, url, 1, 2)
    uploader.press("pause", NAME)
    Bucket(site.sandbox).throw_away()
    site.sandbox.clear_faults()
    uploader.press("resume", NAME)
    uploader.expect_state(NAME, "failed")
    expect(uploader.item(NAME)).to_contain_text("tidied away")
    uploader.press("retry", NAME)
    expect_made(uploader)


def finish_elsewhere(uploader: Uploader, site: Site, url: str) -> None:
    """Another tab of the same person finishes the upload."""
    page = uploader.page
    [token] = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken"]
    headers = {"Accept": "application/json", "X-CSRFToken": token, "Referer": site.url}
    assert page.request.post(site.url + url + "finish/", data={}, headers=headers).ok


def cut_off_the_finish(uploader: Uploader, long_clip: Path) -> None:
    """All parts are sent; then the page is reloaded before it can say that they are to be put together."""
    page = uploader.page
    page.route("**/finish/", lambda route: None)
    page.on("dialog", lambda dialog: dialog.accept())
    uploader.choose(long_clip)
    uploader.expect_state(NAME, "finishing")
    page.reload()
    page.unroute_all(behavior="ignoreErrors")


def test_an_upload_that_was_finished_elsewhere_is_done_and_not_sent_again(
    uploader: Uploader, site: Site, long_clip: Path
) -> None:
    page = uploader.page
    cut_off_the_finish(uploader, long_clip)
    [upload] = page.request.get(page.url + "uploads/").json()["uploads"]
    expect(uploader.item(NAME)).to_contain_text("All of it is there")
    finish_elsewhere(uploader, site, upload["url"])
    uploader.choose(long_clip)
    expect_made(uploader)
    uploader.expect_gone(NAME)
    expect(page.locator("#gallery article")).to_have_count(1)


def test_a_part_that_the_storage_no_longer_takes_is_asked_about(
    uploader: Uploader, site: Site, long_clip: Path
) -> None:
    site.sandbox.fault("oss-part", "status", status=404, code="NoSuchUpload", match="partNumber=3&")
    uploader.choose(long_clip)
    expect_made(uploader)
    expect(uploader.page.locator("#gallery article")).to_have_count(1)


def test_canceling_what_was_uploaded_already_says_so(uploader: Uploader, site: Site, long_clip: Path) -> None:
    cut_off_the_finish(uploader, long_clip)
    [upload] = uploader.page.request.get(uploader.page.url + "uploads/").json()["uploads"]
    expect(uploader.item(NAME)).to_contain_text("All of it is there")
    finish_elsewhere(uploader, site, upload["url"])
    uploader.press("cancel", NAME)
    expect(uploader.item(NAME)).to_contain_text("It was uploaded already. Cancel it on its card.")
    expect(uploader.page.locator("#gallery article").filter(has_text="long")).to_have_count(1)
    uploader.expect_gone(NAME)


def test_an_upload_cut_off_while_it_was_finished_needs_no_file(uploader: Uploader, long_clip: Path) -> None:
    cut_off_the_finish(uploader, long_clip)
    uploader.parts.clear()
    uploader.press("finish", NAME)
    expect_made(uploader)
    assert uploader.parts == []


def test_a_lost_answer_does_not_begin_two_uploads(uploader: Uploader, site: Site, long_clip: Path) -> None:
    page = uploader.page
    lost = []

    def lose(route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch())
            route.abort()
        else:
            route.continue_()

    page.route("**/uploads/", lose)
    uploader.choose(long_clip)
    expect_made(uploader)
    assert len(lost) == 1
    uploader.expect_gone(NAME)
    page.reload()
    expect(page.locator("[data-list] > li")).to_have_count(0)


def test_a_lost_answer_and_a_pause_do_not_begin_two_uploads(uploader: Uploader, site: Site, long_clip: Path) -> None:
    page = uploader.page
    lost = []

    def lose(route) -> None:
        if route.request.method == "POST":
            lost.append(route.fetch())
        route.abort()

    page.route("**/uploads/", lose)
    uploader.choose(long_clip)
    for _ in range(900):
        if lost:
            break
        page.wait_for_timeout(50)
    uploader.press("pause", NAME)
    uploader.expect_state(NAME, "paused")
    page.unroute_all(behavior="ignoreErrors")
    uploader.press("resume", NAME)
    expect_made(uploader)
    assert len(lost) == 1
    assert page.request.get(page.url + "uploads/").json()["uploads"] == []


def test_a_file_that_changed_on_disk_is_chosen_anew_and_replaces_the_upload(
    uploader: Uploader, site: Site, long_clip: Path, tmp_path: Path
) -> None:
    page = uploader.page
    clip = tmp_path / NAME
    clip.write_bytes(long_clip.read_bytes())
    hold(site, 2, 3)
    wait_for_parts(uploader, site, uploader.begin(clip), 1)
    uploader.press("pause", NAME)
    uploader.expect_state(NAME, "paused")
    padded(make_clip(tmp_path / "short.mp4"), clip, 2 * PART + 2000)
    uploader.press("resume", NAME)
    uploader.expect_state(NAME, "failed")
    expect(uploader.item(NAME).locator("[data-action=retry]")).to_be_hidden()
    site.sandbox.clear_faults()
    uploader.parts.clear()
    with page.expect_file_chooser() as chooser:
        uploader.press("choose", NAME)
    chooser.value.set_files(clip)
    expect_made(uploader)
    assert sorted(uploader.parts) == [1, 2, 3]
    assert page.request.get(page.url + "uploads/").json()["uploads"] == []


def test_when_signed_out_it_says_so_and_goes_on_after_signing_in(
    uploader: Uploader, site: Site, person: Person, long_clip: Path
) -> None:
    context = uploader.page.context
    hold(site, 3)
    wait_for_parts(uploader, site, uploader.begin(long_clip), 1, 2)
    uploader.press("pause", NAME)
    context.clear_cookies(name=site.cookie)
    uploader.press("resume", NAME)
    uploader.expect_state(NAME, "failed")
    expect(uploader.item(NAME)).to_contain_text("You are signed out")
    site.sandbox.clear_faults()
    context.add_cookies([{"name": site.cookie, "value": person.session, "url": site.url}])
    uploader.parts.clear()
    uploader.press("retry", NAME)
    uploader.expect_state(NAME, "done")
    assert uploader.parts == [3]


def test_leaving_asks_only_while_something_is_being_sent(
    visit: Visit, site: Site, person: Person, long_clip: Path
) -> None:
    uploader = Uploader(visit(person))
    asked = []
    uploader.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    hold(site, 3)
    uploader.begin(long_clip)
    uploader.expect_state(NAME, "sending")
    uploader.page.locator("h1").click()
    uploader.page.reload()
    assert asked == ["beforeunload"]
    uploader.expect_state(NAME, "unfinished")
    uploader.page.reload()
    assert asked == ["beforeunload"]


def test_leaving_asks_while_a_file_waits_for_its_check_or_for_another_try(
    visit: Visit, person: Person, long_clip: Path
) -> None:
    uploader = Uploader(visit(person))
    page = uploader.page
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.route("**/precheck/", lambda route: None)
    uploader.choose(long_clip)
    uploader.expect_state(NAME, "checking")
    page.locator("h1").click()
    page.reload()
    assert asked == ["beforeunload"]
    page.unroute_all(behavior="ignoreErrors")
    page.route("**/precheck/", lambda route: route.fulfill(status=400, json={"error": {"text": "No."}}))
    uploader.choose(long_clip)
    uploader.expect_state(NAME, "failed")
    expect(uploader.spoken).to_contain_text("Not sent. No.")
    page.locator("h1").click()
    page.reload()
    assert asked == ["beforeunload"] * 2
