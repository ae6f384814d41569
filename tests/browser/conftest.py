"""A real browser on a real site. Both live for the tests of this folder only: Playwright's loop would otherwise be in
the way of tests that use the database.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.site import Person, Site

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
EXPECT_MS = 45_000
expect.set_options(timeout=EXPECT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is a browser test; where there is no browser it is skipped, or fails where one is required."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}: install it, or say where it is by CHROMIUM"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def whole_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site's processes; take `site` instead, which starts each test without faults."""
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture
def site(whole_site: Site) -> Site:
    """The running site, its sandbox quick and without faults."""
    whole_site.sandbox.quick()
    return whole_site


@pytest.fixture
def person(site: Site) -> Person:
    """Somebody with an empty account."""
    return site.person()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """`visit(person, **context options)`: their gallery in a profile of its own. Script errors fail the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def opened(person: Person, **options: object) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_cookies([{"name": site.cookie, "value": person.session, "url": site.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.gallery(person))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def page(visit: Visit, person: Person) -> Page:
    """The gallery of an empty account, signed in."""
    return visit(person)
