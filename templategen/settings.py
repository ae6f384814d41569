"""Every setting, from the environment only (docs: README, "Configuring").

Safe defaults: DEBUG off, no default key. A secret NAME is also read from the file that NAME_FILE points at.
What can be wrong with a value is a system check in ``templategen/checks.py``.
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from templategen import content_policy, servers
from templategen.environment import Env

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()


def _secret(name: str) -> str:
    """A secret from NAME, or from the file that NAME_FILE names, which often ends with a line's end."""
    try:
        value: str = env.str(name, default="")
    except (OSError, UnicodeDecodeError) as problem:
        # Without the path's contents, and in one line: it stands in the log of whatever starts the site.
        reason = getattr(problem, "strerror", None) or "it is no text"
        raise ImproperlyConfigured(f"The file that {name}_FILE names cannot be read: {reason}.") from None
    return value.strip()


def _secret_key(folder: Path) -> str:
    """The signing key: from the environment, else one made once and kept in the data folder (mode 600)."""
    given = _secret("SECRET_KEY")
    if given:
        return given
    try:
        return _kept_key(folder)
    except OSError as problem:
        raise ImproperlyConfigured(
            f"The data folder {folder} cannot be used: {problem.strerror}. Let this user write it, or name another "
            "one with TEMPLATEGEN_DATA."
        ) from None


def _kept_key(folder: Path) -> str:
    path = folder / "secret_key"
    # For the owner only: the database with its sessions lies here too.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Written aside and linked into place: of two processes that start together one wins and both read the same.
        mine = folder / f".secret_key.{os.getpid()}"
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text()


def _running(folder: Path) -> tuple[str, str]:
    """Addresses of the site and the sandbox that an ``up`` on this data folder has told; empty where none runs."""
    try:
        pid, site, sandbox = (folder / "up.lock").read_text().split()
        os.kill(int(pid), 0)
    except (OSError, ValueError):
        return "", ""
    return site, sandbox


# --- Where things are ---
DATA_DIR = Path(env.str("TEMPLATEGEN_DATA", default=str(BASE_DIR / "var"))).resolve()
_site_running, _sandbox_running = _running(DATA_DIR)
SITE_URL = env.address("TEMPLATEGEN_SITE_URL", default=_site_running or "http://127.0.0.1:8000")
_site = urlsplit(SITE_URL)
_https = _site.scheme == "https"

# --- Django ---
DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY = _secret_key(DATA_DIR)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[]) + [
    host for host in {_site.hostname, "127.0.0.1", "localhost", "[::1]"} if host
]
ROOT_URLCONF = "templategen.urls"
WSGI_APPLICATION = "templategen.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "accounts",
    "templategen",
    "django_q",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "axes",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "templategen.web.request_ids.RequestIdMiddleware",
    "accounts.doors.HeadersMiddleware",
    # Answers before anything asks by which name the site was called: a load balancer calls it by its address.
    "templategen.web.probes.ProbesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "accounts.doors.VisitsMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.doors.SecondStepMiddleware",
    # Every page but those marked @login_not_required asks for sign-in: forgetting a decorator closes, not opens.
    "accounts.middleware.SignInRequiredMiddleware",
    "accounts.doors.LimitsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "templategen.web.errors.ActionErrorMiddleware",
    # Last, so that its answer to a locked sign-in is the one that is sent.
    "axes.middleware.AxesMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "templategen.web.site.site",
            ],
        },
    },
]

# --- Alibaba: OSS and DashScope, or the sandbox where nothing is configured ---
DASHSCOPE_API_KEY = _secret("DASHSCOPE_API_KEY")
OSS_ACCESS_KEY_ID = _secret("OSS_ACCESS_KEY_ID")
OSS_ACCESS_KEY_SECRET = _secret("OSS_ACCESS_KEY_SECRET")
OSS_BUCKET = _secret("OSS_BUCKET")
USE_SANDBOX = not (DASHSCOPE_API_KEY or OSS_ACCESS_KEY_ID or OSS_ACCESS_KEY_SECRET or OSS_BUCKET)
SANDBOX_URL = env.address("TEMPLATEGEN_SANDBOX_URL", default=_sandbox_running or "http://127.0.0.1:9000")

