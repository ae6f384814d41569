"""When an open task is looked at again: soon after its expected end, seldom while it stands in Alibaba's line."""

import random
from datetime import datetime, timedelta

from templategen import estimates
from templategen.clients.dashscope import PENDING_WORD
from templategen.models import ActionTemplate

# A look by itself is never put off for longer, unless ``least`` says so: results are kept for about 24 hours.
LONGEST = timedelta(seconds=60)
# After a look that gave no answer.
AFTER_TROUBLE = timedelta(seconds=5)
_SHORTEST, _LONGEST_AT_WORK, _LONGEST_IN_LINE = timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=30)
# The first look past the expected end, and how close together those after it may be.
_MARGIN, _CLOSEST = timedelta(seconds=0.05), timedelta(seconds=0.25)
# Waits from here on are spread, so that tasks of one moment are not looked at in one moment for ever.
_SPREAD_FROM = timedelta(seconds=4)


def wait(template: ActionTemplate, word: str, *, now: datetime, least: timedelta = timedelta()) -> timedelta:
    """Until the next look at the template's task, whose status is ``word``.

    An eighth of its age by itself; at its expected end, where this site's medians tell of one. ``least`` is what so
    many open tasks leave for each.
    """
    began = template.running_at or template.sent_at or template.changed_at
    age = max(now - began, timedelta())
    in_line = word == PENDING_WORD
    longest = _LONGEST_IN_LINE if in_line else _LONGEST_AT_WORK
    chosen = min(max(age / 8, _SHORTEST), longest)
    run = estimates.run_time()
    if run is not None and age < run:
        chosen = min(chosen, run - age + _MARGIN)
    elif run is not None and not in_line:
        # It may end at any moment now.
        chosen = min(chosen, max((age - run) / 4, run / 32, _CLOSEST))
    return spread(max(min(chosen, LONGEST), least))


def spread(length: timedelta) -> timedelta:
    """The wait with some chance in it, where it is long enough for that."""
    return length if length < _SPREAD_FROM else length * random.uniform(0.85, 1.0)  # noqa: S311
