"""What is shown before a policy is promoted, and of past promotions: figures, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Project
from rlhf import promotion, runs
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint, Evaluation, Promotion

SHOWN = 20
"""So many of the latest promotions are shown."""


@dataclass(frozen=True)
class Dialog:
    """Of one policy: its figures, and whether it can be promoted at a word."""

    evaluation: Evaluation | None
    figures: list[Figure]
    warnings: list[str]
    writes_now: bool
    is_known: bool
    former: Checkpoint

    @property
    def asks(self) -> bool:
        """Whether it must be said that it is promoted without an evaluation."""
        return self.evaluation is None and not self.is_known


@dataclass(frozen=True)
class Past:
    """A promotion that was, with the figures of its day."""

    promotion: Promotion
    figures: list[Figure]
    warnings: list[str]


def history_of(project: Project) -> list[Past]:
    """The latest promotions, the newest first."""
    return [
        Past(row, figures(row.figures), warnings(row.figures)) for row in promotion.history(project)[:SHOWN]
    ]


def dialog_of(checkpoint: Checkpoint) -> Dialog:
    evaluation = promotion.evaluation_of(checkpoint)
    found = promotion.figures_of(checkpoint, evaluation)
    former = runs.promoted_policy(checkpoint.project)
    return Dialog(
        evaluation=evaluation,
        figures=figures(found),
        warnings=warnings(found),
        writes_now=former.pk == checkpoint.pk,
        is_known=promotion.is_known(checkpoint),
        former=former,
    )


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The figures of `promotion.figures_of` for people, now or as they were."""
    names: list[tuple[str, str, dict[str, Any]]] = [
        ("gold_gain", _("Gold gain"), {"is_difference": True, "hint": _("nats a token")}),
        ("gold_wins", _("Wins by gold"), {"is_share": True}),
        ("gold_wins_at_length", _("Wins by gold at equal length"), {"is_share": True}),
        ("reward_gain", _("Reward gain"), {"is_difference": True}),
        ("reward_wins_at_length", _("Wins by reward at equal length"), {"is_share": True}),
        ("people_wins", _("Wins with people"), {"is_share": True}),
        ("people_wins_at_length", _("Wins with people at equal length"), {"is_share": True}),
        ("kl", _("KL of new to old"), {"hint": _("nats an instruction")}),
    ]
    return [figure(label, found[name], **kinds) for name, label, kinds in names if name in found]


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What speaks against it: a side of an interval that lies on the wrong side, a reward that was gamed."""
    said = []
    if "gamed" in found:
        said.append(gamed_sentence(found["gamed"]))
    if _below(found.get("gold_gain"), 0):
        said.append(_("By the gold metric it is worse than the old one."))
    for name in ("people_wins", "people_wins_at_length"):
        if _below(found.get(name), 0.5):
            said.append(_("People prefer the old one."))
            break
    return said


def gamed_sentence(fall: Mapping[str, Any]) -> str:
    """Since when gold fell while reward rose."""
    gold, reward = (
        figure("", fall[name]["value"], is_difference=True, digits=2).text for name in ("gold", "reward")
    )
    return _(
        "The reward was gamed: from step %(since)d to %(until)d gold changed by %(gold)s and the reward by "
        "%(reward)s, both beyond chance."
    ) % {"since": fall["since"], "until": fall["until"], "gold": gold, "reward": reward}


def _below(interval: Mapping[str, Any] | None, limit: float) -> bool:
    return interval is not None and interval.get("high") is not None and interval["high"] < limit
