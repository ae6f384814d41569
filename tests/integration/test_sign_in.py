"""Signing in and out, passwords, links that work once."""

import re
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.signing import SignedPackage

from accounts.links import sign_in_path, use_link
from accounts.models import User
from templategen.states import State
from tests.factories import make_template
from tests.people import PASSWORD, account_of, make_person, without_token
from tests.product import queued_packages, run_jobs

NEW = "another-long-phrase"


def sign_in(client: Client, email: str = "owner@example.com", password: str = PASSWORD, **more: str):
    return client.post(reverse("accounts:sign_in"), {"username": email, "password": password, **more})


@pytest.fixture
def mails(transactional_db: None) -> Callable[[], list[EmailMessage]]:
    """Let the queue send what waits; all mails sent in this test so far."""

    def sent() -> list[EmailMessage]:
        run_jobs()
        return mail.outbox

    return sent


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_person_signs_in_and_comes_to_their_gallery(client: Client, owner: User) -> None:
    answer = client.post(reverse("accounts:sign_in"), {"username": owner.email, "password": PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0] == "/a/studio/"


def test_the_case_of_the_address_does_not_matter(client: Client, owner: User) -> None:
    sign_in(client, "Owner@Example.COM")
    assert is_in(client)


@pytest.mark.parametrize(("email", "password"), [("owner@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_words_are_told_and_let_nobody_in(client: Client, owner: User, email: str, password: str) -> None:
    answer = sign_in(client, email, password)
    assert answer.status_code == 200
    assert "do not go together" in answer.content.decode()
    assert not is_in(client)


def test_after_signing_in_one_comes_to_the_page_one_wanted(client: Client, owner: User) -> None:
    asked = client.get("/account/")
    assert asked.url == "/sign-in/?next=/account/"
    assert sign_in(client, next="/account/").url == "/account/"


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_one_is_never_sent_to_another_site(client: Client, owner: User, address: str) -> None:
    assert sign_in(client, next=address).url == "/"


def test_signing_out_takes_a_post(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get(reverse("accounts:sign_out")).status_code == 405
    assert is_in(client)
    client.post(reverse("accounts:sign_out"))
    assert not is_in(client)


# --- Links that work once ---


def test_a_link_signs_in_once(client: Client, owner: User) -> None:
    path = sign_in_path(owner)
    assert client.get(path).url == "/"
    assert is_in(client)
    late = Client()
    answer = late.get(path, follow=True)
    assert answer.status_code == 410
    assert "sign_in_link" in answer.content.decode()
    assert not is_in(late)


def test_a_link_used_in_the_second_it_was_made_in_does_not_work_again(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(last_login=timezone.now().replace(microsecond=1))
    owner.refresh_from_db()
    path = sign_in_path(owner)
    uid, token = path.strip("/").split("/")[1:]
    same_second = owner.last_login.replace(microsecond=900_000)
    assert use_link(uid, token, now=same_second) == owner
    assert use_link(uid, token) is None


@pytest.mark.django_db(transaction=True)
def test_of_two_visits_at_the_same_moment_one_wins() -> None:
    uid, token = sign_in_path(make_person()).strip("/").split("/")[1:]
    ready, winners = Barrier(4), []

    def visit() -> None:
        ready.wait(60)
        if use_link(uid, token):
            winners.append(1)
        connection.close()

    visitors = [Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    assert len(winners) == 1


def test_a_link_dies_after_a_day(client: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sign_in_path(owner)
    later = timezone.localtime() + timedelta(hours=25)
    monkeypatch.setattr("accounts.links.SignInTokens._now", lambda _self: later.replace(tzinfo=None))
    assert client.get(path, follow=True).status_code == 410


def test_a_link_dies_when_its_owner_signs_in_otherwise(client: Client, owner: User) -> None:
    path = sign_in_path(owner)
    sign_in(client)
    assert Client().get(path, follow=True).status_code == 410


def test_a_link_of_a_switched_off_user_does_not_work(client: Client, owner: User) -> None:
    path = sign_in_path(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(path, follow=True).status_code == 410


def test_looking_at_a_link_without_opening_it_does_not_use_it_up(client: Client, owner: User) -> None:
    path = sign_in_path(owner)
    assert client.head(path).status_code == 200
    assert client.get(path).status_code == 302


@pytest.mark.parametrize(
    "path", ["/sign-in/x/y/", "/sign-in/MQ/x-y/", "/sign-in/8J-YgA/a-b/", "/sign-in/OTk5OTk5OTk5OTk5OTk5OTk5OTk5/a-b/"]
)
def test_a_made_up_link_is_answered_calmly(client: Client, db: None, path: str) -> None:
    assert client.get(path, follow=True).status_code == 410


def test_an_address_with_a_token_shows_no_page_that_could_tell_it(client: Client, owner: User) -> None:
    for path in (
        sign_in_path(owner),
        "/sign-in/MQ/x-y/",
        "/password-reset/MQ/x-y/",
        "/invitation/x/",
        "/sign-up/link/x/",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer["Referrer-Policy"]) == (302, "no-referrer")
        assert "x-y" not in answer.url


def test_a_reset_token_is_no_sign_in_link(client: Client, mails, owner: User) -> None:
    client.post(reverse("accounts:password_reset"), {"email": owner.email})
    uid, token = re.search(r"/password-reset/(\w+)/([\w-]+)/", mails()[0].body).groups()
    assert client.get(f"/sign-in/{uid}/{token}/", follow=True).status_code == 410


def test_the_command_prints_a_link_that_works(client: Client, owner: User, settings, capsys) -> None:
    call_command("sign_in_link", "Owner@example.com")
    link = capsys.readouterr().out.strip()
    assert link.startswith(settings.SITE_URL)
    assert client.get(link.removeprefix(settings.SITE_URL)).status_code == 302


def test_the_command_says_whom_it_knows(owner: User) -> None:
    with pytest.raises(CommandError, match=r"owner@example\.com"):
        call_command("sign_in_link", "nobody@example.com")


# --- Passwords ---


def test_who_came_by_a_link_is_asked_to_set_a_password_and_can(client: Client, db: None) -> None:
    first = make_person("first@example.com", password=None)
    client.get(sign_in_path(first))
    assert "You have no password yet" in client.get("/account/").content.decode()
    answer = client.post(reverse("accounts:password_change"), {"new_password1": NEW, "new_password2": NEW}, follow=True)
    assert "Your password is set" in answer.content.decode()
    assert "You have no password yet" not in answer.content.decode()
    assert is_in(client)
    again = Client()
    sign_in(again, first.email, NEW)
    assert is_in(again)


def test_changing_a_password_asks_for_the_old_one(client: Client, owner: User) -> None:
    client.force_login(owner)
    words = {"new_password1": NEW, "new_password2": NEW}
    assert client.post(reverse("accounts:password_change"), words).status_code == 200
    assert client.post(reverse("accounts:password_change"), {"old_password": PASSWORD, **words}).status_code == 302


@pytest.mark.parametrize("password", ["short", "1234567890123", "password1234"])
def test_a_weak_password_is_refused_with_the_reason(client: Client, owner: User, password: str) -> None:
    client.force_login(owner)
    words = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    answer = client.post(reverse("accounts:password_change"), words)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_what_is_wrong_with_a_password_stands_below_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    words = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "other"}
    form = client.post(reverse("accounts:password_change"), words).context["form"]
    assert "too short" in str(form.errors["new_password1"])
    assert "match" in str(form.errors["new_password2"])


@pytest.mark.parametrize("others", [0, 1])
def test_other_browsers_are_named_only_where_there_were_some(client: Client, owner: User, others: int) -> None:
    client.force_login(owner)
    for _each in range(others):
        Client().force_login(owner)
    words = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    page = client.post(reverse("accounts:password_change"), words, follow=True).content.decode()
    assert "Your password is set." in page
    assert ("Other browsers have been signed out." in page) == bool(others)


@pytest.mark.parametrize("password", [PASSWORD, None])
def test_a_forgotten_password_is_reset_by_mail_even_if_there_was_none(
    client: Client, mails, password: str | None
) -> None:
    person = make_person(password=password)
    client.post(reverse("accounts:password_reset"), {"email": "OWNER@example.com"})
    link = re.search(r"http\S+", mails()[0].body).group().removeprefix("http://127.0.0.1:8000")
    form = client.get(link, follow=True)
    answer = client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW}, follow=True)
    assert "Your new password is set" in answer.content.decode()
    sign_in(client, person.email, NEW)
    assert is_in(client)
    assert Client().get(link, follow=True).status_code == 410


def test_a_password_reset_by_mail_ends_the_lock_of_that_user_only(client: Client, mails, owner: User) -> None:
    make_person("other@example.com")
    for email in (owner.email, "other@example.com"):
        for _try in range(5):
            answer = sign_in(client, email, "wrong")
        assert answer.status_code == 429
    client.post(reverse("accounts:password_reset"), {"email": owner.email})
    link = re.search(r"http\S+", mails()[0].body).group().removeprefix("http://127.0.0.1:8000")
    form = client.get(link, follow=True)
    client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW})
    assert sign_in(Client(), "other@example.com").status_code == 429
    sign_in(client, owner.email, NEW)
    assert is_in(client)


def test_an_unknown_address_gets_the_same_answer_and_no_mail(client: Client, mails, owner: User) -> None:
    known = client.post(reverse("accounts:password_reset"), {"email": owner.email}, follow=True)
    assert (len(queued_packages()), mail.outbox) == (1, [])
    unknown = client.post(reverse("accounts:password_reset"), {"email": "nobody@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert without_token(known.content) == without_token(unknown.content)
    # Neither page has looked whether the address is known: that is the queue's part.
    assert len(queued_packages()) == 2
    assert [each.to for each in mails()] == [[owner.email]]


def test_the_mail_names_the_sites_own_address_whatever_host_was_asked(
    client: Client, mails, owner: User, settings
) -> None:
    client.post(reverse("accounts:password_reset"), {"email": owner.email}, headers={"host": "localhost"})
    assert f"{settings.SITE_URL}/password-reset/" in mails()[0].body


def test_no_token_lies_in_the_queue(client: Client, mails, owner: User) -> None:
    client.post(reverse("accounts:password_reset"), {"email": owner.email})
    arguments = [SignedPackage.loads(package)["kwargs"] for package in queued_packages()]
    assert arguments == [{"email": owner.email, "language": "en"}]


# --- Who is not signed in ---


def test_htmx_is_sent_to_the_sign_in_page_whole(client: Client, db: None) -> None:
    page = "http://testserver/a/studio/?state=ready"
    answer = client.get("/a/studio/live/", headers={"HX-Request": "true", "HX-Current-URL": page})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/sign-in/?next=/a/studio/%3Fstate%3Dready"


@pytest.mark.parametrize("asking", ["live", "results"])
def test_what_asks_by_itself_does_not_take_the_page_away(client: Client, db: None, asking: str) -> None:
    answer = client.get("/a/studio/live/", headers={"HX-Request": "true", "HX-Trigger": asking})
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer


@pytest.mark.parametrize(
    ("path", "referer", "back"),
    [
        ("/a/studio/uploads/form/", "http://testserver/a/studio/?page=2", "/a/studio/%3Fpage%3D2"),
        ("/a/studio/uploads/form/", "https://evil.example/x/", "/a/studio/"),
        ("/a/studio/uploads/form/", "http://[x", "/a/studio/"),
        ("/account/password/", "", "/"),
    ],
)
def test_a_form_sent_while_signed_out_leads_back_to_a_page_that_can_be_shown(
    client: Client, db: None, path: str, referer: str, back: str
) -> None:
    assert client.post(path, headers={"referer": referer}).url == f"/sign-in/?next={back}"


def test_a_nonsensical_page_in_the_header_is_no_page(client: Client, owner: User) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://[x"}
    assert client.get("/a/studio/live/", headers=headers)["HX-Redirect"] == "/sign-in/?next=/a/studio/"
    client.force_login(owner)
    failed = make_template(account_of(owner), State.FAILED)
    assert client.post(f"/a/studio/templates/{failed.public_id}/retry/", headers=headers).status_code == 200


def test_who_comes_by_a_link_to_what_takes_a_form_gets_a_page(client: Client, owner: User) -> None:
    client.force_login(owner)
    failed = make_template(account_of(owner), State.FAILED)
    answer = client.get(f"/a/studio/templates/{failed.public_id}/retry/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "nothing to show" in answer.content.decode()


def test_a_script_is_told_in_json(client: Client, db: None) -> None:
    answer = client.get("/a/studio/uploads/", headers={"accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "signed_out"


# --- Accounts ---


def test_the_page_about_oneself_lists_ones_accounts(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = client.get(reverse("accounts:account")).content.decode()
    assert owner.email in page
    assert '<a href="/a/studio/">Studio</a>' in page


def test_a_user_in_no_account_is_told_so(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("alone@example.com"))
    assert "in no account yet" in client.get("/").content.decode()


def test_a_user_in_two_accounts_can_go_from_one_to_the_other(client: Client, owner: User) -> None:
    other = make_person("mate@example.com", "second").accounts.get()
    other.memberships.create(user=owner)
    client.force_login(owner)
    for page in ("/a/studio/", "/account/", "/account/password/"):
        assert 'href="/a/second/"' in client.get(page).content.decode()
    client.get("/a/second/")
    assert client.get("/").url == "/a/second/"


def test_the_account_last_used_is_remembered_on_another_day_too(client: Client, owner: User) -> None:
    other = make_person("mate@example.com", "second").accounts.get()
    membership = other.memberships.create(user=owner)
    client.force_login(owner)
    client.get("/a/second/")
    another_browser = Client()
    sign_in(another_browser)
    assert another_browser.get("/").url == "/a/second/"
    membership.delete()
    assert another_browser.get("/").url == "/a/studio/"
