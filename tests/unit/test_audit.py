"""The audit of installed packages in .ci: what it finds is a failure, and what it cannot ask is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAFE = {"name": "one", "version": "1.0", "vulns": []}
BAD = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": []}]}
UNKNOWN = {"name": "three", "skip_reason": "not found on the index"}


def audit(folder: Path, packages: object, **environment: str) -> tuple[int, str]:
    """.ci/audit where pip-audit answers so: its exit status, and what it said."""
    said = packages if isinstance(packages, str) else json.dumps({"dependencies": packages, "fixes": []})
    (folder / "pip_audit.py").write_text(f"import sys\nprint({said!r})\nsys.exit(1)\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_known_vulnerability_is_a_failure_with_the_version_that_mends_it(tmp_path: Path) -> None:
    status, said = audit(tmp_path, [SAFE, BAD])
    assert status == 1
    assert "two 2.0: PYSEC-2026-1, mended in 2.1" in said
    assert "audited=2 not_audited=0 vulnerable=1" in said


def test_nothing_found_is_none(tmp_path: Path) -> None:
    assert audit(tmp_path, [SAFE])[0] == 0


@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
@pytest.mark.parametrize("packages", [[UNKNOWN], [SAFE, UNKNOWN], "no JSON", "{}"])
def test_what_could_not_be_asked_is_told_and_is_a_failure_where_it_is_required(
    tmp_path: Path, packages: object, required: str, status: int
) -> None:
    found, said = audit(tmp_path, packages, REQUIRE_AUDIT=required)
    assert (found, "NOT AUDITED" in said) == (status, True)


def test_a_vulnerability_beside_what_is_unknown_is_a_failure(tmp_path: Path) -> None:
    assert audit(tmp_path, [UNKNOWN, BAD])[0] == 1
