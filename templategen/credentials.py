"""Whose key an account's templates are made with."""


def credential_of(account_id: int) -> int | None:
    """The credential that the account's waiting templates will use; None is the site's, the only one yet."""
    return None
