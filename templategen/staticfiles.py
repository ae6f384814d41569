"""Static files with hashed names."""

from collections.abc import Callable
from re import Match
from typing import Any

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class ModuleManifestStorage(ManifestStaticFilesStorage):
    """Hash names, and rewrite the paths in ``import … from`` too, so that ES modules need no import map."""

    support_js_module_import_aggregation = True

    def url_converter(self, *args: Any, **kwargs: Any) -> Callable[[Match[str]], str]:
        """As Django's, but leave JSDoc's ``{import("../htmx").Type}`` alone: it names a type, not a file."""
        convert = super().url_converter(*args, **kwargs)

        def convert_files(match: Match[str]) -> str:
            if match["matched"].startswith("import(") and not match["url"].endswith(".js"):
                return match["matched"]
            return convert(match)

        return convert_files
