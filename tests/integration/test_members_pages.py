"""Inviting, joining, signing up, managing members and tokens: by the pages and the mails."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail, signing
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from django_q.signing import SignedPackage

from accounts import administration, members, sign_up
from accounts.door_models import BrowserSession
from accounts.models import Account, ApiToken, Invitation, Membership, Role, User
from tests.people import PASSWORD, account_of, make_person, without_token
from tests.product import queued_packages, run_jobs

NEW = {"new_password1": "another-long-phrase", "new_password2": "another-long-phrase"}
Mails = Callable[[], list[EmailMessage]]


@pytest.fixture
def mails(transactional_db: None) -> Mails:
    """Let the queue send what waits; all mails of this test so far."""

    def sent() -> list[EmailMessage]:
        run_jobs()
        return mail.outbox

    return sent


@pytest.fixture
def web(mails: Mails, owner: User) -> Client:
    """The owner's browser."""
    client = Client()
    client.force_login(owner)
    return client


def invite(web: Client, mails: Mails, email: str = "new@example.com", role: str = "viewer") -> str:
    """The path in the mail."""
    web.post("/a/studio/members/invite/", {"email": email, "role": role})
    return path_in(mails()[-1])


def path_in(message: EmailMessage) -> str:
    link = re.search(r"http://127.0.0.1:8000(\S+)", str(message.body))
    assert link
    return link[1]


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined]


# --- Inviting ---


def test_an_owner_invites_by_mail_and_sees_what_is_open(web: Client, mails: Mails) -> None:
    answer = web.post("/a/studio/members/invite/", {"email": "New@Example.com", "role": "editor"}, follow=True)
    assert "new@example.com is invited" in text(answer)
    assert "has not gone out yet" in text(answer)
    (message,) = mails()
    assert message.to == ["new@example.com"]
    assert message.subject == "Templategen: you are invited to Studio"
    assert "owner@example.com invites you to Studio" in message.body
    assert "Editor" in message.body
    assert "mailed, open until" in text(web.get("/a/studio/members/"))


def test_no_token_lies_in_the_queue_or_the_database(web: Client, mails: Mails) -> None:
    web.post("/a/studio/members/invite/", {"email": "new@example.com", "role": "editor"})
    (package,) = queued_packages()
    assert set(SignedPackage.loads(package)["kwargs"]) == {"invitation_pk", "language"}
    token = path_in(mails()[0]).split("/")[2]
    assert token not in str(list(Invitation.objects.values()))


def test_a_name_cannot_put_lines_into_a_mails_head(web: Client, mails: Mails) -> None:
    Account.objects.update(name="Studio\nBcc: all@example.com\r\nX: y")
    invite(web, mails)
    (message,) = mails()
    assert message.recipients() == ["new@example.com"]
    assert "\n" not in message.subject
    assert "Bcc" not in message.extra_headers


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"email": "no address", "role": "viewer"}, 422),
        ({"email": "a@example.com", "role": "king"}, 422),
        ({}, 422),
        ({"email": "OWNER@example.com", "role": "viewer"}, 409),
    ],
)
def test_a_wrong_invitation_is_told_and_sends_nothing(
    web: Client, mails: Mails, given: dict[str, str], status: int
) -> None:
    answer = web.post("/a/studio/members/invite/", given)
    assert answer.status_code == status
    assert "errorlist" in text(answer)
    assert mails() == []


def test_sent_again_the_earlier_link_is_dead_and_taken_back_both_are(web: Client, mails: Mails) -> None:
    first = invite(web, mails)
    number = Invitation.objects.get().pk
    web.post(f"/a/studio/invitations/{number}/again/")
    second = path_in(mails()[-1])
    assert first != second
    assert Client().get(first, follow=True).status_code == 410
    assert Client().get(second, follow=True).status_code == 200
    web.post(f"/a/studio/invitations/{number}/take-back/")
    assert Client().get(second, follow=True).status_code == 410
    assert web.post(f"/a/studio/invitations/{number}/again/").status_code == 409
    assert web.post(f"/a/studio/invitations/{number}/take-back/").status_code == 409


def test_a_browser_that_came_by_the_earlier_link_takes_nothing_up_either(web: Client, mails: Mails) -> None:
    theirs = Client()
    assert theirs.get(invite(web, mails), follow=True).status_code == 200
    web.post(f"/a/studio/invitations/{Invitation.objects.get().pk}/again/")
    mails()
    password = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert theirs.post("/invitation/", password).status_code == 410
    assert not User.objects.filter(email="new@example.com").exists()


