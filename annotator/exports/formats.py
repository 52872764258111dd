"""The formats of exports: each turns a project into an iterator of flat JSON objects.

`trl`  explicit-prompt preferences as TRL's trainers read them, with where each line comes from.
`raw`  every judgment as it was given, undone and superseded ones too, by pseudonymous annotators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from annotator.models import Completion, Project, Prompt, Ranking
from annotator.pseudonyms import pseudonym
from annotator.ranking.pairs import in_chunks, pairs_of

Row = dict[str, Any]


def prompt_text(prompt: Prompt) -> str:
    """The task in words: its description, then its examples."""
    examples = (f"Input: {example['input']}\nOutput: {example['output']}" for example in prompt.examples)
    return "\n\n".join(part for part in (prompt.text, *examples) if part)


def trl_rows(project: Project) -> Iterator[Row]:
    """One line a pair: prompt, chosen, rejected, and the ids of all that made it."""
    for pair in pairs_of(project):
        yield {
            "prompt": prompt_text(pair.prompt),
            "chosen": pair.chosen.text,
            "rejected": pair.rejected.text,
            "strength": pair.ranking.strength,
            "prompt_id": pair.prompt.pk,
            "chosen_id": pair.chosen.pk,
            "rejected_id": pair.rejected.pk,
            "chosen_source": pair.chosen.source,
            "rejected_source": pair.rejected.source,
            "comparison": pair.ranking.comparison_id,
            "ranking": pair.ranking.pk,
            "annotator": pseudonym(project, pair.ranking.annotator_id),
            "iteration": pair.ranking.comparison.iteration,
            "domain": pair.prompt.domain,
            "language": pair.prompt.language,
            "held_out": pair.prompt.is_held_out,
            "simulated": pair.ranking.is_simulated,
        }


def raw_rows(project: Project) -> Iterator[Row]:
    """One line a judgment, in the order in which they were given."""
    rankings = Ranking.objects.filter(comparison__project=project)
    rankings = rankings.select_related("comparison__prompt", "superseded_by")
    for chunk in in_chunks(rankings):
        completions = Completion.objects.in_bulk({pk for ranking in chunk for pk in ranking.order})
        for ranking in chunk:
            yield _raw_row(project, ranking, completions)


FORMATS: dict[str, Callable[[Project], Iterator[Row]]] = {"trl": trl_rows, "raw": raw_rows}


def _raw_row(project: Project, ranking: Ranking, completions: dict[int, Completion]) -> Row:
    comparison, prompt = ranking.comparison, ranking.comparison.prompt
    later: Ranking | None = getattr(ranking, "superseded_by", None)
    return {
        "ranking": ranking.pk,
        "verdict": ranking.verdict,
        "live": ranking.is_live,
        "decision": ranking.is_adjudication,
        "supersedes": ranking.supersedes_id,
        "superseded_by": later.pk if later else None,
        "annotator": pseudonym(project, ranking.annotator_id),
        "simulated": ranking.is_simulated,
        "comparison": comparison.pk,
        "rule": comparison.rule,
        "iteration": comparison.iteration,
        "prompt_id": prompt.pk,
        "prompt": prompt_text(prompt),
        "domain": prompt.domain,
        "language": prompt.language,
        "held_out": prompt.is_held_out,
        "completions": [
            {"id": pk, "text": completions[pk].text, "source": completions[pk].source}
            for pk in ranking.order  # as they were shown
        ],
        "ranks": ranking.ranks,
        "strength": ranking.strength,
        "reason": ranking.reason,
        "flags": ranking.flags,
        "ratings": ranking.ratings,
        "rationale": ranking.rationale,
        "improved_text": ranking.improved_text,
        "seconds": ranking.seconds,
        "guideline_version": ranking.guideline_version,
        "created_at": ranking.created_at.isoformat(),
    }
