"""The doctor's frame: steps in order, each a line; what a failed step would only repeat is left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from templategen.clients.dashscope import DashScopeError
from templategen.clients.storage import StorageError
from templategen.management.mending import dashscope_mend, dashscope_words, storage_mend, storage_words

Verdict = Literal["ok", "warn", "FAIL", "skip"]


class ProblemError(Exception):
    """A step found something wrong: what, and how to mend it. ``grave=False`` is only a warning."""

    def __init__(self, what: str, mend: str, *, grave: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.grave = grave


@dataclass(frozen=True)
class Step:
    """One thing to prove. ``run`` returns what it saw, or raises ProblemError, StorageError or DashScopeError.

    ``permission``: the RAM action that it needs. ``gate``: when it fails the rest of its group would fail alike.
    """

    name: str
    run: Callable[[], str]
    permission: str = ""
    gate: bool = False


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    verdict: Verdict
    name: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<4} {self.name}" + (f" – {self.text}" if self.text else "")


def examine(group: list[Step]) -> Iterator[Result]:
    """Run a group's steps one after the other."""
    for number, step in enumerate(group):
        result, shut = _result(step)
        yield result
        if shut:
            for rest in group[number + 1 :]:
                yield Result("skip", rest.name, _("mend the above first"))
            return


def _result(step: Step) -> tuple[Result, bool]:
    """The step's line, and whether the steps behind it make no sense any more."""
    try:
        return Result("ok", step.name, step.run()), False
    except ProblemError as problem:
        verdict: Verdict = "FAIL" if problem.grave else "warn"
        return Result(verdict, step.name, f"{problem.what} – {problem.mend}"), step.gate and problem.grave
    except StorageError as problem:
        mend = storage_mend(problem, permission=step.permission)
        # A missing permission for one call says nothing of the others.
        only_here = problem.code == "AccessDenied" and "endpoint" not in problem.message
        return Result("FAIL", step.name, f"{storage_words(problem)} – {mend}"), step.gate and not only_here
    except DashScopeError as problem:
        return Result("FAIL", step.name, f"{dashscope_words(problem)} – {dashscope_mend(problem)}"), step.gate
