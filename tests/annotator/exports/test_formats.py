"""What the exports say, line by line."""

import json

import pytest

from annotator.exports.reading import in_words
from annotator.exports.writing import rows
from annotator.models import Completion
from annotator.pseudonyms import pseudonym
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit, undo
from tests.factories import (
    make_comparison,
    make_guideline,
    make_member,
    make_project,
    make_prompt,
    make_ranking,
    make_user,
)

pytestmark = pytest.mark.django_db


def test_trl_lines_trace_back_to_their_rows(project, bob):
    prompt = make_prompt(
        project, "Antonyms", examples=[{"input": "hot", "output": "cold"}], domain="writing", language="en"
    )
    comparison = make_comparison(project, prompt, iteration=3)
    ranking = make_ranking(project, bob, strength=2)
    good, bad = Completion.objects.order_by("pk")
    (row,) = rows(project, format="trl")
    assert row == {
        "prompt": "Antonyms\n\nInput: hot\nOutput: cold",
        "chosen": good.text,
        "rejected": bad.text,
        "group": f"ranking-{ranking.pk}",
        "agreement": 1.0,
        "votes": 1,
        "weight": 1.0,
        "strength": 2,
        "prompt_id": prompt.pk,
        "chosen_id": good.pk,
        "rejected_id": bad.pk,
        "chosen_source": "model",
        "rejected_source": "model",
        "chosen_checkpoint": None,
        "rejected_checkpoint": None,
        "comparison": comparison.pk,
        "rankings": [ranking.pk],
        "annotators": [pseudonym(project, bob.pk)],
        "iteration": 3,
        "domain": "writing",
        "language": "en",
        "held_out": prompt.is_held_out,
        "simulated": False,
    }


def test_ties_and_what_cannot_be_judged_give_no_pair(project, bob):
    for values in (
        {"verdict": "cannot_judge", "reason": "?", "ranks": {}},
        {"verdict": "all_bad", "ranks": {}},
    ):
        make_comparison(project)
        make_ranking(project, bob, **values)
    make_comparison(project)
    tied = queue.claim_next(annotator=bob, project=project)
    submit(assignment=tied, judgment=Judgment(ranks=dict.fromkeys(tied.order, 1)), idempotency_key="tie")
    assert list(rows(project, format="trl")) == []
    assert len(list(rows(project, format="raw"))) == 3


def test_an_edited_text_stands_above_the_chosen(project, bob):
    make_comparison(project)
    make_ranking(project, bob, improved_text="The best.")
    lines = list(rows(project, format="trl"))
    assert [(row["chosen"], row["chosen_source"]) for row in lines[:2]] == [("The best.", "edited")] * 2
    assert lines[2]["chosen_source"] == "model"


def test_raw_lines_hold_all_that_was_said(project, bob):
    make_guideline(project)
    make_comparison(project)
    ranking = make_ranking(
        project, bob, strength=1, rationale="Shorter.", seconds=4.5, improved_text="Better."
    )
    (row,) = rows(project, format="raw")
    assert row["ranking"] == ranking.pk
    assert [completion["id"] for completion in row["completions"]] == ranking.order
    assert {str(shown["id"]): shown["rank"] for shown in row["completions"]} == ranking.ranks
    assert (row["strength"], row["rationale"], row["seconds"]) == (1, "Shorter.", 4.5)
    assert (row["improved_text"], row["guideline_version"]) == ("Better.", 1)
    assert (row["verdict"], row["live"], row["simulated"]) == ("ranked", True, False)
    json.dumps(row)


def test_raw_marks_what_was_superseded(project, bob):
    make_comparison(project)
    first = make_ranking(project, bob)
    undone = undo(annotator=bob, ranking=first, idempotency_key="u")
    again = make_ranking(project, bob, first=1)
    lines = rows(project, format="raw")
    assert [(row["ranking"], row["live"], row["superseded_by"]) for row in lines] == [
        (first.pk, False, undone.pk),
        (undone.pk, False, again.pk),
        (again.pk, True, None),
    ]


def test_annotators_have_other_names_in_each_project_and_on_each_site(project, bob, settings):
    name = pseudonym(project, bob.pk)
    assert bob.username not in name
    assert pseudonym(project, bob.pk) == name
    assert pseudonym(make_project(), bob.pk) != name
    settings.SECRET_KEY = "another"
    assert pseudonym(project, bob.pk) != name


def test_no_line_names_a_person(project):
    secret = make_member(project, user=make_user("zaphod"))
    make_comparison(project)
    make_ranking(project, secret)
    lines = [*rows(project, format="raw"), *rows(project, format="trl")]
    assert len(lines) == 2
    assert "zaphod" not in json.dumps(lines)


def test_simulated_judgments_are_marked(project):
    robot = make_member(project, user=make_user("robot", is_simulated=True))
    make_comparison(project)
    make_ranking(project, robot)
    assert [row["simulated"] for row in (*rows(project, format="trl"), *rows(project, format="raw"))] == [
        True,
        True,
    ]


def test_other_projects_stay_out(project, bob):
    other = make_project()
    stranger = make_member(other)
    make_comparison(other)
    make_ranking(other, stranger)
    assert list(rows(project, format="trl")) == list(rows(project, format="raw")) == []


def test_a_task_of_examples_alone_has_words():
    examples = [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]
    assert in_words("", examples) == "Input: a\nOutput: b\n\nInput: c\nOutput: d"
