"""People for tests: each a member of an account of their own; and what two of them see, to be compared."""

import re

from accounts.models import Account, Membership, Role, User

PASSWORD = "a-long-enough-phrase"


def make_person(
    email: str = "owner@example.com",
    account: str = "studio",
    *,
    password: str | None = PASSWORD,
    role: Role = Role.OWNER,
) -> User:
    """A user who is a member of the account with that short name, made if absent; its owner unless told."""
    person = User.objects.create_user(email=email, password=password)
    home, _made = Account.objects.get_or_create(slug=account, defaults={"name": account.replace("-", " ").title()})
    Membership.objects.create(user=person, account=home, role=role)
    return person


def account_of(person: User) -> Account:
    """The account a person was made with."""
    first = person.accounts.order_by("pk").first()
    assert first is not None
    return first


def without_token(page: bytes) -> bytes:
    """A page without what is drawn anew for each form, so that two can be compared."""
    return re.sub(rb'(name="csrfmiddlewaretoken" value=)"\w+"', rb"\1", page)
