"""From a file on somebody's disk to a template ID on their page."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Person, Site
from tests.browser.uploader import Bucket, Uploader, padded
from tests.clips import make_clip
from tests.media import media

# One after the other, and a page that looks less often the longer nothing moves.
MADE_MS = 90_000
TEMPLATE_ID = re.compile(r"^AACT\.\S+$")


@pytest.fixture(scope="package")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that breaks no rule."""
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


def card(page: Page, name: str):
    return page.locator("#gallery article").filter(has_text=name)


def test_a_dropped_clip_becomes_a_template_whose_id_can_be_copied(visit: Visit, person: Person, clip: Path) -> None:
    page = visit(person, permissions=["clipboard-read", "clipboard-write"])
    uploader = Uploader(page)
    uploader.drop(clip)
    uploader.expect_state("good.mp4", "done")
    expect(uploader.item("good.mp4")).to_contain_text("Uploaded. Checking…")
    uploader.expect_gone("good.mp4")
    shown = card(page, "good").locator(".id-text")
    expect(shown).to_have_text(TEMPLATE_ID)
    card(page, "good").get_by_role("button", name="Copy").click()
    expect(card(page, "good")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown.text_content()


def test_a_clip_that_breaks_a_rule_is_refused_before_a_byte_is_uploaded(page: Page, site: Site, tmp_path: Path) -> None:
    before = Bucket(site.sandbox).unfinished()
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    uploader = Uploader(page)
    uploader.choose(make_clip(tmp_path / "slow.mp4", fps=12))
    uploader.expect_state("slow.mp4", "refused")
    expect(uploader.item("slow.mp4")).to_contain_text("12")
    expect(uploader.item("slow.mp4")).to_contain_text("24")
    expect(uploader.item("slow.mp4").locator("img")).to_be_visible()
    assert uploader.parts == []
    assert all(url.endswith("/precheck/") for url in posts)
    assert Bucket(site.sandbox).unfinished() == before


def test_one_bad_file_does_not_stop_another(page: Page, clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video at all")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    other = padded(clip, tmp_path / "other.mp4", 9_000_000)
    uploader = Uploader(page)
    uploader.choose(text, clip, empty, other)
    uploader.expect_state("notes.mp4", "refused")
    uploader.expect_state("empty.mp4", "refused")
    for name in ("good", "other"):
        expect(card(page, name)).to_have_count(1)
    uploader.press("remove", "notes.mp4")
    uploader.expect_gone("notes.mp4")


def test_real_clips_do_what_is_written_of_them(page: Page) -> None:
    uploader = Uploader(page)
    names = ("dance.mp4", "mpeg4-320x240.avi", "street.avi", "walk-10fps-139s.mp4", "drawn-skeleton.mp4")
    uploader.drop(*(media(name) for name in names))
    for name, broken in (("mpeg4-320x240.avi", 1), ("walk-10fps-139s.mp4", 2)):
        uploader.expect_state(name, "refused")
        expect(uploader.item(name).locator(".trouble-what")).to_have_count(broken)
    for name in ("dance", "street", "drawn-skeleton"):
        expect(card(page, name).locator(".id-text")).to_have_text(TEMPLATE_ID, timeout=MADE_MS)
    assert uploader.parts == [1, 1, 1]


def test_nobody_else_sees_an_upload_or_what_became_of_it(
    page: Page, visit: Visit, site: Site, person: Person, clip: Path, tmp_path: Path
) -> None:
    uploader = Uploader(page)
    uploader.choose(clip)
    expect(card(page, "good")).to_have_count(1)
    site.sandbox.fault("oss-part", "slow", seconds=60, times=None)
    upload = uploader.begin(padded(clip, tmp_path / "half.mp4", 20_000_000))
    stranger = visit(site.person())
    expect(stranger.locator("#gallery article")).to_have_count(0)
    expect(stranger.locator("[data-list] > li")).to_have_count(0)
    for address in (site.gallery(person), site.url + upload):
        assert stranger.request.get(address).status == 404
    uploader.press("cancel", "half.mp4")
    uploader.expect_gone("half.mp4")


def test_without_javascript_the_plain_form_does_it(visit: Visit, person: Person, clip: Path) -> None:
    page = visit(person, java_script_enabled=False)
    page.set_input_files("input[type=file]", [clip])
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator("#gallery")).to_contain_text("good")
    expect(page.locator(".message")).to_contain_text("uploaded")


def test_without_javascript_a_bad_file_is_refused_in_words(visit: Visit, person: Person, tmp_path: Path) -> None:
    page = visit(person, java_script_enabled=False)
    page.set_input_files("input[type=file]", [make_clip(tmp_path / "slow.mp4", fps=12)])
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".trouble-what")).to_contain_text("12")
    page.get_by_role("link", name="Back to the gallery").click()
    expect(page.locator("#gallery article")).to_have_count(0)
