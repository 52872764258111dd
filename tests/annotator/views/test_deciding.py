"""Managers decide disagreements, make gold questions and read notes."""

import pytest
from django.urls import reverse

from annotator.models import GoldAnswer, Note, Ranking
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def disputed(project, bob, carol):
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    return comparison


def ranks(comparison):
    ids = sorted(comparison.slots.values_list("completion", flat=True))
    return {"verdict": "ranked", f"rank-{ids[0]}": "1", f"rank-{ids[1]}": "2"}


def test_a_manager_decides_and_withdraws(client_of, project, alice, disputed):
    client = client_of(alice)
    listed = client.get(reverse("comparisons", args=[project.slug]), {"state": "disagreement"})
    assert "100 % contradict" in listed.content.decode()
    page = client.get(reverse("comparison", args=[project.slug, disputed.pk]))
    assert "Save the decision" in page.content.decode()
    url = reverse("comparison-adjudicate", args=[project.slug, disputed.pk])
    client.post(url, {"key": "k", **ranks(disputed)})
    assert Ranking.objects.votes().get().is_adjudication
    page = client.get(reverse("comparison", args=[project.slug, disputed.pk]))
    assert "Withdraw the decision" in page.content.decode()
    client.post(reverse("comparison-withdraw", args=[project.slug, disputed.pk]))
    assert Ranking.objects.votes().count() == 2


def test_an_incomplete_decision_is_not_stored(client_of, project, alice, disputed):
    url = reverse("comparison-adjudicate", args=[project.slug, disputed.pk])
    page = client_of(alice).post(url, {"key": "k", "verdict": "ranked"}, follow=True)
    assert "Rank each of the instructions shown" in page.content.decode()
    assert Ranking.objects.count() == 2


def test_a_gold_question_is_made_retired_and_brought_back(client_of, project, alice, disputed):
    client = client_of(alice)
    url = reverse("comparison-gold", args=[project.slug, disputed.pk])
    page = client.post(url, {**ranks(disputed), "explanation": "It is clearer."}, follow=True)
    assert disputed.prompt.text in page.content.decode()
    row = GoldAnswer.objects.get().comparison
    assert client.get(reverse("comparison", args=[project.slug, row.pk])).status_code == 200
    retire = reverse("gold-retire", args=[project.slug, row.pk])
    for data, is_closed in (({}, True), ({"back": "1"}, False)):
        client.post(retire, data)
        row.refresh_from_db()
        assert row.is_closed == is_closed


def test_notes_are_marked_as_done_and_opened_again(client_of, project, alice, bob):
    client = client_of(alice)
    note = Note.objects.create(project=project, author=bob, text="这个任务不清楚。" * 50)
    page = client.get(reverse("notes", args=[project.slug])).content.decode()
    assert note.text in page
    assert "Notes (1)" in page
    url = reverse("note-done", args=[project.slug, note.pk])
    for data, is_done in (({}, True), ({"open": "1"}, False)):
        client.post(url, data)
        note.refresh_from_db()
        assert (note.done_at is not None) == is_done


@pytest.mark.parametrize("state", ["open", "done", "closed", "disagreement", "adjudicated", "gold", "repeat"])
def test_every_filter_opens(client_of, project, dana, disputed, state):
    url = reverse("comparisons", args=[project.slug])
    assert client_of(dana).get(url, {"state": state}).status_code == 200
