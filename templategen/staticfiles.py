"""Static files with hashed names."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class ModuleManifestStorage(ManifestStaticFilesStorage):
    """Hash names, and rewrite the paths in ``import … from`` too, so that ES modules need no import map."""

    support_js_module_import_aggregation = True
