"""What must hold after every step, whoever did what: rows, their history and the service's tasks tell one story."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from templategen.models import ActionTemplate, Clip, Event
from templategen.states import AT_SERVICE, FOR_A_PERSON, LOOKED_AT, MOVES, State
from tests.property.service import Made, Service

# No next step is further off than the longest wait of its kind, and some.
_LONGEST_WAIT = {
    State.CHECKING: timedelta(seconds=120),
    State.QUEUED: timedelta(seconds=31),  # put off where the clip could not be looked at
    State.UNCONFIRMED: timedelta(seconds=60),
    State.PENDING: timedelta(seconds=180),
    State.RUNNING: timedelta(seconds=180),
}
_KIND = Event.Kind


@dataclass
class Story:
    """What a template's Events say of its row."""

    state: str = State.UPLOADING
    attempt: int = 1
    task_id: str = ""
    name: str = ""
    is_deleted: bool = False
    # Task ID → whether a person named it.
    tasks: dict[str, bool] = field(default_factory=dict)

    def tell(self, event: Event) -> None:
        """Go on with the next Event."""
        if event.kind == _KIND.MOVED:
            self._move(event)
        elif event.kind == _KIND.TASK_FOUND:
            self.tasks.setdefault(event.task_id, False)
        elif event.kind in {_KIND.DELETED, _KIND.RESTORED}:
            self.is_deleted = event.kind == _KIND.DELETED
        elif event.kind == _KIND.RENAMED:
            self.name = event.detail["new"]

    def _move(self, event: Event) -> None:
        start, to = State(event.start), State(event.to)
        assert start == self.state, f"{start} -> {to} of one that is {self.state}"
        assert to in MOVES[start], f"{start} -> {to}"
        if event.attempt != self.attempt:
            assert event.attempt == self.attempt + 1, "attempts are counted one by one"
            assert to == State.QUEUED, "a new attempt begins in the line"
            assert event.by_id is not None, "a new attempt is a person's decision"
        self.state, self.attempt, self.task_id = to, event.attempt, event.task_id
        if event.task_id:
            self.tasks.setdefault(event.task_id, event.by_id is not None and event.detail.get("decision") == "adopted")
        # An upload that is stopped goes at once.
        self.is_deleted = self.is_deleted or (start == State.UPLOADING and to == State.CANCELED)


@dataclass(frozen=True)
class Snapshot:
    """The rows and what their Events say, at one moment."""

    rows: list[ActionTemplate]
    stories: dict[int, Story]

    def of(self, account_id: int) -> dict[int, dict[str, Any]]:
        """Every value of an account's rows."""
        return {
            row.pk: {name: value for name, value in vars(row).items() if not name.startswith("_")}
            for row in self.rows
            if row.account_id == account_id
        }


def read() -> Snapshot:
    """The present. Raw: making the SQL anew would take most of the time of a step."""
    clips = {clip.pk: clip for clip in Clip.objects.raw(f"SELECT * FROM {Clip._meta.db_table}")}
    rows = list(ActionTemplate.objects.raw(f"SELECT * FROM {ActionTemplate._meta.db_table} ORDER BY id"))
    stories = {row.pk: Story(name=row.name) for row in rows}
    for row in rows:
        row.clip = clips[row.clip_id]
    for event in Event.objects.raw(f"SELECT * FROM {Event._meta.db_table} ORDER BY id"):
        stories[event.template_id].tell(event)
    return Snapshot(rows, stories)


def check(snapshot: Snapshot, service: Service, now: datetime) -> None:
    """Raise AssertionError for the first thing that is not as it must be."""
    for row in snapshot.rows:
        _same(row, snapshot.stories[row.pk])
        _implied(row)
        _goes_on(row, now)
        _own_task(row, snapshot.stories[row.pk], service)
    _one_owner(snapshot)
    _paid_once(service)


def _same(row: ActionTemplate, story: Story) -> None:
    told = (story.state, story.attempt, story.task_id, story.name, story.is_deleted)
    assert (row.state, row.attempt, row.task_id, row.name, row.deleted_at is not None) == told, "row and Events differ"


