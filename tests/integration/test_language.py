"""The language that a reader has chosen, and the one that the browser asks for."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of

pytestmark = pytest.mark.django_db
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}


def choose(client: Client, language: str = "zh-hans", **more: str) -> object:
    return client.post("/language/", {"language": language, **more})


def test_a_browser_that_asks_for_chinese_gets_it(client: Client) -> None:
    answer = client.get("/sign-in/", headers=CHINESE)
    html = answer.content.decode()
    assert '<html lang="zh-hans">' in html
    assert "<h1>登录</h1>" in html
    assert answer["Content-Language"] == "zh-hans"


def test_without_a_wish_it_is_english_and_chinese_is_offered_by_its_own_name(client: Client) -> None:
    html = client.get("/sign-in/").content.decode()
    assert '<html lang="en">' in html
    assert 'value="zh-hans" lang="zh-hans"' in html
    assert "简体中文" in html


def test_a_choice_holds_on_every_page_and_outlives_the_session(client: Client, owner: User) -> None:
    choose(client)
    assert client.cookies["django_language"]["max-age"] >= 30 * 24 * 3600
    assert client.cookies["django_language"]["httponly"]
    client.force_login(owner)
    own = reverse("accounts:account")
    for address in ("/a/studio/", "/a/studio/members/", "/a/studio/usage/", own, "/no-such-page/"):
        html = client.get(address, follow=True).content.decode()
        assert '<html lang="zh-hans">' in html, address
        assert "退出登录" in html, address
    client.post(reverse("accounts:sign_out"))
    assert "<h1>登录</h1>" in client.get("/sign-in/").content.decode()


def test_a_choice_beats_what_the_browser_asks_for(client: Client) -> None:
    choose(client, "en")
    assert '<html lang="en">' in client.get("/sign-in/", headers=CHINESE).content.decode()


def test_one_comes_back_to_the_page_where_one_chose(client: Client, owner: User) -> None:
    client.force_login(owner)
    html = client.get("/a/studio/?q=a%26b&state=ready").content.decode()
    assert 'name="next" value="/a/studio/?q=a%26b&amp;state=ready"' in html
    assert choose(client, next="/a/studio/?q=a%26b&state=ready")["Location"] == "/a/studio/?q=a%26b&state=ready"


@pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com/", "https:example.com", "javascript:x"])
def test_the_way_back_never_leads_to_another_site(client: Client, elsewhere: str) -> None:
    assert choose(client, next=elsewhere)["Location"] == "/"
    assert client.post("/language/", {"language": "en"}, headers={"Referer": elsewhere})["Location"] == "/"


@pytest.mark.parametrize("language", ["", "xx", "../../etc", "zh-hans\x00", "z" * 10_000])
def test_a_language_that_is_not_offered_changes_nothing(client: Client, language: str) -> None:
    assert choose(client, language)["Location"] == "/"
    assert "django_language" not in client.cookies


def test_a_form_of_another_site_chooses_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/language/", {"language": "zh-hans"}).status_code == 403
    assert "django_language" not in client.cookies


def test_scripts_get_their_words_in_the_same_language(client: Client) -> None:
    assert "已复制" not in client.get("/jsi18n/").content.decode()
    choose(client)
    answer = client.get("/jsi18n/")
    assert answer["Content-Type"].startswith("text/javascript")
    assert "\\u5df2\\u590d\\u5236" in answer.content.decode() or "已复制" in answer.content.decode()


def test_states_lengths_and_numbers_are_said_in_the_readers_language(client: Client, owner: User) -> None:
    client.force_login(owner)
    template = make_template(account_of(owner), State.READY)
    choose(client)
    html = client.get(f"/a/studio/templates/{template.public_id}/").content.decode()
    for words in ("已就绪", " 秒", "模板 ID", "24 帧/秒", "历史"):
        assert words in html, words


def test_refusals_for_scripts_are_in_the_readers_language(client: Client) -> None:
    answer = client.get("/a/studio/uploads/", headers={"Accept": "application/json", **CHINESE})
    assert answer.status_code == 401
    assert answer.json()["error"]["text"].startswith("您已退出登录")


def test_the_admin_site_is_chinese_too_and_offers_the_way_back(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", "a-long-enough-phrase"))
    choose(client)
    html = client.get("/admin/").content.decode()
    for words in ("管理后台", "账户", "模板", "流水线"):
        assert words in html, words
    assert 'value="en" lang="en"' in html
