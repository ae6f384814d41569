"""A template's way: check → submit → record. Each step is claim (committed), call (no transaction), record.

A step may be begun twice (the queue delivers at least once) or die in the middle: the claim decides who goes on, and
the conductor's sweep finds rows whose claim ran out. The paid call goes out at most once for each claim.
"""

from templategen.pipeline.check import CHECK_TRIES, check
from templategen.pipeline.record import look, look_later, record
from templategen.pipeline.submit import adopt, claim_submit, launch, mark_unconfirmed, note_task

__all__ = [
    "CHECK_TRIES",
    "adopt",
    "check",
    "claim_submit",
    "launch",
    "look",
    "look_later",
    "mark_unconfirmed",
    "note_task",
    "record",
]
