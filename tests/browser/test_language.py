"""Choosing a language, in a real browser."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Person, Site


def test_who_chooses_chinese_in_the_menu_stays_on_the_page_and_its_scripts_speak_it_too(site: Site, page: Page) -> None:
    address = page.url
    page.locator("header summary").last.click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page).to_have_url(address)
    expect(page.get_by_role("heading", name="新建模板")).to_be_visible()
    page.set_input_files("#uploader-files", {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"no video"})
    expect(page.get_by_text("这不是视频")).to_be_visible()
    expect(page.get_by_role("button", name="从列表中移除 a.mp4")).to_be_visible()
    page.locator("header summary").last.click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="New templates")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_chinese_pages_need_no_scrolling_sideways(site: Site, person: Person, visit: Visit, width: int) -> None:
    page = visit(person, locale="zh-CN", viewport={"width": width, "height": 800})
    own = f"/a/{person.slug}/"
    for address in (own, f"{own}members/", f"{own}usage/", f"{own}tokens/", "/account/", "/account/two-step/"):
        page.goto(site.url + address)
        expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address


def test_the_choice_is_there_before_one_has_signed_in(site: Site, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 800})
    page = context.new_page()
    page.goto(f"{site.url}/sign-in/")
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()
