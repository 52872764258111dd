"""Settings, root URLs, Celery and WSGI."""

from annotator.site.celery import app as celery_app

__all__ = ["celery_app"]
