"""What django-q2 runs says in the log which template it is about."""

import json
import logging
from collections.abc import Iterator

import pytest

from accounts.models import User
from templategen import jobs, pipeline
from templategen.logs import JsonFormatter
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """What the product logs, as it would be written."""
    found: list[dict[str, object]] = []

    class Taking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(self.format(record)))

    handler = Taking()
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("templategen")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_jobs_lines_say_which_template_they_are_about(owner: User, lines: list[dict[str, object]]) -> None:
    template = make_template(account_of(owner), State.QUEUED)
    jobs.launch(template_pk=template.pk, token="stale")
    assert lines[0]["job"] == "launch"
    assert lines[0]["template"] == str(template.public_id)


def test_a_job_that_fails_says_for_which_template_without_a_signed_url(
    owner: User, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = make_template(account_of(owner), State.CHECKING)

    def explode(*, template_pk: int) -> None:
        raise OSError("http://b.example/k?OSSAccessKeyId=LTAIabcdef&Signature=abcdef0123456789")

    monkeypatch.setattr(pipeline, "check", explode)
    with pytest.raises(OSError, match="Signature"):
        jobs.check(template_pk=template.pk)
    (line,) = lines
    assert line["message"] == "job failed"
    assert line["template"] == str(template.public_id)
    assert "OSError" in str(line["exception"])
    assert "abcdef0123456789" not in json.dumps(line)


def test_a_job_for_a_row_that_is_gone_is_no_failure(db: None) -> None:
    jobs.launch(template_pk=1, token="x")
