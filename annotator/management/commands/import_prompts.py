"""Import a file of tasks into a project, in this process: inspected, prepared, stored whole or not at all."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser, BooleanOptionalAction, RawDescriptionHelpFormatter
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import transaction

from annotator.models import Domain, Membership, Project, PromptImport, Role, User
from annotator.prompts import aside, importing, kept
from annotator.prompts.formats import families
from annotator.prompts.preparing import PreparationOptions
from annotator.prompts.reading import ImportProblem

State = PromptImport.State
DEFAULTS = PreparationOptions()
SHOWN = 5
"""Rejected lines that are printed."""
EXAMPLES = """\
examples:
  manage.py import_prompts support tasks.jsonl
  manage.py import_prompts support votes.parquet --near-duplicates --personal mask
  manage.py import_prompts support tasks.csv --dry-run --rejects rejects.jsonl
  manage.py import_prompts new-project signs.zip --create --manager alice --json

exit codes: 0 done; 1 nothing was stored; 2 the command was not understood; 130 interrupted, nothing stored
"""


class Command(BaseCommand):
    help = (
        "Import a file of tasks. Its format (JSON Lines, JSON, CSV, Parquet, a zip with images, exports of "
        "other programs) and encoding are recognised by its content. Lines that cannot be read are left out "
        "and said; the others are stored all together, or not at all."
    )

    def create_parser(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_parser(
            *args, formatter_class=RawDescriptionHelpFormatter, epilog=EXAMPLES, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("file", type=Path)
        parser.add_argument("--create", action="store_true", help="make the project if there is none")
        parser.add_argument("--manager", metavar="NAME", help="with --create: the user who manages it")
        parser.add_argument(
            "--domain", choices=Domain.values, default=Domain.GENERAL, help="of tasks that name none"
        )
        names = sorted(family.name for family in families(answers=False))
        parser.add_argument("--format", choices=names, default="", help="of the rows, if not as recognised")
        parser.add_argument(
            "--answers",
            action="store_true",
            help="in rows of instruction, input and output people rank the output, not the instruction",
        )
        parser.add_argument("--dry-run", action="store_true", help="inspect and report; store nothing")
        parser.add_argument("--strict", action="store_true", help="store nothing if any line cannot be read")
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE", help="write the lines that bring nothing, as JSON Lines"
        )
        parser.add_argument("--json", action="store_true", help="print the report and the counts as JSON")
        steps = parser.add_argument_group("steps of preparation")
        for name, words in (
            ("repair", "repair what a wrong encoding made of characters"),
            ("nfkc", "make special forms of characters plain"),
            ("strip-html", "remove HTML"),
            ("duplicates", "leave out lines that repeat all of another"),
            ("near-duplicates", "leave out tasks that are nearly the same as another"),
            ("contamination", "leave out tasks that give held-out ones away"),
        ):
            default = getattr(DEFAULTS, name.replace("-", "_"))
            words += " (on by default)" if default else ""
            steps.add_argument(f"--{name}", action=BooleanOptionalAction, default=default, help=words)
        steps.add_argument("--similarity", type=float, default=DEFAULTS.similarity, metavar="SHARE")
        steps.add_argument("--languages", nargs="+", default=(), metavar="CODE", help="only tasks in these")
        steps.add_argument("--min-tokens", type=int, default=0, metavar="N")
        steps.add_argument("--max-tokens", type=int, default=0, metavar="N")
        steps.add_argument(
            "--personal",
            choices=["leave", "flag", "mask"],
            default="flag",
            help="what to do with personal data",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project, is_new = _project(options["project"], options["create"], options["manager"])
        batch: PromptImport | None = None
        try:
            batch = self._start(project, options)
            self._carry_out(batch, options)
        except (CommandError, KeyboardInterrupt) as error:
            _remove(batch, project if is_new else None)
            if isinstance(error, KeyboardInterrupt):
                raise CommandError("Interrupted; nothing was imported.", returncode=130) from None
            raise
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(batch), ensure_ascii=False, indent=2))
        else:
            self._say(batch)
        if options["dry_run"]:
            _remove(batch, project if is_new else None)

    def _start(self, project: Project, options: dict[str, Any]) -> PromptImport:
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                return importing.create_import(
                    project=project,
                    name=path.name,
                    file=File(file, name=path.name),
                    user=None,
                    default_domain=options["domain"],
                    options=_steps(options),
                    answers=options["answers"],
                    family=options["format"],
                    send=False,
                )
        except (OSError, ImportProblem) as error:
            raise CommandError(f"{path}: {error}") from error

    def _carry_out(self, batch: PromptImport, options: dict[str, Any]) -> None:
        name = options["file"].name
        importing.run_import(batch.pk, self._progress("inspected"))
        batch.refresh_from_db()
        if batch.state != State.READY:
            raise CommandError(f"{name}: {batch.error or 'the import was cancelled.'}")
        if options["rejects"]:
            _write_rejects(batch, options["rejects"])
        if options["strict"] and batch.report["rejected"]:
            raise CommandError(f"{name}: {kept.in_words(batch.report['rejects']['unread'][0])}")
        if options["dry_run"]:
            return
        if not batch.report["kept"]:
            raise CommandError(
                f"{name}: no task is left of {batch.report['read']} rows. {_first_reject(batch)}"
            )
        importing.start_import(batch, send=False)
        importing.run_import(batch.pk, self._progress("stored"))
        batch.refresh_from_db()
        if batch.state != State.DONE:
            raise CommandError(f"{name}: {batch.error or 'the import was cancelled.'}")

    def _progress(self, verb: str) -> Any:
        return lambda done, total: self.stderr.write(f"{done} of {total or '?'} {verb}")

    def _say(self, batch: PromptImport) -> None:
        report, counts = batch.report, batch.counts
        self.stdout.write(f"{batch.name}: {batch.format}" + (f", {batch.encoding}" if batch.encoding else ""))
        self.stdout.write(
            f"{report['read']} rows: {report['kept']} tasks, {report['left_out']} left out by a step, "
            f"{report['rejected']} could not be read."
        )
        for step in report["steps"]:
            if step["changed"] or step["left_out"]:
                self.stdout.write(
                    f"  {step['name']:<16} {step['changed']:>7} changed {step['left_out']:>7} left out"
                )
        for row in report["rejects"]["unread"][:SHOWN]:
            self.stdout.write(f"  {kept.in_words(row)}")
        if report["rejected"] > SHOWN:
            self.stdout.write(f"  … and {report['rejected'] - SHOWN} more; --rejects FILE has all of them.")
        if batch.state == State.READY:
            self.stdout.write("Nothing was stored (--dry-run).")
            return
        self.stdout.write(
            f"{batch.project.slug}: {counts['prompts']} new tasks ({counts['held_out']} held out), "
            f"{counts['completions']} instructions, {counts['comparisons']} comparisons, "
            f"{counts['rankings']} judgments; {counts['known']} tasks were there already."
        )


def _steps(options: dict[str, Any]) -> PreparationOptions:
    values = {one.name: options[one.name] for one in fields(DEFAULTS)}
    values["languages"] = tuple(values["languages"])
    values["personal"] = "" if values["personal"] == "leave" else values["personal"]
    if not 0 < values["similarity"] <= 1:
        raise CommandError("--similarity is a share above 0 and up to 1.")
    return PreparationOptions(**values)


def _write_rejects(batch: PromptImport, path: Path) -> None:
    try:
        if batch.rejects:
            shutil.copyfile(kept.path_of(str(batch.rejects.name)), path)
        else:
            path.write_text("")
    except OSError as error:
        raise CommandError(f"{path}: {error}") from error


def _first_reject(batch: PromptImport) -> str:
    rejects = batch.report["rejects"]
    rows = [*rejects["unread"], *rejects["left_out"]]
    return kept.in_words(rows[0]) if rows else ""


def _as_json(batch: PromptImport) -> dict[str, Any]:
    names = ("state", "format", "encoding", "sha256", "options", "report", "counts")
    return {
        "project": batch.project.slug,
        "file": batch.name,
        **{name: getattr(batch, name) for name in names},
    }


def _remove(batch: PromptImport | None, project: Project | None) -> None:
    """Leave nothing of an import that stored nothing, nor of a project that was made for it."""
    if batch is not None:
        aside.clear_all(batch)
        for file in (batch.file, batch.records, batch.rejects):
            kept.forget(str(file.name))
        PromptImport.objects.filter(pk=batch.pk).delete()
    if project is not None:
        project.delete()


@transaction.atomic
def _project(slug: str, create: bool, manager: str | None) -> tuple[Project, bool]:
    project = Project.objects.filter(slug=slug).first()
    if project is not None:
        return project, False
    if not create:
        slugs = ", ".join(Project.objects.values_list("slug", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no project “{slug}” (there are: {slugs}). --create makes it.")
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise CommandError(
            f"“{slug}” cannot be part of an address: use letters, digits and hyphens."
        ) from error
    project = Project.objects.create(slug=slug, name=slug.replace("-", " ").capitalize())
    if manager is not None:
        user = User.objects.filter(username=manager).first()
        if user is None:
            raise CommandError(f"There is no user “{manager}”.")
        Membership.objects.create(project=project, user=user, role=Role.MANAGER)
    return project, True
