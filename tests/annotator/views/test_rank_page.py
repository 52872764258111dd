"""The ranking page's requests: claiming ahead, submitting, undoing, skipping, keeping hold."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from annotator.models import Assignment, Ranking
from tests.factories import make_comparison, make_guideline, make_prompt, make_ranking


@pytest.fixture
def page(project, bob, client_of):
    """post(name, body) as bob."""
    client = client_of(bob)

    def post(name, body):
        url = reverse(name, args=[project.slug])
        return client.post(url, json.dumps(body), content_type="application/json")

    post.get = lambda: client.get(reverse("rank", args=[project.slug]))
    return post


def judgment(assignment, **values):
    first, second = assignment.order
    return {
        "assignment": assignment.pk,
        "key": "key-of-this-judgment",
        "verdict": "ranked",
        "ranks": {first: 1, second: 2},
        "strength": 3,
        **values,
    }


def claimed(page):
    page.get()
    return Assignment.objects.latest("pk")


def test_it_shows_the_task_and_both_instructions_in_the_stored_order(page, project):
    make_comparison(
        project, make_prompt(project, "Sort the letters", examples=[{"input": "b a", "output": "a b"}])
    )
    content = page.get().content.decode()
    assignment = Assignment.objects.get()
    texts = [content.index(f'data-completion="{pk}"') for pk in assignment.order]
    assert "Sort the letters" in content
    assert "b a" in content
    assert texts == sorted(texts)


def test_a_reload_shows_the_same_comparison(page, project):
    make_comparison(project)
    make_comparison(project)
    first = claimed(page)
    page.get()
    assert list(Assignment.objects.all()) == [first]


def test_texts_are_escaped(page, project):
    make_comparison(project, make_prompt(project, "<script>alert(1)</script>"))
    content = page.get().content.decode()
    assert "<script>alert(1)" not in content
    assert "&lt;script&gt;alert(1)" in content


def test_it_says_so_when_nothing_waits(page):
    response = page.get()
    assert response.status_code == 200
    assert "data-assignment" not in response.content.decode()


def test_paused_people_see_why(page, project, bob):
    make_comparison(project)
    project.memberships.filter(user=bob).update(paused_at=timezone.now(), pause_reason="Too fast lately.")
    assert "Too fast lately." in page.get().content.decode()
    assert not Assignment.objects.exists()


def test_next_comes_beside_what_the_page_holds(page, project):
    make_comparison(project)
    make_comparison(project)
    held = claimed(page)
    response = page("rank-next", {"holding": [held.pk]})
    assert f'data-assignment="{held.pk}"' not in response.content.decode()
    assert Assignment.objects.count() == 2
    both = list(Assignment.objects.values_list("pk", flat=True))
    assert page("rank-next", {"holding": both}).status_code == 204


@pytest.mark.parametrize("holding", ["x", ["x"], {"a": 1}, None])
def test_next_refuses_nonsense(page, holding):
    assert page("rank-next", {"holding": holding}).status_code == 400


def test_submit_stores_the_judgment_with_its_strength(page, project, bob):
    make_comparison(project)
    assignment = claimed(page)
    response = page("rank-submit", judgment(assignment, rationale="Clearer.", seconds=12.5))
    ranking = Ranking.objects.get()
    assert response.json() == {"ranking": ranking.pk, "feedback": None}
    assert ranking.ranks == {str(assignment.order[0]): 1, str(assignment.order[1]): 2}
    assert (ranking.annotator, ranking.strength, ranking.rationale, ranking.seconds) == (
        bob,
        3,
        "Clearer.",
        12.5,
    )


def test_submitting_again_with_the_same_key_changes_nothing(page, project):
    make_comparison(project)
    assignment = claimed(page)
    first = page("rank-submit", judgment(assignment))
    again = page("rank-submit", judgment(assignment))
    assert first.json() == again.json()
    assert Ranking.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ranks": {}},
        {"ranks": [1, 2]},
        {"ranks": {"x": 1}},
        {"strength": 9},
        {"verdict": "perhaps"},
        {"key": ""},
        {"seconds": "long"},
        {"flags": 1},
        {"assignment": "x"},
        {"verdict": "cannot_judge", "ranks": {}},
    ],
)
def test_a_judgment_that_does_not_fit_is_refused_with_words(page, project, wrong):
    make_comparison(project)
    response = page("rank-submit", {**judgment(claimed(page)), **wrong})
    assert response.status_code == 400
    assert response.json()["error"]
    assert not Ranking.objects.exists()


def test_what_is_no_json_is_refused(project, bob, client_of):
    url = reverse("rank-submit", args=[project.slug])
    response = client_of(bob).post(url, "not json", content_type="application/json")
    assert response.status_code == 400
    assert response.json()["error"]


def test_nobody_submits_for_somebody_else(page, project, carol, client_of):
    make_comparison(project)
    assignment = claimed(page)
    url = reverse("rank-submit", args=[project.slug])
    body = json.dumps(judgment(assignment))
    assert client_of(carol).post(url, body, content_type="application/json").status_code == 404
    assert not Ranking.objects.exists()


def test_a_lost_lease_is_told(page, project, carol):
    make_comparison(project)
    assignment = claimed(page)
    page("rank-renew", {"assignments": [assignment.pk], "release": True})
    make_ranking(project, carol)
    response = page("rank-submit", judgment(assignment))
    assert response.status_code == 409
    assert "others have judged it" in response.json()["error"]


def test_undo_gives_the_comparison_back_with_what_was_said(page, project):
    make_comparison(project)
    assignment = claimed(page)
    page("rank-submit", judgment(assignment, flags={assignment.order[0]: ["broken"]}))
    reply = page("rank-undo", {"key": "undo-1"}).json()
    assert f'data-assignment="{assignment.pk}"' in reply["html"]
    assert reply["judgment"]["strength"] == 3
    assert reply["judgment"]["flags"] == {str(assignment.order[0]): ["broken"]}
    assert reply["can_undo"] is False
    assert not Ranking.objects.live().exists()


def test_undoing_twice_with_one_key_takes_back_one_judgment(page, project):
    for number in range(2):
        make_comparison(project)
        page("rank-submit", judgment(claimed(page), key=f"judgment-{number}"))
    one = page("rank-undo", {"key": "undo-1"}).json()
    again = page("rank-undo", {"key": "undo-1"}).json()
    assert one["html"].split("data-form")[0] == again["html"].split("data-form")[0]
    assert Ranking.objects.live().count() == 1


def test_undo_without_a_judgment_says_so(page):
    response = page("rank-undo", {"key": "undo-1"})
    assert response.status_code == 409
    assert response.json()["error"] == "There is nothing to undo."


def test_a_skipped_comparison_does_not_come_back(page, project):
    make_comparison(project)
    assignment = claimed(page)
    page("rank-skip", {"assignment": assignment.pk, "reason": "Not my field"})
    assignment.refresh_from_db()
    assert (assignment.state, assignment.skip_reason) == ("skipped", "Not my field")
    assert page("rank-next", {"holding": []}).status_code == 204


def test_renew_tells_which_are_lost(page, project, carol):
    make_comparison(project)
    mine = claimed(page)
    other = Assignment.objects.create(
        comparison=make_comparison(project), annotator=carol, order=[], leased_until=timezone.now()
    )
    reply = page("rank-renew", {"assignments": [mine.pk, other.pk]}).json()
    assert reply == {"lost": [other.pk], "progress": {"today": 0, "waiting": 2}}


def test_leaving_by_beacon_lets_go(page, project, bob, client_of):
    make_comparison(project)
    assignment = claimed(page)
    body = {"json": json.dumps({"assignments": [assignment.pk], "release": True})}
    client_of(bob).post(reverse("rank-renew", args=[project.slug]), body)
    assignment.refresh_from_db()
    assert assignment.state == "released"


def test_three_and_more_get_places_and_two_a_scale(page, project):
    project.response_format = "ranking"
    project.completions_per_comparison = 4
    project.save()
    make_comparison(project, k=4)
    content = page.get().content.decode()
    assert 'data-form="ranking"' in content
    assert content.count("data-places") == 4


def test_best_and_worst(page, project):
    project.response_format = "best_worst"
    project.completions_per_comparison = 3
    project.save()
    make_comparison(project, k=3)
    assert page.get().content.decode().count('value="worst"') == 3


def test_scales_and_flags_of_the_project_are_asked(page, project):
    project.attribute_scales = ["clarity"]
    project.flags = ["harmful", "off topic"]
    project.save()
    make_comparison(project)
    content = page.get().content.decode()
    assert content.count('data-scale="clarity"') == 10
    assert content.count('value="off topic"') == 2


def test_guidelines_are_to_be_read_once_for_each_version(page, project):
    make_guideline(project)
    make_comparison(project)
    make_comparison(project)
    assert 'data-has-read=""' in page.get().content.decode()
    page("rank-submit", judgment(claimed(page)))
    assert 'data-has-read="1"' in page.get().content.decode()
    make_guideline(project, "Changed.")
    assert 'data-has-read=""' in page.get().content.decode()
