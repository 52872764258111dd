"""`manage.py generate PROJECT --k 4`: the promoted policy writes completions for the project's prompts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from annotator.models import Project
from rlhf import runs
from rlhf.management.following import RunCommand, checkpoint_named, settings_from
from rlhf.models import Generation, Run


class Command(RunCommand):
    help = "Let the promoted policy write completions for every prompt, and queue comparisons of them."

    def add_settings(self, parser: ArgumentParser) -> None:
        parser.add_argument("--k", type=int, default=4, help="completions a prompt (default 4)")
        parser.add_argument("--tasks", type=int, help="only so many prompts")
        parser.add_argument(
            "--best-of", type=int, help="write so many for each that is kept by the reward model (default 1)"
        )
        parser.add_argument("--reward", metavar="CHECKPOINT", help="by this reward model, not the newest one")
        parser.add_argument("--temperature", type=float)
        parser.add_argument("--top-p", type=float)
        parser.add_argument("--seed", type=int)

    def start(self, project: Project, options: dict[str, Any]) -> Run:
        return runs.start_generation(
            project=project,
            completions_per_task=options["k"],
            tasks=options["tasks"],
            reward=checkpoint_named(options["reward"], project) if options["reward"] else None,
            config=settings_from(options, "best_of", "temperature", "top_p", "seed"),
        )

    def report(self, run: Run) -> None:
        written = Generation.objects.filter(run=run).count()
        waiting = run.project.comparisons.filter(is_closed=False, judgments_taken=0).count()
        self.stdout.write(f"{written} completions written by {run.policy}; {waiting} comparisons wait.")
