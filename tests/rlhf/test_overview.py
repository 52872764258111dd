"""The loop's nine stations: their states, whose turn it is, what the loop waits for."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from annotator.models import Project, PromptImport, User
from rlhf import promotion, runs
from rlhf.facts import gather
from rlhf.models import Checkpoint, Evaluation, Run, Snapshot
from rlhf.overview import Loop, loop_of
from tests.factories import make_comparison, make_prompt, make_ranking

ORDER = ["import", "generate", "select", "rank", "snapshot", "reward", "optimise", "evaluate", "promote"]


def loop(project: Project, *, manages: bool = True) -> Loop:
    return loop_of(project, gather(project), manages=manages)


def states(project: Project) -> str:
    """The states' first letters, in the loop's order: w(aiting), r(unning), d(one), a(ttention)."""
    return "".join(station.state[0] for station in loop(project).stations)


def make_run(project: Project, kind: str, state: str = "done", **values: Any) -> Run:
    return Run.objects.create(project=project, kind=kind, state=state, **values)


def make_checkpoint(project: Project, kind: str, *, iteration: int = 1, **values: Any) -> Checkpoint:
    values.setdefault("run", make_run(project, kind, iteration=iteration))
    return Checkpoint.objects.create(
        project=project, kind=kind, name=kind, base_model=project.base_model, iteration=iteration, **values
    )


@pytest.fixture
def ranked(project: Project, bob: User) -> Project:
    """Two comparisons, both judged."""
    for _ in range(2):
        make_comparison(project)
        make_ranking(project, bob)
    return project


def test_the_stations_come_in_the_order_of_the_loop(project: Project):
    assert [station.key for station in loop(project).stations] == ORDER


def test_an_empty_project_waits_for_tasks(project: Project):
    assert states(project) == "wwwwwwwww"
    found = loop(project)
    assert (found.next.key, found.iteration) == ("import", 1)
    assert found.waits_for == "Waiting for tasks: import a file to begin."
    assert found.next.action and found.next.action.url == "/projects/support/import/"


def test_an_import_under_way_is_shown(project: Project):
    batch = PromptImport.objects.create(project=project, name="a.tsv", sha256="0", state="importing")
    assert loop(project).next.key == "import"
    assert states(project)[0] == "r"
    batch.state = PromptImport.State.FAILED
    batch.save()
    assert states(project)[0] == "a"
    assert "Nothing was stored" in loop(project).waits_for


def test_an_inspected_file_waits_for_its_manager(project: Project):
    batch = PromptImport.objects.create(project=project, name="a.tsv", sha256="0", state="ready")
    assert states(project)[0] == "a"
    found = loop(project)
    assert found.waits_for.startswith("a.tsv is inspected")
    assert found.next.action and found.next.action.url == f"/projects/support/import/{batch.pk}/"


def test_tasks_wait_for_generation(project: Project):
    make_prompt(project)
    assert states(project) == "dwwwwwwww"
    found = loop(project).next
    assert (found.key, found.action.label, found.action.posts) == ("generate", "Generate", True)  # type: ignore[union-attr]


def test_a_generation_under_way_shows_how_far_it_is(project: Project):
    make_prompt(project)
    run = make_run(project, "generation", "running", step=3, total=12, started_at=timezone.now())
    found = loop(project).next
    assert (found.key, found.state, found.progress.percent) == ("generate", "running", 25)  # type: ignore[union-attr]
    assert found.action.url == run.get_absolute_url()  # type: ignore[union-attr]


def test_a_run_that_nobody_took_says_so(project: Project):
    make_prompt(project)
    run = make_run(project, "generation", "queued", total=12)
    assert loop(project).waits_for == f"Generation {run.pk} waits for the model worker."


def test_a_failed_run_needs_attention_until_it_is_made_good(project: Project):
    make_prompt(project)
    make_run(project, "generation", "failed")
    assert states(project)[1] == "a"
    assert loop(project).next.action.label == "See why"  # type: ignore[union-attr]
    make_comparison(project)
    assert states(project)[1] == "d"


def test_it_says_how_many_rankings_are_missing(project: Project, bob: User):
    for _ in range(3):
        make_comparison(project)
    assert loop(project).waits_for == "Waiting for 3 more rankings."
    make_ranking(project, bob)
    make_ranking(project, bob)
    found = loop(project)
    assert found.waits_for == "Waiting for 1 more ranking."
    rank = found.stations[3]
    assert (rank.state, rank.figure, rank.unit) == ("running", "2", "of 3 rankings")


def test_closed_comparisons_are_not_waited_for(project: Project, bob: User):
    kept, closed = make_comparison(project), make_comparison(project)
    make_ranking(project, bob)
    project.comparisons.filter(judgments_taken=0).update(is_closed=True)
    assert {kept.pk, closed.pk} == set(project.comparisons.values_list("pk", flat=True))
    assert states(project) == "dddd" + "wwwww"


def test_enough_rankings_are_fewer_than_all(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlhf.facts.ENOUGH_RANKINGS", 2)
    for _ in range(5):
        make_comparison(project)
    assert loop(project).waits_for == "Waiting for 2 more rankings."


def test_with_its_rankings_the_loop_waits_for_the_reward_model(ranked: Project):
    assert states(ranked) == "ddddwwwww"
    found = loop(ranked).next
    assert (found.key, found.action.url) == ("reward", "/projects/support/runs/start/reward/")  # type: ignore[union-attr]


def test_a_reward_model_trained_early_is_not_waited_for_again(project: Project, bob: User):
    make_comparison(project)
    make_comparison(project)
    make_ranking(project, bob)
    make_checkpoint(project, "reward")
    assert states(project) == "dddr" + "dd" + "www"
    assert loop(project).next.key == "optimise"


def test_the_snapshot_says_what_is_frozen(ranked: Project):
    Snapshot.objects.create(project=ranked, file="x", sha256="0", last_ranking=1, counts={"rankings": 1})
    assert loop(ranked).stations[4].figure == "1"


def test_the_way_to_promotion(ranked: Project):
    make_checkpoint(ranked, "reward", metrics={"accuracy": {"value": 0.64, "low": 0.6, "high": 0.7}})
    assert loop(ranked).stations[5].figure == "64 %"
    policy = make_checkpoint(ranked, "policy", parent=runs.base_policy(ranked))
    assert states(ranked) == "ddddddd" + "ww"
    assert loop(ranked).next.key == "evaluate"
    evaluation = Evaluation.objects.create(
        run=make_run(ranked, "evaluation"), old=runs.base_policy(ranked), new=policy
    )
    found = loop(ranked).next
    assert (found.key, found.action.url) == ("promote", evaluation.run.get_absolute_url())  # type: ignore[union-attr]


def test_promotion_begins_the_next_iteration(ranked: Project, alice: User):
    make_checkpoint(ranked, "reward")
    promotion.promote(make_checkpoint(ranked, "policy"), user=alice, unevaluated=True)
    found = loop(ranked)
    assert (found.iteration, found.next.key) == (2, "generate")
    assert states(ranked) == "dwwwwwwww"


def test_what_failed_in_an_earlier_iteration_is_past(ranked: Project, alice: User):
    make_run(ranked, "policy", "failed", iteration=1)
    assert states(ranked)[6] == "a"
    promotion.promote(
        make_checkpoint(ranked, "policy", run=make_run(ranked, "evaluation")), user=alice, unevaluated=True
    )
    assert states(ranked)[6] == "w"


def test_only_managers_are_offered_what_changes_something(ranked: Project):
    offered = {s.key: s.action.label for s in loop(ranked, manages=False).stations if s.action}
    assert offered == {"select": "See comparisons", "snapshot": "Download data"}


def test_the_cost_does_not_grow_with_what_there_is(ranked: Project, django_assert_max_num_queries: Any):
    loop(ranked)  # makes the base checkpoint
    make_checkpoint(ranked, "policy")
    with django_assert_max_num_queries(14):
        loop(ranked)
    for _ in range(20):
        make_checkpoint(ranked, "policy")
        make_checkpoint(ranked, "reward")
        make_comparison(ranked)
    with django_assert_max_num_queries(14):
        loop(ranked)
