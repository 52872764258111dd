"""Export a project's preferences or judgments as JSON Lines, with a manifest beside it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotator.exports import writing
from annotator.exports.formats import FORMATS
from annotator.models import Project

STEP = 10_000


class Command(BaseCommand):
    help = (
        "Export as JSON Lines: `trl` has prompt, chosen and rejected, `raw` every judgment. FILE and "
        "FILE.manifest.json appear when they are complete."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("--format", choices=list(FORMATS), required=True)
        parser.add_argument("--output", type=Path, metavar="FILE", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        if writing.is_empty(project, format=options["format"]):
            raise CommandError(f"{project.slug} has nothing to export yet: nobody has preferred anything.")
        try:
            manifest = writing.write_file(
                project, format=options["format"], path=options["output"], report=self._report()
            )
        except OSError as error:
            raise CommandError(f"Cannot write the export: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was written.", returncode=130) from None
        self.stdout.write(
            f"{options['output']}: {manifest.counts['lines']} lines from {manifest.counts['rankings']} "
            f"judgments on {manifest.counts['prompts']} tasks, sha256 {manifest.sha256}"
        )

    def _report(self) -> Any:
        shown = 0

        def report(lines: int) -> None:
            nonlocal shown
            if lines - shown >= STEP:
                shown = lines
                self.stderr.write(f"{lines} lines")

        return report
