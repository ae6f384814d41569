"""The product's settings, for tests: a data folder of their own, quick hashing, the sandbox on loopback."""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit

if "TEMPLATEGEN_DATA" not in os.environ:
    os.environ["TEMPLATEGEN_DATA"] = tempfile.mkdtemp(prefix="templategen-tests-")
    # By who made it only: the processes of a parallel run share the folder.
    atexit.register(
        lambda folder, pid: os.getpid() == pid and shutil.rmtree(folder, ignore_errors=True),
        os.environ["TEMPLATEGEN_DATA"],
        os.getpid(),
    )
for name in ("DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET"):
    if not os.environ.get("TEMPLATEGEN_LIVE"):
        os.environ.pop(name, None)
# Never a developer's own: other servers than SQLite and its queue are asked for by these names (tests/servers.py).
for name in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(f"{name}_FILE", None)
    os.environ.pop(name, None)
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
if os.environ.get("TEST_REDIS_URL"):
    # A database for each process of a parallel run: else one would take another's messages.
    _number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["REDIS_URL"] = urlsplit(os.environ["TEST_REDIS_URL"])._replace(path=f"/{_number}").geturl()

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