def _implied(row: ActionTemplate) -> None:
    state = State(row.state)
    stored = row.clip.stored_at is not None
    assert stored or state in {State.UPLOADING, State.CANCELED}, "goes on without a stored clip"
    if state in AT_SERVICE | {State.QUEUED, State.READY, State.LOST}:
        assert row.clip.passed, "goes on without a check"
    if state in {State.QUEUED, State.CHECKING}:
        assert not row.task_id, "waits, and has a task"
        assert row.sent_at is None, "waits, and was sent"
        assert row.cancel_wanted_at is None, "waits, with the wish of an earlier attempt"
        assert row.deleted_at is None, "waits in the trash"
    if state == State.QUEUED:
        assert row.queued_at is not None, "waits since never"
    if state in AT_SERVICE | {State.LOST, State.READY}:
        assert row.claim_token, "was sent without a claim"
        assert row.sent_at is not None or state == State.SUBMITTING, "is at the service without having been sent"
    if state == State.UNCONFIRMED:
        assert not row.task_id, "is looked for, and has a task"
    if state in LOOKED_AT | {State.READY}:
        assert row.task_id, "has no task"
    assert bool(row.template_id) == (state == State.READY), "a template ID, and not ready, or the other way round"


def _goes_on(row: ActionTemplate, now: datetime) -> None:
    """Whoever has to do something about it will find it in time."""
    if row.state == State.UNCONFIRMED and row.error_code == FOR_A_PERSON:
        return
    longest = _LONGEST_WAIT.get(State(row.state))
    assert longest is None or row.next_look_at <= now + longest, f"{row.state}, and its next step is far off"
    if row.state == State.SUBMITTING:
        assert row.claimed_at is not None, "no sweep finds it"
        assert row.sent_at is None or row.claimed_by, "nobody can be found to be gone"


def _own_task(row: ActionTemplate, story: Story, service: Service) -> None:
    if not row.task_id:
        return
    made = service.made[row.task_id]
    if row.state == State.READY:
        assert row.template_id == made.template_id, "another task's template ID"
    by_a_person = story.tasks[row.task_id]
    assert by_a_person or made.is_foreign or made.key == row.clip.object_key, "another template's task"


def _one_owner(snapshot: Snapshot) -> None:
    owners = Counter(task_id for story in snapshot.stories.values() for task_id in story.tasks)
    assert all(count == 1 for count in owners.values()), f"tasks with several owners: {owners}"


def _paid_once(service: Service) -> None:
    paid = Counter((made.key, made.attempt) for made in service.made.values() if not made.is_foreign)
    assert all(count == 1 for count in paid.values()), f"paid twice in one attempt: {paid}"


def at_service(snapshot: Snapshot) -> int:
    """How many hold a slot."""
    return sum(row.state in AT_SERVICE - {State.UNCONFIRMED} for row in snapshot.rows)


def slots() -> int:
    """How many may be handed over."""
    return max(settings.DASHSCOPE_SLOTS, 1) + max(settings.DASHSCOPE_PENDING, 0)


def is_moving(row: ActionTemplate) -> bool:
    """Whether something must still happen to it by itself."""
    if row.state == State.UNCONFIRMED:
        return row.error_code != FOR_A_PERSON
    return row.state in AT_SERVICE | {State.CHECKING, State.QUEUED}


# --- once everything has come to rest ---


def check_rest(snapshot: Snapshot, service: Service) -> None:
    """Nothing is stuck; every task that was paid for is known, and its ID stored, or a person has it in hand."""
    for row in snapshot.rows:
        assert not is_moving(row), f"{row.state} for ever"
        if row.task_id and service.made[row.task_id].template_id and service.has(service.made[row.task_id]):
            assert row.state == State.READY, f"a template ID that nobody stores: {row.state}"
    rows = {row.clip.object_key: row for row in snapshot.rows}
    for made in service.made.values():
        row = rows.get(made.key)
        if row is not None and made.task_id not in snapshot.stories[row.pk].tasks:
            _in_hand(made, row)


def _in_hand(made: Made, row: ActionTemplate) -> None:
    """A task that its template does not know: a person has it to decide, or has decided."""
    if row.state == State.UNCONFIRMED and row.attempt == made.attempt:
        return
    decided = Event.objects.filter(template=row, kind=_KIND.MOVED, start=State.UNCONFIRMED, by__isnull=False)
    attempts = {event.attempt - (event.to == State.QUEUED) for event in decided}
    assert made.attempt in attempts, f"{made.task_id} was paid for and forgotten"
