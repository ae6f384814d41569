"""Guards over pages, partials, styles and scripts."""

import re
from pathlib import Path

import pytest

from templategen.states import State
from templategen.templatetags.pages import LOOK

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "templates").rglob("*.html"))
SPRITE = (ROOT / "static/img/icons.svg").read_text()
ICONS = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE))


def whole(path: Path) -> bool:
    """A page of ours, not a partial, nor one that lies in the admin site's own frame, which has the heading."""
    return not path.name.startswith("_") and path.name != "base.html" and "admin" not in path.parts


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_code_stands_inside_the_markup(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "inline script"
    assert not re.search(r"<style", text), "inline style"
    assert not re.search(r"\sstyle=", text), "style attribute"
    assert not re.search(r"<[^>]+\son\w+=", text), "handler attribute"
    assert not re.search(r"\bhx-on|\bhx-vars|js:|javascript:", text), "evaluated attribute"
    assert not re.search(r"(?:src|href)=[\"']https?://", text), "foreign address"


@pytest.mark.parametrize("path", [path for path in PAGES if whole(path)], ids=lambda path: path.name)
def test_every_page_has_one_h1_and_a_title(path: Path) -> None:
    text = path.read_text()
    # A page with two branches has one in each; the pages' own tests count what is sent.
    branches = 1 + len(re.findall(r"\{% else %\}\s*<h1", text))
    assert text.count("<h1") == branches
    assert "block title" in text or "<title>" in text


def test_every_icon_that_is_asked_for_is_in_the_sprite() -> None:
    asked = {name for path in PAGES for name in re.findall(r'\{% icon "([\w-]+)"', path.read_text())}
    assert asked <= ICONS
    assert {picture for picture, _tone in LOOK.values()} <= ICONS


def test_every_state_has_a_label_a_picture_and_a_tone() -> None:
    styles = (ROOT / "static/css/components.css").read_text()
    for state in State:
        picture, tone = LOOK[state]
        assert state.label
        assert picture in ICONS
        assert tone == "calm" or f".tone-{tone}" in styles


def test_words_on_pages_are_marked_for_translation() -> None:
    for path in PAGES:
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->", "", _unmarked(path.read_text()), flags=re.S)
        text = re.sub(r"&\w+;", "", text)
        words = re.findall(r">([^<>]*[A-Za-z]{3,}[^<>]*)<", text)
        left = [word.strip() for word in words if word.strip() not in {"Templategen", "– Templategen"}]
        assert [word for word in left if "manage.py" not in word] == [], path.name


def _unmarked(text: str) -> str:
    """Without what is marked, and without names of styles."""
    text = re.sub(r"\{% block bodyclass %\}.*?\{% endblock %\}", "", text, flags=re.S)
    return re.sub(r"\{% blocktranslate.*?%\}.*?\{% endblocktranslate %\}", "", text, flags=re.S)


# --- Contrast (WCAG 2.2, 1.4.3 and 1.4.11) ---

_TOKENS = (ROOT / "static/css/tokens.css").read_text()
_GROUNDS = ("paper", "surface", "raised", "hover")
_TINTED = ("accent-soft", "bad-soft", "warn-soft", "calm-soft", "sunken")
_TEXT_ON = [
    *((ink, ground) for ink in ("ink", "ink-soft", "accent", "bad") for ground in _GROUNDS),
    *((ink, ground) for ink in ("ink", "ink-soft") for ground in _TINTED),
    *((tone, f"{tone}-soft") for tone in ("good", "busy", "warn", "bad", "calm")),
    ("accent-ink", "accent"), ("accent-ink", "accent-strong"), ("bad", "bad-soft"), ("good", "surface"),
]  # fmt: skip
_MARKS_ON = [("line-strong", ground) for ground in ("paper", "surface", "raised")] + [
    ("focus", ground) for ground in ("paper", "surface", "raised", "accent-soft")
]


def _colours(scheme: str) -> dict[str, str]:
    light, dark = _TOKENS.split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else found


def _light(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""
    low, high = sorted((_light(one), _light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_told_apart(scheme: str) -> None:
    colours = _colours(scheme)
    pairs = [(pair, 4.5) for pair in _TEXT_ON] + [(pair, 3.0) for pair in _MARKS_ON]
    ratios = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair, _least in pairs}
    assert {pair: ratios[pair] for pair, least in pairs if ratios[pair] < least} == {}
