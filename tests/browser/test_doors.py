"""The doors in a real browser: no page breaks the Content-Security-Policy, and everything still works under it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django_otp.oath import totp
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser.rows import Rows
from tests.browser.site import ROOT, Person, Site
from tests.browser.test_sign_in import PHRASE, link_for
from tests.browser.uploader import Uploader
from tests.clips import make_clip

WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`violation: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
MADE_MS = 90_000


class Guarded:
    """A browser profile in which every breach of the policy is noted."""

    def __init__(self, context: BrowserContext) -> None:
        self.breaches: list[str] = []
        context.add_init_script(WATCH)
        context.on("console", self._note)
        self.page: Page = context.new_page()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and re.search(
            r"violation:|Content.Security.Policy|Permissions.Policy", message.text
        ):
            self.breaches.append(f"{self.page.url}: {message.text}")


@pytest.fixture
def guarded(browser: Browser) -> Iterator[Guarded]:
    context = browser.new_context()
    found = Guarded(context)
    yield found
    context.close()
    assert found.breaches == []


def sign_in(page: Page, site: Site, person: Person) -> None:
    cookie = {"name": site.cookie, "value": person.session, "url": site.url}
    page.context.add_cookies([cookie])


def run(site: Site, code: str) -> str:
    """Some lines in the site's own shell."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT, env=site._environment, capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_watcher_sees_a_breach(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    watched = Guarded(context)
    watched.page.goto(f"{site.url}/sign-in/")
    watched.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')")
    expect(watched.page.get_by_text("x", exact=True)).to_be_visible()
    context.close()
    assert watched.breaches


def test_nobody_elses_script_style_or_picture_runs_or_loads(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    watched = Guarded(context)
    page = watched.page
    page.goto(f"{site.url}/sign-in/")
    page.evaluate(
        """() => { const script = document.createElement("script"); script.textContent = "window.owned = 1";
        document.body.append(script); const picture = new Image(); picture.src = "https://evil.example/x.png";
        document.body.append(picture); return fetch("https://evil.example/").catch(() => null); }"""
    )
    assert page.evaluate("window.owned") is None
    context.close()
    broken = " ".join(watched.breaches)
    assert all(name in broken for name in ("script-src", "img-src", "connect-src"))


def test_from_upload_to_player_nothing_breaks_the_policy(
    guarded: Guarded, site: Site, person: Person, tmp_path: Path
) -> None:
    page = guarded.page
    sign_in(page, site, person)
    page.goto(site.gallery(person))
    uploader = Uploader(page)
    clip = make_clip(tmp_path / "waltz.mp4")
    uploader.choose(clip)
    uploader.expect_state("waltz.mp4", "done")
    uploader.expect_gone("waltz.mp4")
    card = page.locator("#gallery article").filter(has_text="waltz")
    expect(card.locator(".id-text")).to_have_text(re.compile("^AACT"), timeout=MADE_MS)
    page.reload()
    expect(card.locator("img")).to_have_js_property("complete", value=True)
    assert card.locator("img").evaluate("picture => picture.naturalWidth") > 0
    card.get_by_role("link").first.click()
    video = page.locator("video")
    expect(video).to_be_visible()
    video.evaluate("video => { video.muted = true; return video.play(); }")
    assert video.evaluate("video => video.videoWidth") > 0
    page.goto(site.gallery(person))
    uploader.choose(make_clip(tmp_path / "slow.mp4", fps=12))
    uploader.expect_state("slow.mp4", "refused")
    expect(uploader.item("slow.mp4").locator("img")).to_be_visible()
    assert uploader.item("slow.mp4").locator("img").evaluate("picture => picture.naturalWidth") > 0


def test_no_page_of_the_site_or_its_administration_breaks_the_policy(
    guarded: Guarded, site: Site, person: Person
) -> None:
    page = guarded.page
    for address in ("/sign-in/", "/sign-in/link-gone/", "/password-reset/", "/password-reset/sent/", "/no-such-page/"):
        page.goto(site.url + address)
    run(
        site,
        "from accounts.models import User; "
        f"User.objects.filter(email='{person.email}').update(is_staff=True, is_superuser=True)",
    )
    sign_in(page, site, person)
    with Rows(site) as rows:
        ids = rows.put(person, *[{"state": state} for state in ("ready", "failed", "queued", "blocked", "unconfirmed")])
    at = f"/a/{person.slug}/"
    pages = [at, f"{at}members/", f"{at}tokens/", "/account/", "/account/password/", "/account/two-step/"]
    pages += ["/account/browsers/", *[f"{at}templates/{public_id}/" for public_id in ids]]
    for address in pages:
        page.goto(site.url + address)
        expect(page.locator("h1").first).to_be_visible()
    page.goto(f"{site.url}/admin/")
    links = page.locator("#content-main a").evaluate_all("links => links.map((link) => link.href)")
    assert len(links) > 10
    for address in sorted({link for link in links if link.startswith(site.url)}):
        assert page.goto(address).ok
        expect(page.locator("#content, main").first).to_be_visible()
    page.goto(f"{site.url}/admin/accounts/user/")
    page.locator("#result_list tbody th a").first.click()
    expect(page.locator("#user_form")).to_be_visible()
    page.goto(f"{site.url}/admin/templategen/actiontemplate/")
    page.locator("#result_list tbody th a").first.click()
    expect(page.locator("#content")).to_be_visible()


def test_two_step_sign_in_from_the_picture_to_the_next_sign_in(guarded: Guarded, site: Site, person: Person) -> None:
    page = guarded.page
    page.goto(link_for(site, person))
    page.goto(f"{site.url}/account/password/")
    page.get_by_label("New password", exact=True).fill(PHRASE)
    page.get_by_label("New password confirmation").fill(PHRASE)
    page.get_by_role("button", name="Save password").click()
    page.goto(f"{site.url}/account/two-step/")
    expect(page.locator("svg.qr")).to_be_visible()
    key = run(
        site,
        "from django_otp.plugins.otp_totp.models import TOTPDevice; "
        f"print(TOTPDevice.objects.get(user__email='{person.email}').key)",
    )
    page.get_by_role("textbox", name="Code").fill(f"{totp(bytes.fromhex(key)):06d}")
    page.get_by_label("Your password").fill(PHRASE)
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    code = page.locator(".recovery-codes li").first.text_content()

    page.context.clear_cookies()
    page.goto(f"{site.url}/account/")
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Password").fill(PHRASE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter the code")
    page.get_by_role("textbox", name="Code").fill(str(code))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/account/")
    page.goto(f"{site.url}/account/browsers/")
    # The one whose cookie was lost still opens the door: it can be signed out here.
    expect(page.locator(".browser")).to_have_count(2)
    expect(page.locator(".browser").filter(has_text="This one")).to_contain_text("Chrome on Linux")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.locator(".browser")).to_have_count(1)
