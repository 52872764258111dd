"""The loop as a picture of its stations: whose turn it is, and what the loop waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotator.models import Project
from rlhf.facts import Facts
from rlhf.models import Run
from rlhf.progress import seconds_left
from rlhf.stations import KINDS, Station, StationState, stations_of


@dataclass(frozen=True)
class Loop:
    iteration: int
    stations: list[Station]
    waits_for: str
    seconds_left: float | None
    """Of the run that is under way, where its pace says."""

    @property
    def next(self) -> Station:
        return next(station for station in self.stations if station.is_next)


def loop_of(project: Project, facts: Facts, *, manages: bool) -> Loop:
    """The loop's picture. Only a manager is offered actions that change something."""
    stations = stations_of(project, facts)
    turn = next_station(stations)
    stations = [replace(station, is_next=station.key == turn.key) for station in stations]
    if not manages:
        stations = [
            replace(station, action=None) if station.action and station.action.for_managers else station
            for station in stations
        ]
    run = facts.runs.get(KINDS.get(turn.key, ""))
    return Loop(
        iteration=facts.iteration,
        stations=stations,
        waits_for=waits_for(turn, facts),
        seconds_left=seconds_left(run) if run is not None else None,
    )


def next_station(stations: list[Station]) -> Station:
    """Whose turn it is: what runs, else what failed, else the first that waits after the last that is done.

    Ranking goes on beside everything else, and snapshots are made by themselves.
    """
    for state in (StationState.RUNNING, StationState.ATTENTION):
        for station in stations:
            if station.state == state and station.key != "rank":
                return station
    done = [place for place, station in enumerate(stations) if station.state == StationState.DONE]
    after = stations[done[-1] + 1 if done else 0 :]
    return next((s for s in after if s.key != "snapshot"), stations[-1])


def waits_for(station: Station, facts: Facts) -> str:
    """One sentence on what the loop does or waits for."""
    if station.state == StationState.ATTENTION:
        last = facts.last_import
        if station.key == "import" and last is not None and last.state == last.State.READY:
            return _("%(file)s is inspected. Waiting for a manager to look at it and import it.") % {
                "file": last.name
            }
        return _ATTENTION[station.key]()
    if station.state == StationState.RUNNING and station.key != "rank":
        run = facts.runs.get(KINDS.get(station.key, ""))
        if run is not None and run.state == Run.State.QUEUED:
            return _("%(run)s waits for the model worker.") % {"run": run}
        return _RUNNING[station.key]()
    if station.key == "rank" and facts.comparisons:
        return ngettext(
            "Waiting for %(n)d more ranking.", "Waiting for %(n)d more rankings.", facts.missing
        ) % {"n": facts.missing}
    return _WAITING[station.key]()


_WAITING: dict[str, Callable[[], str]] = {
    "import": lambda: _("Waiting for tasks: import a file to begin."),
    "generate": lambda: _("Waiting for a manager to start generation."),
    "select": lambda: _("Waiting for comparisons: generate instructions once more."),
    "rank": lambda: _("Waiting for comparisons to rank."),
    "reward": lambda: _("Enough rankings are in. Waiting for a manager to train the reward model."),
    "optimise": lambda: _("The reward model is ready. Waiting for a manager to optimise the generator."),
    "evaluate": lambda: _("A new generator is ready. Waiting for its evaluation against the old one."),
    "promote": lambda: _("The evaluation is in. Waiting for a manager to promote the new generator."),
}
_RUNNING: dict[str, Callable[[], str]] = {
    "import": lambda: _("Reading the file of tasks."),
    "generate": lambda: _("The generator is writing instructions."),
    "reward": lambda: _("The reward model is learning from the rankings."),
    "optimise": lambda: _("The generator is being optimised against the reward model."),
    "evaluate": lambda: _("The new generator is being compared with the old one."),
}
_ATTENTION: dict[str, Callable[[], str]] = {
    "import": lambda: _("The last import failed. Nothing was stored; see what was wrong with the file."),
    "generate": lambda: _("Generation failed. Open the run to see why, then resume it."),
    "reward": lambda: _("Training the reward model failed. Open the run to see why, then resume it."),
    "optimise": lambda: _("Optimising failed. Open the run to see why, then resume it."),
    "evaluate": lambda: _("The evaluation failed. Open the run to see why, then resume it."),
}
