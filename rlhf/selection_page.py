"""What selection brought, as the models' page shows it: a row a rule, and a sentence where one is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Comparison, Project
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint

Found = Mapping[str, Any]


@dataclass(frozen=True)
class RuleRow:
    """One way of choosing comparisons."""

    name: str
    comparisons: int
    judged: int
    judgments: int
    foreseen: int
    ties: Figure
    cannot_judge: Figure
    agreement: Figure
    is_self_agreement: bool
    seconds: Found | None
    right: Figure
    surprise: Figure


@dataclass(frozen=True)
class Brought:
    """All rules, as they stood when a reward model was trained."""

    checkpoint: Checkpoint
    rows: list[RuleRow]
    sentences: list[str]


def brought(project: Project) -> Brought | None:
    """From the newest reward model with which it was stored; None before there is one."""
    for checkpoint in project.checkpoints.rewards().order_by("-pk")[:20]:
        rows = checkpoint.metrics.get("selection")
        if rows:
            return Brought(checkpoint, [_row(row) for row in rows], _sentences(rows))
    return None


def rule_name(rule: str) -> str:
    return str(Comparison.Rule(rule).label) if rule in Comparison.Rule.values else rule


def _row(row: Found) -> RuleRow:
    return RuleRow(
        name=rule_name(row["rule"]),
        comparisons=row["comparisons"],
        judged=row["judged"],
        judgments=row["judgments"],
        foreseen=row["foreseen"],
        ties=figure(_("Ties"), row["ties"], is_share=True),
        cannot_judge=figure(_("Can't judge"), row["cannot_judge"], is_share=True),
        agreement=figure(_("People agree"), row["agreement"], is_share=True),
        is_self_agreement=row["rule"] == Comparison.Rule.REPEAT,
        seconds=row["seconds"],
        right=figure(_("Model was right"), row["right"], is_share=True),
        surprise=figure(_("Surprise"), row["surprise"]),
    )


def _sentences(rows: list[Any]) -> list[str]:
    """What the surprises of the rules, less that of random comparisons, allow to say."""
    said = []
    for row in rows:
        gap = row["surprise_over_random"]
        if gap is None:
            continue
        if gap["low"] > 0:
            text = _(
                "%(rule)s: its judgments surprised the model of the time more than those of random "
                "comparisons, by %(gap)s nats."
            )
        elif gap["high"] < 0:
            text = _(
                "%(rule)s: its judgments surprised the model of the time less than those of random "
                "comparisons, by %(gap)s nats."
            )
        else:
            text = _(
                "%(rule)s: its judgments surprised the model of the time neither more nor less than those of "
                "random comparisons, as far as can be told (%(gap)s nats)."
            )
        difference = figure("", gap, is_difference=True)
        said.append(
            text % {"rule": rule_name(row["rule"]), "gap": f"{difference.text} ({difference.interval})"}
        )
    if not said:
        said.append(
            _(
                "The rules cannot be compared yet: that takes judgments of random and of chosen comparisons, "
                "on three tasks each at least, given after a first reward model was trained."
            )
        )
    return said
