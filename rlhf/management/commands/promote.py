"""`manage.py promote CHECKPOINT`: from now on this policy writes the completions."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rlhf import promotion, runs
from rlhf.management.following import checkpoint_named


class Command(BaseCommand):
    help = "Promote a policy: it writes the completions from now on. Promote the old one to go back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("checkpoint", help="number or name of the checkpoint")
        parser.add_argument("--unevaluated", action="store_true", help="also if it was never evaluated")

    def handle(self, *args: Any, **options: Any) -> None:
        checkpoint = checkpoint_named(options["checkpoint"])
        try:
            promotion.promote(checkpoint, user=None, unevaluated=options["unevaluated"])
        except promotion.NotEvaluated as error:
            raise CommandError(f"{error} (--unevaluated)") from error
        except runs.CannotStart as error:
            raise CommandError(str(error)) from error
        evaluation = promotion.evaluation_of(checkpoint)
        figures = promotion.figures_of(checkpoint, evaluation)
        self.stdout.write(json.dumps(figures, indent=2, ensure_ascii=False) if figures else "No evaluation.")
        self.stdout.write(f"“{checkpoint}” now writes the completions of “{checkpoint.project}”.")
