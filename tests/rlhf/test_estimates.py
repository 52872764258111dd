"""How long a run will take, worked out by hand from invented runs; and what the form says of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from annotator.models import Project, User
from rlhf import runs
from rlhf.estimates import LOADING_SECONDS, RULES, _units, busy_seconds, estimate, pace_of
from rlhf.models import Run, RunRecord
from rlhf.policy_form import PolicyForm
from rlhf.stage_configs import fill_in
from tests.factories import make_prompt

START = datetime(2026, 1, 1, tzinfo=UTC)
URL = "/projects/support/runs/start/policy/"
SMALL = {"prompts_per_step": 2, "completions_per_prompt": 5, "max_new_tokens": 10}  # 100 tokens a step


def rloo(**given: Any) -> dict[str, Any]:
    return fill_in(runs.PolicyConfig, {"algorithm": "rloo", **SMALL, **given})


def finished(project: Project, *, seconds: float, steps: int = 9, **fields: Any) -> Run:
    """A run of steps + 1 records that are `seconds` apart."""
    made: dict[str, Any] = {
        "kind": "policy",
        "state": "done",
        "config": rloo(steps=steps),
        "step": steps,
        "attempts": 1,
        "policy": runs.base_policy(project),
        "started_at": START,
        "finished_at": START + timedelta(seconds=seconds * (steps + 1)),
        **fields,
    }
    run = Run.objects.create(project=project, **made)
    for step in range(steps + 1):
        record = RunRecord.objects.create(run=run, step=step)
        at = START + timedelta(seconds=seconds * (step + 1))
        RunRecord.objects.filter(pk=record.pk).update(created_at=at)
    return run


def test_a_pause_is_not_work():
    times = [START + timedelta(seconds=s) for s in (0, 10, 20, 20 + 3600, 30 + 3600)]
    assert busy_seconds(times) == 30


def test_a_pace_is_seconds_a_token(project: Project):
    assert pace_of(finished(project, seconds=20)) == pytest.approx(0.2)  # 10 steps of 100 tokens in 200 s
    # Stopped by a guard at its fifth step of a hundred: only what it did counts.
    stopped = finished(project, seconds=20, steps=4, config=rloo(steps=99))
    assert pace_of(stopped) == pytest.approx(0.2)


def test_it_is_measured_from_the_middle_of_the_last_three_runs_like_it(project: Project):
    for seconds in (900, 10, 40, 20):
        finished(project, seconds=seconds)
    finished(project, seconds=1, state="failed")
    finished(project, seconds=1, attempts=2)
    finished(project, seconds=1, config={**rloo(), "algorithm": "grpo"})
    found = estimate(project, "policy", rloo(steps=4))
    assert found is not None and len(found.measured) == 3
    assert found.seconds == pytest.approx(5 * 20)  # 5 steps at the pace of 20 s


def test_it_grows_with_the_fields(project: Project):
    finished(project, seconds=20)
    one, more = (estimate(project, "policy", rloo(**given)) for given in ({}, {"completions_per_prompt": 10}))
    assert one is not None and more is not None
    assert more.seconds == pytest.approx(2 * one.seconds)
    twice = estimate(project, "policy", rloo(epochs=2))
    assert twice is not None and twice.seconds == pytest.approx(5 / 3 * one.seconds)


def test_measuring_gold_takes_as_long_as_evaluating_as_many_texts(project: Project):
    # Of the steps 0 to 9 gold is measured at 0, 4, 8 and the last, on 24 texts of 10 tokens.
    without, some = (estimate(project, "policy", rloo(steps=9, gold_every=every)) for every in (0, 4))
    assert without is not None and some is not None
    assert some.seconds - without.seconds == pytest.approx(4 * 240 * RULES["evaluation"])
    # Of the seven updates by DPO on 27 tasks, four at a time, at 0, 4 and the last.
    dpo = {"algorithm": "dpo", "groups_per_step": 4, "max_new_tokens": 10}
    none, some_too = (_units("policy", {**dpo, "gold_every": every}, 27) for every in (0, 4))
    assert (some_too - none) * RULES["offline"] == pytest.approx(3 * 240 * RULES["evaluation"])


def test_without_such_a_run_it_is_a_rule_of_thumb(project: Project):
    config = fill_in(runs.PolicyConfig, {"algorithm": "rloo"})
    found = estimate(project, "policy", config)
    assert found is not None and not found.measured
    assert found.seconds == pytest.approx(LOADING_SECONDS + 17 * 22.5)  # as docs/LOG.md has it
    make_prompt(project)
    written = estimate(project, "generation", fill_in(runs.SamplingConfig, {}))
    assert written is not None
    assert written.seconds == pytest.approx(LOADING_SECONDS + 4 * 48 * RULES["generation"])
    chosen = estimate(project, "generation", fill_in(runs.SamplingConfig, {"best_of": 3}))
    assert chosen is not None
    assert chosen.seconds == pytest.approx(LOADING_SECONDS + 3 * 4 * 48 * RULES["generation"])


def test_where_there_is_nothing_to_do_there_is_no_estimate(project: Project):
    assert estimate(project, "generation", fill_in(runs.SamplingConfig, {})) is None
    assert estimate(project, "policy", fill_in(runs.POLICY_CONFIGS["dpo"], {})) is None


@pytest.fixture
def manager(alice: User, client_of: Callable[[User], Client]) -> Client:
    return client_of(alice)


def test_the_form_says_how_long_and_how_it_knows(manager: Client, project: Project):
    content = manager.get(URL).content.decode()
    assert "About 8 min." in content and "A rule of thumb" in content  # 10 + 17 · 22.5 + 5 · 12.3 s = 7.6 min
    run = finished(project, seconds=20)
    content = manager.get(URL).content.decode()
    assert "At the pace that was measured" in content and run.get_absolute_url() in content


def test_a_run_of_another_project_is_measured_but_not_named(manager: Client, project: Project):
    other = Project.objects.create(name="Secret", slug="secret")
    finished(other, seconds=20)
    content = manager.get(URL).content.decode()
    assert "a run of another project" in content and "secret" not in content.lower()


def test_htmx_gets_the_estimate_of_the_fields_alone(manager: Client, project: Project):
    def asked(query: str) -> str:
        headers = {"HX-Request": "true", "HX-Target": "estimate"}
        return manager.get(URL + query, headers=headers).content.decode()

    one, more = asked("?algorithm=rloo&steps=16"), asked("?algorithm=rloo&steps=33")
    assert "<html" not in one and "About 8 min." in one and "About 15 min." in more
    assert "cannot be told" in asked("?algorithm=rloo&steps=many")
    assert "cannot be told" in asked("?algorithm=rloo&steps=0")
    assert not Run.objects.exists()


def test_a_form_has_the_fields_of_its_algorithm_with_their_defaults(manager: Client, project: Project):
    rloo_form, dpo_form = (
        PolicyForm(project=project, initial={"algorithm": algorithm}) for algorithm in ("rloo", "dpo")
    )
    assert "kl_budget" in rloo_form.fields and "beta" not in rloo_form.fields
    assert "beta" in dpo_form.fields and "steps" not in dpo_form.fields
    assert (rloo_form["learning_rate"].initial, dpo_form["learning_rate"].initial) == (4e-4, 3e-4)
    assert [field.name for field in rloo_form.plain_fields] == ["algorithm", "steps"]
    assert [field.name for field in dpo_form.plain_fields] == ["algorithm", "epochs"]
    content = manager.get(f"{URL}?algorithm=dpo").content.decode()
    assert 'name="beta"' in content and 'name="kl_budget"' not in content
    assert 'name="kl_budget"' in manager.get(f"{URL}?algorithm=nonsense").content.decode()


def test_of_an_algorithm_without_a_rule_only_a_finished_run_can_tell(project: Project):
    make_prompt(project)
    other = {"algorithm": "new", "epochs": 3}
    assert estimate(project, "policy", other) is None
    finished(project, seconds=20, config=other)
    found = estimate(project, "policy", other)
    assert found is not None and found.seconds == pytest.approx(200)
