"""What must not stand in a log: the secret of an invitation's link."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(r"((?:/|%2F)join(?:/|%2F))[^/%\s\"'?#]+", re.IGNORECASE)


def without_secrets(line: str) -> str:
    return _SECRET.sub(r"\1…", line)


class WithoutSecrets(logging.Filter):
    """For a handler: each line as it is, but for secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if _SECRET.search(line):
            record.msg, record.args = without_secrets(line), ()
        return True
