"""Export a project's judgments or preferences: one file, or a folder with all that belongs to a data set."""

from __future__ import annotations

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from annotator import consent
from annotator.exports import export, writing
from annotator.exports.checking import InvalidRequest
from annotator.exports.formats import FORMATS
from annotator.exports.manifest import Manifest
from annotator.exports.preferences import RULES
from annotator.exports.recipe import LICENSES, Recipe
from annotator.exports.selection import HELD_OUT, JUDGMENTS, SPLITS, Frozen, Selection
from annotator.models import Project

STEP = 10_000
FILE_TYPES = sorted({file_type for form in FORMATS.values() for file_type in form.file_types})
EPILOG = "formats:\n" + "\n".join(f"  {form.name:<24}{form.about}" for form in FORMATS.values())


class _AsWritten(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of description and list."""


class Command(BaseCommand):
    help = (
        "With --output FILE: everything as JSON Lines, and FILE.manifest.json.\n"
        "With --folder DIR: data files for train, validation and test, manifest.json, a card (README.md)\n"
        "and a Croissant description. Filters, splits and kinds of file work with this one.\n"
        "Both appear when they are complete. Exit codes: 0 done, 1 not done (nothing was written),\n"
        "2 wrong options, 130 interrupted."
    )

    def create_parser(self, *args: Any, **kwargs: Any) -> Any:
        parser = super().create_parser(*args, formatter_class=_AsWritten, **kwargs)
        parser.epilog = EPILOG
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("--format", choices=list(FORMATS), help="what a line is: see below")
        to = parser.add_mutually_exclusive_group(required=True)
        to.add_argument("--output", type=Path, metavar="FILE", help="one file of JSON Lines")
        to.add_argument("--folder", type=Path, metavar="DIR", help="a data set; the folder must not be there")
        made = parser.add_argument_group("how it is made (with --folder)")
        made.add_argument(
            "--type", choices=FILE_TYPES, dest="file_type", help="default: what the format's readers expect"
        )
        made.add_argument("--gzip", action="store_true", help="compress JSON Lines or CSV")
        made.add_argument("--rule", choices=RULES, help="from votes to preferences (default: vote)")
        made.add_argument("--license", choices=LICENSES, metavar="ID", help="as hubs name it")
        made.add_argument(
            "--split",
            metavar="TRAIN,VALIDATION,TEST",
            help="shares of the tasks, such as 0.8,0.1,0.1; those held out are in test (default: 1,0,0)",
        )
        made.add_argument(
            "--repeat",
            type=Path,
            metavar="MANIFEST",
            help="make the export of this manifest.json again, to the byte; instead of the other options",
        )
        taken = parser.add_argument_group("what is taken (with --folder)")
        taken.add_argument("--iteration-from", type=int, metavar="N")
        taken.add_argument("--iteration-to", type=int, metavar="N", help="this one included")
        taken.add_argument("--given-from", metavar="TIME", help="as 2026-01-31T00:00:00Z")
        taken.add_argument("--given-before", metavar="TIME")
        taken.add_argument(
            "--min-reliability", type=float, metavar="SHARE", help="η of the annotator, 0 to 1"
        )
        taken.add_argument("--min-agreement", type=float, metavar="SHARE", help="of the comparison, 0 to 1")
        taken.add_argument("--domain", action="append", default=[], dest="domains", metavar="NAME")
        taken.add_argument("--language", action="append", default=[], dest="languages", metavar="CODE")
        taken.add_argument("--source", action="append", default=[], dest="sources", metavar="NAME")
        taken.add_argument("--judgments", choices=JUDGMENTS, help="default: all")
        taken.add_argument("--held-out", choices=HELD_OUT, help="tasks that are held out (default: include)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        try:
            recipe, frozen = self._recipe(options, project)
            manifest = self._write(project, recipe, frozen, options)
        except InvalidRequest as error:
            raise CommandError(str(error), returncode=2) from error
        except export.NothingToExport as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Cannot write the export: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was written.", returncode=130) from None
        self.stdout.write(
            f"{options['folder'] or options['output']}: {manifest.counts['lines']} lines from "
            f"{manifest.counts['rankings']} judgments on {manifest.counts['prompts']} tasks, "
            f"sha256 {manifest.sha256}"
        )

    def _write(self, project: Project, recipe: Recipe, frozen: Frozen, options: dict[str, Any]) -> Manifest:
        if options["folder"]:
            return export.write_export(
                project,
                recipe,
                frozen=frozen,
                folder=options["folder"],
                withdrawn=consent.withdrawn_ids(project),
                report=self._report("judgments read"),
            )
        if recipe != Recipe(recipe.format, file_type="jsonl"):
            raise InvalidRequest("--output", "it takes no options but --format; use --folder.")
        if writing.is_empty(project, format=recipe.format):
            raise export.NothingToExport(
                f"{project.slug} has nothing to export yet: nobody has preferred anything."
            )
        return writing.write_file(
            project, format=recipe.format, path=options["output"], report=self._report("lines")
        )

    def _recipe(self, options: dict[str, Any], project: Project) -> tuple[Recipe, Frozen]:
        given = {name: options[name] for name in Recipe.__dataclass_fields__ if options.get(name)}
        chosen = {
            name: options[name] for name in Selection.__dataclass_fields__ if options[name] not in (None, [])
        }
        if options["split"]:
            given["splits"] = _splits(options["split"])
        if chosen:
            given["selection"] = chosen
        if options["repeat"]:
            if given:
                raise InvalidRequest("--repeat", f"the manifest says it all; leave out {', '.join(given)}.")
            return _of_manifest(options["repeat"])
        if not options["format"]:
            raise InvalidRequest("--format", "say which, or --repeat an export.")
        if options["output"]:
            given.setdefault("file_type", "jsonl")
        return Recipe.from_json(given), Frozen.now(project)

    def _report(self, what: str) -> Callable[[int], None]:
        shown = 0

        def report(done: int) -> None:
            nonlocal shown
            if done - shown >= STEP:
                shown = done
                self.stderr.write(f"{done} {what}")

        return report


def _of_manifest(path: Path) -> tuple[Recipe, Frozen]:
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidRequest("--repeat", f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or not {"recipe", "frozen"} <= manifest.keys():
        raise InvalidRequest("--repeat", f"{path} is not the manifest of an export.")
    return Recipe.from_json(manifest["recipe"]), Frozen.from_json(manifest["frozen"])


def _splits(text: str) -> dict[str, float]:
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != len(SPLITS):
        raise InvalidRequest("--split", "three shares with commas between them, such as 0.8,0.1,0.1.")
    return dict(zip(SPLITS, shares, strict=True))
