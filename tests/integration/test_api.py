"""The JSON API: whose templates a token reads, and what it is told when it may not."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import members, tokens
from accounts.models import Account, ApiToken, Membership, Role, User
from templategen.models import ActionTemplate
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of, make_person

LIST = "/api/v1/templates/"


@pytest.fixture
def secret(owner: User) -> str:
    return tokens.make(account_of(owner), user=owner, name="One")[1]


def call(secret: str, path: str = LIST, method: str = "get", **query: Any) -> Any:
    return getattr(Client(), method)(path, query, headers={"Authorization": f"Bearer {secret}"})


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["templates"]]


def test_a_token_reads_its_accounts_templates_and_nobody_elses(owner: User, stranger: User, secret: str) -> None:
    mine = make_template(account_of(owner), name="Mine")
    theirs = make_template(account_of(stranger), name="Theirs")
    make_template(account_of(owner), State.UPLOADING)
    make_template(account_of(owner), deleted_at=timezone.now())
    assert names(call(secret)) == ["Mine"]
    one = call(secret, f"{LIST}{mine.public_id}/").json()["template"]
    assert (one["template_id"], one["state"], one["error"]) == (mine.template_id, "ready", None)
    assert one["page"].endswith(f"/a/studio/templates/{mine.public_id}/")
    gone = call(secret, f"{LIST}{theirs.public_id}/")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")


def test_what_went_wrong_is_told_in_words(owner: User, secret: str) -> None:
    make_template(account_of(owner), State.FAILED)
    (row,) = call(secret).json()["templates"]
    assert (row["template_id"], row["error"]["code"]) == (None, "InvalidFile.FullBody")
    assert row["error"]["fix"]


def test_pages_hang_together_while_new_templates_come(owner: User, secret: str) -> None:
    now = timezone.now()
    for number in range(5):
        # Two of each moment.
        make_template(account_of(owner), name=str(number), created_at=now + timedelta(seconds=number // 2))
    first = call(secret, limit=2)
    assert names(first) == ["4", "3"]
    make_template(account_of(owner), name="new", created_at=now + timedelta(days=1))
    ActionTemplate.objects.filter(name="3").update(deleted_at=now)
    second = call(secret, first.json()["next"].removeprefix("http://127.0.0.1:8000"))
    assert names(second) == ["2", "1"]
    third = call(secret, second.json()["next"].removeprefix("http://127.0.0.1:8000"))
    assert (names(third), third.json()["next"]) == (["0"], None)


def test_one_asks_for_a_state(owner: User, secret: str) -> None:
    make_template(account_of(owner), name="ready")
    make_template(account_of(owner), State.FAILED, name="failed")
    assert names(call(secret, state="ready")) == ["ready"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "101"}, {"limit": "-1"}, {"limit": "x"}, {"limit": "9" * 99}, {"limit": "²"},
        {"state": "READY?"}, {"cursor": "x"}, {"cursor": "00000000-0000-4000-8000-000000000000"}, {"cursor": "\0"},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_so(secret: str, query: dict[str, str]) -> None:
    answer = call(secret, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_a_strangers_cursor_is_no_cursor(stranger: User, secret: str) -> None:
    theirs = make_template(account_of(stranger))
    assert call(secret, cursor=str(theirs.public_id)).status_code == 400


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer tg_wrong", "Basic dXNlcjpw", "Bearer x", "Bearer tg_" + "x" * 999]
)
def test_without_a_good_token_nothing_is_told(owner: User, header: str) -> None:
    client = Client()
    # Being signed in does not count.
    client.force_login(owner)
    answer = client.get(LIST, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_and_that_of_who_has_left_open_nothing(owner: User, secret: str) -> None:
    mate = make_person("mate@example.com", "studio", role=Role.EDITOR)
    token, theirs = tokens.make(account_of(owner), user=mate, name="Two")
    assert call(theirs).status_code == 200
    User.objects.filter(pk=mate.pk).update(is_active=False)
    assert call(theirs).status_code == 401
    User.objects.filter(pk=mate.pk).update(is_active=True)
    Membership.objects.filter(user=mate).delete()
    assert call(theirs).status_code == 401
    tokens.revoke(ApiToken.objects.exclude(pk=token.pk).get(), by=owner)
    assert call(secret).status_code == 401


def test_a_suspended_account_still_reads(owner: User, secret: str) -> None:
    Account.objects.update(status=Account.Status.SUSPENDED)
    assert call(secret).status_code == 200


def test_the_last_use_is_noted_once_in_a_while(secret: str) -> None:
    call(secret)
    used = ApiToken.objects.get().used_at
    assert used
    call(secret)
    assert ApiToken.objects.get().used_at == used


def test_too_many_calls_are_told_when_to_come_back(owner: User, secret: str, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "api": "2/3600"}
    assert [call(secret).status_code for _ in range(3)] == [200, 200, 429]
    late = call(secret)
    assert 1 <= int(late["Retry-After"]) <= 3600
    assert late.json()["error"]["code"] == "too_many"
    other = tokens.make(account_of(owner), user=owner, name="Two")[1]
    assert call(other).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_is_changed_by_it(secret: str, method: str) -> None:
    answer = call(secret, method=method)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert json.loads(answer.content)["error"]["code"] == "method"


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/nothing", "/api/v1/templates/x/"])
def test_what_is_not_there_is_told_in_json(secret: str, path: str) -> None:
    answer = call(secret, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_list_takes_few_questions(owner: User, secret: str, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        make_template(account_of(owner))
    # The first call of a while also begins the count, and notes the use.
    call(secret)
    with django_assert_max_num_queries(4):
        assert len(names(call(secret))) == 10


def test_a_removed_members_token_is_dead(owner: User) -> None:
    mate = make_person("mate@example.com", "studio", role=Role.EDITOR)
    _token, secret = tokens.make(account_of(owner), user=mate, name="Two")
    members.remove(Membership.objects.get(user=mate), by=owner)
    assert call(secret).status_code == 401
