"""`manage.py simulate_annotators PROJECT --rankings 300`: rankings by simulated annotators, so marked."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotator import events
from annotator.models import Project
from rlhf import runs, simulation
from rlhf.management.following import PATIENCE, Follower, project_named, work_here


class Command(BaseCommand):
    help = (
        "Let simulated annotators rank through the queue. They prefer by the gold metric; where gold "
        "scores are missing, a scoring run is started first. All they do is marked as simulated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("--annotators", type=int, default=5)
        parser.add_argument("--rankings", type=int, default=300)
        parser.add_argument("--noise", type=float, default=0.15, help="share of wrong pairs (default 0.15)")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--here", action="store_true", help="score in this process, without a worker")
        parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds to wait for a worker")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        if options["rankings"] < 1:
            raise CommandError("--rankings must be at least 1.")
        if not project.comparisons.filter(is_closed=False).exists():
            raise CommandError(
                f"“{project}” has no comparisons to rank. Run `generate {project.slug}` first."
            )
        try:
            annotators = simulation.annotators_for(
                project, count=options["annotators"], noise=options["noise"], seed=options["seed"]
            )
        except ValueError as error:
            raise CommandError(f"Not possible: {error}.") from error
        self.score(project, options)
        done = 0
        try:
            for done in simulation.simulate(
                project, annotators, rankings=options["rankings"], seed=options["seed"]
            ):
                if done % 100 == 0:
                    self.stdout.write(f"{done}/{options['rankings']} rankings")
                    self.stdout.flush()
        except KeyboardInterrupt:
            self.stdout.write(f"Stopped after {done} rankings.")
            sys.exit(130)
        if not done:
            raise CommandError("The queue has nothing that these annotators could rank by gold scores.")
        events.record(project, None, "simulated", f"{done} rankings")
        short = "" if done == options["rankings"] else "; the queue has no more for them"
        self.stdout.write(f"{done} rankings by {len(annotators)} simulated annotators{short}.")

    def score(self, project: Project, options: dict[str, Any]) -> None:
        """Wait for gold scores where some are missing."""
        if not runs.unscored(project).exists():
            return
        try:
            run = runs.start_scoring(project=project)
        except runs.CannotStart as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{run.total} completions have no gold score yet; {run} gives it to them.")
        if options["here"]:
            work_here(run)
        Follower(self.stdout, patience=options["patience"]).follow(run)
