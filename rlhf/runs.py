"""What people do with runs: start, cancel, resume; and where the loop stands. Promotion is in promotion.py.

Whatever can be known without loading a model is checked before a run is made. A run is committed
first and sent to the broker then: when the broker is down, the sweep sends it later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from annotator import events
from annotator.models import Completion, Project, Ranking, User, Verdict
from annotator.site.celery import app
from rlhf import finished, run_log
from rlhf.lm.configs import (
    ALGORITHMS,
    DPO,
    ILQL,
    POLICY_CONFIGS,
    EvaluationConfig,
    PolicyConfig,
    RewardConfig,
    SamplingConfig,
)
from rlhf.lm.inputs import chosen, named
from rlhf.models import Checkpoint, Run, Score
from rlhf.stage_configs import InvalidConfig, fill_in

log = logging.getLogger(__name__)

Values = Mapping[str, Any] | None
Person = User | AnonymousUser | None

RESEND_SECONDS = 60
"""A queued run that nobody took for so long is sent again; a worker that gets it twice takes it once."""


class CannotStart(Exception):
    """Something is missing or does not fit; the message is for people, and nothing was made."""


def start_generation(
    *,
    project: Project,
    user: Person = None,
    completions_per_task: int = 4,
    tasks: int | None = None,
    reward: Checkpoint | None = None,
    config: Values = None,
) -> Run:
    """The promoted policy writes completions for every prompt (or the first `tasks` of them).

    Where the best of some are kept, the newest reward model (or `reward`) says which.
    """
    prompts = project.prompts.count()
    if not prompts:
        raise CannotStart(_("“%(project)s” has no tasks yet. Import some first.") % {"project": project})
    if tasks is not None and tasks < 1:
        raise CannotStart(_("The number of tasks must be at least 1."))
    policy = promoted_policy(project)
    check_model(policy.base_model)
    turn = project.runs.filter(kind=Run.Kind.GENERATION).count()
    values = _config(
        SamplingConfig, {"completions_per_task": completions_per_task, "seed": turn, **(config or {})}
    )
    if values["completions_per_task"] < project.completions_per_comparison:
        raise CannotStart(
            _("A comparison in this project shows %(k)d instructions, so at least %(k)d a task are needed.")
            % {"k": project.completions_per_comparison}
        )
    if reward is not None:
        reward = checked(reward, Checkpoint.Kind.REWARD, project)
    if values["best_of"] == 1:
        reward = None  # it is not asked
    elif (reward := reward or latest_reward(project)) is None:
        raise CannotStart(_("There is no reward model yet to keep the best by. Train one first."))
    total = min(prompts, tasks or prompts)
    values["tasks"] = total
    return _start(project, Run.Kind.GENERATION, user, values, total, policy=policy, reward=reward)


def start_scoring(*, project: Project, user: Person = None, config: Values = None) -> Run:
    """The executor gives a gold score to every completion that has none and whose task can judge."""
    total = unscored(project).count()
    if not total:
        raise CannotStart(
            _("There is nothing to score: each instruction has a gold score, or no held-out examples.")
        )
    return _start(project, Run.Kind.SCORING, user, _config(EvaluationConfig, config or {}), total)


def start_reward(*, project: Project, user: Person = None, config: Values = None) -> Run:
    """A reward model is trained on all rankings there are, and judged on held-out prompts."""
    policy = promoted_policy(project)
    check_model(policy.base_model)
    values = _config(RewardConfig, config or {})
    try:
        chosen(named(values["inputs"]), lm=True, encoder=True)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    if not rankings(project).filter(comparison__prompt__is_held_out=False).exists():
        raise CannotStart(
            _("“%(project)s” has no rankings on training tasks yet: there is nothing to learn from.")
            % {"project": project}
        )
    return _start(project, Run.Kind.REWARD, user, values, values["steps"], policy=policy)


def start_policy(
    *,
    project: Project,
    user: Person = None,
    algorithm: str = PolicyConfig.algorithm,
    config: Values = None,
    policy: Checkpoint | None = None,
    reward: Checkpoint | None = None,
) -> Run:
    """The promoted policy (or `policy`) is fine-tuned.

    Against the newest reward model (or `reward`) by a policy gradient or Q-learning; by DPO and SFT on the
    rankings themselves, where a reward model only tells how reliable annotators are. Q heads are learned anew
    each time: where the promoted policy has some, the policy that it was made of is trained.
    """
    policy = checked(policy or without_q_heads(promoted_policy(project)), Checkpoint.Kind.POLICY, project)
    if policy != without_q_heads(policy):
        raise CannotStart(
            _("“%(policy)s” decodes by Q heads, which nothing can be trained on. Take “%(parent)s”.")
            % {"policy": policy, "parent": without_q_heads(policy)}
        )
    check_model(policy.base_model)
    values = _config(POLICY_CONFIGS.get(algorithm, PolicyConfig), {"algorithm": algorithm, **(config or {})})
    reward = reward or latest_reward(project)
    if reward is not None:
        reward = checked(reward, Checkpoint.Kind.REWARD, project)
    elif algorithm in ALGORITHMS or values.get("rewards") == "model":
        raise CannotStart(_("There is no reward model yet. Train one first."))
    training = project.prompts.for_training()
    if not training.exists():
        raise CannotStart(_("Every task is held out: there is none to train on."))
    if algorithm not in ALGORITHMS and values.get("rewards") != "model":
        judged = rankings(project).filter(comparison__prompt__is_held_out=False).exists()
        if not judged and (algorithm in (DPO, ILQL) or not training.exclude(reference="").exists()):
            raise CannotStart(
                _("“%(project)s” has no rankings on training tasks yet: there is nothing to learn from.")
                % {"project": project}
            )
    return _start(
        project, Run.Kind.POLICY, user, values, values.get("steps", 0), policy=policy, reward=reward
    )


def start_evaluation(
    *,
    project: Project,
    user: Person = None,
    new: Checkpoint | None = None,
    old: Checkpoint | None = None,
    ask_people: int = 0,
    config: Values = None,
) -> Run:
    """The newest policy (or `new`) against the one it comes from (or `old`), on held-out prompts.

    On `ask_people` of these, annotators are then asked as well (blind.py).
    """
    new = new or project.checkpoints.policies().exclude(run=None).first()
    if new is None:
        raise CannotStart(_("There is no trained policy yet to evaluate. Start a policy run first."))
    new = checked(new, Checkpoint.Kind.POLICY, project)
    old = checked(old or new.parent or base_policy(project), Checkpoint.Kind.POLICY, project)
    check_model(new.base_model)
    if not project.prompts.held_out().exists():
        raise CannotStart(_("No task is held out, so there is nothing to evaluate on."))
    if ask_people < 0:
        raise CannotStart(_("The number of tasks must be at least 0."))
    values = {**_config(EvaluationConfig, config or {}), "ask_people": ask_people}
    return _start(
        project, Run.Kind.EVALUATION, user, values, policy=new, old_policy=old, reward=latest_reward(project)
    )


def cancel(run: Run, *, user: Person = None) -> bool:
    """End a run: a waiting one at once, a running one within its step. False if it had ended already."""
    active = Run.objects.filter(pk=run.pk, state__in=[Run.State.QUEUED, Run.State.RUNNING])
    with transaction.atomic():
        asked = bool(active.update(cancel_requested=True))
        if active.filter(state=Run.State.QUEUED).update(state=Run.State.CANCELLED, finished_at=Now()):
            finished.tell(run, Run.State.CANCELLED)
        if asked:
            events.record(run.project, user, "cancelled", str(run), run.get_absolute_url(), target=run)
    run.refresh_from_db()
    if asked:
        run_log.append(run, f"{user or 'the site'} asked for its end")
    return asked


def resume(run: Run, *, user: Person = None) -> Run:
    """Put a failed or cancelled run back into the queue; it goes on from its last checkpoint."""
    ended = Run.objects.filter(pk=run.pk, state__in=[Run.State.FAILED, Run.State.CANCELLED])
    try:
        with transaction.atomic():
            resumed = ended.update(
                state=Run.State.QUEUED, cancel_requested=False, error="", finished_at=None, sent_at=None
            )
            if resumed:
                events.record(run.project, user, "resumed", str(run), run.get_absolute_url(), target=run)
    except IntegrityError as error:
        raise _already_active(run.project, run.kind) from error
    if not resumed:
        raise CannotStart(_("Only a failed or cancelled run can be resumed."))
    transaction.on_commit(lambda: send(run.pk))
    run.refresh_from_db()
    run_log.append(run, f"{user or 'the site'} resumed it")
    return run


def promoted_policy(project: Project) -> Checkpoint:
    """The policy that writes completions now: the one promoted last, else the base model."""
    promoted = project.checkpoints.policies().filter(promoted_at__isnull=False, base_model=project.base_model)
    return promoted.order_by("-promoted_at", "-pk").first() or base_policy(project)


def without_q_heads(policy: Checkpoint) -> Checkpoint:
    """The policy that Q heads were learned on, if it has some; otherwise itself."""
    while policy.config.get("algorithm") == ILQL and policy.parent is not None:
        policy = policy.parent
    return policy


def base_policy(project: Project) -> Checkpoint:
    """The untouched base model as a checkpoint; made at first use."""
    base, _created = Checkpoint.objects.get_or_create(
        project=project,
        base_model=project.base_model,
        kind=Checkpoint.Kind.POLICY,
        run=None,
        defaults={"name": _base_name(project.base_model)},
    )
    return base


def latest_reward(project: Project) -> Checkpoint | None:
    """The newest reward model of the project."""
    return project.checkpoints.rewards().order_by("-pk").first()


def iteration(project: Project) -> int:
    """Which turn of the loop this is."""
    return iteration_after(promoted_policy(project))


def iteration_after(promoted: Checkpoint) -> int:
    """The turn in which a policy writes: 1 for the base model, one more than the policy's own else."""
    return 1 if promoted.run_id is None else promoted.iteration + 1


