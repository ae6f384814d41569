"""Whatever people, jobs, conductors and the service do, in whatever order: nothing is lost, nothing is paid for twice.

DashScope and OSS are objects here, given at the clients' seam, and time is the test's: thousands of steps take seconds.
The same is proved with real processes, real HTTP and SIGKILL in tests/chaos/, where fewer orders can be tried.

HYPOTHESIS_PROFILE=long tries more, always the same; HYPOTHESIS_PROFILE=hunt tries others each time.
"""

import logging
import os
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from accounts.models import Account, User
from templategen import actions, credential_status
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.states import FOR_A_PERSON, State
from tests.people import account_of, make_person
from tests.property import truths
from tests.property.service import FAULTS, MODEL, REFUSALS, SIZE
from tests.property.world import Message, Process, Seams, World

_MOST_TEMPLATES = 5
# A person gave a task to another template before its answer came: logged with its cause, and put before a person.
_EXPECTED = {"task of another row"}
_SECONDS = (1, 5, 15, 61, 61, 301, 701, 1501, 4000, 20 * 3600, 26 * 3600, 31 * 24 * 3600)
_WORDS = ("RUNNING", "RUNNING", "PRE-PROCESSING", "SUCCEEDED", "SUCCEED", "FAILED", "CANCELED", "UNKNOWN", "NO ID")
_OUTCOMES = (
    "accepted", "accepted", "accepted", "accepted", "accepted", "no answer", "server error, made",
    "server error, not made", "killed before",
    "killed after", "told to stop before", "told to stop after", *REFUSALS,
)  # fmt: skip
_VERBS = ("cancel", "retry", "resubmit", "adopt", "rename", "delete", "restore", "look_again")
_SENSIBLE: dict[State, tuple[str, ...]] = {
    State.UPLOADING: ("cancel",),
    State.CHECKING: ("cancel",),
    State.BLOCKED: ("retry", "delete"),
    State.QUEUED: ("cancel", "cancel", "rename"),
    State.SUBMITTING: ("cancel",),
    State.UNCONFIRMED: ("resubmit", "adopt", "cancel", "look_again"),
    State.PENDING: ("cancel", "cancel", "look_again"),
    State.RUNNING: ("cancel", "look_again"),
    State.READY: ("delete", "restore"),
    State.FAILED: ("retry", "retry", "delete", "restore"),
    State.LOST: ("retry", "adopt", "look_again", "delete", "restore"),
    State.CANCELED: ("retry", "retry", "retry", "delete", "restore"),
}
# What others do while a call is under way.
_MEANWHILE = (
    "conduct", "answers", "sweep", "bury", "a minute", "a quarter of an hour", "half an hour at work", "cancel",
    "resubmit", "adopt", "delete", "retry", "deliver", "again", "task", "other conductor", "cancel on an old page",
)  # fmt: skip

_ODD = (
    "an old message", "an old message", "a lost message", "another conductor", "a conductor that dies",
    "a conductor that froze in its last pass", "answers", "sweep", "a look for the dead", "storage that fails",
    "the resume button", "another program", "another program", "an upload that goes on",
)  # fmt: skip


def _mostly(value: bool) -> st.SearchStrategy[bool]:
    return st.sampled_from([value, value, value, not value])


_index = st.integers(0, 7)
_calls = st.sampled_from(["get", "get", "list", "cancel"])
_meanwhile = st.lists(st.sampled_from(_MEANWHILE), max_size=3)
_process = st.fixed_dictionaries({
    "machine": st.sampled_from(["here", "here", "there"]),
    "outcome": st.sampled_from(_OUTCOMES),
    "later": st.sampled_from([0.0, 1.0, 60.0, 240.0]),
    "lag": st.sampled_from([0.0, 0.0, 30.0, 240.0]),
    "before": st.just([]) | st.just([]) | _meanwhile,
    "after": st.just([]) | st.just([]) | _meanwhile,
    "asleep": st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 900.0]),
    "dies_at": st.one_of(st.just(0), st.just(0), st.just(0), st.just(0), st.integers(1, 25)),
})  # fmt: skip


