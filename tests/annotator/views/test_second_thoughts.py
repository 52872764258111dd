"""Taking an earlier judgment back, the list of the latest, own figures, notes, feedback, the pause."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotator.models import Assignment, Note, Ranking
from annotator.quality import gold
from annotator.ranking import queue
from tests.factories import make_comparison, make_prompt, make_ranking


@pytest.fixture
def page(client_of, project, bob):
    """page(name, body): what the ranking page of bob sends."""
    client = client_of(bob)

    def ask(name, body=None):
        url = reverse(name, args=[project.slug])
        if body is None:
            return client.get(url)
        return client.post(url, json.dumps(body), content_type="application/json")

    return ask


def test_an_earlier_judgment_is_given_back(page, project, bob):
    make_comparison(project, priority=2)
    make_comparison(project, priority=1)
    first = make_ranking(project, bob, strength=3)
    second = make_ranking(project, bob)
    reply = page("rank-undo", {"key": "k", "ranking": first.pk}).json()
    assert f'data-assignment="{first.assignment_id}"' in reply["html"]
    assert (reply["judgment"]["strength"], reply["can_undo"]) == (3, True)
    assert list(Ranking.objects.live()) == [second]
    assert page("rank-undo", {"key": "k", "ranking": first.pk}).json() == reply  # an answer that got lost
    assert Ranking.objects.count() == 3


def test_nobody_takes_back_what_another_said(page, project, bob, carol):
    make_comparison(project)
    theirs = make_ranking(project, carol)
    assert page("rank-undo", {"key": "k", "ranking": theirs.pk}).status_code == 409
    assert Ranking.objects.live().get() == theirs


def test_the_list_shows_own_judgments_in_words(page, project, bob, carol):
    make_comparison(project, make_prompt(project, "Return a parcel"), wanted=2, priority=1)
    make_comparison(project, make_prompt(project, "Secret of carol"))
    make_ranking(project, bob, verdict="all_bad", ranks={})
    make_ranking(project, carol)
    make_ranking(project, carol)
    content = page("rank-latest").content.decode()
    assert "Return a parcel" in content
    assert "all bad" in content
    assert "Secret of carol" not in content


def test_a_note_comes_once_however_often_it_is_sent(page, project, bob):
    comparison = make_comparison(project)
    assignment = queue.claim_next(annotator=bob, project=project)
    body = {"text": " Two meanings. ", "assignment": assignment.pk}
    for _ in range(2):
        assert page("rank-note", body).status_code == 200
    note = Note.objects.get()
    assert (note.text, note.author, note.comparison) == ("Two meanings.", bob, comparison)


@pytest.mark.parametrize(("text", "status"), [("  ", 400), ("x" * 2001, 400), ("x" * 2000, 200)])
def test_a_note_has_limits(page, project, text, status):
    assert page("rank-note", {"text": text}).status_code == status


def test_thirty_notes_an_hour_are_enough(page, project, bob):
    Note.objects.bulk_create(Note(project=project, author=bob, text=str(n)) for n in range(30))
    assert page("rank-note", {"text": "One more."}).status_code == 429
    Note.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert page("rank-note", {"text": "One more."}).status_code == 200


def test_a_note_is_about_what_its_author_holds(page, project, carol):
    make_comparison(project)
    theirs = queue.claim_next(annotator=carol, project=project)
    assert page("rank-note", {"text": "Mine?", "assignment": theirs.pk}).status_code == 404


def test_own_agreement_is_shown_only_if_the_project_does(page, project):
    assert "Others agree" not in page("rank-progress").content.decode()
    project.show_own_quality = True
    project.save()
    assert "Others agree" in page("rank-progress").content.decode()


def test_a_gold_question_is_answered_with_what_was_expected(page, project, bob):
    project.gold_feedback, project.gold_rate = "always", 0.5
    project.save()
    source = make_comparison(project)
    best, worst = sorted(source.completions.values_list("pk", flat=True))
    answer = gold.make(source, ranks={best: 1, worst: 2}, explanation="It is shorter.")
    assignment = Assignment.objects.create(
        comparison=answer.comparison,
        annotator=bob,
        order=[best, worst],
        leased_until=timezone.now() + timedelta(minutes=5),
    )
    said = {"assignment": assignment.pk, "ranks": {best: 2, worst: 1}, "strength": 3, "key": "k"}
    for _ in range(2):  # the same when the answer got lost
        told = page("rank-submit", said).json()["feedback"]
        assert "B is much better" in told
        assert "A is better" in told
        assert "It is shorter." in told


def test_a_pause_that_comes_meanwhile_is_told_with_its_reason(page, project, bob):
    make_comparison(project)
    project.memberships.filter(user=bob).update(paused_at=timezone.now(), pause_reason="Please call me.")
    response = page("rank-next", {"holding": []})
    assert response.status_code == 409
    assert response.json() == {"error": "Please call me.", "paused": True}
