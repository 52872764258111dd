"""`make loop`: the whole loop on throw-away data with real workers; prints a table, writes var/loop.json."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from annotator.site.throwaway import ROOT, throwaway
from rlhf import loop, loop_report, runs
from rlhf.management.following import Follower, settings_from

POLICY = ("steps", "prompts_per_step", "completions_per_prompt", "learning_rate", "kl_coef", "max_new_tokens")


class Command(BaseCommand):
    help = "Go round the whole loop, on an installation of its own that is gone afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--here", action="store_true", help="in this installation, with its workers")
        parser.add_argument("--output", type=Path, default=settings.VAR / "loop.json", metavar="FILE")
        parser.add_argument("--model", help="generator and executor (default: the site's)")
        parser.add_argument("--limit", type=int, dest="tasks", help="only so many tasks")
        parser.add_argument("--k", type=int, dest="completions_per_task", help="completions a task")
        parser.add_argument("--annotators", type=int)
        parser.add_argument("--rankings", type=int)
        parser.add_argument("--noise", type=float)
        parser.add_argument("--seed", type=int)
        parser.add_argument("--minutes", type=float, help="end within so many (default 15)")
        for name in POLICY:
            kind = float if name in ("learning_rate", "kl_coef") else int
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="of the policy run")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["here"]:
            self.go_round(options)
        else:
            self.go_round_elsewhere(options)

    def go_round(self, options: dict[str, Any]) -> None:
        """One turn with the workers that are running."""
        plan = settings_from(
            options, "tasks", "completions_per_task", "annotators", "rankings", "noise", "seed", "minutes"
        )
        turn = loop.Loop(
            loop.Plan(**plan, policy=settings_from(options, *POLICY)),
            follow=Follower(self.stdout).follow,
            say=self.say,
        )
        with tempfile.TemporaryDirectory() as folder:
            try:
                report = turn.turn(Path(folder) / "preferences.jsonl")
            except (runs.CannotStart, ValueError, RuntimeError) as error:
                raise CommandError(str(error)) from error
        output: Path = options["output"]
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self.say(f"\n{loop_report.table(report)}\n\nWritten to {output}")

    def go_round_elsewhere(self, options: dict[str, Any]) -> None:
        """One turn in a throw-away installation, whose processes end with it, however it ends."""
        signal.signal(signal.SIGTERM, _interrupt)
        words = ["loop", "--here", "--output", str(options["output"].resolve())]
        for name in ("annotators", "rankings", "noise", "seed", "minutes", *POLICY):
            if options[name] is not None:
                words += [f"--{name.replace('_', '-')}", str(options[name])]
        for name, flag in (("tasks", "--limit"), ("completions_per_task", "--k")):
            if options[name] is not None:
                words += [flag, str(options[name])]
        env = {"MODEL": options["model"], "EXECUTOR": options["model"]} if options["model"] else {}
        try:
            with throwaway(models=settings.MODELS_DIR, **env) as site:
                site.start_redis()
                for queue in ("light", "model"):
                    site.start_worker(queue)
                site.start_beat()
                turn = subprocess.run(site.manage_command(*words), env=site.env, cwd=ROOT, check=False)  # noqa: S603
                if turn.returncode:
                    self.stderr.write(f"The model worker's last lines:\n{site.log('model')[-2000:]}")
        except (RuntimeError, OSError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped; nothing of it is left.")
            sys.exit(130)
        if turn.returncode:
            sys.exit(turn.returncode)

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
