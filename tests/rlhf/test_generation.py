"""Generation: completions with their origin, comparisons in the queue, resumed to the same texts."""

from __future__ import annotations

import pytest

from annotator.models import Comparison, Completion, Project
from rlhf import execution, runs
from rlhf.models import Generation, Run
from rlhf.snapshots import task_of
from rlhf.stages import generation
from rlhf.stages.choosing import Chooser
from rlhf.tasks import stage_of
from tests.factories import make_completions, make_prompt


@pytest.fixture
def prompts(tiny_project: Project):
    """Seven prompts: chunks of 2, 4 and 1."""
    return [make_prompt(tiny_project, f"Task {letter}") for letter in "abcdefg"]


def start(project: Project, **values) -> Run:
    return runs.start_generation(project=project, **{"config": {"max_new_tokens": 12}, **values})


def texts(project: Project) -> dict[str, list[str]]:
    rows = Completion.objects.filter(prompt__project=project).order_by("pk")
    return {prompt.text: [row.text for row in rows.filter(prompt=prompt)] for prompt in project.prompts.all()}


def test_every_prompt_gets_completions_that_know_their_origin(tiny_project: Project, prompts, carry_out):
    run = carry_out(start(tiny_project))
    assert all(2 <= prompt.completions.count() <= 4 for prompt in prompts)  # the same text is kept once
    row = Generation.objects.select_related("completion").first()
    assert (row.run, row.checkpoint) == (run, run.policy)
    assert row.sampling == {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 12, "seed": 0}
    assert row.logprob < 0 < row.tokens <= 12
    assert (row.completion.source, row.completion.iteration) == ("model", 1)
    assert (run.step, run.total) == (7, 7)


def test_comparisons_are_there_after_the_first_chunk(tiny_project: Project, prompts, stop_after):
    stop_after(start(tiny_project), 2)
    assert tiny_project.comparisons.count() > 0


def test_a_stopped_run_goes_on_where_it_was_and_writes_the_same(
    tiny_project: Project, prompts, carry_out, stop_after
):
    run = start(tiny_project)
    stop_after(run, 2)
    assert run.step == 2
    assert sum(bool(found) for found in texts(tiny_project).values()) == 2

    carry_out(run)
    assert (run.step, run.attempts) == (7, 2)
    assert [record.step for record in run.records.all()] == [2, 4, 7]
    resumed = texts(tiny_project)

    Completion.objects.all().delete()
    carry_out(start(tiny_project, config={"max_new_tokens": 12, "seed": run.config["seed"]}))
    assert texts(tiny_project) == resumed


def test_a_second_generation_writes_other_texts(tiny_project: Project, prompts, carry_out):
    carry_out(start(tiny_project))
    before = Completion.objects.count()
    carry_out(start(tiny_project))
    assert Completion.objects.count() > before


def test_only_the_first_tasks_where_fewer_are_asked_for(tiny_project: Project, prompts, carry_out):
    run = carry_out(start(tiny_project, tasks=3))
    assert (run.step, run.total) == (3, 3)
    assert sum(bool(found) for found in texts(tiny_project).values()) == 3


def test_held_out_prompts_do_not_come_first(project: Project):
    project.held_out_share = 0.25
    for number in range(200):
        make_prompt(project, f"Task {number}")
    run = Run.objects.create(project=project, kind="generation")
    hold = execution.claim(run.pk, "w")
    held_out = [prompt.is_held_out for prompt in generation.remaining(hold)]
    assert 0.1 < sum(held_out[:100]) / 100 < 0.4


def chosen_for(project: Project, count: int):
    prompt = make_prompt(project)
    completions = make_completions(prompt, count)
    chooser = Chooser(project, seed=0)
    seen = chooser.look_at(task_of(prompt), [completion.text for completion in completions])
    return chooser.choose([(seen, completions)])


def test_four_completions_give_all_six_pairs(project: Project):
    chosen = chosen_for(project, 4)
    assert len({new.completion_ids for new in chosen}) == 6
    assert [new.priority for new in chosen] == sorted((new.priority for new in chosen), reverse=True)
    assert {new.rule for new in chosen} == {Comparison.Rule.RANDOM}


def test_many_completions_are_not_all_compared_with_all(project: Project):
    project.completions_per_comparison = 4
    chosen = chosen_for(project, 16)
    assert len(chosen) == 12  # each is shown three times in the mean
    assert {len(new.completion_ids) for new in chosen} == {4}


def test_a_single_completion_is_not_compared(project: Project):
    assert chosen_for(project, 1) == []


def test_a_model_that_is_not_there_fails_the_run_with_a_reason(tiny_project: Project, prompts, settings):
    settings.MODEL = "no-such-model"
    run = start(tiny_project)
    execution.execute(run.pk, stage_of)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "unknown model 'no-such-model'" in run.error
    assert not Completion.objects.exists()
