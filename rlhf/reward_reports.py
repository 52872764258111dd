"""What a reward model is worth, for its run's page: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotator.models import Comparison, Domain, Ranking
from rlhf import diagrams
from rlhf.diagrams import CHANCE, SHARES, TRUST, Diagram, Whisker, whisker
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint

FEW_TASKS = 10
SHOWN_FIRST = 5
"""So many contradicted judgments stand open; the others behind a toggle."""
Metrics = Mapping[str, Any]
NO_NAMES: Mapping[str, str] = {}
"""A reader who knows nobody's name."""


@dataclass(frozen=True)
class Group:
    """The slices by one thing, such as the domain."""

    title: str
    rows: list[Whisker]


@dataclass(frozen=True)
class Contradicted:
    """A judgment that the scores go against, with what it takes to look at it."""

    preferred: str
    other: str
    who: str
    simulated: bool
    strength: str
    probability: float
    margin: float
    comparison: Comparison | None


@dataclass(frozen=True)
class RewardReport:
    """How well a reward model predicts people, beside what little and what most it could."""

    verdict: str
    remarks: list[str]
    whiskers: list[Whisker]
    figures: list[Figure]
    bins: list[Mapping[str, Any]] = field(default_factory=list)
    ece: Figure | None = None
    reliability: Diagram | None = None
    curve: Mapping[str, Any] | None = None
    curve_diagram: Diagram | None = None
    curve_words: str = ""
    groups: list[Group] = field(default_factory=list)
    annotators: list[Whisker] = field(default_factory=list)
    contradicted: list[Contradicted] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=lambda: SHARES.ticks(0.1))
    trust_ticks: list[tuple[float, str]] = field(default_factory=lambda: TRUST.ticks(0.25))
    chance: float = CHANCE
    template: str = "rlhf/_report_reward.html"

    @property
    def contradicted_first(self) -> list[Contradicted]:
        return self.contradicted[:SHOWN_FIRST]

    @property
    def contradicted_more(self) -> list[Contradicted]:
        return self.contradicted[SHOWN_FIRST:]


def reward_figures(checkpoint: Checkpoint) -> list[Figure]:
    """What a row of the reward models shows: accuracy, the length baseline, the human ceiling."""
    metrics = checkpoint.metrics
    return [
        figure(_("Held-out accuracy"), metrics.get("accuracy"), is_share=True),
        figure(_("Longer wins"), metrics.get("longer"), is_share=True),
        figure(_("Human ceiling"), metrics.get("human_ceiling"), is_share=True),
    ]


def reward_report(checkpoint: Checkpoint, names: Mapping[str, str] = NO_NAMES) -> RewardReport:
    """The report, with the user names that the reader may know by the pseudonyms of snapshots."""
    metrics = checkpoint.metrics
    bins, curve = metrics.get("bins") or [], metrics.get("curve")
    ceiling = metrics.get("human_ceiling")
    people = metrics.get("annotators") or []
    return RewardReport(
        verdict=_verdict(metrics),
        remarks=_remarks(metrics),
        whiskers=_compared(metrics),
        figures=_figures(metrics),
        bins=bins,
        ece=figure(_("Calibration error"), metrics.get("ece"), is_share=True) if bins else None,
        reliability=diagrams.reliability_diagram(bins) if bins else None,
        curve=curve,
        curve_diagram=diagrams.curve_diagram(curve, ceiling and ceiling["value"]) if curve else None,
        curve_words=_curve_words(curve) if curve else "",
        groups=_groups(metrics.get("slices") or []),
        annotators=[_annotator(row, names) for row in people],
        contradicted=_contradicted(checkpoint, metrics.get("contradicted") or [], names),
    )


def slice_name(by: str, name: str) -> str:
    """What a slice is called on the page."""
    words: dict[str, dict[str, str]] = {
        "domain": {str(key): str(label) for key, label in Domain.choices},
        "language": {code: str(label) for code, label in settings.LANGUAGES},
        "strength": {
            "1": _("slightly better"),
            "2": _("better"),
            "3": _("much better"),
            "": _("a tie, or not said"),
        },
        "preferred": {
            "longer": _("the longer one"),
            "shorter": _("the shorter one"),
            "": _("neither, or of one length"),
        },
    }
    if by == "length":
        return _("%(range)s characters") % {"range": name.replace("-", "–")}
    return words.get(by, {}).get(name, name)


def strength_words(strength: int | None) -> str:
    """“much better” and so on; empty where it was not said."""
    return slice_name("strength", str(strength)) if strength else ""


def _compared(metrics: Metrics) -> list[Whisker]:
    previous = metrics.get("previous_model") or {}
    compared = [
        (_("Reward model"), "accuracy", "model", ""),
        (_("… on annotators it has not seen"), "left_out_annotators", "model", ""),
        (_("Previous reward model"), "previous", "previous", previous.get("name", "")),
        (_("The longer one wins"), "longer", "baseline", ""),
        (_("Words alone (TF-IDF)"), "tfidf", "baseline", ""),
        (_("Annotators with each other"), "human_ceiling", "ceiling", ""),
    ]
    figures = [(figure(label, metrics.get(key), is_share=True), kind, n) for label, key, kind, n in compared]
    return [whisker(item, kind, note=note) for item, kind, note in figures if item.value is not None]


