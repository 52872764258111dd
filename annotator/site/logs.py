"""What must not stand in a log: secrets (of invitations, tokens, webhooks), and that nothing was to do."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"((?:/|%2F)join(?:/|%2F))[^/%\s\"'?#]+|(\bpl_)[0-9a-z]{20,}|(\bwhsec_)[0-9a-z+/=_-]{10,}", re.IGNORECASE
)


def without_secrets(line: str) -> str:
    return _SECRET.sub(r"\1\2\3…", line)


class WithoutSecrets(logging.Filter):
    """For a handler: each line as it is, but for secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if _SECRET.search(line):
            record.msg, record.args = without_secrets(line), ()
        return True


class WithoutSweeps(logging.Filter):
    """For a handler: Celery's lines on tasks that come by the clock, in which all else would drown.

    What a sweep does it says itself; that one failed is an error, and stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("celery.") or record.levelno > logging.INFO:
            return True
        named = record.args.values() if isinstance(record.args, dict) else record.args or ()
        return not any(isinstance(value, str) and ".tasks.sweep_" in value for value in named)
