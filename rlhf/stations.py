"""The nine stations of the loop: each with its state, its count and one action."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import TextChoices
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotator.models import Project, PromptImport
from rlhf import reports
from rlhf.facts import Facts
from rlhf.figures import figure as figure_of
from rlhf.models import Run
from rlhf.progress import Progress, progress_of


class StationState(TextChoices):
    WAITING = "waiting", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    DONE = "done", gettext_lazy("Done")
    ATTENTION = "attention", gettext_lazy("Needs attention")


@dataclass(frozen=True)
class Action:
    """A link, or a button that starts a run."""

    label: str
    url: str
    posts: bool = False
    for_managers: bool = False


@dataclass(frozen=True)
class Station:
    key: str
    name: str
    state: StationState
    figure: str
    """The count, as it is shown large; "" where there is nothing to count yet."""
    unit: str
    """What is counted, or what will be."""
    url: str
    action: Action | None = None
    progress: Progress | None = None
    is_next: bool = False


KINDS: dict[str, str] = {
    "generate": Run.Kind.GENERATION,
    "reward": Run.Kind.REWARD,
    "optimise": Run.Kind.POLICY,
    "evaluate": Run.Kind.EVALUATION,
}
"""The stations that a run serves."""


def stations_of(project: Project, facts: Facts) -> list[Station]:
    """The stations in the loop's order."""
    return [build(project, facts) for build in _STATIONS]


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _url(name: str, project: Project, *args: object) -> str:
    return reverse(name, args=[project.slug, *args])


def _import(project: Project, facts: Facts) -> Station:
    last = facts.last_import
    state = StationState.DONE if facts.prompts else StationState.WAITING
    if last is not None and last.is_active:
        state = StationState.RUNNING
    elif last is not None and last.state in (PromptImport.State.FAILED, PromptImport.State.READY):
        state = StationState.ATTENTION
    action = Action(_("Import tasks"), _url("import", project), for_managers=True)
    if last is not None and last.state == PromptImport.State.READY:
        action = Action(_("Look at it"), _url("import-detail", project, last.pk), for_managers=True)
    return Station(
        key="import",
        name=_("Import"),
        state=state,
        figure=_number(facts.prompts),
        unit=ngettext("task", "tasks", facts.prompts),
        url=_url("prompts", project),
        action=action,
    )


def _generate(project: Project, facts: Facts) -> Station:
    state, progress, url = _of_run(project, facts, Run.Kind.GENERATION, done=bool(facts.completions))
    return Station(
        key="generate",
        name=_("Generate"),
        state=state,
        figure=_number(facts.completions),
        unit=ngettext("instruction", "instructions", facts.completions),
        url=url or _url("prompts", project),
        progress=progress,
        action=_run_action(
            project,
            facts,
            Run.Kind.GENERATION,
            state,
            (_("Generate"), _("Generate more")),
            possible=facts.prompts,
        ),
    )


def _select(project: Project, facts: Facts) -> Station:
    return Station(
        key="select",
        name=_("Select"),
        state=StationState.DONE if facts.comparisons else StationState.WAITING,
        figure=_number(facts.comparisons),
        unit=ngettext("comparison", "comparisons", facts.comparisons),
        url=_url("comparisons", project),
        action=Action(_("See comparisons"), _url("comparisons", project)) if facts.comparisons else None,
    )


def _rank(project: Project, facts: Facts) -> Station:
    if facts.comparisons and not facts.missing:
        state = StationState.DONE
    else:
        state = StationState.RUNNING if facts.given else StationState.WAITING
    return Station(
        key="rank",
        name=_("Rank"),
        state=state,
        figure=_number(facts.given),
        unit=(
            _("of %(n)s rankings") % {"n": _number(facts.enough)}
            if facts.missing
            else ngettext("ranking", "rankings", facts.given)
        ),
        url=_url("quality", project),
        progress=Progress(facts.given, facts.enough) if facts.missing else None,
        action=Action(_("Rank"), _url("rank", project), for_managers=True)
        if facts.given < facts.wanted
        else None,
    )


