"""The table of codes: who does what next."""

from datetime import timedelta

import pytest

from templategen import policy
from templategen.clients.dashscope import RefusedError
from templategen.policy import Verdict


def refusal(status, code, retry_after=None):
    return RefusedError(status=status, code=code, message="", request_id="", retry_after=retry_after)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        # Billing that comes under other names' statuses.
        (400, "Arrearage", Verdict.PAUSE),
        (429, "CommodityNotPurchased", Verdict.PAUSE),
        (429, "PrepaidBillOverdue", Verdict.PAUSE),
        (429, "PostpaidBillOverdue", Verdict.PAUSE),
        (403, "AllocationQuota.FreeTierOnly", Verdict.PAUSE),
        (401, "InvalidApiKey", Verdict.PAUSE),
        (401, "NOT AUTHORIZED", Verdict.PAUSE),
        (403, "AccessDenied.Something.New", Verdict.PAUSE),
        # A limit, also where it comes as 400.
        (429, "Throttling.RateQuota", Verdict.LATER),
        (400, "Throttling.AllocationQuota", Verdict.LATER),
        (429, "Throttling.Something.New", Verdict.LATER),
        # The address of the clip.
        (400, "InvalidURL.ConnectionRefused", Verdict.NOW),
        (400, "InvalidURL.Something.New", Verdict.NOW),
        (400, "InvalidParameter.DataInspection", Verdict.NOW),
        # The clip.
        (400, "InvalidParameter", Verdict.USER),
        (400, "InvalidFile.FullBody", Verdict.USER),
        (400, "InvalidFile.Something.New", Verdict.USER),
        (400, "DataInspectionFailed", Verdict.USER),
        (400, "BadRequest.TooLarge", Verdict.USER),
        # The service itself, under whatever status.
        (400, "InternalError.Algo", Verdict.PERSON),
        (400, "RequestTimeOut", Verdict.PERSON),
        # Codes that the table does not have: by status.
        (401, "", Verdict.PAUSE),
        (403, "New", Verdict.PAUSE),
        (404, "New", Verdict.PAUSE),
        (429, "New", Verdict.LATER),
        (400, "New", Verdict.USER),
        (409, "", Verdict.USER),
    ],
)
def test_who_does_what_next(status, code, expected):
    assert policy.verdict(refusal(status, code)) is expected


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "InvalidApiKey", Verdict.PAUSE),
        (400, "Arrearage", Verdict.PAUSE),
        # A task that is not there, or a filter that is not known, is nobody's trouble but this look's.
        (404, "NotFound", Verdict.LATER),
        (400, "InvalidParameter", Verdict.LATER),
        (429, "Throttling", Verdict.LATER),
    ],
)
def test_a_refused_look_pauses_only_where_every_call_would_be_refused(status, code, expected):
    assert policy.verdict_on_look(refusal(status, code)) is expected


def test_a_code_without_words_of_its_own_in_the_table_says_nothing():
    assert policy.verdict_on("") is None
    assert policy.verdict_on("SomethingNew") is None


def test_waits_grow_to_a_bound_with_jitter():
    waits = [policy.back_off(tries) for tries in range(20)]
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=7.5)
    assert timedelta(seconds=10) <= waits[1] <= timedelta(seconds=15)
    assert max(waits) <= timedelta(minutes=7.5)
    assert len({policy.back_off(3) for _ in range(10)}) > 1


def test_what_the_answer_asks_for_is_obeyed():
    assert timedelta(seconds=77) <= policy.back_off(9, retry_after=77.0) <= timedelta(seconds=80)
    assert policy.back_off(0, retry_after=0.0) >= timedelta(seconds=1)
