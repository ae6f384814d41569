"""Guards that scan the whole project."""

import ast
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils.module_loading import import_string

from templategen import error_texts, jobs, policy
from templategen.states import State

ROOT = Path(__file__).resolve().parent.parent.parent
_WRITES = {"save", "create", "update", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "delete"}
# Files that may change rows: the writers themselves, and what writes no row of ours.
_WRITERS = {
    "templategen/actions/upload.py",
    "templategen/actions/decide.py",
    "templategen/actions/cancel.py",
    "templategen/actions/undecided.py",
    "templategen/pipeline/check.py",
    "templategen/pipeline/submit.py",
    "templategen/pipeline/record.py",
    "templategen/credential_status.py",
    "templategen/credentials.py",
    "templategen/restored.py",
    "templategen/conductor.py",
    "templategen/tally.py",
    "templategen/clock_trouble.py",
    "templategen/pipeline/former.py",
    "templategen/reconcile.py",
    "templategen/housekeeping.py",
    "templategen/sweep.py",
    "templategen/models.py",
    "templategen/lease.py",
    "templategen/turns.py",
    "templategen/jobs.py",
    "accounts/models.py",
    "accounts/first.py",
    "accounts/links.py",
    *(
        f"accounts/{name}.py"
        for name in (
            "access",
            "administration",
            "admin/accounts",
            "admin/base",
            "admin/reasons",
            "credentials",
            "history",
            "jobs",
            "ledger",
            "limits",
            "members",
            "sessions",
            "thresholds",
            "tokens",
            "two_step",
            "usage",
        )
    ),
}


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/migrations/" not in name and "/sandbox/" not in name:
                yield name, path


def row_writes(path):
    """Calls that look like a change of rows: Model.objects.….update(…), row.save(…)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
            text = ast.unparse(node.func)
            if ".objects" in text or node.func.attr in {"save", "bulk_create", "bulk_update"}:
                yield node.lineno, text


def test_rows_have_few_writers():
    found = [
        f"{name}:{line} {text}"
        for name, path in sources("templategen", "accounts")
        if name not in _WRITERS
        for line, text in row_writes(path)
        # A password form of Django's saves its own user.
        if not (name.startswith("accounts/") and text in {"form.save", "super().save"})
    ]
    assert found == []


@pytest.mark.django_db
def test_no_migration_is_pending():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_migrations_are_named():
    assert [name for name in map(str, ROOT.glob("*/migrations/0*.py")) if "_auto_" in name] == []


def test_every_job_that_is_rung_for_exists():
    rung = set()
    for _name, path in sources("templategen"):
        rung |= set(re.findall(r"\bring\(\s*\"(\w+)\"", path.read_text()))
    assert rung >= {"check", "launch", "cancel"}
    for job in rung:
        assert import_string(f"templategen.jobs.{job}") is getattr(jobs, job)


def test_every_documented_code_of_the_api_page_has_words():
    documented = {
        "InvalidParameter", "InvalidURL.ConnectionRefused", "InvalidURL.Timeout", "InvalidFile.Size",
        "InvalidFile.Resolution", "InvalidFile.Duration", "InvalidFile.AspectRatio", "InvalidFile.Openerror",
        "InvalidFile.Content", "InvalidFile.FullBody",
    }  # fmt: skip
    assert documented <= error_texts.known_codes()


def test_every_code_that_the_product_sets_has_words():
    found = set()
    for _name, path in sources("templategen"):
        found |= set(re.findall(r"(?:error_code|_block\([^)]*code|code)=\"([a-z_.]+)\"", path.read_text()))
    ours = {
        code for code in found if code in {"limits", "lost", "unconfirmed"} or code.split(".")[0] in {"check", "clip"}
    }
    assert ours
    assert ours <= error_texts.known_codes()


def test_every_code_of_the_policy_has_words():
    assert policy.known_codes() <= error_texts.known_codes()


def test_every_state_has_a_label_and_stands_in_the_documentation():
    page = (ROOT / "docs" / "states.md").read_text()
    for state in State:
        assert str(state.label)
        assert f"| {state.name} | {state.label} |" in page


def test_every_setting_is_documented():
    read = re.findall(r'(?:env(?:\.\w+)?|_secret)\(\s*"([A-Z_]+)"', (ROOT / "templategen/settings.py").read_text())
    texts = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert len(read) > 60
    assert [name for name in read if not re.search(rf"`{name}`", texts)] == []


def test_nothing_names_a_registry_or_a_path_of_a_machine():
    bad = re.compile(r"/(?:work|root|opt)/(?:main|venv|shared|pypi|wheels)|(?:^|\s)(?:index-url|find-links)")
    names = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
    names += [path for _name, path in sources("templategen", "accounts", "tests")]
    assert [str(path) for path in names if path != Path(__file__) and bad.search(path.read_text())] == []


def test_every_secret_setting_may_come_from_a_file():
    """Read by _secret, which also takes NAME_FILE: nothing that sounds like one is read in another way."""
    text = (ROOT / "templategen" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\"([A-Z_]+)\"", text))
    addresses = {"TEMPLATEGEN_SITE_URL", "TEMPLATEGEN_SANDBOX_URL", "DASHSCOPE_BASE_URL"}
    secret = re.compile(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL|(?<!_SECONDS)_URL$")
    assert {name for name in read if secret.search(name) and not name.startswith("LIMIT_")} == addresses
    assert set(re.findall(r"_secret\(\"([A-Z_]+)\"", text)) >= {
        "SECRET_KEY", "CREDENTIAL_KEYS", "METRICS_TOKEN", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "DASHSCOPE_API_KEY",
        "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET",
    }  # fmt: skip
