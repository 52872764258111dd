"""Managers decide disagreements, make gold questions and read notes."""

import pytest
from django.urls import reverse

from annotator.models import GoldAnswer, Note, Ranking, Role
from tests.factories import make_comparison, make_member, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def disputed(project, bob, carol):
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    return comparison


@pytest.fixture
def disputed_of_three(project, bob, carol):
    comparison = make_comparison(project, k=3, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    return comparison


def decide(client, comparison, **data):
    url = reverse("comparison-adjudicate", args=[comparison.project.slug, comparison.pk])
    return client.post(url, {"key": f"key-{comparison.pk}", **data})


def test_a_manager_decides_and_withdraws(client_of, project, alice, disputed):
    client = client_of(alice)
    listed = client.get(reverse("comparisons", args=[project.slug]), {"state": "disagreement"})
    assert "100 % contradict" in listed.content.decode()
    page = client.get(reverse("comparison", args=[project.slug, disputed.pk]))
    assert "Save the decision" in page.content.decode()
    decide(client, disputed, choice="1-3", rationale="It names the form.")
    decision = Ranking.objects.votes().get()
    first, second = disputed.slots.order_by("position").values_list("completion", flat=True)
    assert decision.is_adjudication
    assert decision.ranks == {str(first): 1, str(second): 2}
    assert (decision.strength, decision.rationale) == (3, "It names the form.")
    page = client.get(reverse("comparison", args=[project.slug, disputed.pk])).content.decode()
    assert "Withdraw the decision" in page
    assert "1 is much better" in page
    client.post(reverse("comparison-withdraw", args=[project.slug, disputed.pk]))
    assert Ranking.objects.votes().count() == 2


@pytest.mark.parametrize(
    ("choice", "ranks", "strength"), [("2-1", [2, 1], 1), ("tie", [1, 1], None), ("all_bad", [], None)]
)
def test_every_choice_of_a_pair_is_stored(client_of, alice, disputed, choice, ranks, strength):
    decide(client_of(alice), disputed, choice=choice)
    decision = Ranking.objects.votes().get()
    shown = disputed.slots.order_by("position").values_list("completion", flat=True)
    assert [decision.ranks[str(pk)] for pk in shown if decision.ranks] == ranks
    assert decision.strength == strength


def test_three_are_decided_by_places(client_of, alice, disputed_of_three):
    ids = sorted(disputed_of_three.slots.values_list("completion", flat=True))
    places = {f"rank-{pk}": place for pk, place in zip(ids, (2, 1, 2), strict=True)}
    decide(client_of(alice), disputed_of_three, verdict="ranked", **places)
    assert Ranking.objects.votes().get().ranks == {str(pk): p for pk, p in zip(ids, (2, 1, 2), strict=True)}


def test_only_what_the_project_asks_can_be_decided(client_of, project, alice, disputed):
    for name in ("strength_scale", "ask_tie", "ask_all_bad", "ask_rationale"):
        setattr(project, name, False)
    project.save()
    client = client_of(alice)
    page = client.get(reverse("comparison", args=[project.slug, disputed.pk])).content.decode()
    assert 'value="1"' in page
    assert not any(word in page for word in ("1-3", 'value="tie"', 'value="all_bad"', "rationale"))
    decide(client, disputed, choice="tie")
    assert Ranking.objects.count() == 2
    decide(client, disputed, choice="2", rationale="Nobody asked for this.")
    decision = Ranking.objects.votes().get()
    assert (decision.strength, decision.rationale) == (None, "")


def test_a_refused_decision_is_shown_again_with_what_was_entered(client_of, alice, disputed):
    page = decide(client_of(alice), disputed, choice="cannot_judge", rationale="They are the same.")
    content = page.content.decode()
    assert page.status_code == 200
    assert "They are the same." in content
    assert page.context["decision_form"].errors == {"reason": ["Say why it cannot be judged."]}
    assert 'aria-describedby="decision_reason_error"' in content
    assert Ranking.objects.count() == 2
    page = decide(client_of(alice), disputed)
    assert page.context["decision_form"].errors == {"choice": ["Choose one."]}


def test_a_missing_place_is_told_at_its_field(client_of, alice, disputed_of_three):
    first, second, third = disputed_of_three.slots.order_by("position").values_list("completion", flat=True)
    data = {"verdict": "ranked", f"rank-{first}": "1", f"rank-{third}": "7"}
    form = decide(client_of(alice), disputed_of_three, **data).context["decision_form"]
    assert set(form.errors) == {f"rank-{second}", f"rank-{third}"}
    assert form[f"rank-{first}"].value() == "1"
    assert Ranking.objects.count() == 2


def test_who_decides_second_is_told(client_of, project, alice, disputed):
    other = make_member(project, Role.MANAGER)
    decide(client_of(alice), disputed, choice="1-1")
    response = decide(client_of(other), disputed, choice="2-1")
    page = client_of(other).get(response.url).content.decode()
    assert response.url == reverse("comparison", args=[project.slug, disputed.pk])
    assert "Withdraw the decision" in page
    assert Ranking.objects.votes().get().annotator == alice


def test_pressed_twice_it_decides_once(client_of, alice, disputed):
    client = client_of(alice)
    for _ in range(2):
        assert decide(client, disputed, choice="1-1").status_code == 302
    assert Ranking.objects.filter(is_adjudication=True).count() == 1


def test_one_goes_on_from_disagreement_to_disagreement(client_of, project, alice, bob, carol):
    rows = [make_comparison(project, wanted=2, priority=priority) for priority in (3, 2, 1)]
    for person, first in ((bob, 0), (carol, 1)):
        for _ in rows:
            make_ranking(project, person, first=first)
    client = client_of(alice)
    page = [reverse("comparison", args=[project.slug, row.pk]) for row in rows]
    leave = [reverse("disagreement-next", args=[project.slug, row.pk]) for row in rows]
    # The newest stands first; behind the last one it begins again.
    assert [client.get(url).url for url in leave] == [page[2], page[0], page[1]]
    assert decide(client, rows[1], choice="1-1").url == page[0]
    assert decide(client, rows[0], choice="1-1").url == page[2]
    assert client.get(leave[2]).url == page[2]
    assert decide(client, rows[2], choice="1-1").url == page[2]


def test_a_gold_question_is_made_retired_and_brought_back(client_of, project, alice, disputed):
    client = client_of(alice)
    url = reverse("comparison-gold", args=[project.slug, disputed.pk])
    page = client.post(url, {"choice": "2", "explanation": "It is clearer."}, follow=True)
    assert disputed.prompt.text in page.content.decode()
    answer = GoldAnswer.objects.get()
    first, second = disputed.slots.order_by("position").values_list("completion", flat=True)
    assert answer.ranks == {str(first): 2, str(second): 1}
    row = answer.comparison
    page = client.get(reverse("comparison", args=[project.slug, row.pk])).content.decode()
    assert "2 is better" in page
    assert "It is clearer." in page
    retire = reverse("gold-retire", args=[project.slug, row.pk])
    for data, is_closed in (({}, True), ({"back": "1"}, False)):
        client.post(retire, data)
        row.refresh_from_db()
        assert row.is_closed == is_closed


def test_a_refused_gold_answer_is_shown_again(client_of, project, alice, disputed_of_three):
    client = client_of(alice)
    url = reverse("comparison-gold", args=[project.slug, disputed_of_three.pk])
    places = {f"rank-{pk}": "1" for pk in disputed_of_three.slots.values_list("completion", flat=True)}
    page = client.post(url, {"verdict": "ranked", **places, "explanation": "All alike."})
    content = page.content.decode()
    assert "every answer would be right" in content
    assert "All alike." in content
    assert 'id="gold" open' in content
    assert not GoldAnswer.objects.exists()


def test_gold_questions_are_not_made_of_gold_questions(client_of, project, alice, disputed):
    client = client_of(alice)
    for _ in range(2):
        url = reverse("comparison-gold", args=[project.slug, disputed.pk])
        client.post(url, {"choice": "2"})
        disputed = GoldAnswer.objects.get().comparison
    assert GoldAnswer.objects.count() == 1


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


def test_notes_that_wait_stand_first(client_of, project, alice, bob):
    notes = [Note.objects.create(project=project, author=bob, text=f"Note {n}.") for n in range(3)]
    client = client_of(alice)
    client.post(reverse("note-done", args=[project.slug, notes[2].pk]))
    page = client.get(reverse("notes", args=[project.slug])).content.decode()
    assert page.index("Note 1.") < page.index("Note 0.") < page.index("Note 2.")


@pytest.mark.parametrize("state", ["open", "done", "closed", "disagreement", "adjudicated", "gold", "repeat"])
def test_every_filter_opens(client_of, project, dana, disputed, state):
    url = reverse("comparisons", args=[project.slug])
    assert client_of(dana).get(url, {"state": state}).status_code == 200
