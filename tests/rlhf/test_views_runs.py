"""The pages of runs: the list, one run as it goes, its numbers, the forms that start one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from annotator.models import Event, Project, User
from rlhf import runs
from rlhf.models import Checkpoint, Generation, Run, RunRecord, RunSample
from tests.factories import make_comparison, make_completions, make_prompt, make_ranking

HOSTILE = "<script>alert(1)</script> & <b>bold</b>"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs that were put on the broker."""
    put: list[int] = []
    monkeypatch.setattr(runs.app, "send_task", lambda name, args, retry: put.extend(args))
    return put


@pytest.fixture
def manager(alice: User, client_of: Callable[[User], Client]) -> Client:
    return client_of(alice)


@pytest.fixture
def run(project: Project) -> Run:
    return Run.objects.create(
        project=project, kind=Run.Kind.POLICY, state="running", step=2, total=8, config={"kl_budget": 8.0}
    )


@pytest.fixture
def ranked(project: Project, bob: User) -> Project:
    """A ranking on a task that is not held out."""
    project.held_out_share = 0
    project.save()
    make_comparison(project, make_prompt(project))
    make_ranking(project, bob)
    return project


def page(client: Client, run: Run, **kwargs: Any) -> str:
    response = client.get(run.get_absolute_url(), **kwargs)
    assert response.status_code == 200
    return response.content.decode()


def htmx(client: Client, run: Run, query: str = "", target: str = "run-live") -> Any:
    return client.get(run.get_absolute_url() + query, headers={"HX-Request": "true", "HX-Target": target})


def test_an_empty_list_says_how_to_begin(manager: Client):
    content = manager.get("/projects/support/runs/").content.decode()
    assert "No run yet" in content and "/runs/start/generation/" in content


def test_the_list_shows_one_kind_if_asked(manager: Client, run: Run, project: Project):
    other = Run.objects.create(project=project, kind=Run.Kind.REWARD, state="done")
    content = manager.get("/projects/support/runs/?kind=reward").content.decode()
    assert other.get_absolute_url() in content and run.get_absolute_url() not in content


def test_the_list_is_polled_only_while_something_goes_on(manager: Client, run: Run):
    assert 'hx-trigger="every 3s"' in manager.get("/projects/support/runs/").content.decode()
    Run.objects.update(state="done")
    assert "hx-trigger" not in manager.get("/projects/support/runs/").content.decode()


def test_a_running_run_shows_its_progress_and_can_be_cancelled(manager: Client, run: Run):
    content = page(manager, run)
    assert 'max="8" value="2"' in content and "2 / 8" in content
    assert f"/runs/{run.pk}/cancel/" in content and f"/runs/{run.pk}/resume/" not in content


def test_a_run_that_was_started_again_says_so(manager: Client, run: Run):
    assert "It was started" not in page(manager, run)
    Run.objects.update(attempts=3, note="Its worker died at step 2.")
    content = page(manager, run)
    assert "It was started 3 times" in content and "Its worker died at step 2." in content


def test_a_failed_run_shows_its_error_and_can_be_resumed(manager: Client, run: Run):
    Run.objects.update(state="failed", error=HOSTILE)
    content = page(manager, run)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content and HOSTILE not in content
    assert f"/runs/{run.pk}/resume/" in content


def test_htmx_gets_only_what_changes(manager: Client, run: Run):
    content = htmx(manager, run).content.decode()
    assert content.lstrip().startswith("<section") and 'id="run-samples"' in content
    assert "hx-swap-oob" in content and "<html" not in content and 'data-plot="' not in content


def test_the_end_of_a_run_brings_the_whole_page(manager: Client, run: Run):
    assert "HX-Refresh" not in htmx(manager, run).headers
    Run.objects.update(state="done")
    assert htmx(manager, run).headers["HX-Refresh"] == "true"


def test_samples_stand_beside_the_references_and_are_shown_as_text(
    manager: Client, run: Run, project: Project
):
    prompt = make_prompt(project)
    for step in (1, 2):
        RunSample.objects.create(
            run=run, step=step, prompt=prompt, text=f"{HOSTILE} at {step}", reference_text="the old text"
        )
    content = page(manager, run)
    assert "&lt;b&gt;bold&lt;/b&gt; at 2" in content and HOSTILE not in content
    assert "the old text" in content and "at 1" not in content
    earlier = htmx(manager, run, "?step=1", target="run-samples").content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt; at 1" in earlier and "data-pinned" in earlier


