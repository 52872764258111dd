"""`manage.py evaluate PROJECT`: the new policy against the old one, on held-out prompts."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from annotator.models import Project
from rlhf import runs
from rlhf.management.following import RunCommand, checkpoint_named
from rlhf.models import Run


class Command(RunCommand):
    help = "Evaluate the newest policy against the one it comes from, on held-out prompts."

    def add_settings(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new", metavar="CHECKPOINT", help="default: the newest policy")
        parser.add_argument("--old", metavar="CHECKPOINT", help="default: the one it was trained from")
        parser.add_argument(
            "--ask-people", type=int, default=0, metavar="N", help="and annotators, blindly, on N tasks"
        )

    def start(self, project: Project, options: dict[str, Any]) -> Run:
        return runs.start_evaluation(
            project=project,
            new=checkpoint_named(options["new"], project) if options["new"] else None,
            old=checkpoint_named(options["old"], project) if options["old"] else None,
            ask_people=options["ask_people"],
        )

    def report(self, run: Run) -> None:
        evaluation = run.evaluation
        self.stdout.write(f"{evaluation}:")
        self.stdout.write(json.dumps(evaluation.result, indent=2, ensure_ascii=False))
