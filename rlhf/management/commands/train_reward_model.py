"""`manage.py train_reward_model PROJECT`: a reward model learns from all rankings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from annotator.models import Project
from rlhf import runs
from rlhf.lm.config_bounds import CHOICES
from rlhf.management.following import RunCommand, settings_from
from rlhf.models import Run


class Command(RunCommand):
    help = "Train a reward model on the project's rankings and judge it on held-out prompts."

    def add_settings(self, parser: ArgumentParser) -> None:
        parser.add_argument("--heads", type=int)
        parser.add_argument("--steps", type=int)
        parser.add_argument("--l2", type=float)
        parser.add_argument("--tried-examples", type=int, help="shown examples an instruction is tried on")
        parser.add_argument(
            "--execution-weight", type=float, help="of what comes of that; 30 to choose the best"
        )
        parser.add_argument("--inputs", help="names from rlhf/lm/inputs.py, with commas between")
        parser.add_argument("--length", choices=CHOICES["length"])
        parser.add_argument("--seed", type=int)

    def start(self, project: Project, options: dict[str, Any]) -> Run:
        names = ("heads", "steps", "l2", "tried_examples", "execution_weight", "inputs", "length", "seed")
        config = settings_from(options, *names)
        return runs.start_reward(project=project, config=config)

    def report(self, run: Run) -> None:
        checkpoint = run.checkpoint
        self.stdout.write(f"Checkpoint {checkpoint.pk}: {checkpoint}")
        for name, value in checkpoint.metrics.items():
            self.stdout.write(f"  {name}: {value}")
