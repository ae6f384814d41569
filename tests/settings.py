"""The product's settings, for tests: a data folder of their own, quick hashing, the sandbox on loopback."""

import os
import tempfile

os.environ.setdefault("TEMPLATEGEN_DATA", tempfile.mkdtemp(prefix="templategen-tests-"))
for name in ("DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET", "DATABASE_URL"):
    if not os.environ.get("TEMPLATEGEN_LIVE"):
        os.environ.pop(name, None)

from templategen.settings import *  # noqa: E402, F403
from templategen.settings import DATA_DIR, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# Not loaded in a test process that makes no static folder: white noise warns of a missing one.
(DATA_DIR / "static").mkdir(parents=True, exist_ok=True)