def test_a_generation_shows_what_it_wrote_last(manager: Client, project: Project):
    run = Run.objects.create(project=project, kind=Run.Kind.GENERATION, state="running")
    [completion] = make_completions(make_prompt(project), 1)
    Generation.objects.create(
        completion=completion,
        run=run,
        checkpoint=runs.base_policy(project),
        logprob=-1,
        tokens=3,
        finished=True,
    )
    assert completion.text in page(manager, run)


def test_numbers_come_after_a_step(manager: Client, run: Run):
    for step in (1, 2, 3):
        RunRecord.objects.create(run=run, step=step, values={"reward": step / 10})
    data = manager.get(f"{run.get_absolute_url()}data/?after=1").json()
    assert [(record["step"], record["values"]) for record in data["records"]] == [
        (2, {"reward": 0.2}),
        (3, {"reward": 0.3}),
    ]
    assert (data["run"]["state"], data["run"]["total"]) == ("running", 8)
    assert "samples" not in data


def test_the_download_has_everything(manager: Client, run: Run, project: Project):
    RunRecord.objects.create(run=run, step=1, values={"reward": 0.5})
    RunSample.objects.create(run=run, step=1, prompt=make_prompt(project), text="写一句话")
    Checkpoint.objects.create(
        project=project, kind="policy", name="new", base_model="b", run=run, metrics={"kl": 1.5}
    )
    response = manager.get(f"{run.get_absolute_url()}data/?download")
    assert response["Content-Disposition"] == f'attachment; filename="support-run-{run.pk}.json"'
    assert "写一句话" in response.content.decode()
    data = json.loads(response.content)
    assert data["checkpoint"]["metrics"] == {"kl": 1.5} and data["samples"][0]["step"] == 1


def test_csv_has_a_column_for_every_number(manager: Client, run: Run):
    RunRecord.objects.create(run=run, step=1, values={"reward": 0.5})
    RunRecord.objects.create(run=run, step=2, values={"reward": 0.6, "kl": 1.25})
    response: Any = manager.get(f"{run.get_absolute_url()}data/?format=csv")
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert [(row["step"], row["reward"], row["kl"]) for row in rows] == [
        ("1", "0.5", ""),
        ("2", "0.6", "1.25"),
    ]


def test_cancel_and_resume(manager: Client, run: Run, alice: User):
    response = manager.post(f"{run.get_absolute_url()}cancel/")
    assert (response.status_code, response["Location"]) == (302, run.get_absolute_url())
    run.refresh_from_db()
    assert run.cancel_requested
    Run.objects.update(state="cancelled")
    manager.post(f"{run.get_absolute_url()}resume/")
    run.refresh_from_db()
    assert (run.state, run.cancel_requested) == ("queued", False)
    assert list(Event.objects.values_list("verb", "actor")) == [
        ("resumed", alice.pk),
        ("cancelled", alice.pk),
    ]


def test_a_run_that_goes_on_cannot_be_resumed(manager: Client, run: Run):
    response = manager.post(f"{run.get_absolute_url()}resume/", follow=True)
    assert "Only a failed or cancelled run can be resumed." in response.content.decode()


def test_a_bare_post_starts_with_the_defaults(manager: Client, project: Project, alice: User):
    make_prompt(project)
    response = manager.post("/projects/support/runs/start/generation/")
    run = Run.objects.get()
    assert (response.status_code, response["Location"]) == (302, run.get_absolute_url())
    assert (run.config["completions_per_task"], run.config["temperature"], run.total) == (4, 0.8, 1)
    assert run.created_by == alice


def test_a_form_says_what_differs(manager: Client, project: Project):
    for _ in range(3):
        make_prompt(project)
    manager.post("/projects/support/runs/start/generation/", {"completions_per_task": "8", "tasks": "2"})
    run = Run.objects.get()
    assert (run.config["completions_per_task"], run.config["tasks"], run.total) == (8, 2, 2)


def test_the_default_is_as_many_as_a_comparison_shows(manager: Client, project: Project):
    make_prompt(project)
    project.completions_per_comparison = 6
    project.save()
    assert 'value="6"' in manager.get("/projects/support/runs/start/generation/").content.decode()
    manager.post("/projects/support/runs/start/generation/")
    assert Run.objects.get().config["completions_per_task"] == 6


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("generation", "has no tasks yet"),
        ("reward", "has no rankings on training tasks yet"),
        ("policy", "There is no reward model yet"),
        ("evaluation", "There is no trained policy yet"),
        ("scoring", "There is nothing to score"),
    ],
)
def test_what_cannot_start_says_why_on_the_page(manager: Client, kind: str, words: str):
    response = manager.post(f"/projects/support/runs/start/{kind}/")
    content = response.content.decode()
    assert response.status_code == 422 and words in content and "Nothing was started." in content
    assert not Run.objects.exists()


