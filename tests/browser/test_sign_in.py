"""Signing in and out in a real browser."""

import subprocess
import sys

from playwright.sync_api import Browser, Page, expect

from tests.browser.site import ROOT, Person, Site

PHRASE = "a-long-enough-phrase"


def new_page(browser: Browser) -> Page:
    return browser.new_context().new_page()


def link_for(site: Site, person: Person) -> str:
    command = [sys.executable, "manage.py", "sign_in_link", person.email]
    done = subprocess.run(
        command, cwd=ROOT, env=site._environment, capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.strip()


def test_from_the_first_link_to_a_password_and_back_in(browser: Browser, site: Site, person: Person) -> None:
    link = link_for(site, person)
    page = new_page(browser)
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Templates")
    page.get_by_role("link", name="Set a password").click()
    page.get_by_label("New password", exact=True).fill(PHRASE)
    page.get_by_label("New password confirmation").fill(PHRASE)
    page.get_by_role("button", name="Save password").click()
    expect(page.locator("#messages")).to_contain_text("Your password is set")

    page.locator("summary").filter(has_text="You:").click()
    page.locator("header").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link no longer works")

    page.goto(site.gallery(person))
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Password").fill(PHRASE)
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.gallery(person))
    page.context.close()


def test_who_is_signed_out_elsewhere_is_led_to_the_sign_in_page_and_back(visit, site: Site, person: Person) -> None:
    page = visit(person)
    page.context.clear_cookies()
    page.get_by_role("link", name="Deleted templates").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert "next=" in page.url
