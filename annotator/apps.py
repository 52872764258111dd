"""The annotator app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from annotator.site.celery import app as celery_app  # tasks bind to it wherever Django runs

__all__ = ["AnnotatorConfig", "celery_app"]


class AnnotatorConfig(AppConfig):
    name = "annotator"
    verbose_name = _("People and tasks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from annotator import audit_signals  # models can be imported only now

        audit_signals.connect(self)
