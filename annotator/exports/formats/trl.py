"""TRL's types of preference data: explicit and implicit prompt, with margin, conversational, unpaired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from annotator.exports.formats.base import Format, How, Line
from annotator.exports.formats.derived import TRACE, pair_lines, preferences_in, trace
from annotator.exports.preferences import RULES
from annotator.exports.reading import Judged

MESSAGES = [{"role": "string", "content": "string"}]
PAIR = {"chosen": "string", "rejected": "string"}
TAGS = ("trl",)


def message(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def margin_lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
    for judged, found in preferences_in(comparisons, how):
        row = {
            "prompt": judged.task.text,
            "chosen": found.chosen.text,
            "rejected": found.rejected.text,
            "margin": found.margin,
        }
        yield Line(row | trace(judged, found, how), found.votes, (found.chosen, found.rejected))


def unpaired_lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
    """Each text of a pair for itself, good or bad; in one group a text is said to be the same once."""
    said: tuple[str, set[tuple[str, bool]]] = ("", set())
    for judged, found in preferences_in(comparisons, how):
        if said[0] != found.group:
            said = (found.group, set())
        where = trace(judged, found, how)
        common = {name: where[name] for name in UNPAIRED_TRACE if name in where}
        for text, is_good in ((found.chosen, True), (found.rejected, False)):
            if (text.text, is_good) in said[1]:
                continue
            said[1].add((text.text, is_good))
            row = {"prompt": judged.task.text, "completion": text.text, "label": is_good}
            about = {"completion_id": text.pk, "source": text.source, "checkpoint": text.checkpoint}
            yield Line(row | about | common, found.votes, (text,))


UNPAIRED_TRACE = {
    "completion_id": "int64",
    "source": "string",
    "checkpoint": "int64",
} | {name: kind for name, kind in TRACE.items() if not name.startswith(("chosen", "rejected", "strength"))}

FORMATS = (
    Format(
        name="trl",
        layer="derived",
        about="A preference with its prompt: `prompt`, `chosen`, `rejected`, as TRL's trainers read it.",
        columns={"prompt": "string"} | PAIR | TRACE,
        lines=pair_lines(
            lambda prompt, chosen, rejected: {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        ),
        rules=RULES,
        tags=TAGS,
    ),
    Format(
        name="trl-implicit",
        layer="derived",
        about="A preference whose `chosen` and `rejected` both begin with the prompt (TRL, implicit prompt).",
        columns=PAIR | TRACE,
        lines=pair_lines(
            lambda prompt, chosen, rejected: {
                "chosen": f"{prompt}\n\n{chosen}",
                "rejected": f"{prompt}\n\n{rejected}",
            }
        ),
        rules=RULES,
        tags=TAGS,
    ),
    Format(
        name="trl-conversational",
        layer="derived",
        about="A preference as messages of user and assistant (TRL, conversational).",
        columns={"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES} | TRACE,
        lines=pair_lines(
            lambda prompt, chosen, rejected: {
                "prompt": message("user", prompt),
                "chosen": message("assistant", chosen),
                "rejected": message("assistant", rejected),
            }
        ),
        rules=RULES,
        tags=TAGS,
    ),
    Format(
        name="trl-margin",
        layer="derived",
        about="A preference with its `margin`, from 0 to 1, which TRL's RewardTrainer reads.",
        columns={"prompt": "string"} | PAIR | {"margin": "float64"} | TRACE,
        lines=margin_lines,
        rules=RULES,
        tags=TAGS,
    ),
    Format(
        name="kto",
        layer="derived",
        about="One text and whether it was preferred: `prompt`, `completion`, `label` (TRL, unpaired).",
        columns={"prompt": "string", "completion": "string", "label": "bool"} | UNPAIRED_TRACE,
        lines=unpaired_lines,
        rules=RULES,
        tags=(*TAGS, "kto"),
    ),
)
