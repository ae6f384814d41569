"""Joining by a mailed link, and going from one account to another, in a real browser."""

import re
import time

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Person, Site

PHRASE = "a-long-enough-phrase"
MAIL_SECONDS = 60.0


def link_to(site: Site, email: str) -> str:
    """From the mail, which the worker writes into the log where no mail server is configured."""
    deadline = time.monotonic() + MAIL_SECONDS
    while True:
        _before, _to, mail = site.log.read_text().rpartition(f"To: {email}")
        found = re.search(r"http\S+/invitation/\S+", mail)
        if found:
            return found[0]
        assert time.monotonic() < deadline, "no mail came"
        time.sleep(0.1)


def invite(page: Page, email: str, role: str) -> None:
    page.locator("header summary").first.click()
    page.get_by_role("link", name="Members").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Role", exact=True).select_option(role)
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text(f"{email} is invited")).to_be_visible()


def test_an_invited_viewer_joins_with_a_new_password_and_only_looks(
    site: Site, person: Person, page: Page, browser: Browser
) -> None:
    invite(page, "newcomer@example.com", "viewer")
    new = browser.new_context().new_page()
    new.goto(link_to(site, "newcomer@example.com"))
    # The token is no longer in the address, so no form of the page can tell it, and the browser sends its origin.
    expect(new).to_have_url(f"{site.url}/invitation/")
    expect(new.get_by_label("E-mail address")).to_have_value("newcomer@example.com")
    new.get_by_label("New password", exact=True).fill(PHRASE)
    new.get_by_label("New password confirmation").fill(PHRASE)
    new.get_by_role("button", name="Join").click()
    expect(new).to_have_url(site.gallery(person))
    expect(new.get_by_text("Your role: Viewer")).to_be_visible()
    expect(new.get_by_role("heading", name="No templates yet")).to_be_visible()
    expect(new.get_by_text("Choose videos")).to_have_count(0)
    new.context.close()


def test_one_goes_from_one_account_to_another_by_keyboard(site: Site, person: Person, page: Page, visit: Visit) -> None:
    other = site.person()
    invite(page, other.email, "editor")
    theirs = visit(other)
    theirs.goto(link_to(site, other.email))
    theirs.get_by_role("button", name="Join").click()
    expect(theirs).to_have_url(site.gallery(person))
    theirs.locator("header summary").first.focus()
    theirs.keyboard.press("Enter")
    own = theirs.locator(f"header a[href='/a/{other.slug}/']")
    for _ in range(10):
        theirs.keyboard.press("Tab")
        if own.evaluate("link => link === document.activeElement"):
            break
    theirs.keyboard.press("Enter")
    expect(theirs).to_have_url(site.gallery(other))
    theirs.goto(site.url)
    expect(theirs).to_have_url(site.gallery(other))
