"""The usage page and its CSV: for owners, with no cell that a spreadsheet would run."""

import csv
import io

import pytest

from accounts import ledger
from accounts.models import Membership, Quota, Role
from templategen import actions
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.web.spreadsheets import safe_cell
from tests.factories import make_template
from tests.people import account_of, make_person


@pytest.fixture
def account(owner):
    account = account_of(owner)
    Quota.objects.create(account=account, templates_per_month=5, seconds_per_month=100, storage_bytes=10_000_000)
    return account


@pytest.fixture
def page(client, owner, account):
    client.force_login(owner)

    def get(address=""):
        return client.get(f"/a/{account.slug}/usage/{address}")

    return get


def make(account, by, *states, name="Dance"):
    """A template that goes through the states from a retry on."""
    template = make_template(account, State.FAILED, name=name)
    actions.retry(template, by=by)
    for state in states:
        template.move(state, claim_token="t", task_id=f"t{template.pk}", template_id="AACT.x", video_duration=10.0)
    return template


def rows_of(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_page_says_what_is_left_held_and_may_cost(page, account, owner):
    make(account, owner, State.SUBMITTING, State.PENDING, State.READY)
    make(account, owner)
    text = page().content.decode()
    assert "3 left of 5" in text
    assert "1 held" in text
    assert "0.80 CNY" in text
    assert "An estimate, not a bill" in text
    assert "2026-06-22" in text


def test_members_and_outcomes_are_counted_apart(page, account, owner):
    other = make_person("other@example.com", "studio")
    make(account, owner, State.SUBMITTING, State.PENDING, State.READY)
    make(account, other, State.SUBMITTING, State.FAILED)
    make(account, other, State.CANCELED)
    make(account, other, State.SUBMITTING, State.PENDING, State.LOST, State.READY)
    ActionTemplate.objects.all().delete()
    members = {email: tally for email, tally, _seconds, _cost in page().context["members"]}
    assert (members["owner@example.com"].begun, members["owner@example.com"].made) == (1, 1)
    theirs = members["other@example.com"]
    assert (theirs.begun, theirs.made, theirs.failed, theirs.canceled, theirs.lost, theirs.open) == (3, 1, 1, 1, 0, 0)
    assert page().context["total"].begun == 4


@pytest.mark.parametrize("month", ["", "2026-13", "0000-01", "x", "2026-1", "2026-11-11", "٢٠٢٦-11", "2020-02"])
def test_any_month_can_be_asked_for(page, month):
    assert page(f"?month={month}").status_code == 200
    assert b"".join(page(f"ledger.csv?month={month}").streaming_content)


@pytest.mark.parametrize("address", ["", "ledger.csv"])
def test_it_is_for_owners_only(client, account, stranger, address):
    url = f"/a/{account.slug}/usage/{address}"
    assert client.get(url).status_code == 302
    client.force_login(stranger)
    assert client.get(url).status_code == 404
    member = make_person("member@example.com", account.slug)
    client.force_login(member)
    for role, status in ((Role.VIEWER, 403), (Role.EDITOR, 403), (Role.OWNER, 200)):
        Membership.objects.filter(user=member).update(role=role)
        assert client.get(url).status_code == status


def test_the_ledger_comes_as_csv_without_formulas(page, account, owner):
    template = make(account, owner, State.SUBMITTING, State.FAILED, name='=HYPERLINK("http://example.com","x")')
    ledger.grant(account.pk, "1", templates=1, milliseconds=2500, by=owner, reason="@SUM(1+1)")
    answer = page("ledger.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    hold, release, grant = rows_of(answer)
    assert hold["template"] == '\'=HYPERLINK("http://example.com","x")'
    assert hold["template_address_id"] == str(template.public_id)
    assert (hold["kind"], hold["attempt"], hold["seconds_held"], hold["by"]) == ("hold", "2", "12.04", owner.email)
    assert (release["seconds_held"], release["reason"]) == ("-12.04", "failed")
    assert (grant["reason"], grant["templates_granted"], grant["seconds_granted"]) == ("'@SUM(1+1)", "1", "2.5")


def test_a_long_ledger_is_sent_whole(page, account, django_assert_max_num_queries):
    Quota.objects.update(templates_per_month=None, seconds_per_month=None)
    for number in range(1100):
        ledger.hold(account.pk, f"template:{number}:1", milliseconds=1)
    with django_assert_max_num_queries(20):
        rows = rows_of(page("ledger.csv"))
    assert [row["reference"] for row in rows] == [f"template:{number}:1:hold" for number in range(1100)]


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "+1",
        "-1",
        "@x",
        "\tx",
        "\rx",
        "\nx",
        "  =1",
        "＝1",
        "－1",
        "＋1",
        "＠x",
        "\u3000=1",
        "\u200b=1",
        "\ufeff=1",
        "\x0b@x",
        "﹢1",
        "﹣1",
        "﹦1",
        "﹫x",
        "⁺1",
        "\0=1",
    ],
)
def test_no_text_begins_like_a_formula(text):
    assert str(safe_cell(text)).startswith("'")


def test_numbers_and_plain_text_stay_as_they_are():
    assert safe_cell(-5) == -5
    assert safe_cell("Walk 01") == "Walk 01"


@pytest.mark.parametrize(("held", "words"), [(3, ""), (4, "comes near a limit"), (5, "has reached a limit")])
def test_all_members_see_a_notice_near_a_limit(client, account, held, words):
    viewer = make_person("viewer@example.com", account.slug)
    Membership.objects.filter(user=viewer).update(role=Role.VIEWER)
    for number in range(held):
        ledger.hold(account.pk, f"template:{number}:1", milliseconds=1000)
    client.force_login(viewer)
    text = client.get(f"/a/{account.slug}/").content.decode()
    assert ("limit." in text) == bool(words)
    assert words in text
    assert "/usage/" not in text
