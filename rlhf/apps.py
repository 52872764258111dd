"""The rlhf app."""

from django.apps import AppConfig


class RlhfConfig(AppConfig):
    name = "rlhf"
    default_auto_field = "django.db.models.BigAutoField"
