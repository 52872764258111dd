"""The site's settings for tests: a throw-away folder for what it writes, fast passwords."""

import os
import tempfile
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The folder goes when the process ends. Embedded models are taken from where the site keeps them.
_folder = tempfile.TemporaryDirectory(prefix="prefloop-tests-")
_models = os.environ.get("MODELS_DIR", str(Path(__file__).resolve().parents[1] / "var" / "models"))
_environment = {"PREFLOOP_VAR": _folder.name, "MODELS_DIR": _models, "SECRET_KEY": "tests-only"}

# Only while the settings are read: processes that tests start get an environment of their own.
with patch.dict(os.environ, _environment):
    from annotator.site.settings import *  # noqa: F403
    from annotator.site.settings import DATABASES, VAR

if DATABASES["default"]["ENGINE"] == "annotator.site.sqlite":
    # A file, as in production: several connections, real locks.
    DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Tests without Redis count in memory; those of limits in Redis say so.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