class _Alarms(logging.Handler):
    """What the product logs as a bug of its own, and goes on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.setFormatter(logging.Formatter())
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.msg not in _EXPECTED:
            self.heard.append(self.format(record))


class Life(RuleBasedStateMachine):
    """Five templates of two accounts, on one Alibaba account of their own."""

    seams: Seams
    people: list[User]
    accounts: list[Account]
    alarms: _Alarms
    is_shared = False

    # --- the beginning, and what holds after each step ---

    @initialize(
        ahead=st.sampled_from([0.0, 0.0, 100.0, -100.0, 10_000.0]),
        tells_time=st.sampled_from([True, True, True, False]),
    )
    def begin(self, ahead: float, tells_time: bool) -> None:
        self.world = World(ahead=ahead, tells_time=tells_time, meanwhile=self._meanwhile)
        self.seams.enter(self.world)
        self.alarms.heard.clear()
        self.old: dict[int, ActionTemplate] = {}
        for who in (0, 0, 1):
            template = actions.begin_upload(
                self.accounts[who], by=self.people[who], file_name="dance.mp4", size_bytes=SIZE
            )
            actions.finish_upload(template, by=self.people[who])
        for message in self.world.told:
            self._deliver(message, self.world.process())
        self.world.queue.clear()
        self._look()

    def _look(self) -> None:
        """After each step."""
        self.seen = truths.read()
        truths.check(self.seen, self.world.service, self.world.clock.at)
        assert not self.alarms.heard, self.alarms.heard[0]

    # --- people ---

    @precondition(lambda self: len(self.seen.rows) < _MOST_TEMPLATES)
    @rule(who=st.integers(0, 1), good=_mostly(True), finish=_mostly(True))
    def upload(self, who: int, good: bool, finish: bool) -> None:
        """``good``: its clip keeps the limits."""
        with suppress(actions.StorageTroubleError):
            template = actions.begin_upload(
                self.accounts[who], by=self.people[who], file_name="dance.mp4", size_bytes=SIZE
            )
            if not good:
                self.world.broken_clips.add(template.clip.object_key)
            if finish:
                actions.finish_upload(template, by=self.people[who])
        self._look()

    @rule(index=_index, choice=_index, sensible=_mostly(True), old=_mostly(False), before=_meanwhile)
    def decide(self, index: int, choice: int, sensible: bool, old: bool, before: list[str]) -> None:
        """A person, perhaps on a page that was opened a while ago; ``before``: what happens during their call."""
        template = self._one(index)
        if template is not None:
            verbs = _SENSIBLE[State(template.state)] if sensible else _VERBS
            stale = self.old.get(template.pk) if old else None
            self._act(verbs[choice % len(verbs)], stale or template, index, before=before)
            self.old[template.pk] = template
        self._look()

    @precondition(lambda self: any(row.error_code == FOR_A_PERSON for row in self.seen.rows))
    @rule(index=_index, choice=_index)
    def decide_what_is_left_to_a_person(self, index: int, choice: int) -> None:
        """Who is asked."""
        waiting = [row for row in self.seen.rows if row.error_code == FOR_A_PERSON]
        verbs = _SENSIBLE[State.UNCONFIRMED]
        self._act(verbs[choice % len(verbs)], waiting[index % len(waiting)], index)
        self._look()

    # --- workers ---

    @precondition(lambda self: self.world.queue)
    @rule(index=_index, how=_process, keep=_mostly(False))
    def deliver(self, index: int, how: dict[str, object], keep: bool) -> None:
        """A message comes to a worker; ``keep``: it will come once more."""
        index %= len(self.world.queue)
        message = self.world.queue[index] if keep else self.world.queue.pop(index)
        self._deliver(message, self.world.process(**how))
        self._look()

    @rule(how=_process, seconds=st.sampled_from([1, 15, 15, 61, 301]))
    def work(self, how: dict[str, object], seconds: int) -> None:
        """What is usual: everything that is due is asked for, answered, recorded, handed over and launched."""
        self.world.clock.jump(seconds)
        self._work(how)
        self._look()

    def _work(self, how: dict[str, object]) -> None:
        self._conduct(0)
        self.world.answers_come()
        self._conduct(0)
        while self.world.queue:
            self._deliver(self.world.queue.pop(0), self.world.process(**how))

    @rule(odd=st.sampled_from(_ODD), index=st.integers(0, 30), how=_process)
    def odd(self, odd: str, index: int, how: dict[str, object]) -> None:
        """What happens now and then."""
        getattr(self, f"_{odd.replace(' ', '_')}")(index, how)
        self._look()

    def _an_old_message(self, index: int, how: dict[str, object]) -> None:
        if self.world.told:
            self._deliver(self.world.told[-1 - index % len(self.world.told)], self.world.process(**how))

    def _a_lost_message(self, index: int, _how: dict[str, object]) -> None:
        if self.world.queue:
            del self.world.queue[index % len(self.world.queue)]

    def _another_conductor(self, _index: int, _how: dict[str, object]) -> None:
        self._conduct(1)

    def _a_conductor_that_froze_in_its_last_pass(self, _index: int, _how: dict[str, object]) -> None:
        self._conduct(1, asleep=True)

    def _a_conductor_that_dies(self, index: int, _how: dict[str, object]) -> None:
        self._conduct(0, dies_at=1 + index)

    def _answers(self, _index: int, _how: dict[str, object]) -> None:
        self.world.answers_come()

    def _sweep(self, _index: int, _how: dict[str, object]) -> None:
        self.world.sweep()

    def _a_look_for_the_dead(self, _index: int, how: dict[str, object]) -> None:
        self.world.bury(str(how["machine"]))

    def _storage_that_fails(self, index: int, _how: dict[str, object]) -> None:
        self.world.bucket.fails = 1 + index % 3

    def _the_resume_button(self, _index: int, _how: dict[str, object]) -> None:
        credential_status.resume(None)

    def _another_program(self, index: int, _how: dict[str, object]) -> None:
        if self.is_shared:
            self.world.service.make("", 0, lag=index % 3 * 30.0, model="wan" if index % 4 == 3 else MODEL)

    def _an_upload_that_goes_on(self, index: int, _how: dict[str, object]) -> None:
        template = self._one(index, State.UPLOADING)
        if template is not None:
            with suppress(actions.ActionError):
                actions.finish_upload(template, by=self._owner(template))

    # --- the service, and time ---

    @precondition(lambda self: self.world.service.open_tasks())
    @rule(index=_index, word=st.sampled_from(_WORDS), how=_process)
    def task_goes_on(self, index: int, word: str, how: dict[str, object]) -> None:
        """At the service; and it is looked at."""
        self._task_goes_on(index, word)
        self.world.clock.jump(61)
        self._work(how)
        self._look()

    @rule(call=_calls, fault=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 3), how=_process)
    def trouble(self, call: str, fault: str, times: int, how: dict[str, object]) -> None:
        """The next calls of a kind are answered so."""
        self.world.service.faults[call] += [fault] * times
        self.world.clock.jump(15)
        self._work(how)
        self._look()

    @rule(seconds=st.sampled_from(_SECONDS), at_work=_mostly(True), how=_process)
    def time_passes(self, seconds: int, at_work: bool, how: dict[str, object]) -> None:
        """With everything at work, or with every process stopped."""
        steps = min(max(seconds // 100, 1), 4) if at_work else 1
        for _ in range(steps):
            self.world.clock.jump(seconds / steps)
            if at_work:
                self.world.bury("here")
                self._work(how)
        self._look()

    # --- the end: the service is well, time passes ---

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.service.calm()
        self.world.bucket.fails = 0
        for number in range(80):
            if number % 6 == 5:
                self.world.sweep()
            self._come_to_rest()
            if not self.world.queue and not any(truths.is_moving(row) for row in self.seen.rows):
                break
            self.world.clock.jump(30 if number < 8 else 200 if number < 40 else 1000)
        truths.check_rest(self.seen, self.world.service)
        self._unfinished_uploads_expire()

    def _come_to_rest(self) -> None:
        for message in list(self.world.queue):
            self.world.queue.remove(message)
            self._deliver(message, self.world.process())
        for made in self.world.service.open_tasks():
            self.world.service.move(made, "SUCCEEDED")
        self.world.bury("here")
        self.world.bury("there")
        self._conduct(0)
        self.world.answers_come()
        self._look()

    def _unfinished_uploads_expire(self) -> None:
        self.world.clock.jump(timedelta(hours=25).total_seconds())
        self.world.sweep()
        self._look()
        assert all(row.state != State.UPLOADING for row in self.seen.rows)
        left = {row.clip.upload_id for row in self.seen.rows if row.state == State.CANCELED and not row.clip.stored_at}
        assert left <= {""}, "parts that nobody throws away"

    # --- how it is done ---

    def _one(self, index: int, state: State | None = None) -> ActionTemplate | None:
        rows = [row for row in self.seen.rows if state is None or row.state == state]
        return self._fresh().get(pk=rows[index % len(rows)].pk) if rows else None

    def _owner(self, template: ActionTemplate) -> User:
        return next(
            person
            for person, account in zip(self.people, self.accounts, strict=True)
            if account.pk == template.account_id
        )

    def _act(self, verb: str, template: ActionTemplate, index: int, *, before: list[str] | None = None) -> None:
        """One person's decision, in a web process. Nobody else's templates change by it."""
        others = [account.pk for account in self.accounts if account.pk != template.account_id]
        was = truths.read().of(others[0])
        process = self.world.process(before=list(before or ()))
        self.world.run(process, lambda: self._try(verb, template, index))
        if not before:
            assert truths.read().of(others[0]) == was, "another account's template has changed"

    def _try(self, verb: str, template: ActionTemplate, index: int) -> None:
        values: dict[str, str] = {}
        if verb == "rename":
            values["name"] = f"Name {index}"
        if verb == "adopt":
            values["task_id"] = self._task_for(template, index)
        try:
            done = getattr(actions, verb)(template, by=self._owner(template), **values)
        except actions.ActionError:
            return
        if verb == "cancel" and done:
            assert template.state == State.CANCELED

    def _task_for(self, template: ActionTemplate, index: int) -> str:
        """Its own, which a person knows by what was found, another program's, or one that is taken already."""
        made = self.world.service.made
        taken = {task_id for story in truths.read().stories.values() for task_id in story.tasks}
        known = [
            task_id
            for task_id, task in made.items()
            if task.is_foreign or task.key == template.clip.object_key or task_id in taken
        ]
        return known[index % len(known)] if known else "no-such-task"

    def _deliver(self, message: Message, process: Process) -> None:
        template = self._fresh().filter(pk=message.arguments["template_pk"]).first()
        if template is not None:
            self.old[template.pk] = template
            self.world.deliver(message, process)

    @staticmethod
    def _fresh() -> TemplateQuerySet:
        return ActionTemplate.objects.select_related("clip").order_by("pk")

    def _conduct(self, which: int, *, asleep: bool = False, dies_at: int = 0) -> None:
        self.world.claimed = 0
        self.world.conduct(which, asleep=asleep, dies_at=dies_at)
        if self.world.claimed:
            after = truths.read()
            assert truths.at_service(after) <= truths.slots(), "more were handed over than there are slots"
            looked_for = [row for row in after.rows if row.state == State.UNCONFIRMED and truths.is_moving(row)]
            assert not looked_for, "handed over while an answer is looked for"

    def _task_goes_on(self, index: int, word: str) -> None:
        tasks = self.world.service.open_tasks()
        if tasks:
            self.world.service.move(tasks[index % len(tasks)], word)

    def _meanwhile(self, name: str, process: Process) -> None:
        """One thing that others do while ``process`` waits for an answer. They wait for nobody themselves."""
        if len(self.world.stack) > 2:
            return
        if name in {"conduct", "other conductor"}:
            self._conduct(int(name != "conduct"))
        elif name == "answers":
            self.world.answers_come()
        elif name == "sweep":
            self.world.sweep()
        elif name == "bury":
            self.world.bury(process.identity.partition("/")[0])
        elif name.startswith(("a ", "half ")):
            self._time_passes_meanwhile(name)
        elif name == "task":
            self._task_goes_on(0, "RUNNING")
        elif name in {"deliver", "again"}:
            self._deliver_meanwhile(again=name == "again")
        else:
            self._decide_meanwhile(name)

    def _time_passes_meanwhile(self, name: str) -> None:
        if name != "half an hour at work":
            self.world.clock.jump(61 if name == "a minute" else 901)
            return
        for _ in range(4):
            self.world.clock.jump(450)
            self.world.sweep()
            self.world.bury("here")
            self._conduct(0)
            self.world.answers_come()
        self._conduct(0)

    def _deliver_meanwhile(self, *, again: bool) -> None:
        if again and self.world.told:
            self._deliver(self.world.told[-1], self.world.process())
        elif self.world.queue:
            self._deliver(self.world.queue.pop(0), self.world.process())

    def _decide_meanwhile(self, name: str) -> None:
        """Of the template that is at the service, or any."""
        template = (
            self._fresh().filter(state__in=[State.SUBMITTING, State.UNCONFIRMED]).first() or self._fresh().first()
        )
        verb, _, page = name.partition(" ")
        if template is not None:
            chosen = self.old.get(template.pk, template) if page else template
            self.world.run(self.world.process(), lambda: self._try(verb, chosen, 0))


