"""Where one is signed in, and signing out there."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import sessions
from accounts.door_models import BrowserSession
from accounts.models import User
from accounts.user_agents import name_of
from tests.people import PASSWORD, make_person

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
    "Mobile/15E148 Safari/604.1"
)
LIST = "/account/browsers/"
END = "/account/browsers/end/"


def sign_in(agent: str = FIREFOX, address: str = "203.0.113.7", *, password: str = PASSWORD) -> Client:
    client = Client(REMOTE_ADDR=address, headers={"user-agent": agent})
    client.post(reverse("accounts:sign_in"), {"username": "owner@example.com", "password": password})
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_the_list_says_which_browser_from_where_and_which_is_this_one(owner: User) -> None:
    here, _there = sign_in(), sign_in(SAFARI, "2001:db8::5")
    page = here.get(LIST).content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert "203.0.113.7" in page
    assert "2001:db8::5" in page
    assert page.count("This one") == 1


def test_the_page_shows_no_session_key(owner: User) -> None:
    here, _there = sign_in(), sign_in(SAFARI)
    page = here.get(LIST).content.decode()
    keys = BrowserSession.objects.values_list("session_key", flat=True)
    assert len(keys) == 2
    assert not any(key in page for key in keys)


def test_one_browser_can_be_signed_out(owner: User) -> None:
    here, there, third = sign_in(), sign_in(SAFARI), sign_in(FIREFOX, "198.51.100.9")
    rows = {row.user_agent + row.address: row.id for row in sessions.of(owner, this=None)}
    here.post(END, {"session": rows[SAFARI + "203.0.113.7"]})
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, True)
    assert "signed out already" in here.post(END, {"session": "no-such"}, follow=True).content.decode()


def test_all_others_can_be_signed_out_at_once(owner: User) -> None:
    here, there, third = sign_in(), sign_in(SAFARI), sign_in()
    page = here.post(END, follow=True).content.decode()
    assert "2 other browsers are signed out" in page
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, False)


def test_nobody_can_sign_out_somebody_else(owner: User) -> None:
    there = sign_in()
    stranger = Client()
    stranger.force_login(make_person("stranger@example.com", "elsewhere"))
    [row] = sessions.of(owner, this=None)
    stranger.post(END, {"session": row.id})
    stranger.post(END)
    assert is_in(there)
    assert row.address not in stranger.get(LIST).content.decode()


def test_a_new_password_signs_other_browsers_out_and_takes_them_off_the_list(owner: User) -> None:
    here, there = sign_in(), sign_in(SAFARI)
    words = {"old_password": PASSWORD, "new_password1": "another-long-phrase", "new_password2": "another-long-phrase"}
    here.post(reverse("accounts:password_change"), words)
    assert (is_in(here), is_in(there)) == (True, False)
    owner.refresh_from_db()
    assert [row.user_agent for row in sessions.of(owner, this=None)] == [FIREFOX]


def test_signing_out_takes_the_browser_off_the_list(owner: User) -> None:
    here, there = sign_in(), sign_in(SAFARI)
    there.post(reverse("accounts:sign_out"))
    assert "Safari" not in here.get(LIST).content.decode()


def test_since_when_and_last_seen_are_kept_apart(owner: User) -> None:
    here = sign_in()
    early = timezone.now() - timedelta(hours=3)
    BrowserSession.objects.update(created_at=early, seen_at=early)
    here.get("/account/")
    [row] = sessions.of(owner, this=None)
    assert row.created_at == early
    assert timezone.now() - row.seen_at < timedelta(minutes=1)
    # Also when the session itself is written anew under another key.
    words = {"old_password": PASSWORD, "new_password1": "another-long-phrase", "new_password2": "another-long-phrase"}
    here.post(reverse("accounts:password_change"), words)
    owner.refresh_from_db()
    assert [row.created_at for row in sessions.of(owner, this=None)] == [early]


def test_being_seen_again_soon_costs_no_write(owner: User) -> None:
    here = sign_in()
    here.get("/account/")
    with CaptureQueriesContext(connection) as asked:
        here.get("/account/")
    assert not [query for query in asked.captured_queries if not query["sql"].startswith("SELECT")]


def test_a_visit_from_another_address_is_seen_within_a_minute(owner: User) -> None:
    here = sign_in()
    here.get("/account/", REMOTE_ADDR="198.51.100.9")
    assert [row.address for row in sessions.of(owner, this=None)] == ["203.0.113.7"]
    BrowserSession.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    here.get("/account/", REMOTE_ADDR="198.51.100.9")
    assert [row.address for row in sessions.of(owner, this=None)] == ["198.51.100.9"]


def test_noting_a_visit_never_undoes_what_another_request_has_put_into_the_session(owner: User) -> None:
    here = sign_in()
    BrowserSession.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    store = sessions.SessionStore(here.cookies["sessionid"].value)
    store.visitor = ("203.0.113.7", FIREFOX)
    assert store.get("other") is None
    meanwhile = here.session
    meanwhile["other"] = "kept"
    meanwhile.save()
    store.note_visit()
    assert here.session["other"] == "kept"


def test_a_browser_that_was_signed_out_does_not_come_back_by_a_late_request(owner: User) -> None:
    here = sign_in()
    store = here.session
    assert store.get("_auth_user_id")
    sessions.end_all(owner)
    store["late"] = 1
    with pytest.raises(UpdateError):
        store.save()
    store.note_visit()
    assert not BrowserSession.objects.exists()


def test_sessions_that_have_run_out_are_swept_away_with_the_next_sign_in(owner: User) -> None:
    sign_in(SAFARI)
    BrowserSession.objects.update(expire_date=timezone.now() - timedelta(days=1))
    here = sign_in()
    assert BrowserSession.objects.count() == 1
    assert "Safari" not in here.get(LIST).content.decode()


def test_a_user_who_is_deleted_takes_their_sessions_along(db: None) -> None:
    mate = User.objects.create_user("mate@example.com", PASSWORD)
    client = Client()
    client.force_login(mate)
    late = client.session
    assert late.get("_auth_user_id")
    mate.delete()
    assert not BrowserSession.objects.exists()
    late["x"] = 1
    with pytest.raises(UpdateError):
        late.save()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.1", "curl"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
def test_browsers_have_names(agent: str, name: str) -> None:
    assert name_of(agent) == name


def test_a_strange_browser_name_harms_nobody(owner: User) -> None:
    here = sign_in("<script>x</script>" + "a" * 1000)
    page = here.get(LIST).content.decode()
    assert "<script>x" not in page
    assert re.search("Unknown browser", page)


@pytest.mark.parametrize("cookie", ['"\\000abcdefghijkl"', '"abcdefghijkl\\377"', "../../etc/passwd", "a" * 31 + "'"])
def test_a_cookie_that_can_be_no_sessions_is_looked_for_nowhere(owner: User, cookie: str) -> None:
    """In quotes a cookie can have a NUL in it, which PostgreSQL takes for an error."""
    with CaptureQueriesContext(connection) as asked:
        answer = Client().get("/account/", headers={"cookie": f"sessionid={cookie}"})
    assert answer.status_code == 302
    assert not asked.captured_queries
