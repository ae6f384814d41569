"""The product's settings, for tests: a data folder of their own, quick hashing, the sandbox on loopback."""

import os
import tempfile

os.environ.setdefault("TEMPLATEGEN_DATA", tempfile.mkdtemp(prefix="templategen-tests-"))
for name in ("DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET", "DATABASE_URL"):
    if not os.environ.get("TEMPLATEGEN_LIVE"):
        os.environ.pop(name, None)

from templategen.settings import *  # noqa: E402, F403
from templategen.settings import DATA_DIR, DATABASES, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# Not loaded in a test process that makes no static folder: white noise warns of a missing one.
(DATA_DIR / "static").mkdir(parents=True, exist_ok=True)
# A file, as in use: threads and processes then meet real locks. Nobody's data is at stake, so no waiting for the disk.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