# --- Database ---
# SQLite: WAL and IMMEDIATE keep web writers and the queue from "database is locked"; synchronous=FULL because a
# claim that a power cut forgot would be sent, and paid for, a second time (docs/decisions/sqlite.md).
# Not as an URL by default: a folder may have "#", "?" or "%" in its name.
# What was tried out with the sandbox stays apart: its IDs work with no model, its clips are in no bucket.
_sqlite: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(DATA_DIR / ("sandbox.sqlite3" if USE_SANDBOX else "templategen.sqlite3")),
}
# DATABASE_URL: postgres://user:password@host:5432/name, for more than one machine (docs/operations.md).
_database_url = _secret("DATABASE_URL")
DATABASES: dict[str, dict[str, Any]] = {"default": servers.database(_database_url) if _database_url else _sqlite}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32000;",
    }

# --- Who ---
AUTH_USER_MODEL = "accounts.User"
# The first user, who administers the site; password mails can reach them only under a real address.
OWNER_EMAIL: str = env.str("TEMPLATEGEN_OWNER_EMAIL", default="owner@localhost")
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
PASSWORD_RESET_TIMEOUT = 24 * 3600
# Who may sign up: "invited" people only, or anybody ("open"), with an account of their own.
SIGN_UP = env.choice("SIGN_UP", ("invited", "open"), default="invited")
INVITATION_DAYS: int = env.int("INVITATION_DAYS", default=7)
# Axes first: it refuses before a password is looked at.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2Hasher",
    # Passwords from before: read, and written anew at the next sign-in.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# Whether staff need two-step sign-in for /admin/; where the sandbox stands in, nothing of value is behind it.
TWO_STEP_FOR_STAFF: bool = env.bool("TWO_STEP_FOR_STAFF", default=not USE_SANDBOX)
OTP_TOTP_ISSUER = f"Templategen {_site.hostname or ''}".strip()
# Nobody reads another's secret, staff neither.
OTP_ADMIN_HIDE_SENSITIVE_DATA = True

# --- Mail: to the console unless EMAIL_URL (smtp+tls://user:password@host:587) is given ---
vars().update(servers.mail(_secret("EMAIL_URL") or "consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str(
    "DEFAULT_FROM_EMAIL", default=f"Templategen <noreply@{_site.hostname or 'localhost'}>"
)

# --- Languages and time ---
# A language is offered once its catalogue is whole: half a translation is read out wrongly.
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
# Of commands, of mails that nobody's page asked for, and of whoever wants a language that is not offered.
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", [code for code, _name in LANGUAGES], default="en")
LOCALE_PATHS = [BASE_DIR / "templategen" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.time_zone("TIME_ZONE", default="UTC")

# --- Static files: hashed names, import paths inside ES modules rewritten too ---
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "templategen.staticfiles.ModuleManifestStorage"},
}

# --- Doors (docs/decisions/doors.md) ---
CSRF_TRUSTED_ORIGINS: list[str] = [SITE_URL, *env.list("CSRF_TRUSTED_ORIGINS", default=[])]
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = _https, True, "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
if _https:
    # By this prefix browsers know that no neighbour under the same domain may set them.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    LANGUAGE_COOKIE_NAME = "__Host-language"
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
# Not "no-referrer": with it browsers send forms with "Origin: null", which the guard against forgery refuses.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
PERMISSIONS_POLICY = content_policy.PERMISSIONS
# What DEBUG shows of an error, and what a mail to ADMINS would: with keys and signed addresses taken out.
DEFAULT_EXCEPTION_REPORTER = "templategen.error_reports.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "templategen.error_reports.Filter"
WHITENOISE_ALLOW_ALL_ORIGINS = False
X_FRAME_OPTIONS = "DENY"
BEHIND_PROXY: bool = env.bool("TEMPLATEGEN_BEHIND_PROXY", default=False)
# How many proxies stand one behind the other: so many addresses at the right of X-Forwarded-For are theirs to write.
PROXIES: int = env.int("TEMPLATEGEN_PROXIES", default=1)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Only who can tell https from http may redirect; else it would go round in circles.
SECURE_SSL_REDIRECT = _https and BEHIND_PROXY

