"""Tokens: evenly spaced, never more than so many in a second, fewer after a refusal."""

import threading

from templategen.rates import Rate


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def times_of(rate: Rate, clock: Clock, count: int) -> list[float]:
    """When each of the next ``count`` tokens may be used."""
    return [clock.now + rate.reserve() for _ in range(count)]


def most_in_a_second(times: list[float]) -> int:
    return max(sum(start <= other < start + 1 - 1e-9 for other in times) for start in times)


def test_no_second_sees_more_than_the_rate():
    clock = Clock()
    times = times_of(Rate(18, clock=clock), clock, 100)
    assert most_in_a_second(times) == 18
    assert times[0] == clock.now


def test_a_pause_is_not_saved_up():
    clock = Clock()
    rate = Rate(10, clock=clock)
    rate.reserve()
    clock.now += 60
    assert most_in_a_second(times_of(rate, clock, 50)) == 10


def test_without_a_limit_nobody_waits():
    rate = Rate(0, clock=Clock())
    assert {rate.reserve() for _ in range(1000)} == {0.0}


def test_after_a_refusal_the_rate_is_halved_and_grows_back():
    clock = Clock()
    rate = Rate(16, clock=clock)
    rate.slow_down()
    assert rate.now_per_second == 8
    rate.slow_down()
    assert rate.now_per_second == 4
    clock.now += 61
    assert rate.now_per_second == 8
    clock.now += 60
    assert rate.now_per_second == 16


def test_refusals_without_end_leave_a_little():
    rate = Rate(16, clock=Clock())
    for _ in range(100):
        rate.slow_down()
    assert rate.now_per_second == 1


def test_threads_share_the_tokens():
    clock = Clock()
    rate, waits = Rate(100, clock=clock), []
    threads = [threading.Thread(target=lambda: waits.extend(rate.reserve() for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(round(wait, 6) for wait in waits) == [round(index / 100, 6) for index in range(200)]