def test_a_number_out_of_bounds_is_named(manager: Client, ranked: Project):
    response = manager.post("/projects/support/runs/start/reward/", {"heads": "0"})
    assert (
        response.status_code == 422
        and "heads is 0; it must lie between 1 and 64." in response.content.decode()
    )
    response = manager.post("/projects/support/runs/start/reward/", {"heads": "many"})
    assert response.status_code == 422 and "Enter a whole number." in response.content.decode()
    assert not Run.objects.exists()


def test_the_reward_form_reaches_the_config(manager: Client, ranked: Project):
    sent = {"heads": "3", "l2": "2.5", "length": "removed", "inputs": "max, text"}
    sent |= {"tried_examples": "12", "execution_weight": "30"}
    manager.post("/projects/support/runs/start/reward/", sent)
    config = Run.objects.get().config
    assert (config["heads"], config["l2"], config["steps"]) == (3, 2.5, 60)
    assert (config["length"], config["inputs"]) == ("removed", "max, text")
    assert (config["tried_examples"], config["execution_weight"]) == (12, 30.0)


def reward_model(project: Project, name: str) -> Checkpoint:
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD, state="done")
    return Checkpoint.objects.create(project=project, kind="reward", name=name, base_model="tiny", run=run)


def test_which_reward_model_is_asked_where_there_are_several(manager: Client, ranked: Project):
    teaching = reward_model(ranked, "to teach")
    addresses = [f"/projects/support/runs/start/{kind}/" for kind in ("generation", "policy")]
    for address in addresses:
        assert 'name="reward"' not in manager.get(address).content.decode()
    choosing = reward_model(ranked, "to choose")
    foreign = reward_model(Project.objects.create(name="Other", slug="other"), "foreign")
    for address in addresses:
        content = manager.get(address).content.decode()
        assert 'name="reward"' in content and "to teach" in content and "foreign" not in content
        refused = manager.post(address, {"reward": foreign.pk, "best_of": "2"})
        assert refused.status_code == 422 and "Select a valid choice" in refused.content.decode()
    assert 'name="reward"' not in manager.get(addresses[1] + "?algorithm=sft").content.decode()
    assert not Run.objects.exclude(kind=Run.Kind.REWARD).exists()

    manager.post(addresses[1], {"reward": teaching.pk, "steps": "3"})
    run = Run.objects.get(kind=Run.Kind.POLICY)
    assert run.reward == teaching and run.config["steps"] == 3 and "reward" not in run.config
    run.delete()
    manager.post(addresses[1])
    assert Run.objects.get(kind=Run.Kind.POLICY).reward == choosing  # the newest


@pytest.mark.parametrize("best_of", ["1", "2"])
def test_the_reward_model_that_keeps_the_best_is_the_one_asked_for(
    manager: Client, ranked: Project, best_of: str
):
    asked = reward_model(ranked, "to choose")
    reward_model(ranked, "newer")
    sent = {"reward": asked.pk, "best_of": best_of}
    manager.post("/projects/support/runs/start/generation/", sent)
    assert Run.objects.get(kind=Run.Kind.GENERATION).reward == (asked if best_of == "2" else None)


def test_a_second_start_is_refused_while_one_goes_on(manager: Client, project: Project):
    make_prompt(project)
    manager.post("/projects/support/runs/start/generation/")
    response = manager.post("/projects/support/runs/start/generation/")
    assert response.status_code == 422 and "is already under way" in response.content.decode()
    assert Run.objects.count() == 1


def test_a_chosen_checkpoint_is_evaluated(manager: Client, project: Project):
    make_prompt(project)
    project.prompts.update(is_held_out=True)
    made = [
        Checkpoint.objects.create(
            project=project,
            kind="policy",
            name=f"new {n}",
            base_model="smollm2",
            parent=runs.base_policy(project),
            run=Run.objects.create(project=project, kind="policy", state="done"),
        )
        for n in range(2)
    ]
    manager.post("/projects/support/runs/start/evaluation/", {"new": made[0].pk})
    run = Run.objects.get(kind="evaluation")
    assert (run.policy, run.old_policy) == (made[0], runs.base_policy(project))


def test_a_checkpoint_of_another_project_is_not_a_choice(manager: Client, project: Project):
    other = Project.objects.create(name="Other", slug="other")
    response = manager.post("/projects/support/runs/start/evaluation/", {"new": runs.base_policy(other).pk})
    assert response.status_code == 422 and "Select a valid choice" in response.content.decode()
