"""gunicorn's own lines, in the site's form: its log of errors, and of requests where an operator wants one.

An address may be a key (an invitation, a link to sign in): what ``redact`` hides elsewhere is hidden here.
"""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger

from templategen.logs import FieldsFormatter, JsonFormatter


class SiteLogger(Logger):  # type: ignore[misc]  # the library is not typed
    """Named in gunicorn_config.py. Made before Django is set up, so it knows patterns of secrets, not their values."""

    def setup(self, cfg: Any) -> None:
        """Give every handler the form that LOG_FORMAT names."""
        super().setup(cfg)
        as_json = os.environ.get("LOG_FORMAT", "").strip().lower() == "json"
        form: logging.Formatter = JsonFormatter() if as_json else FieldsFormatter()
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(form)
