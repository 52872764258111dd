"""The lineage as a tree: which boxes there are, and where."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from annotator.models import Project, User
from rlhf import lineage, promotion, runs
from rlhf.lineage_tree import ACROSS, DOWN, MARGIN, shortened, tree_of
from rlhf.models import Checkpoint, Evaluation, Run


def add(project: Project, parent: Checkpoint, algorithm: str = "rloo") -> Checkpoint:
    run = Run.objects.create(project=project, kind="policy", state="done", config={"algorithm": algorithm})
    return Checkpoint.objects.create(
        project=project,
        kind="policy",
        name=f"{algorithm} {run.pk}",
        base_model=project.base_model,
        parent=parent,
        run=run,
    )


def evaluate(checkpoint: Checkpoint, value: float, low: float, high: float) -> None:
    run = Run.objects.create(project=checkpoint.project, kind="evaluation", state="done")
    difference = {"value": value, "low": low, "high": high}
    Evaluation.objects.create(
        run=run, old=checkpoint.parent, new=checkpoint, result={"gold": {"difference": difference}}
    )


def promote(checkpoint: Checkpoint) -> None:
    Checkpoint.objects.filter(pk=checkpoint.pk).update(promoted_at=timezone.now())


def places(project: Project, **options: int) -> dict[str, tuple[int, int]]:
    """By name, in boxes from the left and from the top."""
    tree = tree_of(lineage.policies_of(project), **options)
    return {box.name: ((box.x - MARGIN) // ACROSS, (box.y - MARGIN) // DOWN) for box in tree.boxes}


def test_the_one_that_writes_lies_straight_ahead_and_branches_below(project: Project):
    base = runs.base_policy(project)
    first, second = add(project, base), add(project, base, "grpo")
    third = add(project, second, "dpo")
    promote(third)
    assert places(project) == {
        str(base): (0, 0),
        str(second): (1, 0),
        str(third): (2, 0),
        str(first): (1, 1),
    }
    tree = tree_of(lineage.policies_of(project))
    assert (len(tree.trunk), len(tree.lines)) == (2, 1)
    assert tree.trunk[0] == "M176 27C196 27 196 27 216 27"  # from the middle of the base's right side


def test_no_two_boxes_share_a_place(project: Project):
    base = runs.base_policy(project)
    made = [base]
    for number in range(30):
        made.append(add(project, made[(number * 7) % len(made)]))
    found = places(project, most=8)
    assert len(set(found.values())) == len(found)


def test_of_many_the_newest_are_drawn_with_their_ancestors_and_the_others_counted(project: Project):
    base = runs.base_policy(project)
    for _ in range(9):
        add(project, base)
    old = add(project, base)
    promote(old)
    promotion.promote(base, user=None)
    newest = add(project, add(project, base))
    found = places(project, most=1)
    assert set(found) == {str(base), str(newest.parent), str(newest), str(old), "and 9 more"}
    assert found["and 9 more"][0] == 1


def test_a_box_says_everything_in_words_too(project: Project):
    base = runs.base_policy(project)
    better, worse, unsure = (add(project, base) for _ in range(3))
    evaluate(better, 0.05, 0.01, 0.09)
    evaluate(worse, -0.05, -0.09, -0.01)
    evaluate(unsure, 0.01, -0.03, 0.05)
    promote(better)
    boxes = {box.anchor: box for box in tree_of(lineage.policies_of(project)).boxes}
    found = boxes[f"checkpoint-{better.pk}"]
    assert (found.detail, found.state) == ("RLOO · ▲ +0.05", "now")
    assert found.label == f"{better}, RLOO, from {base}, gold gain +0.05 (+0.01 – +0.09), writes now"
    assert boxes[f"checkpoint-{worse.pk}"].detail == "RLOO · ▼ −0.05"
    assert boxes[f"checkpoint-{unsure.pk}"].detail == "RLOO · ≈ +0.01"


def test_names_that_are_too_wide_are_cut():
    assert shortened("rloo 12") == "rloo 12"
    assert shortened("a" * 30) == "a" * 20 + "…"
    assert shortened("奖" * 30) == "奖" * 9 + "…"  # ten of them take 20 of 21; one gives way to the dots


@pytest.mark.parametrize("count", [0, 1])
def test_it_is_drawn_from_two_on(
    project: Project, alice: User, client_of: Callable[[User], Client], count: int
):
    for _ in range(count):
        add(project, runs.base_policy(project))
    content = client_of(alice).get("/projects/support/models/").content.decode()
    assert ("tree-frame" in content) == bool(count)
