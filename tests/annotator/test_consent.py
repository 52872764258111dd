"""Who withdraws is left out of what is made afterwards; nothing is deleted, and it can be taken back."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from annotator import consent
from annotator.models import Comparison, Event, Ranking, Role, Withdrawal
from annotator.ranking import queue
from rlhf.lm.data import read_snapshot
from rlhf.snapshots import freeze, path_of
from tests.factories import make_comparison, make_member, make_project, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _var(settings, tmp_path):
    settings.VAR = tmp_path


def two_votes(project, bob, carol):
    """Bob and carol judge one comparison; bob judges another alone."""
    make_comparison(project, wanted=2)
    make_comparison(project)
    first = make_ranking(project, bob)
    make_ranking(project, bob)
    second = make_ranking(project, carol)
    assert first.comparison_id == second.comparison_id
    return first, second


def test_votes_are_without_those_who_withdrew_and_nothing_is_deleted(project, bob, carol):
    two_votes(project, bob, carol)
    assert Ranking.objects.votes().count() == 3
    assert consent.withdraw(bob, project)
    assert [vote.annotator for vote in Ranking.objects.votes()] == [carol]
    assert Ranking.objects.count() == 3
    assert Ranking.objects.live().count() == 3
    assert consent.give_back(bob, project)
    assert Ranking.objects.votes().count() == 3


def test_a_withdrawal_is_of_one_project(project, bob):
    elsewhere = make_project("elsewhere")
    make_member(elsewhere, Role.ANNOTATOR, bob)
    for one in (project, elsewhere):
        make_comparison(one)
        make_ranking(one, bob)
    consent.withdraw(bob, project)
    assert [vote.comparison.project for vote in Ranking.objects.votes()] == [elsewhere]


def test_what_is_judged_after_withdrawing_is_left_out_too(project, bob):
    consent.withdraw(bob, project)
    make_comparison(project)
    make_ranking(project, bob)
    assert not Ranking.objects.votes().exists()


def test_the_queue_counts_the_judgments_as_before(project, bob, carol):
    make_comparison(project)
    make_ranking(project, bob)
    consent.withdraw(bob, project)
    assert Comparison.objects.get().judgments_taken == 1
    assert queue.claim_next(annotator=carol, project=project) is None


def test_snapshots_made_later_leave_the_judgments_out(project, bob, carol):
    two_votes(project, bob, carol)
    before = freeze(project)
    consent.withdraw(bob, project)
    after = freeze(project)
    assert (before.counts["rankings"], after.counts["rankings"]) == (3, 1)
    assert len(read_snapshot(path_of(after)).judgments) == 1
    consent.give_back(bob, project)
    assert freeze(project) == before


def test_withdrawing_twice_is_one_withdrawal(project, bob):
    assert consent.withdraw(bob, project)
    assert not consent.withdraw(bob, project)
    assert Withdrawal.objects.count() == 1
    assert consent.give_back(bob, project)
    assert not consent.give_back(bob, project)
    assert consent.withdraw(bob, project)
    assert Withdrawal.objects.count() == 2


def test_the_database_allows_one_in_force(project, bob):
    consent.withdraw(bob, project)
    with pytest.raises(IntegrityError), transaction.atomic():
        Withdrawal.objects.create(project=project, annotator=bob)


def test_it_is_recorded(project, bob):
    consent.withdraw(bob, project)
    consent.give_back(bob, project)
    verbs = [(event.actor, event.verb) for event in Event.objects.order_by("pk")]
    assert verbs == [(bob, "withdrew their judgments"), (bob, "gave their judgments back")]


def test_one_withdraws_on_the_page_and_takes_it_back(project, bob, client_of):
    make_comparison(project)
    make_ranking(project, bob)
    client = client_of(bob)
    page = client.get(reverse("my-judgments")).content.decode()
    assert "1 judgment<" in page and "in use" in page
    response = client.post(reverse("judgments-withdraw", args=[project.slug]), follow=True)
    assert "nothing that leaves “Support” has your judgments" in response.content.decode()
    assert bob.pk in consent.withdrawn_among(project, [bob.pk])
    overview = client.get(project.get_absolute_url()).content.decode()
    assert "Your judgments here are withdrawn" in overview
    client.post(reverse("judgments-give-back", args=[project.slug]))
    assert not consent.withdrawn_among(project, [bob.pk])


def test_who_has_left_may_withdraw_still(project, bob, client_of):
    make_comparison(project)
    make_ranking(project, bob)
    project.memberships.filter(user=bob).delete()
    [part] = consent.parts_of(bob)
    assert (part.project, part.judgments, part.is_member) == (project, 1, False)
    client_of(bob).post(reverse("judgments-withdraw", args=[project.slug]))
    assert not Ranking.objects.votes().exists()


@pytest.mark.parametrize("name", ["judgments-withdraw", "judgments-give-back"])
def test_who_judges_nothing_there_has_nothing_to_withdraw(name, project, mallory, dana, client_of):
    url = reverse(name, args=[project.slug])
    for who in (mallory, dana):
        assert client_of(who).post(url).status_code == 404
    assert client_of(mallory).get(url).status_code == 405
    assert client_of(mallory).get(reverse("my-judgments")).status_code == 200
    assert not Withdrawal.objects.exists()


def test_visitors_are_sent_to_the_login(project, client):
    assert client.get(reverse("my-judgments")).status_code == 302
    assert client.post(reverse("judgments-withdraw", args=[project.slug])).status_code == 302
    assert not Withdrawal.objects.exists()


def test_managers_see_it_among_the_members(project, alice, bob, carol, client_of):
    consent.withdraw(bob, project)
    client = client_of(alice)
    page = client.get(reverse("members", args=[project.slug])).content.decode()
    assert page.count("withdrew</span>") == 1
    found = client.get(reverse("members", args=[project.slug]), {"state": "withdrawn"}).content.decode()
    assert ">bob</a>" in found and ">carol</a>" not in found
    member = project.memberships.get(user=bob)
    assert "withdrew" in client.get(reverse("member", args=[project.slug, member.pk])).content.decode()
