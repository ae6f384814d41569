"""An account's own Alibaba API key: kept as ciphertext, never shown again, replaced rather than changed.

The only writer of Credential. Ciphertext is Fernet's (AES-128-CBC and HMAC-SHA256) under the newest of
CREDENTIAL_KEYS; older keys only read, until ``rotate`` has written everything anew.
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import history
from accounts.models import Account, AccountEvent, Credential, User


class UnreadableError(Exception):
    """None of CREDENTIAL_KEYS opens the ciphertext: they were changed without rotation, or lost."""


def in_use(account_id: int) -> Credential | None:
    """The account's own credential; None: the site's is used."""
    return Credential.objects.filter(account=account_id, retired_at=None).first()


def secret_of(credential: Credential) -> str:
    """The API key itself, for a client to be built with. Raises UnreadableError."""
    try:
        return _fernet().decrypt(bytes(credential.secret_ciphertext)).decode()
    except InvalidToken as problem:
        raise UnreadableError(credential.pk) from problem


def sealed(text: str) -> str:
    """Any other secret text for a short stay in the database, where nobody is to read it."""
    return _fernet().encrypt(text.encode()).decode()


def unsealed(text: str, *, seconds: int) -> str:
    """What was sealed; empty for what is not, or longer ago than ``seconds``."""
    try:
        return _fernet().decrypt(text.encode(), ttl=seconds).decode()
    except InvalidToken:
        return ""


def is_readable(credential: Credential) -> bool:
    """Whether one of CREDENTIAL_KEYS opens it."""
    try:
        secret_of(credential)
    except UnreadableError:
        return False
    return True


def fingerprint_of(secret: str) -> str:
    """A keyed hash that tells whether two API keys are the same. The site's secret key is in it."""
    return salted_hmac("accounts.credentials.fingerprint", secret, algorithm="sha256").hexdigest()


def is_same_key(credential: Credential, secret: str) -> bool:
    """Whether it is this very API key."""
    return hmac.compare_digest(credential.fingerprint, fingerprint_of(secret))


def replace(
    account: Account, *, secret: str, workspace: str, base_url: str, alibaba_uid: str, by: User | None
) -> Credential:
    """Use this API key from now on. The one before is retired: its open tasks are still watched with it."""
    with transaction.atomic():
        _lock(account)
        _retire(account)
        fresh = Credential.objects.create(
            account=account,
            secret_ciphertext=_fernet().encrypt(secret.encode()),
            hint=secret[-4:],
            fingerprint=fingerprint_of(secret),
            workspace=workspace,
            base_url=base_url,
            alibaba_uid=alibaba_uid,
            check_result=Credential.Check.GOOD,
            checked_at=timezone.now(),
            created_by=by,
        )
        history.note(account, AccountEvent.Kind.CREDENTIAL_REPLACED, by=by, about=str(fresh))
    return fresh


def retire(account: Account, *, by: User | None) -> bool:
    """Use the site's credential from now on; whether there was an own one."""
    with transaction.atomic():
        _lock(account)
        last = _retire(account)
        if last is not None:
            history.note(account, AccountEvent.Kind.CREDENTIAL_REMOVED, by=by, about=str(last))
    return last is not None


def _lock(account: Account) -> None:
    """Two owners who press at once come one after the other."""
    Account.objects.select_for_update().get(pk=account.pk)


def _retire(account: Account) -> Credential | None:
    last = in_use(account.pk)
    if last is not None:
        Credential.objects.filter(pk=last.pk).update(retired_at=timezone.now())
    return last


def note_check(credential: Credential, *, good: bool, code: str = "", alibaba_uid: str = "") -> None:
    """Remember what DashScope said of it just now."""
    result = Credential.Check.GOOD if good else Credential.Check.REFUSED
    Credential.objects.filter(pk=credential.pk).update(
        check_result=result,
        check_code=code,
        checked_at=timezone.now(),
        alibaba_uid=alibaba_uid or credential.alibaba_uid,
    )


def note_owner(fingerprint: str, alibaba_uid: str) -> None:
    """Remember whose key it is, on every credential with that key."""
    Credential.objects.filter(fingerprint=fingerprint).exclude(alibaba_uid=alibaba_uid).update(alibaba_uid=alibaba_uid)


def rotate() -> int:
    """Write every ciphertext anew under the newest key; how many. Raises UnreadableError and changes nothing then."""
    fernet = _fernet()
    with transaction.atomic():
        rows = list(Credential.objects.select_for_update())
        for row in rows:
            try:
                fresh = fernet.rotate(bytes(row.secret_ciphertext))
            except InvalidToken as problem:
                raise UnreadableError(row.pk) from problem
            Credential.objects.filter(pk=row.pk).update(secret_ciphertext=fresh)
    return len(rows)


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(_as_fernet_key(key)) for key in settings.CREDENTIAL_KEYS])


def _as_fernet_key(text: str) -> bytes:
    """Any secret text as a Fernet key: 32 bytes of its hash, so that keys need no special form."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