def _figures(metrics: Metrics) -> list[Figure]:
    gains = metrics.get("gains") or {}
    found = [
        *(
            figure(label, gains.get(key), is_share=True, is_difference=True)
            for key, label in (
                ("previous", _("Gain on the previous model")),
                ("longer", _("Gain on “the longer one wins”")),
                ("tfidf", _("Gain on words alone")),
            )
        ),
        figure(_("Held-out pairs"), metrics.get("held_out_pairs"), digits=0),
        figure(_("Held-out tasks"), metrics.get("held_out_tasks"), digits=0),
        figure(_("Training pairs"), metrics.get("train_pairs"), digits=0),
        figure(_("Training accuracy"), metrics.get("train_accuracy"), is_share=True),
        figure(_("Judged by simulated annotators"), metrics.get("simulated_share"), is_share=True),
        figure(
            _("Correlation with length"),
            metrics.get("length_correlation"),
            hint=_("Within tasks; far from zero, it likes texts for their length."),
        ),
    ]
    return [item for item in found if item.value is not None]


def _verdict(metrics: Metrics) -> str:
    accuracy = metrics.get("accuracy")
    if accuracy is None:
        return _("There was no held-out pair to judge it by.")
    if accuracy["low"] > 0.5:
        return _("It predicts people better than chance on tasks that it has not seen.")
    return _("On tasks that it has not seen it cannot be told from chance. More rankings may help.")


def _remarks(metrics: Metrics) -> list[str]:
    """What else has to be known to read the verdict, most important first."""
    said = []
    gains, accuracy = metrics.get("gains") or {}, metrics.get("accuracy")
    simple = [gains[name] for name in ("longer", "tfidf") if name in gains]
    if simple:
        if all(gain["low"] > 0 for gain in simple):
            said.append(_("It is better than both simple rules."))
        else:
            said.append(_("It is not shown to be better than both simple rules."))
    if gain := gains.get("previous"):
        if gain["low"] > 0:
            said.append(_("It is better than the previous model."))
        elif gain["high"] < 0:
            said.append(_("It is worse than the previous model."))
        else:
            said.append(_("It cannot be told from the previous model."))
    elif metrics.get("previous_model") and accuracy:
        said.append(_("The previous model could not be read, so the two are not compared."))
    if metrics.get("simulated_share") == 1:
        said.append(_("All judgments are by simulated annotators: none of this speaks of people."))
    if accuracy and not metrics.get("human_ceiling"):
        said.append(_("No two annotators have judged the same, so how far it could get is not known."))
    tasks = metrics.get("held_out_tasks") or 0
    if accuracy and tasks < FEW_TASKS:
        text = ngettext(
            "It was judged on %(n)d held-out task only.", "It was judged on %(n)d held-out tasks only.", tasks
        )
        said.append(text % {"n": tasks})
    return said


def _curve_words(curve: Metrics) -> str:
    gain = figure("", curve["forecast_gain"], is_share=True, is_difference=True)
    values = {
        "rankings": curve["forecast_rankings"],
        "gain": gain.text.removesuffix(" %"),
        "low": figure("", gain.low, is_share=True, is_difference=True).text.removesuffix(" %"),
        "high": figure("", gain.high, is_share=True, is_difference=True).text.removesuffix(" %"),
    }
    text = _(
        "Forecast for twice the rankings (%(rankings)s), on twice the tasks: %(gain)s points, "
        "between %(low)s and %(high)s."
    )
    return text % values


def _groups(slices: Iterable[Metrics]) -> list[Group]:
    titles = {
        "domain": _("Domain"),
        "language": _("Language"),
        "length": _("Length of the texts"),
        "strength": _("How strongly it was said"),
        "preferred": _("Which was preferred"),
    }
    rows: dict[str, list[Metrics]] = {by: [] for by in titles}
    for row in slices:
        rows.setdefault(row["by"], []).append(row)
    return [
        Group(titles.get(by, by), [_slice(row) for row in sorted(found, key=_place_of)])
        for by, found in rows.items()
        if found
    ]


def _place_of(row: Metrics) -> tuple[float, str]:
    """Lengths by their numbers, what was not said last, the rest by name."""
    name = row["name"]
    start = name.rstrip("+").partition("-")[0]
    return (float("inf") if not name else float(start) if start.isdecimal() else 0.0, name)


def _slice(row: Metrics) -> Whisker:
    pairs = row["pairs"]
    note = ngettext("%(n)d pair", "%(n)d pairs", pairs) % {"n": pairs}
    item = figure(slice_name(row["by"], row["name"]), row["accuracy"], is_share=True)
    return whisker(item, "model", note=note, is_small=row["is_small"])


def _annotator(row: Metrics, names: Mapping[str, str]) -> Whisker:
    rankings = row["rankings"]
    note = ngettext("%(n)d ranking", "%(n)d rankings", rankings) % {"n": rankings}
    item = figure(names.get(row["annotator"], row["annotator"]), row, is_share=True)
    badge = _("simulated") if row["simulated"] else ""
    return whisker(item, "model", TRUST, note=note, badge=badge)


def _contradicted(
    checkpoint: Checkpoint, rows: Iterable[Metrics], names: Mapping[str, str]
) -> list[Contradicted]:
    known = [row for row in rows if row.get("preferred")]
    ids = [int(row["judgment_id"]) for row in known if row["judgment_id"].isdecimal()]
    rankings = {}
    if ids:
        own = Ranking.objects.filter(comparison__project=checkpoint.project)
        rankings = own.select_related("comparison").in_bulk(ids)
    found = []
    for row in known:
        ranking = rankings.get(int(row["judgment_id"])) if row["judgment_id"].isdecimal() else None
        found.append(
            Contradicted(
                preferred=row["preferred"],
                other=row["other"],
                who=names.get(row["annotator"], row["annotator"]),
                simulated=row["simulated"],
                strength=strength_words(row["strength"]),
                probability=row["probability"],
                margin=row["margin"],
                comparison=ranking.comparison if ranking else None,
            )
        )
    return found
