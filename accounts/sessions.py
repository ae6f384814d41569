"""Sessions that know whose they are: the store behind SESSION_ENGINE, and the list of signed-in browsers.

When a session was last used stands in its row, written once in some minutes and never together with the session's own
data: two requests at the same time would overwrite what the other one has just put there.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.door_models import BrowserSession
from accounts.models import User

SEEN_EVERY = timedelta(minutes=5)
# Of somebody who comes from two addresses by turns (IPv4 and IPv6, say).
MOVED_EVERY = timedelta(minutes=1)


class SessionStore(DatabaseStore):
    """Django's own, with the columns of BrowserSession. ``visitor``: address and browser of this request."""

    row: BrowserSession | None = None
    visitor: tuple[str, str] = ("", "")

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        """Where sessions lie."""
        return BrowserSession

    def _validate_session_key(self, key: str | None) -> bool:
        """Only what Django's keys are made of: a cookie can name any other, even one that PostgreSQL refuses."""
        return bool(super()._validate_session_key(key)) and str(key).isascii() and str(key).isalnum()  # type: ignore[misc]  # not in the stubs

    def _get_session_from_db(self) -> Any:
        self.row = cast("BrowserSession | None", super()._get_session_from_db())  # type: ignore[misc]  # not in the stubs
        return self.row

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row with the data, and with what is known of user and visitor."""
        new = cast("BrowserSession", super().create_model_instance(data))
        user = data.get(SESSION_KEY)
        new.user_id = int(user) if user else None
        if self.row is not None and self.row.user_id == new.user_id:
            new.created_at = self.row.created_at
            new.address, new.user_agent = self.row.address, self.row.user_agent
        if any(self.visitor):
            new.address, new.user_agent = self.visitor
        return new

    def note_visit(self) -> None:
        """Write down when and from where it was used, where that is worth a write."""
        row = self.row
        if row is None or row.user_id is None or row.session_key != self.session_key:
            return
        now = timezone.now()
        is_where_it_was = (row.address, row.user_agent) == self.visitor
        if now - row.seen_at < (SEEN_EVERY if is_where_it_was else MOVED_EVERY):
            return
        address, agent = self.visitor
        BrowserSession.objects.filter(pk=row.pk).update(seen_at=now, address=address, user_agent=agent)


@dataclass(frozen=True)
class SignedIn:
    """A browser that is signed in. ``id`` names it in forms: a hash, for the key itself is what opens the door."""

    id: str
    address: str
    user_agent: str
    created_at: datetime
    seen_at: datetime
    is_this: bool


def of(user: User, *, this: str | None) -> list[SignedIn]:
    """Where the user is signed in now, the latest first. ``this``: the session key of who asks."""
    return [
        SignedIn(
            id=_id(row.session_key),
            address=row.address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            seen_at=row.seen_at,
            is_this=row.session_key == this,
        )
        for row in _living(user)
    ]


def end(user: User, *, session: str) -> bool:
    """Sign one of the user's browsers out; whether it was signed in."""
    keys = [row.session_key for row in _living(user) if constant_time_compare(_id(row.session_key), session)]
    return bool(BrowserSession.objects.filter(pk__in=keys).delete()[0])


def end_all(user: User, *, but: str | None = None) -> int:
    """Sign the user out everywhere, except in the session with the key ``but``; in how many browsers they were."""
    living = sum(row.session_key != but for row in _living(user))
    BrowserSession.objects.filter(user=user).exclude(pk=but or "").delete()
    return living


def _living(user: User) -> list[BrowserSession]:
    """Without those that the user's password has outlived: Django takes them for signed out when they come."""
    rows = BrowserSession.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-seen_at", "pk")
    proof = user.get_session_auth_hash()
    return [row for row in rows if constant_time_compare(str(row.get_decoded().get(HASH_SESSION_KEY, "")), proof)]


def _id(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()[:32]
