"""Adding, changing, pausing and removing members."""

import pytest
from django.urls import reverse

from annotator.models import Assignment, Ranking
from annotator.ranking import queue
from tests.factories import make_comparison, make_member, make_ranking, make_user


@pytest.fixture
def post(project, alice, client_of):
    client = client_of(alice)

    def send(name, data, user=None):
        member = [project.memberships.get(user=user).pk] if user else []
        return client.post(reverse(name, args=[project.slug, *member]), data, follow=True)

    return send


def test_somebody_is_added_by_name_with_a_role(post, project, mallory):
    post("members", {"username": "mallory", "role": "researcher"})
    assert project.memberships.get(user=mallory).role == "researcher"


@pytest.mark.parametrize(("name", "said"), [("nobody", "There is no account"), ("bob", "already")])
def test_unknown_and_known_names_are_told(post, project, bob, name, said):
    response = post("members", {"username": name, "role": "annotator"})
    assert response.status_code == 400
    assert said in response.content.decode()
    assert project.memberships.count() == 2


def test_a_role_is_changed(post, project, bob):
    post("member-change", {"role": "researcher"}, bob)
    assert project.memberships.get(user=bob).role == "researcher"


def test_the_last_manager_stays(post, project, alice):
    for name, data in (("member-change", {"role": "annotator"}), ("member-remove", {})):
        assert "A project needs a manager" in post(name, data, alice).content.decode()
    assert project.memberships.get(user=alice).role == "manager"


def test_a_pause_lets_go_of_what_is_held_and_can_be_lifted(post, project, bob):
    make_comparison(project)
    queue.claim_next(annotator=bob, project=project)
    post("member-change", {"pause": "1", "reason": "Please call me."}, bob)
    member = project.memberships.get(user=bob)
    assert member.paused_at is not None
    assert member.pause_reason == "Please call me."
    assert Assignment.objects.get().state == "released"
    post("member-change", {"lift": "1"}, bob)
    assert queue.claim_next(annotator=bob, project=project) is not None


def test_who_leaves_leaves_their_judgments(post, project, bob):
    make_comparison(project)
    make_comparison(project)
    make_ranking(project, bob)
    queue.claim_next(annotator=bob, project=project)
    post("member-remove", {}, bob)
    assert not project.memberships.filter(user=bob).exists()
    assert Ranking.objects.live().filter(annotator=bob).count() == 1
    assert Assignment.objects.filter(state="leased").count() == 0


def test_a_manager_who_leaves_goes_home(post, project, alice, carol):
    project.memberships.filter(user=carol).update(role="manager")
    assert post("member-remove", {}, alice).redirect_chain[-1][0] == reverse("home")


def test_a_pause_wants_a_reason(post, project, bob):
    response = post("member-change", {"pause": "1", "reason": " "}, bob)
    assert response.status_code == 400
    assert project.memberships.get(user=bob).paused_at is None


def test_a_paused_person_reads_why_and_the_manager_who_paused(post, project, bob, alice, client_of):
    post("member-change", {"pause": "1", "reason": "Please call me."}, bob)
    paused = client_of(bob).get(reverse("rank", args=["support"])).content.decode()
    assert "Please call me." in paused
    member = project.memberships.get(user=bob)
    page = client_of(alice).get(reverse("member", args=["support", member.pk])).content.decode()
    assert "By alice, since" in page
    assert "Please call me." in page


def test_two_hundred_members_are_searched_and_paged(project, alice, client_of, django_assert_max_num_queries):
    for number in range(200):
        make_member(project, user=make_user(f"person-{number:03}"))
    client, url = client_of(alice), reverse("members", args=["support"])
    with django_assert_max_num_queries(20):
        page = client.get(url).content.decode()
    assert page.count("Role of person-") == 49, "alice is the fiftieth"
    assert "1–50 of 201" in page
    found = client.get(url, {"q": "PERSON-17"}).content.decode()
    assert found.count("Role of person-") == 10
    assert client.get(url, {"role": "manager"}).content.decode().count("Role of ") == 1
    assert "Nobody is found" in client.get(url, {"state": "paused"}).content.decode()


def test_who_is_removed_could_come_back_by_an_open_link(post, project, bob):
    post("invite", {"role": "annotator", "days": "7", "places": "9"})
    assert "An open invitation would let them in again" in post("member-remove", {}, bob).content.decode()
