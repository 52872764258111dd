"""The rlhf app."""

from django.apps import AppConfig


class RlhfConfig(AppConfig):
    name = "rlhf"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from annotator.exports import provenance
        from rlhf.provenance import Checkpoints

        provenance.register(Checkpoints())
