"""Create the demo project and its accounts, once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from annotator import demo
from annotator.models import Project


class Command(BaseCommand):
    help = (
        "Create the demo project and the accounts annotator, manager and researcher with random passwords, "
        "which are printed and kept in var/demo_accounts.txt. Does nothing where the demo exists."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        accounts_file = settings.VAR / "demo_accounts.txt"
        if Project.objects.filter(slug=demo.SLUG).exists():
            self.stdout.write(f"The demo project exists. {_where(accounts_file.exists())}")
            return
        try:
            accounts = demo.create(accounts_file, lambda line: self.stderr.write(line))
        except (demo.DemoFailed, OSError) as error:
            raise CommandError(f"The demo was not created: {error}") from error
        tasks = Project.objects.get(slug=demo.SLUG).prompts
        held_out = tasks.filter(is_held_out=True).count()
        self.stdout.write(
            f"Created the demo project with {tasks.count()} tasks, {held_out} of them held out. Its accounts:"
        )
        for name, password in accounts:
            self.stdout.write(f"  {name:<12}{password}")
        self.stdout.write(_where(bool(accounts)))


def _where(has_file: bool) -> str:
    if has_file:
        return "The accounts are in var/demo_accounts.txt, which only you can read."
    return "Its accounts keep their passwords; `manage.py changepassword annotator` sets a new one."
