"""Some runs of a project beside each other: their curves, in what they were told, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Project
from annotator.plots import Plot, Series
from rlhf import plots
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint, Evaluation, Run
from rlhf.progress import seconds_taken
from rlhf.reports import evaluation_figures
from rlhf.reward_reports import reward_figures
from rlhf.run_data import record_json, results_json, run_json

MOST = 4
"""As many lines as can be told apart without colour."""
OFFERED = 40
NONE = "–"


@dataclass(frozen=True)
class Row:
    """One line of a table: a value a run."""

    name: str
    values: list[str]

    @property
    def is_shared(self) -> bool:
        """Whether all runs know such a setting."""
        return NONE not in self.values

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class FigureRow:
    """What each run came to by one measure; of some there may be nothing."""

    name: str
    unit: str
    figures: list[Figure | None]


class NotTheirs(ValueError):
    """A run that the project does not have."""


def chosen(project: Project, ids: Sequence[str]) -> list[Run]:
    """The runs asked for, each once, in the order asked; no more than `MOST`. Raises NotTheirs."""
    wanted = list(dict.fromkeys(ids))
    if not all(one.isdecimal() and len(one) < 19 for one in wanted):
        raise NotTheirs
    pks = list(dict.fromkeys(map(int, wanted)))
    found = project.runs.select_related("policy", "old_policy", "reward", "snapshot").in_bulk(pks)
    if len(found) < len(pks):
        raise NotTheirs
    runs = [found[pk] for pk in pks[:MOST]]
    for run in runs:
        run.project = project
    return runs


def offered(project: Project) -> list[Run]:
    """What there is to choose from: the newest runs that trained something, else wrote or judged."""
    trained = project.runs.filter(kind__in=[Run.Kind.POLICY, Run.Kind.REWARD])
    runs = list((trained if trained.exists() else project.runs).order_by("-pk")[:OFFERED])
    for run in runs:
        run.project = project
    return runs


def label_of(run: Run) -> str:
    return f"{run.algorithm} {run.pk}" if run.algorithm else str(run)


def plots_of(runs: Sequence[Run]) -> list[Plot]:
    """A plot for each measure that any has, in it a line a run: the first of the run's own plot."""
    own = [plots.plots_of(run) for run in runs]
    by_key: dict[str, Plot] = {}
    for plot in (plot for found in own for plot in found):
        by_key.setdefault(plot.key, plot)
    drawn: list[Plot] = []
    for plot in by_key.values():
        lines = tuple(
            Series(f"{run.pk}:{same.series[0].key}", label_of(run), look=look)
            for look, (run, found) in enumerate(zip(runs, own, strict=True), start=1)
            for same in found
            if same.key == plot.key
        )
        first = plot.series[0].label
        hint = first if len(plot.series) > 1 else ""
        drawn.append(Plot(plot.key, plot.title, plot.unit, lines, hint=hint, percent=plot.percent))
    return drawn


def settings_of(runs: Sequence[Run]) -> list[Row]:
    """What each run was told and began with; a dash where it knows no such setting."""
    begun = [
        (_("Generator"), [_name(run.policy) for run in runs]),
        (_("Reward model"), [_name(run.reward) for run in runs]),
        (_("Snapshot"), [run.snapshot.sha256[:12] if run.snapshot else NONE for run in runs]),
    ]
    names = dict.fromkeys(name for run in runs for name in run.config)
    told = [(name, [_setting(run.config, name) for run in runs]) for name in names]
    return [Row(name, values) for name, values in [*begun, *told] if set(values) != {NONE}]


def figures_of(runs: Sequence[Run]) -> list[FigureRow]:
    """The numbers of each run's last step, its minutes, and what it was found to be worth afterwards."""
    last = [run.records.order_by("-step").first() for run in runs]
    rows = [
        FigureRow(
            plot.title,
            plot.unit,
            [
                figure(plot.title, record.values.get(key), is_share=plot.percent) if record and key else None
                for record, key in zip(last, _keys(plot, runs), strict=True)
            ],
        )
        for plot in plots_of(runs)
    ]
    minutes = [seconds_taken(run) for run in runs]
    took = [None if s is None else figure(_("Minutes"), s / 60, digits=1) for s in minutes]
    rows.append(FigureRow(_("Minutes"), _("pauses included"), took))
    judged = [_judged(run) for run in runs]
    for name in dict.fromkeys(item.label for found in judged for item in found):
        of_each = [next((item for item in found if item.label == name), None) for found in judged]
        rows.append(FigureRow(name, _("held-out tasks"), of_each))
    return [row for row in rows if any(item and item.value is not None for item in row.figures)]


def as_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything as plain JSON."""
    return {
        "runs": [
            run_json(run)
            | {"name": label_of(run), "records": [record_json(record) for record in run.records.all()]}
            | {name: found for name, found in results_json(run).items() if name != "samples"}
            for run in runs
        ]
    }


def record_rows(runs: Sequence[Run]) -> Iterator[list[Any]]:
    """A line a step and run, for CSV."""
    records = [(run, list(run.records.all())) for run in runs]
    columns = dict.fromkeys(name for _run, found in records for record in found for name in record.values)
    yield ["run", "name", "step", "at", *columns]
    for run, found in records:
        for record in found:
            numbers = [record.values.get(name) for name in columns]
            yield [run.pk, label_of(run), record.step, record.created_at.isoformat(), *numbers]


def figure_rows(runs: Sequence[Run]) -> Iterator[list[Any]]:
    """Final figures and settings, a column a run, for CSV."""
    yield ["", "", *(label_of(run) for run in runs)]
    yield ["state", "", *(run.state for run in runs)]
    for row in figures_of(runs):
        yield [row.name, row.unit, *(item.value if item else None for item in row.figures)]
    for setting in settings_of(runs):
        yield [setting.name, "", *setting.values]


TABLES = {"records": record_rows, "figures": figure_rows}


def _keys(plot: Plot, runs: Sequence[Run]) -> list[str]:
    """Of each run the name of its record's value in this plot; empty where it has none."""
    known = dict(line.key.split(":", 1) for line in plot.series)
    return [known.get(str(run.pk), "") for run in runs]


def _judged(run: Run) -> list[Figure]:
    checkpoint = Checkpoint.objects.filter(run=run).first()
    if checkpoint is None:
        return []
    if checkpoint.kind == Checkpoint.Kind.REWARD:
        return reward_figures(checkpoint)
    evaluation = Evaluation.objects.filter(new=checkpoint).first()
    return evaluation_figures(evaluation) if evaluation else []


def _name(checkpoint: Checkpoint | None) -> str:
    return NONE if checkpoint is None else str(checkpoint)


def _setting(config: dict[str, Any], name: str) -> str:
    if name not in config:
        return NONE
    value = config[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
