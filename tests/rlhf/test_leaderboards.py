"""Leaderboards: games from evaluations by each judge, as page, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.test import Client

from annotator.models import Project, User
from rlhf import blind, leaderboards, runs
from rlhf.models import Checkpoint, Evaluation, Run
from tests.rlhf.test_blind import judge, make_evaluation

URL = "/projects/support/models/leaderboard/"


def make_policy(project: Project, name: str) -> Checkpoint:
    run = Run.objects.create(project=project, kind="policy", state="done")
    return Checkpoint.objects.create(
        project=project, kind="policy", name=name, base_model=project.base_model, run=run
    )


def play(project: Project, new: Checkpoint, old: Checkpoint, *, wins: float, tasks: int = 10) -> Evaluation:
    """On each task, this share of the pairs is won."""
    rows = [
        {"task_id": str(n), "old": 0.4, "new": 0.5, "gold_wins": wins, "reward_wins": 1.0}
        for n in range(tasks)
    ]
    run = Run.objects.create(project=project, kind="evaluation", state="done")
    return Evaluation.objects.create(run=run, old=old, new=new, result={"tasks": rows})


@pytest.fixture
def boards(project: Project) -> Callable[[], dict[str, leaderboards.Leaderboard]]:
    return lambda: {board.judge: board for board in leaderboards.of_project(project)}


def test_without_evaluations_there_is_no_part(boards: Callable[[], dict[str, leaderboards.Leaderboard]]):
    assert [(judge, board.parts, board.games) for judge, board in boards().items()] == [
        ("people", [], 0),
        ("gold", [], 0),
        ("reward", [], 0),
    ]


def test_the_base_is_what_others_are_measured_by(
    project: Project, boards: Callable[[], dict[str, leaderboards.Leaderboard]]
):
    base, one, two = runs.base_policy(project), make_policy(project, "one"), make_policy(project, "two")
    play(project, one, base, wins=0.75)
    play(project, two, one, wins=0.5)
    gold = boards()["gold"]
    assert (gold.games, gold.tasks) == (20, 10)
    (part,) = gold.parts
    assert part.anchor == base and part.rows[-1].checkpoint == base and part.rows[-1].is_anchor
    assert {row.checkpoint.name for row in part.rows[:2]} == {"one", "two"}
    assert part.rows[0].win_rate.text in ("74 %", "75 %")
    assert part.rows[-1].win_rate.interval == ""


def test_generators_that_never_met_are_apart(
    project: Project,
    boards: Callable[[], dict[str, leaderboards.Leaderboard]],
    alice: User,
    client_of: Callable[[User], Client],
):
    base = runs.base_policy(project)
    one, two, three = (make_policy(project, name) for name in ("one", "two", "three"))
    play(project, one, base, wins=0.6)
    play(project, three, two, wins=0.6)
    assert [part.anchor for part in boards()["gold"].parts] == [base, two]
    content = client_of(alice).get("/projects/support/models/").content.decode()
    assert "There are 2 groups that never met" in content


def test_an_evaluation_of_a_generator_against_itself_is_no_game(
    project: Project, boards: Callable[[], dict[str, leaderboards.Leaderboard]]
):
    one = make_policy(project, "one")
    play(project, one, one, wins=0.5)
    assert boards()["gold"].games == 0


def test_evaluations_from_before_wins_were_counted_still_tell(
    project: Project, boards: Callable[[], dict[str, leaderboards.Leaderboard]]
):
    evaluation = play(project, make_policy(project, "one"), runs.base_policy(project), wins=0.5)
    rows = [{"task_id": "1", "old": 0.4, "new": 0.5}, {"task_id": "2", "old": None, "new": None}]
    Evaluation.objects.filter(pk=evaluation.pk).update(result={"tasks": rows})
    found = boards()
    assert (found["gold"].games, found["reward"].games) == (1, 0)
    assert found["gold"].parts[0].rows[0].won == 1


def test_judged_pairs_are_games(
    project: Project, bob: User, boards: Callable[[], dict[str, leaderboards.Leaderboard]]
):
    evaluation = make_evaluation(project)
    blind.ask(evaluation, tasks=6)
    for _ in range(4):
        judge(project, bob, lambda text: text.startswith("New"))
    people = boards()["people"]
    assert (people.games, people.tasks) == (4, 4)
    best, base = people.parts[0].rows
    assert (best.checkpoint, best.won, base.won) == (evaluation.new, 4, 0)


def test_as_files(project: Project, dana: User, client_of: Callable[[User], Client]):
    base, one = runs.base_policy(project), make_policy(project, "=one")
    play(project, one, base, wins=0.75)
    client = client_of(dana)
    found = client.get(URL).json()
    (part,) = found["gold"]["parts"]
    assert part["anchor"] == base.pk and part["rows"][0]["checkpoint"] == one.pk
    assert 0.7 < part["rows"][0]["win_rate"]["value"] < 0.8
    assert found["people"] == {"games": 0, "tasks": 0, "parts": []}
    text = client.get(f"{URL}?format=csv").content.decode("utf-8-sig")
    head, *rows = csv.reader(io.StringIO(text))
    assert head[:5] == ["judge", "part", "anchor", "checkpoint", "name"] and len(head) == 13
    assert [(row[0], row[3]) for row in rows] == [
        (judge, str(player.pk)) for judge in ("gold", "reward") for player in (one, base)
    ]


def test_the_page_says_what_is_missing(project: Project, alice: User, client_of: Callable[[User], Client]):
    content = client_of(alice).get("/projects/support/models/").content.decode()
    assert (
        "Nobody has judged yet." in content and "No evaluation yet could judge by the gold metric." in content
    )
