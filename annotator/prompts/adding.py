"""Adding tasks that somebody hands over one by one or by the hundred, with their instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max

from annotator.models import Completion, Domain, Project, Prompt, hash_text
from annotator.prompts.steps.languages import recognise
from annotator.ranking import queue

BATCH = 500


@dataclass(frozen=True)
class NewPrompt:
    """A cleaned task; its text or its examples may be empty, not both."""

    text: str = ""
    examples: Sequence[dict[str, str]] = ()
    held_out_examples: Sequence[dict[str, str]] = ()
    reference: str = ""
    domain: str = Domain.GENERAL
    language: str = ""
    completions: Sequence[str] = ()


@dataclass
class Added:
    """The id of each task in its order, and how much of it was new."""

    ids: list[int] = field(default_factory=list)
    created: int = 0
    completions: int = 0


@transaction.atomic
def add_prompts(project: Project, prompts: Sequence[NewPrompt]) -> Added:
    """Store the tasks that the project does not have yet, and the instructions that they do not have yet."""
    queue.locked(Project.objects.filter(pk=project.pk)).get()  # of two at once the second finds the first's
    rows = [_row(project, new) for new in prompts]
    wanted = {row.hash: row for row in reversed(rows)}
    known = dict(Prompt.objects.filter(project=project, hash__in=list(wanted)).values_list("hash", "pk"))
    fresh = [row for key, row in reversed(wanted.items()) if key not in known]
    Prompt.objects.bulk_create(fresh, batch_size=BATCH)
    ids = known | {row.hash: row.pk for row in fresh}
    added = Added(ids=[ids[row.hash] for row in rows], created=len(fresh))
    texts: dict[tuple[int, str], str] = {}
    for row, new in zip(rows, prompts, strict=True):
        for text in new.completions:
            texts.setdefault((ids[row.hash], hash_text(text)), text)
    there = set(
        Completion.objects.filter(prompt__in={pk for pk, _ in texts}).values_list("prompt", "text_hash")
    )
    turn = turn_of(project)
    new_texts = [
        Completion(prompt_id=pk, text=text, text_hash=key, source=Completion.Source.IMPORTED, iteration=turn)
        for (pk, key), text in texts.items()
        if (pk, key) not in there
    ]
    Completion.objects.bulk_create(new_texts, batch_size=BATCH)
    added.completions = len(new_texts)
    return added


def turn_of(project: Project) -> int:
    """The loop's turn that the newest comparisons belong to."""
    latest: int | None = project.comparisons.aggregate(latest=Max("iteration"))["latest"]
    return latest or 1


def _row(project: Project, new: NewPrompt) -> Prompt:
    shown = new.text or " ".join(example["input"] for example in new.examples)
    row = Prompt(
        project=project,
        text=new.text,
        examples=[dict(example) for example in new.examples],
        held_out_examples=[dict(example) for example in new.held_out_examples],
        reference=new.reference,
        domain=new.domain,
        language=new.language or recognise(shown, project.language),
    )
    row.fill_in()
    return row
