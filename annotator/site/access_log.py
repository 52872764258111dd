"""gunicorn's log of requests, without the secrets of invitations in addresses or referrers."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from annotator.site.logs import without_secrets


class AccessLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        found = super().atoms(resp, req, environ, request_time)
        return {
            key: without_secrets(value) if isinstance(value, str) else value for key, value in found.items()
        }
