"""`manage.py promote CHECKPOINT`: from now on this policy writes the completions."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rlhf import runs
from rlhf.management.following import checkpoint_named


class Command(BaseCommand):
    help = "Promote a policy: it writes the completions from now on. Promote the old one to go back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("checkpoint", help="number or name of the checkpoint")

    def handle(self, *args: Any, **options: Any) -> None:
        checkpoint = checkpoint_named(options["checkpoint"])
        try:
            runs.promote(checkpoint, user=None)
        except runs.CannotStart as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"“{checkpoint}” now writes the completions of “{checkpoint.project}”.")
