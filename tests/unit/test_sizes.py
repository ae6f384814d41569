"""Sizes are rounded, written alike everywhere, and add up."""

import pytest

from accounts.sizes import left_in_words, size_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (754_578, "755 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_999_999, "2.0 MB"),
        (199_960_000, "200.0 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (1_250_000_000, "1.3 GB"),
    ],
)
def test_a_size_is_rounded_in_the_unit_that_fits(size, words):
    assert size_in_words(size) == words


@pytest.mark.parametrize(
    ("limit", "taken", "left"),
    [
        (10_000_000, (9_640_000,), "400 kB"),
        (10_000_000, (9_660_000,), "300 kB"),
        (50_000_000, (1_250_000, 8_330_000), "40.4 MB"),
        (2_000_000_000, (274_300_000,), "1.7 GB"),
        (10_000_000, (10_400_000,), "0 kB"),
    ],
)
def test_used_held_and_left_add_up_to_the_limit_as_they_are_shown(limit, taken, left):
    assert left_in_words(limit, *taken) == left
