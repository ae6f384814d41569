"""Calls per second and account."""

import pytest

from templategen.sandbox.dashscope import rates


def test_a_sliding_second_admits_so_many_calls_of_a_kind_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rates.time, "monotonic", lambda: now)
    limits = rates.Rates()
    assert [limits.admit("a", "get", 2) for _ in range(3)] == [True, True, False]
    assert limits.admit("b", "get", 2)
    assert limits.admit("a", "list", 2)
    now = 100.9
    assert not limits.admit("a", "get", 2)
    now = 101.0
    assert [limits.admit("a", "get", 2) for _ in range(3)] == [True, True, False]
    assert all(limits.admit("a", "get", None) for _ in range(100))
