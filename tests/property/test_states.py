"""Templates that go any legal way, by moves and by people's decisions, under a quota that is too small."""

from datetime import timedelta
from itertools import count

import pytest
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts.ledger import OverLimitError
from accounts.models import Account, LedgerEntry, Quota
from accounts.usage import rebuild, usage_of
from templategen import actions
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import FOR_A_PERSON, HOLDING, MOVES, RETRYABLE, State
from tests.factories import make_template
from tests.property.savepoint import Savepoint
from tests.property.search import SEARCH

_numbers = count()
ROWS = 4
WHICH = st.integers(0, ROWS - 1)


class Templates(RuleBasedStateMachine):
    """A few templates of one account."""

    @initialize()
    def begin(self):
        self.savepoint = Savepoint()
        self.account = Account.objects.create(name="Studio", slug=f"states-{next(_numbers)}")
        Quota.objects.create(account=self.account, templates_per_month=3)
        self.rows = [make_template(self.account, State.UPLOADING) for _ in range(ROWS)]
        Clip.objects.update(passed=True, duration_s=2.0, size_bytes=10)
        # At work again after they were believed lost: nothing is held for them.
        self.revived = set()
        self.ready = 0

    def teardown(self):
        if not hasattr(self, "rows"):
            return
        assert not rebuild(check=True)
        self.savepoint.undo()

    def fresh(self, which):
        row = ActionTemplate.objects.select_related("clip").get(pk=self.rows[which].pk)
        return row, State(row.state), row.attempt, row.events.count()

    def note(self, row, start, attempt):
        if row.state == State.READY:
            self.ready += start != State.READY
        if start == State.LOST and row.state == State.RUNNING:
            self.revived.add(row.pk)
        elif row.state not in HOLDING or row.attempt != attempt:
            self.revived.discard(row.pk)

    @rule(which=WHICH, data=st.data(), stale=st.booleans())
    def move(self, which, data, stale):
        row, start, attempt, events = self.fresh(which)
        ways = sorted(MOVES[start])
        if not ways:
            return
        to = data.draw(st.sampled_from(ways))
        values = {"claim_token": "t", "task_id": f"t{row.pk}-{attempt}", "template_id": "AACT.x"}
        if to in {State.QUEUED, State.CHECKING} and start in RETRYABLE:
            values["attempt"] = attempt + 1
        before = usage_of(self.account.pk)
        try:
            won = row.move(to, guard={"version": row.version + stale}, **values)
        except OverLimitError:
            won = False
            assert before.templates.left == 0
        if not won:
            assert usage_of(self.account.pk) == before
            assert row.events.count() == events
            assert row.state == start
        self.note(row, start, attempt)

    @rule(which=WHICH, how=st.sampled_from(["retry", "cancel", "resubmit"]))
    def decide(self, which, how):
        row, start, attempt, _events = self.fresh(which)
        if start == State.PENDING:
            # Asks Alibaba.
            return
        if start == State.UNCONFIRMED:
            ActionTemplate.objects.filter(pk=row.pk).update(
                error_code=FOR_A_PERSON, sent_at=timezone.now() - timedelta(days=1)
            )
            row.refresh_from_db()
        if start == State.UPLOADING and how == "cancel":
            return
        try:
            getattr(actions, how)(row, by=None)
        except actions.QuotaError:
            assert usage_of(self.account.pk).templates.left == 0
        except actions.NotPossibleError:
            pass
        row.refresh_from_db()
        self.note(row, start, attempt)

    @invariant()
    def quota_is_what_the_rows_say(self):
        if not hasattr(self, "rows"):
            return
        usage = usage_of(self.account.pk)
        rows = ActionTemplate.objects.filter(account=self.account)
        assert usage.templates.held == rows.filter(state__in=HOLDING).exclude(pk__in=self.revived).count()
        assert usage.templates.used == self.ready
        assert usage.storage.used == 10 * Event.objects.filter(start=State.UPLOADING, to=State.CHECKING).count()
        assert LedgerEntry.objects.filter(kind="hold", month__isnull=False).count() <= sum(row.attempt for row in rows)


@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_quota_follows_every_way_that_templates_can_go():
    run_state_machine_as_test(Templates, settings=SEARCH)