class SharedLife(Life):
    """The same where another program makes templates with the same Alibaba account."""

    is_shared = True


def _tries() -> settings:
    profile = os.environ.get("HYPOTHESIS_PROFILE", "default")
    examples, steps = {"default": (12, 35), "long": (70, 40), "hunt": (200, 40)}[profile]
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=profile != "hunt",
        database=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink] if profile != "default" else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("life", "slots", "pending"), [(Life, 1, 0), (SharedLife, 2, 1)])
def test_whatever_happens_nothing_is_lost_and_nothing_paid_twice(life, slots, pending, monkeypatch, settings):
    settings.DASHSCOPE_SLOTS, settings.DASHSCOPE_PENDING = slots, pending
    settings.DASHSCOPE_QUERIES_PER_SECOND = 0
    # Each costs more than all else; it is also a step of its own.
    settings.SWEEP_SECONDS = 600.0
    people = [make_person("owner@example.com", "studio"), make_person("stranger@example.com", "elsewhere")]
    seams, alarms = Seams(monkeypatch), _Alarms()
    members = {"seams": seams, "people": people, "accounts": [account_of(one) for one in people], "alarms": alarms}
    logger = logging.getLogger("templategen")
    logger.addHandler(alarms)
    monkeypatch.setattr(logger, "propagate", False)
    try:
        with connection.execute_wrapper(seams.around_query):
            run_state_machine_as_test(type(life.__name__, (life,), members), settings=_tries())
    finally:
        logger.removeHandler(alarms)
