"""Gold scores as rows: each completion once, resumed with what is missing."""

from __future__ import annotations

import pytest

from annotator.models import Project
from rlhf import runs
from rlhf.models import Score
from rlhf.stages import scoring
from tests.factories import make_completions, make_prompt

HELD_OUT = [{"input": "warm", "output": "cold"}, {"input": "up", "output": "down"}]


def test_completions_of_tasks_that_can_judge_get_a_score(tiny_project: Project, carry_out):
    judged = make_completions(make_prompt(tiny_project, held_out_examples=HELD_OUT), 3)
    make_completions(make_prompt(tiny_project), 2)
    run = carry_out(runs.start_scoring(project=tiny_project))
    scores = Score.objects.all()
    assert {score.completion for score in scores} == set(judged)
    assert all(score.checkpoint is None for score in scores)
    assert set(scores[0].details) == {"log_likelihood", "top", "leak"}
    assert run.records.get().values["gold"] == pytest.approx(sum(s.mean for s in scores) / 3)


def test_a_task_whose_outputs_are_all_alike_is_told_of(tiny_project: Project, carry_out):
    same = [{"input": "warm", "output": "yes"}, {"input": "up", "output": "yes"}]
    make_completions(make_prompt(tiny_project, held_out_examples=same), 2)
    run = carry_out(runs.start_scoring(project=tiny_project))
    assert not Score.objects.exists()
    assert "2 instructions have no gold score" in run.note


def test_a_stopped_run_scores_only_what_is_missing(tiny_project: Project, monkeypatch, carry_out, stop_after):
    monkeypatch.setattr(scoring, "CHUNK", 2)
    make_completions(make_prompt(tiny_project, held_out_examples=HELD_OUT), 5)
    run = runs.start_scoring(project=tiny_project)
    stop_after(run, 2)
    first = dict(Score.objects.values_list("completion_id", "created_at"))
    assert len(first) == 2
    carry_out(run)
    assert (run.step, run.total) == (5, 5)
    assert Score.objects.count() == 5
    assert first.items() <= dict(Score.objects.values_list("completion_id", "created_at")).items()
