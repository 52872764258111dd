"""A project that has everything: kinds of judgments, two models, texts that are hard to write down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from annotator.exports import writing
from annotator.exports.export import write_export
from annotator.exports.formats import FORMATS
from annotator.exports.manifest import Manifest
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen
from annotator.models import Completion, Project, User
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit, undo
from rlhf.models import Checkpoint, Generation, Run
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking, make_user

AWKWARD = [
    '=HYPERLINK("http://example.org","x")',
    "line one\nline two\r\n\ttab, \"quotes\" and 'more'",
    "请用一句话回答。🙂\u2028next\u2029and\x85next",
    "\n\nHuman: hello\n\nAssistant: no",
    "Ends in a backslash \\",
]
"""What writers and readers may stumble over."""
PROMPTS = 8


@pytest.fixture
def rich(db: None) -> Project:
    return make_rich()


@dataclass(frozen=True)
class Shelf:
    """One export."""

    folder: Path
    manifest: Manifest
    rows: list[dict[str, Any]]
    """As the format makes them."""


@pytest.fixture(scope="session")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> dict[tuple[str, str], Shelf]:
    """The rich project in every format and kind of file; "gz" is JSON Lines compressed. No row is left."""
    found: dict[tuple[str, str], Shelf] = {}
    with django_db_blocker.unblock(), transaction.atomic():
        project = make_rich()
        frozen = Frozen.now(project)
        for name, form in FORMATS.items():
            rows = list(writing.rows(project, format=name))
            for file_type in (*form.file_types, *(("gz",) if form.may_gzip else ())):
                compress = file_type == "gz"
                recipe = Recipe(name, file_type="" if compress else file_type, gzip=compress)
                folder = tmp_path_factory.mktemp("shelf") / "export"
                manifest = write_export(project, recipe, frozen=frozen, folder=folder)
                found[name, file_type] = Shelf(folder, manifest, rows)
        transaction.set_rollback(True)
    return found


def make_rich() -> Project:
    project = make_project(
        "rich", name="Rich 项目", completions_per_comparison=3, attribute_scales=["helpfulness"]
    )
    people = [make_member(project, user=make_user(name)) for name in ("ann", "ben", "cat")]
    robot = make_member(project, user=make_user("robot", is_simulated=True))
    checkpoints = [make_checkpoint(project, name) for name in ("small", "large")]
    for number in range(PROMPTS):
        prompt = make_prompt(
            project,
            f"Task {number}: {AWKWARD[number % 5]}",
            examples=[{"input": "=1+1", "output": "2"}] if number % 3 == 0 else [],
            domain=["writing", "code"][number % 2],
            language=["en", "zh-hans"][number % 2],
        )
        texts = [f"{AWKWARD[(number + k) % 5]} {number}.{k}" for k in range(3)]
        completions = queue.add_completions(
            prompt=prompt, texts=texts, source=Completion.Source.MODEL, iteration=1
        )
        for k, completion in enumerate(completions):
            made_by(checkpoints[k % 2], completion)
        make_comparison(project, completions=completions, wanted=2, iteration=1 + number % 2)
    for person in people[:2]:
        for _ in range(PROMPTS):
            judge(project, person)
    make_comparison(project, wanted=1)
    make_ranking(project, people[2], verdict="cannot_judge", ranks={}, reason="=no")
    make_comparison(project, wanted=1)
    undone = make_ranking(project, people[2], improved_text="Gone again.")
    undo(annotator=people[2], ranking=undone, idempotency_key="undo")
    make_ranking(project, people[2], first=1)
    make_comparison(project, wanted=1)
    make_ranking(project, robot)
    make_comparison(project, wanted=1)
    make_ranking(project, people[2], verdict="all_bad", ranks={}, improved_text="All were bad.")
    return project


def judge(project: Project, person: User) -> Any:
    """The best is the longest; ann improves now and then, ben differs now and then."""
    assignment = queue.claim_next(annotator=person, project=project)
    assert assignment is not None
    order = sorted(assignment.order, key=lambda pk: -len(Completion.objects.get(pk=pk).text))
    number = assignment.comparison_id
    if person.username == "ben" and number % 3 == 0:
        order.reverse()
    ranks = {pk: place for place, pk in enumerate(order, start=1)}
    if number % 4 == 0:
        ranks[order[1]] = 1  # a tie
    return submit(
        assignment=assignment,
        judgment=Judgment(
            ranks=ranks,
            flags={order[-1]: ["broken"]} if number % 2 else {},
            ratings={pk: {"helpfulness": 5 - place} for place, pk in enumerate(order)},
            rationale="+because\nit is" if person.username == "ann" else "",
            improved_text=f"Better {number}" if person.username == "ann" and number % 3 == 0 else "",
            seconds=2.5,
        ),
        idempotency_key=f"{person.pk}-{number}",
    )


def make_checkpoint(project: Project, name: str) -> Checkpoint:
    run = Run.objects.create(project=project, kind=Run.Kind.POLICY, state=Run.State.DONE)
    return Checkpoint.objects.create(
        project=project,
        kind=Checkpoint.Kind.POLICY,
        name=name,
        base_model="tiny",
        run=run,
        folder=f"x/{name}",
    )


def made_by(checkpoint: Checkpoint, completion: Completion) -> None:
    Generation.objects.create(
        completion=completion,
        run=checkpoint.run,
        checkpoint=checkpoint,
        logprob=-1.0,
        tokens=3,
        finished=True,
    )


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., tuple[Path, Manifest]]:
    """Writes an export of a project; gives the folder and the manifest."""

    def write(project: Project, format: str, **values: Any) -> tuple[Path, Manifest]:
        frozen = values.pop("frozen", None) or Frozen.now(project)
        withdrawn = values.pop("withdrawn", frozenset())
        folder = tmp_path / f"export-{len(list(tmp_path.iterdir()))}"
        recipe = Recipe(format, **values)
        return folder, write_export(project, recipe, frozen=frozen, folder=folder, withdrawn=withdrawn)

    return write


def lines_in(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """All lines of a plain JSONL export, split after split."""
    return [
        json.loads(line)
        for file in manifest.files
        for line in (folder / file.path).read_bytes().decode().splitlines()
    ]