def test_nobody_is_flooded_with_invitations(web: Client, mails: Mails, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "mail_to": "2/3600"}
    invite(web, mails)
    number = Invitation.objects.get().pk
    again = f"/a/studio/invitations/{number}/again/"
    assert [web.post(again).status_code for _time in range(2)] == [302, 429]
    answer = web.post("/a/studio/members/invite/", {"email": "New@example.com ", "role": "viewer"})
    assert (answer.status_code, len(mails())) == (429, 2)
    assert web.post("/a/studio/members/invite/", {"email": "b@example.com", "role": "viewer"}).status_code == 302


def test_taken_back_before_the_queue_came_to_it_nothing_is_mailed(web: Client, mails: Mails) -> None:
    web.post("/a/studio/members/invite/", {"email": "new@example.com", "role": "viewer"})
    web.post(f"/a/studio/invitations/{Invitation.objects.get().pk}/take-back/")
    assert mails() == []


# --- Joining ---


def test_who_is_signed_in_with_that_address_joins_by_one_button(web: Client, mails: Mails, stranger: User) -> None:
    path = invite(web, mails, stranger.email)
    theirs = Client()
    theirs.force_login(stranger)
    page = theirs.get(path, follow=True)
    assert page.redirect_chain[-1][0] == "/invitation/"
    assert "password" not in re.sub(r"/account/password/|Change password", "", text(page))
    assert theirs.post("/invitation/").url == "/a/studio/"
    assert "Your role: Viewer" in text(theirs.get("/a/studio/"))
    assert theirs.post("/invitation/").status_code == 410


