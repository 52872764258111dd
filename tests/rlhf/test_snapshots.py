"""Snapshots: the same rankings give the same file, names of people never enter."""

from __future__ import annotations

import hashlib

from django.conf import settings

from annotator.models import Project, User
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate, withdraw
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit, undo
from rlhf.lm.data import read_snapshot
from rlhf.models import Snapshot
from rlhf.snapshots import freeze, path_of
from tests.factories import make_comparison, make_prompt, make_ranking, make_user


def test_it_holds_tasks_and_judgments(project: Project, bob: User):
    prompt = make_prompt(
        project,
        "Opposites",
        examples=[{"input": "warm", "output": "cold"}],
        held_out_examples=[{"input": "up", "output": "down"}],
        language="en",
    )
    comparison = make_comparison(project, prompt)
    first, second = comparison.completions.order_by("pk")
    ranking = make_ranking(project, bob, first=1, strength=2)

    snapshot = freeze(project)

    data = read_snapshot(path_of(snapshot))
    task = data.tasks[str(prompt.pk)]
    assert (task.text, task.examples[0].output, task.held_out_examples[0].input) == (
        "Opposites",
        "cold",
        "up",
    )
    (judgment,) = data.judgments
    assert (judgment.id, judgment.task_id) == (str(ranking.pk), str(prompt.pk))
    assert judgment.completions == (first.text, second.text)
    assert judgment.ranks == (2, 1)
    assert (judgment.strength, judgment.simulated) == (2, False)
    assert snapshot.last_ranking == ranking.pk
    assert snapshot.counts == {
        "prompts": 1,
        "held_out_prompts": 0,
        "rankings": 1,
        "simulated": 0,
        "imported": 0,
    }


def test_a_managers_decision_stands_in_place_of_the_annotators(
    project: Project, alice: User, bob: User, carol: User
):
    comparison = make_comparison(project, wanted=2)
    first, second = comparison.completions.order_by("pk")
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    decision = Judgment(ranks={first.pk: 2, second.pk: 1}, strength=3)
    ranking = adjudicate(comparison=comparison, manager=alice, judgment=decision, idempotency_key="k")

    (judgment,) = read_snapshot(path_of(freeze(project))).judgments
    assert (judgment.id, judgment.ranks, judgment.strength) == (str(ranking.pk), (2, 1), 3)

    withdraw(comparison=comparison, manager=alice, idempotency_key="back")
    assert len(read_snapshot(path_of(freeze(project))).judgments) == 2


def test_the_same_rankings_give_the_same_file_and_row(project: Project, bob: User, carol: User):
    make_comparison(project, wanted=2)
    make_ranking(project, bob)
    one = freeze(project)
    assert freeze(project) == one
    assert one.sha256 == hashlib.sha256(path_of(one).read_bytes()).hexdigest()
    make_ranking(project, carol)
    two = freeze(project)
    assert two != one
    assert read_snapshot(path_of(one)).judgments == read_snapshot(path_of(two)).judgments[:1]
    assert Snapshot.objects.count() == 2


def test_only_live_judgments_are_in_it_and_those_that_find_all_bad(project: Project, bob: User, carol: User):
    make_comparison(project, wanted=2)
    undone = make_ranking(project, bob)
    undo(annotator=bob, ranking=undone, idempotency_key="undo")
    assignment = queue.claim_next(annotator=carol, project=project)
    assert assignment is not None
    bad = Judgment(verdict="all_bad", improved_text="Write the opposite.")
    submit(assignment=assignment, judgment=bad, idempotency_key="bad")
    (judgment,) = read_snapshot(path_of(freeze(project))).judgments
    assert (judgment.ranks, judgment.all_bad, judgment.improved) == ((1, 1), True, "Write the opposite.")
    assert len(set(judgment.completions)) == 2


def test_what_cannot_be_judged_is_not_in_it(project: Project, bob: User):
    make_comparison(project)
    assignment = queue.claim_next(annotator=bob, project=project)
    assert assignment is not None
    unsure = Judgment(verdict="cannot_judge", reason="I do not know this.")
    submit(assignment=assignment, judgment=unsure, idempotency_key="unsure")
    assert read_snapshot(path_of(freeze(project))).judgments == ()


def test_people_are_pseudonyms_and_programs_are_marked(project: Project, bob: User):
    make_comparison(project, wanted=2)
    make_ranking(project, bob)
    robot = make_user("sim-1", is_simulated=True)
    project.memberships.create(user=robot, role="annotator")
    make_ranking(project, robot)
    path = path_of(freeze(project))
    data = read_snapshot(path)
    assert [j.simulated for j in data.judgments] == [False, True]
    assert len({j.annotator for j in data.judgments}) == 2
    assert "bob" not in path.read_text()
    assert "sim-1" not in path.read_text()


def test_the_same_person_has_another_pseudonym_in_another_project(project: Project, bob: User):
    other = Project.objects.create(name="Other", slug="other")
    other.memberships.create(user=bob, role="annotator")
    keys = set()
    for one in (project, other):
        make_comparison(one)
        make_ranking(one, bob)
        keys.add(read_snapshot(path_of(freeze(one))).judgments[0].annotator)
    assert len(keys) == 2


def test_nothing_half_written_stays(project: Project):
    make_prompt(project)
    snapshot = freeze(project)
    folder = settings.VAR / "snapshots"
    assert not list(folder.glob(".part-*"))
    path_of(snapshot).unlink()
    assert freeze(project) == snapshot
    assert path_of(snapshot).is_file()
