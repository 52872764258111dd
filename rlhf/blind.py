"""Blind comparisons by people: an evaluation's old and new texts, in the annotators' queue among others.

Annotators can tell them by nothing: as many texts are shown as always, in an order of the annotator's own;
ids are given in a random order of old and new; their places in the queue are drawn among those of the next
comparisons. They are on held-out tasks, which everybody is given anyway, and are no votes (`Ranking.votes`).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from annotator import events
from annotator.models import Comparison, Completion, Project, Prompt, Ranking, Verdict, hash_text
from annotator.ranking import queue
from annotator.ranking.queue import NewComparison
from rlhf.lm.wins import Match, Wins, wins
from rlhf.models import BlindComparison, Evaluation, Generation, RunSample
from rlhf.runs import CannotStart, Person

OTHERS = 3
"""So many other comparisons come for each of these, as far as there are others."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Text:
    """What one of the two policies wrote, and how."""

    side: str
    text: str
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far people have got with an evaluation's comparisons."""

    comparisons: int
    wanted: int
    """Judgments."""
    given: int
    simulated: int
    wins: Wins | None


@transaction.atomic
def ask(evaluation: Evaluation, *, tasks: int, user: Person = None) -> int:
    """Put texts of up to so many held-out tasks before annotators; how many comparisons are new.

    What was asked before is not asked again. Raises CannotStart where there is nothing to ask.
    """
    project = evaluation.run.project
    chance = random.Random(f"blind:{evaluation.pk}")
    written = texts_of(evaluation)
    groups = {
        prompt: shown
        for prompt in Prompt.objects.filter(pk__in=written, project=project, is_held_out=True).order_by("pk")
        if (shown := chosen(written[prompt.pk], project.completions_per_comparison, chance))
    }
    order = list(groups)
    random.Random(f"tasks:{evaluation.pk}").shuffle(order)  # of its own: asked for more, these come first
    asked = order[:tasks]
    if not asked:
        raise CannotStart(_("There is nothing to ask: both wrote the same, or their texts were not kept."))
    places = places_among(project, len(asked), chance)
    sides: dict[tuple[int, str], dict[str, list[int]]] = {}
    new = []
    for prompt, place in zip(asked, places, strict=True):
        rows = store(evaluation, prompt, groups[prompt])
        ids = tuple(sorted({row.pk for _, row in rows}))
        sides[prompt.pk, ",".join(map(str, ids))] = {
            side: [row.pk for text, row in rows if text.side == side] for side in ("old", "new")
        }
        new.append(NewComparison(prompt.pk, ids, place, Comparison.Rule.EVALUATION))
    added = queue.add_comparisons(project=project, comparisons=new, iteration=evaluation.run.iteration)
    stored = project.comparisons.filter(rule=Comparison.Rule.EVALUATION, prompt__in=asked)
    BlindComparison.objects.bulk_create(
        [
            BlindComparison(evaluation=evaluation, comparison=comparison, **sides[key])
            for comparison in stored
            if (key := (comparison.prompt_id, comparison.completions_key)) in sides
        ],
        ignore_conflicts=True,
    )
    if added:
        events.record(project, user, "asked people about", str(evaluation), evaluation.run.get_absolute_url())
    return added


def progress(evaluation: Evaluation) -> Progress | None:
    """None where nobody was asked."""
    asked = list(evaluation.blind.select_related("comparison"))
    if not asked:
        return None
    rankings = list(judged(asked))
    return Progress(
        comparisons=len(asked),
        wanted=sum(row.comparison.judgments_wanted for row in asked if not row.comparison.is_closed),
        given=len(rankings),
        simulated=sum(ranking.is_simulated for ranking in rankings),
        wins=wins(list(matches(asked, rankings)), resamples=RESAMPLES),
    )