def rankings(project: Project) -> QuerySet[Ranking]:
    """The rankings a reward model can learn from."""
    return Ranking.objects.votes().filter(comparison__project=project, verdict=Verdict.RANKED)


def unscored(project: Project) -> QuerySet[Completion]:
    """Completions that the gold metric can judge and has not judged yet."""
    gold = Score.objects.filter(completion=OuterRef("pk"), checkpoint=None)
    judged = Completion.objects.filter(prompt__project=project).exclude(prompt__held_out_examples=[])
    return judged.filter(~Exists(gold))


def send(run_id: int) -> bool:
    """Put a run on the broker. False when that is not possible now: the sweep does it later."""
    try:
        app.send_task("rlhf.tasks.execute_run", args=[run_id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("run %s waits for the broker: %s", run_id, error)
        return False
    Run.objects.filter(pk=run_id, state=Run.State.QUEUED).update(sent_at=Now())
    return True


def send_waiting() -> int:
    """Send the queued runs that were not sent lately; how many went out."""
    long_ago = ExpressionWrapper(Now() - timedelta(seconds=RESEND_SECONDS), output_field=DateTimeField())
    waiting = Run.objects.filter(Q(sent_at=None) | Q(sent_at__lt=long_ago), state=Run.State.QUEUED)
    return sum(send(run_id) for run_id in waiting.order_by("pk").values_list("pk", flat=True))


def check_model(name: str) -> None:
    """Refuse a path where no model can be. Names of embedded or cached models are looked up by the worker."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
            raise CannotStart(
                _("The folder %(name)s is not a model: it needs config.json and *.safetensors.")
                % {"name": name}
            )
    elif (path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf") and not path.is_file():
        raise CannotStart(_("Unknown model: there is nothing at %(name)s.") % {"name": name})


def _start(
    project: Project, kind: Run.Kind, user: Person, config: dict[str, Any], total: int = 0, **fields: Any
) -> Run:
    try:
        with transaction.atomic():
            run = Run.objects.create(
                project=project,
                kind=kind,
                created_by=saved(user),
                config=config,
                iteration=iteration(project),
                total=total,
                **fields,
            )
            events.record(
                project, user, "started", str(run), run.get_absolute_url(), target=run, details=config
            )
    except IntegrityError as error:
        raise _already_active(project, kind) from error
    transaction.on_commit(lambda: send(run.pk))
    return run


def _already_active(project: Project, kind: str) -> Exception:
    active = Run.objects.active().filter(project=project, kind=kind).first()
    if active is None:
        return CannotStart(_("It could not be started just now. Try again."))
    return CannotStart(_("“%(run)s” is already under way. Cancel it or wait for its end.") % {"run": active})


def _config(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return fill_in(kind, values)
    except InvalidConfig as error:
        raise CannotStart(str(error)) from error


def checked(checkpoint: Checkpoint, kind: Checkpoint.Kind, project: Project) -> Checkpoint:
    """The checkpoint, if it is one of this kind and project. Raises CannotStart."""
    if checkpoint.project_id != project.pk:
        raise CannotStart(_("Checkpoint %(id)d belongs to another project.") % {"id": checkpoint.pk})
    if checkpoint.kind != kind:
        raise CannotStart(
            _("Checkpoint %(id)d is a %(found)s, but a %(wanted)s is needed.")
            % {
                "id": checkpoint.pk,
                "found": checkpoint.get_kind_display().lower(),
                "wanted": kind.label.lower(),
            }
        )
    return checkpoint


def saved(user: Person) -> User | None:
    """Who did it, where that is somebody with an account."""
    return user if isinstance(user, User) else None


def _base_name(model: str) -> str:
    return (Path(model).name or model)[:80]
