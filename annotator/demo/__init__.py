"""The demo: a project with tasks written for it, its guidelines, and three accounts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.contrib.auth.models import Group, Permission
from django.core.files import File
from django.db import transaction

from annotator import events
from annotator.models import Domain, Guideline, Membership, Project, PromptImport, ResponseFormat, Role, User
from annotator.prompts import importing, kept

SLUG = "demo"
FOLDER = Path(__file__).parent
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
STAFF_GROUP = "Managers"
STAFF_MAY_CHANGE = ("project", "guideline", "membership", "prompt", "comparison")
DESCRIPTION = (
    "Everyday jobs in customer service, code, writing, work between agents and general knowledge, in "
    "English and Chinese. Each task is given by a situation and examples; a model writes the instruction."
)


class DemoFailed(RuntimeError):
    """The demo could not be made; nothing of it is left."""


def task_files() -> list[Path]:
    """The demo's task files, in the order in which they are imported."""
    return sorted(FOLDER.glob("*.jsonl"))


@transaction.atomic
def create(accounts_file: Path, report: Callable[[str], None]) -> list[tuple[str, str]]:
    """Make the demo project and its accounts: (name, password) of those that are new.

    The passwords are also written to `accounts_file`, which only its owner can read. Raises
    DemoFailed, and then leaves nothing behind.
    """
    passwords = {role: _new_user(role) for role in Role.values}
    people = {role: User.objects.get(username=role) for role in Role.values}
    _make_staff(people[Role.MANAGER])
    project = Project.objects.create(
        name="Demo: everyday instructions",
        slug=SLUG,
        description=DESCRIPTION,
        response_format=ResponseFormat.PAIRWISE,
        completions_per_comparison=2,
        held_out_share=0.25,
        created_by=people[Role.MANAGER],
    )
    for role, user in people.items():
        Membership.objects.create(project=project, user=user, role=role)
    Guideline.objects.create(
        project=project,
        version=1,
        text=(FOLDER / "guidelines.md").read_text(encoding="utf-8"),
        created_by=people[Role.MANAGER],
    )
    events.record(project, people[Role.MANAGER], "created the project", project.name)
    for path in task_files():
        _import(project, path, people[Role.MANAGER])
        report(f"{path.name}: {project.prompts.count()} tasks so far")
    new = [(role, password) for role, password in passwords.items() if password]
    if new:
        write_accounts(accounts_file, new)
    return new


def write_accounts(path: Path, accounts: list[tuple[str, str]]) -> None:
    """Write names and passwords to a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(f"{name:<12}{password}\n" for name, password in accounts)


def _new_user(name: str) -> str:
    """Make the user, and return the password; an account that is there already keeps its own: ""."""
    if User.objects.filter(username=name).exists():
        return ""
    password = "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))
    User.objects.create_user(name, password=password)
    return password


def _make_staff(manager: User) -> None:
    """Let the manager into the admin: to see everything, and to change what holds no history."""
    group, _ = Group.objects.get_or_create(name=STAFF_GROUP)
    ours = Permission.objects.filter(content_type__app_label__in=["annotator", "rlhf"])
    group.permissions.set(ours.filter(codename__startswith="view_"))
    group.permissions.add(*ours.filter(codename__in=[f"change_{name}" for name in STAFF_MAY_CHANGE]))
    group.permissions.add(*ours.filter(codename__in=["add_membership", "delete_membership", "add_guideline"]))
    manager.groups.add(group)
    manager.is_staff = True
    manager.save(update_fields=["is_staff"])


def _import(project: Project, path: Path, user: User) -> None:
    with path.open("rb") as file:
        batch = importing.create_import(
            project=project,
            name=path.name,
            file=File(file, name=path.name),
            user=user,
            default_domain=Domain.GENERAL,
            send=False,
        )
    importing.import_now(batch)
    if batch.state != PromptImport.State.DONE:
        raise DemoFailed(f"{path.name}: {batch.error}")
    for row in kept.rejects_of(batch):
        raise DemoFailed(f"{path.name}: {kept.in_words(row)}")