# Wrong passwords: so many for a user from one address, so many from the address in all; then none is tried for a while.
AXES_FAILURE_LIMIT: int = env.int("SIGN_IN_LIMIT", default=5)
SIGN_IN_ADDRESS_LIMIT: int = env.int("SIGN_IN_ADDRESS_LIMIT", default=30)
SIGN_IN_LOCK_SECONDS: int = env.int("SIGN_IN_LOCK_SECONDS", default=900)
AXES_COOLOFF_TIME = timedelta(seconds=SIGN_IN_LOCK_SECONDS)
AXES_HANDLER = "accounts.lockout.LockoutHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_LOCKOUT_CALLABLE = "accounts.lockout.locked_out"
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "accounts.lockout.username"
AXES_CLIENT_IP_CALLABLE = "accounts.addresses.counted_address"
AXES_RESET_ON_SUCCESS = True
# Who goes on trying while locked out is not counted, and not remembered: the lock ends when it was said to end.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Who is signed in stands in the sessions.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# How often, as times/seconds, counted for all processes together; empty: as often as one likes (accounts/limits.py).
LIMITS: dict[str, str] = {
    "precheck": env.str("LIMIT_PRECHECK", default="600/60"),
    "upload": env.str("LIMIT_UPLOAD", default="120/60"),
    "mail": env.str("LIMIT_MAIL", default="20/3600"),
    "mail_to": env.str("LIMIT_MAIL_TO", default="5/3600"),
    "invite": env.str("LIMIT_INVITE", default="60/3600"),
    "account": env.str("LIMIT_ACCOUNT", default="3/86400"),
    "credential": env.str("LIMIT_CREDENTIAL", default="30/3600"),
    "link": env.str("LIMIT_LINK", default="60/900"),
    "code": env.str("LIMIT_CODE", default="20/3600"),
    # Calls with one token (templategen/api/doors.py).
    "api": env.str("LIMIT_API", default="120/60"),
}
# View: method, limit, and who is counted: the person, the visitor's address, or the mail address in the form.
_mails = (("POST", "mail", "address"), ("POST", "mail_to", "mail"))
LIMITED_VIEWS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "web:precheck": (("POST", "precheck", "person"),),
    "web:uploads": (("POST", "upload", "person"),),
    "web:upload_form": (("POST", "upload", "person"),),
    "accounts:password_reset": _mails,
    "accounts:sign_up": _mails,
    # The mail's address too, once it is known that they may (accounts/pages/members.py).
    "accounts:new_account": (("POST", "account", "person"),),
    "accounts:invite": (("POST", "invite", "person"),),
    "accounts:invite_again": (("POST", "invite", "person"),),
    # Each is a call to Alibaba, with any key that one likes.
    "web:credential": (("POST", "credential", "person"),),
    "web:check_credential": (("POST", "credential", "person"),),
    # Who finds a browser open tries no passwords here.
    "accounts:password_change": (("POST", "code", "person"),),
    "admin:password_change": (("POST", "code", "person"),),
    "accounts:sign_in_link": (("GET", "link", "address"),),
    "accounts:sign_up_link": (("GET", "link", "address"),),
    "accounts:invitation_link": (("GET", "link", "address"),),
    "accounts:password_reset_confirm": (("GET", "link", "address"), ("POST", "link", "address")),
}

