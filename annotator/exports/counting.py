"""What a recipe would export, for the page that changes with each filter: exactly, or of many in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from annotator import consent
from annotator.exports.export import lines_of
from annotator.exports.manifest import Tally
from annotator.exports.reading import Reader
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen, Selection
from annotator.models import Project, Ranking

MOST_READ = 3000
"""So many judgments are read for an exact count, which takes a moment; of more the database counts."""


@dataclass(frozen=True)
class Counted:
    """What would be in the export. `lines` and `example` are None where that was not worked out."""

    judgments: int
    prompts: int
    annotators: int
    simulated: int
    held_out: int
    withdrawn: int
    lines: int | None = None
    example: dict[str, Any] | None = None
    is_most: bool = False
    """The numbers are bounds: filters by agreement, reliability or source were not looked at."""


def count(project: Project, recipe: Recipe) -> Counted:
    found = matching(project, recipe.selection)
    if found.count() <= MOST_READ:
        return _read(project, recipe)
    withdrawn = consent.withdrawn_ids(project)
    chosen = recipe.selection
    kept = found.exclude(annotator__in=withdrawn)
    counts = kept.aggregate(
        judgments=Count("pk"),
        prompts=Count("comparison__prompt", distinct=True),
        annotators=Count("annotator", distinct=True),
        simulated=Count("pk", filter=Q(is_simulated=True)),
        held_out=Count("pk", filter=Q(comparison__prompt__is_held_out=True)),
    )
    partly = chosen.min_agreement is not None or chosen.min_reliability is not None or bool(chosen.sources)
    return Counted(
        **counts,
        withdrawn=found.filter(annotator__in=withdrawn).count() if withdrawn else 0,
        is_most=partly,
    )


def matching(project: Project, chosen: Selection) -> QuerySet[Ranking]:
    """The judgments that the filters take, without those by agreement, reliability and source."""
    rows = Ranking.objects.filter(comparison__project=project).order_by()
    imported = Q(batch__isnull=False)
    kinds = {
        "real": ~imported & Q(is_simulated=False),
        "simulated": ~imported & Q(is_simulated=True),
        "imported": imported,
    }
    if chosen.judgments in kinds:
        rows = rows.filter(kinds[chosen.judgments])
    asked = {
        "comparison__iteration__gte": chosen.iteration_from,
        "comparison__iteration__lte": chosen.iteration_to,
        "created_at__gte": chosen.given_from,
        "created_at__lt": chosen.given_before,
        "comparison__prompt__domain__in": chosen.domains or None,
        "comparison__prompt__language__in": chosen.languages or None,
        "comparison__prompt__is_held_out": (
            None if chosen.held_out == "include" else chosen.held_out == "only"
        ),
    }
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def there_is(project: Project) -> dict[str, list[str]]:
    """The domains and languages of the project's tasks: what a filter can choose from."""
    prompts = project.prompts.order_by()
    return {
        "domains": sorted(prompts.values_list("domain", flat=True).distinct()),
        "languages": sorted(prompts.values_list("language", flat=True).distinct()),
    }


def _read(project: Project, recipe: Recipe) -> Counted:
    """By making the export, without storing it."""
    reader = Reader(project, recipe.selection, Frozen.now(project))
    tally = Tally()
    example = None
    for task, line in lines_of(recipe, reader):
        tally.add(task, line)
        if example is None:
            example = line.row
    figures = tally.figures()
    return Counted(
        judgments=figures["rankings"],
        prompts=figures["prompts"],
        annotators=figures["annotators"],
        simulated=figures["simulated"],
        held_out=figures["held_out"],
        withdrawn=reader.withheld()["judgments"],
        lines=figures["lines"],
        example=example,
    )
