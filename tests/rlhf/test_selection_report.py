"""What selection brought: counts, foresight and medians by hand; no model is asked what it was taught."""

from __future__ import annotations

import math

import pytest

from annotator.models import Comparison, Project, User
from rlhf import selection_page, selection_report
from rlhf.models import Checkpoint, Run, Score, Snapshot
from rlhf.selection_report import Column, brought, difference, foresight, median
from tests.factories import make_comparison, make_ranking


def make_model(project: Project, last_ranking: int, *, temperature: float = 1.0) -> Checkpoint:
    snapshot = Snapshot.objects.create(project=project, sha256=str(last_ranking), last_ranking=last_ranking)
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD, state=Run.State.DONE)
    return Checkpoint.objects.create(
        project=project,
        kind="reward",
        name="r",
        base_model="b",
        snapshot=snapshot,
        run=run,
        metrics={"temperature": temperature},
    )


def score(checkpoint: Checkpoint, comparison: Comparison, *means: float) -> None:
    for slot, mean in zip(comparison.slots.order_by("completion"), means, strict=True):
        Score.objects.create(checkpoint=checkpoint, completion=slot.completion, mean=mean)


def row(project: Project, rule: str = "random") -> dict:
    return next(found for found in brought(project) if found["rule"] == rule)


def test_foresight_is_the_log_loss_of_a_ranking():
    right, loss = foresight({"1": 2.0, "2": 0.0}, {"1": 1, "2": 2}, 2.0)  # σ(1) for what was said
    assert (right, loss) == (1.0, pytest.approx(math.log(1 + math.exp(-1))))
    right, loss = foresight({"1": 0.0, "2": 0.0}, {"1": 1, "2": 2}, 1.0)
    assert (right, loss) == (0.5, pytest.approx(math.log(2)))
    right, loss = foresight({"1": 1.0, "2": 0.0}, {"1": 1, "2": 1}, 1.0)  # a tie: half of each side
    assert right == 0.5
    assert loss == pytest.approx((math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2)


def test_the_median_lies_between_two_of_the_values():
    """Of 1 to 100, ranks 50 ± 1.96 · 10/2 = 9.8: the 41st and the 61st."""
    assert median([float(n) for n in range(100, 0, -1)]) == {"value": 50.5, "low": 41.0, "high": 61.0}
    assert median([3.0]) == {"value": 3.0, "low": None, "high": None}
    assert median([]) is None


def test_a_mean_over_fewer_than_three_tasks_has_no_interval():
    assert Column([1.0, 0.0], [1, 2]).mean() == {"value": 0.5, "low": None, "high": None}
    assert Column([1.0, 1.0, 1.0], [1, 2, 3]).mean() == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert Column().mean() is None


def test_a_difference_takes_three_tasks_on_either_side():
    one, other = Column([0.5] * 3, [1, 2, 3]), Column([0.75] * 3, [1, 2, 4])
    found = difference(one, other)
    assert found == {"value": 0.25, "low": pytest.approx(0.25), "high": pytest.approx(0.25)}
    assert difference(one, Column([1.0] * 2, [1, 2])) is None


def test_it_counts_by_rule(project: Project, bob: User, carol: User):
    make_comparison(project, wanted=2, rule="thompson", priority=3)
    make_comparison(project, wanted=2, rule="thompson", priority=2)
    make_comparison(project, wanted=2)
    make_ranking(project, bob, seconds=10.0)
    make_ranking(project, bob, verdict="cannot_judge", ranks={}, reason="?", seconds=30.0)
    make_ranking(project, carol, first=1, seconds=20.0)
    thompson, random = row(project, "thompson"), row(project)
    assert (thompson["comparisons"], thompson["judged"], thompson["judgments"]) == (2, 2, 3)
    assert thompson["agreement"]["value"] == 0.0  # bob and carol say the opposite
    assert thompson["cannot_judge"]["value"] == pytest.approx(1 / 3)
    assert (thompson["ties"]["value"], thompson["seconds"]["value"]) == (0.0, 20.0)
    assert (random["comparisons"], random["judged"], random["agreement"]) == (1, 0, None)
    assert thompson["surprise"] is None and thompson["foreseen"] == 0


def test_a_model_is_asked_only_about_what_came_after_it(project: Project, bob: User, carol: User):
    comparison = make_comparison(project, wanted=2)
    before = make_ranking(project, bob)
    old = make_model(project, before.pk)
    after = make_ranking(project, carol)
    new = make_model(project, after.pk)
    score(old, comparison, 0.0, 1.0)  # wrong about what carol then said
    score(new, comparison, 9.0, 0.0)  # it has seen both
    found = row(project)
    assert (found["foreseen"], found["right"]["value"]) == (1, 0.0)
    assert found["surprise"]["value"] == pytest.approx(math.log(1 + math.e))


def test_texts_without_a_score_are_left_out(project: Project, bob: User):
    make_comparison(project)
    make_model(project, 0)
    make_ranking(project, bob)
    assert row(project)["foreseen"] == 0


def test_every_rule_that_chose_something_has_a_row(project: Project):
    queued = [rule for rule in Comparison.Rule.values if rule not in ("gold", "repeat")]
    for rule in queued:
        make_comparison(project, rule=rule)
    assert [found["rule"] for found in brought(project)] == queued


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.3, " more than those"),
        (-0.3, -0.01, " less than those"),
        (-0.1, 0.1, "neither more nor"),
    ],
)
def test_the_page_says_what_the_interval_allows(project: Project, low: float, high: float, words: str):
    make_comparison(project)
    make_comparison(project, rule="d-optimal-heads")
    model = make_model(project, 0)
    rows = selection_report.brought(project)
    rows[1]["surprise_over_random"] = {"value": (low + high) / 2, "low": low, "high": high}
    model.metrics["selection"] = rows
    model.save()
    found = selection_page.brought(project)
    assert found is not None and words in found.sentences[0] and "D-optimal" in found.sentences[0]


def test_the_models_page_shows_it(project: Project, alice: User, client_of):
    make_comparison(project)
    model = make_model(project, 0)
    client = client_of(alice)
    assert "What selection brought" not in client.get("/projects/support/models/").content.decode()
    model.metrics["selection"] = brought(project)
    model.save()
    content = client.get("/projects/support/models/").content.decode()
    assert "What selection brought" in content and "The rules cannot be compared yet" in content
    assert f"/runs/{model.run_id}/tables/selection/" in content