# Seconds that a client may be silent in the middle of its request (wsgi.py).
BODY_TIMEOUT_SECONDS: float = env.float("BODY_TIMEOUT_SECONDS", default=30.0)
# A plain form post spools a clip to disk, never to memory; what is larger than any clip may be is read past, not kept.
FILE_UPLOAD_HANDLERS = [
    "templategen.web.spool.TooLargeHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
FILE_UPLOAD_TEMP_DIR: str | None = env.str("TEMPLATEGEN_SPOOL", default="") or None

DASHSCOPE_BASE_URL = env.address("DASHSCOPE_BASE_URL", default="https://dashscope.aliyuncs.com/api/v1")
# Where accounts' own keys may point at besides (https; "*." is any name below): Beijing's documented hosts.
DASHSCOPE_ALLOWED_HOSTS: list[str] = env.list(
    "DASHSCOPE_ALLOWED_HOSTS", default=["dashscope.aliyuncs.com", "*.cn-beijing.maas.aliyuncs.com"]
)
DASHSCOPE_WORKSPACE: str = env.str("DASHSCOPE_WORKSPACE", default="")
DASHSCOPE_MODEL: str = env.str("DASHSCOPE_MODEL", default="animate-anyone-template-gen2")
DASHSCOPE_TRAILING_SLASH: bool = env.bool("DASHSCOPE_TRAILING_SLASH", default=True)
DASHSCOPE_TIMEOUT_SECONDS: float = env.float("DASHSCOPE_TIMEOUT_SECONDS", default=30.0)
# Tasks running at once for a credential: Alibaba's own limit for an account is 1 (rate-limit page).
DASHSCOPE_SLOTS: int = env.int("DASHSCOPE_SLOTS", default=1)
# Further ones handed over to wait in Alibaba's own line, where turns are no longer ours.
DASHSCOPE_PENDING: int = env.int("DASHSCOPE_PENDING", default=0)
# Queries (looks and lists) a second for a credential; its limit is 20 (task page). 0: no limit.
DASHSCOPE_QUERIES_PER_SECOND: float = env.float("DASHSCOPE_QUERIES_PER_SECOND", default=18.0)
# Looks that may be under way at once for a credential.
DASHSCOPE_CONNECTIONS: int = env.int("DASHSCOPE_CONNECTIONS", default=6)

# --- The pipeline's patience, in seconds ---
CHECK_LEASE_SECONDS: float = env.float("CHECK_LEASE_SECONDS", default=90.0)
# A claim whose launch never began is given back after this long.
LAUNCH_LEASE_SECONDS: float = env.float("LAUNCH_LEASE_SECONDS", default=60.0)
# Of the conductor: who holds it decides; it is renewed all the while.
LEASE_SECONDS: float = env.float("LEASE_SECONDS", default=20.0)
SWEEP_SECONDS: float = env.float("SWEEP_SECONDS", default=15.0)
# How far our clock and the service's may differ.
RECONCILE_SKEW_SECONDS: float = env.float("RECONCILE_SKEW_SECONDS", default=120.0)
# The task list must show nothing new for this long after a call without an answer, to prove that none was made.
RECONCILE_SETTLE_SECONDS: float = env.float("RECONCILE_SETTLE_SECONDS", default=600.0)
# A task is lost only after it was UNKNOWN for this long.
UNKNOWN_SECONDS: float = env.float("UNKNOWN_SECONDS", default=600.0)
# A paused credential tries one template after this long, then ever more seldom.
PAUSE_PROBE_SECONDS: float = env.float("PAUSE_PROBE_SECONDS", default=300.0)
# Results are kept about 24 hours: one that has not been read for this long is an alarm.
RETENTION_ALARM_HOURS: float = env.float("RETENTION_ALARM_HOURS", default=18.0)

OSS_REGION: str = env.str("OSS_REGION", default="cn-beijing")
OSS_ENDPOINT: str = env.str("OSS_ENDPOINT", default=f"https://oss-{OSS_REGION}.aliyuncs.com")
# What browsers and DashScope are sent to: an own domain (CNAME) where the default host is closed to the bucket.
OSS_PUBLIC_ENDPOINT: str = env.str("OSS_PUBLIC_ENDPOINT", default="") or OSS_ENDPOINT

if USE_SANDBOX:
    # The sandbox's fixed words: it listens on loopback only and guards nothing of value.
    DASHSCOPE_API_KEY, OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET = "sk-sandbox", "sandbox", "sandbox-secret"
    OSS_BUCKET = "templategen"
    DASHSCOPE_BASE_URL = f"{SANDBOX_URL}/api/v1"
    OSS_ENDPOINT = OSS_PUBLIC_ENDPOINT = SANDBOX_URL

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": content_policy.policy(
        bucket=content_policy.bucket_origin(OSS_PUBLIC_ENDPOINT, OSS_BUCKET), https=_https
    )
}

# --- Lives of signed URLs, in seconds (OSS refuses more than 7 days) ---
PART_URL_SECONDS: int = env.int("PART_URL_SECONDS", default=3600)
MEDIA_URL_SECONDS: int = env.int("MEDIA_URL_SECONDS", default=900)
# Must outlast the wait in Alibaba's line, not only the download: when it downloads is not documented.
TASK_URL_SECONDS: int = env.int("TASK_URL_SECONDS", default=24 * 3600)

# Days that a deleted template and its video are kept, in case; days that an unfinished upload is kept.
TRASH_DAYS: int = env.int("TRASH_DAYS", default=30)
UPLOAD_DAYS: int = env.int("UPLOAD_DAYS", default=1)

# --- Accounts' own API keys: encrypted under the first of these, read with any (docs/operations.md) ---
_credential_keys = _secret("CREDENTIAL_KEYS")
CREDENTIAL_KEYS: list[str] = [key.strip() for key in _credential_keys.split(",") if key.strip()]
if _credential_keys and not CREDENTIAL_KEYS:
    raise ImproperlyConfigured("CREDENTIAL_KEYS has no key in it. What is allowed: secret texts, with commas between.")
