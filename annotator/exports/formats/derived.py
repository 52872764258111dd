"""What all formats of preferences share: a line a pair, with the columns that say where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from annotator.exports.formats.base import How, Line, Row
from annotator.exports.preferences import Preference, preferences_of
from annotator.exports.reading import Judged

TRACE = {
    "group": "string",
    "agreement": "float64",
    "votes": "int64",
    "weight": "float64",
    "strength": "int64",
    "prompt_id": "int64",
    "chosen_id": "int64",
    "rejected_id": "int64",
    "chosen_source": "string",
    "rejected_source": "string",
    "chosen_checkpoint": "int64",
    "rejected_checkpoint": "int64",
    "comparison": "int64",
    "rankings": ["int64"],
    "annotators": ["string"],
    "iteration": "int64",
    "domain": "string",
    "language": "string",
    "held_out": "bool",
    "simulated": "bool",
}
"""An improved text has no id of its own: the judgment that it came with says whose it is."""


def trace(judged: Judged, found: Preference, how: How) -> Row:
    chosen, rejected, task, votes = found.chosen, found.rejected, judged.task, found.votes
    return {
        "group": found.group,
        "agreement": found.agreement,
        "votes": len(votes),
        "weight": found.weight,
        "strength": found.strength,
        "prompt_id": task.pk,
        "chosen_id": chosen.pk,
        "rejected_id": rejected.pk,
        "chosen_source": chosen.source,
        "rejected_source": rejected.source,
        "chosen_checkpoint": chosen.checkpoint,
        "rejected_checkpoint": rejected.checkpoint,
        "comparison": judged.pk,
        "rankings": [vote.pk for vote in votes],
        "annotators": [how.name(vote.annotator) for vote in votes],
        "iteration": judged.iteration,
        "domain": task.domain,
        "language": task.language,
        "held_out": task.is_held_out,
        "simulated": all(vote.is_simulated for vote in votes),
    }


def pair_lines(form: Callable[[str, str, str], Row]) -> Callable[[Iterator[Judged], How], Iterable[Line]]:
    """Lines of `form(prompt, chosen, rejected)` and their trace."""

    def lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
        for judged, found in preferences_in(comparisons, how):
            row = form(judged.task.text, found.chosen.text, found.rejected.text)
            yield Line(row | trace(judged, found, how), found.votes, (found.chosen, found.rejected))

    return lines


def preferences_in(comparisons: Iterator[Judged], how: How) -> Iterator[tuple[Judged, Preference]]:
    for judged in comparisons:
        for found in preferences_of(judged, how.rule, how.reader.reliability):
            yield judged, found