def judged(asked: Sequence[BlindComparison]) -> Iterator[Ranking]:
    """What annotators said of the comparisons. Adjudications are left out: who adjudicates sees the rule."""
    found = Ranking.objects.live().filter(
        comparison__in=[row.comparison_id for row in asked], verdict=Verdict.RANKED, is_adjudication=False
    )
    yield from found.select_related("comparison").order_by("pk")


def matches(asked: Sequence[BlindComparison], rankings: Sequence[Ranking]) -> Iterator[Match]:
    """A match for each judgment's pair of an old and a new text; equal ranks are a tie."""
    of_comparison = {row.comparison_id: row for row in asked}
    texts = Completion.objects.in_bulk([pk for row in asked for pk in (*row.old, *row.new)])
    for ranking in rankings:
        row = of_comparison[ranking.comparison_id]
        for old in row.old:
            for new in row.new:
                first, second = ranking.ranks[str(old)], ranking.ranks[str(new)]
                yield Match(
                    task_id=str(ranking.comparison.prompt_id),
                    outcome=0.5 + 0.5 * ((first > second) - (first < second)),
                    longer=float(len(texts[new].text) - len(texts[old].text)),
                )


def texts_of(evaluation: Evaluation) -> dict[int, list[Text]]:
    """What both wrote, by prompt."""
    found: dict[int, list[Text]] = defaultdict(list)
    for sample in RunSample.objects.filter(run=evaluation.run_id).order_by("prompt", "step"):
        for side, text in (("old", sample.reference_text), ("new", sample.text)):
            if text.strip():
                found[sample.prompt_id].append(Text(side, text, sample.values.get(side, {})))
    return found


def chosen(texts: Sequence[Text], count: int, chance: random.Random) -> list[Text]:
    """As many texts as a comparison shows, half of each side (the odd one of either), in random order.

    What both wrote is left out; where a side has too few, the other gives more. Empty if one has none.
    """
    sides: dict[str, dict[str, Text]] = {"old": {}, "new": {}}
    for text in texts:
        sides[text.side].setdefault(hash_text(text.text), text)
    both = sides["old"].keys() & sides["new"].keys()
    left = {side: [t for key, t in found.items() if key not in both] for side, found in sides.items()}
    if not all(left.values()):
        return []
    for found in left.values():
        chance.shuffle(found)
    first, second = chance.sample([left["old"], left["new"]], 2)
    of_first = min(len(first), max(count // 2, count - len(second)))
    shown = [*first[:of_first], *second[: count - of_first]]
    chance.shuffle(shown)
    return shown


def places_among(project: Project, count: int, chance: random.Random) -> list[float]:
    """Priorities between those of the next comparisons; in an empty queue as a generation gives them."""
    waiting = Comparison.objects.open().filter(project=project).order_by("-priority", "pk")
    others = list(waiting.values_list("priority", flat=True)[: count * OTHERS])
    if len(others) < 2:
        return [chance.random() for _ in range(count)]
    gaps = [chance.randrange(len(others) - 1) for _ in range(count)]
    return [chance.uniform(others[gap + 1], others[gap]) for gap in gaps]


def store(evaluation: Evaluation, prompt: Prompt, shown: Sequence[Text]) -> list[tuple[Text, Completion]]:
    """Keep the texts as completions, with where they come from; in the order given, so that ids follow it."""
    run = evaluation.run
    rows = queue.add_completions(
        prompt=prompt,
        texts=[text.text for text in shown],
        source=Completion.Source.MODEL,
        iteration=run.iteration,
    )
    names = ("temperature", "top_p", "max_new_tokens", "seed")
    Generation.objects.bulk_create(
        [
            Generation(
                completion=row,
                run=run,
                checkpoint=evaluation.old if text.side == "old" else evaluation.new,
                sampling={name: run.config.get(name) for name in names},
                **text.origin,
            )
            for text, row in zip(shown, rows, strict=True)
            if text.origin
        ],
        ignore_conflicts=True,  # a text that was there already keeps its first origin
    )
    return list(zip(shown, rows, strict=True))
