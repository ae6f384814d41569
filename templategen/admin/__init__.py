"""The administrator's pages: templates and clips to look at, and the pipeline with what a person decides about it.

Rows are changed by actions.py only, and whoever decides is in the row's Event and in the admin's own log. No key and
no signed URL is shown: what the service or an exception said goes through ``redact``.
"""

from templategen.admin import clips, credentials, queue, templates

__all__ = ["clips", "credentials", "queue", "templates"]
