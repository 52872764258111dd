"""Migrate, and in an empty database create the demo project and start its first generation."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from annotator.models import Project, User


class Command(BaseCommand):
    help = "Migrate; in an empty database create the demo project and queue its first generation."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        if Project.objects.exists() or User.objects.exists():
            return
        with transaction.atomic():  # a start that dies here begins from the beginning
            call_command("create_demo", stdout=self.stdout)
            call_command("generate", "demo", "--detach", stdout=self.stdout)
