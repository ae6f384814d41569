"""Guards over the catalogues of words: whole, true to their originals, and what the code says now."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import to_locale

ROOT = Path(__file__).resolve().parents[2]
LOCALE = Path("templategen/locale")
CATALOGUES = sorted(path.relative_to(ROOT) for path in (ROOT / LOCALE).rglob("*.po"))
_FIELD = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr)\S* )?"(.*)"$')
_PLACEHOLDER = re.compile(r"%\(\w+\)[-+.\d]*[a-z]")
# Alike in Chinese: a name, a number with its unit, one value beside another.
_ALIKE = re.compile(r"Worker|OSS|CSV|ID|IDs|English|(%\(\w+\)s[ .:/]*|kB|MB|GB)+")


def blocks(path: Path) -> list[str]:
    """The entries of a catalogue as they stand there, without its head."""
    return path.read_text().strip().split("\n\n")[1:]


def entries(path: Path) -> Iterator[dict[str, str]]:
    """The fields of each entry, their lines put together."""
    for block in blocks(path):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if found := _FIELD.match(line):
                name = found[1] or name
                fields[name] = fields.get(name, "") + found[2]
        yield fields


def test_every_language_that_is_offered_has_both_catalogues_and_their_compiled_form() -> None:
    for code, _name in settings.LANGUAGES:
        if code != "en":
            folder = ROOT / LOCALE / to_locale(code) / "LC_MESSAGES"
            assert {path.name for path in folder.iterdir()} == {
                "django.po", "django.mo", "djangojs.po", "djangojs.mo",
            }  # fmt: skip


@pytest.mark.parametrize("path", CATALOGUES, ids=str)
def test_nothing_is_untranslated_uncertain_or_left_over(path: Path) -> None:
    assert not re.findall(r"^#(?:,.*fuzzy.*|~.*)$", (ROOT / path).read_text(), flags=re.M)
    assert [fields["msgid"] for fields in entries(ROOT / path) if not fields["msgstr"].strip()] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=str)
def test_each_translation_has_the_placeholders_of_its_original(path: Path) -> None:
    for fields in entries(ROOT / path):
        # The plural is said for every number in languages that have one form only.
        original = fields.get("msgid_plural", fields["msgid"])
        assert set(_PLACEHOLDER.findall(fields["msgstr"])) == set(_PLACEHOLDER.findall(original)), original
        rest = _PLACEHOLDER.sub("", fields["msgstr"]).replace("%%", "")
        assert "%" not in rest or "%" in _PLACEHOLDER.sub("", original).replace("%%", ""), original


@pytest.mark.parametrize("path", CATALOGUES, ids=str)
def test_a_translation_is_not_the_original_again(path: Path) -> None:
    again = {fields["msgid"] for fields in entries(ROOT / path) if fields["msgid"] == fields["msgstr"]}
    assert {text for text in again if not _ALIKE.fullmatch(text)} == set()


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="gettext is not installed (apt-get install gettext)")
def test_the_catalogues_are_those_of_the_code_and_their_compiled_form_is_theirs(tmp_path: Path) -> None:
    """Where this fails: run .ci/words, translate what is new, run it again."""
    for name in ("accounts", "templategen", "templates", "static", ".ci"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "TEMPLATEGEN_DATA": str(tmp_path / "data")}
    subprocess.run([tmp_path / ".ci/words"], check=True, env=environment, timeout=250)
    for catalogue in CATALOGUES:
        here, fresh = set(blocks(ROOT / catalogue)), set(blocks(tmp_path / catalogue))
        assert sorted(fresh - here) == [], f"{catalogue} lacks these"
        assert sorted(here - fresh) == [], f"{catalogue} has these, which nothing says any more"
        compiled = catalogue.with_suffix(".mo")
        assert words_in(ROOT / compiled) == words_in(tmp_path / compiled), f"{compiled} is not made of {catalogue}"


def words_in(compiled: Path) -> dict[object, str]:
    """What a compiled catalogue holds, without its head (which has a time in it)."""
    with compiled.open("rb") as file:
        catalogue = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    catalogue.pop("")
    return catalogue


def test_chinese_says_the_words_that_alibaba_uses() -> None:
    with translation.override("zh-hans"):
        said = {
            text: translation.gettext(text) for text in ("Template ID", "Task ID", "workspace", "quota", "credential")
        }
    assert said == {
        "Template ID": "模板 ID", "Task ID": "任务 ID", "workspace": "业务空间", "quota": "额度", "credential": "凭证",
    }  # fmt: skip
