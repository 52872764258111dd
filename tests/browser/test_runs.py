"""The overview and the runs in a real browser: what lives on the page, and how it looks to everybody."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from annotator import events
from annotator.models import Project
from rlhf import run_log, runs
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord, RunSample
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

LONG = "averyveryverylongnamewithoutanyspaceinit" * 2


@pytest.fixture
def run(project: Project) -> Run:
    """A policy run at its third step of eight."""
    run = Run.objects.create(
        project=project, kind="policy", state="running", step=3, total=8, config={"kl_budget": 8.0}
    )
    prompt = make_prompt(project, "给客户写一条短信 " + LONG)
    for step in (1, 2, 3):
        add_step(run, step)
        RunSample.objects.create(
            run=run, step=step, prompt=prompt, text=f"<b>text</b> {step} {LONG}", reference_text="before"
        )
    return run


def add_step(run: Run, step: int) -> None:
    RunRecord.objects.create(
        run=run, step=step, values={"reward": step / 10, "kl": step / 2, "entropy": 2.0, "length": 20 + step}
    )
    Run.objects.filter(pk=run.pk).update(step=step)


@pytest.fixture
def rich(run: Run, alice: Any, bob: Any) -> Project:
    """Something on every page."""
    project = run.project
    make_comparison(project)
    make_ranking(project, bob)
    interval = {"value": 0.6, "low": 0.5, "high": 0.7}
    reward_run = Run.objects.create(project=project, kind="reward", state="done")
    Checkpoint.objects.create(
        project=project,
        kind="reward",
        name=LONG[:80],
        base_model="b",
        run=reward_run,
        metrics={"accuracy": interval, "longer": interval, "human_ceiling": interval},
    )
    policy = Checkpoint.objects.create(
        project=project,
        kind="policy",
        name=LONG[:80],
        base_model=project.base_model,
        parent=runs.base_policy(project),
        run=Run.objects.create(project=project, kind="policy", state="failed", error=LONG * 9),
    )
    tasks = [{"task_id": str(project.prompts.first().pk), "old": 0.4, "new": 0.5}]
    sides = {"old": interval, "new": interval, "difference": interval}
    Evaluation.objects.create(
        run=Run.objects.create(project=project, kind="evaluation", state="done"),
        old=policy.parent,
        new=policy,
        result={"gold": sides, "reward": sides, "tasks": tasks},
    )
    events.record(project, alice, "started", LONG)
    return project


def test_curves_grow_with_the_run(open_as, alice, run: Run):
    page = open_as(alice, run.get_absolute_url())
    plot = page.locator('[data-plot="kl"]')
    expect(plot.locator("canvas")).to_be_visible()
    expect(plot.locator(".plot-value")).to_have_text("1.5")
    expect(plot.locator(".plot-area")).to_have_attribute(
        "aria-label", "Distance from the reference, KL, nats an instruction. KL: 0.5 → 1.5"
    )
    plot.get_by_text("As a table").click()
    expect(plot.locator("tbody tr")).to_have_count(3)
    add_step(run, 4)
    expect(plot.locator(".plot-value")).to_have_text("2")
    expect(plot.locator("tbody tr")).to_have_count(4)
    expect(page.locator("#run-live")).to_contain_text("4 / 8")


def test_who_looks_at_an_earlier_step_keeps_it(open_as, alice, run: Run):
    page = open_as(alice, run.get_absolute_url())
    page.locator("#samples-previous").click()
    expect(page.locator("#samples-title")).to_contain_text("at step 2")
    add_step(run, 4)
    expect(page.locator("#run-live")).to_contain_text("4 / 8")
    expect(page.locator("#samples-title")).to_contain_text("at step 2")
    expect(page.locator(".sample-policy b")).to_have_count(0)


def test_the_slider_goes_through_the_steps(open_as, alice, run: Run):
    page = open_as(alice, run.get_absolute_url())
    slider = page.get_by_role("slider", name="Step of the samples")
    slider.focus()
    for step in (2, 1):
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#samples-title")).to_contain_text(f"at step {step}")
        expect(slider).to_be_focused()
    expect(slider).to_have_attribute("aria-valuetext", "at step 1")
    page.get_by_role("link", name="Over time").click()
    expect(page.locator(".sample-policy")).to_have_count(3)
    expect(page.locator(".sample-reference")).to_have_count(1)
    page.get_by_role("link", name="All tasks").click()
    expect(page.locator("#samples-title")).to_contain_text("at step 3")


def test_the_log_follows_the_run(open_as, alice, run: Run, settings, tmp_path):
    settings.VAR = tmp_path
    page = open_as(alice, run.get_absolute_url())
    expect(page.locator("#run-log")).to_contain_text("No worker has written anything yet.")
    run_log.append(run, "<i>Step 4</i>")
    expect(page.locator(".log li")).to_contain_text("<i>Step 4</i>")


def test_curves_of_two_runs_lie_over_each_other(open_as, dana, run: Run):
    other = Run.objects.create(
        project=run.project, kind="policy", state="done", step=2, total=2, config={"kl_budget": 4.0}
    )
    for step in (0, 1, 2):
        RunRecord.objects.create(run=other, step=step, values={"reward": 1.0 + step, "kl": 0.5})
    page = open_as(dana, "/projects/support/runs/")
    page.get_by_role("link", name="Compare runs").click()
    for one in (run, other):
        page.get_by_role("checkbox", name=str(one)).check()
    page.get_by_role("button", name="Compare").click()
    plot = page.locator('[data-plot="reward"]')
    expect(plot.locator("canvas")).to_be_visible()
    expect(plot.locator(".plot-value")).to_have_text(["3", "0.3"])  # the newest run first
    plot.get_by_text("As a table").click()
    expect(plot.locator("tbody tr")).to_have_text(["01–", "120.1", "230.2", "3–0.3"])
    expect(page.locator(".compare-differs")).to_have_text(["4.0", "8.0"])
    add_step(run, 4)  # the other is done; this one goes on
    expect(plot.locator(".plot-value").last).to_have_text("0.4", timeout=20_000)  # asked for every 5 s


def test_the_estimate_follows_the_fields_and_the_fields_the_algorithm(open_as, alice, project: Project):
    page = open_as(alice, "/projects/support/runs/start/policy/")
    expect(page.locator("#estimate")).to_contain_text("About 8 min.")
    page.get_by_label("Steps").fill("33")
    expect(page.locator("#estimate")).to_contain_text("About 15 min.")
    page.get_by_label("Algorithm").focus()
    page.get_by_label("Algorithm").select_option("dpo")
    expect(page.get_by_label("Epochs")).to_have_value("4")
    expect(page.get_by_label("Steps")).to_have_count(0)
    expect(page.locator("#estimate")).to_contain_text("nothing to do")
    expect(page.get_by_label("Algorithm")).to_be_focused()


def test_the_page_says_when_the_connection_is_lost(open_as, alice, run: Run):
    page = open_as(alice, run.get_absolute_url())
    expect(page.locator("[data-live-offline]")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.locator("[data-live-offline]")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("[data-live-offline]")).to_be_hidden()


def test_the_end_of_a_run_is_seen_without_a_key_pressed(open_as, alice, run: Run):
    page = open_as(alice, run.get_absolute_url())
    Run.objects.filter(pk=run.pk).update(state="failed", error="There was not enough memory.")
    expect(page.get_by_role("alert").filter(has_text="not enough memory")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_the_overview_follows_the_loop(open_as, alice, project: Project):
    page = open_as(alice, "/projects/support/")
    expect(page.locator("#loop-waits")).to_have_text("Waiting for tasks: import a file to begin.")
    make_prompt(project)
    expect(page.locator("#loop-waits")).to_have_text("Waiting for a manager to start generation.")
    expect(page.locator(".station-next .station-name")).to_have_text("Generate")


def test_promoting_is_one_click_beside_the_figures(open_as, alice, rich: Project):
    page = open_as(alice, "/projects/support/models/")
    assert runs.promoted_policy(rich).run_id is None
    page.locator(".lineage-row").first.get_by_role("button", name="Promote").click()
    expect(page.locator(".lineage-now")).to_contain_text(LONG[:80])
    assert runs.promoted_policy(rich).run_id is not None


@pytest.mark.parametrize("look", ["light", "dark phone"])
def test_every_page_is_accessible_and_fits(open_as, alice, rich: Project, look: str):
    page = open_as(alice, "/projects/support/", dark="dark" in look, phone="phone" in look)
    paths = ["", "runs/", "models/", "runs/start/policy/", "runs/start/policy/?algorithm=dpo"]
    pks = list(Run.objects.values_list("pk", flat=True))
    paths += [f"runs/{pk}/" for pk in pks]
    paths += ["runs/compare/", "runs/compare/?" + "&".join(f"run={pk}" for pk in pks[:4])]
    for path in paths:
        page.goto(f"/projects/support/{path}")
        page.wait_for_load_state("networkidle")
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == [], path
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path
