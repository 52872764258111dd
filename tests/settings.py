"""The site's settings for tests: a throw-away folder for what it writes, fast passwords."""

import os
import tempfile
from pathlib import Path

# The folder goes when the process ends. Embedded models are taken from where the site keeps them.
_folder = tempfile.TemporaryDirectory(prefix="prefloop-tests-")
os.environ["PREFLOOP_VAR"] = _folder.name
os.environ.setdefault("MODELS_DIR", str(Path(__file__).resolve().parents[1] / "var" / "models"))
os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from annotator.site.settings import *  # noqa: E402, F403
from annotator.site.settings import DATABASES, VAR  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, as in production: several connections, real locks.
    DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