def test_a_newcomer_makes_their_user_right_there_with_the_invited_address(web: Client, mails: Mails) -> None:
    new = Client()
    page = new.get(invite(web, mails), follow=True)
    assert 'value="new@example.com"' in text(page)
    assert new.post("/invitation/", {"new_password1": "short", "new_password2": "short"}).status_code == 422
    answer = new.post("/invitation/", {**NEW, "email": "owner@example.com"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/a/studio/"
    membership = Membership.objects.get(user__email="new@example.com")
    assert (membership.role, membership.account.slug) == (Role.VIEWER, "studio")
    again = Client()
    again.post("/sign-in/", {"username": "new@example.com", "password": NEW["new_password1"]})
    assert again.get("/").url == "/a/studio/"


def test_who_is_known_signs_in_first_and_comes_back(web: Client, mails: Mails, stranger: User) -> None:
    theirs = Client()
    page = theirs.get(invite(web, mails, stranger.email), follow=True)
    assert "/sign-in/?next=/invitation/" in text(page)
    assert theirs.post("/invitation/", NEW).status_code == 200
    back = theirs.post("/sign-in/", {"username": stranger.email, "password": PASSWORD, "next": "/invitation/"})
    assert back.url == "/invitation/"
    assert theirs.post("/invitation/").url == "/a/studio/"


def test_with_another_address_one_is_told_and_can_sign_out(web: Client, mails: Mails, stranger: User) -> None:
    theirs = Client()
    theirs.force_login(stranger)
    page = theirs.get(invite(web, mails), follow=True)
    assert page.status_code == 403
    assert "sent to new@example.com" in text(page)
    assert "/sign-out/" in text(page)
    assert theirs.post("/invitation/").status_code == 403
    assert not Membership.objects.filter(user=stranger, account__slug="studio").exists()


def test_looking_at_a_link_uses_nothing(web: Client, mails: Mails) -> None:
    path = invite(web, mails)
    preview = Client()
    assert preview.head(path).status_code == 200
    assert "sessionid" not in preview.cookies
    Client().get(path, follow=True)
    new = Client()
    new.get(path, follow=True)
    assert new.post("/invitation/", NEW).url == "/a/studio/"


def test_an_invitation_that_grew_old_in_the_open_page_is_no_longer_taken(web: Client, mails: Mails) -> None:
    new = Client()
    new.get(invite(web, mails), follow=True)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert new.post("/invitation/", NEW).status_code == 410
    assert not User.objects.filter(email="new@example.com").exists()


# --- Members ---


def test_an_owner_changes_roles_and_removes(web: Client, owner: User) -> None:
    member = Membership.objects.get(user=make_person("mate@example.com", "studio", role=Role.VIEWER))
    answer = web.post(f"/a/studio/members/{member.pk}/role/", {"role": "editor"}, follow=True)
    assert "The role of mate@example.com is now: Editor" in text(answer)
    assert web.post(f"/a/studio/members/{member.pk}/role/", {"role": "king"}).status_code == 422
    assert "Remove mate@example.com?" in text(web.get(f"/a/studio/members/{member.pk}/remove/"))
    assert "no longer a member" in text(web.post(f"/a/studio/members/{member.pk}/remove/", follow=True))
    theirs = Client()
    theirs.force_login(User.objects.get(email="mate@example.com"))
    assert theirs.get("/a/studio/").status_code == 404
    assert "Viewer → Editor" in text(web.get("/a/studio/members/"))


def test_the_last_owner_is_told_what_to_do_first(web: Client, owner: User) -> None:
    own = Membership.objects.get(user=owner)
    for answer in (
        web.post("/a/studio/leave/"),
        web.post(f"/a/studio/members/{own.pk}/role/", {"role": "viewer"}),
    ):
        assert answer.status_code == 409
        assert "Make somebody else an owner first" in text(answer)
    assert web.get(f"/a/studio/members/{own.pk}/remove/").url == "/a/studio/leave/"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_anybody_else_can_leave(client: Client, owner: User, role: Role) -> None:
    client.force_login(make_person("mate@example.com", "studio", role=role))
    assert "Leave Studio?" in text(client.get("/a/studio/leave/"))
    assert "You have left Studio" in text(client.post("/a/studio/leave/", follow=True))
    assert client.get("/a/studio/").status_code == 404


def test_other_members_see_with_whom_they_share_and_no_invitations(client: Client, owner: User) -> None:
    members.invite(account_of(owner), email="guest@example.com", role=Role.VIEWER, by=owner)
    client.force_login(make_person("mate@example.com", "studio", role=Role.EDITOR))
    page = text(client.get("/a/studio/members/"))
    assert owner.email in page
    assert "guest@example.com" not in page
    assert "Who did what" not in page


# --- Signing up ---


@pytest.fixture
def is_open(settings: object) -> None:
    settings.SIGN_UP = "open"  # type: ignore[attr-defined]


def test_signing_up_proves_the_address_and_makes_an_account(mails: Mails, is_open: None) -> None:
    new = Client()
    assert "/sign-up/" in text(new.get("/sign-in/"))
    assert new.post("/sign-up/", {"email": "New@Example.com"}).url == "/sign-up/sent/"
    path = path_in(mails()[0])
    assert not User.objects.exists()
    page = new.get(path, follow=True)
    assert page.redirect_chain[-1][0] == "/sign-up/finish/"
    assert 'value="new@example.com"' in text(page)
    assert new.post("/sign-up/finish/", NEW).status_code == 422
    answer = new.post("/sign-up/finish/", {**NEW, "account_name": "Dance & Co"}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/a/dance-co-")
    assert "Dance &amp; Co is yours" in text(answer)
    assert Membership.objects.get().role == Role.OWNER
    assert Client().get(path, follow=True).status_code == 410


@pytest.mark.parametrize("is_member", [True, False])
def test_who_is_known_makes_an_account_of_their_own(web: Client, is_open: None, owner: User, is_member: bool) -> None:
    if not is_member:
        Membership.objects.filter(user=owner).delete()
    door = "/account/" if is_member else "/"
    assert 'href="/account/new/"' in text(web.get(door))
    assert web.post("/account/new/", {"account_name": " "}).status_code == 422
    made = web.post("/account/new/", {"account_name": "My own"}, follow=True)
    assert "My own is yours." in text(made)
    assert Membership.objects.get(user=owner, account__name="My own").role == Role.OWNER


def test_where_people_are_invited_nobody_makes_an_account(web: Client) -> None:
    assert "/account/new/" not in text(web.get("/account/"))
    assert web.post("/account/new/", {"account_name": "My own"}).status_code == 403
    assert Account.objects.count() == 1


def test_signing_up_does_not_tell_whether_an_address_is_known(mails: Mails, is_open: None, owner: User) -> None:
    known = Client().post("/sign-up/", {"email": owner.email}, follow=True)
    unknown = Client().post("/sign-up/", {"email": "new@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert without_token(known.content) == without_token(unknown.content)
    to_known, to_unknown = mails()
    assert "signed up already" in to_known.subject
    assert "go on signing up" in to_unknown.subject
    assert "/sign-up/link/" not in to_known.body


def test_a_forged_or_old_sign_up_link_opens_nothing(
    client: Client, db: None, is_open: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_up.token_for("new@example.com")
    other = signing.dumps("new@example.com", salt="other")
    assert client.get(f"/sign-up/link/{other}/", follow=True).status_code == 410
    assert client.get(f"/sign-up/link/{token}/", follow=True).status_code == 200
    monkeypatch.setattr(sign_up, "LINK_SECONDS", -1)
    assert client.post("/sign-up/finish/", {**NEW, "account_name": "A"}).status_code == 410


def test_where_people_are_invited_nobody_signs_up(client: Client, mails: Mails) -> None:
    assert "/sign-up/" not in text(client.get("/sign-in/"))
    assert client.post("/sign-up/", {"email": "new@example.com"}).status_code == 403
    client.get(f"/sign-up/link/{sign_up.token_for('new@example.com')}/")
    assert client.post("/sign-up/finish/", {**NEW, "account_name": "A"}).status_code == 403
    assert mails() == []
    assert not User.objects.exists()


# --- Tokens ---


def test_a_token_is_shown_once_and_kept_as_a_hash(client: Client, owner: User) -> None:
    client.force_login(owner)
    made = client.post("/a/studio/tokens/", {"name": "<b>Shop"})
    assert (made.status_code, made["Location"]) == (302, "/a/studio/tokens/")
    assert "tg_" not in str([session.get_decoded() for session in BrowserSession.objects.all()])
    made = client.get("/a/studio/tokens/")
    assert "no-store" in made["Cache-Control"]
    (secret,) = re.findall(r"tg_[\w-]{40,}", text(made))
    later = text(client.get("/a/studio/tokens/"))
    assert secret not in later
    assert secret[:8] in later
    assert "&lt;b&gt;Shop" in later
    assert secret not in str(list(ApiToken.objects.values()))
    client.post(f"/a/studio/tokens/{ApiToken.objects.get().pk}/revoke/")
    assert secret[:8] not in text(client.get("/a/studio/tokens/")).split("Tokens in use")[1]


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0b"])
def test_a_token_wants_a_name(client: Client, owner: User, name: str) -> None:
    client.force_login(owner)
    assert client.post("/a/studio/tokens/", {"name": name}).status_code == 422


def test_a_page_that_is_loaded_anew_makes_no_second_token(client: Client, owner: User) -> None:
    client.force_login(owner)
    shown = client.post("/a/studio/tokens/", {"name": "Shop"}, follow=True)
    assert re.search(r"tg_[\w-]{40,}", text(shown))
    again = client.get(shown.redirect_chain[-1][0])
    assert not re.search(r"tg_[\w-]{40,}", text(again))
    assert ApiToken.objects.count() == 1


def test_a_new_token_is_not_shown_on_another_accounts_page(client: Client, owner: User, stranger: User) -> None:
    account_of(stranger).memberships.create(user=owner, role=Role.OWNER)
    client.force_login(owner)
    client.post("/a/studio/tokens/", {"name": "Shop"})
    assert not re.search(r"tg_[\w-]{40,}", text(client.get("/a/elsewhere/tokens/")))


# --- A suspended account ---


def test_an_owner_of_a_suspended_account_reads_why_once_and_is_mailed(
    web: Client, mails: Mails, owner: User, stranger: User
) -> None:
    studio = account_of(owner)
    staff = User.objects.create_superuser("staff@example.com")
    viewer = make_person("viewer@example.com", studio.slug, role=Role.VIEWER)
    administration.suspend(studio, by=staff, reason="The bill of <May>")
    told = mails()[-1]
    assert (told.to, "The bill of <May>" in told.body) == ([owner.email], True)
    for path in ("/a/studio/", "/a/studio/members/", "/a/studio/usage/"):
        page = text(web.get(path))
        assert page.count("is suspended: you can look") == 1, path
        assert "The bill of &lt;May&gt;" in page, path
    assert "Who did what" in text(web.get("/a/studio/members/"))
    assert "staff@example.com" not in text(web.get("/a/studio/members/"))
    web.force_login(viewer)
    page = text(web.get("/a/studio/members/"))
    assert ("is suspended: you can look" in page, "The bill of" in page, "Who did what" in page) == (True, False, False)
    administration.reactivate(studio, by=staff, reason="Paid")
    told = mails()[-1]
    assert (told.to, "no longer suspended" in told.subject) == ([owner.email], True)


def test_an_owner_of_a_suspended_account_revokes_tokens_and_makes_none(client: Client, owner: User) -> None:
    client.force_login(owner)
    client.post("/a/studio/tokens/", {"name": "Shop"})
    Account.objects.update(status=Account.Status.SUSPENDED)
    page = text(client.get("/a/studio/tokens/"))
    assert ("Make a token" in page, "Revoke Shop" in page) == (False, True)
    client.post(f"/a/studio/tokens/{ApiToken.objects.get().pk}/revoke/")
    assert ApiToken.objects.get().revoked_at is not None
