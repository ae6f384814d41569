"""What a page may not have in it: code or style of its own, and parts from elsewhere."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

# Attributes that load or run what they name, or lead there.
_ADDRESSES = frozenset({"src", "href", "action", "formaction", "poster", "data", "srcset", "xlink:href"})
_LOADS = frozenset({"src", "poster", "data", "srcset"})
_LINKS = frozenset({"a", "form", "button", "input"})


class _Reader(HTMLParser):
    def __init__(self, origins: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.flaws: list[str] = []
        self._origins = origins
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _value in attrs]
        self._in_script = tag == "script"
        if tag in {"style", "base", "object", "embed", "iframe"}:
            self._flaw(tag)
        if tag == "script" and "src" not in names and ("type", "application/json") not in attrs:
            self._flaw(tag, "inline")
        if tag == "meta" and "http-equiv" in names:
            self._flaw(tag, "http-equiv")
        for name, value in attrs:
            self._look_at(tag, name, "".join((value or "").split()))

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if name == "style" or name.startswith(("on", "hx-on")) or name in {"srcdoc", "hx-vars"}:
            self._flaw(tag, name)
        if name.startswith("hx-") and value.lower().startswith(("js:", "javascript:")):
            self._flaw(tag, name)
        if name in _ADDRESSES:
            self._look_at_address(tag, name, value)

    def _look_at_address(self, tag: str, name: str, value: str) -> None:
        parts = urlsplit(value)
        scheme = parts.scheme.lower()
        if scheme not in {"", "http", "https", "mailto"} and not (tag == "img" and value.startswith("data:image/")):
            self._flaw(tag, name, value)
        is_loaded = name in _LOADS or tag not in _LINKS
        if is_loaded and parts.netloc and f"{scheme}://{parts.netloc}" not in self._origins:
            self._flaw(tag, name, value)

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip() and '"' not in data[:200]:
            self._flaw("script", "text")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._in_script = False

    def _flaw(self, *words: str) -> None:
        self.flaws.append(" ".join(words)[:120])


def flaws_of(page: str, *, origins: frozenset[str] = frozenset()) -> list[str]:
    """Inline scripts and styles, handlers, script addresses, and what is loaded from other places than ``origins``."""
    reader = _Reader(origins)
    reader.feed(page)
    reader.close()
    return reader.flaws
