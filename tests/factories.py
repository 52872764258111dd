"""Rows for tests, made through the project's own doors."""

from __future__ import annotations

import itertools
import zipfile
from io import BytesIO
from typing import Any

from django.core.files.base import ContentFile
from PIL import Image

from annotator.models import (
    Comparison,
    Completion,
    Guideline,
    Membership,
    Project,
    Prompt,
    PromptImport,
    Role,
    User,
)
from annotator.prompts import importing, kept
from annotator.prompts.records import Record
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.queue import NewComparison
from annotator.ranking.submit import submit

_number = itertools.count(1)


def make_user(username: str = "", **values: Any) -> User:
    """A user whose password is their name."""
    username = username or f"user{next(_number)}"
    return User.objects.create_user(username, f"{username}@example.org", username, **values)


def make_project(slug: str = "", **values: Any) -> Project:
    """A project; unless it is asked to, it leaves no task out and adds no gold questions and no repeats."""
    slug = slug or f"project-{next(_number)}"
    # A task's own hash says whether it is left out: a test would pass or not by the number it drew.
    values = {"gold_rate": 0.0, "repeat_rate": 0.0, "held_out_share": 0.0, **values}
    values.setdefault("name", slug.replace("-", " ").capitalize())
    return Project.objects.create(slug=slug, **values)


def make_member(
    project: Project, role: Role = Role.ANNOTATOR, user: User | None = None, **values: Any
) -> User:
    user = user or make_user()
    Membership.objects.create(project=project, user=user, role=role, **values)
    return user


def make_guideline(project: Project, text: str = "Prefer the *clearer* instruction.") -> Guideline:
    last = project.guideline
    return Guideline.objects.create(project=project, text=text, version=last.version + 1 if last else 1)


def make_prompt(project: Project, text: str = "", **values: Any) -> Prompt:
    return Prompt.objects.create(project=project, text=text or f"Task number {next(_number)}", **values)


def make_image(kind: str = "PNG", size: tuple[int, int] = (4, 2)) -> BytesIO:
    """A file with a red picture."""
    file = BytesIO()
    Image.new("RGB", size, "red").save(file, kind)
    file.seek(0)
    return file


def make_completions(prompt: Prompt, count: int = 2, **values: Any) -> list[Completion]:
    values.setdefault("source", Completion.Source.MODEL)
    values.setdefault("iteration", 1)
    texts = [f"Instruction number {next(_number)}" for _ in range(count)]
    return queue.add_completions(prompt=prompt, texts=texts, **values)


def make_comparison(
    project: Project,
    prompt: Prompt | None = None,
    *,
    completions: list[Completion] | None = None,
    k: int | None = None,
    priority: float = 0.0,
    rule: str = Comparison.Rule.RANDOM,
    wanted: int | None = None,
    iteration: int = 1,
) -> Comparison:
    """An open comparison of k (the project's number of) completions of a prompt, new unless given."""
    if prompt is None:
        prompt = completions[0].prompt if completions else make_prompt(project)
    if completions is None:
        completions = make_completions(prompt, k or project.completions_per_comparison)
    new = NewComparison(prompt.pk, tuple(c.pk for c in completions), priority, rule)
    assert queue.add_comparisons(project=project, comparisons=[new], iteration=iteration) == 1
    comparison = Comparison.objects.filter(prompt=prompt).latest("pk")
    if wanted is not None:
        comparison.judgments_wanted = wanted
        comparison.save()
    return comparison


def make_ranking(project: Project, annotator: User, *, first: int = 0, key: str = "", **judgment: Any) -> Any:
    """The annotator claims the next comparison and prefers its `first` completion (by id) to the rest."""
    assignment = queue.claim_next(annotator=annotator, project=project)
    assert assignment is not None, "nothing left to claim"
    best = sorted(assignment.order)[first]
    judgment.setdefault("ranks", {c: 1 if c == best else 2 for c in assignment.order})
    return submit(
        assignment=assignment,
        judgment=Judgment(**judgment),
        idempotency_key=key or f"key-{next(_number)}",
    )


def make_zip() -> bytes:
    """Two pictures with a table, and a row whose picture is none."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        table = "image,description,instruction\n"
        for name, content in (
            ("a", make_image()),
            ("b", make_image("JPEG")),
            ("broken", BytesIO(b"no image")),
        ):
            archive.writestr(f"signs/{name}.png", content.getvalue())
            table += f"{name}.png,A sign {name},Read the sign\n"
        archive.writestr("signs/table.csv", table)
    return out.getvalue()


def make_import(
    project: Project, content: str | bytes = "Say it.\tTask", name: str = "tasks.tsv", **values: Any
) -> PromptImport:
    """A file that waits for its inspection; it is sent to no broker."""
    values = {"user": None, "default_domain": "general", "send": False, **values}
    file = ContentFile(content.encode() if isinstance(content, str) else content, name=name)
    return importing.create_import(project=project, name=name, file=file, **values)


def make_inspected(project: Project, records: list[Record], **values: Any) -> PromptImport:
    """An import whose inspection found these tasks, ready to be stored."""
    batch = make_import(project, **values)
    with kept.Files(batch) as files:
        for record in records:
            files.add(record)
    batch.records, batch.state = files.records_name, PromptImport.State.READY
    batch.report = {"kept": len(records), "rejected": 0}
    batch.save()
    return batch


def bring_in(project: Project, records: list[Record], **values: Any) -> PromptImport:
    """An import of these tasks, done."""
    batch = make_inspected(project, records, **values)
    importing.start_import(batch, send=False)
    importing.run_import(batch.pk)
    batch.refresh_from_db()
    assert batch.state == PromptImport.State.DONE, batch.error
    return batch
