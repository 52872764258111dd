"""One settings file, driven by the environment; every default is what `make run` uses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from annotator.site.servers import redis_url

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parents[2]
VAR = Path(env.str("PREFLOOP_VAR", str(BASE_DIR / "var"))).resolve()
"""Everything this installation writes: database, key, models, checkpoints, snapshots, logs."""

DEBUG = env.bool("DEBUG", default=False)


def secret_key() -> str:
    """`SECRET_KEY`, else the key that `make run` made under var/. Never one from the repository."""
    key: str = env.str("SECRET_KEY", default="")
    file = VAR / "secret_key"
    if not key and file.exists():
        key = file.read_text().strip()
    if not key and DEBUG:
        key = "debug-only-" + str(BASE_DIR)
    if not key:
        raise ImproperlyConfigured(
            f"No secret key: set SECRET_KEY, or let `make run` write one to {file}. "
            "PrefLoop does not start without it unless DEBUG=1."
        )
    return key


SECRET_KEY = secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "axes",
    "csp",
    "annotator",
    "rlhf",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "annotator.site.urls"
WSGI_APPLICATION = "annotator.site.wsgi.application"

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
                "csp.context_processors.nonce",
            ],
        },
    },
]

# Database: SQLite in WAL mode by default, PostgreSQL by DATABASE_URL.
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "annotator.site.sqlite"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a claim reads, then writes: take the lock at once
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    if sqlite3.sqlite_version_info < (3, 35):
        raise ImproperlyConfigured("PrefLoop needs SQLite 3.35 or newer")
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # The server plans a statement that comes again only once (not behind a pooler of transactions).
    DATABASES["default"]["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 5}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People
AUTH_USER_MODEL = "annotator.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "annotator.site.backends.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
OPEN_SIGN_UP = env.bool("OPEN_SIGN_UP", default=False)
"""Whether anybody may make an account; without it, only administrators and invitations do."""
SESSION_ENGINE = "annotator.site.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_VERBOSE = False

# Language and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "annotator" / "locale"]
FORMAT_MODULE_PATH = "annotator.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")

# Files
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # served from where they lie: no copy that could be stale
WHITENOISE_MAX_AGE = 0 if DEBUG else 60
MEDIA_ROOT = VAR / "files"
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
IMPORT_MAX_BYTES = env.int("IMPORT_MAX_BYTES", default=64 * 1024 * 1024)
IMPORT_STALE_SECONDS = env.int("IMPORT_STALE_SECONDS", default=180)
"""An import that has not beaten for so long has lost its worker."""

# Exports
EXPORTS_DIR = VAR / "exports"
EXPORT_KEEP_DAYS = env.int("EXPORT_KEEP_DAYS", default=90)
"""How long the files of saved exports are kept; 0: until somebody deletes them. They can be made again."""
EXPORT_KEEP_FREE_BYTES = env.int("EXPORT_KEEP_FREE_MB", default=200) * 1024**2
"""An export stops before it leaves less room than this: the database is on the same disk."""
EXPORT_STALE_SECONDS = env.int("EXPORT_STALE_SECONDS", default=180)
"""An export that has shown no progress for so long has lost its worker, and is made by another."""
EXPORT_STREAM_JUDGMENTS = env.int("EXPORT_STREAM_JUDGMENTS", default=20_000)
"""Up to so many judgments are sent at once, without a worker."""

# Security
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
    # The admin's theme (Alpine) evaluates expressions; our own pages do not.
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
HTTPS = env.bool("HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None

# Jobs
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_BROKER_URL = REDIS_URL or redis_url(VAR)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "light"
CELERY_TASK_ROUTES = {
    "rlhf.tasks.execute_run": {"queue": "model"},
    "rlhf.tasks.refit_heads": {"queue": "refit"},
}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 7 * 24 * 3600,  # longer than the longest run, or a run would start twice
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "max_retries": 0,  # a page does not wait for a second try, the sweep makes it
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False  # a lost send is repeated by the sweep, not waited for by a page
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
REFIT_EVERY = env.int("REFIT_EVERY", default=20)
"""New rankings after which a project's heads are refitted, until its manager says otherwise; 0: never."""
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "beat")
CELERY_BEAT_SCHEDULE = {
    "sweep-leases": {"task": "annotator.tasks.sweep_leases", "schedule": 30.0},
    "sweep-imports": {"task": "annotator.tasks.sweep_imports", "schedule": 10.0},
    "sweep-exports": {"task": "annotator.tasks.sweep_exports", "schedule": 10.0},
    "sweep-export-files": {"task": "annotator.tasks.sweep_export_files", "schedule": 3600.0},
    "sweep-quality": {"task": "annotator.tasks.sweep_quality", "schedule": 60.0},
    "sweep-runs": {"task": "rlhf.tasks.sweep_runs", "schedule": 5.0},
    # Twice a second: a ranking is to be in the scores within two.
    "sweep-refits": {"task": "rlhf.tasks.sweep_refits", "schedule": 0.5},
}

# Models. A name is an embedded model, a folder with safetensors, or a .gguf file.
MODEL = env.str("MODEL", default="smollm2")
"""The generator's base model."""
EXECUTOR = env.str("EXECUTOR", default=MODEL)
"""The frozen model that the gold metric puts instructions before."""
MODELS_DIR = Path(env.str("MODELS_DIR", str(VAR / "models")))
RUN_HEARTBEAT_SECONDS = env.int("RUN_HEARTBEAT_SECONDS", default=5)
RUN_STALE_SECONDS = env.int("RUN_STALE_SECONDS", default=20)
"""A running run whose heart has not beaten for so long goes back to the queue."""
REFIT_STALE_SECONDS = env.int("REFIT_STALE_SECONDS", default=60)
"""A refit that has given no sign of life for so long may be done by another worker."""

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 100,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "PrefLoop",
    "DESCRIPTION": "Better instructions out of human rankings",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "VerdictEnum": "annotator.models.Verdict",
        "GivenVerdictEnum": "annotator.api.deciding.VERDICTS",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

UNFOLD = {"SITE_TITLE": "PrefLoop", "SITE_HEADER": "PrefLoop"}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        "secrets": {"()": "annotator.site.logs.WithoutSecrets"},
        "sweeps": {"()": "annotator.site.logs.WithoutSweeps"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["sweeps", "secrets"]},
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
