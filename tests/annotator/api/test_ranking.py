"""Claim, submit, skip and undo over the API."""

import pytest
from django.utils import timezone

from annotator.models import Assignment, Membership, Ranking
from annotator.quality import gold
from annotator.ranking import queue
from tests.factories import make_comparison, make_completions, make_prompt

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(client, project, bob):
    client.force_login(bob)

    def post(action, **data):
        return client.post(f"/api/projects/support/{action}/", data, content_type="application/json")

    return post


def test_from_claim_to_undo(project, call):
    make_comparison(project)
    claimed = call("claim").json()
    a, b = (shown["id"] for shown in claimed["completions"])
    said = {
        "assignment": claimed["id"],
        "idempotency_key": "one",
        "verdict": "ranked",
        "ranks": {a: 2, b: 1},
        "strength": 2,
        "flags": {a: ["broken"]},
        "seconds": 3.5,
    }
    stored = call("submit", **said)
    assert stored.status_code == 200
    assert stored.json()["ranks"] == {str(a): 2, str(b): 1}
    assert call("submit", **said).json() == stored.json()
    ranking = Ranking.objects.get()
    assert (ranking.flags, ranking.seconds, ranking.order) == ({str(a): ["broken"]}, 3.5, [a, b])

    assert call("claim").status_code == 204
    undone = call("undo", ranking=ranking.pk, idempotency_key="two").json()
    assert (undone["verdict"], undone["supersedes"]) == ("undone", ranking.pk)
    again = call("claim").json()
    assert (again["id"], again["completions"]) == (claimed["id"], claimed["completions"])


def test_fetching_ahead(project, call):
    make_comparison(project)
    make_comparison(project)
    first = call("claim").json()
    assert call("claim").json()["id"] == first["id"]
    assert call("claim", holding=[first["id"]]).json()["id"] != first["id"]


def test_skipping(project, call):
    make_comparison(project)
    held = call("claim").json()["id"]
    assert call("skip", assignment=held, reason="too long").status_code == 204
    assert call("claim").status_code == 204
    assert Assignment.objects.get().skip_reason == "too long"


def test_renewing(project, call):
    make_comparison(project)
    held = call("claim").json()["id"]
    assert call("renew", assignment=held).json() == {"is_yours": True}
    queue.release(Assignment.objects.get())
    assert call("renew", assignment=held).json() == {"is_yours": False}


def test_what_is_lost_is_409(project, call, carol):
    make_comparison(project)
    held = call("claim").json()["id"]
    queue.release(Assignment.objects.get())
    queue.claim_next(annotator=carol, project=project)
    refused = call("submit", assignment=held, idempotency_key="k", verdict="all_bad")
    assert refused.status_code == 409
    assert "others have judged it" in refused.json()["detail"]


@pytest.mark.parametrize(
    "data",
    [
        {"verdict": "ranked"},
        {"verdict": "undone"},
        {"verdict": "cannot_judge"},
        {"verdict": "ranked", "ranks": {"x": 1}},
        {"verdict": "ranked", "ranks": [1, 2]},
        {"verdict": "ranked", "ranks": {"1": "first"}},
        {"verdict": "ranked", "ranks": {"1": {}}},
        {"verdict": "all_bad", "seconds": "NaN"},
        {"verdict": "all_bad", "flags": {"1": "biased"}},
        {"verdict": "all_bad", "ratings": {"1": [3]}},
        {"verdict": "all_bad", "idempotency_key": "k" * 65},
        {"verdict": "all_bad", "rationale": "\x00"},
        {"verdict": "all_bad", "rationale": "\ud800"},
        {"verdict": "all_bad", "assignment": "x"},
        {"verdict": "all_bad", "assignment": 2**70},
    ],
)
def test_nonsense_is_refused_in_words(project, call, data):
    make_comparison(project)
    held = call("claim").json()["id"]
    refused = call("submit", **{"assignment": held, "idempotency_key": "k", **data})
    assert refused.status_code in (400, 404)
    assert refused.json()
    assert not Ranking.objects.exists()


def test_who_is_paused_is_told_why(project, call, bob):
    make_comparison(project)
    Membership.objects.filter(user=bob).update(paused_at=timezone.now(), pause_reason="Please call me.")
    refused = call("claim")
    assert (refused.status_code, refused.json()["detail"]) == (403, "Please call me.")


def test_broken_json_is_400(client, project, bob):
    client.force_login(bob)
    response = client.post("/api/projects/support/claim/", "{", content_type="application/json")
    assert response.status_code == 400


def test_feedback_on_a_gold_question(project, call):
    project.qualification_questions = 1
    project.save()
    one, two = make_completions(make_prompt(project))
    gold.make((one.prompt, [one, two]), ranks={one.pk: 1, two.pk: 2}, explanation="Clearer.")
    said = {"verdict": "ranked", "ranks": {one.pk: 2, two.pk: 1}, "idempotency_key": "1"}
    stored = call("submit", assignment=call("claim").json()["id"], **said).json()
    assert stored["feedback"] == {
        "is_right": False,
        "score": 0,
        "verdict": "ranked",
        "ranks": {str(one.pk): 1, str(two.pk): 2},
        "explanation": "Clearer.",
    }
    refused = call("claim")
    assert refused.status_code == 403
    assert "0% right" in refused.json()["detail"]
