"""Which runs are marked, and where it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from annotator.models import Project, User
from rlhf import gaming
from rlhf.models import Run, RunRecord
from rlhf.plots import plots_of


def make_run(project: Project, *, golds: list[float], every: int = 1, kind: str = "policy") -> Run:
    run = Run.objects.create(
        project=project, kind=kind, state="done", config={"gold_every": every, "algorithm": "rloo"}
    )
    for step, gold in enumerate(golds):
        values: dict[str, float | None] = {"gold": gold, "gold_reward": float(step), "kl": 1.0}
        for task in range(6):
            values[f"gold/{task}"] = gold + (task + step) % 3 / 100
            values[f"gold_reward/{task}"] = step + (task * step) % 4 / 100
        RunRecord.objects.create(run=run, step=2 * step, values=values)
        RunRecord.objects.create(run=run, step=2 * step + 1, values={"kl": 1.0})
    return run


def test_only_runs_whose_gold_fell_are_marked_by_one_query(project: Project, django_assert_num_queries: Any):
    good = make_run(project, golds=[0.3, 0.4, 0.5])
    bad = make_run(project, golds=[0.3, 0.6, 0.4])
    blank = make_run(project, golds=[], every=0)
    with django_assert_num_queries(1):
        falls = gaming.falls_of([good, bad, blank])
    assert set(falls) == {bad.pk}
    assert (falls[bad.pk].since, falls[bad.pk].until) == (2, 4)
    assert gaming.fall_of(good) is None


def test_without_runs_that_were_looked_at_nothing_is_read(project: Project, django_assert_num_queries: Any):
    runs = [make_run(project, golds=[0.5, 0.1], every=0), make_run(project, golds=[], kind="evaluation")]
    with django_assert_num_queries(0):
        assert gaming.falls_of(runs) == {}


def test_a_number_that_json_cannot_hold_is_left_out(project: Project):
    run = make_run(project, golds=[0.3, 0.6, 0.4])
    record = run.records.get(step=4)
    record.values |= {"gold": None, "gold/0": None}
    record.save()
    assert gaming.fall_of(run) is None, "the last measurement that there is, is the peak"


def test_the_mark_is_on_the_run_and_in_the_list(
    project: Project, alice: User, client_of: Callable[[User], Client]
):
    good, bad = make_run(project, golds=[0.3, 0.4, 0.5]), make_run(project, golds=[0.3, 0.6, 0.4])
    client = client_of(alice)
    content = client.get(bad.get_absolute_url()).content.decode()
    assert 'id="run-gamed"' in content and "from step 2 to 4 gold changed by −0.20" in content
    assert "run-gamed" not in client.get(good.get_absolute_url()).content.decode()
    rows = client.get("/projects/support/runs/").content.decode().split("<tr>")
    assert [f"run-link-{bad.pk}" in row for row in rows if "Reward gamed" in row] == [True]


def test_gold_is_plotted_beside_the_reward_where_it_was_measured(project: Project):
    keys = [plot.key for plot in plots_of(make_run(project, golds=[0.3]))]
    assert keys[:3] == ["reward", "gold", "gold_reward"]
    assert "gold" not in [plot.key for plot in plots_of(make_run(project, golds=[], every=0))]
