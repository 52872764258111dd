"""The rlhf app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RlhfConfig(AppConfig):
    name = "rlhf"
    verbose_name = _("Models")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from annotator.exports import provenance
        from rlhf.provenance import Checkpoints

        provenance.register(Checkpoints())
