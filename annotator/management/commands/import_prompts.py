"""Import a file of tasks into a project, in this process."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import transaction

from annotator.models import Domain, Membership, Project, PromptImport, Role, User
from annotator.prompts import importing
from annotator.prompts.reading import ImportProblem


class Command(BaseCommand):
    help = (
        "Import a UTF-8 file of tasks: lines of `instruction<TAB>task`, or JSON Lines with the task as "
        "`text`, `task` or `prompt`. All of it is stored, or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("file", type=Path)
        parser.add_argument("--create", action="store_true", help="make the project if there is none")
        parser.add_argument("--manager", metavar="NAME", help="with --create: the user who manages it")
        parser.add_argument(
            "--domain", choices=Domain.values, default=Domain.GENERAL, help="of tasks that name none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project, is_new = _project(options["project"], options["create"], options["manager"])
        try:
            batch = self._import(project, options["file"], options["domain"])
        except (CommandError, KeyboardInterrupt) as error:
            if is_new:
                project.delete()
            if isinstance(error, KeyboardInterrupt):
                raise CommandError("Interrupted; nothing was imported.", returncode=130) from None
            raise
        counts = batch.counts
        self.stdout.write(
            f"{project.slug}: {counts['prompts']} new tasks ({counts['held_out']} held out), "
            f"{counts['completions']} instructions, {counts['comparisons']} comparisons; "
            f"{counts['known']} tasks were there already, {counts['repeated']} lines repeated others."
        )

    def _import(self, project: Project, path: Path, domain: str) -> PromptImport:
        try:
            with path.open("rb") as file:
                batch = importing.create_import(
                    project=project,
                    name=path.name,
                    file=File(file, name=path.name),
                    user=None,
                    default_domain=domain,
                    send=False,
                )
        except (OSError, ImportProblem) as error:
            raise CommandError(f"{path}: {error}") from error
        importing.run_import(batch.pk, lambda read, lines: self.stderr.write(f"{read} of {lines} lines"))
        batch.refresh_from_db()
        if batch.state != PromptImport.State.DONE:
            raise CommandError(f"{path.name}: {batch.error or 'the import was cancelled.'}")
        return batch


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
