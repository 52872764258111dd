"""Which judgments an export takes, how its prompts are split, and up to which judgment it reaches.

All three are plain values with a JSON form, so that an export can be stored and repeated to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator.exports import checking
from annotator.exports.checking import InvalidRequest
from annotator.models import Completion, Domain, Project, QualityReport, Ranking
from annotator.pseudonyms import pseudonym

JUDGMENTS = ("all", "real", "simulated", "imported")
HELD_OUT = ("include", "exclude", "only")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Selection:
    """Filters; the default takes everything."""

    iteration_from: int | None = None
    iteration_to: int | None = None
    """Of the comparison, both ends included."""
    given_from: datetime | None = None
    given_before: datetime | None = None
    """When the judgment was given; the end is left out."""
    min_reliability: float | None = None
    """η of the annotator. Whose is not known does not pass."""
    min_agreement: float | None = None
    """Of the comparison's votes that are taken. What only one person judged does not pass."""
    domains: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """Of the completions: a line has only texts from these. Empty: from all, as with the two above."""
    judgments: str = "all"
    held_out: str = "include"

    def __post_init__(self) -> None:
        for name in ("iteration_from", "iteration_to"):
            checking.whole_number(name, getattr(self, name))
        for name in ("min_reliability", "min_agreement"):
            checking.share(name, getattr(self, name))
        for name in ("given_from", "given_before"):
            object.__setattr__(self, name, checking.moment(name, getattr(self, name)))
        for name, choices in (
            ("domains", Domain.values),
            ("languages", None),
            ("sources", Completion.Source.values),
        ):
            object.__setattr__(self, name, checking.words(name, getattr(self, name), choices))
        checking.choice("judgments", self.judgments, JUDGMENTS)
        checking.choice("held_out", self.held_out, HELD_OUT)
        if None not in (self.iteration_from, self.iteration_to) and self.iteration_from > self.iteration_to:  # type: ignore[operator]
            raise InvalidRequest("iteration_to", _("The end is before the beginning."))
        if self.given_from and self.given_before and self.given_from >= self.given_before:
            raise InvalidRequest("given_before", _("The end is before the beginning."))

    def to_json(self) -> dict[str, Any]:
        """What differs from taking everything."""
        plain = {name: _plain(value) for name, value in asdict(self).items()}
        return {name: value for name, value in plain.items() if value not in (None, [], "all", "include")}

    @classmethod
    def from_json(cls, value: Any) -> Selection:
        """Raises InvalidRequest, which names the field."""
        return cls(**checking.fields_of(value, cls.__dataclass_fields__, field="selection"))


@dataclass(frozen=True)
class SplitPlan:
    """The shares of the prompts that go into each split, by the prompt's hash.

    A prompt is in one split, the same in every export with these shares. Held-out prompts are in `test`
    whatever the shares.
    """

    train: float = 1.0
    validation: float = 0.0
    test: float = 0.0

    def __post_init__(self) -> None:
        for name in SPLITS:
            if checking.share(name, getattr(self, name)) is None:
                raise InvalidRequest(name, _("This is a number from 0 to 1."))
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise InvalidRequest("splits", _("The three shares add up to 1."))

    def split_of(self, prompt_hash: str, *, is_held_out: bool) -> str:
        """The prompt's split. Other digits of the hash decide than those that hold prompts out."""
        if is_held_out:
            return "test"
        place = int(prompt_hash[8:16], 16) / 0x1_0000_0000
        if place < self.train:
            return "train"
        return "validation" if place < self.train + self.validation or not self.test else "test"

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> SplitPlan:
        """Raises InvalidRequest, which names the field."""
        return cls(**checking.fields_of(value, cls.__dataclass_fields__, field="splits"))


@dataclass(frozen=True)
class Frozen:
    """The state that an export shows: everything up to one judgment, and what was known of people then."""

    last_ranking: int
    at: datetime
    reliability: Mapping[str, float] = field(default_factory=dict)
    """η by pseudonym; who is missing is unknown."""

    @classmethod
    def now(cls, project: Project) -> Frozen:
        """The project as it is. Judgments that are being stored at this moment are waited for."""
        return cls(_newest(), timezone.now().replace(microsecond=0), _reliability(project))

    def to_json(self) -> dict[str, Any]:
        return {
            "last_ranking": self.last_ranking,
            "at": self.at.isoformat(),
            "reliability": dict(self.reliability),
        }

    @classmethod
    def from_json(cls, value: Any) -> Frozen:
        """Raises InvalidRequest, which names the field."""
        given = checking.fields_of(value, cls.__dataclass_fields__, field="frozen")
        last = checking.whole_number("last_ranking", given.get("last_ranking"))
        at = checking.moment("at", given.get("at"))
        known = given.get("reliability", {})
        if last is None or at is None:
            raise InvalidRequest("last_ranking" if last is None else "at", _("This is missing."))
        if not isinstance(known, Mapping) or None in [
            checking.share("reliability", n) for n in known.values()
        ]:
            raise InvalidRequest("reliability", _("This is a number from 0 to 1."))
        return cls(last, at, dict(known))


def _newest() -> int:
    """The id of the newest judgment that is stored."""
    if connection.vendor != "postgresql":
        return _highest()
    with transaction.atomic():
        # Ids are given out before rows are seen: one below the newest could come in later.
        with connection.cursor() as cursor:
            cursor.execute(f'LOCK TABLE "{Ranking._meta.db_table}" IN SHARE MODE')
        return _highest()


def _highest() -> int:
    newest: int | None = Ranking.objects.aggregate(newest=Max("pk"))["newest"]
    return newest or 0


def _reliability(project: Project) -> dict[str, float]:
    """η as the quality report has it; of whom it does not know, as the newest reward model does."""
    found = {
        user_id: eta
        for user_id, eta in project.memberships.values_list("user_id", "reliability")
        if eta is not None
    }
    report = QualityReport.objects.filter(project=project).first()
    for user_id, figures in (report.figures.get("people", {}) if report else {}).items():
        if figures.get("reliability"):
            found[int(user_id)] = figures["reliability"]["value"]
    return {pseudonym(project, user_id): round(eta, 6) for user_id, eta in sorted(found.items())}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
