"""The administrator's pages for people, accounts and what they may use.

Rows are changed by the one writer that each has (``administration.py``, ``members.py``, ``tokens.py``, ``ledger.py``).
Every change stands with its reason in the admin's own log and, where it concerns an account, in the account's history.
Records (ledger, counters, histories) are to look at, for everybody. No key and no token is shown, not even as a hash.
"""

from accounts.admin import accounts, doors, records, two_step, users

__all__ = ["accounts", "doors", "records", "two_step", "users"]