def _snapshot(project: Project, facts: Facts) -> Station:
    """It is made when a reward model starts, so it never waits for anybody."""
    training = facts.active(Run.Kind.REWARD)
    frozen = facts.snapshot.counts.get("rankings", 0) if facts.snapshot else 0
    is_made = facts.reward is not None or (training is not None and training.snapshot_id is not None)
    return Station(
        key="snapshot",
        name=_("Snapshot"),
        state=StationState.DONE if is_made else StationState.WAITING,
        figure=_number(frozen) if facts.snapshot else "",
        unit=(
            ngettext("ranking frozen", "rankings frozen", frozen)
            if facts.snapshot
            else _("made when the reward model starts")
        ),
        url=_url("exports", project),
        action=Action(_("Download data"), _url("exports", project)) if facts.all_rankings else None,
    )


def _reward(project: Project, facts: Facts) -> Station:
    state, progress, url = _of_run(project, facts, Run.Kind.REWARD, done=facts.reward is not None)
    accuracy = facts.reward.metrics.get("accuracy") if facts.reward else None
    figure = figure_of("", accuracy, is_share=True).text if accuracy is not None else ""
    return Station(
        key="reward",
        name=_("Reward model"),
        state=state,
        figure=figure,
        unit=_("of held-out pairs right") if figure else _("learns what people prefer"),
        url=url,
        progress=progress,
        action=_run_action(
            project,
            facts,
            Run.Kind.REWARD,
            state,
            (_("Train"), _("Train again")),
            possible=facts.all_rankings,
        ),
    )


def _optimise(project: Project, facts: Facts) -> Station:
    state, progress, url = _of_run(project, facts, Run.Kind.POLICY, done=facts.policy is not None)
    kl = facts.policy.metrics.get("kl") if facts.policy else None
    return Station(
        key="optimise",
        name=_("Optimise"),
        state=state,
        figure=f"{kl:.1f}" if kl is not None else "",
        unit=_("nats from the reference") if kl is not None else _("tunes the generator to the reward"),
        url=url,
        progress=progress,
        action=_run_action(
            project,
            facts,
            Run.Kind.POLICY,
            state,
            (_("Optimise"), _("Optimise again")),
            possible=facts.reward,
        ),
    )


def _evaluate(project: Project, facts: Facts) -> Station:
    state, progress, url = _of_run(project, facts, Run.Kind.EVALUATION, done=facts.evaluation is not None)
    gain = reports.gold_gain(facts.evaluation) if facts.evaluation else None
    return Station(
        key="evaluate",
        name=_("Evaluate"),
        state=state,
        figure=gain.text if gain else "",
        unit=_("gold on held-out tasks") if gain else _("old against new, held-out tasks"),
        url=url,
        progress=progress,
        action=_run_action(
            project,
            facts,
            Run.Kind.EVALUATION,
            state,
            (_("Evaluate"), _("Evaluate again")),
            possible=facts.policy,
        ),
    )


def _promote(project: Project, facts: Facts) -> Station:
    ready = facts.evaluation is not None
    return Station(
        key="promote",
        name=_("Promote"),
        state=StationState.WAITING,
        figure="",
        unit=_("%(name)s writes now") % {"name": facts.promoted},
        url=_url("models", project),
        action=Action(_("See the figures"), facts.evaluation.run.get_absolute_url())
        if ready and facts.evaluation
        else None,
    )


_STATIONS = (_import, _generate, _select, _rank, _snapshot, _reward, _optimise, _evaluate, _promote)


def _of_run(
    project: Project, facts: Facts, kind: Run.Kind, *, done: bool
) -> tuple[StationState, Progress | None, str]:
    """A station that a run serves: its state, its progress, and where to look."""
    run = facts.runs.get(kind)
    url = run.get_absolute_url() if run is not None else ""
    if facts.active(kind):
        return StationState.RUNNING, progress_of(run) if run else None, url
    if facts.failed(kind) and not done:
        return StationState.ATTENTION, None, url
    return (StationState.DONE if done else StationState.WAITING), None, url


def _run_action(
    project: Project,
    facts: Facts,
    kind: Run.Kind,
    state: StationState,
    words: tuple[str, str],
    *,
    possible: object,
) -> Action | None:
    """Watch it, see why it failed, or start it: for the first time in this iteration, or again."""
    run = facts.runs.get(kind)
    if run is not None and state == StationState.RUNNING:
        return Action(_("Watch"), run.get_absolute_url())
    if run is not None and state == StationState.ATTENTION:
        return Action(_("See why"), run.get_absolute_url())
    if not possible:
        return None
    first, again = words
    label = again if state == StationState.DONE else first
    return Action(label, _url("run-start", project, kind), posts=True, for_managers=True)
