"""What a person says about one comparison, and whether it fits the comparison and the project."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Project, Verdict
from annotator.prompts.cleaning import strip_text


class SubmitError(ValueError):
    """A judgment that was not stored; the message is for the person who gave it."""


class LeaseLost(SubmitError):
    """Somebody else has judged the comparison meanwhile, or it was let go."""


class InvalidJudgment(SubmitError):
    """The judgment does not fit the comparison or the project."""


@dataclass(frozen=True)
class Judgment:
    """What a person says about one comparison. Ids are completions'; rank 1 is best, equal ranks tie."""

    verdict: str = Verdict.RANKED
    ranks: Mapping[int, int] = field(default_factory=dict)
    strength: int | None = None
    reason: str = ""
    flags: Mapping[int, Sequence[str]] = field(default_factory=dict)
    ratings: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    rationale: str = ""
    improved_text: str = ""
    seconds: float | None = None


def checked(judgment: Judgment, project: Project, shown: Sequence[int]) -> dict[str, Any]:
    """The judgment as a ranking's fields, or InvalidJudgment."""
    if judgment.verdict not in (Verdict.RANKED, Verdict.ALL_BAD, Verdict.CANNOT_JUDGE):
        raise InvalidJudgment(_("“%(verdict)s” is not a verdict.") % {"verdict": judgment.verdict})
    if judgment.verdict == Verdict.ALL_BAD and not project.ask_all_bad:
        raise InvalidJudgment(_("This project does not ask whether all are bad."))
    reason = strip_text(judgment.reason)
    if judgment.verdict == Verdict.CANNOT_JUDGE and not reason:
        raise InvalidJudgment(_("Say why it cannot be judged."))
    improved = strip_text(judgment.improved_text)
    rationale = strip_text(judgment.rationale)
    for text, limit in ((reason, 500), (rationale, 5000), (improved, 20_000)):
        if len(text) > limit:
            raise InvalidJudgment(_("The text is longer than %(limit)d characters.") % {"limit": limit})
    if rationale and not project.ask_rationale:
        raise InvalidJudgment(_("This project does not ask why."))
    if improved and not project.ask_improved:
        raise InvalidJudgment(_("This project does not ask for a better version."))
    ranks = _checked_ranks(judgment, shown)
    if len(ranks) == 2 and len(set(ranks.values())) == 1 and not project.ask_tie:
        raise InvalidJudgment(_("This project asks which of two is better: say which."))
    return {
        "verdict": judgment.verdict,
        "ranks": {str(key): rank for key, rank in ranks.items()},
        "strength": _checked_strength(judgment, ranks, project),
        "reason": reason,
        "flags": _checked_flags(judgment, shown, project),
        "ratings": _checked_ratings(judgment, shown, project),
        "rationale": rationale,
        "improved_text": improved,
        "seconds": _checked_seconds(judgment.seconds),
    }


def _checked_ranks(judgment: Judgment, shown: Sequence[int]) -> dict[int, int]:
    """Ranks without gaps: 1, 3, 3 says the same as 1, 2, 2 and is stored as that."""
    ranks = dict(judgment.ranks)
    if judgment.verdict == Verdict.CANNOT_JUDGE and ranks:
        raise InvalidJudgment(_("What cannot be judged has no ranks."))
    if judgment.verdict != Verdict.RANKED and not ranks:
        return {}
    if set(ranks) != set(shown):
        raise InvalidJudgment(_("Rank each of the instructions shown, and no others."))
    if not all(type(rank) is int and 1 <= rank <= len(shown) for rank in ranks.values()):
        raise InvalidJudgment(_("Ranks are whole numbers from 1 to %(last)d.") % {"last": len(shown)})
    dense = {rank: place for place, rank in enumerate(sorted(set(ranks.values())), start=1)}
    return {key: dense[ranks[key]] for key in shown}


def _checked_strength(judgment: Judgment, ranks: Mapping[int, int], project: Project) -> int | None:
    strength = judgment.strength
    if strength is None:
        return None
    if not project.strength_scale:
        raise InvalidJudgment(_("This project does not ask how strong a preference is."))
    if judgment.verdict != Verdict.RANKED or len(ranks) != 2 or len(set(ranks.values())) != 2:
        raise InvalidJudgment(_("Only a pair of which one is better has a strength."))
    if type(strength) is not int or not 1 <= strength <= 3:
        raise InvalidJudgment(_("The strength is 1 (slightly), 2 (better) or 3 (much better)."))
    return strength


def _checked_flags(judgment: Judgment, shown: Sequence[int], project: Project) -> dict[str, list[str]]:
    _check_ids(judgment.flags, shown)
    for flags in judgment.flags.values():
        unknown = sorted(set(flags) - set(project.flags))
        if unknown:
            raise InvalidJudgment(_("This project has no flag “%(flag)s”.") % {"flag": unknown[0]})
    return {str(key): list(dict.fromkeys(flags)) for key, flags in judgment.flags.items() if flags}


def _checked_ratings(judgment: Judgment, shown: Sequence[int], project: Project) -> dict[str, dict[str, int]]:
    _check_ids(judgment.ratings, shown)
    for ratings in judgment.ratings.values():
        for scale, value in ratings.items():
            if scale not in project.attribute_scales:
                raise InvalidJudgment(_("This project has no scale “%(scale)s”.") % {"scale": scale})
            if type(value) is not int or not 1 <= value <= 5:
                raise InvalidJudgment(_("Ratings are whole numbers from 1 to 5."))
    return {str(key): dict(ratings) for key, ratings in judgment.ratings.items() if ratings}


def _check_ids(given: Mapping[int, Any], shown: Sequence[int]) -> None:
    if not set(given) <= set(shown):
        raise InvalidJudgment(_("A flag or rating is for an instruction that was not shown."))


def _checked_seconds(seconds: float | None) -> float | None:
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidJudgment(_("The time spent is a number of seconds."))
    return seconds
