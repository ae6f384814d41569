"""The uploader by keyboard, by ear, and on a small screen."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Person, Site
from tests.browser.uploader import PART, Uploader, padded
from tests.clips import make_clip


@pytest.fixture(scope="package")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts."""
    folder = tmp_path_factory.mktemp("clips")
    return padded(make_clip(folder / "short.mp4"), folder / "two.mp4", PART + 1000)


def focused(page: Page) -> str:
    """What has the focus: its action, else its tag."""
    text: str = page.evaluate("document.activeElement.dataset.action || document.activeElement.tagName.toLowerCase()")
    return text


def test_the_keyboard_alone_does_it_all(page: Page, site: Site, clip: Path) -> None:
    uploader = Uploader(page)
    site.sandbox.fault("oss-part", "slow", seconds=60, times=None, match="partNumber=2&")
    # Listened for from the start: told just before the key it may come too late to the browser.
    page.on("filechooser", lambda chooser: chooser.set_files(clip))
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "file":
            break
    page.keyboard.press("Enter")
    uploader.expect_state("two.mp4", "sending")
    for _ in range(5):
        page.keyboard.press("Tab")
        if focused(page) == "pause":
            break
    page.keyboard.press("Enter")
    uploader.expect_state("two.mp4", "paused")
    assert focused(page) == "resume"
    page.keyboard.press("Enter")
    uploader.expect_state("two.mp4", "sending")
    assert focused(page) == "pause"
    page.keyboard.press("Tab")
    assert focused(page) == "cancel"
    page.keyboard.press("Enter")
    uploader.expect_gone("two.mp4")
    assert page.evaluate("document.activeElement.type") == "file"


def test_start_progress_and_end_are_spoken(page: Page, clip: Path) -> None:
    page.evaluate(
        """() => {
          const region = document.querySelector("[data-speech]");
          window.spoken = [];
          new MutationObserver(() => window.spoken.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    uploader = Uploader(page)
    uploader.choose(clip)
    expect(uploader.spoken).to_contain_text("Uploaded")
    spoken = " ".join(page.evaluate("window.spoken"))
    assert "two.mp4: Sending" in spoken
    assert "two.mp4: Uploaded. Checking…" in spoken
    assert "100" not in spoken


def test_progress_has_a_name_and_words_and_never_says_it_is_whole(page: Page, site: Site, clip: Path) -> None:
    # As long as it takes to look at it, also on a busy machine.
    site.sandbox.fault("oss-complete", "slow", seconds=15)
    uploader = Uploader(page)
    uploader.choose(clip)
    uploader.expect_state("two.mp4", "finishing")
    bar = uploader.item("two.mp4").get_by_role("progressbar", name="two.mp4")
    expect(bar).to_have_attribute("aria-valuenow", "99")
    expect(bar).to_have_attribute("aria-valuetext", "99%, 8.4 MB of 8.4 MB")
    expect(uploader.item("two.mp4")).to_contain_text("Sent, finishing…")


def test_the_same_file_is_not_taken_twice(page: Page, site: Site, clip: Path) -> None:
    site.sandbox.fault("oss-part", "slow", seconds=60, times=None)
    uploader = Uploader(page)
    uploader.choose(clip)
    uploader.expect_state("two.mp4", "sending")
    uploader.choose(clip)
    expect(uploader.spoken).to_contain_text("in the list already")
    expect(uploader.item("two.mp4")).to_have_count(1)


def test_a_pasted_file_is_taken(page: Page, clip: Path, tmp_path: Path) -> None:
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["not a video"], "pasted.mp4"));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    Uploader(page).expect_state("pasted.mp4", "refused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_small_screen_needs_no_scrolling_sideways(
    visit: Visit, person: Person, site: Site, clip: Path, tmp_path: Path, scheme: str
) -> None:
    page = visit(person, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    site.sandbox.fault("oss-part", "slow", seconds=60, times=None)
    uploader = Uploader(page)
    long_name = tmp_path / ("a-very-long-name-without-any-space-" * 4 + ".mp4")
    long_name.write_text("not a video")
    uploader.choose(clip, long_name)
    uploader.expect_state("two.mp4", "sending")
    uploader.expect_state("a-very-long", "refused")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
