"""Clips, templates, and their history.

Rows change in ``actions/`` and ``pipeline/`` only, a state only through ``ActionTemplate.move``.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import ledger
from accounts.models import Account, Credential, User
from templategen import pipeline_models  # noqa: F401 -- Django looks for models here
from templategen.states import (
    AT_SERVICE,
    HOLDING,
    LOOKED_AT,
    SETTLED,
    WATCHED,
    Booking,
    State,
    booking_of,
    require_legal,
)


class Clip(models.Model):
    """A motion video as an object in OSS, and the facts probed from it."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="clips", verbose_name=_("account"))
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # Random, with nothing of the user's in it.
    object_key = models.CharField(_("object key"), max_length=120, unique=True)
    poster_key = models.CharField(max_length=120, blank=True)
    file_name = models.CharField(_("file name"), max_length=255)
    # Declared at the start, believed only after HEAD.
    size_bytes = models.PositiveBigIntegerField(_("size"))
    # What the browser takes from name, size, time and edges, so that the same file is known again after a reload.
    fingerprint = models.CharField(max_length=100, blank=True)
    upload_id = models.CharField(max_length=120, blank=True)
    part_size = models.PositiveIntegerField(default=0)
    etag = models.CharField(max_length=100, blank=True)
    crc64 = models.CharField(max_length=20, blank=True)
    stored_at = models.DateTimeField(_("stored"), null=True)
    # video.probe.Facts and video.limits.Finding, as their to_dict() gives them; empty before the check.
    facts = models.JSONField(default=dict)
    findings = models.JSONField(default=list)
    duration_s = models.FloatField(_("length in seconds"), null=True)
    checked_at = models.DateTimeField(_("checked"), null=True)
    passed = models.BooleanField(_("passed the check"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # Its template is gone for good; the row stays until its objects are gone too, so that none is forgotten.
    discarded_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("clip")
        verbose_name_plural = _("clips")
        indexes = [models.Index(fields=["discarded_at"], name="discarded", condition=Q(discarded_at__isnull=False))]

    def __str__(self) -> str:
        return self.file_name

    @property
    def part_count(self) -> int:
        """How many parts the upload has."""
        return -(-self.size_bytes // self.part_size) if self.part_size else 0

    def part_length(self, number: int) -> int:
        """Bytes in part ``number`` (from 1); the last is shorter."""
        return min(self.part_size, self.size_bytes - (number - 1) * self.part_size)

    @property
    def milliseconds(self) -> int:
        """Its length; 0 where it is not known."""
        return round((self.duration_s or 0) * 1000)


class TemplateQuerySet(models.QuerySet["ActionTemplate"]):
    """Named questions."""

    def of(self, account: Account) -> Self:
        """The account's own, deleted ones too."""
        return self.filter(account=account)

    def kept(self) -> Self:
        """Not deleted."""
        return self.filter(deleted_at=None)

    def at_service(self) -> Self:
        """A task may exist at Alibaba: each takes a slot of the credential."""
        return self.filter(state__in=AT_SERVICE)

    def due_for_look(self, *, now: datetime) -> Self:
        """Tasks whose next look has come, the longest waiting first."""
        return self.filter(state__in=LOOKED_AT, next_look_at__lte=now).order_by("next_look_at", "pk")


class ActionTemplate(models.Model):
    """One row from upload to template ID: the card in the gallery. A retry is a further attempt of the same row."""

    public_id = models.UUIDField(_("ID in its address"), unique=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="templates", verbose_name=_("account"))
    clip = models.ForeignKey(Clip, on_delete=models.PROTECT, related_name="templates", verbose_name=_("clip"))
    name = models.CharField(_("name"), max_length=200)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.UPLOADING)
    # Goes up with every change a card shows: a page knows by it whether its card is old.
    version = models.PositiveIntegerField(default=1)
    # Name, file name, template ID and task ID in lower case: what the search box looks through.
    search_text = models.CharField(max_length=600, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)
    deleted_at = models.DateTimeField(_("deleted"), null=True)

    # --- this attempt ---
    # Whose key the task was made with; empty: the site's. Only that key can ask for the task.
    credential = models.ForeignKey(
        Credential, null=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("credential")
    )
    # Which API key it was last sent with, the site's too (accounts.credentials.fingerprint_of); empty before, and for
    # rows of before this was kept.
    made_with_fingerprint = models.CharField(_("fingerprint of the key"), max_length=64, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    # The next time somebody has to do something about the row: check it again, hand it over, look at its task.
    next_look_at = models.DateTimeField(_("next step due"), default=timezone.now)
    # Since when it waits for its turn: first come, first served within an account.
    queued_at = models.DateTimeField(_("waiting since"), null=True)
    # Whoever holds the token did the claim; a message with another token is stale.
    claim_token = models.CharField(max_length=32, blank=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    # The process that makes the paid call (sender.py): one that is gone can send nothing any more.
    claimed_by = models.CharField(_("claimed by"), max_length=200, blank=True)
    # Times that this step was begun: what keeps killing its worker is given up after a few.
    step_tries = models.PositiveIntegerField(_("tries of this step"), default=0)
    # Set just before the paid call goes out: from then on it may have been sent.
    sent_at = models.DateTimeField(_("sent"), null=True)
    # Set when the sender itself saw its call end without an answer, or was found to be gone: nothing is sent after it.
    call_over_at = models.DateTimeField(_("call over"), null=True)
    task_id = models.CharField(_("task ID"), max_length=100, blank=True)
    submit_request_id = models.CharField(_("request ID of the submit"), max_length=100, blank=True)
    unknown_since = models.DateTimeField(_("unknown to the service since"), null=True)
    # First seen at work, last seen at all, and when it ended as far as the service says so (the retention clock).
    running_at = models.DateTimeField(_("running since"), null=True)
    looked_at = models.DateTimeField(_("last looked at"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    # Tasks of an unanswered submit's time that no row of ours owns, for a person to choose from: dicts with task_id,
    # status, made_at (ISO 8601), request_id.
    found = models.JSONField(default=list)
    # How far the search for an unanswered submit is (reconcile.py): since when the list was seen whole and without it.
    search = models.JSONField(default=dict)
    # Somebody wants it stopped while a call is under way: done as soon as it is known what there is to stop.
    cancel_wanted_at = models.DateTimeField(null=True)
    # When the sweep last told the queue about it: messages must not pile up.
    rung_at = models.DateTimeField(null=True)

    # --- what came of it ---
    # Opaque text without a published grammar (docs/alibaba.md 8): room for far more than was ever seen.
    template_id = models.CharField(_("template ID"), max_length=1000, blank=True)
    video_duration = models.FloatField(_("billed seconds"), null=True)
    video_ratio = models.CharField(_("video ratio"), max_length=50, blank=True)
    request_id = models.CharField(_("request ID"), max_length=100, blank=True)
    ready_at = models.DateTimeField(_("ready"), null=True)
    # Why the state is what it is, where something went wrong: our code or DashScope's, and its own words.
    error_code = models.CharField(_("code"), max_length=100, blank=True)
    error_message = models.TextField(blank=True)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [
            models.CheckConstraint(name="state_is_known", condition=Q(state__in=State.values)),
            models.CheckConstraint(name="ready_has_template_id", condition=~Q(state=State.READY) | ~Q(template_id="")),
            models.CheckConstraint(
                name="open_task_has_task_id", condition=~Q(state__in=sorted(WATCHED)) | ~Q(task_id="")
            ),
            models.CheckConstraint(
                name="submitting_has_token", condition=~Q(state=State.SUBMITTING) | ~Q(claim_token="")
            ),
            models.UniqueConstraint(fields=["task_id"], name="task_once", condition=~Q(task_id="")),
        ]
        indexes = [
            # The gallery (listing.py): newest first within an account, one state of it, words in it, the trash. Each
            # holds all that its query reads, so that no row is touched before the page's ids are known; deleted_at
            # too, since SQLite would look into the row for it although the condition says it.
            models.Index(
                fields=["account", "-created_at", "-id", "state", "deleted_at"],
                name="gallery",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                fields=["account", "state", "-created_at", "-id", "deleted_at"],
                name="gallery_by_state",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                fields=["account", "-created_at", "-id", "state", "deleted_at", "search_text"],
                name="gallery_search",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                fields=["account", "-deleted_at", "-id"], name="gallery_trash", condition=Q(deleted_at__isnull=False)
            ),
            # With the account, or SQLite prefers the index of the account alone.
            models.Index(fields=["template_id", "account"], name="by_template_id", condition=~Q(template_id="")),
            # What the conductor and the sweep ask for: few rows among many settled ones. Whole, for SQLite does not see
            # that a list of states lies within an index's condition, and would read every row.
            models.Index(fields=["state", "next_look_at"], name="by_next_look"),
            models.Index(fields=["deleted_at"], name="trash", condition=Q(deleted_at__isnull=False)),
            # What those who watch over the site ask for: how many there are in a state and since when, rows by the
            # request IDs that Alibaba's support asks for and gives.
            models.Index(fields=["state", "changed_at", "deleted_at"], name="by_state"),
            models.Index(fields=["submit_request_id"], name="by_submit_request", condition=~Q(submit_request_id="")),
            models.Index(fields=["request_id"], name="by_request", condition=~Q(request_id="")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_settled(self) -> bool:
        """Nothing happens to it by itself any more."""
        return State(self.state) in SETTLED

    @property
    def last_known(self) -> datetime | None:
        """When the service still knew its task, as far as we saw: results are kept from an end that came later."""
        return max(filter(None, (self.sent_at, self.looked_at, self.ended_at)), default=None)

    def _gives_up_its_task(self, start: State, values: dict[str, Any]) -> bool:
        """Whether the row forgets a task whose result may still come."""
        open_end = start in LOOKED_AT or self.error_code == "no_template_id"
        return open_end and self.task_id not in {"", values.get("task_id", self.task_id)}

    def words_to_search(self) -> str:
        """What ``search_text`` must hold for the row as it is."""
        return " ".join(filter(None, [self.name, self.clip.file_name, self.template_id, self.task_id])).lower()[:600]

    def index_words(self) -> None:
        """Write ``search_text`` anew from the row as it is: within the transaction that changed one of its words."""
        fresh = ActionTemplate.objects.select_related("clip").get(pk=self.pk)
        ActionTemplate.objects.filter(pk=self.pk).update(search_text=fresh.words_to_search())

    def move(
        self,
        to: State,
        *,
        by: User | None = None,
        guard: dict[str, Any] | None = None,
        detail: dict[str, Any] | None = None,
        **values: Any,
    ) -> bool:
        """Compare-and-set: the move happens only if the row still has this object's state (and ``guard``'s values).

        Writes ``values``, the new state, an Event and what the move books of the account's quota in one transaction;
        afterwards this object has them too. Returns False when another process was first (nothing is written then).
        Raises IllegalMoveError for a move that the table does not have, ledger.OverLimitError (nothing is written).
        """
        start = State(self.state)
        require_legal(start, to)
        now = timezone.now()
        written = {"state": to, "changed_at": now, **values}
        with transaction.atomic():
            same = ActionTemplate.objects.filter(pk=self.pk, state=start, **(guard or {}))
            if not same.update(version=F("version") + 1, **written):
                return False
            if {"task_id", "template_id"} & values.keys():
                self.index_words()
            if self._gives_up_its_task(start, values):
                FormerTask.objects.keep(
                    self, self.task_id, attempt=self.attempt, known_at=self.last_known or self.changed_at, now=now
                )
            Event.objects.create(
                template=self,
                kind=Event.Kind.MOVED,
                start=start,
                to=to,
                attempt=values.get("attempt", self.attempt),
                task_id=values.get("task_id", self.task_id),
                by=by,
                detail=detail or {},
                at=now,
            )
            self._book(start, to, values, by)
        for name, value in written.items():
            setattr(self, name, value)
        self.version += 1
        return True

    def _book(self, start: State, to: State, values: dict[str, Any], by: User | None) -> None:
        """What states.booking_of says, for the attempt that the move ends or begins."""
        booking, attempt = booking_of(start, to), values.get("attempt", self.attempt)
        reference = ledger.template_reference(self.public_id, attempt)
        if start in HOLDING and attempt != self.attempt:
            # Sent again by a person's decision: the attempt before is given up, whatever became of it.
            ledger.release(self.account_id, ledger.template_reference(self.public_id, self.attempt), outcome="given_up")
            booking = Booking.HOLD
        if booking == Booking.HOLD:
            who = by or self.clip.uploaded_by
            ledger.hold(self.account_id, reference, milliseconds=self.clip.milliseconds, by=who)
        elif booking == Booking.SETTLE and FormerTask.objects.is_booked(values.get("task_id", self.task_id)):
            ledger.release(self.account_id, reference, outcome="given_up")
        elif booking == Booking.SETTLE:
            # As long as the clip, where the service did not say what it billed.
            billed = values.get("video_duration")
            length = round(billed * 1000) if billed is not None else self.clip.milliseconds
            ledger.settle(self.account_id, reference, milliseconds=length)
        elif booking == Booking.RELEASE:
            ledger.release(self.account_id, reference, outcome=to)
        elif booking == Booking.SETTLE_BYTES:
            # Finishing has held them against HEAD.
            size = self.clip.size_bytes
            ledger.settle_bytes(self.account_id, ledger.clip_reference(self.clip.object_key), size=size)
        elif booking == Booking.RELEASE_BYTES:
            ledger.release_bytes(self.account_id, ledger.clip_reference(self.clip.object_key))


class Event(models.Model):
    """What happened to a template, and who did it. Append-only."""

    class Kind(models.TextChoices):
        """What sort of thing happened."""

        STARTED = "started", _("Upload started")
        MOVED = "moved", _("State changed")
        RENAMED = "renamed", _("Renamed")
        DELETED = "deleted", _("Deleted")
        RESTORED = "restored", _("Restored")
        TASK_FOUND = "task", _("Task found")
        CANCEL_WANTED = "cancel", _("Cancel asked for")
        LOOK_WANTED = "look", _("Look asked for")

    template = models.ForeignKey(
        ActionTemplate, on_delete=models.CASCADE, related_name="events", verbose_name=_("template")
    )
    kind = models.CharField(_("what"), max_length=10, choices=Kind)
    start = models.CharField(_("from"), max_length=12, blank=True)
    to = models.CharField(_("to"), max_length=12, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    # The task as of then: a retry clears the row's own, and a task must never be taken for nobody's.
    task_id = models.CharField(_("task ID"), max_length=100, blank=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("by whom"))
    # Ids and codes: request_id, template_id, code, message, old and new name.
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["task_id"], name="event_by_task", condition=~Q(task_id=""))]

    def __str__(self) -> str:
        said = self.get_kind_display()
        to = dict(State.choices).get(self.to)
        return f"{said} → {to}" if to else said


class FormerTaskQuerySet(models.QuerySet["FormerTask"]):
    """Named questions, and the one way in."""

    def keep(
        self, template: ActionTemplate, task_id: str, *, attempt: int, known_at: datetime, now: datetime
    ) -> FormerTask:
        """Have the task looked at although no row has it any more: in the transaction in which its row gives it up.

        ``known_at``: when the service knew it last.
        """
        values = {
            "origin": template,
            "attempt": attempt,
            "credential_id": template.credential_id,
            "next_look_at": now,
            "until": min(known_at, now) + FormerTask.KEPT,
        }
        return self.get_or_create(task_id=task_id, defaults=values)[0]

    def is_booked(self, task_id: str) -> bool:
        """Whether the task's result came while no row had it: then its attempt was settled (pipeline/former.py)."""
        return self.filter(task_id=task_id).exclude(template_id="").exists()

    def open(self, *, now: datetime) -> Self:
        """Those whose result may still come."""
        return self.filter(ended_at=None, until__gt=now)

    def due(self, *, now: datetime) -> Self:
        """Open ones whose next look has come; one that is further off than any was put off by a wrong clock."""
        is_due = Q(next_look_at__lte=now) | Q(next_look_at__gt=now + 2 * FormerTask.LOOK)
        return self.open(now=now).filter(is_due).order_by("next_look_at", "pk")


class FormerTask(models.Model):
    """A task that a template had, or that was made for it unseen: what became of it is looked for all the same.

    It is paid for, and its template ID exists nowhere else.
    """

    # The service keeps results about 24 hours (docs/alibaba.md 3.1). Between two looks; a result is there for a day.
    KEPT, LOOK = timedelta(hours=25), timedelta(minutes=15)

    # Not "template": its template_id would be another thing than the template ID.
    origin = models.ForeignKey(ActionTemplate, on_delete=models.CASCADE, related_name="former_tasks")
    attempt = models.PositiveIntegerField(_("attempt"))
    task_id = models.CharField(_("task ID"), max_length=100, unique=True)
    credential = models.ForeignKey(Credential, null=True, on_delete=models.PROTECT, related_name="+")
    next_look_at = models.DateTimeField(_("next step due"))
    # After that the service has nothing more to tell, unless it is seen at work meanwhile.
    until = models.DateTimeField(_("looked at until"))
    # As the service last said it; empty before the first look.
    status = models.CharField(_("status"), max_length=100, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    template_id = models.CharField(_("template ID"), max_length=1000, blank=True)
    video_duration = models.FloatField(_("billed seconds"), null=True)
    video_ratio = models.CharField(_("video ratio"), max_length=50, blank=True)
    request_id = models.CharField(_("request ID"), max_length=100, blank=True)

    objects = FormerTaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task of an earlier attempt")
        verbose_name_plural = _("tasks of earlier attempts")
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["until"], name="former_open", condition=Q(ended_at=None)),
            models.Index(fields=["template_id"], name="former_by_id", condition=~Q(template_id="")),
        ]

    def __str__(self) -> str:
        return self.task_id

    @property
    def mark(self) -> str:
        """Tells it from others of the same template on a page."""
        return str(self.pk)
