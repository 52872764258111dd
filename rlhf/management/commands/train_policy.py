"""`manage.py train_policy PROJECT --algorithm grpo`: the policy is fine-tuned against the reward model."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from annotator.models import Project
from rlhf import runs
from rlhf.lm.configs import POLICY_CONFIGS, PolicyConfig
from rlhf.management.following import RunCommand, checkpoint_named, settings_from
from rlhf.models import Run

SETTINGS = (
    "steps",
    "prompts_per_step",
    "completions_per_prompt",
    "learning_rate",
    "kl_coef",
    "kl_budget",
    "epochs",
    "beta",
    "groups_per_step",
    "seed",
)


class Command(RunCommand):
    help = "Fine-tune the promoted policy: against the newest reward model, or on the rankings (DPO, SFT)."

    def add_settings(self, parser: ArgumentParser) -> None:
        parser.add_argument("--algorithm", default=PolicyConfig.algorithm, choices=list(POLICY_CONFIGS))
        parser.add_argument("--steps", type=int)
        parser.add_argument("--prompts-per-step", type=int)
        parser.add_argument("--completions-per-prompt", type=int)
        parser.add_argument("--learning-rate", type=float)
        parser.add_argument("--kl-coef", type=float)
        parser.add_argument("--kl-budget", type=float)
        parser.add_argument(
            "--epochs", type=int, help="through all tasks (DPO, SFT), or on the same completions"
        )
        parser.add_argument("--beta", type=float, help="of DPO")
        parser.add_argument("--groups-per-step", type=int, help="tasks an update, of DPO and SFT")
        parser.add_argument("--seed", type=int)
        parser.add_argument("--policy", metavar="CHECKPOINT", help="start from this one")
        parser.add_argument("--reward", metavar="CHECKPOINT", help="this reward model, not the newest one")

    def start(self, project: Project, options: dict[str, Any]) -> Run:
        return runs.start_policy(
            project=project,
            algorithm=options["algorithm"],
            config=settings_from(options, *SETTINGS),
            policy=checkpoint_named(options["policy"], project) if options["policy"] else None,
            reward=checkpoint_named(options["reward"], project) if options["reward"] else None,
        )

    def report(self, run: Run) -> None:
        self.stdout.write(f"Checkpoint {run.checkpoint.pk}: {run.checkpoint}")
        last = run.records.last()
        for name, value in (last.values if last else {}).items():
            self.stdout.write(f"  {name}: {value}")
