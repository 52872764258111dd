"""Managers decide comparisons, make gold questions and read notes over the API."""

import pytest

from annotator.models import GoldAnswer, Note, Ranking
from annotator.prompts import images
from annotator.quality import gold
from tests.factories import make_comparison, make_image, make_project, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(client, alice):
    client.force_login(alice)

    def ask(path, data=None):
        url = f"/api/projects/support/{path}"
        return client.get(url) if data is None else client.post(url, data, content_type="application/json")

    return ask


@pytest.fixture
def disputed(project, bob, carol):
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    return comparison


def order(comparison):
    ids = sorted(comparison.slots.values_list("completion", flat=True))
    return {str(ids[0]): 1, str(ids[1]): 2}


def test_a_decision_is_stored_once_and_withdrawn(call, disputed):
    url = f"comparisons/{disputed.pk}/"
    data = {"idempotency_key": "k", "verdict": "ranked", "ranks": order(disputed)}
    decided = call(url + "adjudicate/", data).json()
    assert decided["ranks"] == order(disputed) and decided["is_live"]
    assert call(url + "adjudicate/", data).json() == decided
    assert Ranking.objects.votes().get().pk == decided["id"]
    again = call(url + "adjudicate/", {**data, "idempotency_key": "k2"})
    assert (again.status_code, again.json()["detail"][:36]) == (400, "This comparison is decided already. ")
    undone = call(url + "withdraw/", {"idempotency_key": "back"}).json()
    assert (undone["verdict"], undone["supersedes"]) == ("undone", decided["id"])
    assert Ranking.objects.votes().count() == 2
    assert call(url + "withdraw/", {"idempotency_key": "back2"}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"ranks": {}},
        {"ranks": {"999999": 1, "999998": 2}},
        {"verdict": "undone"},
        {"idempotency_key": ""},
        {"idempotency_key": "x" * 65},
        {"verdict": "cannot_judge", "ranks": {}, "reason": ""},
    ],
)
def test_a_decision_that_is_none_stores_nothing(call, disputed, wrong):
    data = {"idempotency_key": "k", "verdict": "ranked", "ranks": order(disputed), **wrong}
    assert call(f"comparisons/{disputed.pk}/adjudicate/", data).status_code == 400
    assert Ranking.objects.count() == 2


def test_a_gold_question_is_made_listed_retired_and_brought_back(call, disputed, bob):
    assert call("gold/").json()["results"] == []
    data = {"ranks": order(disputed), "explanation": "It is clearer."}
    made = call(f"comparisons/{disputed.pk}/gold/", data)
    assert made.status_code == 201
    answer = GoldAnswer.objects.get()
    assert answer.created_by.username == "alice"
    shown = made.json()
    assert shown["ranks"] == order(disputed)
    assert (shown["comparison"], shown["prompt"]) == (answer.comparison_id, disputed.prompt_id)
    assert (shown["verdict"], shown["explanation"], shown["is_retired"]) == (
        "ranked",
        "It is clearer.",
        False,
    )
    Ranking.objects.filter(annotator=bob).update(comparison=answer.comparison, gold_score=0.5)
    assert call("gold/").json()["results"] == [{"question": shown, "asked": 1, "mean": 0.5}]
    twice = call(f"comparisons/{disputed.pk}/gold/", data)
    assert (twice.status_code, twice.json()["detail"]) == (
        400,
        "These instructions are a gold question already.",
    )
    for action, is_retired in (("retire", True), ("retire", True), ("bring-back", False)):
        assert call(f"gold/{shown['comparison']}/{action}/", {}).json()["is_retired"] == is_retired
        answer.comparison.refresh_from_db()
        assert answer.comparison.is_closed == is_retired


@pytest.mark.parametrize(
    "wrong",
    [{"ranks": {}}, {"ranks": "all"}, {"verdict": "undone"}, {"ranks": {"a": 1}}, {"explanation": 2 * ["x"]}],
)
def test_a_gold_answer_that_says_nothing_is_refused(call, disputed, wrong):
    data = {"ranks": order(disputed), **wrong}
    assert call(f"comparisons/{disputed.pk}/gold/", data).status_code == 400
    assert not GoldAnswer.objects.exists()


def test_a_gold_question_is_not_made_of_one(call, disputed):
    question = gold.make(disputed, ranks={int(key): rank for key, rank in order(disputed).items()})
    gold.retire(question)
    response = call(f"comparisons/{question.comparison_id}/gold/", {"ranks": order(disputed)})
    assert response.status_code == 400
    question.comparison.refresh_from_db()
    assert question.comparison.is_closed


def test_notes_are_listed_done_and_opened_again(call, project, bob, disputed):
    first = Note.objects.create(project=project, author=bob, text="这个任务不清楚。", comparison=disputed)
    second = Note.objects.create(project=project, author=bob, text="A second one")
    rows = call("notes/").json()["results"]
    assert [(row["id"], row["author"], row["done_by"]) for row in rows] == [
        (first.pk, "bob", None),
        (second.pk, "bob", None),
    ]
    assert (rows[0]["text"], rows[0]["comparison"], rows[1]["comparison"]) == (first.text, disputed.pk, None)
    done = call(f"notes/{first.pk}/done/", {}).json()
    assert done["done_by"] == "alice" and done["done_at"]
    assert [row["id"] for row in call("notes/?done=true").json()["results"]] == [first.pk]
    assert [row["id"] for row in call("notes/?done=false").json()["results"]] == [second.pk]
    assert call(f"notes/{first.pk}/done/", {"is_done": False}).json()["done_at"] is None
    assert call("notes/?done=perhaps").status_code == 400


def test_rows_of_another_project_are_not_found(call, bob):
    other = make_project("elsewhere")
    comparison = make_comparison(other)
    first, second = comparison.completions.all()
    question = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
    note = Note.objects.create(project=other, author=bob, text="Unclear.")
    for path in (
        f"comparisons/{comparison.pk}/adjudicate/",
        f"comparisons/{comparison.pk}/withdraw/",
        f"comparisons/{comparison.pk}/gold/",
        f"gold/{question.comparison_id}/retire/",
        f"gold/{question.comparison_id}/bring-back/",
        f"notes/{note.pk}/done/",
    ):
        assert call(path, {}).status_code == 404
    note.refresh_from_db()
    assert note.done_at is None
    assert call("gold/").json()["results"] == [] and call("notes/").json()["results"] == []


def test_a_task_says_where_its_image_is(call, project):
    plain, pictured = make_prompt(project), make_prompt(project)
    images.put(pictured, text="A red field", file=make_image())
    rows = call("prompts/").json()["results"]
    where = f"http://testserver/projects/support/prompts/{pictured.pk}/image/"
    assert [(row["image"], row["image_text"]) for row in rows] == [(None, ""), (where, "A red field")]
    assert call(f"prompts/{pictured.pk}/").json()["image"] == where
    assert call(f"prompts/{plain.pk}/").json()["image"] is None