# Last, so that what was stored before there were keys of their own can be read and rotated.
CREDENTIAL_KEYS.append(SECRET_KEY)

# An account's page in the administration has four fields for each member.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

# --- Quota: the site's defaults for an account; empty: no limit, 0: none (docs/decisions/quota.md) ---
QUOTA_TEMPLATES_PER_MONTH = env.limit("QUOTA_TEMPLATES_PER_MONTH")
QUOTA_SECONDS_PER_MONTH = env.limit("QUOTA_SECONDS_PER_MONTH")
QUOTA_STORAGE_BYTES = env.limit("QUOTA_STORAGE_BYTES")
QUOTA_TASKS_AT_ONCE = env.limit("QUOTA_TASKS_AT_ONCE")
# Uploads of an account that were begun and not finished: more are not begun.
UNFINISHED_UPLOADS: int = env.int("UNFINISHED_UPLOADS", default=50)
# Where months begin: Alibaba Cloud writes its bills in Beijing's time.
BILLING_TIME_ZONE = env.time_zone("BILLING_TIME_ZONE", default="Asia/Shanghai")
# For estimates only: what a second of video costs, and since when that is known (price page, June 2026).
PRICE_PER_SECOND = env.price("PRICE_PER_SECOND", default="0.08")
PRICE_CURRENCY: str = env.str("PRICE_CURRENCY", default="CNY")
PRICE_DATE = env.date("PRICE_DATE", default="2026-06-22")

# --- Queue (docs/decisions/queue.md; the figures behind each value) ---
# In the database, or on a Redis server: REDIS_URL, redis[s]://:password@host:6379/0, a number of its own for each site.
_redis_url = _secret("REDIS_URL")
Q_CLUSTER = {
    "name": "templategen",
    # The one named below, with heartbeats for the worker command's watchdog.
    "broker_class": "templategen.pulse.broker",
    **({"redis": servers.redis(_redis_url)} if _redis_url else {"orm": "default"}),
    "workers": env.int("WORKERS", default=2),
    "timeout": 120,
    # > timeout + 3 + the longest wait in the internal queue (queue_limit x timeout / workers)
    "retry": 600,
    "queue_limit": 2,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.2,
    "label": _("Queue"),
}

# --- Eyes: docs/operations.md, "Watching over it" ---
# Who may read /metrics besides staff who are signed in; empty: nobody.
METRICS_TOKEN = _secret("METRICS_TOKEN")
# /readyz: how old the queue's last sign of life, and the oldest message that nobody took, may be.
READY_HEARTBEAT_SECONDS: float = env.float("READY_HEARTBEAT_SECONDS", default=120.0)
READY_QUEUE_SECONDS: float = env.float("READY_QUEUE_SECONDS", default=300.0)
# The same for a Redis queue, which tells its length only.
READY_QUEUE_LENGTH: int = env.int("READY_QUEUE_LENGTH", default=2000)

# --- Logs: LOG_FORMAT text or json, LOG_LEVEL; redact.py takes keys and signatures out ---
LOG_FORMAT = env.choice("LOG_FORMAT", ("text", "json"), default="text")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SECRETS = [SECRET_KEY, *CREDENTIAL_KEYS, METRICS_TOKEN, str(DATABASES["default"].get("PASSWORD") or "")]
SECRETS += [str(vars().get("EMAIL_HOST_PASSWORD") or ""), str(Q_CLUSTER.get("redis", {}).get("password") or "")]
if not USE_SANDBOX:
    SECRETS += [DASHSCOPE_API_KEY, OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "templategen.logs.FieldsFormatter", "secrets": SECRETS},
        "json": {"()": "templategen.logs.JsonFormatter", "secrets": SECRETS},
    },
    "filters": {"refusals": {"()": "templategen.logs.RefusalsFilter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json" if LOG_FORMAT == "json" else "text"}
    },
    "root": {"handlers": ["console"], "level": env.choice("LOG_LEVEL", _LEVELS, default="INFO")},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # What it refuses is a line, not a traceback.
        "django.request": {"filters": ["refusals"]},
        "django-q": {"handlers": [], "level": "WARNING", "propagate": True},
        "oss2": {"level": "WARNING"},
        # Ours says what is worth saying (accounts/sign_ins.py).
        "axes": {"level": "ERROR"},
    },
}
