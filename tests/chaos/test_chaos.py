"""A small part of the chaos runs; the whole is ``python -m tests.chaos`` and ``python -m tests.chaos.every_point``."""

import os
from pathlib import Path

import pytest

from tests.chaos import every_point
from tests.chaos.place import prepared
from tests.chaos.seed import run_seed

pytestmark = pytest.mark.timeout(600)
SEED = int(os.environ.get("CHAOS_SEED", "1"))
# Every so manieth crash position; the seed says with which to begin.
EVERY = 12


def test_clips_get_through_a_site_that_is_killed_at_random(tmp_path: Path) -> None:
    with prepared(tmp_path, database="sqlite", broker="orm") as base:
        outcome = run_seed(base, tmp_path / "seed", SEED, clips=6, workers=1, mischief_seconds=4)
    print(outcome.told())
    assert outcome.good, (
        f"{outcome.told()}\nrepeat: CHAOS_SEED={SEED} python -m pytest {__file__}\nlogs: {outcome.folder}"
    )


@pytest.mark.parametrize("act", ["kill", "stop"])
def test_a_process_that_dies_or_freezes_at_any_point_costs_nothing(tmp_path: Path, act: str) -> None:
    outcomes = every_point.try_all(tmp_path, act=act, database="sqlite", lanes=4, every=EVERY, offset=SEED % EVERY)
    text, good = every_point.told(outcomes)
    print(text)
    assert good, text
