"""Simulated annotators: marked as such, noisy as told, through the queue like everybody."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from annotator.models import Project, Ranking, User
from rlhf import simulation
from rlhf.models import Score
from rlhf.simulation import annotators_for, mallows, simulate
from tests.factories import make_comparison, make_completions, make_prompt


@pytest.fixture
def scored(project: Project) -> Project:
    """Thirty pairs whose second completion is better by gold."""
    for _ in range(30):
        completions = make_completions(make_prompt(project))
        for completion, gold in zip(completions, (0.1, 0.6), strict=True):
            Score.objects.create(completion=completion, mean=gold)
        make_comparison(project, completions=completions)
    return project


def run_all(project: Project, *, noise: float, rankings: int = 1000, count: int = 3, seed: int = 0) -> int:
    annotators = annotators_for(project, count=count, noise=noise, seed=seed)
    return max(simulate(project, annotators, rankings=rankings, seed=seed), default=0)


def right(project: Project) -> list[bool]:
    rankings = Ranking.objects.filter(comparison__project=project)
    return [r.ranks[str(max(int(k) for k in r.ranks))] == 1 for r in rankings]


def test_they_are_marked_everywhere_and_cannot_log_in(scored: Project):
    assert run_all(scored, noise=0.1) == 30
    robots = User.objects.filter(username__startswith="sim-")
    assert robots.count() == 3
    assert all(robot.is_simulated and not robot.has_usable_password() for robot in robots)
    assert not Ranking.objects.filter(is_simulated=False).exists()


def test_without_noise_they_follow_the_gold_metric(scored: Project):
    run_all(scored, noise=0)
    assert all(right(scored))
    assert set(Ranking.objects.values_list("strength", flat=True)) == {3}


def test_a_person_of_that_name_is_not_taken_over(scored: Project):
    User.objects.create_user("sim-1", password="secret")
    with pytest.raises(ValueError, match="sim-1 is a person"):
        annotators_for(scored, count=1, noise=0.1, seed=0)


@pytest.mark.parametrize(("count", "noise"), [(0, 0.1), (3, 0.5), (3, -0.1)])
def test_impossible_numbers_are_refused(scored: Project, count: int, noise: float):
    with pytest.raises(ValueError, match="must"):
        annotators_for(scored, count=count, noise=noise, seed=0)


def test_it_ends_at_the_number_wanted_and_goes_on_from_there(scored: Project):
    assert run_all(scored, noise=0.1, rankings=10) == 10
    assert Ranking.objects.count() == 10
    assert run_all(scored, noise=0.1) == 20


def test_the_same_seed_gives_the_same_judgment_of_a_comparison(scored: Project):
    comparison = scored.comparisons.first()
    (annotator,) = annotators_for(scored, count=1, noise=0.4, seed=7)
    from annotator.ranking import queue

    assignment = queue.claim_next(annotator=annotator.user, project=scored)
    assert assignment is not None and assignment.comparison == comparison
    gold = simulation.gold_of(assignment)
    first = simulation.judge(annotator, assignment, gold)
    assert all(simulation.judge(annotator, assignment, gold) == first for _ in range(5))


def test_what_has_no_gold_score_is_left_to_people(project: Project):
    make_comparison(project)
    assert run_all(project, noise=0.1) == 0
    assert not Ranking.objects.exists()
    assert project.comparisons.get().judgments_taken == 0


def test_a_pair_is_wrong_as_often_as_the_error_says():
    chance = random.Random(1)
    wrong = sum(mallows([1, 2], 0.15, chance) == [2, 1] for _ in range(20_000)) / 20_000
    assert wrong == pytest.approx(0.15, abs=0.01)  # four standard deviations


def test_rankings_of_three_follow_mallows():
    # With dispersion q = e/(1-e) = 1/3 an order at d swaps has the weight q**d: 1, q, q, q², q², q³.
    chance = random.Random(1)
    drawn = Counter(tuple(mallows([1, 2, 3], 0.25, chance)) for _ in range(20_000))
    total = 1 + 2 / 3 + 2 / 9 + 1 / 27
    assert drawn[1, 2, 3] / 20_000 == pytest.approx(1 / total, abs=0.015)
    assert drawn[2, 1, 3] / 20_000 == pytest.approx(1 / 3 / total, abs=0.012)
    assert drawn[3, 2, 1] / 20_000 == pytest.approx(1 / 27 / total, abs=0.006)


def test_skills_differ_around_the_noise(project: Project):
    errors = [a.error for a in annotators_for(project, count=40, noise=0.15, seed=3)]
    assert 0.11 < sum(errors) / 40 < 0.20
    assert min(errors) < 0.1 < 0.2 < max(errors)
