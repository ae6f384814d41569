"""Values of the environment that make no sense: one line that names variable, value and what is allowed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT, environment

WRONG = [
    ("QUOTA_TEMPLATES_PER_MONTH", "ten"),
    ("QUOTA_SECONDS_PER_MONTH", "-1"),
    ("QUOTA_STORAGE_BYTES", "10GB"),
    ("QUOTA_TASKS_AT_ONCE", "1.5"),
    ("INVITATION_DAYS", "x"),
    ("DASHSCOPE_SLOTS", "two"),
    ("TEMPLATEGEN_PROXIES", ""),
    ("UNFINISHED_UPLOADS", "many"),
    ("SIGN_IN_LIMIT", "5x"),
    ("SWEEP_SECONDS", "15 s"),
    ("LEASE_SECONDS", "nan"),
    ("TIME_ZONE", "Beijing"),
    ("BILLING_TIME_ZONE", "Asia"),
    ("BILLING_TIME_ZONE", "Beijing"),
    ("BILLING_TIME_ZONE", ""),
    ("BILLING_TIME_ZONE", "../../etc/passwd"),
    ("LANGUAGE_CODE", "zh"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("SIGN_UP", "yes"),
    ("TEMPLATEGEN_BEHIND_PROXY", "maybe"),
    ("TWO_STEP_FOR_STAFF", "perhaps"),
    ("PRICE_PER_SECOND", "abc"),
    ("PRICE_PER_SECOND", "NaN"),
    ("PRICE_PER_SECOND", "Infinity"),
    ("PRICE_PER_SECOND", "-1"),
    ("PRICE_PER_SECOND", "1e40"),
    ("PRICE_DATE", "x"),
    ("DASHSCOPE_BASE_URL", "foo"),
    ("TEMPLATEGEN_SITE_URL", "example.com"),
]
# In one process after the other this would take long: settings are read anew in one, with one variable after the other.
_READ = """
import os, runpy, sys
from django.core.exceptions import ImproperlyConfigured
for pair in sys.argv[1:]:
    name, _, value = pair.partition("=")
    os.environ[name] = value
    try:
        runpy.run_module("templategen.settings")
        print("accepted")
    except ImproperlyConfigured as problem:
        print(problem)
    del os.environ[name]
"""


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_value_that_cannot_be_meant_is_refused_by_its_name_with_what_is_allowed(tmp_path):
    pairs = [f"{name}={value}" for name, value in WRONG]
    told = run(tmp_path, "-c", _READ, *pairs).stdout.splitlines()
    assert len(told) == len(WRONG), told
    for (name, value), line in zip(WRONG, told, strict=True):
        assert line.startswith(f"{name} is {value!r}. What is allowed: "), line


def test_words_may_be_capitalised_and_what_is_left_empty_is_no_limit(tmp_path):
    pairs = ["SIGN_UP=Open", "LOG_LEVEL=debug", "LANGUAGE_CODE=zh-Hans", "TEMPLATEGEN_BEHIND_PROXY=Yes"]
    pairs += ["QUOTA_STORAGE_BYTES=", "PRICE_PER_SECOND=", "QUOTA_TASKS_AT_ONCE=0", "CREDENTIAL_KEYS=one"]
    assert run(tmp_path, "-c", _READ, *pairs).stdout.split() == ["accepted"] * len(pairs)


def test_keys_without_a_key_are_refused_and_not_shown(tmp_path):
    [line] = run(tmp_path, "-c", _READ, "CREDENTIAL_KEYS= , ").stdout.splitlines()
    assert line.startswith("CREDENTIAL_KEYS has no key in it.")


@pytest.mark.parametrize("command", [["manage.py", "check"], ["manage.py", "worker"]])
def test_a_command_says_it_in_one_line(tmp_path, command):
    ended = run(tmp_path, *command, DASHSCOPE_SLOTS="two")
    assert ended.returncode == 1
    assert ended.stderr.startswith("manage.py: DASHSCOPE_SLOTS is 'two'. What is allowed: a whole number.")
    assert ended.stderr.count("\n") == 1


def test_gunicorn_says_it_and_ends(tmp_path):
    web = ("-m", "gunicorn", "-c", "python:templategen.gunicorn_config", "templategen.wsgi", "--bind", "127.0.0.1:0")
    ended = run(tmp_path, *web, SIGN_UP="yes")
    assert ended.returncode != 0
    assert "SIGN_UP is 'yes'. What is allowed: one of invited, open." in ended.stderr
    # Where two of its processes end at once gunicorn itself adds a traceback of its own: none is ours.
    assert "templategen/environment.py" not in ended.stderr


def test_time_zones_need_no_files_of_the_system(tmp_path):
    ended = run(tmp_path, "manage.py", "check", PYTHONTZPATH="/nonexistent")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_was_stored_under_the_secret_key_is_read_beside_the_first_key_of_its_own(tmp_path):
    shown = "from templategen import settings; print(settings.CREDENTIAL_KEYS)"
    assert run(tmp_path, "-c", shown, SECRET_KEY="s").stdout.strip() == "['s']"
    told = run(tmp_path, "-c", shown, SECRET_KEY="s", CREDENTIAL_KEYS="new, old,").stdout.strip()
    assert told == "['new', 'old', 's']"
